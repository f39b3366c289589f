"""Two lines measured on the same units, with errors correlated 0.9."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import hierreg as hr

UNITS = 150
TRUTH = {"alpha": np.array([1.0, 0.50]), "beta": np.array([1.2, 0.45])}
ERROR_SD = np.array([1.0, 1.3])
CORR = 0.9
S = ERROR_SD[:, None] * np.array([[1.0, CORR], [CORR, 1.0]]) * ERROR_SD
SEPARATE = "y ~ 0 + dataset + dataset:x"
COEFS = ["dataset[alpha]", "dataset[alpha]:x", "dataset[beta]", "dataset[beta]:x"]
DIFFERENCE = {
    "intercept": {"dataset[alpha]": 1, "dataset[beta]": -1},
    "slope": {"dataset[alpha]:x": 1, "dataset[beta]:x": -1},
}
DIFFERENCE_OF_GROUPS = {
    "intercept": {("alpha", "Intercept"): 1, ("beta", "Intercept"): -1},
    "slope": {("alpha", "x"): 1, ("beta", "x"): -1},
}


def data(case: str = "paired") -> Any:
    """Return 150 units with both data sets, or (``broken``) a third of them with one: alpha and beta in turn."""
    rng = np.random.default_rng(20240301)
    x = rng.uniform(0, 10, (UNITS, 1)) + rng.normal(0, 1, (UNITS, 2))
    error = rng.normal(size=(UNITS, 2)) @ np.linalg.cholesky(S).T
    lines = np.column_stack([a + b * x[:, d] for d, (a, b) in enumerate(TRUTH.values())])
    tables = {
        name: pd.DataFrame({"unit": np.arange(UNITS), "x": x[:, d], "y": lines[:, d] + error[:, d]})
        for d, name in enumerate(TRUTH)
    }
    if case == "broken":
        tables = {name: t[(t["unit"] % 3 > 0) | (t["unit"] % 2 == d)] for d, (name, t) in enumerate(tables.items())}
    return hr.stack(tables, unit="unit")


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return the hierarchical model: theta_d ~ N(beta, Sigma), and errors of a unit correlated."""
    table = globals()["data"]() if data is None else data
    return hr.Model("y ~ x + (x | dataset)", table, errors=hr.correlated("dataset", unit="unit"), priors=priors)


def separate(case: str) -> hr.Model:
    """Return the model without a hierarchy: the lines share nothing but their errors."""
    return hr.Model(SEPARATE, data(case), errors=hr.correlated("dataset", unit="unit"))


def alone(case: str, name: str) -> hr.Model:
    """Return one line by itself."""
    table = data(case)
    return hr.Model("y ~ x", table[table["dataset"] == name])


def stacked(case: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return y (N,), the block-diagonal X (N, 4) and V (N, N) of both data sets."""
    table = data(case)
    d, unit = (table["dataset"] == "beta").to_numpy().astype(int), table["unit"].to_numpy()
    own = np.column_stack([np.ones(len(table)), table["x"]])
    X = np.hstack([own * (d == 0)[:, None], own * (d == 1)[:, None]])
    return table["y"].to_numpy(), X, S[np.ix_(d, d)] * (unit[:, None] == unit)


def gls(y: np.ndarray, X: np.ndarray, V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (X'V^-1 X)^-1 X'V^-1 y and (X'V^-1 X)^-1."""
    cov = np.linalg.inv(X.T @ np.linalg.solve(V, X))
    return cov @ X.T @ np.linalg.solve(V, y), cov


def lonely(case: str = "broken") -> Any:
    """Return new rows of alpha for the units where only beta was observed."""
    table = data(case)
    alpha, beta = (set(table.loc[table["dataset"] == name, "unit"]) for name in TRUTH)
    full = data("paired")
    return full[(full["dataset"] == "alpha") & full["unit"].isin(beta - alpha)].reset_index(drop=True)


def predicted_by_hand() -> tuple[np.ndarray, np.ndarray]:
    """Return the best linear prediction of alpha where only beta was observed, and the variance of its error."""
    y, X, V = stacked("broken")
    theta, cov = gls(y, X, V)
    new, table = lonely(), data("broken")
    same = new["unit"].to_numpy()[:, None] == table["unit"].to_numpy()
    psi = np.where(same & (table["dataset"] == "beta").to_numpy(), S[0, 1], 0.0)
    rows = np.column_stack([np.ones(len(new)), new["x"], np.zeros((len(new), 2))])
    weights = np.linalg.solve(V, psi.T)
    u = rows - weights.T @ X
    variance = S[0, 0] - np.sum(psi * weights.T, axis=1) + np.einsum("ri,ij,rj->r", u, cov, u)
    return rows @ theta + weights.T @ (y - X @ theta), variance


def residual_covariance(case: str) -> np.ndarray:
    """Return the covariance (2, 2) of least-squares residuals over the complete pairs, divided by their number."""
    table = data(case)
    fits = {name: alone(case, name).estimate("reml").beta.values for name in TRUTH}
    line = np.array([fits[name] for name in table["dataset"]])
    table["residual"] = table["y"] - line[:, 0] - line[:, 1] * table["x"]
    pairs = table.pivot_table(index="unit", columns="dataset", values="residual", observed=True).dropna().to_numpy()
    return pairs.T @ pairs / len(pairs)
