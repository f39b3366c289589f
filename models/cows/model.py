"""New cases of a lung disease of cattle, by herd and period."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import hierreg as hr


def data() -> Any:
    """Return incidence and size of fifteen herds in four periods."""
    return hr.load_dataset("cbpp")


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return ``cbind(incidence, size - incidence) ~ period + (1 | herd)``, binomial."""
    table = hr.load_dataset("cbpp") if data is None else data
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    return hr.Model(formula, table, family=hr.Binomial(), priors=priors)


def without_periods(priors: hr.Priors | None = None) -> hr.Model:
    """Return the same with herds alone: two parameters, whose posterior can be integrated on a grid."""
    return hr.Model("incidence / size ~ 1 + (1 | herd)", data(), family=hr.Binomial(), priors=priors)


GRID_PRIORS = hr.Priors(beta=hr.Normal(-2, 1.5), sd={"herd": hr.HalfNormal(1)})


@cache
def grid_moments() -> dict[str, tuple[float, float, float, float]]:
    """Return mean, sd, 5 % and 95 % of the intercept and of the sd of herds under `GRID_PRIORS`, by brute force.

    Everything is integrated on grids: the effect of each herd over 801 points, intercept and sd over 241 each.
    """
    from scipy.special import expit, gammaln

    table = data()
    y, n = table["incidence"].to_numpy(float), table["size"].to_numpy(float)
    herd = table["herd"].cat.codes.to_numpy()
    z = np.linspace(-7, 7, 801)
    weight = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    beta, log_sd = np.linspace(-4.0, 0.5, 241), np.linspace(-6.0, 1.5, 241)
    constant = np.sum(gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1))
    log_p = np.empty((len(beta), len(log_sd)))
    for k, s in enumerate(np.exp(log_sd)):
        p = expit(beta[:, None] + s * z)
        log_yes, log_no = np.log(p), np.log1p(-p)
        total = np.full(len(beta), constant)
        for j in range(herd.max() + 1):
            mine = herd == j
            log_group = y[mine].sum() * log_yes + (n[mine] - y[mine]).sum() * log_no
            top = log_group.max(axis=1)
            total += top + np.log(np.exp(log_group - top[:, None]) @ weight)
        prior = -0.5 * ((beta + 2) / 1.5) ** 2 - 0.5 * s**2 + log_sd[k]
        log_p[:, k] = total + prior
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    return {
        "intercept": _moments(beta, p.sum(axis=1)),
        "sd of herds": _moments(np.exp(log_sd), p.sum(axis=0)),
    }


def _moments(x: np.ndarray, p: np.ndarray) -> tuple[float, float, float, float]:
    mean = float(p @ x)
    ends = np.interp([0.05, 0.95], np.cumsum(p) - 0.5 * p, x)
    return mean, float(np.sqrt(p @ (x - mean) ** 2)), float(ends[0]), float(ends[1])
