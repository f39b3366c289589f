"""Conditional means, covariances and draws of beta and b given the variance parameters (numba).

Given Lambda and omega the coefficients are jointly Gaussian: beta ~ N(beta_hat, P^-1), and per block
b | beta ~ N(Lambda U (-beta, 1), Lambda M^-1 Lambda'). With v = (-beta_hat, 1) and U_X the X part of U::

    E b   = Lambda U v           Var b = Lambda M^-1 Lambda' + Lambda U_X P^-1 U_X' Lambda'

beta is in internal coordinates; b is carried to the user's by the rows of Lambda = z_map Lambda_internal.
"""

from __future__ import annotations

from math import sqrt

from hierreg.compiled.array_kernels import empty
from hierreg.compiled.lanes import LANES
from hierreg.compiled.parts import part
from hierreg.likelihood.groups.kernels import factor_tile
from hierreg.likelihood.groups.lane_kernels import (
    add_times_transposed,
    factor_one_plus,
    repeated_over_transposed,
    repeated_times,
    root_terms,
    solve_unit,
    times,
    times_matrix,
    times_repeated,
    weighted_products,
)
from hierreg.likelihood.groups.row_kernels import rotate_rows, times_basis


@part
def _factor_block(precision, Lambda, blocks, rows, t, A, B, X, L, pivot, U, work):
    """Do what `kernels.factor_tile` does; of triangles by H = C'N^-1 D, with M^-1 Lambda' B = Lambda' H.

    ``precision`` is omega (K,) of tiles in ``blocks``, roots (K,) of those in ``rows``; the other is None.
    """
    m, p1 = B.shape[0], B.shape[1]
    d, column, share, H = empty((m, LANES)), empty((m, LANES)), empty((2, LANES)), empty(B.shape)
    if blocks is not None:
        indptr, term, ZtZ, ZtW, _, factored = blocks
        if not factored[t]:
            factor_tile(precision, Lambda, blocks, t, A, B, X, L, pivot, U, work)
            return
        root_terms(precision, indptr[t], indptr[t + 1], term, ZtZ, A)
        root_terms(precision, indptr[t], indptr[t + 1], term, ZtW, B)
    # Not else: numba leaves out the branch of what is None.
    if rows is not None:
        rotate_rows(precision, rows, t, X, B, None)
        times_basis(X, rows[6][t], A)
    times_repeated(A, Lambda, False, X)
    factor_one_plus(X, False, L, d, pivot, column, share)
    solve_unit(L, B)
    solve_unit(L, A)
    weighted_products(A, pivot, B, H)
    repeated_times(Lambda, True, H, B)
    factor_one_plus(X, True, L, d, pivot, column, share)
    for j in range(m):
        for lane in range(LANES):
            d[j, lane] = sqrt(d[j, lane])
            pivot[j, lane] = 1.0 / d[j, lane]
        for i in range(j, m):
            for lane in range(LANES):
                L[i, j, lane] *= d[j, lane]
    for i in range(m):
        for j in range(p1):
            for lane in range(LANES):
                U[i, j, lane] = 0.0
            for r in range(i, m):
                for lane in range(LANES):
                    U[i, j, lane] += L[r, i, lane] * B[r, j, lane]


@part
def block_moments(covariance, rows, v, beta_factor, moments):
    """Write the moments of b, user scale, of every block by its rows at one value of the variance parameters.

    Parameters
    ----------
    covariance : tuple
        Roots (K,), Lambda (q, q) internal and Lambda_user (q, q).
    rows : tuple
        See `rows.RowTiles.arrays`.
    v : array (p + 1, 1)
        (-beta_hat, 1), internal scale.
    beta_factor : array (p, p)
        F, with covariance F F' of internal beta = F u.
    moments : tuple of arrays (n, m, 1, LANES), (n, m, m, LANES), (n, m, m, LANES), (n, m, p, LANES)
        Overwritten: E b, Var b with beta integrated out, Var(b | beta), Cov(b, u).
    """
    precision, Lambda, Lambda_user = covariance
    mean, cov, cond_cov, cross = moments
    m, p1 = cov.shape[1], len(v)
    p = p1 - 1
    square, wide = (m, m, LANES), (m, p1, LANES)
    A, B, AL, L = empty(square), empty(wide), empty(square), empty(square)
    pivot, U, F = empty((m, LANES)), empty(wide), empty(square)
    for t in range(len(mean)):
        _factor_block(precision, Lambda, None, rows, t, A, B, AL, L, pivot, U, F)
        repeated_over_transposed(Lambda_user, L, pivot, F)
        times(F, U, B)
        times_matrix(B, v, mean[t])
        cond_cov[t] = 0.0
        add_times_transposed(F, F, cond_cov[t])
        times_matrix(B, beta_factor, cross[t])
        for i in range(m):
            for j in range(m):
                for lane in range(LANES):
                    cov[t, i, j, lane] = cond_cov[t, i, j, lane]
                for c in range(p):
                    for lane in range(LANES):
                        cov[t, i, j, lane] += cross[t, i, c, lane] * cross[t, j, c, lane]
        for i in range(m):
            for c in range(p):
                for lane in range(LANES):
                    cross[t, i, c, lane] = -cross[t, i, c, lane]


@part
def block_draws(covariances, blocks, rows, first, beta, draws):
    """Write a draw of b given each draw of beta for n tiles from tile ``first`` on, user scale.

    Parameters
    ----------
    covariances : tuple
        omega (S, K), or roots of rows, Lambda (S, q, q) internal and Lambda_user (S, q, q).
    blocks, rows : tuple or None
        See `tiles.Tiles.arrays` and `rows.RowTiles.arrays`; one of them.
    beta : array (S, p)
        Draws, internal.
    draws : array (S, n, m, LANES)
        Holds independent standard normals; replaced by b = F (L^-1 Lambda'(B_y - B_X beta) + normals), with
        F = Lambda L'^-1.
    """
    precision, Lambda, Lambda_user = covariances
    m, p1 = draws.shape[2], beta.shape[1] + 1
    p = p1 - 1
    square, wide = (m, m, LANES), (m, p1, LANES)
    A, B, AL, L = empty(square), empty(wide), empty(square), empty(square)
    pivot, U, F = empty((m, LANES)), empty(wide), empty(square)
    x = empty((m, LANES))
    for t in range(draws.shape[1]):
        for s in range(len(precision)):
            _factor_block(precision[s], Lambda[s], blocks, rows, first + t, A, B, AL, L, pivot, U, F)
            repeated_over_transposed(Lambda_user[s], L, pivot, F)
            for i in range(m):
                for lane in range(LANES):
                    x[i, lane] = U[i, p, lane] + draws[s, t, i, lane]
                for c in range(p):
                    for lane in range(LANES):
                        x[i, lane] -= U[i, c, lane] * beta[s, c]
            for i in range(m):
                for lane in range(LANES):
                    draws[s, t, i, lane] = 0.0
                for k in range(m):
                    for lane in range(LANES):
                        draws[s, t, i, lane] += F[i, k, lane] * x[k, lane]
