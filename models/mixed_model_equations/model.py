"""The same numbers from generalised least squares, from Henderson's equations, by alternation and as a limit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import hierreg as hr

SIGMA = np.array([[1.0, 0.24], [0.24, 0.36]])
ERROR_SD = 1.5
BETA = np.array([2.0, 0.7])


def data(J: int = 25) -> Any:
    """Return J groups of four to nine rows; seeded."""
    rng = np.random.default_rng(1975)
    sizes = rng.integers(4, 10, J)
    g = np.repeat(np.arange(J), sizes)
    theta = BETA + rng.normal(size=(J, 2)) @ np.linalg.cholesky(SIGMA).T
    x = rng.normal(1.0, 1.0, len(g))
    return pd.DataFrame({"g": g, "x": x, "y": theta[g, 0] + theta[g, 1] * x + rng.normal(0, ERROR_SD, len(g))})


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return ``y ~ x + (x | g)``."""
    return hr.Model("y ~ x + (x | g)", globals()["data"]() if data is None else data, priors=priors)


def matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return y (n,), X (n, 2) and Z (n, 2 J), group by group."""
    table = data()
    X = np.column_stack([np.ones(len(table)), table["x"]])
    is_in = table["g"].to_numpy()[:, None] == np.unique(table["g"])
    return table["y"].to_numpy(), X, (is_in[:, :, None] * X[:, None, :]).reshape(len(table), -1)


def by_gls() -> tuple[np.ndarray, np.ndarray]:
    """Return beta from V = Z (I x Sigma) Z' + sigma^2 I, and b = (I x Sigma) Z'V^-1 (y - X beta)."""
    y, X, Z = matrices()
    G = np.kron(np.eye(Z.shape[1] // 2), SIGMA)
    V = Z @ G @ Z.T + ERROR_SD**2 * np.eye(len(y))
    beta = np.linalg.solve(X.T @ np.linalg.solve(V, X), X.T @ np.linalg.solve(V, y))
    return beta, (G @ Z.T @ np.linalg.solve(V, y - X @ beta)).reshape(-1, 2)


def by_henderson(kappa: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return beta, b and the inverse of the mixed-model equations, beta ~ N(0, I / kappa).

    The lower right block is Z'Z / sigma^2 + Sigma^-1: the error variance divides Z'Z too. Kappa stands with beta only.

    References
    ----------
    Henderson (1975), Biometrics 31, 423-447.
    """
    y, X, Z = matrices()
    W = np.hstack([X, Z])
    C = W.T @ W / ERROR_SD**2
    C[:2, :2] += kappa * np.eye(2)
    C[2:, 2:] += np.kron(np.eye(Z.shape[1] // 2), np.linalg.inv(SIGMA))
    solution, inverse = np.linalg.solve(C, W.T @ y / ERROR_SD**2), np.linalg.inv(C)
    return solution[:2], solution[2:].reshape(-1, 2), inverse


def alternate(steps: int) -> list[np.ndarray]:
    """Return beta after each step of maximising over the variances at beta, then over beta at the variances.

    With beta held, y - X beta has no population part: its formula begins with 0.
    """
    table, model, path = data(), build(), []
    beta = np.zeros(2)
    for _ in range(steps):
        rest = table.assign(y=table["y"] - beta[0] - beta[1] * table["x"])
        at = hr.Model("y ~ 0 + (x | g)", rest).estimate("ml")
        beta = model.solve(cov={"g": at.cov["g"]}, error_cov=float(at.error_sd) ** 2).beta.values
        path.append(beta)
    return path


def balanced(J: int, r: int = 4) -> Any:
    """Return J groups of r rows whose means have exactly the variance that sd = error_sd = 1 lets expect."""
    within = np.resize([-1.0, 1.0], r) * np.sqrt((r - 1) / r)
    means = np.linspace(-1, 1, J)
    means *= np.sqrt((1 + 1 / r) / means.var(ddof=1))
    return pd.DataFrame({"g": np.repeat(np.arange(J), r), "y": (means[:, None] + within).ravel()})


PRIORS = hr.Priors(beta=hr.Flat(), sd={"g": hr.HalfNormal(3)}, error_sd=hr.HalfNormal(3))


def one_way(J: int) -> hr.Model:
    """Return the random-intercept model of `balanced`."""
    return hr.Model("y ~ 1 + (1 | g)", balanced(J), priors=PRIORS)


def posterior_variances(J: int, r: int = 4) -> np.ndarray:
    """Return the posterior variances (J,) of the group effects of `one_way`, by quadrature over both sds."""
    y = balanced(J, r)["y"].to_numpy().reshape(J, r)
    means = y.mean(axis=1) - y.mean()
    SSE, SST = np.sum((y - y.mean(axis=1, keepdims=True)) ** 2), r * np.sum(means**2)
    nodes, w = np.polynomial.legendre.leggauss(1000)
    a, s = 6.0 * (nodes[:, None] + 1), 2.0 * (nodes + 1)
    total = s**2 + r * a**2
    log_p = -0.5 * (J * (r - 1) * np.log(s**2) + SSE / s**2 + (J - 1) * np.log(total) + SST / total)
    log_p -= (a**2 + s**2) / 18
    p = np.exp(log_p - log_p.max()) * w[:, None] * w
    p /= p.sum()
    share = r * a**2 / total
    given = a**2 * (1 - share) + share**2 * total / (r * J)
    mean, square = np.sum(p * share), np.sum(p * share**2)
    return np.sum(p * given) + (square - mean**2) * means**2
