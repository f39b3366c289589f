"""The marginal likelihood with several grouping factors, and its gradient (numba).

The page of this engine, in whose symbols they are, is `hierreg.likelihood.crossed`.
"""

from __future__ import annotations

from math import isfinite, log

import numpy as np

from hierreg.compiled.array_kernels import empty, ones
from hierreg.compiled.dense_kernels import cholesky_in_place
from hierreg.compiled.parts import part
from hierreg.likelihood.crossed.large_kernels import factor_leading, invert_leading, solve_leading

# Pivots before elimination over what is left of them: eight digits stay, and one to spare.
MOST_LOST = 2.0**22


@part
def assemble(omega, sources, S):
    """Write S = sum over terms omega K to the workspace."""
    place, term, value, _ = sources
    S[:] = 0.0
    for e in range(len(place)):
        S[place[e]] += omega[term[e]] * value[e]


@part
def room_for_level(q):
    """Return arrays for A, M and its Cholesky factor, L^-1 and E of one level."""
    return empty((q, q)), empty((q, q)), empty((q, q)), empty((q, q))


@part
def factor_of_level(S, at, q, Lambda, start, level):
    """Write A, L, L^-1 and E = L^-1 Lambda' of one level; return log|M|, NaN on failure."""
    A, L, L_inverse, E = level
    for i in range(q):
        for j in range(q):
            A[i, j] = S[at + i * q + j]
    for i in range(q):
        for j in range(q):
            t = 0.0
            for k in range(q):
                t += Lambda[start + k, start + i] * A[k, j]
            E[i, j] = t
    for i in range(q):
        for j in range(i + 1):
            t = 1.0 if i == j else 0.0
            for k in range(q):
                t += E[i, k] * Lambda[start + k, start + j]
            L[i, j] = t
    if not cholesky_in_place(L, q):
        return np.nan
    log_det = 0.0
    for i in range(q):
        log_det += 2.0 * log(L[i, i])
        for j in range(i):
            t = 0.0
            for k in range(j, i):
                t += L[i, k] * L_inverse[k, j]
            L_inverse[i, j] = -t / L[i, i]
        L_inverse[i, i] = 1.0 / L[i, i]
        for j in range(q):
            t = 0.0
            for k in range(i + 1):
                t += L_inverse[i, k] * Lambda[start + j, start + k]
            E[i, j] = t
    return log_det


@part
def times_panel(E, q, S, at, w, U):
    """Write U = E B (q, w) for the panel B that begins at ``at``."""
    for i in range(q):
        for c in range(w):
            U[i, c] = E[i, 0] * S[at + c]
        for k in range(1, q):
            for c in range(w):
                U[i, c] += E[i, k] * S[at + k * w + c]


@part
def width_of_panels(nodes):
    """Return the largest width and the largest number of rows of a panel."""
    w, q = 1, 1
    for i in range(len(nodes[0])):
        w = max(w, nodes[4][i + 1] - nodes[4][i])
        q = max(q, nodes[1][i])
    return w, q


@part
def own_squares(S, Lambda, nodes, dense, W0, own):
    """Write what each pivot is before elimination: of the columns of nodes, then of the tail (n_node_columns + D,)."""
    at, tail_start, tail_q, tail_lambda, T, D = dense
    start, n_columns, diag_at, n_before = nodes[0], nodes[1], nodes[2], nodes[10]
    c = 0
    for n in range(len(start)):
        q, b = n_columns[n], start[n]
        for j in range(q):
            own[c] = 1.0
            for i in range(q):
                for k in range(q):
                    own[c] += Lambda[b + i, b + j] * S[diag_at[n] + i * q + k] * Lambda[b + k, b + j]
            c += 1
    for t in range(len(tail_start)):
        first, q, b = tail_start[t], tail_q[t], tail_lambda[t]
        for j in range(q):
            total = 1.0
            for i in range(q):
                for k in range(q):
                    s = S[at + (first + min(i, k)) * D + first + max(i, k)]
                    total += Lambda[b + i, b + j] * s * Lambda[b + k, b + j]
            own[n_before + first + j] = total
    for i in range(T, D):
        own[n_before + i] = S[at + i * D + i] + W0[i - T, i - T]


