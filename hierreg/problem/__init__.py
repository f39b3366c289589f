"""The problem that follows from formula, data, errors and priors; and what is wrong with it."""
