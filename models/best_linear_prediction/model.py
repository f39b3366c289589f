"""Best linear prediction of new observations that are correlated with old ones; Gaussian processes as a case of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import hierreg as hr

LENGTH, HEIGHT, NOISE = 1.5, 1.2, 0.3
NEW = np.linspace(-1.0, 11.0, 25)


def kernel(s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return the squared-exponential covariance of a smooth function at s and t."""
    return HEIGHT**2 * np.exp(-0.5 * ((s[:, None] - t) / LENGTH) ** 2)


def data() -> Any:
    """Return 30 noisy values of a line plus a smooth function; seeded."""
    rng = np.random.default_rng(1951)
    x = np.sort(rng.uniform(0, 10, 30))
    smooth = np.linalg.cholesky(kernel(x, x) + 1e-9 * np.eye(30)) @ rng.normal(size=30)
    return pd.DataFrame({"x": x, "y": 1.0 + 0.5 * x + smooth + rng.normal(0, NOISE, 30)})


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return ``y ~ x`` with the covariance of smooth function and noise known."""
    table = globals()["data"]() if data is None else data
    x = table["x"].to_numpy()
    V = kernel(x, x) + NOISE**2 * np.eye(len(x))
    return hr.Model("y ~ x", table, errors=hr.known_cov(V), priors=priors)


def predictions(model: hr.Model, at: Any) -> Any:
    """Return the function, without noise, at `NEW`."""
    x = data()["x"].to_numpy()
    return hr.predict(model, pd.DataFrame({"x": NEW}), at, cross_cov=kernel(NEW, x), new_cov=kernel(NEW, NEW))


def goldberger() -> tuple[np.ndarray, np.ndarray]:
    """Return x*'beta + psi'V^-1 (y - X beta) and its prediction variance, one new point at a time.

    References
    ----------
    Goldberger (1962), Journal of the American Statistical Association 57, 369-375.
    """
    table = data()
    x, y = table["x"].to_numpy(), table["y"].to_numpy()
    X, V = np.column_stack([np.ones(len(x)), x]), kernel(x, x) + NOISE**2 * np.eye(len(x))
    cov = np.linalg.inv(X.T @ np.linalg.solve(V, X))
    beta = cov @ X.T @ np.linalg.solve(V, y)
    mean, variance = [], []
    for new in NEW:
        row, psi = np.array([1.0, new]), kernel(np.array([new]), x)[0]
        weights = np.linalg.solve(V, psi)
        u = row - X.T @ weights
        mean.append(row @ beta + weights @ (y - X @ beta))
        variance.append(HEIGHT**2 - psi @ weights + u @ cov @ u)
    return np.array(mean), np.array(variance)


def gaussian_process(prior_sd: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of the Gaussian process k(s, t) + prior_sd^2 (1 + s t), its line part of its kernel.

    Nothing is estimated here: the line is one more smooth function. As its prior widens this is the same prediction.
    """
    table = data()
    x, y = table["x"].to_numpy(), table["y"].to_numpy()

    def k(s: np.ndarray, t: np.ndarray) -> np.ndarray:
        return kernel(s, t) + prior_sd**2 * (1 + s[:, None] * t)

    L = np.linalg.cholesky(k(x, x) + NOISE**2 * np.eye(len(x)))
    A = np.linalg.solve(L, k(x, NEW))
    return A.T @ np.linalg.solve(L, y), np.diag(k(NEW, NEW)) - np.sum(A**2, axis=0)