@part
def lost_digits(own, of_nodes, C, quadratic, growth, n):
    """Return by what factor rounding grows, on average over n rows, from `own_squares` and what is left of them.

    Where errors are correlated, times ``growth``, the largest factor by which the others take variance from one: a
    derivative with respect to their covariance has the product of both.
    """
    D = C.shape[0]
    lost, first = of_nodes, len(own) - D
    for i in range(D - 1):
        lost += own[first + i] / (C[i, i] * C[i, i])
    return growth * (lost / n + own[len(own) - 1] / max(quadratic, n))


@part
def eliminate_levels(S, Lambda, nodes, dense, rows, own):
    """Eliminate all staged levels in the workspace; return the sum of log|M|, NaN on failure, and that of lost digits.

    Diagonal blocks and panels keep the values that they have when their level is eliminated.
    """
    start, n_columns, diag_at, panel_at, column_at, _, up_at, up_node, up_map_at, up_map, _ = nodes
    w_max, q_max = width_of_panels(nodes)
    U, level = empty((q_max, w_max)), room_for_level(q_max)
    log_det, lost, at, kept = 0.0, 0.0, 0, place_of_products(nodes, dense)
    for n in range(len(start)):
        q, first = n_columns[n], column_at[n]
        w = column_at[n + 1] - first
        log_det += factor_of_level(S, diag_at[n], q, Lambda, start[n], level)
        for i in range(q):
            lost += own[at + i] / (level[1][i, i] * level[1][i, i])
        at += q
        times_panel(level[3], q, S, panel_at[n], w, U)
        for k in range(q):
            to = kept + panel_at[n] + k * w
            for c in range(w):
                S[to + c] = U[k, c]
        done = 0
        for u in range(up_at[n], up_at[n + 1]):
            s = up_node[u]
            qs, ws, to = n_columns[s], column_at[s + 1] - column_at[s], up_map_at[u]
            for i in range(qs):
                for k in range(q):
                    f = U[k, done + i]
                    for j in range(qs):
                        S[diag_at[s] + i * qs + j] -= f * U[k, done + j]
                    row = panel_at[s] + i * ws
                    for c in range(done + qs, w):
                        S[row + up_map[to + c - done - qs]] -= f * U[k, c]
            done += qs
    take_from_tail(S, nodes, dense, rows)
    return log_det, lost


@part
def place_of_products(nodes, dense):
    """Return what takes the place of a panel in the workspace to that of its product U."""
    return dense[0] + dense[5] * dense[5] - (nodes[3][0] if len(nodes[0]) > 0 else 0)


@part
def take_from_tail(S, nodes, dense, rows):
    """Take U'U of all levels off the tail, upper triangle, one row of it after the other: a row stays in the cache.

    Places are unsigned in the innermost loop, where numba would ask of each whether it counts from the end.
    """
    n_columns, panel_at, column_at, column, n_before = nodes[1], nodes[3], nodes[4], nodes[5], nodes[10]
    row_at, row_node, row_place = rows
    D, kept = dense[5], place_of_products(nodes, dense)
    for i in range(D):
        row = np.uint64(dense[0] + i * D - n_before)
        for e in range(row_at[i], row_at[i + 1]):
            n, c = row_node[e], row_place[e]
            first = np.uint64(column_at[n])
            w = np.uint64(column_at[n + 1]) - first
            for k in range(n_columns[n]):
                u = np.uint64(kept + panel_at[n]) + np.uint64(k) * w
                f = S[u + np.uint64(c)]
                for d in range(np.uint64(c), w):
                    S[row + np.uint64(column[first + d])] -= f * S[u + d]


@part
def make_symmetric(S, at, D):
    """Copy the upper triangle of the tail to the lower one, in squares that a cache holds."""
    for i_first in range(0, D, 32):
        for j_first in range(0, i_first + 32, 32):
            for i in range(i_first, min(i_first + 32, D)):
                for j in range(j_first, min(j_first + 32, i)):
                    S[at + i * D + j] = S[at + j * D + i]


@part
def scale_of_columns(Lambda, dense):
    """Return the diagonal of T (D,), where every level of the tail has one column."""
    scale = ones(dense[5])
    for t in range(len(dense[1])):
        scale[dense[1][t]] = Lambda[dense[3][t], dense[3][t]]
    return scale


