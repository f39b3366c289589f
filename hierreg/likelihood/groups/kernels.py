"""The marginal likelihood with all Gaussian coefficients integrated out, and its gradient (numba).

The mathematics and its symbols are those of the page in `hierreg.likelihood`, general blocks here; the layouts that
are faster for few coefficients are in `strip_kernels` and `theta_kernels`, groups by their rows in `row_kernels`.
"""

from __future__ import annotations

from math import isfinite, log, sqrt

import numpy as np

from hierreg.compiled.address_kernels import (
    GRADIENT,
    MOMENTS,
    matrix_at,
    square_of,
    stack_at,
    vector_at,
    vector_of,
)
from hierreg.compiled.array_kernels import empty, local, local_zeros, zeros
from hierreg.compiled.dense_kernels import (
    cholesky_in_place,
    factor_of_inverse,
    inverse_from_cholesky,
    solve_vector,
)
from hierreg.compiled.lanes import EPS, LANES
from hierreg.compiled.parts import part
from hierreg.likelihood.groups.lane_kernels import (
    add_gradient_of_factor,
    add_lanes,
    add_times_transposed,
    cholesky_of_one_plus,
    factor_one_plus,
    repeated_over_transposed,
    repeated_times,
    root_terms,
    solve_lower,
    solve_lower_transposed,
    solve_unit,
    sum_terms,
    times_matrix,
    times_repeated,
    weigh,
    weighted_log_det,
)
from hierreg.likelihood.groups.record import BASE
from hierreg.likelihood.groups.row_kernels import (
    absorb_rows,
    gradient_of_rows,
    room_for_rows,
    rows_of_residual,
)
from hierreg.likelihood.groups.strip_kernels import (
    absorb_strips,
    gradient_of_strips,
    log_of_product,
    multiply,
    only_term,
    room_for_strips,
)
from hierreg.likelihood.groups.theta_kernels import absorb_theta, gradient_of_theta
from hierreg.variances.precision_kernels import place_of


@part
def factor_tile(omega, Lambda, blocks, t, A, B, LA, L, pivot, U, work):
    """Write A, B, LA = Lambda' A, the Cholesky factor L of M = I + Lambda' A Lambda, and U = L^-1 Lambda' B."""
    indptr, term, ZtZ, ZtW, _, _ = blocks
    sum_terms(omega, indptr[t], indptr[t + 1], term, ZtZ, ZtW, A, B)
    repeated_times(Lambda, True, A, LA)
    times_repeated(LA, Lambda, False, work)
    cholesky_of_one_plus(work, L, pivot)
    repeated_times(Lambda, True, B, U)
    solve_lower(L, pivot, U)


@part
def room_for_factors(blocks, n_tiles):
    """Return arrays for what `absorb_blocks` finds in each tile and the gradient needs again: L, pivots, U."""
    if blocks is None:
        return None
    m, p1, width = blocks[2].shape[1], blocks[3].shape[2], blocks[2].shape[3]
    return empty((n_tiles, m, m, width)), empty((n_tiles, m, width)), empty((n_tiles, m, p1, width))


@part
def is_missing(kind):
    """Return whether a kind of groups is None."""
    return kind is None


@part
def n_tiles_of(blocks):
    """Return the number of tiles, zero of None."""
    return 0 if blocks is None else len(blocks[0]) - 1


