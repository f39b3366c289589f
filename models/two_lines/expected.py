"""Answers of the two lines: the stacked system written out, identities of maximum likelihood, and the truth."""

from functools import cache, partial
from typing import Any

import numpy as np

import hierreg as hr
from models.catalogue import Expectation, sample
from models.two_lines.model import (
    COEFS,
    CORR,
    DIFFERENCE,
    DIFFERENCE_OF_GROUPS,
    ERROR_SD,
    TRUTH,
    S,
    alone,
    build,
    data,
    gls,
    lonely,
    predicted_by_hand,
    residual_covariance,
    separate,
    stacked,
)

DENSE = "(X'V^-1 X)^-1 X'V^-1 y of the stacked, block-diagonal system with V (N, N) written out"
GENERATOR = "data() in model.py: numpy default_rng(20240301), errors correlated 0.9"
CASES = ("paired", "broken")


@cache
def known(case: str) -> Any:
    """Return generalised least squares at the error covariance that made the data."""
    return separate(case).solve(error_cov=S)


@cache
def feasible(case: str) -> Any:
    """Return generalised least squares at the covariance of least-squares residuals (one-step SUR)."""
    return separate(case).solve(error_cov=residual_covariance(case))


@cache
def likelihood(case: str, method: str = "ml") -> Any:
    """Return the ML or REML estimate of the lines without a hierarchy."""
    return separate(case).estimate(method)  # type: ignore[arg-type]


@cache
def posterior(case: str) -> Any:
    """Return draws of the hierarchical model under the default priors."""
    return sample(build(data(case)))


def difference(case: str) -> Any:
    """Return the draws of theta_alpha - theta_beta (chain, draw, 2)."""
    theta = posterior(case)["posterior"]["theta_dataset"]
    return theta.sel(dataset="alpha").values - theta.sel(dataset="beta").values


def least_squares(name: str, case: str) -> tuple[float, ...]:
    """Return coefficients and standard errors of one line alone, from the normal equations."""
    table = data(case)
    table = table[table["dataset"] == name]
    X = np.column_stack([np.ones(len(table)), table["x"]])
    theta, cov = gls(table["y"].to_numpy(), X, np.eye(len(table)))
    rss = float(np.sum((table["y"].to_numpy() - X @ theta) ** 2))
    return *theta, *np.sqrt(np.diag(cov) * rss / (len(table) - 2))


def found_alone(name: str, case: str) -> tuple[float, ...]:
    """Return the same from hierreg."""
    e = alone(case, name).estimate("reml")
    return *e.beta.values, *e.beta_se.values


def ml_residual_covariance() -> np.ndarray:
    """Return the mean cross-product of residuals at the ML coefficients, which equals the ML error covariance."""
    y, X, _ = stacked("paired")
    residual = (y - X @ likelihood("paired").beta.sel(coef=COEFS).values).reshape(2, -1)
    return residual @ residual.T / residual.shape[1]


def minus_two_log_likelihood(case: str) -> float:
    """Return the criterion at the ML estimate from the dense density of all rows."""
    y, X, V = stacked(case)
    e = likelihood(case)
    scale = e.error_cov.values / S
    which = X[:, 2] > 0
    V = V * scale[np.ix_(which.astype(int), which.astype(int))]
    r = y - X @ e.beta.sel(coef=COEFS).values
    return float(len(y) * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r))


