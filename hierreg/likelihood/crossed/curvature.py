"""The exact Hessian of the marginal likelihood of uncorrelated crossed effects, over logarithms of their sds.

With factors of one coefficient each, one of them staged, and one error variance 1 / omega, let C be the whole
standardised matrix, C = D A D + I on groups + W0, D the sds on the diagonal, A the cross-products times omega, and
B = C^-1; F_fg = |B_fg|^2 the squares of a block of B, t_f = tr B_ff, x the standardised coefficients. Of log|C| and of
the penalised residual sum of squares Q the second derivatives with respect to the log sds f, g are::

    log|C|:  4 (t_f [f = g] - F_fg)        Q:  4 x_f'x_f [f = g] - 8 x_f'B_fg x_g

and those with respect to log omega sums of the same. So no block of B is needed beside its squares. With the staged
levels of pivots M_j and standardised products u_j with the tail, N = sum of u_j'u_j / M_j (in which u_j is divided by
the root of M_j already) and B_t the inverse of the tail, of the staged factor s ::

    t_s = sum 1 / M_j + u_j B_t u_j' / M_j      F_sd = sum over rows of d of B_t N B_t
    F_ss = sum 1 / M_j^2 + 2 u_j B_t u_j' / M_j^2 + tr (B_t N)^2

that is one product of dense matrices, as long as a gradient and a half, in place of two gradients for each parameter.

References
----------
Johnson, D. L. and Thompson, R. (1995). Restricted maximum likelihood estimation of variance components for univariate
animal models using sparse matrix techniques and average information. Journal of Dairy Science 78(2), 449-456.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.compiled.lapack import addresses_of_lapack
from hierreg.likelihood.crossed.plan import is_plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.crossed.engine import CrossedLikelihood

    Array = NDArray[np.float64]


def has_curvature(likelihood: CrossedLikelihood) -> bool:
    """Return whether the Hessian has this form."""
    terms = likelihood.gram.terms
    return is_plain(likelihood.plan, likelihood.gram) and terms.n_terms == 1 and terms.n_sd == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Solved:
    """What the quadratic form needs: v = (-x, 1) by columns, and B times the part of v of each factor, and of z.

    Attributes
    ----------
    quadratic : float
    v : array (J + D,)
    of_factors : list of arrays (J + D - 1,)
        B E_f v.
    z, of_z : arrays (J + D - 1,)
        Minus the derivative of the equations with respect to log omega, and B z.
    """

    quadratic: float
    v: Array
    of_factors: list[Array]
    z: Array
    of_z: Array


def curvature_of_crossed(likelihood: CrossedLikelihood, Lambda: Array, error_cov: Array) -> Array | None:
    """Return the Hessian (q + 1, q + 1) of the log likelihood over the log sds of all factors, then that of the errors.

    Parameters
    ----------
    likelihood : CrossedLikelihood
    Lambda : array (q, q)
        User scale.
    error_cov : array (1, 1)

    Returns
    -------
    array (q + 1, q + 1) or None
        None where it has not this form (`has_curvature`), a standard deviation is zero, or there is no density.
    """
    from hierreg.likelihood.crossed.large_kernels import invert_leading

    if not has_curvature(likelihood) or not np.diagonal(Lambda).all():
        return None
    plan = likelihood.plan
    internal = np.ascontiguousarray(likelihood.z_map_inverse @ Lambda)
    value, S, C = likelihood.eliminated(internal, likelihood.errors.weights(error_cov))
    if value == -np.inf:
        return None
    J, D, T = plan.n_node_columns, plan.n_tail, plan.n_tail_b
    owner = np.full(J + D - 1, -1)
    for f, factor in enumerate(likelihood.gram.factors):
        owner[plan.first_column[f] + np.arange(factor.n_levels)] = f
    M = 1.0 + internal[plan.node_start, plan.node_start] ** 2 * S[plan.diag_at]
    scale = np.ones(D)
    scale[plan.tail_start] = internal[plan.tail_lambda, plan.tail_lambda]
    solved = _solve(likelihood, S, C, (M, scale, owner))
    invert_leading(C, D - 1 if likelihood.integrate else T, addresses_of_lapack())
    t, F, F_X = _blocks(likelihood, S, C, (M, scale, owner))
    n, W = len(t), likelihood.W0[:-1, :-1]
    beside, P = t - F.sum(axis=1) - np.einsum("ab,fba->f", W, F_X), C[T : D - 1, T : D - 1]
    log_det = np.zeros((n + 1, n + 1))
    log_det[:n, :n] = 4.0 * (np.diag(t) - F)
    log_det[:n, n] = log_det[n, :n] = 2.0 * beside
    WP = W @ P
    log_det[n, n] = beside.sum() + np.trace(WP) - np.einsum("ab,fba->", W, F_X) - np.sum(WP * WP.T)
    H = -0.5 * (log_det + _of_quadratic(solved, owner, likelihood.W0, n))
    # From log omega to the log sd of errors.
    H[:n, n] *= -2.0
    H[n, :n] *= -2.0
    H[n, n] *= 4.0
    return H


def _of_quadratic(solved: _Solved, owner: NDArray[np.intp], W0: Array, n: int) -> Array:
    """Return the second derivatives (n + 1, n + 1) of Q with respect to the log sds and log omega."""
    v, p1 = solved.v, len(W0)
    parts = [np.where(owner == f, v[:-1], 0.0) for f in range(n)]
    out = np.zeros((n + 1, n + 1))
    for f in range(n):
        out[f, f] = 4.0 * float(parts[f] @ parts[f])
        for g in range(n):
            out[f, g] -= 8.0 * float(parts[f] @ solved.of_factors[g])
        out[f, n] = out[n, f] = -4.0 * float(parts[f] @ solved.of_z)
    rest = v[-p1:]
    penalty = sum(float(part @ part) for part in parts) + float(rest @ W0 @ rest)
    out[n, n] = solved.quadratic - penalty - 2.0 * float(solved.z @ solved.of_z)
    return out


def _solve(likelihood: CrossedLikelihood, S: Array, C: Array, at: tuple[Array, Array, NDArray[np.intp]]) -> _Solved:
    """Solve the equations with the factor C for the coefficients and what is asked of B."""
    from scipy.sparse import csr_array

    from hierreg.likelihood.crossed.large_kernels import solve_leading

    plan, (M, scale, owner) = likelihood.plan, at
    J, D, n = plan.n_node_columns, plan.n_tail, len(likelihood.gram.factors)
    root = np.sqrt(M)
    # Products of levels, U, which take the place of panels; columns of the tail standardised.
    kept = S[plan.tail_at + D * D :]
    U = csr_array((kept * scale[plan.column - J], plan.column - J, plan.column_at), shape=(J, D))

    def backwards(h: Array, half: Array) -> Array:
        tail = half.copy()
        solve_leading(C, D - 1, tail, True)
        return np.concatenate([(h - U @ np.append(tail, 0.0)) / root, tail])

    def times_B(r: Array) -> Array:
        h = r[:J] / root
        half = r[J:] - (U.T @ h)[:-1]
        solve_leading(C, D - 1, half, False)
        return backwards(h, half)

    row = C[-1, :-1].copy()
    x = backwards(np.asarray(U @ np.eye(D)[-1]), row)
    v = np.append(-x, 1.0)
    of_factors = [times_B(np.where(owner == f, v[:-1], 0.0)) for f in range(n)]
    z, p1 = np.where(owner >= 0, v[:-1], 0.0), len(likelihood.W0)
    z[len(z) - p1 + 1 :] += (likelihood.W0 @ v[-p1:])[:-1]
    return _Solved(quadratic=float(C[-1, -1] - row @ row), v=v, of_factors=of_factors, z=z, of_z=times_B(z))


def _blocks(
    likelihood: CrossedLikelihood, S: Array, B: Array, at: tuple[Array, Array, NDArray[np.intp]]
) -> tuple[Array, Array, Array]:
    """Return t (n,), F (n, n) and of each factor B_Xf B_fX (n, p, p), from the inverse B of the tail; S is used up."""
    from hierreg.likelihood.crossed.kernels import make_symmetric, products_with_tail, take_from_tail

    plan, (M, scale, owner) = likelihood.plan, at
    J, D, T, n = plan.n_node_columns, plan.n_tail, plan.n_tail_b, len(likelihood.gram.factors)
    nodes, dense, rows = plan.nodes, plan.dense, plan.rows
    U = S[plan.tail_at + D * D :]
    width = np.diff(plan.column_at)
    U *= scale[plan.column - J] / np.repeat(np.sqrt(M), width)
    V = np.empty(plan.tail_at)
    products_with_tail(S, nodes, dense, rows, B, V)
    forms = np.add.reduceat(U * V[plan.panel_at[0] :], plan.column_at[:-1])
    N = S[plan.tail_at : plan.tail_at + D * D].reshape(D, D)
    N[:] = 0.0
    take_from_tail(S, nodes, dense, rows)
    make_symmetric(S, plan.tail_at, D)
    # Minus B N.
    G = B @ N
    staged, of_tail = plan.staged[0], owner[J:]
    t, F, F_X = np.zeros(n), np.zeros((n, n)), np.zeros((n, D - 1 - T, D - 1 - T))
    X = slice(T, D - 1)
    t[staged] = float(np.sum(1.0 / M + forms))
    F[staged, staged] = float(np.sum((1.0 / M + 2.0 * forms) / M)) + _product_trace(G, G)
    F_X[staged] = -G[X] @ B[:, X]
    along = -np.einsum("ik,ik->i", G, B)
    for f in plan.tail:
        mine = np.flatnonzero(of_tail == f)
        first = slice(int(mine[0]), int(mine[-1]) + 1)
        t[f] = float(np.trace(B[first, first]))
        F[f, staged] = F[staged, f] = float(along[first].sum())
        F_X[f] = B[X, first] @ B[first, X]
        for g in plan.tail:
            others = np.flatnonzero(of_tail == g)
            block = B[first, int(others[0]) : int(others[-1]) + 1]
            F[f, g] = float(np.einsum("ij,ij->", block, block))
    return t, F, F_X


def _product_trace(G: Array, H: Array, step: int = 512) -> float:
    """Return tr(G H), some columns at a time."""
    return float(sum(np.sum(G[i : i + step] * H[:, i : i + step].T) for i in range(0, len(G), step)))
