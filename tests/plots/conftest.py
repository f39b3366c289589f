"""Figures that a test leaves open are closed: matplotlib warns of twenty."""

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def no_figures():
    plt.close("all")
    yield
    plt.close("all")
