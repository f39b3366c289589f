"""Answers of casks in batches: lme4, the nested layout in closed form, and an integral over three variances."""

from functools import cache, partial
from typing import Any

import numpy as np
import xarray as xr

import hierreg as hr
from models.catalogue import Expectation, sample
from models.comparisons import answers, of_an_estimate, of_draws, of_factors
from models.pastes.model import (
    NEW,
    NOTATIONS,
    PRIORS,
    anova,
    blups,
    build,
    casks_only,
    casks_only_criterion,
    criterion,
    data,
    layout,
    notation,
    posterior_moments,
    prediction_variances,
)

NESTED = (
    "balanced nested layout in sums of squares: Searle, Casella and McCulloch (1992), Variance Components, chapter 4"
)
QUADRATURE = "120^3-point Gauss-Legendre quadrature over the three sds of the marginal density in sums of squares"


@cache
def estimate(name: str) -> Any:
    """Return one of the four estimates."""
    model = casks_only() if name.startswith("cask_only") else build()
    return model.estimate(name.rpartition("_")[2])  # type: ignore[arg-type]


@cache
def posterior() -> xr.DataTree:
    """Return draws under the priors of the integrals."""
    return sample(build(priors=PRIORS), draws=1000, target_accept=0.9)


def found_variances(method: str) -> list[float]:
    """Return the variances of batches, casks and errors from the optimiser."""
    e = estimate(method)
    return [float(e.sd["batch"][0]) ** 2, float(e.sd["batch:cask"][0]) ** 2, float(e.error_sd) ** 2]


def likelihood_ratio(method: str) -> float:
    """Return by how much the criterion falls when batches may differ."""
    return estimate(f"cask_only_{method}").criterion - estimate(method).criterion


def intraclass() -> list[float]:
    """Return the REML correlations of two tests of a batch, and of two tests of a cask, from the report."""
    report = hr.correlations(posterior())
    report = report.isel(correlation=np.flatnonzero(report["kind"] == "intraclass"))
    batch, cask = (float(report["reml"][i]) for i in np.argsort(report["first"].values))
    return [batch, batch + cask]


def predicted() -> xr.Dataset:
    """Return the predictions of `NEW` at REML."""
    return hr.predict(build(), NEW, estimate("reml"), level="new group")


def draws(name: str) -> Any:
    """Return the draws of one of the integrated quantities."""
    p = posterior()["posterior"]
    batch, cask, error = p["sd_batch"][..., 0], p["sd_batch:cask"][..., 0], p["error_sd"]
    total = batch**2 + cask**2 + error**2
    return {
        "sd of batches": batch,
        "sd of casks": cask,
        "error sd": error,
        "correlation within a batch": batch**2 / total,
        "correlation within a cask": (batch**2 + cask**2) / total,
    }[name]


def of_the_layout() -> list[Expectation]:
    """Return the expectations in closed form."""
    s = layout(data())
    exact = partial(Expectation, kind="closed form", source=NESTED, relative=1e-6)
    out = []
    for method in ("reml", "ml"):
        v = anova(s, method)
        out += [
            exact(
                name=f"{method}: variances of batches, casks, errors",
                value=[v.batch, v.cask, v.error],
                found=partial(found_variances, method),
            ),
            exact(
                name=f"{method}: criterion in sums of squares",
                value=criterion(s, v, method),
                found=lambda method=method: estimate(method).criterion,
                relative=1e-10,
            ),
            exact(
                name=f"{method}: likelihood ratio of batches, in sums of squares",
                value=casks_only_criterion(s, method) - criterion(s, v, method),
                found=partial(likelihood_ratio, method),
            ),
        ]
    v = anova(s)
    effects, total = blups(s, v), v.batch + v.cask + v.error
    new_mean = s.mean + np.array([effects["batch"][0] + effects["batch:cask"][0], effects["batch"][0], 0.0])
    return [
        *out,
        exact(
            name="effects of batches and casks",
            value=[*effects["batch"], *effects["batch:cask"]],
            found=lambda: [*estimate("reml").b["batch"].values[:, 0], *estimate("reml").b["batch:cask"].values[:, 0]],
        ),
        exact(
            name="correlations of two tests: of a batch, of a cask",
            value=[v.batch / total, (v.batch + v.cask) / total],
            found=intraclass,
        ),
        exact(
            name="predicted: cask A:a, a new cask of A, a new batch",
            value=new_mean,
            found=lambda: predicted()["mean"],
        ),
        exact(
            name="their prediction sds",
            value=np.sqrt(prediction_variances(s, v)),
            found=lambda: predicted()["sd"],
        ),
    ]


def expectations() -> list[Expectation]:
    """Return all expectations."""
    known = answers("pastes")
    out = []
    for name, answer in known.items():
        out += of_an_estimate(name, partial(estimate, name), answer, relative=1e-6)
        out += of_factors(name, partial(estimate, name), answer)
    out += of_the_layout()
    out += [
        Expectation(
            name=f"{method}: likelihood ratio of batches, lme4",
            kind="other software",
            source=f"difference of the criteria: {known[method]['source']}",
            value=known[f"cask_only_{method}"]["criterion"] - known[method]["criterion"],
            found=partial(likelihood_ratio, method),
            relative=1e-6,
        )
        for method in ("reml", "ml")
    ]
    out.append(
        Expectation(
            name="three notations of one model: criterion",
            kind="other software",
            source=known["reml"]["source"],
            value=[known["reml"]["criterion"]] * 3,
            found=lambda: [notation(formula).estimate("reml").criterion for formula in NOTATIONS],
            relative=1e-10,
        )
    )
    for name, moments in posterior_moments(layout(data())).items():
        out += of_draws(f"posterior: {name}", partial(draws, name), moments, QUADRATURE)
    return out
