"""Groups of one or two coefficients, a strip of them at a time (numba).

Most models have a random intercept, or an intercept and a slope. What `kernels` does with matrices is written out
here for q = 1 and 2: each loop over the groups of a strip is long, its body has no loops of its own, and its numbers
stay in registers, so that the compiler makes vector instructions of it. With M = I + Lambda' A Lambda = T D T', T unit
lower triangular with one entry f below its diagonal, and V = Lambda' B of a group:

    X = M^-1 V          total += V' X           log|M| = log|D|
    H = B - A Lambda X  d log p / d Lambda += H G X' - A Lambda M^-1

*Factored* tiles hold triangles [C D] of their groups, C'C = A and C'D = B, and need no difference. With X = C Lambda
and N = I + X X' = T E T', E diagonal and f the entry of T:

    total += D'N^-1 D      H = C'N^-1 D     d log p / d Lambda += (H G H' - C'N^-1 C) Lambda      |N| = |M|

where |N| = 1 + tr(X X') + |X|^2.

In a tile with one term A and B are omega times fixed matrices: Lambda is multiplied by sqrt(omega) then, and what
comes out by the powers of omega that are missing, so that the matrices are read where they are.

A strip is a tile (see `tiles`) of STRIP lanes, its ZtW stored by column. Arrays are flat here, with a row of STRIP
numbers for each quantity: from constant distances between rows the compiler knows that they do not overlap. Loops run
over the width of the tile, which is the same number, but no constant: the compiler would unroll them first and then
find no vectors.
"""

from __future__ import annotations

from math import log, nan, sqrt

import numpy as np

from hierreg.compiled.array_kernels import empty, in_shape, local
from hierreg.compiled.lanes import LANES, STRIP
from hierreg.compiled.parts import part

# Rows of the factors of M: the inverses of D, f, and |D|.
INVERSE_0, FACTOR, INVERSE_1, _DET = 0, STRIP, 2 * STRIP, 3 * STRIP


@part
def room_for_strips(blocks):
    """Return room for the work on one strip: the rows of `_rows`, one after the other."""
    if blocks is None:
        return None
    p1, m = blocks[3].shape[1], blocks[3].shape[2]
    return empty((m * m + 3 * p1 * m + m + 5 + max(p1 * p1, m * m)) * STRIP)


@part
def _rows(room, p1, m):
    """Return parts of the room: A, B, factors of M, X and V or H (by column), a column, a row of ones, zeros."""
    a = m * m * STRIP
    b = a + p1 * m * STRIP
    c = b + 4 * STRIP
    d = c + 2 * p1 * m * STRIP
    e = d + m * STRIP
    f = e + STRIP
    room[e:f] = 1.0
    room[f:] = 0.0
    return room[:a], room[a:b], room[b:c], room[c:d], room[d:e], room[e:f], room[f:]


@part
def _sum_entries(omega, first, last, term, values, out):
    """Write sum omega values[e] over the entries of a tile, as many numbers each as ``out`` has."""
    size = len(out)
    out[:] = 0.0
    for e in range(first, last):
        w, source = omega[term[e]], values[e * size : (e + 1) * size]
        for i in range(size):
            out[i] += w * source[i]


@part
def only_term(indptr, term, t, K):
    """Return the term of a tile that has one; K for a tile of several, or of none."""
    return term[indptr[t]] if indptr[t + 1] - indptr[t] == 1 else K


# With the flat arrays found before the loop: to hand the arrays over takes a third as long as a strip.
@part
def products(omega, indptr, term, all_A, all_B, t, room_A, room_B):
    """Return A / omega and B / omega of a tile with one term, where they are; else A and B, in their room.

    ``all_A`` and ``all_B`` are ZtZ and ZtW of all entries, flat.
    """
    size, wide, first = len(room_A), len(room_B), indptr[t]
    if indptr[t + 1] - first == 1:
        return all_A[first * size : (first + 1) * size], all_B[first * wide : (first + 1) * wide]
    _sum_entries(omega, first, indptr[t + 1], term, all_A, room_A)
    _sum_entries(omega, first, indptr[t + 1], term, all_B, room_B)
    return room_A, room_B


