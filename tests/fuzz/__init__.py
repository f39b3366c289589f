"""Random models against a dense formula in exact arithmetic, and against invariances; see `python -m tests.fuzz`."""