@part
def absorb_blocks(omega, Lambda, blocks, factors, total):
    """Add what every block adds to W'R^-1 W to total; return the sum of log|M|, NaN on failure.

    That is D'N^-1 D of triangles, -U'U = -(Lambda' B)' M^-1 Lambda' B of others. ``total`` (K + 1, p + 1, p + 1, LANES)
    is by the only term of a tile, its last place for tiles of several; the width of a tile is a multiple of LANES.
    ``factors`` has room for every tile, or for one where they are not needed again.
    """
    if blocks is None:
        return 0.0
    weight, factored, (Ls, pivots, Us) = blocks[4], blocks[5], factors
    n, m, p1, width = Us.shape[0], Us.shape[1], Us.shape[2], Us.shape[3]
    product, sums = local(width), local(width)
    A, B = local((m, m, width)), local((m, p1, width))
    LA, work = local((m, m, width)), local((m, m, width))
    d, column, share = local((m, width)), local((m, width)), local((2, width))
    log_det, det = 0.0, local(width)
    det[:] = 1.0
    for t in range(len(blocks[0]) - 1):
        s, k = t % n, only_term(blocks[0], blocks[1], t, np.int64(len(omega)))
        L, U = Ls[s], Us[s]
        if factored[t]:
            indptr, term, ZtZ, ZtW, _, _ = blocks
            root_terms(omega, indptr[t], indptr[t + 1], term, ZtZ, A)
            root_terms(omega, indptr[t], indptr[t + 1], term, ZtW, U)
            times_repeated(A, Lambda, False, LA)
            factor_one_plus(LA, False, L, d, pivots[s], column, share)
            solve_unit(L, U)
            if t < len(weight):
                log_det += _weighted_logs(d, weight[t])
            for i in range(m if t >= len(weight) else 0):
                if not multiply(det, d[i]):
                    log_det += log_of_product(det)
                    det[:] = 1.0
            for i in range(p1):
                for j in range(i + 1):
                    sums[:] = 0.0
                    for r in range(m):
                        for lane in range(width):
                            sums[lane] += U[r, i, lane] * pivots[s, r, lane] * U[r, j, lane]
                    add_lanes(1.0, sums, total[k, i, j])
            continue
        factor_tile(omega, Lambda, blocks, t, A, B, LA, L, pivots[s], U, work)
        if t < len(weight):
            log_det += weighted_log_det(L, weight[t])
        for i in range(m if t >= len(weight) else 0):
            # Pivots are at least one; few logarithms are taken because each costs as much as a small block.
            for lane in range(width):
                product[lane] = L[i, i, lane] * L[i, i, lane]
            if not multiply(det, product):
                log_det += log_of_product(det)
                det[:] = 1.0
        for i in range(p1):
            for j in range(i + 1):
                sums[:] = 0.0
                for r in range(m):
                    for lane in range(width):
                        sums[lane] += U[r, i, lane] * U[r, j, lane]
                add_lanes(-1.0, sums, total[k, i, j])
    return log_det + log_of_product(det)


@part
def _weighted_logs(d, weight):
    """Return the sum over lanes of weight times log|diag(d)|."""
    total = 0.0
    for lane in range(len(weight)):
        # Most weights are zero, and a logarithm costs as much as a small block.
        if weight[lane] != 0.0:
            for i in range(d.shape[0]):
                total += weight[lane] * log(d[i, lane])
    return total


