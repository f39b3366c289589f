"""What the inverse R^-1 of the covariance of errors does to rows, at draws of the variance parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.predictive.rows import row_sds

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.errors.base import ErrorLayout
    from hierreg.predictive.rows import Draws

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]
    type Correlations = Callable[[Draws, Index], tuple[Array, Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPrecision:
    """R^-1 at S draws.

    Attributes
    ----------
    diagonal : array (S, N)
        Its diagonal.
    log_det : array (S, N)
        Adds up to log|R_JJ| over rows J that are connected with no others.
    times : function
        Array (S, N, c) -> R^-1 times it, for each draw its own.
    """

    diagonal: Array
    log_det: Array
    times: Callable[[Array], Array]


def row_precision(layout: ErrorLayout, draws: Draws) -> RowPrecision:
    """Return R^-1 of all rows at S draws, whose coefficients are not read."""
    return _PRECISIONS[layout.kind](layout, draws)


def connected_rows(layout: ErrorLayout) -> Index:
    """Return the number of the set of rows (N,) that errors connect with each row: its unit, its block, itself."""
    if layout.unit is not None:
        return layout.unit
    out = np.arange(len(layout.stratum))
    for batch in () if layout.V is None else layout.V.batches:
        out[batch.rows] = batch.rows[:, :1]
    return out


def _independent(layout: ErrorLayout, draws: Draws) -> RowPrecision:
    sd = row_sds(layout, draws)
    diagonal = sd**-2.0
    return RowPrecision(diagonal=diagonal, log_det=2.0 * np.log(sd), times=lambda Y: diagonal[:, :, None] * Y)


def _known_covariance(layout: ErrorLayout, draws: Draws) -> RowPrecision:
    assert layout.V is not None
    inverse, L, sd = layout.V.inverse(), layout.V.factor(), draws.error_sd[:, :1]

    def times(Y: Array) -> Array:
        S, N, c = Y.shape
        flat = inverse.rows_times(np.swapaxes(Y, 1, 2).reshape(S * c, N))
        return np.asarray(np.swapaxes(flat.reshape(S, c, N), 1, 2) / sd[:, :, None] ** 2)

    return RowPrecision(
        diagonal=inverse.diagonal() / sd**2, log_det=2.0 * (np.log(sd) + np.log(L.diagonal())), times=times
    )


def _of_units(correlations: Callable[[ErrorLayout], Correlations]) -> Callable[[ErrorLayout, Draws], RowPrecision]:
    """Return the precision of errors that are correlated within units."""

    def precision(layout: ErrorLayout, draws: Draws) -> RowPrecision:
        units, of = _units_of_size(layout), correlations(layout)
        S, N = len(draws.error_sd), len(layout.stratum)
        diagonal, log_det, blocks = np.empty((S, N)), np.empty((S, N)), []
        for rows in units:
            sd, corr = of(draws, rows)
            L = np.linalg.cholesky(corr)
            # Of correlations, not of covariances: data sets may be in any units.
            P = np.linalg.inv(corr) / (sd[:, :, :, None] * sd[:, :, None, :])
            diagonal[:, rows] = np.diagonal(P, axis1=2, axis2=3)
            log_det[:, rows] = 2.0 * np.log(np.diagonal(L, axis1=2, axis2=3) * sd)
            blocks.append(P)

        def times(Y: Array) -> Array:
            out = np.empty_like(Y)
            for rows, P in zip(units, blocks, strict=True):
                out[:, rows] = P @ Y[:, rows]  # (draw, unit, row, column)
            return out

        return RowPrecision(diagonal=diagonal, log_det=log_det, times=times)

    return precision


def _units_of_size(layout: ErrorLayout) -> list[Index]:
    """Return the rows (m, n) of the units that have n rows, for each n."""
    assert layout.unit is not None
    order, size = np.argsort(layout.unit, kind="stable"), np.bincount(layout.unit)
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    return [order[first[size == n][:, None] + np.arange(n)] for n in np.unique(size[size > 0])]


def _correlated(layout: ErrorLayout) -> Correlations:
    def of(draws: Draws, rows: Index) -> tuple[Array, Array]:
        d = layout.stratum[rows]
        return draws.error_sd[:, d], draws.error_corr[:, d[:, :, None], d[:, None, :]]

    return of


def _exchangeable(layout: ErrorLayout) -> Correlations:
    def of(draws: Draws, rows: Index) -> tuple[Array, Array]:
        d, n = layout.stratum[rows], rows.shape[1]
        rho = draws.error_corr[:, d[:, 0], None, None]
        return _by_stratum(draws, d), np.where(np.eye(n, dtype=bool), 1.0, np.broadcast_to(rho, (*rho.shape[:2], n, n)))

    return of


def _in_time(layout: ErrorLayout) -> Correlations:
    def of(draws: Draws, rows: Index) -> tuple[Array, Array]:
        assert layout.time is not None
        gap = np.abs(layout.time[rows][:, :, None] - layout.time[rows][:, None, :])
        return _by_stratum(draws, layout.stratum[rows]), draws.error_corr[:, :1, None, None] ** gap

    return of


def _by_stratum(draws: Draws, stratum: Index) -> Array:
    """Return the error sd (S, m, n) of rows of strata (m, n), which may have a common one."""
    return draws.error_sd[:, stratum if draws.error_sd.shape[1] > 1 else np.zeros_like(stratum)]


# By error structure.
_PRECISIONS: dict[str, Callable[[ErrorLayout, Draws], RowPrecision]] = {
    "independent": _independent,
    "by": _independent,
    "correlated": _of_units(_correlated),
    "exchangeable": _of_units(_exchangeable),
    "ar1": _of_units(_in_time),
    "known_se": _independent,
    "known_cov": _known_covariance,
}
