"""Q_JJ and g of rows that are left out, from the mixed-model equations of all rows, many draws at once.

One grouping factor, in whose groups all connected rows lie, has its coefficients eliminated group by group; those of
all other factors are columns of the *border* U, beside X. With Lambda in the columns, b ~ N(0, I), P = R^-1, and sums
over the rows of a group::

    M = I + Z'PZ        what groups leave of W = [U y]:   W_ = W - Z M^-1 Z'PW
    H = W_'P W_ + sum over groups (M^-1 Z'PW)'(M^-1 Z'PW) + prior of the border

a sum of squares: no difference. With F F' = H_UU and w_ = [U_ F'^-1, Z L'^-1], M = L L', and r what is left of y::

    Q = P - P w_ w_'P        g = P r

Rows alone have Q_rr = P_rr - |(P w_)_r|^2. Of a set J of rows that are connected with no others R_JJ P_JJ = I, so that
with E = w_J'P w_J and a = w_J'P r the sum over its rows::

    log|Q_JJ| = log|I - E| - log|R_JJ|        g_J'Q_JJ^-1 g_J = r_J'P r_J + a'(I - E)^-1 a
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.gram.collect import are_within
from hierreg.predictive.left_out.precision import connected_rows, row_precision
from hierreg.predictive.rows import Draws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hierreg.predictive.left_out.precision import RowPrecision
    from hierreg.problem.problem import Problem
    from hierreg.variances.parameters import Covariances

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

_LOG_2PI = float(np.log(2.0 * np.pi))
# Values in temporary arrays; results do not depend on it.
_CHUNK_VALUES = 1_000_000
# Columns of the border, and numbers of it at one draw, beyond which the other ways are faster.
_MOST_BORDER, _MOST_VALUES = 400, 4_000_000
_FEW_COLUMNS = 8
_FAR = 1e30  # standard deviations, what single precision holds


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What is said of rows, or of sets of them, that were left out, at S draws of u.

    Attributes
    ----------
    density : array (S, K)
        log p(y_J | y_-J, u).
    within : array (K,)
        Logarithm of the mean over draws of the same density with coefficients that know all rows, J included: what
        `density` is compared with to count parameters.
    z : float32 array (S, K) or None
        Of rows, (y_r - mean) / sd of y_r given all other rows.
    digits : array (K,)
        Smallest share of a precision that is left over, over the draws: what it is below one costs digits.
    """

    density: Array
    within: Array
    z: NDArray[np.float32] | None
    digits: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """The rows of a problem, sorted by a grouping factor and within it by sets.

    Attributes
    ----------
    order : int array (N,)
        Places of the rows in the table.
    factor : int or None
        Whose coefficients are eliminated group by group.
    group : int array (N,)
        Group of each sorted row.
    """

    order: Index
    factor: int | None
    group: Index

    @property
    def starts(self) -> Index:
        """First sorted row of each group that has rows."""
        return np.flatnonzero(np.concatenate([[True], np.diff(self.group) != 0]))


def border_for(problem: Problem, sets: Index | None) -> Border | None:
    """Return how the equations are written for sets of rows (N,), or for rows alone.

    None where they would be too large, or sets are no unions of connected rows.
    """
    design, connected = problem.design, connected_rows(problem.layout)
    if sets is not None and not are_within(connected, sets):
        return None
    fits = []
    for f, factor in enumerate(design.factors):
        lie_within = are_within(connected, factor.index) and (sets is None or are_within(sets, factor.index))
        others = sum(len(o.levels) * o.Z.shape[1] for o in design.factors if o is not factor)
        if lie_within:
            fits.append((others, f))
    whole = sum(len(o.levels) * o.Z.shape[1] for o in design.factors)
    width, eliminated = min(fits, default=(whole, None))
    N, wide = len(design.y), width + design.X.shape[1]
    if wide > _MOST_BORDER or wide * N > _MOST_VALUES:
        return None
    group = np.zeros(N, dtype=np.intp) if eliminated is None else design.factors[eliminated].index
    order = np.lexsort((group if sets is None else sets, group))
    return Border(order=order, factor=eliminated, group=group[order])


