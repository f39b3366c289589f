"""The covariance of the errors of the observed rows at an estimate, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


class ErrorValues(Protocol):
    """What is read of an estimate, or of another value of the error parameters."""

    @property
    def problem(self) -> Any:
        """The problem, with rows."""

    @property
    def error_sd(self) -> xr.DataArray:
        """Error standard deviations."""

    @property
    def error_corr(self) -> xr.DataArray | None:
        """Error correlations."""


def row_variances(est: ErrorValues) -> Array:
    """Return the error variance of each row (N,)."""
    out = np.empty(len(est.problem.design.y))
    for rows, block in error_blocks(est):
        out[rows] = block if block.ndim == 1 else np.diagonal(block)
    return out


def error_blocks(est: ErrorValues) -> Iterator[tuple[Index, Array]]:
    """Yield rows and their error covariance (m, m), or variances (m,) of rows that are independent of all others."""
    problem = est.problem
    layout = problem.layout
    if layout.V is not None:
        scale = float(est.error_sd) ** 2 if problem.labels.n_error_sd else 1.0
        for batch in layout.V.batches:
            yield from ((rows, scale * V) for rows, V in zip(batch.rows, batch.V, strict=True))
        return
    sd = _sds(est)[layout.stratum] * (1.0 if layout.se is None else layout.se)
    if layout.unit is None:
        yield np.arange(len(sd)), sd**2
        return
    order = np.argsort(layout.unit, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(layout.unit[order])) + 1):
        yield rows, sd[rows, None] * _correlations(est, rows) * sd[rows]


def _sds(est: ErrorValues) -> Array:
    """Return the error standard deviation of each data set or stratum (D,)."""
    layout = est.problem.layout
    if not est.problem.labels.n_error_sd:
        return np.ones(len(layout.labels))
    return np.broadcast_to(np.atleast_1d(est.error_sd.to_numpy()), len(layout.labels))


def _correlations(est: ErrorValues, rows: Index) -> Array:
    """Return the error correlations (m, m) of the rows of a unit."""
    layout: Any = est.problem.layout
    stratum = layout.stratum[rows]
    assert est.error_corr is not None
    values = np.atleast_1d(est.error_corr.to_numpy())
    if not est.problem.labels.has_corr_by_stratum:
        return np.asarray(values[stratum[:, None], stratum])
    rho = values[stratum[0] if len(values) > 1 else 0]
    if layout.time is not None:
        times = layout.time[rows]
        return np.asarray(np.power(float(rho), np.abs(times[:, None] - times)))
    return np.where(np.eye(len(rows), dtype=bool), 1.0, rho)
