"""Settings that every test shares: no display, and the same examples and random numbers in every run."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")  # before anything imports matplotlib
os.environ["COLUMNS"] = "250"  # no line of a report is broken, wherever the tests run
if "PYTEST_XDIST_WORKER" in os.environ:
    # Threads of several workers would compete for the cores: neither libraries that are loaded later have several ...
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

import hypothesis
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

if "PYTEST_XDIST_WORKER" in os.environ:
    threadpool_limits(limits=1)  # ... nor those that a plugin of pytest has loaded already

# `database=None`: an example that failed on one machine is written into the test, not kept beside it.
hypothesis.settings.register_profile("reproducible", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("reproducible")

# Scripts and notebooks, not tests; collecting doctests would import and so run them.
collect_ignore_glob = ["benchmarks/*", "reference/scripts/*", "journeys/jobs/*"]


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator that starts from the same seed in every test."""
    return np.random.default_rng(20030416)