def of_case(case: str) -> list[Expectation]:
    """Return the expectations of a case."""
    y, X, V = stacked(case)
    theta, cov = gls(y, X, V)
    D = np.array([[1, 0, -1, 0], [0, 1, 0, -1]])
    exact = partial(Expectation, kind="closed form", source=DENSE, relative=1e-9)
    out = [
        exact(name=f"{case}: GLS, known covariance", value=theta, found=lambda: known(case).beta.sel(coef=COEFS)),
        exact(
            name=f"{case}: its covariance",
            value=cov,
            found=lambda: known(case).beta_cov.sel(coef=COEFS, coef_col=COEFS),
            absolute=1e-12,
        ),
        exact(
            name=f"{case}: se of the differences",
            value=np.sqrt(np.diag(D @ cov @ D.T)),
            found=lambda: hr.contrasts(known(case), DIFFERENCE)["sd"],
        ),
        exact(
            name=f"{case}: -2 log likelihood at ML",
            source="density of all rows with V (N, N) written out, at the estimate",
            value=minus_two_log_likelihood(case),
            found=lambda: likelihood(case).criterion,
        ),
    ]
    out += [
        exact(
            name=f"{case}: least squares on {name} alone",
            source="normal equations; residual variance over n - 2",
            value=least_squares(name, case),
            found=partial(found_alone, name, case),
        )
        for name in TRUTH
    ]
    return [*out, *of_truth(case, np.sqrt(np.diag(cov)))]


def of_truth(case: str, se: np.ndarray) -> list[Expectation]:
    """Return the expectations about the values that made the data."""
    truth = partial(Expectation, kind="truth", source=GENERATOR)
    alpha, beta = TRUTH.values()
    return [
        truth(
            name=f"{case}: {what} of {coef}, ses from the truth",
            value=0.0,
            found=lambda fit=fit, i=i: (float(fit(case).beta.sel(coef=COEFS[i])) - [*alpha, *beta][i]) / se[i],
            absolute=3.0,
        )
        for what, fit in (("GLS", known), ("FGLS", feasible), ("ML", likelihood))
        for i, coef in enumerate(COEFS)
    ] + [
        truth(name=f"{case}: posterior of differences", value=alpha - beta, found=partial(difference, case), sds=3),
        truth(
            name=f"{case}: posterior of the error correlation",
            value=CORR,
            found=lambda: posterior(case)["posterior"]["error_corr"][..., 0],
            sds=3,
        ),
        truth(
            name=f"{case}: posterior of error sds",
            value=ERROR_SD,
            found=lambda: posterior(case)["posterior"]["error_sd"],
            sds=3,
        ),
    ]


def expectations() -> list[Expectation]:
    """Return all expectations."""
    identity = Expectation(
        name="paired: ML error covariance is that of its residuals",
        kind="closed form",
        source="Zellner (1962), iterated: the ML covariance of complete pairs is the mean cross-product of residuals",
        value=ml_residual_covariance(),
        found=lambda: likelihood("paired").error_cov,
        relative=1e-6,
    )
    same = Expectation(
        name="paired: contrasts of draws are differences of draws",
        kind="closed form",
        source="phi = theta_alpha - theta_beta, draw by draw",
        value=difference("paired").mean(axis=(0, 1)),
        found=lambda: hr.contrasts(posterior("paired"), DIFFERENCE_OF_GROUPS)["mean"],
        relative=1e-9,
    )
    return [*of_case("paired"), *of_case("broken"), identity, same, *of_prediction()]


def of_prediction() -> list[Expectation]:
    """Return the expectations about alpha in the units where only beta was observed."""
    mean, variance = predicted_by_hand()
    source = "Goldberger (1962): x*'theta + psi'V^-1 (y - X theta), with V (N, N) written out"
    exact = partial(Expectation, kind="closed form", source=source, relative=1e-8)
    return [
        exact(name="broken: prediction of alpha where beta is known", value=mean, found=lambda: predicted()["mean"]),
        exact(
            name="broken: variance of its error",
            value=variance,
            found=lambda: predicted()["sd_new"] ** 2,
        ),
        Expectation(
            name="broken: the values that were held back, root mean square in prediction sds",
            kind="truth",
            source=GENERATOR,
            value=1.0,
            found=lambda: np.sqrt(np.mean((lonely()["y"] - predicted()["mean"].values) ** 2 / variance)),
            absolute=0.45,
        ),
    ]


@cache
def predicted() -> Any:
    """Return the predictions of alpha where only beta was observed, at the known covariance."""
    return hr.predict(separate("broken"), lonely().drop(columns="y"), known("broken"))
