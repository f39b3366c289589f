"""Draws of all coefficients near a point whose tail is factored already: no factorisation for each.

With C0 = L0 L0' the tail's matrix at that point and C the one at a draw of the variance parameters, A = L0^-1 C L0'^-1
is I + E with a small E. Both that is needed of it are power series in E, whose terms are products with C and solves
with L0, for many draws at once::

    coefficients of the tail ~ L0'^-1 (A^-1 L0^-1 c + A^-1/2 z)     z standard normal
    A^-1 = sum over k of (-E)^k      A^-1/2 = sum over k of binomial(-1/2, k) E^k

to nine digits (`_TOLERANCE`); C is a sparse matrix, a diagonal, and what elimination takes off: B' W B, B the products
of the staged levels with the tail, W diagonal. Any square root of the covariance does: that it is of A makes it one.

This is for factors of one coefficient each, of which one is staged. Where a series does not end in time, that draw is
made by its own factorisation.

References
----------
Higham, N. J. (2008). Functions of Matrices. SIAM, section 4.3, on power series of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.likelihood.crossed.draws import indicator, kept_for_summaries, standard_draws
from hierreg.likelihood.crossed.equations import split_coefficients
from hierreg.likelihood.drawn import EffectSummary, Recovered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from hierreg.gram import Gram
    from hierreg.likelihood.crossed.engine import CrossedLikelihood
    from hierreg.likelihood.crossed.plan import Plan
    from hierreg.variances.parameters import Covariances

    Array = NDArray[np.float64]

# Draws at once, terms of a series at most, and what ends it, beside its sum.
_AT_ONCE, _MOST_TERMS, _TOLERANCE = 24, 40, 1e-9
_STREAM = 107


def can_be_near(plan: Plan, gram: Gram) -> bool:
    """Return whether draws can be made this way: one staged factor, one coefficient each, no links by errors."""
    alone = all(factor.n_coef == 1 and not factor.has_links for factor in gram.factors)
    return len(plan.staged) == 1 and len(plan.tail) > 0 and alone


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matrices:
    """Sparse parts of S by term: tail (D, D) symmetric, panels of levels (J, D), diagonal of levels (K, J)."""

    tail: tuple[Any, ...]
    panels: tuple[Any, ...]
    own: Array


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
    if not can_be_near(likelihood.plan, likelihood.gram):
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
    scales = np.einsum("sff->sf", likelihood.z_map_inverse @ covariances.Lambda)
    weights = likelihood.errors.weights_of_draws(covariances.error_cov)
    for first in range(0, len(scales), _AT_ONCE):
        some = slice(first, min(first + _AT_ONCE, len(scales)))
        rng = np.random.default_rng([seed, _STREAM, first])
        z = rng.standard_normal((some.stop - first, plan.n_node_columns + plan.n_tail - 1)).T
        out = np.ascontiguousarray(_some_draws(likelihood, matrices, L0, (scales[some], weights[some]), z).T)
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


def _some_draws(
    likelihood: CrossedLikelihood, matrices: _Matrices, L0: Array, at: tuple[Array, Array], z: Array
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
        return np.asarray(solve_triangular(L0, x, lower=True, trans=int(transposed), check_finite=False))

    y = np.zeros((D, m))
    y[-1] = 1.0
    rhs = solved(products(y)[1][:-1], transposed=False)
    x = solved(_series(products, solved, np.hstack([rhs, z[J:]])), transposed=True)
    tail = np.vstack([x, np.full((1, m), -1.0)])
    levels, _ = products(tail)
    L = np.sqrt(M)
    return np.vstack([(z[:J] - of_levels / L * levels) / L, tail])


def _series(products: Callable[[Array], tuple[Array, Array]], solved: Callable[..., Array], start: Array) -> Array:
    """Return A^-1 times the first half of the columns plus A^-1/2 times the second; NaN where a series did not end."""
    m = start.shape[1] // 2
    total, term = start.copy(), start
    coefficient = np.ones(2)
    size = np.linalg.norm(start, axis=0)
    change = size
    for k in range(1, _MOST_TERMS + 1):
        inside = np.vstack([solved(term, transposed=True), np.zeros((1, 2 * m))])
        term = solved(products(inside)[1][:-1], transposed=False) - term
        coefficient = coefficient * np.array([-1.0, -(k - 0.5) / k])
        step = np.repeat(coefficient, m) * term
        total += step
        change = np.linalg.norm(step, axis=0)
        if np.all(change <= _TOLERANCE * size):
            break
    out: Array = total[:, :m] + total[:, m:]
    failed = ~(change <= _TOLERANCE * size)
    out[:, failed[:m] | failed[m:]] = np.nan
    return out
