"""Draws of the coefficients of groups of one or two, a strip of them at a time (numba).

What `moments_kernels.block_draws` does, in the layout and by the means of `strip_kernels`. With M = T D T' and
e = B_y - B_X beta, a draw of b is Lambda (M^-1 Lambda' e + T'^-1 D^-1/2 z) with z standard normal.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from hierreg.compiled.array_kernels import empty, in_shape, zeros
from hierreg.compiled.lanes import STRIP
from hierreg.compiled.parts import part
from hierreg.likelihood.groups.strip_kernels import (
    FACTOR,
    INVERSE_0,
    INVERSE_1,
    factor_rows,
    factor_strip,
    only_term,
    products,
    scaled,
    solve_column,
    solve_row_column,
    times_factor,
    times_triangle,
)


@part
def room_for_products(blocks):
    """Return room for A and B of a tile of several terms."""
    p1, m = blocks[3].shape[1], blocks[3].shape[2]
    return empty(m * m * STRIP), empty(m * p1 * STRIP)


@part
def _root(omega, indptr, term, t):
    """Return sqrt(omega) of a tile with one term, whose `products` are without omega; 1 of others."""
    k = only_term(indptr, term, t, np.int64(len(omega)))
    return sqrt(omega[k]) if k < len(omega) else 1.0


@part
def _factor(root, Lambda, is_triangle, A, M, N, width):
    """Write the factors of M, and those of N of triangles, whose A is C."""
    if not is_triangle:
        factor_strip(root, Lambda, A, M, width)
        return
    factor_rows(root, Lambda, A, N, width)
    if len(Lambda) == 1:
        for lane in range(width):
            M[INVERSE_0 + lane] = N[INVERSE_0 + lane]
        return
    l00, l01, l10, l11 = scaled(root, Lambda)
    size = l00 * l11 - l01 * l10
    for lane in range(width):
        c00, c01, c11 = A[lane], A[STRIP + lane], A[3 * STRIP + lane]
        x00, x01, x10, x11 = c00 * l00 + c01 * l10, c00 * l01 + c01 * l11, c11 * l10, c11 * l11
        whole = c00 * c11 * size
        m0 = 1.0 + (x00 * x00 + x10 * x10)
        M[INVERSE_0 + lane] = 1.0 / m0
        M[FACTOR + lane] = (x00 * x01 + x10 * x11) / m0
        M[INVERSE_1 + lane] = m0 / (m0 + (x01 * x01 + x11 * x11) + whole * whole)


@part
def _solve(root, Lambda, is_triangle, A, b, M, N, x, width):
    """Write M^-1 root Lambda' B of one column, or root Lambda' C'N^-1 D; the second half of x is room."""
    if not is_triangle:
        solve_column(root, Lambda, b, M, x, width)
        return
    column = len(b)
    solve_row_column(b, N, x, width)
    times_triangle(A, N, x[column:], x[:column], width)
    if len(Lambda) == 1:
        f = root * Lambda[0, 0]
        for lane in range(width):
            x[lane] *= f
        return
    l00, l01, l10, l11 = scaled(root, Lambda)
    for lane in range(width):
        h0, h1 = x[lane], x[STRIP + lane]
        x[lane] = l00 * h0 + l10 * h1
        x[STRIP + lane] = l01 * h0 + l11 * h1


@part
def strip_draws(covariances, blocks, t, beta, normals, levels, draws):
    """Write a draw of b given each draw of beta for the groups of one tile, user scale.

    Parameters
    ----------
    covariances : tuple
        omega (S, K), Lambda (S, q, q) internal and Lambda_user (S, q, q).
    blocks : tuple
        See `tiles.Tiles.arrays`.
    t : int
        The tile.
    beta : array (S, p)
        Internal.
    normals : array (S, m n)
        Independent standard normals of the n lanes that are used, the first ones, by coefficient.
    levels : int array (n,)
        Where each of them writes.
    draws : array (S, J, q)
        Written at the levels.
    """
    omega, Lambda, Lambda_user = covariances
    indptr, term, ZtZ, ZtW, _, factored = blocks
    all_A, all_B = in_shape(ZtZ, ZtZ.size), in_shape(ZtW, ZtW.size)
    m, width, n = ZtW.shape[2], ZtW.shape[3], len(levels)
    room_A, room_B = room_for_products(blocks)
    M, e, x, z = empty(4 * STRIP), empty(m * STRIP), empty(2 * m * STRIP), zeros(m * STRIP)
    is_triangle, of_rows = factored[t], empty(4 * STRIP)
    for s in range(len(omega)):
        root = _root(omega[s], indptr, term, t)
        A, B = products(omega[s], indptr, term, all_A, all_B, t, room_A, room_B)
        _factor(root, Lambda[s], is_triangle, A, M, of_rows, width)
        _residuals(B, root, beta[s], e)
        _solve(root, Lambda[s], is_triangle, A, e, M, of_rows, x, width)
        for i in range(m):
            source, row = normals[s, i * n : (i + 1) * n], z[i * STRIP : i * STRIP + n]
            for lane in range(n):
                row[lane] = source[lane]
        _add_noise(M, x, z, m, width)
        times_factor(Lambda_user[s], z, e, width)
        for lane in range(n):
            for i in range(m):
                draws[s, levels[lane], i] = e[i * STRIP + lane]


@part
def _residuals(B, root, beta, e):
    """Write e = root (B_y - B_X beta) of one tile."""
    n, p = len(e), len(beta)
    y = B[p * n : (p + 1) * n]
    for i in range(n):
        e[i] = root * y[i]
    for c in range(p):
        f, x = root * beta[c], B[c * n : (c + 1) * n]
        for i in range(n):
            e[i] -= f * x[i]


@part
def _add_noise(M, x, z, m, width):
    """Replace z by x + T'^-1 D^-1/2 z."""
    if m == 1:
        for lane in range(width):
            z[lane] = x[lane] + z[lane] * sqrt(M[INVERSE_0 + lane])
        return
    for lane in range(width):
        z1 = z[STRIP + lane] * sqrt(M[INVERSE_1 + lane])
        z[lane] = x[lane] + z[lane] * sqrt(M[INVERSE_0 + lane]) - M[FACTOR + lane] * z1
        z[STRIP + lane] = x[STRIP + lane] + z1
