"""The population coefficients of a likelihood: their normal prior as pseudo-observations, and those that are fixed.

Both are statements about the coefficients of columns as they stand. A predictor that lies far from zero beside its
spread makes them large in internal coordinates, where a fixed slope moves the whole response and a prior of the
intercept is one of the slope. So the internal coordinates move with them: the response stays a residual, and the
pseudo-observations stand on axes of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.likelihood.pivots import on_axes_of_their_own
from hierreg.likelihood.spanned import fitted_first, without_rounding
from hierreg.priors import Fixed, Normal
from hierreg.priors.frames import Columns
from hierreg.priors.measure import columns_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram, GroupProducts
    from hierreg.priors import ResolvedPriors

    Array = NDArray[np.float64]

# Squared weight of a pseudo-observation, in units of the weight of all rows, from which its axis is one of its own.
_OUTWEIGHS = 1e3
_EXACT = 1e-12  # of the variance of the response


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationPrior:
    """Normal prior of the population coefficients, as pseudo-observations.

    Row i says ``basis[i] @ beta ~ N(mean[i], sd[i]^2)``; no rows is a flat prior.

    Attributes
    ----------
    basis : array (r, p)
    mean : array (r,)
    sd : array (r,)
    log_det_basis : float
        log|det| of the whole (p, p) basis that the rows were taken from.
    inner : array (r, p) or None
        ``basis`` in internal coordinates, where it is known more exactly than by multiplication.
    """

    basis: Array
    mean: Array
    sd: Array
    log_det_basis: float = 0.0
    inner: Array | None = None


def flat_beta(p: int) -> PopulationPrior:
    """Return the flat prior of p coefficients."""
    return PopulationPrior(basis=np.empty((0, p)), mean=np.empty(0), sd=np.empty(0))


def population_prior(priors: ResolvedPriors) -> PopulationPrior:
    """Return the normal part of a resolved prior of beta (flat and fixed rows have no density)."""
    rows = [i for i, prior in enumerate(priors.beta) if isinstance(prior, Normal)]
    normal = [prior for prior in priors.beta if isinstance(prior, Normal)]
    return PopulationPrior(
        basis=np.asarray(priors.beta_basis, dtype=float)[rows].reshape(len(rows), len(priors.beta)),
        mean=np.array([prior.mu for prior in normal], dtype=float),
        sd=np.array([prior.sigma for prior in normal], dtype=float),
        inner=None if priors.beta_inner is None else priors.beta_inner[rows].reshape(len(rows), len(priors.beta)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedBeta:
    """Population coefficients held at known values: bool array (p,) and their values (p,), zero elsewhere."""

    is_fixed: NDArray[np.bool_]
    value: Array


def fixed_beta(priors: ResolvedPriors) -> FixedBeta:
    """Return which coefficients a prior holds fixed, and where."""
    return FixedBeta(
        is_fixed=np.array([isinstance(prior, Fixed) for prior in priors.beta], dtype=bool),
        value=np.array([float(prior.array) if isinstance(prior, Fixed) else 0.0 for prior in priors.beta]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A Gram basis with some coefficients held fixed, and where its coordinates lie in the former ones.

    Attributes
    ----------
    gram : Gram
        Of y - X_fixed beta_fixed on the other columns.
    axes : array (p, p_free)
        The free columns in the former internal coordinates.
    origin : array (2, p)
        Internal coordinates of beta where the new ones are zero, as a sum: its second part is large where the response
        is far from zero, and would round the first.
    n_fitted : int
        Axes, the first ones, that the groups fit by themselves.
    """

    gram: Gram
    axes: Array
    origin: Array
    n_fitted: int = 0


def hold_fixed(gram: Gram, fixed: FixedBeta) -> Gram:
    """Return the Gram basis of y - X_fixed beta_fixed on the other columns: a linear map of [X y]."""
    return held(gram, fixed).gram


def held(gram: Gram, fixed: FixedBeta | None) -> Held:
    """Return the Gram basis with coefficients held fixed: y less X_fixed beta_fixed, less its fit on the others."""
    p = len(gram.coef_names)
    columns = _columns(gram)
    inverse, centre, constant, value = columns.inverse, columns.centre, columns.constant, columns.value
    if gram.frame is None:
        origin = np.stack([inverse @ gram.y_shift, np.zeros(p)])
    else:
        # The same without its cancellation: the fit that was taken off, and the centre.
        origin = np.stack([-inverse @ gram.frame.basis[:p, p], np.zeros(p)])
        if constant is not None:
            origin[1] = inverse[:, constant] * gram.frame.centre[p] / value
    if fixed is None or not fixed.is_fixed.any():
        return _with_groups_first(Held(gram=gram, axes=np.eye(p), origin=origin))
    free, out = np.flatnonzero(~fixed.is_fixed), np.flatnonzero(fixed.is_fixed)
    if constant is not None and fixed.is_fixed[constant]:
        inverse, constant = columns.full_inverse(), None
    Q, R = np.linalg.qr(inverse[:, free])
    back = np.linalg.inv(R) if len(free) else np.empty((0, 0))
    change = gram.y_shift[out] - fixed.value[out]
    moved = inverse[:, out] @ change
    rest = moved - Q @ (Q.T @ moved)
    rest = rest - Q @ (Q.T @ rest)
    fit, x_map = back @ (Q.T @ moved), back
    shift = gram.y_shift[free] + fit
    if constant is not None:
        place = int(np.searchsorted(free, constant))
        x_map = back.copy()
        x_map[place] -= centre[free] @ back / value
        shift[place] += (centre[out] @ change - centre[free] @ fit) / value
    M = np.zeros((p + 1, len(free) + 1))
    M[:p, : len(free)], M[:p, -1], M[p, -1] = Q, rest, 1.0
    return _with_groups_first(
        Held(gram=_mapped(gram, M, free, x_map, shift), axes=Q, origin=origin - np.stack([rest, 0.0 * rest]))
    )


