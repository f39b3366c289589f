"""Draws of the parameters as arrays, and what they say of the rows: means, replicated responses.

Draws are counted by s = 1 .. S, chains one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.design_matrices.predictors import linear_predictors
from hierreg.errors.ar1 import chain_of, errors_of
from hierreg.errors.within_units import WITHIN, component_variances, units_by_size
from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.errors.within_units import UnitsOfSize
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]
    type Scaler = Callable[[Draws, Array], Array]

_MAX_BYTES = 4 * 2**30
# Values in temporary arrays; results do not depend on it.
_CHUNK_VALUES = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """S draws of all that the distribution of the rows depends on.

    Attributes
    ----------
    beta : array (S, p)
    b : dict of arrays (S, J, q)
        By grouping factor.
    error_sd : array (S, D)
        One where the errors are fully known; (S, 1) where strata of exchangeable errors have a common one.
    error_corr : array (S, D, D)
        Of exchangeable errors the correlation within units by stratum, (S, D); of AR(1) errors that of rows one step
        apart, (S, 1).
    """

    beta: Array
    b: Mapping[str, Array]
    error_sd: Array
    error_corr: Array

    def part(self, which: slice) -> Draws:
        """Return some of the draws."""
        return Draws(
            beta=self.beta[which],
            b={factor: b[which] for factor, b in self.b.items()},
            error_sd=self.error_sd[which],
            error_corr=self.error_corr[which],
        )

    def error_cov(self, present: NDArray[np.intp]) -> Array:
        """Return the error covariances (S, m, m) of m data sets."""
        sd = self.error_sd[:, present]
        return sd[:, :, None] * self.error_corr[:, present[:, None], present] * sd[:, None, :]


def draws_of(group: xr.Dataset, problem: Problem, *, with_groups: bool = True) -> Draws:
    """Return the draws in a ``posterior`` or ``prior`` group, without those of group coefficients where not asked for.

    Raises
    ------
    ModelError
        If only summaries of the group coefficients were kept.
    """
    labels = problem.labels

    def array(name: str) -> Array:
        values = group[name].transpose("chain", "draw", ...).to_numpy()
        return values.reshape((values.shape[0] * values.shape[1], *values.shape[2:]))

    b = {}
    for factor in labels.factors if with_groups else ():
        if f"b_{factor.key}" not in group:
            raise ModelError(
                f"the tree has no draws of the group coefficients b_{factor.key}, only summaries: sample "
                "with group_effects='draws'."
            )
        b[factor.name] = array(f"b_{factor.key}")
    beta = array("beta")
    S, D = len(beta), len(problem.layout.labels)
    if labels.has_corr_by_stratum:
        error_corr = array("error_corr").reshape(S, D)
    else:
        error_corr = array("error_corr") if labels.has_error_corr else np.broadcast_to(np.eye(D), (S, D, D))
    return Draws(
        beta=beta,
        b=b,
        error_sd=array("error_sd").reshape(S, -1) if labels.n_error_sd else np.ones((S, D)),
        error_corr=error_corr,
    )


def check_size(n_draws: int, n_values: int, what: str, advice: str) -> None:
    """Raise where ``n_draws`` arrays of ``n_values`` numbers would take more than 4 GiB.

    Raises
    ------
    ModelError
    """
    size = 8 * n_draws * n_values
    if size > _MAX_BYTES:
        raise ModelError(
            f"{what}: {n_draws} draws of {n_values} values would take {size / 2**30:.1f} GiB; at most "
            f"{_MAX_BYTES / 2**30:.0f} GiB are allowed. {advice}"
        )


def chunks(S: int, n_values: int) -> Iterator[slice]:
    """Return consecutive slices of S draws, each of few enough draws of ``n_values`` numbers."""
    step = max(1, _CHUNK_VALUES // max(1, n_values))
    return (slice(first, min(first + step, S)) for first in range(0, S, step))


def row_means(design: Design, draws: Draws) -> Array:
    """Return X beta + Z b, (S, N)."""
    return linear_predictors(design, draws.beta, [draws.b[factor.name] for factor in design.factors])


def replicate(problem: Problem, draws: Draws, seed: list[int]) -> Array:
    """Return one replicated response per draw, (S, N).

    Parameters
    ----------
    problem : Problem
    draws : Draws
    seed : list of int
        What it depends on.
    """
    S, N = len(draws.beta), len(problem.design.y)
    out = np.random.default_rng(seed).standard_normal((S, N))
    scale = error_scaler(problem.layout)
    for which in chunks(S, N):
        part = draws.part(which)
        out[which] = row_means(problem.design, part) + scale(part, out[which])
    return out


def error_scaler(layout: ErrorLayout) -> Scaler:
    """Return the function (draws, standard normal numbers (S, N)) -> errors (S, N) of an error structure."""
    return _SCALERS[layout.kind](layout)


def _independent_errors(layout: ErrorLayout) -> Scaler:
    return lambda draws, z: row_sds(layout, draws) * z


def _errors_in_time(layout: ErrorLayout) -> Scaler:
    chain = chain_of(layout)
    return lambda draws, z: errors_of(chain, draws.error_sd[:, 0], draws.error_corr[:, 0], z)


def _errors_of_known_covariance(layout: ErrorLayout) -> Scaler:
    assert layout.V is not None
    L = layout.V.factor()
    return lambda draws, z: draws.error_sd * L.rows_times(z)


def row_sds(layout: ErrorLayout, draws: Draws) -> Array:
    """Return the error standard deviation of every row where errors are independent, (S, N)."""
    sd = draws.error_sd[:, layout.stratum]
    return sd if layout.se is None else sd * layout.se


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPattern:
    """The units that were observed in the same m data sets.

    Attributes
    ----------
    present : int array (m,)
        The data sets.
    unit : int array (n,)
        The units.
    rows : int array (n, m)
        Their rows.
    """

    present: NDArray[np.intp]
    unit: NDArray[np.intp]
    rows: NDArray[np.intp]


def unit_patterns(layout: ErrorLayout) -> tuple[UnitPattern, ...]:
    """Return the units of correlated errors, by the data sets they were observed in."""
    assert layout.unit is not None
    row_of = np.full((int(layout.unit.max()) + 1, len(layout.labels)), -1, dtype=np.intp)
    row_of[layout.unit, layout.stratum] = np.arange(len(layout.unit))
    observed = row_of >= 0
    patterns, which = np.unique(observed, axis=0, return_inverse=True)
    out = []
    for m, pattern in enumerate(patterns):
        if pattern.any():
            present, unit = np.flatnonzero(pattern), np.flatnonzero(which.ravel() == m)
            out.append(UnitPattern(present=present, unit=unit, rows=row_of[unit][:, present]))
    return tuple(out)


def unit_variances(same: UnitsOfSize, draws: Draws) -> tuple[Array, Array]:
    """Return the variances (S,) of contrasts within units of one size, and of root n times their means."""
    one = np.full(1, same.stratum)
    a = component_variances(one, np.full(1, WITHIN), draws.error_sd, draws.error_corr)
    c = component_variances(one, np.full(1, same.size), draws.error_sd, draws.error_corr)
    return a[:, 0], c[:, 0]


def _exchangeable_errors(layout: ErrorLayout) -> Scaler:
    """Multiply by the symmetric root of the covariance of each unit: sqrt(a) (I - J / n) + sqrt(c) J / n."""
    units = units_by_size(layout)

    def scale(draws: Draws, z: Array) -> Array:
        out = np.empty_like(z)
        for same in units:
            a, c = (np.sqrt(variance)[:, None, None] for variance in unit_variances(same, draws))
            mean = z[:, same.rows].mean(axis=2, keepdims=True)
            out[:, same.rows] = a * (z[:, same.rows] - mean) + c * mean
        return out

    return scale


def _correlated_errors(layout: ErrorLayout) -> Scaler:
    units = unit_patterns(layout)

    def scale(draws: Draws, z: Array) -> Array:
        out = np.empty_like(z)
        for same in units:
            L = np.linalg.cholesky(draws.error_cov(same.present))  # (draw, data set, data set)
            out[:, same.rows] = np.einsum("sij,snj->sni", L, z[:, same.rows])
        return out

    return scale


# By error structure.
_SCALERS: dict[str, Callable[[ErrorLayout], Scaler]] = {
    "independent": _independent_errors,
    "by": _independent_errors,
    "correlated": _correlated_errors,
    "exchangeable": _exchangeable_errors,
    "ar1": _errors_in_time,
    "known_se": _independent_errors,
    "known_cov": _errors_of_known_covariance,
}