@part
def scaled(root, Lambda):
    """Return the four elements of root Lambda (2, 2)."""
    return root * Lambda[0, 0], root * Lambda[0, 1], root * Lambda[1, 0], root * Lambda[1, 1]


@part
def factor_strip(root, Lambda, A, M, width):
    """Write 1/D, f and |D| of M = I + root^2 Lambda' A Lambda; NaN for |D| where M is not positive definite."""
    if len(Lambda) == 1:
        square = (root * Lambda[0, 0]) ** 2
        for lane in range(width):
            d = 1.0 + square * A[lane]
            M[INVERSE_0 + lane] = 1.0 / d
            M[_DET + lane] = d if d > 0.0 else nan
        return
    l00, l01, l10, l11 = scaled(root, Lambda)
    for lane in range(width):
        a00, a10, a11 = A[lane], A[2 * STRIP + lane], A[3 * STRIP + lane]
        x00, x01 = l00 * a00 + l10 * a10, l00 * a10 + l10 * a11
        x10, x11 = l01 * a00 + l11 * a10, l01 * a10 + l11 * a11
        d0 = 1.0 + (x00 * l00 + x01 * l10)
        m10 = x10 * l00 + x11 * l10
        r0 = 1.0 / d0
        f = m10 * r0
        d1 = 1.0 + (x10 * l01 + x11 * l11) - f * m10
        M[INVERSE_0 + lane] = r0
        M[FACTOR + lane] = f
        M[INVERSE_1 + lane] = 1.0 / d1
        M[_DET + lane] = d0 * d1 if d0 > 0.0 and d1 > 0.0 else nan


@part
def factor_rows(root, Lambda, C, N, width):
    """Write 1/E, f and |E| of N = I + root^2 C Lambda Lambda' C'."""
    if len(Lambda) == 1:
        f = root * Lambda[0, 0]
        for lane in range(width):
            d = 1.0 + (C[lane] * f) ** 2
            N[INVERSE_0 + lane] = 1.0 / d
            N[_DET + lane] = d
        return
    l00, l01, l10, l11 = scaled(root, Lambda)
    size = l00 * l11 - l01 * l10
    for lane in range(width):
        c00, c01, c11 = C[lane], C[STRIP + lane], C[3 * STRIP + lane]
        x00, x01, x10, x11 = c00 * l00 + c01 * l10, c00 * l01 + c01 * l11, c11 * l10, c11 * l11
        whole = c00 * c11 * size
        n0 = 1.0 + (x00 * x00 + x01 * x01)
        det = n0 + (x10 * x10 + x11 * x11) + whole * whole
        r0 = 1.0 / n0
        N[INVERSE_0 + lane] = r0
        N[FACTOR + lane] = (x10 * x00 + x11 * x01) * r0
        N[INVERSE_1 + lane] = n0 / det
        N[_DET + lane] = det


@part
def solve_row_column(d, N, x, width):
    """Write T^-1 D and E^-1 T^-1 D of one column (or column of C), the latter after the former."""
    if len(d) == STRIP:
        for lane in range(width):
            x[lane] = d[lane]
            x[STRIP + lane] = d[lane] * N[INVERSE_0 + lane]
        return
    for lane in range(width):
        y0 = d[lane]
        y1 = d[STRIP + lane] - N[FACTOR + lane] * y0
        x[lane] = y0
        x[STRIP + lane] = y1
        x[2 * STRIP + lane] = y0 * N[INVERSE_0 + lane]
        x[3 * STRIP + lane] = y1 * N[INVERSE_1 + lane]


@part
def times_triangle(C, N, z, h, width):
    """Write (T^-1 C)' z to h, for z = E^-1 T^-1 D of one column: C'N^-1 D."""
    if len(C) == STRIP:
        for lane in range(width):
            h[lane] = C[lane] * z[lane]
        return
    for lane in range(width):
        f, z1 = N[FACTOR + lane], z[STRIP + lane]
        rest = z[lane] - f * z1
        h[lane] = C[lane] * rest
        h[STRIP + lane] = C[STRIP + lane] * rest + C[3 * STRIP + lane] * z1


