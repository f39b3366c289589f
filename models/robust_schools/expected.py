"""Answers of eight schools with heavy tails: sums over beta, the scale and the s of every school."""

from functools import cache, partial
from typing import Any

import numpy as np
import xarray as xr

import hierreg as hr
from models.catalogue import Expectation, sample
from models.comparisons import of_draws
from models.robust_schools.model import FAR, NU, PRIORS, T, build, data, integrated

SUMS = "sums over grids of beta, the scale and the s of every school (`integrated`)"
CASES = {"t, as they are": (None, NU), "t, A far out": (FAR, NU), "normal, A far out": (FAR, None)}


@cache
def posterior(of_a: float | None, nu: float | None) -> xr.DataTree:
    """Return draws under the priors of the sums."""
    return sample(build(data(of_a), PRIORS, effects=T if nu else None))


def draws(name: str, of_a: float | None, nu: float | None) -> Any:
    """Return the draws of beta, the logarithm of the scale, or a school."""
    p = posterior(of_a, nu)["posterior"]
    if name == "beta":
        return p["beta"][..., 0]
    if name == "log scale":
        return np.log(p["sd_school" if nu is None else "scale_school"][..., 0])
    return p["theta_school"].sel(school=name)[..., 0]


def of_weights(title: str, of_a: float | None, nu: float) -> Expectation:
    """Return the expectation that 1 / s of every school has the mean that it should have."""
    return Expectation(
        name=f"{title}: 1/s of every school",
        kind="closed form",
        source=SUMS,
        value=integrated(of_a, nu).weight,
        found=lambda: posterior(of_a, nu)["posterior"]["weight_school"],
        mc_errors=4,
    )


def expectations() -> list[Expectation]:
    """Return all expectations."""
    out = []
    for title, case in CASES.items():
        known = integrated(*case)
        moments = {"beta": known.beta, "log scale": known.log_scale}
        moments |= dict(zip("ABCDEFGH", map(tuple, known.theta), strict=True))
        for name in ("beta", "log scale", "A", "E", "G"):
            out += of_draws(f"{title}: {name}", partial(draws, name, *case), moments[name], SUMS)
    reported = Expectation(
        name="1/s that the report shows",
        kind="closed form",
        source="the mean of the draws of 1 / s",
        value=posterior(FAR, NU)["posterior"]["weight_school"].mean(("chain", "draw")),
        found=lambda: hr.shrinkage(posterior(FAR, NU))["group_weight"],
        relative=1e-10,
    )
    return [*out, of_weights("t, as they are", None, NU), of_weights("t, A far out", FAR, NU), reported]
