"""Answers of the sleep study: lme4, and the posterior integrated numerically."""

from functools import cache, partial
from typing import Any

import xarray as xr

from models.catalogue import Expectation, sample
from models.comparisons import answers, of_an_estimate, of_draws
from models.random_slopes.model import PRIORS, build, uncorrelated


@cache
def estimate(name: str) -> Any:
    """Return one of the three estimates."""
    return uncorrelated().estimate("reml") if name == "uncorrelated" else build().estimate(name)  # type: ignore[arg-type]


@cache
def posterior() -> xr.Dataset:
    """Return draws under the priors of the integrals."""
    return sample(build(priors=PRIORS))["posterior"].dataset


def draws(name: str) -> xr.DataArray:
    """Return the draws of a parameter: ``sd[Days]``, ``beta[Intercept]``, ``b[308, Days]``, ``corr``, ``error_sd``."""
    kind, _, inside = name.rstrip("]").partition("[")
    if kind == "b":
        subject, coef = inside.split(", ")
        return posterior()["b_Subject"].sel(Subject=subject, Subject_coef=coef)
    return {
        "sd": lambda: posterior()["sd_Subject"].sel(Subject_coef=inside),
        "beta": lambda: posterior()["beta"].sel(coef=inside),
        "corr": lambda: posterior()["corr_Subject"][..., 0],
        "error_sd": lambda: posterior()["error_sd"],
    }[kind]()


def expectations() -> list[Expectation]:
    """Return all expectations."""
    known = answers("random_slopes")
    integrals = known.pop("posterior")
    source = integrals.pop("source")
    out = []
    for name, answer in known.items():
        out += of_an_estimate(name, partial(estimate, name), answer)
    for name, moments in integrals.items():
        out += of_draws(f"posterior: {name}", partial(draws, name), moments, source)
    return out