@part
def row_times_T(S, row, Lambda, dense, stop, out):
    """Write the first ``stop`` entries of one row of S T, which begins at ``row``; stop ends a level or is D."""
    _, tail_start, tail_q, tail_lambda, T, _ = dense
    for t in range(len(tail_start)):
        s, q, b = tail_start[t], tail_q[t], tail_lambda[t]
        if s >= stop:
            break
        for j in range(q):
            x = 0.0
            for k in range(q):
                x += S[row + s + k] * Lambda[b + k, b + j]
            out[s + j] = x
    for j in range(T, stop):
        out[j] = S[row + j]


@part
def tail_equations(S, Lambda, dense, W0, C):
    """Make the tail of S full, and write C = T'S T + diag(I, W0), lower triangle (D, D)."""
    at, tail_start, tail_q, tail_lambda, T, D = dense
    make_symmetric(S, at, D)
    if len(tail_start) == T:
        scale = scale_of_columns(Lambda, dense)
        for i in range(D):
            for j in range(i + 1):
                C[i, j] = scale[i] * S[at + i * D + j] * scale[j]
            if i < T:
                C[i, i] += 1.0
    else:
        h = empty(D)
        for t in range(len(tail_start)):
            s, q, b = tail_start[t], tail_q[t], tail_lambda[t]
            for i in range(q):
                for j in range(D):
                    C[s + i, j] = 0.0
            for k in range(q):
                row_times_T(S, at + (s + k) * D, Lambda, dense, s + q, h)
                for i in range(q):
                    for j in range(s + i + 1):
                        C[s + i, j] += Lambda[b + k, b + i] * h[j]
            for i in range(q):
                C[s + i, s + i] += 1.0
        for i in range(T, D):
            row_times_T(S, at + i * D, Lambda, dense, D, C[i])
    for i in range(T, D):
        for j in range(T, i + 1):
            C[i, j] += W0[i - T, j - T]


@part
def solve_tail(C, T, x, lapack):
    """Factor C and write its coefficients x (D - 1,); return log|M|, log|P| and the residual sum of squares."""
    n = C.shape[0] - 1
    if not factor_leading(C, n, lapack):
        return np.nan, np.nan, np.nan
    log_det_M, log_det_P, quadratic = 0.0, 0.0, C[n, n]
    for i in range(n):
        x[i] = C[n, i]
        quadratic -= x[i] * x[i]
        if i < T:
            log_det_M += 2.0 * log(C[i, i])
        else:
            log_det_P += 2.0 * log(C[i, i])
    solve_leading(C, n, x, True)
    return log_det_M, log_det_P, quadratic


@part
def turn_tail(G, Lambda, dense):
    """Replace G (D, D), symmetric, by T G T'."""
    _, tail_start, tail_q, tail_lambda, T, D = dense
    if len(tail_start) == T:
        scale = scale_of_columns(Lambda, dense)
        for i in range(D):
            for j in range(D):
                G[i, j] *= scale[i] * scale[j]
        return
    q_max = 1
    for t in range(len(tail_q)):
        q_max = max(q_max, tail_q[t])
    work = empty((q_max, D))
    for t in range(len(tail_start)):
        s, q, b = tail_start[t], tail_q[t], tail_lambda[t]
        for i in range(q):
            for j in range(D):
                work[i, j] = 0.0
            for k in range(q):
                for j in range(D):
                    work[i, j] += Lambda[b + i, b + k] * G[s + k, j]
        # A loop: copying by slices costs seconds of compilation.
        for i in range(q):
            for j in range(D):
                G[s + i, j] = work[i, j]
    small = empty(q_max)
    for i in range(D):
        for t in range(len(tail_start)):
            s, q, b = tail_start[t], tail_q[t], tail_lambda[t]
            for j in range(q):
                x = 0.0
                for k in range(q):
                    x += G[i, s + k] * Lambda[b + j, b + k]
                small[j] = x
            for j in range(q):
                G[i, s + j] = small[j]


