"""Standard errors of variance parameters: curvature of the criterion at its maximum, and the delta method.

The curvature is taken where numbers are of order one: over a factor of Sigma in a basis of orthogonalised columns for
REML and ML, over u for the others. From there sds and correlations of the columns as they stand follow row by row of
Lambda. With unit rows a, b of it, of lengths |a|, |b|,

    d sd = a' dLambda_a,    d corr = (b - corr a)' dLambda_a / |a| + (a - corr b)' dLambda_b / |b|,

which keeps its digits where a predictor far from zero makes the correlation 0.9999999.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate.optimise import hessian
from hierreg.variances.parameters import covariances

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.estimate.coordinates import FactorCoordinates
    from hierreg.likelihood.posterior import Target
    from hierreg.variances.parameters import Covariances, VarianceParameters

    Array = NDArray[np.float64]
    Bools = NDArray[np.bool_]

_NEARLY_SINGULAR = 1e-9
_STEP = 1e-5
# Smallest unit of a row of the factor, beside the errors.
_SMALLEST_ROW = 0.03
# Curvature, relative to the largest, that is none.
_FLAT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class TermFactor:
    """Factor of the covariance of one term of correlated columns: columns (t,), values (t, rank) in the basis."""

    columns: NDArray[np.intp]
    values: Array


def factor_covariance(coordinates: FactorCoordinates, terms: list[TermFactor], errors: Covariances, u: Array) -> Array:
    """Return the covariance (n_free, n_free) of sds and correlations at a maximum over factors of Sigma.

    A term of rank below its size stays on the surface of covariances of that rank: its sds have standard errors, its
    correlations have none (NaN), nor has an sd of zero. The factor of a term is known up to a rotation; the directions
    of rotations, in which nothing changes, are left out.

    Parameters
    ----------
    coordinates : FactorCoordinates
    terms : list of TermFactor
        The groups' part of the maximum.
    errors : Covariances
    u : array
        Its part for the errors.
    """
    q = len(coordinates.basis)
    directions = [_directions(term) for term in terms]
    held = errors_on_boundary(coordinates.errors, errors)
    free = np.flatnonzero(~held)
    sizes = [d.shape[1] for d in directions]
    ends = np.cumsum([*sizes, len(free)])

    def unpack(w: Array) -> tuple[Array, Array]:
        inner, full = np.zeros((q, q)), u.copy()
        for term, basis, end in zip(terms, directions, ends[:-1], strict=True):
            t, rank = term.values.shape
            change = (basis @ w[end - basis.shape[1] : end]).reshape(t, rank)
            inner[np.ix_(term.columns, term.columns[:rank])] = term.values + change
        full[free] += w[ends[-2] if len(terms) else 0 :]
        return inner, full

    def criterion(w: Array) -> tuple[float, Array]:
        inner, full = unpack(w)
        at = covariances(coordinates.errors, full[None])
        value, g_Lambda, g_S = coordinates.likelihood.value_and_gradient(coordinates.basis @ inner, at.error_cov[0])
        g_inner = coordinates.basis.T @ g_Lambda
        parts = [
            basis.T @ g_inner[np.ix_(term.columns, term.columns[: term.values.shape[1]])].ravel()
            for term, basis in zip(terms, directions, strict=True)
        ]
        return value, np.concatenate([*parts, coordinates.error_gradient(full, at, g_S)[free]])

    origin = np.zeros(ends[-1])
    Lambda = coordinates.basis @ unpack(origin)[0]
    slopes = np.zeros((len(origin), q, q))
    for k in range(len(origin) - len(free)):
        slopes[k] = coordinates.basis @ (unpack(np.eye(len(origin))[k])[0] - unpack(origin)[0])
    D = _slopes(coordinates, terms, Lambda, slopes, u, held)
    if not len(origin):
        return np.full((len(D), len(D)), np.nan)
    return _delta(hessian(criterion, origin, coordinates.likelihood.side_by_side), D)


def covariance_inside(coordinates: FactorCoordinates, terms: list[TermFactor], x: Array, H: Array) -> Array:
    """Return what `factor_covariance` does, from the Hessian (n, n) over the search space at a maximum inside it.

    Parameters
    ----------
    coordinates : FactorCoordinates
        In which x is, and H was found.
    terms : list of TermFactor
        Of full rank; of them the columns are read.
    x : array (n,)
        The maximum; nothing is on the boundary.
    H : array (n, n)
    """
    q, m = len(coordinates.basis), len(coordinates.rows)
    inner = np.zeros((len(x), q, q))
    inner[np.arange(m), coordinates.rows, coordinates.cols] = coordinates.scale[coordinates.rows]
    held = np.zeros(len(x) - m, dtype=bool)
    Lambda = coordinates.basis @ coordinates.inner(x)
    return _delta(H, _slopes(coordinates, terms, Lambda, coordinates.basis @ inner, x[m:], held))


def _slopes(  # a point, and along what it moves
    coordinates: FactorCoordinates, terms: list[TermFactor], Lambda: Array, slopes: Array, u: Array, held: Bools
) -> Array:
    """Return the derivatives (n_free, n) of sds and correlations, from those of Lambda (n, q, q); errors come last."""
    free = np.flatnonzero(~held)
    of_errors = np.zeros((len(natural_errors(coordinates.errors, u)), len(slopes)))
    if len(free):
        of_errors[:, -len(free) :] = _differences(lambda x: natural_errors(coordinates.errors, x), u)[:, free]
        of_errors[held] = np.nan
    return np.concatenate([_group_slopes(Lambda, slopes, terms), of_errors])[_order(coordinates, terms)]


def _directions(term: TermFactor) -> Array:
    """Return the changes (t rank, directions) of a factor that are no rotation, each row in units of its length."""
    rank = term.values.shape[1]
    unit = np.repeat(np.maximum(np.linalg.norm(term.values, axis=1), _SMALLEST_ROW), rank)
    if rank < 2:
        return np.diag(unit)
    turns = []
    for i in range(rank):
        for j in range(i):
            skew = np.zeros((rank, rank))
            skew[i, j], skew[j, i] = 1.0, -1.0
            turns.append((term.values @ skew).ravel() / unit)
    _, _, vectors = np.linalg.svd(np.array(turns), full_matrices=True)
    return np.asarray(unit[:, None] * vectors[len(turns) :].T)


def _group_slopes(Lambda: Array, slopes: Array, terms: list[TermFactor]) -> Array:
    """Return derivatives (parameters, directions) of the sds, then of the correlations of each term of full size."""
    sd, corr = sd_and_corr_slopes(Lambda, slopes)
    rows = [sd.T]
    for term in terms:
        t, rank = term.values.shape
        i, j = np.tril_indices(t, -1)
        here = corr[:, term.columns[i], term.columns[j]].T
        rows.append(here if rank == t else np.full_like(here, np.nan))
    return np.concatenate(rows)


def _order(coordinates: FactorCoordinates, terms: list[TermFactor]) -> NDArray[np.intp]:
    """Return the places of `free_names` in: sds of groups, their correlations, sds of errors, their correlations."""
    q, n_sd = len(coordinates.basis), int(coordinates.errors.sd_is_free.sum())
    pairs = sum(len(term.columns) * (len(term.columns) - 1) // 2 for term in terms)
    first = q + pairs
    groups, errors, correlations = np.arange(q), first + np.arange(n_sd), q + np.arange(pairs)
    rest = np.arange(first + n_sd, first + coordinates.errors.n_free)
    return np.concatenate([groups, errors, correlations, rest])


def sd_and_corr_slopes(Lambda: Array, slopes: Array) -> tuple[Array, Array]:
    """Return the derivatives of the sds (K, q) and correlations (K, q, q) of Lambda Lambda' in K directions (K, q, q).

    NaN where a standard deviation is zero.
    """
    length = np.linalg.norm(Lambda, axis=1)
    length = np.where(length > 0, length, np.nan)
    unit = Lambda / length[:, None]
    corr = unit @ unit.T
    along = np.einsum("ij,kij->ki", unit, slopes)
    # b - corr a of each pair (a, b)
    across = unit[None, :, :] - corr[:, :, None] * unit[:, None, :]
    first = np.einsum("abj,kaj->kab", across, slopes / length[:, None])
    return along, first + np.swapaxes(first, 1, 2)


def natural_covariance(target: Target, u: Array, held: Bools) -> Array:
    """Return the covariance (n_free, n_free) of standard deviations and correlations, in the order of `free_names`.

    With H the Hessian of the criterion in u at its maximum and D the derivative of the parameters with respect to u,
    it is D (-H)^-1 D'.

    Parameters
    ----------
    target : Target
        Log density of sds and correlations, maximal at u.
    u : array (n_free,)
    held : bool array (n_free,)
        Elements on the boundary, held where they are: their rows are NaN, the others hold given them.

    Returns
    -------
    array (n_free, n_free)
        NaN throughout where the criterion has no maximum at u.
    """
    n, parameters = len(u), target.parameters
    out = np.full((n, n), np.nan)
    free = np.flatnonzero(~held)
    if not len(free):
        return out

    def restricted(x: Array) -> tuple[float, Array]:
        full = u.copy()
        full[free] = x
        value, gradient = target(full)
        return value, gradient[free]

    D = _natural_slopes(parameters, u)[np.ix_(free, free)]
    out[np.ix_(free, free)] = _delta(hessian(restricted, u[free], target.likelihood.side_by_side), D)
    return out


def _natural_slopes(parameters: VarianceParameters, u: Array) -> Array:
    """Return the derivatives (n_free, n_free) of sds and correlations, in the order of `free_names`."""
    q, n = parameters.n_factor, len(u)
    Lambda = covariances(parameters, u[None]).Lambda[0]
    steps = _STEP * np.eye(n)
    slopes = covariances(parameters, u + steps).Lambda - covariances(parameters, u - steps).Lambda
    sd, corr = sd_and_corr_slopes(Lambda, slopes / (2.0 * _STEP))
    of_errors = _differences(lambda x: natural_errors(parameters, x), u)
    n_error_sd = int(parameters.sd_is_free[q:].sum())
    rows = [sd.T[parameters.sd_is_free[:q]], of_errors[:n_error_sd]]
    for start, size, free in zip(parameters.block_starts, parameters.block_sizes, parameters.corr_is_free, strict=True):
        if free and start < q:
            i, j = np.tril_indices(size, -1)
            rows.append(corr[:, start + i, start + j].T)
    return np.concatenate([*rows, of_errors[n_error_sd:]])


def _differences(function: Callable[[Array], Array], u: Array) -> Array:
    steps = _STEP * np.eye(len(u))
    columns = [(function(u + step) - function(u - step)) / (2.0 * _STEP) for step in steps]
    return np.array(columns).T.reshape(-1, len(u))


def _delta(H: Array, D: Array) -> Array:
    """Return D (-H)^-1 D'; NaN for what changes in a direction without curvature, and for all at no maximum."""
    if not np.all(np.isfinite(H)):
        return np.full((len(D), len(D)), np.nan)
    values, vectors = np.linalg.eigh(-H)
    if values[0] < -_FLAT * max(1.0, values[-1]):
        return np.full((len(D), len(D)), np.nan)
    # No curvature at all is flat in every direction.
    flat = (values < _FLAT * values[-1]) | (values <= 0.0)
    # A row of NaN is a parameter without a standard error, which must not reach the others.
    missing = np.isnan(D).any(axis=1)
    along = np.where(missing[:, None], 0.0, D) @ vectors
    size = np.linalg.norm(along, axis=1)
    missing |= np.any(np.abs(along[:, flat]) > 1e-3 * size[:, None], axis=1)
    root = along[:, ~flat] / np.sqrt(values[~flat])
    out = root @ root.T
    out[missing], out[:, missing] = np.nan, np.nan
    return np.asarray(out)


