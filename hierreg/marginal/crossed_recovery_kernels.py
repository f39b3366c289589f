"""Means, covariances and draws of all coefficients given the variance parameters, several grouping factors (numba).

After elimination (`crossed_kernels`) the coefficients are c = (b of the tail, beta) ~ N(-, T C^-1 T') and, backwards,
b of a level = E'(z - U (c of all later, -1)) with z standard normal. Read forwards the same factor gives the
covariance of linear functions w: h = E w of a level, w of all later -= U'h; the covariance is the product of the h.
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from hierreg.compiled import part
from hierreg.marginal.array_kernels import empty, zeros
from hierreg.marginal.crossed_kernels import (
    MOST_LOST,
    assemble,
    eliminate_levels,
    factor_of_level,
    lost_digits,
    own_squares,
    room_for_level,
    selected_inverse,
    solve_tail,
    tail_equations,
    times_panel,
    turn_tail,
    width_of_panels,
)
from hierreg.marginal.kernels import error_precision
from hierreg.marginal.tail_kernels import invert_leading, solve_leading


@part
def eliminate_all(Lambda, S_error, gram, errors, W0, S, C, x):
    """Write the eliminated workspace S, the factored tail C (D, D) and its coefficients x (D - 1,).

    Returns the residual sum of squares, NaN where a matrix is not positive definite, or too few digits are left
    (`lost_digits`).
    """
    K, _, sources, nodes, dense = gram
    patterns, counts = errors
    omega = empty(K)
    log_det = error_precision(S_error, patterns, counts, omega)
    assemble(omega, sources, S)
    own = empty(nodes[10] + dense[5])
    own_squares(S, Lambda, nodes, dense, W0, own)
    log_det_M, lost = eliminate_levels(S, Lambda, nodes, dense, own)
    tail_equations(S, Lambda, dense, W0, C)
    quadratic = solve_tail(C, dense[4], x)[2]
    has_digits = lost_digits(own, lost, C, quadratic, S_error, omega, errors) <= MOST_LOST
    return quadratic if isfinite(log_det + log_det_M) and has_digits else np.nan


@part
def carry_back(S, Lambda, nodes, dense, x, z, values):
    """Write all coefficients from those of the tail x (D - 1,) and z, added to each level.

    Parameters
    ----------
    x : array (D - 1,)
        The tail's, standardised: T x are its group coefficients.
    z : array (n_node_columns,)
        Zeros for means, standard normals for draws.
    values : array (n_node_columns + D,)
        Overwritten: columns of nodes, of the tail, of X, and -1 for y. Those of groups standardised, b = Lambda times
        them: so that a zero in Lambda is one in b, whatever the scale; those of X internal.
    """
    b = empty(len(values))
    start, n_columns, diag_at, panel_at, column_at, column, _, _, _, _, n_before = nodes
    _, tail_start, tail_q, tail_lambda, T, D = dense
    for t in range(len(tail_start)):
        s, q, first = tail_start[t], tail_q[t], tail_lambda[t]
        for i in range(q):
            value = 0.0
            for k in range(q):
                value += Lambda[first + i, first + k] * x[s + k]
            b[n_before + s + i] = value
    for i in range(D - 1):
        values[n_before + i] = x[i]
        if i >= T:
            b[n_before + i] = x[i]
    values[n_before + D - 1] = -1.0
    b[n_before + D - 1] = -1.0
    w_max, q_max = width_of_panels(nodes)
    U, level, r = empty((q_max, w_max)), room_for_level(q_max), empty(q_max)
    at = n_before
    for n in range(len(start) - 1, -1, -1):
        q, first = n_columns[n], column_at[n]
        w = column_at[n + 1] - first
        at -= q
        factor_of_level(S, diag_at[n], q, Lambda, start[n], level)
        L_inverse, E = level[2], level[3]
        times_panel(E, q, S, panel_at[n], w, U)
        for i in range(q):
            r[i] = z[at + i]
            for c in range(w):
                r[i] -= U[i, c] * b[column[first + c]]
        for i in range(q):
            value, standard = 0.0, 0.0
            for k in range(q):
                value += E[k, i] * r[k]
            for k in range(i, q):
                standard += L_inverse[k, i] * r[k]
            b[at + i], values[at + i] = value, standard


@part
def draw_coefficients(Lambda, S_error, gram, errors, W0, normals, draws):
    """Write one draw of all coefficients for each value of the variance parameters.

    Parameters
    ----------
    Lambda : array (S, q, q)
    S_error : array (S, D, D)
    normals : array (S, n_node_columns + D - 1)
        Standard normals, those of the tail last.
    draws : array (S, n_node_columns + D)
        Overwritten; see `carry_back`.
    """
    _, (work, C), _, nodes, dense = gram
    D, n_before = dense[5], nodes[10]
    x = empty(D - 1)
    for s in range(len(Lambda)):
        eliminate_all(Lambda[s], S_error[s], gram, errors, W0, work, C, x)
        z = normals[s, n_before:].copy()
        solve_leading(C, D - 1, z, True)
        for i in range(D - 1):
            x[i] += z[i]
        carry_back(work, Lambda[s], nodes, dense, x, normals[s], draws[s])


@part
def covariances_of_coefficients(S, C, Lambda, nodes, dense, n, G, tail, standard):
    """Write the covariance of the coefficients on the places of S to G, and that of the tail (D, D).

    ``n`` is the number of leading columns of the tail that are unknown: T where beta is known, D - 1 where it is not.
    ``standard`` gets the covariance of each level before Lambda, (q, q) one after the other, those of the tail last.
    """
    tail[:] = C
    invert_leading(tail, n)
    at = len(standard)
    for t in range(len(dense[1]) - 1, -1, -1):
        first, q = dense[1][t], dense[2][t]
        at -= q * q
        for i in range(q):
            for j in range(q):
                standard[at + i * q + j] = tail[first + i, first + j]
    turn_tail(tail, Lambda, dense)
    selected_inverse(S, Lambda, nodes, tail, G, zeros(Lambda.shape), standard)


@part
def carry_forward(S, Lambda, nodes, w):
    """Replace weights w (n_node_columns + D - 1,) of levels by h = E w, and take U'h off those of later columns."""
    start, n_columns, diag_at, panel_at, column_at, column, _, _, _, _, _ = nodes
    w_max, q_max = width_of_panels(nodes)
    U, level, h = empty((q_max, w_max)), room_for_level(q_max), empty(q_max)
    at = 0
    for n in range(len(start)):
        q, first = n_columns[n], column_at[n]
        is_zero = True
        for i in range(q):
            is_zero = is_zero and w[at + i] == 0.0
        if not is_zero:
            # The last column is y, which is no coefficient.
            width = column_at[n + 1] - first
            factor_of_level(S, diag_at[n], q, Lambda, start[n], level)
            E = level[3]
            times_panel(E, q, S, panel_at[n], width, U)
            for i in range(q):
                h[i] = 0.0
                for k in range(q):
                    h[i] += E[i, k] * w[at + k]
            for i in range(q):
                w[at + i] = h[i]
                for c in range(width - 1):
                    w[column[first + c]] -= U[i, c] * h[i]
        at += q