@part
def selected_inverse(S, Lambda, layout, tail, G, g_Lambda, standard):
    """Write G on the places of S, from that of the tail (D, D), and add the staged levels' part of g_Lambda.

    ``layout``: nodes, dense and rows of `Plan`. ``standard``, where it is not empty, gets the diagonal blocks as
    L'^-1 (I + R) L^-1, before Lambda.
    """
    nodes, dense, rows = layout
    start, n_columns, diag_at, panel_at, column_at, _, up_at, up_node, up_map_at, up_map, _ = nodes
    w_max, q_max = width_of_panels(nodes)
    U, V, level = empty((q_max, w_max)), empty((q_max, w_max)), room_for_level(q_max)
    small = empty((q_max, q_max)), empty((q_max, q_max)), empty((q_max, q_max))
    products_with_tail(S, nodes, dense, rows, tail, G)
    for n in range(len(start) - 1, -1, -1):
        q, first = n_columns[n], column_at[n]
        w = column_at[n + 1] - first
        factor_of_level(S, diag_at[n], q, Lambda, start[n], level)
        times_panel(level[3], q, S, panel_at[n], w, U)
        for k in range(q):
            for c in range(w):
                V[k, c] = G[panel_at[n] + k * w + c]
        done = 0
        for u in range(up_at[n], up_at[n + 1]):
            s = up_node[u]
            qs, ws, to = n_columns[s], column_at[s + 1] - column_at[s], up_map_at[u]
            for i in range(qs):
                row = panel_at[s] + i * ws
                for k in range(q):
                    f, x = U[k, done + i], 0.0
                    for j in range(qs):
                        V[k, done + j] += f * G[diag_at[s] + i * qs + j]
                    for c in range(done + qs, w):
                        g = G[row + up_map[to + c - done - qs]]
                        V[k, c] += f * g
                        x += U[k, c] * g
                    V[k, done + i] += x
            done += qs
        _write_level(S, G, level, (U, V), small, (q, w, start[n]), diag_at[n], panel_at[n], g_Lambda)
        if len(standard) > 0:
            _write_standard(level[2], small[0], q, standard[diag_at[n] : diag_at[n] + q * q])


@part
def products_with_tail(S, nodes, dense, rows, tail, G):
    """Write V = U G[later, later] of all levels, of the part of it in the tail, to the places of panels in G.

    One row of the tail (D, D), which is symmetric, after the other, so that it stays in the cache.
    """
    n_columns, panel_at, column_at, column, n_before = nodes[1], nodes[3], nodes[4], nodes[5], nodes[10]
    row_at, row_node, row_place = rows
    kept, before = place_of_products(nodes, dense), np.uint64(n_before)
    if len(panel_at) > 0:
        for i in range(panel_at[0], dense[0]):
            G[i] = 0.0
    for i in range(dense[5]):
        row = tail[i]
        for e in range(row_at[i], row_at[i + 1]):
            n, c = row_node[e], np.uint64(row_place[e])
            first = np.uint64(column_at[n])
            w = np.uint64(column_at[n + 1]) - first
            for k in range(n_columns[n]):
                v = np.uint64(panel_at[n]) + np.uint64(k) * w
                u = v + np.uint64(kept)
                f, x = S[u + c], S[u + c] * row[i]
                for d in range(c + np.uint64(1), w):
                    g = row[np.uint64(column[first + d]) - before]
                    G[v + d] += f * g
                    x += S[u + d] * g
                G[v + c] += x


@part
def _write_standard(L_inverse, R, q, out):
    """Write L'^-1 (I + R) L^-1 (q q), I in R already."""
    for i in range(q):
        for j in range(q):
            x = 0.0
            for k in range(i, q):
                for h in range(j, q):
                    x += L_inverse[k, i] * 0.5 * (R[k, h] + R[h, k]) * L_inverse[h, j]
            out[i * q + j] = x


@part
def _write_level(S, G, level, panels, small, sizes, diag_at, panel_at, g_Lambda):
    """Write G[level, later] = -E'V and G[level, level] = E'(I + R) E, and add (B V' - A E'(I + R)) L^-1."""
    A, _, L_inverse, E = level
    U, V = panels
    R, ER, BV = small
    q, w, b = sizes
    for i in range(q):
        for c in range(w):
            x = 0.0
            for k in range(q):
                x -= E[k, i] * V[k, c]
            G[panel_at + i * w + c] = x
        for j in range(q):
            x, y = 1.0 if i == j else 0.0, 0.0
            for c in range(w):
                x += V[i, c] * U[j, c]
                y += S[panel_at + i * w + c] * V[j, c]
            R[i, j], BV[i, j] = x, y
    for i in range(q):
        for j in range(q):
            x = 0.0
            for k in range(q):
                x += E[k, i] * 0.5 * (R[k, j] + R[j, k])
            ER[i, j] = x
    for i in range(q):
        for j in range(q):
            x = 0.0
            for k in range(q):
                x += ER[i, k] * E[k, j]
                BV[i, j] -= A[i, k] * ER[k, j]
            G[diag_at + i * q + j] = x
    for i in range(q):
        for j in range(q):
            x = 0.0
            for k in range(j, q):
                x += BV[i, k] * L_inverse[k, j]
            g_Lambda[b + i, b + j] += x