@part
def _subtract_weights(C, N, weight, g, width):
    """Subtract C'N^-1 C times the weight from g (q q rows)."""
    if len(C) == STRIP:
        for lane in range(width):
            g[lane] -= weight[lane] * C[lane] * C[lane] * N[INVERSE_0 + lane]
        return
    for lane in range(width):
        c00, c01, f = C[lane], C[STRIP + lane], N[FACTOR + lane]
        r0, r1 = N[INVERSE_0 + lane] * weight[lane], N[INVERSE_1 + lane] * weight[lane]
        # T^-1 C; a sum of squares.
        y10, y11 = -f * c00, C[3 * STRIP + lane] - f * c01
        off = c00 * c01 * r0 + y10 * y11 * r1
        g[lane] -= c00 * c00 * r0 + y10 * y10 * r1
        g[STRIP + lane] -= off
        g[2 * STRIP + lane] -= off
        g[3 * STRIP + lane] -= c01 * c01 * r0 + y11 * y11 * r1


@part
def solve_column(root, Lambda, b, M, x, width):
    """Write X and V = root Lambda' B of one column, V after X."""
    if len(Lambda) == 1:
        f = root * Lambda[0, 0]
        for lane in range(width):
            v = f * b[lane]
            x[lane] = v * M[INVERSE_0 + lane]
            x[STRIP + lane] = v
        return
    l00, l01, l10, l11 = scaled(root, Lambda)
    for lane in range(width):
        v0, v1 = l00 * b[lane] + l10 * b[STRIP + lane], l01 * b[lane] + l11 * b[STRIP + lane]
        x1 = (v1 - M[FACTOR + lane] * v0) * M[INVERSE_1 + lane]
        x[lane] = v0 * M[INVERSE_0 + lane] - M[FACTOR + lane] * x1
        x[STRIP + lane] = x1
        x[2 * STRIP + lane] = v0
        x[3 * STRIP + lane] = v1


@part
def _add_products(XV, c, m, sums, width):
    """Add V_d' X_c for all columns d up to c to rows of sums (p + 1, p + 1, STRIP)."""
    for d in range(c + 1):
        if m == 1:
            for lane in range(width):
                sums[c, d, lane] += XV[2 * d + 1, lane] * XV[2 * c, lane]
        else:
            for lane in range(width):
                sums[c, d, lane] += (
                    XV[2 * d + 1, lane] * XV[2 * c, lane] + XV[2 * d + 1, STRIP + lane] * XV[2 * c, STRIP + lane]
                )


