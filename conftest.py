"""Figures that a test or an example leaves open are closed: matplotlib warns of twenty."""

import sys

import pytest


@pytest.fixture(autouse=True)
def no_figures():
    """Close all figures afterwards, where matplotlib was loaded at all."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
