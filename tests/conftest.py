"""Settings that every test shares: no display, and the same examples and random numbers in every run."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")  # before anything imports matplotlib

import hypothesis
import numpy as np
import pytest

# `database=None`: an example that failed on one machine is written into the test, not kept beside it.
hypothesis.settings.register_profile("reproducible", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("reproducible")

# Scripts, not tests; collecting doctests would import and so run them.
collect_ignore_glob = ["benchmarks/*", "reference/scripts/*"]


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator that starts from the same seed in every test."""
    return np.random.default_rng(20030416)
