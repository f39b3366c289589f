"""Answers of students in schools: lme4, and what full Bayes has to agree with when there are 160 groups."""

from functools import cache, partial
from typing import Any

import xarray as xr

from models.catalogue import Expectation, sample
from models.comparisons import answers, of_an_estimate
from models.schools.model import build, cross_level


@cache
def estimate(name: str) -> Any:
    """Return one of the three estimates."""
    return cross_level().estimate("reml") if name == "cross_level" else build().estimate(name)  # type: ignore[arg-type]


@cache
def posterior() -> xr.Dataset:
    """Return draws under the default priors."""
    return sample(build())["posterior"].dataset


def expectations() -> list[Expectation]:
    """Return all expectations."""
    known = answers("schools")
    out = []
    for name, answer in known.items():
        # The correlation of the cross-level model is exactly one, where the criterion is flat to first order.
        out += of_an_estimate(name, partial(estimate, name), answer, relative=1e-4 if name == "cross_level" else 1e-5)
    reml = known["reml"]
    agreement = (
        ("beta", reml["beta"], lambda: posterior()["beta"].sel(coef=reml["coef"])),
        ("error_sd", reml["error_sd"], lambda: posterior()["error_sd"]),
        ("school effects", reml["b"], lambda: posterior()["b_School"].sel(School=reml["levels"])),
    )
    out += [
        Expectation(
            name=f"posterior mean near REML: {what}",
            kind="other software",
            source=f"{reml['source']}; with 160 schools the variances are known well enough for the plug-in",
            value=value,
            found=found,
            sds=0.25,
        )
        for what, value, found in agreement
    ]
    return out
