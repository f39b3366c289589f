"""Groups of several error terms, and groups linked by errors, by their rows (numba).

With V_m the error covariance of a missingness pattern m and T_m'T_m = V_m^-1, a block's rows (`gram.triangles`) become
independent with variances of one by T_m within each unit. For a basis C of the rows of Z, Z = S C, they are rotated
into one triangle::

    rows [T S, T W]  ->  [R, D] and what is left of W      (R upper triangular)
    A = Z'R^-1 Z = C'R'R C

so that [R C, D] is to the block what the triangle of a single term is in `kernels`, with squares of what is left added
to W'V^-1 W. Nothing is subtracted. With P the rows S R^-1 of data set d, E what the conditional mean of the group's
coefficients leaves of its rows of W, and Y = N^-1 D,

    E_d = W_d - P_d (D - Y)
    d log p / d omega[d, e] = -1/2 ( <P_d (I - N^-1), P_e> + <G, E_d'E_e> ),    twice that where d != e
"""

from __future__ import annotations

from math import log, sqrt

from hierreg.compiled.array_kernels import empty, ones, zeros
from hierreg.compiled.lanes import LANES
from hierreg.compiled.parts import part
from hierreg.likelihood.groups.lane_kernels import (
    add_gradient_of_factor,
    factor_one_plus,
    solve_unit,
    times_matrix,
    times_repeated,
)
from hierreg.variances.precision_kernels import place_of


@part
def rotate_rows(root, rows, t, R, D, left):
    """Write R (m, m) and D (m, p + 1) of a tile, and add squares of what is left of W to left, its lower triangle.

    ``left`` is None where that is not wanted.
    """
    indptr, term, size, height, all_S, all_W, _, is_left, fit = rows
    m, p1 = D.shape[0], D.shape[1]
    z, w = empty((m, LANES)), empty((p1, LANES))
    cosine, sine = empty(LANES), empty(LANES)
    R[:] = 0.0
    D[:] = 0.0
    for e in range(indptr[t], indptr[t + 1]):
        n = size[e]
        for row in range(height[e]):
            first, i = row - row % n, row % n
            for c in range(m):
                for lane in range(LANES):
                    z[c, lane] = 0.0
            for c in range(p1):
                for lane in range(LANES):
                    w[c, lane] = 0.0
            for d in range(i + 1):
                f = root[term[e] + place_of(n, d, i)]
                for c in range(m):
                    for lane in range(LANES):
                        z[c, lane] += f * all_S[e, first + d, c, lane]
                for c in range(p1):
                    for lane in range(LANES):
                        w[c, lane] += f * all_W[e, first + d, c, lane]
            for c in range(m):
                for lane in range(LANES):
                    a, b = R[c, c, lane], z[c, lane]
                    length = sqrt(a * a + b * b)
                    over = 1.0 / length if length > 0.0 else 0.0
                    cosine[lane] = a * over if length > 0.0 else 1.0
                    sine[lane] = b * over
                    R[c, c, lane] = length
                for j in range(c + 1, m):
                    for lane in range(LANES):
                        x, y = R[c, j, lane], z[j, lane]
                        R[c, j, lane] = cosine[lane] * x + sine[lane] * y
                        z[j, lane] = cosine[lane] * y - sine[lane] * x
                for j in range(p1):
                    for lane in range(LANES):
                        x, y = D[c, j, lane], w[j, lane]
                        D[c, j, lane] = cosine[lane] * x + sine[lane] * y
                        w[j, lane] = cosine[lane] * y - sine[lane] * x
            if left is None:
                continue
            for i in range(p1):
                for j in range(i + 1):
                    for lane in range(LANES):
                        left[i, j, lane] += is_left[t, i, lane] * w[i, lane] * is_left[t, j, lane] * w[j, lane]
    for i in range(m):
        for j in range(p1):
            for lane in range(LANES):
                D[i, j, lane] *= is_left[t, j, lane]
            for k in range(i, m):
                for lane in range(LANES):
                    D[i, j, lane] += R[i, k, lane] * fit[t, k, j, lane]


@part
def times_basis(R, basis, out):
    """Write R C to out (m, m), R upper triangular."""
    m = R.shape[0]
    for i in range(m):
        for j in range(m):
            for lane in range(LANES):
                out[i, j, lane] = 0.0
            for k in range(i, m):
                for lane in range(LANES):
                    out[i, j, lane] += R[i, k, lane] * basis[k, j, lane]


