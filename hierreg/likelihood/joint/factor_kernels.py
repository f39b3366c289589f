"""Sparse Cholesky factors, what follows from them, and their derivatives backwards (numba).

`form` is a tuple, in this order (see `structure.Structure.form`): first value of each sparse column (n_sparse + 1,),
the row of each value, first place of the updates of each sparse column or -1 (n_sparse,), the places of updates, where
the dense part begins among the values, and its size m. Columns from n_sparse on are dense: an m x m block, of which the
lower triangle is used. A sparse column whose rows all are dense ones needs no places: they follow from the rows.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np

from hierreg.compiled.array_kernels import empty
from hierreg.compiled.parts import part


@part
def factorise(form, values):
    """Overwrite the values of a matrix with those of its lower Cholesky factor; return whether there is one."""
    first, rows, first_update, places, dense, m = form
    n = len(first_update)
    for k in range(n):
        begin, end = first[k], first[k + 1]
        if not values[begin] > 0.0:
            return False
        d = sqrt(values[begin])
        values[begin] = d
        x = 1.0 / d
        for i in range(begin + 1, end):
            values[i] *= x
        if first_update[k] >= 0:
            place = first_update[k]
            for i in range(begin + 1, end):
                x = values[i]
                for j in range(begin + 1, i + 1):
                    values[places[place]] -= x * values[j]
                    place += 1
        else:
            for i in range(begin + 1, end):
                x = values[i]
                row = dense + (rows[i] - n) * m - n
                if rows[i] - rows[begin + 1] == i - begin - 1:
                    # Rows without a gap: a loop over neighbours.
                    row += rows[begin + 1]
                    for j in range(i - begin):
                        values[np.uint64(row + j)] -= x * values[np.uint64(begin + 1 + j)]
                else:
                    for j in range(begin + 1, i + 1):
                        values[row + rows[j]] -= x * values[j]
    for k in range(m):
        d = values[dense + k * m + k]
        if not d > 0.0:
            return False
        d = sqrt(d)
        values[dense + k * m + k] = d
        for i in range(k + 1, m):
            values[dense + i * m + k] /= d
        for i in range(k + 1, m):
            x = values[dense + i * m + k]
            for j in range(k + 1, i + 1):
                values[dense + i * m + j] -= x * values[dense + j * m + k]
    return True


@part
def log_determinant(form, values):
    """Return log|L|."""
    first, _, first_update, _, dense, m = form
    total = 0.0
    for k in range(len(first_update)):
        total += log(values[first[k]])
    for k in range(m):
        total += log(values[dense + k * m + k])
    return total


@part
def solve_lower(form, values, x):
    """Overwrite x with L^-1 x."""
    first, rows, first_update, _, dense, m = form
    n = len(first_update)
    for k in range(n):
        x[k] /= values[first[k]]
        t = x[k]
        for i in range(first[k] + 1, first[k + 1]):
            x[rows[i]] -= values[i] * t
    for i in range(m):
        t = x[n + i]
        for j in range(i):
            t -= values[dense + i * m + j] * x[n + j]
        x[n + i] = t / values[dense + i * m + i]


@part
def solve_upper(form, values, x):
    """Overwrite x with L'^-1 x."""
    first, rows, first_update, _, dense, m = form
    n = len(first_update)
    for i in range(m - 1, -1, -1):
        t = x[n + i] / values[dense + i * m + i]
        x[n + i] = t
        for j in range(i):
            x[n + j] -= values[dense + i * m + j] * t
    for k in range(n - 1, -1, -1):
        t = x[k]
        for i in range(first[k] + 1, first[k + 1]):
            t -= values[i] * x[rows[i]]
        x[k] = t / values[first[k]]


@part
def add_outer(form, bar, scale, x, y):
    """Add scale x y' to the values of the lower triangle that are stored."""
    first, rows, first_update, _, dense, m = form
    n = len(first_update)
    for k in range(n):
        t = scale * y[k]
        for i in range(first[k], first[k + 1]):
            bar[i] += x[rows[i]] * t
    for i in range(m):
        t = scale * x[n + i]
        for j in range(i + 1):
            bar[dense + i * m + j] += t * y[n + j]


@part
def add_log_determinant(form, values, scale, bar):
    """Add the derivatives of scale log|L| in the diagonal of L."""
    first, _, first_update, _, dense, m = form
    for k in range(len(first_update)):
        bar[first[k]] += scale / values[first[k]]
    for k in range(m):
        bar[dense + k * m + k] += scale / values[dense + k * m + k]


@part
def pull_back_factor(form, values, bar):
    """Overwrite derivatives in the values of the factor with those in the values of the matrix (Smith 1995)."""
    _pull_back_dense(form, values, bar)
    m = form[5]
    # Both triangles, the diagonal twice: what a sparse column takes of it is then a sum over neighbours.
    whole, dense = empty((m, m)), form[4]
    for i in range(m):
        for j in range(i):
            whole[i, j] = bar[dense + i * m + j]
            whole[j, i] = bar[dense + i * m + j]
        whole[i, i] = 2.0 * bar[dense + i * m + i]
    _pull_back_sparse(form, values, bar, whole)


@part
def _pull_back_dense(form, values, bar):
    """Do so for the dense block."""
    dense, m = form[4], form[5]
    for k in range(m - 1, -1, -1):
        for i in range(m - 1, k, -1):
            x = values[dense + i * m + k]
            t = 0.0
            for j in range(k + 1, i + 1):
                g = bar[dense + i * m + j]
                t += g * values[dense + j * m + k]
                bar[dense + j * m + k] -= g * x
            bar[dense + i * m + k] -= t
        d = values[dense + k * m + k]
        t = 0.0
        for i in range(k + 1, m):
            g = bar[dense + i * m + k] / d
            bar[dense + i * m + k] = g
            t += g * values[dense + i * m + k]
        bar[dense + k * m + k] = 0.5 * (bar[dense + k * m + k] - t) / d


@part
def _pull_back_sparse(form, values, bar, whole):
    """Do so for the sparse columns, the dense block being done."""
    first, rows, first_update, places, _, _ = form
    n = len(first_update)
    for k in range(n - 1, -1, -1):
        begin, end = first[k], first[k + 1]
        if first_update[k] >= 0:
            place = first_update[k]
            for i in range(begin + 1, end):
                x, t = values[i], 0.0
                for j in range(begin + 1, i + 1):
                    g = bar[places[place]]
                    t += g * values[j]
                    bar[j] -= g * x
                    place += 1
                bar[i] -= t
        elif end > begin + 1 and rows[end - 1] - rows[begin + 1] == end - begin - 2:
            start, count = rows[begin + 1] - n, end - begin - 1
            own = bar[begin + 1 : end]
            for i in range(begin + 1, end):
                x, of_row = values[i], whole[rows[i] - n, start : start + count]
                for j in range(len(own)):
                    own[j] -= x * of_row[j]
        else:
            for i in range(begin + 1, end):
                x, row = values[i], rows[i] - n
                for j in range(begin + 1, end):
                    bar[j] -= x * whole[row, rows[j] - n]
        d = values[begin]
        t, x = 0.0, 1.0 / d
        for i in range(begin + 1, end):
            g = bar[i] * x
            bar[i] = g
            t += g * values[i]
        bar[begin] = 0.5 * (bar[begin] - t) / d
