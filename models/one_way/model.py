"""Balanced one-way random effects: preparations of a dyestuff within batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import hierreg as hr

PRIORS = hr.Priors(beta=hr.Normal(0, 10_000), sd={"Batch": hr.HalfNormal(100)}, error_sd=hr.HalfNormal(100))


def data(name: str = "dyestuff") -> Any:
    """Return ``dyestuff``, or ``dyestuff2`` with no variance between batches to be seen."""
    return hr.load_dataset(name)


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return ``Yield ~ 1 + (1 | Batch)``."""
    table = hr.load_dataset("dyestuff") if data is None else data
    return hr.Model("Yield ~ 1 + (1 | Batch)", table, priors=priors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Everything that a balanced one-way layout has to say: J groups of r rows, the sums of squares, the means."""

    J: int
    r: int
    SSE: float
    SST: float
    means: np.ndarray

    @property
    def n(self) -> int:
        """Rows."""
        return self.J * self.r

    @property
    def MSE(self) -> float:  # its name in every textbook
        """Mean square within groups."""
        return self.SSE / (self.J * (self.r - 1))


def layout(table: Any) -> Layout:
    """Return the sums of squares within (SSE) and between groups (SST, of all rows) of a table."""
    y = np.array([rows["Yield"].to_numpy() for _, rows in table.groupby("Batch", observed=True)])
    means = y.mean(axis=1)
    return Layout(
        J=y.shape[0],
        r=y.shape[1],
        SSE=float(np.sum((y - means[:, None]) ** 2)),
        SST=float(y.shape[1] * np.sum((means - means.mean()) ** 2)),
        means=means,
    )


def variances(s: Layout, method: str) -> tuple[float, float]:
    """Return the variances between and within groups in closed form.

    ML divides SST by J, REML by J - 1; both then take the within mean square away *before* dividing by r. Where
    that would be negative the maximum is on the boundary, and the error variance there pools both sums of
    squares. The method of moments has the REML formula without the boundary.

    References
    ----------
    Searle, Casella and McCulloch (1992), Variance Components, chapter 3.
    """
    divisor = s.J if method == "ml" else s.J - 1
    between = (s.SST / divisor - s.MSE) / s.r
    if between >= 0 or method == "moments":
        return between, s.MSE
    return 0.0, (s.SSE + s.SST) / (s.n if method == "ml" else s.n - 1)


def posterior_moments(s: Layout, scale: float = 100.0, beta_sd: float = 10_000.0) -> dict[str, float]:
    """Return posterior means and sds of both standard deviations by quadrature on a grid, under `PRIORS`.

    The sums of squares and the grand mean are sufficient; the population mean is integrated in closed form.
    """
    nodes, weights = np.polynomial.legendre.leggauss(600)
    sigma_max = 10 * np.sqrt(s.MSE)
    a, s_e = 2.5 * scale * (nodes[:, None] + 1), 0.5 * sigma_max * (nodes[None, :] + 1)
    total = s_e**2 + s.r * a**2
    mean_var = beta_sd**2 + total / s.n
    log_p = -0.5 * (
        s.J * (s.r - 1) * np.log(s_e**2)
        + s.SSE / s_e**2
        + (s.J - 1) * np.log(total)
        + s.SST / total
        + np.log(mean_var)
        + s.means.mean() ** 2 / mean_var
        + (a**2 + s_e**2) / scale**2
    )
    p = np.exp(log_p - log_p.max()) * weights[:, None] * weights[None, :]
    p /= p.sum()
    out = {"sd": float(np.sum(p * a)), "error_sd": float(np.sum(p * s_e))}
    return out | {"sd_sd": float(np.sqrt(np.sum(p * (a - out["sd"]) ** 2)))}
