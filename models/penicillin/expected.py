"""Answers of the penicillin assay: lme4, the crossed layout in closed form, and an integral over three variances."""

from functools import cache, partial
from typing import Any

import numpy as np
import xarray as xr

import hierreg as hr
from models.catalogue import Expectation, sample
from models.comparisons import answers, of_an_estimate, of_draws, of_factors
from models.penicillin.model import (
    PRIORS,
    anova,
    blups,
    build,
    criterion,
    data,
    layout,
    posterior_moments,
    prediction_variances,
)

CROSSED = (
    "balanced crossed layout in sums of squares: Searle, Casella and McCulloch (1992), Variance Components, chapter 4"
)
QUADRATURE = "120^3-point Gauss-Legendre quadrature over the three sds of the marginal density in sums of squares"
A_MINUS_F = {"A - F": {("sample", "A", "Intercept"): 1, ("sample", "F", "Intercept"): -1}}


@cache
def estimate(method: str) -> Any:
    """Return an estimate."""
    return build().estimate(method)  # type: ignore[arg-type]


@cache
def posterior() -> xr.DataTree:
    """Return draws under the priors of the integrals."""
    return sample(build(priors=PRIORS), draws=1000)


def found_variances() -> list[float]:
    """Return the variances of plates, samples and errors by REML from the optimiser."""
    e = estimate("reml")
    return [float(e.sd["plate"][0]) ** 2, float(e.sd["sample"][0]) ** 2, float(e.error_sd) ** 2]


def found_sds() -> list[float]:
    """Return the standard errors of beta, b, the difference of two samples, and the level of one, at REML."""
    e = estimate("reml")
    what = A_MINUS_F | {"A": {("sample", "A", "Intercept"): 1}}
    b = float(e.b_cov["sample"].sel(sample="A")[0, 0]) ** 0.5
    return [float(e.beta_se[0]), b, *hr.contrasts(e, what)["sd"].values]


def found_predictions() -> xr.Dataset:
    """Return predictions for sample A and for a new sample, each on a new plate."""
    return hr.predict(build(), {"plate": ["new", "new"], "sample": ["A", "new"]}, estimate("reml"), level="new group")


def draws(name: str) -> xr.DataArray:
    """Return the draws of one of the integrated quantities."""
    p = posterior()["posterior"]
    return {
        "sd of plates": lambda: p["sd_plate"][..., 0],
        "sd of samples": lambda: p["sd_sample"][..., 0],
        "error sd": lambda: p["error_sd"],
        "beta": lambda: p["beta"][..., 0],
        "difference": lambda: hr.contrasts(posterior(), A_MINUS_F)["draws"][..., 0],
    }[name]()


def of_the_layout() -> list[Expectation]:
    """Return the expectations in closed form at REML."""
    s = layout(data())
    v = anova(s)
    sds = {name: np.sqrt(value) for name, value in prediction_variances(s, v).items()}
    exact = partial(Expectation, kind="closed form", source=CROSSED, relative=1e-7)
    effects = blups(s, v)
    return [
        exact(
            name="analysis of variance is REML: plates, samples, errors",
            value=[v.plate, v.sample, v.error],
            found=found_variances,
            relative=1e-6,
        ),
        exact(
            name="criterion at REML", value=criterion(s, v), found=lambda: estimate("reml").criterion, relative=1e-10
        ),
        exact(name="effects of plates", value=effects["plate"], found=lambda: estimate("reml").b["plate"][:, 0]),
        exact(name="effects of samples", value=effects["sample"], found=lambda: estimate("reml").b["sample"][:, 0]),
        exact(
            name="standard errors: beta, effect of A, A - F, level of A",
            value=[sds[name] for name in ("beta", "b", "difference", "level")],
            found=found_sds,
            relative=1e-6,
        ),
        exact(
            name="prediction on a new plate: A, a new sample",
            value=[s.mean + effects["sample"][0], s.mean],
            found=lambda: found_predictions()["mean"],
        ),
        exact(
            name="prediction sds on a new plate: A, a new sample",
            value=[sds["level on a new plate"], sds["new sample on a new plate"]],
            found=lambda: found_predictions()["sd"],
            relative=1e-6,
        ),
    ]


def expectations() -> list[Expectation]:
    """Return all expectations."""
    out = []
    for method, answer in answers("penicillin").items():
        out += of_an_estimate(method, partial(estimate, method), answer, relative=1e-6)
        out += of_factors(method, partial(estimate, method), answer)
    out += of_the_layout()
    for name, moments in posterior_moments(layout(data()), 0, 5).items():
        title = "A - F" if name == "difference" else name
        out += of_draws(f"posterior: {title}", partial(draws, name), moments, QUADRATURE)
    return out
