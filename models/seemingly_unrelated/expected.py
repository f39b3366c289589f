"""Answers of the investment equations: systemfit, and the posterior of two firms integrated numerically."""

from functools import cache, partial
from typing import Any

import numpy as np
import xarray as xr

from models.catalogue import Expectation, sample
from models.comparisons import answers, of_an_estimate, of_draws
from models.seemingly_unrelated.model import FIVE, PRIORS, TWO, build, coefs, data, posterior_moments

QUADRATURE = "48^3 Gauss-Legendre quadrature over sds and correlation; coefficients integrated in closed form"


@cache
def ml(firms: tuple[str, ...]) -> Any:
    """Return the ML estimate."""
    return build(data(firms)).estimate("ml")


@cache
def at_weights(firms: tuple[str, ...], weights: tuple[tuple[float, ...], ...]) -> Any:
    """Return generalised least squares at an error covariance."""
    return build(data(firms)).solve(error_cov=np.array(weights))


@cache
def posterior(firms: tuple[str, ...] = TWO) -> xr.DataTree:
    """Return draws under the priors of the integrals."""
    return sample(build(data(firms), PRIORS))


def of_systemfit(firms: tuple[str, ...], label: str) -> list[Expectation]:
    """Return the expectations for ML and for one step of feasible generalised least squares."""
    known = answers("seemingly_unrelated")
    named = {"coef": coefs(firms)}
    out = of_an_estimate(f"{label} firms, ML", partial(ml, firms), known[f"{label}_iterated"] | named)
    for step in ("ols", "onestep"):
        answer = known[f"{label}_{step}"] | named
        weights = np.diag(np.diag(answer["weights"])) if step == "ols" else np.array(answer["weights"])
        found = partial(at_weights, firms, tuple(map(tuple, weights.tolist())))
        fields = {name: answer[name] for name in ("source", "coef", "beta", "beta_se")}
        # systemfit prints least squares from the same equations at a diagonal covariance
        out += of_an_estimate(f"{label} firms, {step}", found, fields, relative=1e-7)
    return out


def draws(name: str) -> xr.DataArray:
    """Return the draws of an error sd, or of the correlation of two firms."""
    if name == "error_corr":
        return posterior()["posterior"]["error_corr"][..., 0]
    return posterior()["posterior"]["error_sd"].sel(dataset=name[-3:-1])


def expectations() -> list[Expectation]:
    """Return all expectations."""
    out = [*of_systemfit(TWO, "two"), *of_systemfit(FIVE, "five")]
    for name, moments in posterior_moments().items():
        out += of_draws(f"two firms, posterior: {name}", partial(draws, name), moments, QUADRATURE)
    five = answers("seemingly_unrelated")["five_iterated"]
    return [
        *out,
        Expectation(
            name="five firms: posterior means of coefficients near ML",
            kind="other software",
            source=five["source"],
            value=five["beta"],
            found=lambda: posterior(FIVE)["posterior"]["beta"].sel(coef=coefs(FIVE)),
            sds=0.75,
        ),
    ]
