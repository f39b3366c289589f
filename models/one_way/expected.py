"""Answers of the one-way layout: sums of squares, lme4, and integrals over both standard deviations."""

from functools import cache, partial
from typing import Any

import numpy as np
import xarray as xr

from models.catalogue import Expectation, sample
from models.one_way.model import PRIORS, Layout, build, data, layout, posterior_moments, variances

BALANCED = "balanced layout in SSE and SST: Searle, Casella and McCulloch (1992), chapter 3"
LME4 = "lme4 1.1-31: lmer(Yield ~ 1 + (1 | Batch), {}, REML = {})"
# -2 log likelihood at the estimate, by data set and method
CRITERIA = {
    ("dyestuff", "reml"): 319.65427684225745,
    ("dyestuff", "ml"): 327.327059881135,
    ("dyestuff2", "reml"): 161.82827781228843,
    ("dyestuff2", "ml"): 162.87303665382575,
}
# made by tests/reference/scripts/oracle_dyestuff.py
INTEGRATED = {"sd": 51.59154118, "error_sd": 52.50510764, "beta": 1527.490214, "shrinkage": 0.7594833828}


@cache
def estimate(name: str, method: str) -> Any:
    """Return an estimate of a data set."""
    return build(data(name)).estimate(method)


@cache
def posterior(name: str) -> xr.Dataset:
    """Return draws of a data set under the priors of the integrals."""
    return sample(build(data(name), PRIORS))["posterior"].dataset


def found_variances(name: str, method: str) -> tuple[float, float]:
    """Return the variances between and within groups from the optimiser."""
    e = estimate(name, method)
    return float(e.sd["Batch"][0]) ** 2, float(e.error_sd) ** 2


def blup(s: Layout) -> np.ndarray:
    """Return the batch effects (J,): the deviation of each mean, times the share of variance between batches."""
    between, within = variances(s, "reml")
    return between / (between + within / s.r) * (s.means - s.means.mean())


def of_a_data_set(name: str) -> list[Expectation]:
    """Return the expectations that both data sets share."""
    s = layout(data(name))
    out = [
        Expectation(
            name=f"{name}: variances between, within by {method.upper()}",
            kind="closed form",
            source=BALANCED,
            value=variances(s, method),
            found=partial(found_variances, name, method),
            relative=1e-7,
            absolute=1e-8,
        )
        for method in ("ml", "reml")
    ]
    out += [
        Expectation(
            name=f"{name}: -2 log likelihood, {method.upper()}",
            kind="other software",
            source=LME4.format(name.capitalize(), str(method == "reml").upper()),
            value=CRITERIA[name, method],
            found=lambda method=method: estimate(name, method).criterion,
            relative=1e-10,
        )
        for method in ("ml", "reml")
    ]
    return [*out, *of_a_posterior(name, s)]


def of_a_posterior(name: str, s: Layout) -> list[Expectation]:
    """Return the moments of the posterior, by quadrature from the sums of squares."""
    p = posterior_moments(s)

    def squares() -> Any:
        return (posterior(name)["sd_Batch"][..., 0] - p["sd"]) ** 2

    moments = (
        ("mean of sd_Batch", p["sd"], lambda: posterior(name)["sd_Batch"][..., 0]),
        ("mean of error_sd", p["error_sd"], lambda: posterior(name)["error_sd"]),
        ("variance of sd_Batch", p["sd_sd"] ** 2, squares),
    )
    return [
        Expectation(
            name=f"{name}: posterior {what}",
            kind="closed form",
            source="600 x 600 Gauss-Legendre quadrature of the marginal density in SSE and SST",
            value=value,
            found=found,
            mc_errors=4,
        )
        for what, value, found in moments
    ]


def integrated(name: str) -> xr.DataArray:
    """Return the draws of one of the quantities that were integrated elsewhere."""
    draws = posterior("dyestuff")
    sd, error_sd = draws["sd_Batch"][..., 0], draws["error_sd"]
    shrinkage = sd**2 / (sd**2 + error_sd**2 / 5)
    return {"sd": sd, "error_sd": error_sd, "beta": draws["beta"][..., 0], "shrinkage": shrinkage}[name]


def expectations() -> list[Expectation]:
    """Return all expectations."""
    s = layout(data())
    out = [*of_a_data_set("dyestuff"), *of_a_data_set("dyestuff2")]
    out += [
        Expectation(
            name="dyestuff: batch effects at REML",
            kind="closed form",
            source="sd^2 / (sd^2 + error_sd^2 / r) times the deviation of the batch mean",
            value=blup(s),
            found=lambda: estimate("dyestuff", "reml").b["Batch"][:, 0],
            relative=1e-7,
        ),
        Expectation(
            name="dyestuff: method of moments is REML",
            kind="closed form",
            source="Davies and Goldsmith (1972), section 6.4: (11271.5 - 2451.25) / 5 = 1764.05",
            value=1764.05,
            found=lambda: found_variances("dyestuff", "reml")[0],
            relative=1e-7,
        ),
        Expectation(
            name="dyestuff2: negative by the method of moments, zero by REML",
            kind="closed form",
            source="(8.336325760 - 14.9458896) / 5, below zero: the estimate that exists is 0",
            value=(-1.321912768, 0.0),
            found=lambda: (variances(layout(data("dyestuff2")), "moments")[0], found_variances("dyestuff2", "reml")[0]),
            relative=1e-9,
            absolute=1e-12,
        ),
    ]
    return out + [
        Expectation(
            name=f"dyestuff: posterior mean of {name}, second program",
            kind="other software",
            source="NumPy quadrature with the dense likelihood, tests/reference/scripts/oracle_dyestuff.py",
            value=value,
            found=partial(integrated, name),
            mc_errors=4,
        )
        for name, value in INTEGRATED.items()
    ]
