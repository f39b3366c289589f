"""Yearly investment of firms: regressions that seem unrelated and share their errors."""

from __future__ import annotations

from typing import Any

import numpy as np

import hierreg as hr

FIRMS = {
    "GM": "General Motors",
    "CH": "Chrysler",
    "GE": "General Electric",
    "WH": "Westinghouse",
    "US": "US Steel",
}
TWO = ("GE", "WH")
FIVE = tuple(FIRMS)
PRIORS = hr.Priors(beta=hr.Flat(), error_sd=hr.HalfNormal(50), error_corr=hr.LKJ(1))


def data(firms: tuple[str, ...] = TWO) -> Any:
    """Return the 20 years of some of the firms, stacked."""
    table = hr.load_dataset("grunfeld")
    chosen = {firm: table[table["firm"] == FIRMS[firm]].drop(columns="firm") for firm in firms}
    return hr.stack(chosen, unit="year")


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return the model: each firm its own coefficients, errors of a year correlated across firms."""
    table = globals()["data"]() if data is None else data
    return hr.Model(
        "invest ~ 0 + dataset + dataset:value + dataset:capital",
        table,
        errors=hr.correlated("dataset", unit="year"),
        priors=priors,
    )


def coefs(firms: tuple[str, ...]) -> list[str]:
    """Return the names of the coefficients, firm by firm."""
    return [f"dataset[{firm}]{column}" for firm in firms for column in ("", ":value", ":capital")]


def blocks(firms: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return X (firm, year, 3) and y (firm, year)."""
    parts = [data(firms).query("dataset == @firm") for firm in firms]
    X = np.array([np.column_stack([np.ones(len(t)), t["value"], t["capital"]]) for t in parts])
    return X, np.array([t["invest"] for t in parts])


def posterior_moments(scale: float = 50.0, nodes: int = 48) -> dict[str, tuple[float, float]]:
    """Return posterior means and sds of both error sds and their correlation for two firms, under `PRIORS`.

    All six coefficients are integrated in closed form at every point of a three-dimensional quadrature.
    """
    X, y = blocks(TWO)
    x, w = np.polynomial.legendre.leggauss(nodes)
    s1, s2, r = np.meshgrid(40 + 30 * x, 15 + 11 * x, x, indexing="ij")
    precision = np.array([[1 / s1**2, -r / (s1 * s2)], [-r / (s1 * s2), 1 / s2**2]]) / (1 - r**2)
    XtX, Xty = np.einsum("dni,enj->deij", X, X), np.einsum("dni,en->dei", X, y)
    P = np.einsum("deabc,deij->abcdiej", precision, XtX).reshape(*s1.shape, 6, 6)
    q = np.einsum("deabc,dei->abcdi", precision, Xty).reshape(*s1.shape, 6)
    rss = np.einsum("deabc,dn,en->abc", precision, y, y) - np.einsum("abci,abci->abc", q, _solve(P, q))
    log_det = 2 * np.log(s1 * s2) + np.log(1 - r**2)
    log_p = -0.5 * (y.shape[1] * log_det + np.linalg.slogdet(P)[1] + rss + (s1**2 + s2**2) / scale**2)
    p = np.exp(log_p - log_p.max()) * w[:, None, None] * w[None, :, None] * w
    p /= p.sum()
    values = {"error_sd[GE]": s1, "error_sd[WH]": s2, "error_corr": r}
    means = {name: float(np.sum(p * v)) for name, v in values.items()}
    return {name: (m, float(np.sqrt(np.sum(p * (values[name] - m) ** 2)))) for name, m in means.items()}


def _solve(P: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.linalg.solve(P, q[..., None])[..., 0]