@part
def room_for_rows(rows, n_tiles):
    """Return arrays for what `absorb_rows` finds in each tile and the gradient needs again: R, D, L, pivots, L^-1 D."""
    if rows is None:
        return None
    m, p1 = rows[4].shape[2], rows[5].shape[2]
    return (
        empty((n_tiles, m, m, LANES)),
        empty((n_tiles, m, p1, LANES)),
        empty((n_tiles, m, m, LANES)),
        empty((n_tiles, m, LANES)),
        empty((n_tiles, m, p1, LANES)),
    )


@part
def absorb_rows(root, Lambda, rows, factors, total):
    """Add what every block adds to W'R^-1 W to the last place of total; return the sum of log|N|.

    ``total`` (K + 1, p + 1, p + 1, LANES); ``factors`` has room for every tile, or for one.
    """
    if rows is None:
        return 0.0
    Rs, Ds, Ls, pivots, Us = factors
    n, m, p1, K = Us.shape[0], Us.shape[1], Us.shape[2], total.shape[0] - 1
    A, X = empty((m, m, LANES)), empty((m, m, LANES))
    d, column, share = empty((m, LANES)), empty((m, LANES)), empty((2, LANES))
    log_det, det = 0.0, 1.0
    for t in range(len(rows[0]) - 1):
        s = t % n
        R, D, L, U = Rs[s], Ds[s], Ls[s], Us[s]
        rotate_rows(root, rows, t, R, D, total[K])
        times_basis(R, rows[6][t], A)
        times_repeated(A, Lambda, False, X)
        factor_one_plus(X, False, L, d, pivots[s], column, share)
        for i in range(m):
            for j in range(p1):
                for lane in range(LANES):
                    U[i, j, lane] = D[i, j, lane]
        solve_unit(L, U)
        for i in range(m):
            # Few logarithms are taken because each costs as much as a small block.
            for lane in range(LANES):
                det *= d[i, lane]
                if not det < 1e150:
                    log_det += log(det)
                    det = 1.0
        for i in range(p1):
            for j in range(i + 1):
                for r in range(m):
                    for lane in range(LANES):
                        total[K, i, j, lane] += U[r, i, lane] * pivots[s, r, lane] * U[r, j, lane]
    return log_det + log(det)


@part
def rows_of_residual(rows, beta):
    """Return rows whose only column is y - X beta."""
    indptr, term, size, height, S, W, basis, is_left, fit = rows
    p, m = len(beta), S.shape[2]
    residual = zeros((W.shape[0], W.shape[1], 1, LANES))
    whole, fitted = ones((len(basis), 1, LANES)), zeros((len(basis), m, 1, LANES))
    for t in range(len(basis)):
        for c in range(p + 1):
            f = 1.0 if c == p else -beta[c]
            for e in range(indptr[t], indptr[t + 1]):
                for row in range(height[e]):
                    for lane in range(LANES):
                        residual[e, row, 0, lane] += f * is_left[t, c, lane] * W[e, row, c, lane]
            for i in range(m):
                for lane in range(LANES):
                    fitted[t, i, 0, lane] += f * fit[t, i, c, lane]
    return indptr, term, size, height, S, residual, basis, whole, fitted


