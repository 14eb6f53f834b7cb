"""Running checks: a case's points are put to a witness, and its answers to the judge."""