@part
def gradient_of_tail(S, Lambda, G, dense, g_Lambda):
    """Add -sum over the tail's levels of (S T) G to g_Lambda."""
    at, tail_start, tail_q, tail_lambda, T, D = dense
    h, scale = empty(D), scale_of_columns(Lambda, dense)
    for t in range(len(tail_start)):
        s, q, b = tail_start[t], tail_q[t], tail_lambda[t]
        if len(tail_start) == T:
            for c in range(D):
                g_Lambda[b, b] -= S[at + s * D + c] * scale[c] * G[s, c]
            continue
        for i in range(q):
            row_times_T(S, at + (s + i) * D, Lambda, dense, D, h)
            for j in range(q):
                x = 0.0
                for c in range(D):
                    x += h[c] * G[s + j, c]
                g_Lambda[b + i, b + j] -= x


@part
def gradient_of_terms(sources, G, tail, tail_at, g_omega):
    """Write d log p / d omega = -1/2 <G, K> of every term."""
    place, term, value, weight = sources
    D = tail.shape[0]
    g_omega[:] = 0.0
    for e in range(len(place)):
        p = place[e]
        g = G[p] if p < tail_at else tail[(p - tail_at) // D, (p - tail_at) % D]
        g_omega[term[e]] -= 0.5 * weight[e] * g * value[e]


# Inlined: as a function of its own it would be compiled twice.
@part
def log_likelihood_of(Lambda, weights, n_rows, gram, W0, constant, treat, g_Lambda, g_omega):
    """Return the marginal log likelihood; write its gradient to g_Lambda (q, q) and g_omega (K,) where it is wanted.

    Parameters
    ----------
    Lambda : array (q, q)
        Factors of the covariances of all grouping factors, block diagonal, internal scale.
    weights : array (2 K + 2,)
        Of the terms (`precision_kernels`).
    n_rows : float
    gram : tuple
        Number of terms, room for the workspace and for the tail (overwritten), the arrays of `Sources` and of `Plan`
        (nodes, dense and rows), and the addresses of LAPACK's functions (`compiled.lapack`).
    W0 : array (p + 1, p + 1)
    constant : float
    treat : tuple of bool
        Whether beta is integrated (profiled otherwise), and whether the gradient is wanted.
    """
    K, room, sources, (nodes, dense, rows), lapack = gram
    integrate, with_gradient = treat
    T, D = dense[4], dense[5]
    omega, log_det_R, growth = weights[:K], weights[2 * K], weights[2 * K + 1]
    x = empty(D - 1)
    S, C = room
    assemble(omega, sources, S)
    own = empty(nodes[10] + D)
    own_squares(S, Lambda, nodes, dense, W0, own)
    log_det_M, lost = eliminate_levels(S, Lambda, nodes, dense, rows, own)
    tail_equations(S, Lambda, dense, W0, C)
    log_det_tail, log_det_P, quadratic = solve_tail(C, T, x, lapack)
    value = constant - 0.5 * (log_det_R + log_det_M + log_det_tail + quadratic)
    if integrate:
        value -= 0.5 * log_det_P
    if not isfinite(value) or lost_digits(own, lost, C, quadratic, growth, n_rows) > MOST_LOST:
        value = -np.inf
    elif with_gradient:
        g_Lambda[:] = 0.0
        invert_leading(C, D - 1 if integrate else T, lapack)
        for i in range(D):
            v = -x[i] if i < D - 1 else 1.0
            for j in range(D - 1):
                C[i, j] -= v * x[j]
            C[i, D - 1] += v
        G = empty(dense[0])
        gradient_of_tail(S, Lambda, C, dense, g_Lambda)
        turn_tail(C, Lambda, dense)
        selected_inverse(S, Lambda, (nodes, dense, rows), C, G, g_Lambda, empty(0))
        gradient_of_terms(sources, G, C, dense[0], g_omega)
    return value