@part
def gradient_of_blocks(omega, Lambda, blocks, factors, weights, g_factor, g_omega):
    """Add the blocks' part of d log p / d Lambda to g_factor, and that of tiles of several terms to g_omega.

    ``g_factor`` (K + 1, q, q, LANES) is by the only term of a tile, as in `absorb_blocks`; ``weights`` are G and its
    root T (`population_weights`).
    """
    if blocks is None:
        return
    indptr, term, ZtZ, ZtW, weight, factored = blocks
    G, T = weights
    Ls, pivots, Us = factors
    m, p1, q, K, width = Us.shape[1], Us.shape[2], Lambda.shape[0], len(omega), Us.shape[3]
    sums = local(width)
    A, B, E = local((m, m, width)), local((m, p1, width)), local((m, m, width))
    U, H, HG = local((m, p1, width)), local((m, p1, width)), local((m, p1, width))
    of_triangles, is_any = local_zeros((K + 1, q, q, width)), False
    for t in range(len(indptr) - 1):
        k, L, pivot = only_term(indptr, term, t, K), Ls[t], pivots[t]
        if factored[t]:
            is_any = True
            root_terms(omega, indptr[t], indptr[t + 1], term, ZtZ, A)
            solve_unit(L, A)
            add_gradient_of_factor(A, pivot, Us[t], T, H, HG, E, of_triangles[k], weight[t : t + 1])
            continue
        sum_terms(omega, indptr[t], indptr[t + 1], term, ZtZ, ZtW, A, B)
        # E = L^-1 Lambda' A, so that A Lambda U = E'(L' U) and (A Lambda M^-1)' = L'^-1 E.
        repeated_times(Lambda, True, A, E)
        solve_lower(L, pivot, E)
        for i in range(m):
            for j in range(p1):
                for lane in range(width):
                    H[i, j, lane] = B[i, j, lane]
                for r in range(m):
                    for lane in range(width):
                        H[i, j, lane] -= E[r, i, lane] * Us[t, r, j, lane]
        times_matrix(H, G, HG)
        # A loop: copying by slices costs seconds of compilation.
        for i in range(m):
            for j in range(p1):
                for lane in range(width):
                    U[i, j, lane] = Us[t, i, j, lane]
        solve_lower_transposed(L, pivot, U)
        solve_lower_transposed(L, pivot, E)
        if t < len(weight):
            weigh(E, weight[t])
        for i in range(m):
            for j in range(i - i % q, i - i % q + q):
                for lane in range(width):
                    sums[lane] = -E[j, i, lane]
                for c in range(p1):
                    for lane in range(width):
                        sums[lane] += HG[i, c, lane] * U[j, c, lane]
                add_lanes(1.0, sums, g_factor[k, i % q, j % q])
        if k == K:
            _gradient_of_terms(Lambda, blocks, t, L, pivot, U, G, (A, E, H, HG), g_omega)
    for k in range(K if is_any else 0):
        for i in range(q):
            for j in range(q):
                for r in range(q):
                    f = Lambda[r, j]
                    add_lanes(f, of_triangles[k, i, r], g_factor[k, i, j])


@part
def _gradient_of_terms(Lambda, blocks, t, L, pivot, U, G, room, g_omega):
    """Add d log p / d omega of one tile: -1/2 (<N, ZtZ[k]> - 2 <Q, ZtW[k]>) for each of its terms.

    ``room`` has two arrays (m, m, width) and two (m, p + 1, width), overwritten.
    """
    indptr, term, ZtZ, ZtW, weight, _ = blocks
    m, p1, width = U.shape[0], U.shape[1], U.shape[2]
    F, N, LU, Q = room
    sums = local(width)
    for i in range(m):
        for j in range(m):
            for lane in range(width):
                N[i, j, lane] = 0.0
    # With F = Lambda L'^-1: Lambda M^-1 Lambda' = F F'.
    repeated_over_transposed(Lambda, L, pivot, F)
    repeated_times(Lambda, False, U, LU)
    times_matrix(LU, G, Q)
    add_times_transposed(F, F, N)
    if t < len(weight):
        weigh(N, weight[t])
    add_times_transposed(Q, LU, N)
    for e in range(indptr[t], indptr[t + 1]):
        sums[:] = 0.0
        for i in range(m):
            for j in range(m):
                for lane in range(width):
                    sums[lane] += N[i, j, lane] * ZtZ[e, i, j, lane]
            for j in range(p1):
                for lane in range(width):
                    sums[lane] -= 2.0 * Q[i, j, lane] * ZtW[e, i, j, lane]
        for lane in range(width):
            g_omega[term[e]] -= 0.5 * sums[lane]


