"""Means, covariances and draws of all coefficients given the variance parameters, several grouping factors (numba).

After elimination (`crossed.kernels`) the coefficients are c = (b of the tail, beta) ~ N(-, T C^-1 T') and, backwards,
b of a level = E'(z - U (c of all later, -1)) with z standard normal. Read forwards the same factor gives the
covariance of linear functions w: h = E w of a level, w of all later -= U'h; the covariance is the product of the h.
"""

from __future__ import annotations

from hierreg.compiled.array_kernels import empty
from hierreg.compiled.parts import part
from hierreg.likelihood.crossed.kernels import factor_of_level, room_for_level, times_panel, width_of_panels
from hierreg.likelihood.crossed.large_kernels import solve_leading


@part
def carry_back(S, C, Lambda, nodes, dense, z, values):
    """Write all coefficients from the eliminated workspace S and the factored tail C (D, D).

    Parameters
    ----------
    z : array (n_node_columns + D - 1,)
        Zeros for means, standard normals for draws; those of the tail last.
    values : array (n_node_columns + D,)
        Overwritten: columns of nodes, of the tail, of X, and -1 for y. Those of groups standardised, b = Lambda times
        them: so that a zero in Lambda is one in b, whatever the scale; those of X internal.
    """
    b, x = empty(len(values)), empty(len(C) - 1)
    start, n_columns, diag_at, panel_at, column_at, column, _, _, _, _, n_before = nodes
    _, tail_start, tail_q, tail_lambda, T, D = dense
    for i in range(D - 1):
        x[i] = C[D - 1, i] + z[n_before + i]
    # The tail's, standardised: T x are its group coefficients.
    solve_leading(C, D - 1, x, True)
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