@part
def _add_sums(times, sums, width, out):
    """Add every row (r, c, STRIP), times a number, to ``out`` (r, c, LANES), and clear the rows."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for first in range(0, width, LANES):
                for lane in range(LANES):
                    out[i, j, lane] += times * sums[i, j, first + lane]
            sums[i, j] = 0.0


@part
def _weighted_logs(det, weight):
    """Return the sum of weight times log(det) over the lanes."""
    total = 0.0
    for lane in range(len(weight)):
        # Most weights are zero, and a logarithm costs as much as a group.
        if weight[lane] != 0.0:
            total += weight[lane] * log(det[lane])
    return total


@part
def multiply(product, det):
    """Multiply ``product`` by the determinants; return whether it is below 1e100 still, with room for one of 1e200."""
    is_small = True
    for lane in range(len(product)):
        product[lane] *= det[lane]
        is_small &= product[lane] < 1e100
    return is_small


@part
def log_of_product(values):
    """Return the sum of log(values), numbers of at least one, with few logarithms."""
    total, product = 0.0, 1.0
    for value in values:
        product *= value
        if not product < 1e100:
            total += log(product)
            product = 1.0
    return total + log(product)


@part
def absorb_strips(omega, Lambda, blocks, room, total):
    """Add what every group adds to W'R^-1 W, -V' M^-1 V; return the sum of log|M|, NaN on failure.

    See `kernels.absorb_blocks`.
    """
    if blocks is None:
        return 0.0
    indptr, term, ZtZ, ZtW, weight, factored = blocks
    p1, m, width, K = ZtW.shape[1], ZtW.shape[2], ZtW.shape[3], np.int64(len(omega))
    all_A, all_B = in_shape(ZtZ, ZtZ.size), in_shape(ZtW, ZtW.size)
    room_A, room_B, M, XV, _, product, zeros = _rows(room, p1, m)
    XV_rows, sums = in_shape(XV, (2 * p1, m * STRIP)), in_shape(zeros, (p1, p1, STRIP))
    log_det, last, scale, root, is_sum = 0.0, np.int64(-1), 1.0, 1.0, False
    for t in range(len(indptr) - 1):
        k = only_term(indptr, term, t, K)
        if k != last or factored[t] != is_sum:
            if last >= 0:
                _add_sums(scale if is_sum else -scale, sums, width, total[last])
            last, scale, is_sum = k, omega[k] if k < K else 1.0, factored[t]
            root = sqrt(scale)
        A, B = products(omega, indptr, term, all_A, all_B, t, room_A, room_B)
        if is_sum:
            factor_rows(root, Lambda, A, M, width)
        else:
            factor_strip(root, Lambda, A, M, width)
        if t < len(weight):
            log_det += _weighted_logs(M[_DET : _DET + width], weight[t])
        elif not multiply(product, M[_DET : _DET + width]):
            # Few logarithms are taken because each costs as much as a group.
            log_det += log_of_product(product)
            product[:] = 1.0
        for c in range(p1):
            x, b = XV[2 * c * m * STRIP : 2 * (c + 1) * m * STRIP], B[c * m * STRIP : (c + 1) * m * STRIP]
            if is_sum:
                solve_row_column(b, M, x, width)
            else:
                solve_column(root, Lambda, b, M, x, width)
            _add_products(XV_rows, c, m, sums, width)
    if last >= 0:
        _add_sums(scale if is_sum else -scale, sums, width, total[last])
    return log_det + log_of_product(product)


@part
def _add_log_det_gradient(root, Lambda, A, M, weight, g, width):
    """Subtract root A Lambda M^-1 times the weight from g (q q rows)."""
    if len(Lambda) == 1:
        f = root * Lambda[0, 0]
        for lane in range(width):
            g[lane] -= weight[lane] * A[lane] * f * M[INVERSE_0 + lane]
        return
    l00, l01, l10, l11 = scaled(root, Lambda)
    for lane in range(width):
        a00, a10, a11 = A[lane], A[2 * STRIP + lane], A[3 * STRIP + lane]
        r0, f, r1 = M[INVERSE_0 + lane] * weight[lane], M[FACTOR + lane], M[INVERSE_1 + lane] * weight[lane]
        x00, x01 = l00 * a00 + l10 * a10, l00 * a10 + l10 * a11
        x10, x11 = l01 * a00 + l11 * a10, l01 * a10 + l11 * a11
        e10, e11 = (x10 - f * x00) * r1, (x11 - f * x01) * r1
        g[lane] -= x00 * r0 - f * e10
        g[STRIP + lane] -= e10
        g[2 * STRIP + lane] -= x01 * r0 - f * e11
        g[3 * STRIP + lane] -= e11


@part
def _residual_column(root, Lambda, A, b, x, width):
    """Replace V, after X of one column, by H = B - root A Lambda X."""
    if len(Lambda) == 1:
        f = root * Lambda[0, 0]
        for lane in range(width):
            x[STRIP + lane] = b[lane] - A[lane] * f * x[lane]
        return
    l00, l01, l10, l11 = scaled(root, Lambda)
    for lane in range(width):
        a10 = A[2 * STRIP + lane]
        t0, t1 = l00 * x[lane] + l01 * x[STRIP + lane], l10 * x[lane] + l11 * x[STRIP + lane]
        x[2 * STRIP + lane] = b[lane] - (A[lane] * t0 + a10 * t1)
        x[3 * STRIP + lane] = b[STRIP + lane] - (a10 * t0 + A[3 * STRIP + lane] * t1)


@part
def _times_column(rows, first, scale, g, out):
    """Write scale times sum_d g[d] rows[first + 2 d]."""
    odd = len(g) % 2
    if odd == 1:
        f = scale * g[0]
        for i in range(len(out)):
            out[i] = f * rows[first, i]
    else:
        out[:] = 0.0
    # Two at a time: most of the work is to read and write ``out``.
    for d in range(odd, len(g), 2):
        one, f, h = first + 2 * d, scale * g[d], scale * g[d + 1]
        for i in range(len(out)):
            out[i] += f * rows[one, i] + h * rows[one + 2, i]


@part
def _add_outer(y, x, m, sums, width):
    """Add y x' to sums (m m rows)."""
    if m == 1:
        for lane in range(width):
            sums[lane] += y[lane] * x[lane]
    else:
        for lane in range(width):
            sums[lane] += y[lane] * x[lane]
            sums[STRIP + lane] += y[lane] * x[STRIP + lane]
            sums[2 * STRIP + lane] += y[STRIP + lane] * x[lane]
            sums[3 * STRIP + lane] += y[STRIP + lane] * x[STRIP + lane]