@part
def collect_gradient(omega, Lambda, base, total, g_factor, G, G_base, g_Lambda, g_omega):
    """Add up g_Lambda over terms and lanes, and complete g_omega; ``G_base`` is G, less v v' where rows have that part.

    In a block with one term A and B are omega times fixed matrices, so M depends on sqrt(omega) Lambda alone: with S
    what it adds to W'R^-1 W, d log p / d omega = (<Lambda, d log p / d Lambda> - <G, S>) / (2 omega).
    """
    K, p1, q = base.shape[0], base.shape[1], Lambda.shape[0]
    for k in range(K + 1):
        along_Lambda, of_total = 0.0, 0.0
        for i in range(q):
            for j in range(q):
                s = 0.0
                for lane in range(LANES):
                    s += g_factor[k, i, j, lane]
                g_Lambda[i, j] += s
                along_Lambda += s * Lambda[i, j]
        if k == K:
            break
        for i in range(p1):
            for j in range(p1):
                g_omega[k] -= 0.5 * G_base[i, j] * base[k, i, j]
                for lane in range(LANES):
                    of_total += G[i, j] * total[k, max(i, j), min(i, j), lane]
        if along_Lambda != 0.0 or of_total != 0.0:
            g_omega[k] += 0.5 * (along_Lambda - of_total) / omega[k]


@part
def reduce_population(omega, base, W0, most_subtracted, total, B, C):
    """Write C = W'V^-1 W + W0, with the base of `SplitBlocks` and the total of `absorb_blocks`, and B, the total alone.

    The last element is NaN where blocks without triangles subtract more than ``most_subtracted`` of a population
    column, beside what is left of it. The density has no digits there, or too few.
    """
    p1 = C.shape[0]
    is_lost = False
    for i in range(p1):
        for j in range(i + 1):
            t, own = W0[i, j], 0.0
            for k in range(len(omega)):
                t += omega[k] * base[k, i, j]
            for k in range(len(total)):
                for lane in range(LANES):
                    own += total[k, i, j, lane]
            t += own
            B[i, j] = own
            B[j, i] = B[i, j]
            C[i, j] = t
            C[j, i] = t
        if i < p1 - 1:
            is_lost |= -own > most_subtracted * t
    if is_lost:
        C[p1 - 1, p1 - 1] = np.nan


# What all other coefficients leave of a coefficient's precision, as a share, below which P is refused: where digits
# are asked for, and where a density is.
KNOWN_TO_DIGITS, _KNOWN_AT_ALL = 1e-7, 1e-12


@part
def solve_population(C, B, P, beta, is_strict):
    """Write the Cholesky factor of P = C[:p, :p] and beta = P^-1 C[:p, p]; return log|P| and the residual form.

    NaN where too little is left of a coefficient's precision beside the others, of what is added up or subtracted of B
    in C: rounding of the whole stands in its place.
    """
    p = C.shape[0] - 1
    least = KNOWN_TO_DIGITS if is_strict else _KNOWN_AT_ALL
    for i in range(p):
        beta[i] = C[i, p]
        for j in range(p):
            P[i, j] = C[i, j]
    if not cholesky_in_place(P, p):
        return np.nan, np.nan
    solve_vector(P, p, beta, False)
    log_det, quadratic = 0.0, C[p, p]
    for i in range(p):
        if P[i, i] * P[i, i] < least * (abs(C[i, i] - B[i, i]) + abs(B[i, i])):
            return np.nan, np.nan
        log_det += 2.0 * log(P[i, i])
        quadratic -= beta[i] * beta[i]
    solve_vector(P, p, beta, True)
    return log_det, quadratic


@part
def has_digits(C, B, P, quadratic, most_subtracted, is_strict):
    """Return whether the residual form has digits that is left of C, from which -B was subtracted.

    Absolute ones, less than ``most_subtracted`` taken off; or relative ones, where all coefficients are known to eight
    and it is a prior that the response is far from. P holds the Cholesky factor of its precision.
    """
    p = len(C) - 1
    subtracted = -B[p, p]
    if is_strict and quadratic < KNOWN_TO_DIGITS * (abs(C[p, p] + subtracted) + abs(subtracted)):
        return False
    if subtracted <= most_subtracted:
        return True
    for i in range(p):
        if P[i, i] * P[i, i] < KNOWN_TO_DIGITS * (abs(C[i, i] - B[i, i]) + abs(B[i, i])):
            return False
    return EPS * subtracted <= 1e-9 * quadratic