def left_out(problem: Problem, cov: Covariances, border: Border, sets: Index | None) -> LeftOut:
    """Return the densities of each set of rows, or of each row.

    Parameters
    ----------
    problem : Problem
    cov : Covariances
        At S draws.
    border : Border
        From `border_for` with the same sets.
    sets : int array (N,) or None
        Set of each row, 0 to K - 1; None for rows.
    """
    S, K = len(cov.sd), len(problem.design.y) if sets is None else int(sets.max()) + 1
    # Of a set without rows nothing is left out.
    density, within = np.zeros((S, K)), np.full(K, -np.inf)
    z: NDArray[Any] | None = np.empty((S, K), dtype=np.float32) if sets is None else None
    digits = np.full(K, np.inf)
    for part, solved in _solved(problem, cov, border):
        if z is not None:
            places, (*found, distance) = border.order, _of_rows(solved)
            z[part, places] = np.clip(distance, -_FAR, _FAR)
        else:
            assert sets is not None
            own = sets[border.order]
            starts = np.flatnonzero(np.concatenate([[True], np.diff(own) != 0]))
            places, found = own[starts], [*_of_sets(solved, starts)]
        density[part, places] = found[0]
        within[places] = np.logaddexp(within[places], np.logaddexp.reduce(found[1], axis=0) - np.log(S))
        digits[places] = np.minimum(digits[places], found[2].min(axis=0))
    return LeftOut(density=density, within=within, z=z, digits=digits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Solved:
    """The equations of all rows at B draws, rows sorted: w (B, N, k), P w, r (B, N), P r, and R^-1."""

    w: Array
    Pw: Array
    r: Array
    Pr: Array
    precision: RowPrecision


def _of_rows(at: _Solved) -> tuple[Array, Array, Array, Array]:
    """Return density, within, digits and z of each row (B, N)."""
    P = at.precision.diagonal
    c = np.sum(at.Pw**2, axis=2)
    Q = np.maximum(P - c, np.finfo(float).tiny)
    z = at.Pr / np.sqrt(Q)
    density = 0.5 * (np.log(Q) - z**2 - _LOG_2PI)
    # Given the rows it is connected with, y_r has the residual g / P and the variance 1 / P + c / P^2.
    spread = P + c
    within = np.log(P) - 0.5 * (np.log(spread) + at.Pr**2 / spread + _LOG_2PI)
    return density, within, Q / P, z


def _of_sets(at: _Solved, starts: Index) -> tuple[Array, Array, Array]:
    """Return density, within and digits of each set (B, K), whose first rows are given."""

    def sums(rows: Array) -> Array:
        return np.asarray(np.add.reduceat(rows, starts, axis=1))

    n = np.diff(np.append(starts, at.r.shape[1]))
    E = _products(at.w, at.Pw, starts)
    a, squares, log_det = sums(at.w * at.Pr[:, :, None]), sums(at.r * at.Pr), sums(at.precision.log_det)
    share, axes = np.linalg.eigh(0.5 * (E + np.swapaxes(E, 2, 3)))
    left = np.maximum(1.0 - share, np.finfo(float).tiny)
    along = np.einsum("sjki,sjk->sji", axes, a) ** 2
    known = squares + log_det + n * _LOG_2PI
    density = -0.5 * (known - np.sum(np.log(left), axis=2) + np.sum(along / left, axis=2))
    within = -0.5 * (known + np.sum(np.log1p(share), axis=2) - np.sum(along / (1.0 + share), axis=2))
    return density, within, left.min(axis=2, initial=1.0)


def _products(w: Array, Pw: Array, starts: Index) -> Array:
    """Return w_J'P w_J (B, K, k, k) of each set; of many columns without the products of all rows at once."""
    B, N, k = w.shape
    if k <= _FEW_COLUMNS:
        return np.asarray(np.add.reduceat(w[:, :, :, None] * Pw[:, :, None, :], starts, axis=1))
    out = np.empty((B, len(starts), k, k))
    for j, (a, b) in enumerate(pairwise([*starts.tolist(), N])):
        out[:, j] = np.swapaxes(w[:, a:b], 1, 2) @ Pw[:, a:b]
    return out


def _solved(problem: Problem, cov: Covariances, border: Border) -> Iterator[tuple[slice, _Solved]]:
    """Return the solved equations, some draws at a time."""
    X, y, W0 = _population(problem)
    N, factors = len(y), problem.design.factors
    width = X.shape[1] + sum((1 if f == border.factor else len(o.levels)) * o.Z.shape[1] for f, o in enumerate(factors))
    S = len(cov.sd)
    step = max(1, _CHUNK_VALUES // (N * (width + 2)))
    layout_order = border.order
    for first in range(0, S, step):
        part = slice(first, min(first + step, S))
        draws = Draws(
            beta=np.empty((part.stop - first, 0)), b={}, error_sd=cov.error_sd[part], error_corr=cov.error_corr[part]
        )
        precision = _sorted(row_precision(problem.layout, draws), layout_order)
        yield part, _solve(problem, border, cov.Lambda[part], precision, (X, y, W0))


def _sorted(precision: RowPrecision, order: Index) -> RowPrecision:
    """Return R^-1 of sorted rows."""

    def times(Y: Array) -> Array:
        unsorted = np.empty_like(Y)
        unsorted[:, order] = Y
        return precision.times(unsorted)[:, order]

    return type(precision)(diagonal=precision.diagonal[:, order], log_det=precision.log_det[:, order], times=times)


def _population(problem: Problem) -> tuple[Array, Array, Array]:
    """Return X (N, p), y (N,) and the prior of beta (p + 1, p + 1), in internal coordinates of the likelihood."""
    likelihood, design, fixed = problem.likelihood("prior"), problem.design, problem.fixed
    gram = likelihood.gram
    X = design.X[:, ~fixed.is_fixed]
    y = design.y - design.X[:, fixed.is_fixed] @ fixed.value[fixed.is_fixed] - X @ gram.y_shift
    return X @ gram.x_map, y, likelihood.W0


def _solve(
    problem: Problem, border: Border, Lambda: Array, precision: RowPrecision, of: tuple[Array, Array, Array]
) -> _Solved:
    """Return the equations of all rows at B draws, solved."""
    X, y, W0 = of
    order, B, p = border.order, len(Lambda), X.shape[1]
    Z, columns = None, [np.broadcast_to(X[order], (B, *X.shape))]
    for f, (factor, mine) in enumerate(zip(problem.design.factors, problem.parameters.factor_slices, strict=True)):
        own = factor.Z[order] @ Lambda[:, mine, mine]  # (draw, row, column)
        if f == border.factor:
            Z = own
        else:
            columns.append(_spread(own, factor.index[order], len(factor.levels)))
    W = np.concatenate([*columns, np.broadcast_to(y[order][:, None], (B, len(y), 1))], axis=2)
    PW = precision.times(W)
    m = W.shape[2] - 1
    H = np.tile(np.eye(m + 1), (B, 1, 1))
    H[:, m, m] = 0.0
    H[:, np.r_[:p, m][:, None], np.r_[:p, m]] = W0
    parts: list[tuple[Array, Array]] = []
    if Z is not None:
        W, PW, fit, own_part = _without_groups(Z, precision.times(Z), W, PW, border)
        H += np.swapaxes(fit, 1, 2) @ fit
        parts.append(own_part)
    H += np.swapaxes(W, 1, 2) @ PW
    # Columns in units of their own before anything is factored.
    scale = np.sqrt(np.diagonal(H, axis1=1, axis2=2)[:, :m])
    A = H[:, :m, :m] / (scale[:, :, None] * scale[:, None, :])
    F_inverse = np.linalg.inv(np.linalg.cholesky(0.5 * (A + np.swapaxes(A, 1, 2)))) / scale[:, None, :]
    coefficients = np.swapaxes(F_inverse, 1, 2) @ (F_inverse @ H[:, :m, m:])
    r, Pr = (values[:, :, m] - (values[:, :, :m] @ coefficients)[:, :, 0] for values in (W, PW))
    back = np.swapaxes(F_inverse, 1, 2)
    parts.append((W[:, :, :m] @ back, PW[:, :, :m] @ back))
    w, Pw = (np.concatenate(arrays, axis=2) for arrays in zip(*parts, strict=True))
    return _Solved(w=w, Pw=Pw, r=r, Pr=Pr, precision=precision)


def _spread(own: Array, index: Index, J: int) -> Array:
    """Return the columns (B, N, J q) of a factor whose group columns are own (B, N, q)."""
    B, N, q = own.shape
    out = np.zeros((B, N, J, q))
    out[:, np.arange(N), index] = own
    return out.reshape(B, N, J * q)


def _without_groups(
    Z: Array, PZ: Array, W: Array, PW: Array, border: Border
) -> tuple[Array, Array, Array, tuple[Array, Array]]:
    """Return what groups leave of W and PW, their fits (B, J q, m + 1), and Z L'^-1 with P times it."""
    starts = border.starts
    place = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, Z.shape[1])))

    def sums(left: Array, right: Array) -> Array:
        return np.asarray(np.add.reduceat(left[:, :, :, None] * right[:, :, None, :], starts, axis=1))

    M = np.eye(Z.shape[2]) + sums(Z, PZ)  # (draw, group, column, column)
    L_inverse = np.linalg.inv(np.linalg.cholesky(0.5 * (M + np.swapaxes(M, 2, 3))))
    back = np.swapaxes(L_inverse, 2, 3)
    fit = back @ (L_inverse @ sums(Z, PW))
    of_rows = fit[:, place]
    left = tuple(values - _rowwise(z, of_rows) for values, z in ((W, Z), (PW, PZ)))
    back_of_rows = back[:, place]
    own = tuple(_rowwise(z, back_of_rows) for z in (Z, PZ))
    return left[0], left[1], fit.reshape(len(fit), -1, fit.shape[3]), (own[0], own[1])


def _rowwise(z: Array, A: Array) -> Array:
    """Return z' A of each row, (B, N, m), from z (B, N, q) and A (B, N, q, m): q is small, and einsum slow for that."""
    out = z[:, :, 0, None] * A[:, :, 0]
    for i in range(1, z.shape[2]):
        out += z[:, :, i, None] * A[:, :, i]
    return np.asarray(out)
