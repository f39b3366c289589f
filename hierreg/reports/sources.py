"""The variance of the response by source: predictors of the population, groups, errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hierreg.gram.row_moments import RowMoments

    Array = NDArray[np.float64]

# Relative error of z'Sigma z from rounding, above which it says nothing.
_MOST_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sources:
    """Variances by source: arrays (S, D), D the data sets or strata; and of all rows together, (S,)."""

    population: Array
    factors: dict[str, Array]
    error: Array
    n: Array
    of_all_rows: Array

    def overall(self) -> dict[str, Array]:
        """Return the variances of all rows together, (S,) by source."""
        weight = self.n / self.n.sum()
        return {
            "population": self.of_all_rows,
            **{name: values @ weight for name, values in self.factors.items()},
            "error": self.error @ weight,
        }

    def of_label(self, d: int) -> dict[str, Array]:
        """Return the variances within a data set or stratum, (S,) by source."""
        return {
            "population": self.population[:, d] * _less_one(self.n[d]),
            **{name: values[:, d] for name, values in self.factors.items()},
            "error": self.error[:, d],
        }


def variance_sources(beta: Array, Sigma: Mapping[str, Array], error_sd: Array, rows: RowMoments) -> Sources:
    """Return the variances by source at S values of the parameters: beta (S, p), Sigma (S, q, q), sds (S, D or 1)."""
    within = np.maximum(np.einsum("sp,dpq,sq->sd", beta, rows.cov, beta, optimize=True), 0.0)
    weight = rows.n / rows.n.sum()
    centre = rows.mean - weight @ rows.mean
    of_all_rows = (within + (beta @ centre.T) ** 2) @ weight * _less_one(rows.n.sum())
    factors = {}
    for (name, cov), second in zip(Sigma.items(), rows.second, strict=True):
        value = np.einsum("sij,dij->sd", cov, second, optimize=True)
        size = np.einsum("sij,dij->sd", np.abs(cov), np.abs(second), optimize=True)
        lost = np.finfo(float).eps * size > _MOST_ROUNDING * np.abs(value)
        factors[name] = np.where(lost & (size > 0), np.nan, np.maximum(value, 0.0))
    error = np.broadcast_to(error_sd**2, (len(beta), len(rows.n))) * rows.error
    return Sources(population=within, factors=factors, error=error, n=rows.n, of_all_rows=of_all_rows)


def _less_one(n: float) -> float:
    """Return what makes a variance divided by n one divided by n - 1."""
    return float(n / (n - 1)) if n > 1 else 1.0