@part
def residual_form(root, rows, B, beta):
    """Return v'(W'V^-1 W + W0) v of v = (-beta, 1) from rows, squared after they are added up.

    At the conditional mean that is the residual form, correct to the square of what rounding changes of beta, where the
    difference in `solve_population` has no digits if population columns fit what groups leave. ``rows`` are `left` and
    `left_of` of `SplitBlocks`, and the pseudo-observations of the prior; B is what groups fit.
    """
    left, left_of, prior = rows
    p = len(beta)
    value = B[p, p]
    for i in range(len(prior)):
        whole = _residual(prior, i, beta)
        value += whole * whole
    for i in range(p):
        value -= 2.0 * beta[i] * B[i, p]
        for j in range(p):
            value += beta[i] * B[i, j] * beta[j]
    for m in range(len(left_of)):
        first, height, n, term = left_of[m, 0], left_of[m, 1], left_of[m, 2], left_of[m, 3]
        for i in range(height):
            for e in range(n):
                whole = 0.0
                for d in range(e + 1):
                    whole += root[term + place_of(n, d, e)] * _residual(left, first + d * height + i, beta)
                value += whole * whole
    return value


@part
def is_noise(B, beta, value):
    """Return whether v'B v, to the rounding of what is added up in it, is not known to eleven digits.

    B adds squares up before they are multiplied by v: what cancels there is better added up as squares of residuals.
    """
    p, size = len(beta), sqrt(max(B[len(beta), len(beta)], 0.0))
    for i in range(p):
        size += abs(beta[i]) * sqrt(max(B[i, i], 0.0))
    return EPS * size * size > 1e-11 * (p + 1 + abs(value))


@part
def quadratic_of_strips(omega, Lambda, strips, beta):
    """Return what strips of factored groups add to the residual form, from D of the residual y - X beta alone."""
    if strips is None:
        return 0.0
    indptr, term, ZtZ, ZtW, weight, factored = strips
    E, p1, m, lanes = ZtW.shape
    residual, total = empty((E, 1, m, lanes)), zeros((len(omega) + 1, 1, 1, LANES))
    for e in range(E):
        for i in range(m):
            for lane in range(lanes):
                residual[e, 0, i, lane] = ZtW[e, p1 - 1, i, lane]
                for c in range(p1 - 1):
                    residual[e, 0, i, lane] -= beta[c] * ZtW[e, c, i, lane]
    of_y = indptr, term, ZtZ, residual, weight, factored
    absorb_strips(omega, Lambda, of_y, room_for_strips(of_y), total)
    return _sum_of(total)


@part
def quadratic_of_tiles(omega, Lambda, blocks, beta):
    """Return what tiles of factored blocks add to the residual form, from D of the residual y - X beta alone."""
    if blocks is None:
        return 0.0
    indptr, term, ZtZ, ZtW, weight, factored = blocks
    E, m, p1, width = ZtW.shape
    residual, total = empty((E, m, 1, width)), zeros((len(omega) + 1, 1, 1, LANES))
    for e in range(E):
        for i in range(m):
            for lane in range(width):
                residual[e, i, 0, lane] = ZtW[e, i, p1 - 1, lane]
                for c in range(p1 - 1):
                    residual[e, i, 0, lane] -= beta[c] * ZtW[e, i, c, lane]
    of_y = indptr, term, ZtZ, residual, weight, factored
    absorb_blocks(omega, Lambda, of_y, room_for_factors(of_y, np.int64(1)), total)
    return _sum_of(total)


@part
def quadratic_of_rows(root, Lambda, rows, beta):
    """Return what blocks by their rows add to the residual form, from rows of the residual y - X beta alone."""
    if rows is None:
        return 0.0
    of_y, total = rows_of_residual(rows, beta), zeros((1, 1, 1, LANES))
    absorb_rows(root, Lambda, of_y, room_for_rows(of_y, np.int64(1)), total)
    return _sum_of(total)


@part
def _sum_of(total):
    value = 0.0
    for k in range(len(total)):
        for lane in range(LANES):
            value += total[k, 0, 0, lane]
    return value


@part
def _residual(left, row, beta):
    value = left[row, len(beta)]
    for i in range(len(beta)):
        value -= left[row, i] * beta[i]
    return value


