"""A function and what PyTorch makes of it, as values: what `explain` and `plot` show."""