@part
def gradient_of_rows(Lambda, rows, factors, P_inv, T, g_factor, g_omega):
    """Add the blocks' part of d log p / d Lambda to the last place of g_factor, and of d log p / d omega to g_omega.

    ``P_inv`` (p, p) and T (p + 1, p + 1) are those of `kernels.population_weights`.
    """
    if rows is None:
        return
    Rs, Ds, Ls, pivots, Us = factors
    m, p1, q, K = Us.shape[1], Us.shape[2], Lambda.shape[0], g_factor.shape[0] - 1
    A, N, of_rows = empty((m, m, LANES)), empty((m, m, LANES)), zeros((q, q, LANES))
    H, HT, once = empty((m, p1, LANES)), empty((m, p1, LANES)), empty((0, LANES))
    for t in range(len(rows[0]) - 1):
        L, pivot = Ls[t], pivots[t]
        times_basis(Rs[t], rows[6][t], A)
        solve_unit(L, A)
        add_gradient_of_factor(A, pivot, Us[t], T, H, HT, N, of_rows, once)
        # From here on H is Y = N^-1 D.
        for j in range(p1):
            for i in range(m - 1, -1, -1):
                for lane in range(LANES):
                    H[i, j, lane] = pivot[i, lane] * Us[t, i, j, lane]
                for k in range(i + 1, m):
                    for lane in range(LANES):
                        H[i, j, lane] -= L[k, i, lane] * H[k, j, lane]
        _gradient_of_omega(rows, t, (Rs[t], Ds[t], L, pivot, H), P_inv, T[:, p1 - 1], g_omega)
    for i in range(q):
        for j in range(q):
            for r in range(q):
                f = Lambda[r, j]
                for lane in range(LANES):
                    g_factor[K, i, j, lane] += f * of_rows[i, r, lane]


@part
def _gradient_of_omega(rows, t, factors, P_inv, v, g_omega):
    """Add d log p / d omega of one tile; ``factors`` are R, D, L, pivots and Y of it, v is (-beta, 1).

    Residuals E v are added up before they are squared: where population columns fit the rows, E v v'E' as E G E' would
    be the rounding of squares of the response, times a large precision.
    """
    indptr, term, size, height, all_S, all_W, _, is_left, _ = rows
    R, D, L, pivot, Y = factors
    m, p1 = D.shape[0], D.shape[1]
    p, widest = p1 - 1, 0
    for e in range(indptr[t], indptr[t + 1]):
        widest = max(widest, size[e])
    P, F = empty((widest, m, LANES)), empty((widest, m, LANES))
    E, EP, residual = zeros((widest, p1, LANES)), empty((widest, p, LANES)), empty((widest, LANES))
    sums = empty(LANES)
    for e in range(indptr[t], indptr[t + 1]):
        n = size[e]
        for first in range(0, height[e], n):
            for d in range(n):
                _row_in_factors(all_S[e, first + d], R, L, P[d], F[d])
                for c in range(p1):
                    for lane in range(LANES):
                        E[d, c, lane] = all_W[e, first + d, c, lane]
                    for r in range(m):
                        for lane in range(LANES):
                            E[d, c, lane] -= P[d, r, lane] * D[r, c, lane]
                    for lane in range(LANES):
                        E[d, c, lane] *= is_left[t, c, lane]
                    for r in range(m):
                        for lane in range(LANES):
                            E[d, c, lane] += P[d, r, lane] * Y[r, c, lane]
                for lane in range(LANES):
                    residual[d, lane] = 0.0
                for c in range(p1):
                    f = v[c]
                    for lane in range(LANES):
                        residual[d, lane] += E[d, c, lane] * f
            times_matrix(E, P_inv, EP)
            for d in range(n):
                for b in range(d + 1):
                    for lane in range(LANES):
                        sums[lane] = residual[b, lane] * residual[d, lane]
                    for r in range(m):
                        for lane in range(LANES):
                            sums[lane] += P[b, r, lane] * P[d, r, lane] - F[b, r, lane] * F[d, r, lane] * pivot[r, lane]
                    for c in range(p):
                        for lane in range(LANES):
                            sums[lane] += EP[b, c, lane] * E[d, c, lane]
                    share = -0.5 if b == d else -1.0
                    for lane in range(LANES):
                        g_omega[term[e] + place_of(n, b, d)] += share * sums[lane]


@part
def _row_in_factors(z, R, L, P, F):
    """Write P = z R^-1 and F = L^-1 P' of a row z (m,); where R has no pivot z has nothing."""
    m = z.shape[0]
    for c in range(m):
        for lane in range(LANES):
            P[c, lane] = z[c, lane]
        for k in range(c):
            for lane in range(LANES):
                P[c, lane] -= P[k, lane] * R[k, c, lane]
        for lane in range(LANES):
            P[c, lane] = P[c, lane] / R[c, c, lane] if R[c, c, lane] > 0.0 else 0.0
    for c in range(m):
        for lane in range(LANES):
            F[c, lane] = P[c, lane]
        for k in range(c):
            for lane in range(LANES):
                F[c, lane] -= L[c, k, lane] * F[k, lane]