@part
def _add_gradient(scale, root, is_sum, Lambda, sums, width, g):
    """Add the sums (m, m, STRIP) of strips of one term to g (m, m, LANES), factored ones times Lambda; clear them."""
    m = len(Lambda)
    if not is_sum:
        _add_sums(root, sums, width, g)
        return
    for i in range(m):
        for j in range(m):
            for first in range(0, width, LANES):
                for k in range(m):
                    f = scale * Lambda[k, j]
                    for lane in range(LANES):
                        g[i, j, lane] += f * sums[i, k, first + lane]
    sums[:] = 0.0


@part
def gradient_of_strips(omega, Lambda, blocks, room, weights, g_factor, g_omega):
    """Add what `gradient_of_blocks` does; M is factored once more rather than kept."""
    if blocks is None:
        return
    indptr, term, ZtZ, ZtW, weight, factored = blocks
    p1, m, width, K = ZtW.shape[1], ZtW.shape[2], ZtW.shape[3], np.int64(len(omega))
    (G, T), columns = weights, local((p1, p1))
    for i in range(p1):
        for j in range(p1):
            columns[j, i] = T[i, j]
    all_A, all_B = in_shape(ZtZ, ZtZ.size), in_shape(ZtW, ZtW.size)
    room_A, room_B, M, XH, y, once, zeros = _rows(room, p1, m)
    column, flat = m * STRIP, zeros[: m * m * STRIP]
    XH_rows, sums = in_shape(XH, (2 * p1, column)), in_shape(flat, (m, m, STRIP))
    last, scale, root, is_sum = np.int64(-1), 1.0, 1.0, False
    for t in range(len(indptr) - 1):
        k = only_term(indptr, term, t, K)
        if k != last or factored[t] != is_sum:
            if last >= 0:
                _add_gradient(scale, root, is_sum, Lambda, sums, width, g_factor[last])
            last, scale, is_sum = k, omega[k] if k < K else 1.0, factored[t]
            root = sqrt(scale)
        A, B = products(omega, indptr, term, all_A, all_B, t, room_A, room_B)
        times = weight[t] if t < len(weight) else once
        if is_sum:
            factor_rows(root, Lambda, A, M, width)
            _subtract_weights(A, M, times, flat, width)
            for c in range(p1):
                x = XH[2 * c * column : 2 * (c + 1) * column]
                solve_row_column(B[c * column : (c + 1) * column], M, x, width)
                # H of the column in the place of what comes before E^-1.
                times_triangle(A, M, x[column:], x[:column], width)
            for c in range(p1):
                # Added up before it is squared, as in `lane_kernels.add_gradient_of_factor`.
                _times_column(XH_rows, 0, root, columns[c, : c + 1], y)
                _add_outer(y, y, m, flat, width)
            continue
        factor_strip(root, Lambda, A, M, width)
        _add_log_det_gradient(root, Lambda, A, M, times, flat, width)
        for c in range(p1):
            b, x = B[c * column : (c + 1) * column], XH[2 * c * column : 2 * (c + 1) * column]
            solve_column(root, Lambda, b, M, x, width)
            _residual_column(root, Lambda, A, b, x, width)
        for c in range(p1):
            _times_column(XH_rows, 1, scale, G[c], y)
            _add_outer(y, XH_rows[2 * c], m, flat, width)
        if k == K:
            _gradient_of_terms(Lambda, blocks, t, M, XH_rows, G, times, g_omega)
    if last >= 0:
        _add_gradient(scale, root, is_sum, Lambda, sums, width, g_factor[last])


