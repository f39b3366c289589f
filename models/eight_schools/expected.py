"""Answers of the eight schools: normal means at a known standard deviation, and an integral over it."""

from functools import cache, partial
from typing import Any

import numpy as np
import xarray as xr

from models.catalogue import Expectation, sample
from models.comparisons import of_draws
from models.eight_schools.model import PRIORS, build, given, mean_log_sd, posterior_moments

BDA = "Gelman et al. (2013), Bayesian Data Analysis, 3rd edition, section 5.4: normal means with known variances"
QUADRATURE = "400-point quadrature over the standard deviation of the formulas of section 5.4 of Gelman et al. (2013)"


@cache
def solved(sd: float) -> Any:
    """Return the mixed-model equations at a standard deviation between schools."""
    return build().solve(cov={"school": [[sd**2]]})


@cache
def posterior() -> xr.Dataset:
    """Return draws under the priors of the integrals."""
    return sample(build(priors=PRIORS), draws=1000)["posterior"].dataset


def draws(name: str) -> xr.DataArray:
    """Return the draws of beta or of a school."""
    if name == "beta":
        return posterior()["beta"][..., 0]
    return posterior()["theta_school"].sel(school=name[-1])[..., 0]


def log_sd() -> xr.DataArray:
    """Return the logarithm of the draws of the standard deviation between schools."""
    return np.log(posterior()["sd_school"][..., 0])


def at(sd: float) -> list[Expectation]:
    """Return the expectations at a known standard deviation between schools."""
    mean, variance, means, variances, _ = given(sd)
    values = (
        ("beta", mean, lambda: solved(sd).beta[0]),
        ("its standard error", np.sqrt(variance), lambda: solved(sd).beta_se[0]),
        ("schools", means, lambda: solved(sd).theta["school"][:, 0]),
        ("their prediction variances", variances, lambda: solved(sd).theta_cov["school"][:, 0, 0]),
    )
    return [
        Expectation(name=f"sd {sd:g}: {what}", kind="closed form", source=BDA, value=value, found=found, relative=1e-10)
        for what, value, found in values
    ]


def expectations() -> list[Expectation]:
    """Return all expectations."""
    out = [
        Expectation(
            name="REML: complete pooling",
            kind="closed form",
            source="chi-square of 4.71 on 7 degrees of freedom: no excess variance, so sd = 0 and a weighted mean",
            value=(0.0, given(0.0)[0]),
            found=lambda: [float(build().estimate("reml").sd["school"][0]), float(build().estimate("reml").beta[0])],
            relative=1e-9,
            absolute=1e-9,
        ),
        Expectation(
            name="REML: pooled mean and standard error",
            kind="closed form",
            source="Gelman et al. (2013), Bayesian Data Analysis, 3rd edition, section 5.5: 7.7 and 4.1",
            value=(7.7, 4.1),
            found=lambda: [float(build().estimate("reml").beta[0]), float(build().estimate("reml").beta_se[0])],
            absolute=0.05,
        ),
    ]
    for sd in (0.0, 5.0, 25.0):
        out += at(sd)
    for name, moments in posterior_moments().items():
        out += of_draws(f"posterior: {name}", partial(draws, name), moments, QUADRATURE)
    return out + of_draws("posterior: log sd between schools", log_sd, mean_log_sd(), QUADRATURE)
