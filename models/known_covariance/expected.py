"""Answers of the two curves: the matrices written out, and the truth."""

from functools import cache, partial
from typing import Any

import numpy as np

import hierreg as hr
from models.catalogue import Expectation, sample
from models.known_covariance.model import (
    COEFS,
    PROJECTIONS,
    TRUTH,
    build,
    by_hand,
    covariance,
    without_cross_blocks,
)

GLS = "theta = (X'V^-1 X)^-1 X'V^-1 y, covariance (X'V^-1 X)^-1, with X (25, 4) and V (25, 25) written out"
B = np.array([[functions.get(coef, 0.0) for coef in COEFS] for functions in PROJECTIONS.values()])


@cache
def estimate() -> Any:
    """Return generalised least squares."""
    return build().estimate("ml")


@cache
def posterior() -> Any:
    """Return draws under a flat prior, which are those of the normal distribution of generalised least squares."""
    return sample(build(priors=hr.Priors(beta=hr.Flat())))


def expectations() -> list[Expectation]:
    """Return all expectations."""
    hand = by_hand()
    exact = partial(Expectation, kind="closed form", source=GLS, relative=1e-8)
    out = [
        exact(name="coefficients", value=hand["theta"], found=lambda: estimate().beta.sel(coef=COEFS)),
        exact(
            name="their joint covariance",
            value=hand["cov"],
            found=lambda: estimate().beta_cov.sel(coef=COEFS, coef_col=COEFS),
            absolute=1e-12,
        ),
        exact(
            name="projections",
            value=B @ hand["theta"],
            found=lambda: hr.contrasts(estimate(), PROJECTIONS)["mean"],
        ),
        exact(
            name="covariance of the projections",
            value=B @ hand["cov"] @ B.T,
            found=lambda: hr.contrasts(estimate(), PROJECTIONS)["cov"],
            absolute=1e-12,
        ),
        exact(
            name="chi-square",
            source="(y - X theta)' V^-1 (y - X theta)",
            value=hand["chi_square"],
            found=lambda: estimate().chi_square,
        ),
        exact(
            name="chi-square from the criterion of ML",
            source="-2 log likelihood = n log 2 pi + log |V| + chi-square",
            value=hand["chi_square"],
            found=lambda: estimate().criterion - 25 * np.log(2 * np.pi) - float(np.linalg.slogdet(covariance())[1]),
        ),
        exact(
            name="posterior mean under a flat prior",
            value=hand["theta"],
            found=lambda: posterior()["posterior"]["beta"].sel(coef=COEFS),
            relative=0.0,
            mc_errors=4,
        ),
    ]
    truth = partial(Expectation, kind="truth", source="configurations() in model.py: numpy default_rng(314)")
    return [
        *out,
        truth(
            name="coefficients, in standard errors from the truth",
            value=np.zeros(4),
            found=lambda: (estimate().beta.sel(coef=COEFS).values - TRUTH) / np.sqrt(np.diag(hand["cov"])),
            absolute=3.0,
        ),
        truth(
            name="goodness of fit: p value neither 0 nor 1",
            value=0.5,
            found=lambda: estimate().p_value,
            absolute=0.499,
        ),
        exact(
            name="cross blocks left out: se of the difference of slopes is too large by",
            source="the same formulas with the off-diagonal blocks of V set to zero",
            value=standard_error_ratio_by_hand(),
            found=lambda: slope_se(without_cross_blocks().estimate("ml")) / slope_se(estimate()),
        ),
    ]


def slope_se(result: Any) -> float:
    """Return the standard error of the difference of slopes."""
    return float(hr.contrasts(result, PROJECTIONS)["sd"].sel(contrast="alpha - beta, slope"))


def standard_error_ratio_by_hand() -> float:
    """Return the standard error without cross blocks over the one with them."""
    V, hand = covariance(), by_hand()
    n = 14
    D = B[3]
    parts = []
    for rows, which in ((slice(0, n), slice(0, 2)), (slice(n, None), slice(2, 4))):
        x = np.concatenate([np.linspace(0.5, 7.0, 14), np.linspace(1.0, 6.0, 11)])[rows]
        X = np.column_stack([np.ones(len(x)), x])
        cov = np.linalg.inv(X.T @ np.linalg.solve(V[rows, rows], X))
        parts.append(D[which] @ cov @ D[which])
    return float(np.sqrt(sum(parts) / (D @ hand["cov"] @ D)))