@part
def add_residual_gradient(rows, beta, g_omega):
    """Add the derivatives of -1/2 `residual_form` with respect to omega, the part of its rows."""
    left, left_of, _ = rows
    for m in range(len(left_of)):
        first, height, n, term = left_of[m, 0], left_of[m, 1], left_of[m, 2], left_of[m, 3]
        for i in range(height):
            for e in range(n):
                own = _residual(left, first + e * height + i, beta)
                for d in range(e + 1):
                    share = 0.5 if d == e else 1.0
                    g_omega[term + place_of(n, d, e)] -= share * own * _residual(left, first + d * height + i, beta)


@part
def population_weights(P, beta, integrate, P_inv, G, T):
    """Write P^-1 (p, p) from its Cholesky factor, zero if beta is profiled, G = v v' + [[P^-1, 0], [0, 0]], and T.

    T is upper triangular, T T' = G, and has v in its last column.
    """
    p = len(beta)
    P_inv[:], T[:] = 0.0, 0.0
    if integrate:
        inverse_from_cholesky(P, p, P_inv)
        factor_of_inverse(P, p, T)
    for i in range(p):
        for j in range(p):
            G[i, j] = beta[i] * beta[j] + P_inv[i, j]
        G[i, p] = -beta[i]
        G[p, i] = -beta[i]
        T[i, p] = -beta[i]
    G[p, p] = 1.0
    T[p, p] = 1.0


@part
def weights_of_base(G, P_inv, is_exact):
    """Return G, or [[P^-1, 0], [0, 0]] where `add_residual_gradient` adds the rest."""
    if not is_exact:
        return G
    out = zeros(G.shape)
    for i in range(len(P_inv)):
        for j in range(len(P_inv)):
            out[i, j] = P_inv[i, j]
    return out


@part
def log_likelihood_of(table, kinds, Lambda_at, weights_at, first_at, second_at, value_at, wanted):
    """Write the marginal log likelihood, -inf where a matrix is not positive definite, and what else is wanted.

    Parameters
    ----------
    table : int array (n_rows, WIDTH)
        Which begins with those of a `record.BaseRecord`.
    kinds : tuple
        Arrays of strips of `theta_strips`, of other strips, of tiles of groups that stand alone and of tiles of linked
        groups, and of rows; None for what is missing.
    Lambda_at, weights_at : int
        Addresses of Lambda (q, q), internal scale, and of the weights of the terms (`precision_kernels`).
    first_at, second_at : int
        Addresses of the gradients with respect to Lambda and omega (K,); or of the conditional mean (p,) of beta and a
        factor F (p, p) of its covariance F F'.
    value_at : int
        Address of the value.
    wanted : int
        VALUE, GRADIENT, or MOMENTS and the number of further points: all addresses are then of one array after the
        other, and the first point without a density is the last that is written.
    """
    K, p, q = table[BASE.base, 1], table[BASE.base, 2] - 1, table[BASE.q, 0]
    for s in range(max(1, wanted - MOMENTS + 1)):
        value = _at_one_point(
            table,
            kinds,
            square_of(Lambda_at + 8 * s * q * q, q),
            vector_of(weights_at + 8 * s * (2 * K + 2), 2 * K + 2),
            first_at + 8 * s * p,
            second_at + 8 * s * p * p,
            wanted,
        )
        vector_of(value_at + 8 * s, 1)[0] = value
        if value == -np.inf:
            break


