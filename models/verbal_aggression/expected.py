"""Answers: lme4's Laplace fit, and the posterior of the same model in PyMC with all effects sampled."""

from functools import cache
from typing import Any

import xarray as xr

from models.catalogue import Expectation, sample
from models.comparisons import answers, of_an_estimate, of_other_draws
from models.verbal_aggression.model import build


@cache
def estimate() -> Any:
    """Return the Laplace estimate."""
    return build().estimate("laplace")


@cache
def posterior() -> xr.DataTree:
    """Return draws under the default priors."""
    return sample(build())


def expectations() -> list[Expectation]:
    """Return all expectations."""
    known = answers("verbal_aggression")
    out = of_an_estimate("Laplace", estimate, known["laplace"], relative=1e-3)
    return out + of_other_draws(known["pymc"], posterior, lambda variable: variable.startswith("sd_"))
