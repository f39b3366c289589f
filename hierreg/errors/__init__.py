"""The structures of errors: what a user writes, and how they lie over the rows of a table."""