def natural_errors(parameters: VarianceParameters, u: Array) -> Array:
    """Return the free sds and correlations of the errors at u, in the order of `VarianceParameters.free_names`."""
    at, q = covariances(parameters, u[None]), parameters.n_factor
    values = [at.error_sd[0][parameters.sd_is_free[q:]]]
    if parameters.corr_is_free[-1]:
        values.append(at.error_corr[0][np.tril_indices(int(parameters.block_sizes[-1]), -1)])
    if parameters.within_units.strata:
        values.append(at.error_corr[0][parameters.within_units.is_free])
    return np.concatenate(values)


def errors_on_boundary(errors: VarianceParameters, at: Covariances) -> Bools:
    """Return which elements of the errors' u (`natural_errors` has the same order) are on the boundary."""
    held = [np.zeros(int(errors.sd_is_free[errors.n_factor :].sum()), dtype=bool)]
    if errors.corr_is_free[-1]:
        corr = at.error_corr[0]
        is_singular = float(np.linalg.eigvalsh(corr)[0]) < _NEARLY_SINGULAR
        held.append(np.full(len(corr) * (len(corr) - 1) // 2, is_singular))
    within = errors.within_units
    if within.strata:
        x = within.unconstrained(at.error_corr[0])
        held.append(np.abs(x) > 0.5 * np.log(1.0 / _NEARLY_SINGULAR))
    return np.concatenate(held)