@part
def _gradient_of_terms(Lambda, blocks, t, M, XH, G, weight, g_omega):
    """Add d log p / d omega of a tile of several terms: see `kernels`, with Q = Lambda X G and N = Lambda M^-1 Lambda'.

    -1/2 (<weight N + Q X' Lambda', ZtZ[k]> - 2 <Q, ZtW[k]>) for each of its terms.
    """
    indptr, term, ZtZ, ZtW, _, _ = blocks
    p1, m, width = ZtW.shape[1], ZtW.shape[2], ZtW.shape[3]
    y, LX, Q, N = local(m * STRIP), local(m * STRIP), local((p1, m * STRIP)), local((m, m, STRIP))
    flat = in_shape(N, N.size)
    weighted_inverse(Lambda, M, weight, flat, width)
    for c in range(p1):
        _times_column(XH, 0, 1.0, G[c], y)
        times_factor(Lambda, y, Q[c], width)
        times_factor(Lambda, XH[2 * c], LX, width)
        _add_outer(Q[c], LX, m, flat, width)
    for e in range(indptr[t], indptr[t + 1]):
        s = 0.0
        for i in range(m):
            for j in range(m):
                for lane in range(width):
                    s += N[i, j, lane] * ZtZ[e, i, j, lane]
            for c in range(p1):
                for lane in range(width):
                    s -= 2.0 * Q[c, i * STRIP + lane] * ZtW[e, c, i, lane]
        g_omega[term[e]] -= 0.5 * s


@part
def times_factor(Lambda, x, out, width):
    """Write Lambda x of one column."""
    if len(Lambda) == 1:
        f = Lambda[0, 0]
        for lane in range(width):
            out[lane] = f * x[lane]
        return
    l00, l01, l10, l11 = Lambda[0, 0], Lambda[0, 1], Lambda[1, 0], Lambda[1, 1]
    for lane in range(width):
        out[lane] = l00 * x[lane] + l01 * x[STRIP + lane]
        out[STRIP + lane] = l10 * x[lane] + l11 * x[STRIP + lane]


@part
def weighted_inverse(Lambda, M, weight, N, width):
    """Write Lambda M^-1 Lambda' times the weight (m m rows)."""
    if len(Lambda) == 1:
        square = Lambda[0, 0] * Lambda[0, 0]
        for lane in range(width):
            N[lane] = weight[lane] * square * M[INVERSE_0 + lane]
        return
    l00, l01, l10, l11 = Lambda[0, 0], Lambda[0, 1], Lambda[1, 0], Lambda[1, 1]
    for lane in range(width):
        r0, f, r1 = M[INVERSE_0 + lane] * weight[lane], M[FACTOR + lane], M[INVERSE_1 + lane] * weight[lane]
        # The second column of Lambda T'^-1; the first is that of Lambda.
        u0, u1 = l01 - f * l00, l11 - f * l10
        off = l00 * l10 * r0 + u0 * u1 * r1
        N[lane] = l00 * l00 * r0 + u0 * u0 * r1
        N[STRIP + lane] = off
        N[2 * STRIP + lane] = off
        N[3 * STRIP + lane] = l10 * l10 * r0 + u1 * u1 * r1
