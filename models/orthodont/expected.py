"""Answers of the growth curves: nlme and lme4."""

from functools import cache, partial
from typing import Any

import numpy as np
import xarray as xr

from models.catalogue import Expectation, sample
from models.comparisons import answers, of_an_estimate
from models.orthodont.model import build, one_sd


@cache
def estimate(name: str) -> Any:
    """Return one of the three estimates."""
    return one_sd().estimate("reml") if name == "one_sd" else build().estimate(name)  # type: ignore[arg-type]


@cache
def posterior() -> xr.Dataset:
    """Return draws under the default priors."""
    return sample(build())["posterior"].dataset


def ratio() -> xr.DataArray:
    """Return the logarithm of the ratio of the error sds of girls and boys."""
    error_sd = posterior()["error_sd"]
    return np.log(error_sd.sel(Sex="Female") / error_sd.sel(Sex="Male"))


def expectations() -> list[Expectation]:
    """Return all expectations."""
    known = answers("orthodont")
    out = []
    for name, answer in known.items():
        out += of_an_estimate(name, partial(estimate, name), answer)
    reml = known["reml"]
    boys, girls = reml["error_sd"]
    return [
        *out,
        Expectation(
            name="likelihood ratio of one sd against two",
            kind="other software",
            source=f"difference of the criteria of lme4 and nlme: {reml['source']}",
            value=known["one_sd"]["criterion"] - reml["criterion"],
            found=lambda: estimate("one_sd").criterion - estimate("reml").criterion,
            relative=1e-7,
        ),
        Expectation(
            name="posterior: log ratio of error sds near REML",
            kind="other software",
            source=reml["source"],
            value=float(np.log(girls / boys)),
            found=ratio,
            sds=0.5,
        ),
        Expectation(
            name="posterior: population coefficients near REML",
            kind="other software",
            source=reml["source"],
            value=reml["beta"],
            found=lambda: posterior()["beta"].sel(coef=reml["coef"]),
            sds=0.25,
        ),
    ]
