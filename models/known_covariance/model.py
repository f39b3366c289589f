"""Two curves from one Monte-Carlo run, with the covariance of all their points from bootstrap samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import hierreg as hr

X_ALPHA = np.linspace(0.5, 7.0, 14)
X_BETA = np.linspace(1.0, 6.0, 11)
TRUTH = np.array([1.0, 0.30, 1.1, 0.26])
CONFIGURATIONS = 400
COEFS = ["dataset[alpha]", "dataset[alpha]:x", "dataset[beta]", "dataset[beta]:x"]
PROJECTIONS = {
    "alpha at x = 10": {"dataset[alpha]": 1, "dataset[alpha]:x": 10},
    "beta at x = 10": {"dataset[beta]": 1, "dataset[beta]:x": 10},
    "alpha - beta at x = 0": {"dataset[alpha]": 1, "dataset[beta]": -1},
    "alpha - beta, slope": {"dataset[alpha]:x": 1, "dataset[beta]:x": -1},
}


def configurations() -> np.ndarray:
    """Return every point of both curves on every configuration (400, 25).

    One disturbance of a configuration moves all its points, a second one tilts them; what is left is independent.
    """
    rng = np.random.default_rng(314)
    x = np.concatenate([X_ALPHA, X_BETA])
    is_beta = np.arange(len(x)) >= len(X_ALPHA)
    line = np.where(is_beta, TRUTH[2] + TRUTH[3] * x, TRUTH[0] + TRUTH[1] * x)
    shift, tilt = rng.normal(0, 1.0, (CONFIGURATIONS, 1)), rng.normal(0, 0.25, (CONFIGURATIONS, 1))
    return line + shift + tilt * (x - 4) + rng.normal(0, 0.4, (CONFIGURATIONS, len(x)))


def bootstrap(draws: int = 2000) -> np.ndarray:
    """Return means over configurations drawn with replacement (draws, 25)."""
    rng = np.random.default_rng(2718)
    weights = rng.multinomial(CONFIGURATIONS, np.full(CONFIGURATIONS, 1 / CONFIGURATIONS), size=draws)
    return weights @ configurations() / CONFIGURATIONS


def covariance() -> np.ndarray:
    """Return the covariance (25, 25) of all points, both diagonal blocks and what is between them."""
    return hr.covariance_from_samples(bootstrap(), kind="bootstrap", n_independent=CONFIGURATIONS)


def data() -> Any:
    """Return the mean of every point: 14 of alpha, then 11 of beta."""
    return pd.DataFrame(
        {
            "dataset": ["alpha"] * len(X_ALPHA) + ["beta"] * len(X_BETA),
            "x": np.concatenate([X_ALPHA, X_BETA]),
            "y": configurations().mean(axis=0),
        }
    )


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return both lines, with the full covariance of the 25 points."""
    table = globals()["data"]() if data is None else data
    return hr.Model("y ~ 0 + dataset + dataset:x", table, errors=hr.known_cov(covariance()), priors=priors)


def without_cross_blocks() -> hr.Model:
    """Return the same with the covariance between the data sets left out."""
    is_beta = (data()["dataset"] == "beta").to_numpy()
    V = covariance() * (is_beta[:, None] == is_beta)
    return hr.Model("y ~ 0 + dataset + dataset:x", data(), errors=hr.known_cov(V))


def by_hand() -> dict[str, Any]:
    """Return estimates, their covariance, chi-square and degrees of freedom from the matrices."""
    table, n, B, N = data(), CONFIGURATIONS, 2000, len(X_ALPHA) + len(X_BETA)
    # Resampling n configurations gives (n - 1) / n of the covariance of a mean; few samples a too large inverse, twice.
    factor = n / (n - 1) * (n - 1) / (n - N - 2) * (B - 1) / (B - N - 2)
    V = np.cov(bootstrap(B), rowvar=False) * factor
    d = (table["dataset"] == "beta").to_numpy()[:, None]
    own = np.column_stack([np.ones(len(table)), table["x"]])
    X, y = np.hstack([own * ~d, own * d]), table["y"].to_numpy()
    cov = np.linalg.inv(X.T @ np.linalg.solve(V, X))
    theta = cov @ X.T @ np.linalg.solve(V, y)
    r = y - X @ theta
    return {"theta": theta, "cov": cov, "chi_square": float(r @ np.linalg.solve(V, r)), "df": len(y) - 4}
