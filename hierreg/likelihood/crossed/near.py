"""Draws of all coefficients near a point whose tail is factored already: no factorisation for each.

With C0 = L0 L0' the tail's matrix at that point, C the one at a draw of the variance parameters, and a diagonal D that
gives DCD about the diagonal of C0, A = L0^-1 DCD L0'^-1 has most of its eigenvalues near one. Both that is needed of it
::

    coefficients of the tail ~ D L0'^-1 (A^-1 L0^-1 D c + A^-1/2 z)     z standard normal

comes from Krylov spaces of A: with V_k an orthonormal basis of those of k products, V_1 = z / |z|, and the tridiagonal
T_k = V_k' A V_k, A^-1/2 z is |z| V_k T_k^-1/2 e_1 to nine digits (`_TOLERANCE`) after about ten products with C and
solves with L0, for many draws at once. A few eigenvalues far from one, where an sd that few levels tell is half or
twice that of the point, cost a product each. C is a sparse matrix, a diagonal, and what elimination takes off: B' W B,
B the products of the staged levels with the tail, W diagonal. Any square root of the covariance does: that it is of A
makes it one.

This is for factors of one coefficient each, of which one is staged. Where the digits do not come in time, that draw is
made by its own factorisation.

References
----------
Chow, E. and Saad, Y. (2014). Preconditioned Krylov subspace methods for sampling multivariate Gaussian distributions.
SIAM Journal on Scientific Computing 36(2), A588-A608.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.likelihood.crossed.draws import indicator, kept_for_summaries, standard_draws
from hierreg.likelihood.crossed.equations import split_coefficients
from hierreg.likelihood.crossed.plan import is_plain
from hierreg.likelihood.drawn import EffectSummary, Recovered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from hierreg.likelihood.crossed.engine import CrossedLikelihood
    from hierreg.variances.parameters import Covariances

    Array = NDArray[np.float64]

# Draws at once, products for each at most, and the change, beside the whole, that another one makes at the end.
_AT_ONCE, _MOST_PRODUCTS, _TOLERANCE = 24, 40, 1e-9
_STREAM = 107


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matrices:
    """Sparse parts of S by term: tail (D, D) symmetric, panels of levels (J, D), diagonal of levels (K, J)."""

    tail: tuple[Any, ...]
    panels: tuple[Any, ...]
    own: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """The point near which draws are: L0 and the diagonal of C0 (D - 1,), sds of the factors (f,), weights of terms."""

    L: Array
    diagonal: Array
    scales: Array
    weights: Array


def recover_near(
    likelihood: CrossedLikelihood,
    covariances: Covariances,
    point: tuple[Array, Array],
    *,
    seed: int,
    probs: Sequence[float] | None,
    theta_columns: Sequence[Sequence[int | None]],
) -> Recovered | None:
    """Return one draw of the coefficients per draw of the variance parameters; None where they cannot be made so.

    See `engines.recover`. Where only summaries are asked for, they are those of draws, evenly spaced.

    Parameters
    ----------
    likelihood : CrossedLikelihood
    covariances : Covariances
        At S draws of the variance parameters.
    point : arrays (q, q) and (D, D)
        Lambda, user scale, and the error covariance near which all of them are.
    seed : int
    probs, theta_columns
    """
    if not is_plain(likelihood.plan, likelihood.gram):
        return None
    S, width = len(covariances.Lambda), likelihood.plan.n_node_columns + likelihood.plan.n_tail
    kept = np.arange(S) if probs is None else kept_for_summaries(likelihood, S) if probs else np.arange(0)
    rows, beta = np.empty((len(kept), width)), np.empty((S, len(likelihood.gram.coef_names)))
    for some, draws in _batches(likelihood, covariances, point, seed):
        beta[some] = split_coefficients(likelihood, draws, covariances.Lambda[some])[0]
        here = (kept >= some.start) & (kept < some.stop)
        rows[here] = draws[kept[here] - some.start]
    if probs is not None and not probs:
        return Recovered(beta=beta, b=None, b_summary=None, theta_summary=None)
    b = split_coefficients(likelihood, rows, covariances.Lambda[kept])[1]
    if probs is None:
        return Recovered(beta=beta, b=b, b_summary=None, theta_summary=None)
    matches = [indicator(columns, beta.shape[1]) for columns in theta_columns]
    theta = [draws + (beta[kept] @ E.T)[:, None, :] for draws, E in zip(b, matches, strict=False)]
    return Recovered(
        beta=beta,
        b=None,
        b_summary=tuple(_summary(draws, probs) for draws in b),
        theta_summary=tuple(_summary(draws, probs) for draws in theta) if theta else (None,) * len(b),
    )


def _summary(draws: Array, probs: Sequence[float]) -> EffectSummary:
    quantiles = np.quantile(draws, probs, axis=0)
    return EffectSummary(mean=draws.mean(axis=0), sd=draws.std(axis=0), quantiles=quantiles)


def _batches(
    likelihood: CrossedLikelihood, covariances: Covariances, point: tuple[Array, Array], seed: int
) -> Iterator[tuple[slice, Array]]:
    """Yield some draws after the others, (m, n_node_columns + D) as `carry_back` writes them."""
    plan = likelihood.plan
    internal = np.ascontiguousarray(likelihood.z_map_inverse @ point[0])
    _, _, factored = likelihood.eliminated(internal, likelihood.errors.weights(point[1]))
    L0 = factored[:-1, :-1].copy()
    matrices = _matrices(likelihood)
    base = _Base(
        L=L0,
        diagonal=np.array([row[: i + 1] @ row[: i + 1] for i, row in enumerate(L0)]),
        scales=np.diagonal(internal),
        weights=likelihood.errors.weights(point[1]),
    )
    scales = np.einsum("sff->sf", likelihood.z_map_inverse @ covariances.Lambda)
    weights = likelihood.errors.weights_of_draws(covariances.error_cov)
    for first in range(0, len(scales), _AT_ONCE):
        some = slice(first, min(first + _AT_ONCE, len(scales)))
        rng = np.random.default_rng([seed, _STREAM, first])
        z = rng.standard_normal((some.stop - first, plan.n_node_columns + plan.n_tail - 1)).T
        out = np.ascontiguousarray(_some_draws(likelihood, matrices, base, (scales[some], weights[some]), z).T)
        failed = np.flatnonzero(~np.isfinite(out).all(axis=1))
        if len(failed):
            out[failed] = standard_draws(likelihood, covariances, first + failed, seed, 1)
        yield some, out


def _matrices(likelihood: CrossedLikelihood) -> _Matrices:
    from scipy.sparse import coo_array

    plan, (place, term, value, _) = likelihood.plan, likelihood.sources.arrays
    J, D, K = plan.n_node_columns, plan.n_tail, likelihood.gram.terms.n_terms
    in_tail, in_panel = place >= plan.tail_at, (place >= J) & (place < plan.tail_at)
    row, col = np.divmod(place[in_tail] - plan.tail_at, D)
    node = np.searchsorted(plan.panel_at, place[in_panel], side="right") - 1
    column = plan.column[plan.column_at[node] + place[in_panel] - plan.panel_at[node]] - J
    tail, panels, own = [], [], np.zeros((K, J))
    for k in range(K):
        mine = term[in_tail] == k
        upper = coo_array((value[in_tail][mine], (row[mine], col[mine])), shape=(D, D)).tocsr()
        tail.append((upper + upper.T - _diagonal(upper)).tocsr())
        mine = term[in_panel] == k
        panels.append(coo_array((value[in_panel][mine], (node[mine], column[mine])), shape=(J, D)).tocsr())
        mine = (term == k) & (place < J)
        np.add.at(own[k], place[mine], value[mine])
    return _Matrices(tail=tuple(tail), panels=tuple(panels), own=own)


def _diagonal(matrix: Any) -> Any:
    from scipy.sparse import dia_array

    return dia_array((matrix.diagonal()[None], [0]), shape=matrix.shape)


def _balance(likelihood: CrossedLikelihood, matrices: _Matrices, base: _Base, at: tuple[Array, Array]) -> Array:
    """Return D (D - 1, m): what the diagonal of C is at m draws, as if groups left as much of each column."""
    plan, (scales, weights), K = likelihood.plan, at, len(matrices.own)
    squares = np.stack([S.diagonal()[:-1] for S in matrices.tail], axis=1)
    then = (squares @ base.weights[:K])[:, None]
    # A level in whose rows the predictor is zero has none.
    ratio = np.where(then > 0, squares @ weights[:, :K].T, 1.0) / np.where(then > 0, then, 1.0)
    T = plan.n_tail_b
    before, now = base.scales[plan.tail_lambda], scales[:, plan.tail_lambda].T
    left = np.where(before > 0, (base.diagonal[:T] - 1.0) / np.where(before > 0, before, 1.0) ** 2, 0.0)
    own = np.concatenate([1.0 + now**2 * ratio[:T] * left[:, None], ratio[T:] * base.diagonal[T:, None]])
    return np.asarray(np.sqrt(base.diagonal[:, None] / own))


def _some_draws(
    likelihood: CrossedLikelihood, matrices: _Matrices, base: _Base, at: tuple[Array, Array], z: Array
) -> Array:
    """Return draws (n_node_columns + D, m) from standard normals z (n_node_columns + D - 1, m)."""
    from scipy.linalg import solve_triangular

    plan, (scales, weights) = likelihood.plan, at
    J, D, T, m = plan.n_node_columns, plan.n_tail, plan.n_tail_b, len(at[0])
    K = len(matrices.own)
    omega = weights[:, :K]
    scale = np.ones((D, m))
    scale[:T] = scales[:, plan.tail_lambda].T
    of_levels = scales[:, plan.node_start].T
    M = 1.0 + of_levels**2 * (matrices.own.T @ omega.T)
    prior = np.zeros((D, D - T))
    prior[T:] = likelihood.W0
    balance = _balance(likelihood, matrices, base, at)

    def products(x: Array) -> tuple[Array, Array]:
        """Return B T x of levels (J, columns), and C x (D, columns), for x (D, columns), the m draws side by side."""

        def wide(a: Array) -> Array:
            return np.tile(a, x.shape[1] // m)

        x_T, levels, left = x * wide(scale), np.zeros((J, x.shape[1])), np.zeros(x.shape)
        for B, S, w in zip(matrices.panels, matrices.tail, omega.T, strict=True):
            levels += B @ (x_T * wide(w))
            left += S @ (x_T * wide(w))
        weighted = wide(of_levels**2 / M) * levels
        for B, w in zip(matrices.panels, omega.T, strict=True):
            left -= (B.T @ weighted) * wide(w)
        C_x: Array = wide(scale) * left + prior @ x[T:]
        C_x[:T] += x[:T]
        return levels, C_x

    def solved(x: Array, *, transposed: bool) -> Array:
        """Return D L0'^-1 x, or L0^-1 D x."""
        both = np.tile(balance, x.shape[1] // m)
        inside = x if transposed else both * x
        out = np.asarray(solve_triangular(base.L, inside, lower=True, trans=int(transposed), check_finite=False))
        return both * out if transposed else out

    y = np.zeros((D, m))
    y[-1] = 1.0
    rhs = solved(products(y)[1][:-1], transposed=False)
    x = solved(_roots(products, solved, np.hstack([rhs, z[J:]])), transposed=True)
    tail = np.vstack([x, np.full((1, m), -1.0)])
    levels, _ = products(tail)
    L = np.sqrt(M)
    return np.vstack([(z[:J] - of_levels / L * levels) / L, tail])


def _roots(products: Callable[[Array], tuple[Array, Array]], solved: Callable[..., Array], start: Array) -> Array:
    """Return A^-1 times the first half of the columns plus A^-1/2 times the second; NaN where digits did not come."""
    m = start.shape[1] // 2
    size = np.linalg.norm(start, axis=0)
    basis = [start / np.where(size > 0, size, 1.0)]
    diagonal, beside = [], [np.zeros(2 * m)]
    before, found, change = np.zeros((0, 2 * m)), np.zeros((0, 2 * m)), np.full(2 * m, np.inf)
    for k in range(1, _MOST_PRODUCTS + 1):
        inside = np.vstack([solved(basis[-1], transposed=True), np.zeros((1, 2 * m))])
        new = solved(products(inside)[1][:-1], transposed=False)
        # Of a column whose space is whole nothing is left: ones on its diagonal change nothing.
        is_left = basis[-1].any(axis=0)
        diagonal.append(np.where(is_left, np.einsum("ij,ij->j", basis[-1], new), 1.0))
        for one in basis:
            new -= one * np.einsum("ij,ij->j", one, new)
        before, found = found, _of_tridiagonal(np.array(diagonal), np.array(beside[1:]), m)
        if k > 1:
            change = np.linalg.norm(found - np.vstack([before, np.zeros((1, 2 * m))]), axis=0)
        length = np.linalg.norm(new, axis=0)
        if np.all(change <= _TOLERANCE):
            break
        beside.append(length)
        basis.append(new / np.where(length > 0, length, 1.0))
    out = np.zeros(start.shape)
    for one, of_one in zip(basis, found, strict=False):
        out += one * (size * of_one)
    both: Array = out[:, :m] + out[:, m:]
    failed = ~(change <= _TOLERANCE)
    both[:, failed[:m] | failed[m:]] = np.nan
    return both


def _of_tridiagonal(diagonal: Array, beside: Array, m: int) -> Array:
    """Return T^-1 e_1 (k, m), then T^-1/2 e_1 (k, m), of 2 m tridiagonal matrices (k, k)."""
    k, places = len(diagonal), np.arange(len(diagonal))
    T = np.zeros((2 * m, k, k))
    T[:, places, places] = diagonal.T
    if k > 1:
        T[:, places[1:], places[:-1]] = beside.T
    values, vectors = np.linalg.eigh(T)
    power = np.repeat([-1.0, -0.5], m)[:, None]
    of_values = np.maximum(values, np.finfo(float).tiny) ** power
    return np.asarray(np.einsum("sij,sj,sj->is", vectors, of_values, vectors[:, 0]))
