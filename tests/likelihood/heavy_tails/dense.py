"""Naive densities: every group's rows as one dense multivariate distribution, scales integrated numerically."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.integrate import quad
from scipy.stats import gamma

import hierreg as hr
from hierreg.likelihood.heavy_tails.draws import EffectsParameters, effects_parameters
from hierreg.likelihood.heavy_tails.target import EffectsTarget
from hierreg.problem.effects import EffectsProblem


def table(seed: int = 0, sizes: tuple[int, ...] = (1, 2, 3, 5, 4, 7)) -> pd.DataFrame:
    """Rows of groups of different sizes, one of them far out."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(len(sizes)), sizes)
    n = len(g)
    x, w = rng.normal(size=n) + 3.0, rng.normal(size=n)
    b = rng.normal(size=(len(sizes), 2)) * [1.0, 0.5]
    b[3] += [14.0, 2.0]
    y = 2.0 + 0.7 * x - 0.4 * w + b[g, 0] + b[g, 1] * x + rng.normal(size=n)
    return pd.DataFrame(
        {
            "y": y,
            "x": x,
            "w": w,
            "g": [f"g{i}" for i in g],
            "se": rng.uniform(0.5, 1.5, n),
            "s": rng.choice(["a", "b"], n),
        }
    )


def model(effects: object, *, errors: object = None, formula: str = "y ~ x + w + (x | g)", **more: object) -> hr.Model:
    """A small model of that table."""
    return hr.Model(formula, table(), errors=errors, effects={"g": effects}, **more)


def target_of(m: hr.Model, *, with_prior: bool) -> EffectsTarget:
    """The target of a model, in an arbitrary frame of beta."""
    problem = m.problem
    assert isinstance(problem, EffectsProblem)
    p = int((~problem.fixed.is_fixed).sum())
    rng = np.random.default_rng(5)
    return problem.target(rng.normal(size=p), np.tril(rng.normal(size=(p, p))) + 2 * np.eye(p), with_prior=with_prior)


def point(target: EffectsTarget, seed: int) -> np.ndarray:
    """A point where nothing is symmetric."""
    return 0.4 * np.random.default_rng(seed).normal(size=target.n)


def log_likelihood(m: hr.Model, drawn: EffectsParameters) -> float:
    """The log likelihood of all rows at the first draw of the parameters."""
    problem = m.problem
    design, layout = problem.design, problem.layout
    factor = design.factors[0]
    sd = drawn.within.error_sd[0][
        layout.stratum if drawn.within.error_sd.shape[1] > 1 else np.zeros(len(design.y), int)
    ]
    sd = sd if layout.se is None else sd * layout.se
    residual = design.y - design.X @ drawn.beta[0]
    total = 0.0
    for j in range(len(factor.levels)):
        rows = factor.index == j
        Z, r, R = factor.Z[rows], residual[rows], np.diag(sd[rows] ** 2)
        total += np.log(_of_group(Z, r, R, drawn))
    return float(total)


def _of_group(Z: np.ndarray, r: np.ndarray, R: np.ndarray, drawn: EffectsParameters) -> float:
    if drawn.nu is None:
        cov = np.broadcast_to(drawn.component_cov[0], (*drawn.mean[0].shape, Z.shape[1]))
        parts = zip(drawn.weight[0], drawn.mean[0], cov, strict=True)
        return sum(w * _pdf(r - Z @ m, R + Z @ S @ Z.T) for w, m, S in parts)
    Sigma, nu = drawn.within.Lambda[0] @ drawn.within.Lambda[0].T, drawn.nu[0]
    prior = gamma(nu / 2, scale=2 / nu)

    def integrand(x: float) -> float:
        precision = np.exp(x)
        return _pdf(r, R + Z @ Sigma @ Z.T / precision) * prior.pdf(precision) * precision

    parts = [
        quad(integrand, a, b, epsabs=0.0, epsrel=1e-9, limit=400)[0] for a, b in ((-24, -6), (-6, -1), (-1, 1), (1, 6))
    ]
    return sum(parts)


def _pdf(r: np.ndarray, V: np.ndarray) -> float:
    return float(np.exp(-0.5 * (np.linalg.slogdet(2 * np.pi * V)[1] + r @ np.linalg.solve(V, r))))


def at(target: EffectsTarget, psi: np.ndarray) -> EffectsParameters:
    """The parameters of columns as they stand, at one point."""
    return effects_parameters(target, psi[None])