# Inlined: as a function of its own it would be compiled twice.
@part
def _at_one_point(table, kinds, Lambda, weights, first_at, second_at, wanted):  # noqa: PLR0915  # a call a kind
    """Return the value, and write what else `log_likelihood_of` does, at Lambda (q, q) and weights (2 K + 2,).

    The gradient needs room for all tiles of blocks, the others for one.
    """
    base, W0 = stack_at(table, BASE.base), matrix_at(table, BASE.W0, np.float64)
    constant = vector_at(table, BASE.constant, np.float64)
    subtracted = vector_at(table, BASE.most_subtracted, np.float64)
    is_exact, is_strict = table[BASE.is_exact, 0] == 1, table[BASE.is_strict, 0] == 1
    integrate, q = table[BASE.integrate, 0] == 1, table[BASE.q, 0]
    left = (
        matrix_at(table, BASE.left, np.float64),
        matrix_at(table, BASE.left_of, np.int64),
        matrix_at(table, BASE.prior_rows, np.float64),
    )
    K, p = base.shape[0], base.shape[1] - 1
    omega, root, log_det = weights[:K], weights[K : 2 * K], weights[2 * K]
    theta, strips, one, many, rows = kinds
    total = local_zeros((K + 1, p + 1, p + 1, LANES))
    C, P, beta = local((p + 1, p + 1)), local((p, p)), local(p)
    of_strips = room_for_strips(strips)
    of_one = room_for_factors(one, n_tiles_of(one) if wanted == GRADIENT else np.int64(1))
    of_many = room_for_factors(many, n_tiles_of(many) if wanted == GRADIENT else np.int64(1))
    of_rows = room_for_rows(rows, n_tiles_of(rows) if wanted == GRADIENT else np.int64(1))
    B = local((p + 1, p + 1))
    log_det += absorb_theta(omega, Lambda, theta, total)
    log_det += absorb_strips(omega, Lambda, strips, of_strips, total)
    log_det += absorb_blocks(omega, Lambda, one, of_one, total)
    log_det += absorb_blocks(omega, Lambda, many, of_many, total)
    log_det += absorb_rows(root, Lambda, rows, of_rows, total)
    reduce_population(omega, base, W0, subtracted[1], total, B, C)
    log_det_P, quadratic = solve_population(C, B, P, beta, is_strict)
    if not is_exact:
        if not has_digits(C, B, P, quadratic, subtracted[0], is_strict and wanted < MOMENTS):
            quadratic = np.nan
    elif isfinite(quadratic):
        quadratic = residual_form(root, left, B, beta)
        if is_noise(B, beta, quadratic):
            if is_strict:
                quadratic = np.nan
            elif is_missing(theta):
                B[:] = 0.0
                quadratic = residual_form(root, left, B, beta)
                quadratic += quadratic_of_strips(omega, Lambda, strips, beta)
                quadratic += quadratic_of_tiles(omega, Lambda, one, beta)
                quadratic += quadratic_of_rows(root, Lambda, rows, beta)
    value = constant[0] - 0.5 * (log_det + quadratic + (log_det_P if integrate else 0.0))
    if not isfinite(value):
        value = -np.inf
    elif wanted >= MOMENTS:
        mean = vector_of(first_at, p)
        for i in range(p):
            mean[i] = beta[i]
        factor_of_inverse(P, p, square_of(second_at, p))
    elif wanted == GRADIENT:
        g_Lambda, g_omega = square_of(first_at, q), vector_of(second_at, K)
        g_factor = local_zeros((K + 1, q, q, LANES))
        P_inv, G, T = local((p, p)), local((p + 1, p + 1)), local((p + 1, p + 1))
        g_Lambda[:], g_omega[:] = 0.0, 0.0
        population_weights(P, beta, integrate, P_inv, G, T)
        gradient_of_theta(omega, Lambda, theta, P_inv, beta, g_factor)
        gradient_of_strips(omega, Lambda, strips, of_strips, (G, T), g_factor, g_omega)
        gradient_of_blocks(omega, Lambda, one, of_one, (G, T), g_factor, g_omega)
        gradient_of_blocks(omega, Lambda, many, of_many, (G, T), g_factor, g_omega)
        gradient_of_rows(Lambda, rows, of_rows, P_inv, T, g_factor, g_omega)
        if is_exact:
            add_residual_gradient(left, beta, g_omega)
        collect_gradient(
            omega, Lambda, base, total, g_factor, G, weights_of_base(G, P_inv, is_exact), g_Lambda, g_omega
        )
    return value