def _with_groups_first(here: Held) -> Held:
    """Return the same, first on axes that the groups fit by themselves, of which nothing is left within groups."""
    gram = here.gram
    p = len(gram.coef_names)
    if not p or not gram.factors or not gram.has_triangles:
        return here
    axes, n_fitted = fitted_first(gram)
    if not np.array_equal(axes, np.eye(p)):
        M = np.eye(p + 1)
        M[:p, :p] = axes
        gram = _mapped(gram, M, np.arange(p), gram.x_map @ axes, gram.y_shift)
    return Held(gram=without_rounding(gram, n_fitted), axes=here.axes @ axes, origin=here.origin, n_fitted=n_fitted)


def _columns(gram: Gram) -> Columns:
    """Return the columns of X; of a derived Gram basis their coordinates alone, without moments."""
    if gram.frame is not None:
        return columns_of(gram.frame.predictors)
    p = len(gram.coef_names)
    inverse = np.linalg.inv(gram.x_map) if p else np.empty((0, 0))
    none = np.full(p, np.nan)
    return Columns(root=np.diag(none), inverse=inverse, centre=np.zeros(p), constant=None, value=1.0, mean=none)


def moved(gram: Gram, origin: Array, axes: Array) -> Gram:
    """Return the Gram basis with internal coordinates z of the same columns, beta = origin (p,) + axes (p, p) z."""
    p = len(origin)
    M = np.eye(p + 1)
    M[:p, :p], M[:p, p] = axes, -origin
    return _mapped(gram, M, np.arange(p), gram.x_map @ axes, gram.y_shift + gram.x_map @ origin)


def _mapped(gram: Gram, M: Array, kept: NDArray[np.intp], x_map: Array, y_shift: Array) -> Gram:
    """Return the Gram basis of [X y] M."""
    return replace(
        gram,
        coef_names=tuple(gram.coef_names[i] for i in kept),
        factors=tuple(_mapped_groups(factor, M) for factor in gram.factors),
        WtW=M.T @ gram.WtW @ M,
        left=gram.left @ M,
        x_map=x_map,
        y_shift=y_shift,
        frame=None,
    )


def _mapped_groups(factor: GroupProducts, M: Array) -> GroupProducts:
    q = factor.n_coef
    triangle = np.concatenate([factor.triangle[:, :, :q], factor.triangle[:, :, q:] @ M], axis=2)
    return replace(factor, ZtW=factor.ZtW @ M, triangle=triangle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """A Gram basis and the prior of its coefficients.

    Attributes
    ----------
    gram : Gram
    rows : array (r, p + 1)
        The pseudo-observations [X y] of the prior, internal scale, divided by their sds.
    is_moved : bool
        Whether the Gram basis has other coordinates than `hold_fixed` gives it.
    """

    gram: Gram
    rows: Array
    is_moved: bool


def population_of(gram: Gram, prior: PopulationPrior, fixed: FixedBeta | None) -> Population:
    """Return what the likelihood needs of the population coefficients: fixed ones taken off, a prior as rows."""
    here = held(gram, fixed)
    inner = (prior.basis @ gram.x_map if prior.inner is None else prior.inner) / prior.sd[:, None]
    K, target = inner @ here.axes, prior.mean / prior.sd
    at = here.origin @ here.axes
    if fixed is not None and fixed.is_fixed.any():
        # What lies outside of the axes.
        target = target - inner @ (here.origin - at @ here.axes.T).sum(axis=0)
    p = len(here.gram.coef_names)
    weight = _weight_of_rows(here.gram, gram)
    rows = np.column_stack([K, target - K @ at[0] - K @ at[1]])
    if not len(rows) or max(np.sum(K**2), np.sum(rows[:, p] ** 2)) < _OUTWEIGHS * weight:
        return Population(gram=here.gram, rows=rows, is_moved=False)
    U, rows, move = on_axes_of_their_own(K, target, (at[0], at[1]), here.n_fitted, weight)
    return Population(gram=moved(here.gram, move, np.linalg.inv(U)), rows=rows, is_moved=True)


def _weight_of_rows(held: Gram, gram: Gram) -> float:
    """Return the number of rows over the variance of residuals: about the precision of a coefficient.

    Over the variance of the response, where its columns fit it exactly: errors may have any size then.
    """
    terms = held.terms
    # Products of two rows, those of correlated errors, are no squares.
    total = held.WtW[terms.each_row].sum(axis=0)
    p = len(total) - 1
    weight = float(np.trace(total[:p, :p])) / (max(held.n, 1) * max(p, 1))  # of a row, on average
    if terms.structure.is_known and not terms.n_sd:
        return held.n * weight
    variance = float(total[p, p]) / (max(held.n, 1) * (weight or 1.0))
    if gram.frame is not None and variance <= _EXACT * float(gram.frame.sd[-1]) ** 2:
        variance = float(gram.frame.sd[-1]) ** 2
    return held.n / variance if variance > 0 else 1.0
