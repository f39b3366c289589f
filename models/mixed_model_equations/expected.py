"""Answers of the equations: both textbook forms written out, the alternation, and the limits."""

from functools import cache, partial
from typing import Any

import numpy as np

import hierreg as hr
from models.catalogue import Expectation, sample
from models.mixed_model_equations.model import (
    ERROR_SD,
    SIGMA,
    alternate,
    build,
    by_gls,
    by_henderson,
    one_way,
    posterior_variances,
)

GLS = "V = Z Sigma Z' + sigma^2 I inverted: beta = (X'V^-1 X)^-1 X'V^-1 y, b = Sigma Z'V^-1 (y - X beta)"
HENDERSON = "Henderson (1975): the mixed-model equations written out as one dense system"
CORR = float(SIGMA[0, 1] / np.sqrt(SIGMA[0, 0] * SIGMA[1, 1]))
FIXED = hr.Priors(
    beta=hr.Flat(),
    sd={"g": {"Intercept": hr.Fixed(np.sqrt(SIGMA[0, 0])), "x": hr.Fixed(np.sqrt(SIGMA[1, 1]))}},
    corr={"g": hr.Fixed([[1.0, CORR], [CORR, 1.0]])},
    error_sd=hr.Fixed(ERROR_SD),
)
KAPPAS = (1.0, 1e-2, 1e-4, 1e-6, 1e-8)
SIZES = (3, 10, 30, 100, 300)


@cache
def solved(kappa: float = 0.0) -> Any:
    """Return the solution at the covariances that made the data."""
    return build().solve(cov={"g": SIGMA}, error_cov=ERROR_SD**2, beta_precision=kappa)


@cache
def ml() -> Any:
    """Return the ML estimate by direct optimisation."""
    return build().estimate("ml")


@cache
def conjugate() -> Any:
    """Return draws with every variance parameter fixed."""
    return sample(build(priors=FIXED))["posterior"]


@cache
def posterior(J: int) -> Any:
    """Return draws of the balanced layout with J groups."""
    # With three groups the density is curved where the standard deviation is near zero: smaller steps.
    return sample(one_way(J), target_accept=0.99 if J < 30 else 0.9)


def sd_ratio(J: int) -> float:
    """Return posterior over plug-in standard deviation of the group effects, averaged over groups, by quadrature."""
    reml = one_way(J).estimate("reml")
    return float(np.mean(np.sqrt(posterior_variances(J)) / np.sqrt(reml.b_cov["g"].values[:, 0, 0])))


def of_equations() -> list[Expectation]:
    """Return the expectations at known covariances."""
    beta, b = by_gls()
    _, _, inverse = by_henderson()
    blocks = np.array([inverse[i : i + 2, i : i + 2] for i in range(2, len(inverse), 2)])
    exact = partial(Expectation, kind="closed form", relative=1e-9, absolute=1e-11)
    return [
        exact(name="BLUE", source=GLS, value=beta, found=lambda: solved().beta),
        exact(name="BLUP", source=GLS, value=b, found=lambda: solved().b["g"]),
        exact(name="BLUE, second way", source=HENDERSON, value=by_henderson()[0], found=lambda: solved().beta),
        exact(name="BLUP, second way", source=HENDERSON, value=by_henderson()[1], found=lambda: solved().b["g"]),
        exact(name="covariance of BLUE", source=HENDERSON, value=inverse[:2, :2], found=lambda: solved().beta_cov),
        exact(name="prediction-error covariances", source=HENDERSON, value=blocks, found=lambda: solved().b_cov["g"]),
    ] + [
        exact(
            name=f"kappa = {kappa:g}: {what}",
            source=f"{HENDERSON}, kappa added to the block of beta",
            value=by_henderson(kappa)[i],
            found=lambda kappa=kappa, i=i: (solved(kappa).beta, solved(kappa).b["g"])[i],
        )
        for kappa in KAPPAS
        for i, what in enumerate(("beta", "b"))
    ]


def of_limits() -> list[Expectation]:
    """Return the expectations about alternation, the conjugate limit, and the plug-in."""
    conjugate_cov = by_henderson()[2]
    return [
        Expectation(
            name="kappa to zero: gap to BLUE falls in proportion",
            kind="closed form",
            source="beta(kappa) - BLUE = -kappa (X'V^-1 X + kappa I)^-1 BLUE: 100 times in kappa, 100 times in the gap",
            value=100.0,
            found=lambda: (
                np.linalg.norm(solved(1e-2).beta - solved().beta) / np.linalg.norm(solved(1e-4).beta - solved().beta)
            ),
            relative=1e-2,
        ),
        Expectation(
            name="alternation converges to the direct optimum",
            kind="closed form",
            source="block coordinate ascent of one likelihood has its stationary points",
            value=alternate(12)[-1],
            found=lambda: ml().beta,
            relative=1e-6,
        ),
        Expectation(
            name="variances fixed: posterior mean of beta is BLUE",
            kind="closed form",
            source=GLS,
            value=by_gls()[0],
            found=lambda: conjugate()["beta"],
            mc_errors=4,
        ),
        Expectation(
            name="variances fixed: posterior mean of b is BLUP",
            kind="closed form",
            source=GLS,
            value=by_gls()[1],
            found=lambda: conjugate()["b_g"],
            mc_errors=4,
        ),
        Expectation(
            name="variances fixed: posterior variance of b",
            kind="closed form",
            source=HENDERSON,
            value=np.diag(conjugate_cov)[2:].reshape(-1, 2),
            found=lambda: (conjugate()["b_g"].values - by_gls()[1]) ** 2,
            mc_errors=4,
        ),
    ]


def of_sizes() -> list[Expectation]:
    """Return the expectations on how the posterior departs from the plug-in with J groups."""
    out = [
        Expectation(
            name=f"J = {J}: posterior variance of group effects",
            kind="closed form",
            source="1000 x 1000 Gauss-Legendre quadrature over both standard deviations",
            value=posterior_variances(J).mean(),
            found=partial(squared_effects, J),
            mc_errors=4,
        )
        for J in SIZES
    ]
    ratios = np.array([sd_ratio(J) for J in SIZES])
    return [
        *out,
        Expectation(
            name="posterior sd over plug-in sd",
            kind="closed form",
            source="the same quadrature, over the prediction error at the REML estimate",
            value=ratios[1:],
            found=lambda: [plug_in_ratio(J) for J in SIZES[1:]],
            relative=0.05,
        ),
    ]


def squared_effects(J: int) -> np.ndarray:
    """Return squared deviations of the draws of b from their means (chain, draw), averaged over groups."""
    b = posterior(J)["posterior"]["b_g"].values[..., 0]
    return ((b - b.mean(axis=(0, 1))) ** 2).mean(axis=2)


def plug_in_ratio(J: int) -> float:
    """Return posterior over plug-in standard deviation of the group effects, averaged over groups, from draws."""
    b = posterior(J)["posterior"]["b_g"].values[..., 0]
    plug_in = posterior(J)["mixed_model_limit"]["b_cov_g"].values[:, 0, 0]
    return float(np.mean(b.std(axis=(0, 1)) / np.sqrt(plug_in)))


def expectations() -> list[Expectation]:
    """Return all expectations."""
    return [*of_equations(), *of_limits(), *of_sizes()]
