"""The operator table: what each name means to each interpretation."""
