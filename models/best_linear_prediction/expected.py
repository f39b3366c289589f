"""Answers of best linear prediction: the formula point by point, and an independent Gaussian process."""

from functools import cache, partial
from typing import Any

import hierreg as hr
from models.best_linear_prediction.model import build, gaussian_process, goldberger, predictions
from models.catalogue import Expectation, sample

FORMULA = "Goldberger (1962): x*'beta + psi'V^-1 (y - X beta), and its prediction variance, with V written out"
PROCESS = "Gaussian process with kernel k(s, t) + {}^2 (1 + s t), textbook Cholesky form; no coefficients"


@cache
def plug_in() -> Any:
    """Return the best linear unbiased prediction."""
    model = build()
    return predictions(model, model.estimate("reml"))


@cache
def with_prior(sd: float) -> Any:
    """Return the prediction with beta ~ N(0, sd^2)."""
    model = build()
    return predictions(model, model.solve(beta_precision=sd**-2))


@cache
def posterior() -> Any:
    """Return the prediction from draws under a flat prior."""
    model = build(priors=hr.Priors(beta=hr.Flat()))
    return predictions(model, sample(model))


def expectations() -> list[Expectation]:
    """Return all expectations."""
    mean, variance = goldberger()
    process_mean, process_variance = gaussian_process(3.0)
    exact = partial(Expectation, kind="closed form", relative=1e-8)
    prior = PROCESS.format(3)
    return [
        exact(name="prediction", source=FORMULA, value=mean, found=lambda: plug_in()["mean"]),
        exact(
            name="prediction variance of the function",
            source=FORMULA,
            value=variance,
            found=lambda: plug_in()["sd_new"] ** 2,
        ),
        exact(
            name="Gaussian process with a line, mean",
            source=prior,
            value=process_mean,
            found=lambda: with_prior(3.0)["mean"],
            relative=1e-7,
        ),
        exact(
            name="Gaussian process with a line, variance",
            source=prior,
            value=process_variance,
            found=lambda: with_prior(3.0)["sd_new"] ** 2,
            relative=1e-7,
        ),
        exact(
            name="the line's prior widens: mean",
            source=PROCESS.format(1000),
            value=gaussian_process(1e3)[0],
            found=lambda: plug_in()["mean"],
            relative=1e-4,
        ),
        exact(
            name="posterior: mean, in prediction sds from the formula",
            source=FORMULA,
            value=0 * mean,
            found=lambda: (posterior()["mean"].values - mean) / variance**0.5,
            relative=0.0,
            absolute=4 * 4000**-0.5,
        ),
        exact(
            name="posterior: sd of the function",
            source=FORMULA,
            value=variance**0.5,
            found=lambda: posterior()["sd_new"],
            relative=5 * (2 * 4000) ** -0.5,
        ),
    ]
