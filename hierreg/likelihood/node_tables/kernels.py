"""The log-likelihood of groups at fixed nodes, and the sum over them at any parameters, with its gradient (numba).

Groups stand in strips of NODE_STRIP, one in each lane. The array of a strip has a row of NODE_STRIP numbers for each
quantity: m (q rows), L (q q), A (q p) and the K log weights. Loops over the lanes are innermost and written as in
`groups.strip_kernels`, so that they become vector instructions. *Features* of a node (K, n) are the elements of t and
of the lower triangle of t t', n = q + q (q + 1) / 2.
"""

from __future__ import annotations

from math import inf, isfinite, log

import numpy as np

from hierreg.compiled.array_kernels import empty, zeros
from hierreg.compiled.lanes import NODE_STRIP
from hierreg.compiled.parts import contracted, part, whole
from hierreg.likelihood.quadrature.kernels import auxiliaries_of
from hierreg.response.kernels import row_constant, value_and_slope
from hierreg.response.special_kernels import exp_of_negative

_OF_TWO = 5


@whole
def tabulate(rows, points, out, constant):
    """Write what depends on theta of the log-likelihood of each group at its points (J, K, q) to out (J, K).

    What does not is written to constant (J,).
    """
    _, Z, y, n, weight, offset, stratum, family, link, starts = rows
    K, q = points.shape[1], points.shape[2]
    nothing = empty((np.int64(1), np.int64(0)))
    for j in range(len(points)):
        constant[j] = 0.0
        for k in range(K):
            out[j, k] = 0.0
        for r in range(starts[j], starts[j + 1]):
            a, c = auxiliaries_of(family, nothing, stratum[r], y[r])
            constant[j] += weight[r] * row_constant(family, y[r], n[r], a, c)
            for k in range(K):
                eta = offset[r]
                for i in range(q):
                    eta += Z[r, i] * points[j, k, i]
                out[j, k] += weight[r] * value_and_slope(family, link, y[r], n[r], eta, a, c)[0]
    return len(points)


@part
def _rows(q, n):
    """Return where rows of the room begin: d (q), B (q q), coefficients (n), largest, sums (1 + n), z (q), d'd / 2."""
    B = q
    c = B + q * q
    top = c + n
    sums = top + 1
    z = sums + (1 + n)
    return B, c, top, sums, z, z + q


@part
def _set(to, at, width, value):
    """Write a number to a row."""
    for lane in range(width):
        to[at, lane] = value


@part
def _add(to, at, width, factor, rows, place):
    """Add a multiple of one row to another."""
    for lane in range(width):
        to[at, lane] += factor * rows[place, lane]


@part
def _add_product(to, at, width, factor, first, i, second, j):
    """Add a multiple of the product of two rows to another."""
    for lane in range(width):
        to[at, lane] += factor * first[i, lane] * second[j, lane]


@part
def _read_strip(strip, beta, inverse, room, rows, width):
    """Write d, B, d'd / 2 and the coefficients of z'z / 2 in the features of t.

    Parameters
    ----------
    strip : array (rows, NODE_STRIP)
    beta : array (p,)
    inverse : array (q, q)
        Of Lambda, lower triangular.
    room : array (rows, NODE_STRIP)
    rows : tuple
        From `_rows`.
    width : int
        Groups in the strip.
    """
    q, p = len(inverse), len(beta)
    B, c, _, _, u, half = rows
    root, maps = q, q + q * q
    _set(room, half, width, 0.0)
    for i in range(q):
        _set(room, u + i, width, 0.0)
        _add(room, u + i, width, 1.0, strip, i)
        for k in range(p):
            _add(room, u + i, width, -beta[k], strip, maps + i * p + k)
        _set(room, i, width, 0.0)
        for h in range(i + 1):
            _add(room, i, width, inverse[i, h], room, u + h)
        _add_product(room, half, width, 0.5, room, i, room, i)
        for k in range(i + 1):
            at = B + i * q + k
            _set(room, at, width, 0.0)
            for h in range(k, i + 1):
                _add(room, at, width, inverse[i, h], strip, root + h * q + k)
    at = c + q
    for i in range(q):
        _set(room, c + i, width, 0.0)
        for h in range(i, q):
            _add_product(room, c + i, width, 1.0, room, B + h * q + i, room, h)
        for k in range(i + 1):
            _set(room, at, width, 0.0)
            factor = 0.5 if i == k else 1.0
            for h in range(i, q):
                _add_product(room, at, width, factor, room, B + h * q + i, room, B + (h * q + k))
            at += 1


@part
def _weigh(strip, logs, features, room, rows, f, width):
    """Write the largest term of every group, the sum of terms in units of it, and the sums weighted by features."""
    K, n = features.shape
    _, c, top, sums, _, _ = rows
    _set(room, top, width, -inf)
    for i in range(n + 1):
        _set(room, sums + i, width, 0.0)
    if n == _OF_TWO:
        _weigh_two(strip, logs, features, room[c:top], room[top:sums], room[sums:], f, width)
        return
    for k in range(K):
        place = logs + k
        for lane in range(width):
            f[k, lane] = strip[place, lane]
        for i in range(n):
            _add(f, k, width, -features[k, i], room, c + i)
        for lane in range(width):
            room[top, lane] = max(room[top, lane], f[k, lane])
    for k in range(K):
        for lane in range(width):
            e = exp_of_negative(f[k, lane] - room[top, lane])
            f[k, lane] = e
            room[sums, lane] += e
        for i in range(n):
            _add(room, sums + (i + 1), width, features[k, i], f, k)


@contracted
def _weigh_two(strip, logs, features, c, top, sums, f, width):
    """Do what `_weigh` does for groups of two effects: the same sums, each number read once."""
    for k in range(len(features)):
        place = logs + k
        a, b, aa, ba, bb = features[k, 0], features[k, 1], features[k, 2], features[k, 3], features[k, 4]
        for lane in range(width):
            x = strip[place, lane] - (
                a * c[0, lane] + b * c[1, lane] + aa * c[2, lane] + ba * c[3, lane] + bb * c[4, lane]
            )
            f[k, lane] = x
            top[0, lane] = max(top[0, lane], x)
    for k in range(len(features)):
        a, b, aa, ba, bb = features[k, 0], features[k, 1], features[k, 2], features[k, 3], features[k, 4]
        for lane in range(width):
            e = exp_of_negative(f[k, lane] - top[0, lane])
            sums[0, lane] += e
            sums[1, lane] += a * e
            sums[2, lane] += b * e
            sums[3, lane] += aa * e
            sums[4, lane] += ba * e
            sums[5, lane] += bb * e


@part
def _total(room, at, width):
    """Return the sum of a row."""
    total = 0.0
    for lane in range(width):
        total += room[at, lane]
    return total


@part
def _add_gradient(strip, room, rows, inverse, width, spare, zz, g_beta):
    """Add the sum of E[z z'] of a strip to zz (q, q), and its gradient to that of beta.

    Parameters
    ----------
    spare : array (1, NODE_STRIP)
    """
    q, p = len(inverse), len(g_beta)
    B, _, _, sums, z, _ = rows
    mean, square, maps = sums + 1, sums + (1 + q), q + q * q
    # Means, and covariances of t.
    n = q + q * (q + 1) // 2
    for lane in range(width):
        room[sums, lane] = 1.0 / room[sums, lane]
    for i in range(n):
        for lane in range(width):
            room[mean + i, lane] *= room[sums, lane]
    at = square
    for i in range(q):
        for k in range(i + 1):
            _add_product(room, at, width, -1.0, room, mean + i, room, mean + k)
            at += 1
    for i in range(q):
        _set(room, z + i, width, 0.0)
        _add(room, z + i, width, 1.0, room, i)
        for k in range(i + 1):
            _add_product(
                room,
                z + i,
                width,
                1.0,
                room,
                B + (i * q + k),
                room,
                mean + k,
            )
    # E[z z'] = E[z] E[z]' + B cov(t) B'
    for i in range(q):
        for h in range(i + 1):
            _set(spare, 0, width, 0.0)
            _add_product(spare, 0, width, 1.0, room, z + i, room, z + h)
            for k in range(i + 1):
                for m in range(h + 1):
                    high, low = max(k, m), min(k, m)
                    cov = square + (high * (high + 1) // 2 + low)
                    first, second = B + (i * q + k), B + (h * q + m)
                    for lane in range(width):
                        spare[0, lane] += room[first, lane] * room[cov, lane] * room[second, lane]
            zz[i, h] += _total(spare, 0, width)
    for i in range(q):
        _set(spare, 0, width, 0.0)
        for h in range(i, q):
            _add(spare, 0, width, inverse[h, i], room, z + h)
        for k in range(p):
            at = maps + (i * p + k)
            t = 0.0
            for lane in range(width):
                t += strip[at, lane] * spare[0, lane]
            g_beta[k] += t


@part
def _invert(Lambda, inverse):
    """Write the inverse of a lower triangular matrix; return the logarithm of its determinant's size."""
    q, log_det = len(Lambda), 0.0
    for i in range(q):
        log_det += log(abs(Lambda[i, i]))
        for k in range(q):
            inverse[i, k] = 0.0
        for k in range(i + 1):
            t = 1.0 if i == k else 0.0
            for h in range(k, i):
                t -= Lambda[i, h] * inverse[h, k]
            inverse[i, k] = t / Lambda[i, i]
    return log_det


@part
def sum_of_tables(strips, n_groups, features, beta, Lambda, wanted, g_beta, g_Lambda):
    """Return the log-likelihood, and add its gradient where it is wanted.

    Parameters
    ----------
    strips : array (blocks, rows x NODE_STRIP)
    n_groups : int
    features : array (K, n)
    beta : array (p,)
    Lambda : array (q, q)
        Lower triangular, without zeros on its diagonal; else there is no value.
    wanted : bool
    g_beta, g_Lambda : arrays (p,), (q, q)
    """
    q, n, p = len(Lambda), features.shape[1], len(beta)
    inverse, zz = empty((q, q)), zeros((q, q))
    value = -n_groups * _invert(Lambda, inverse)
    if not isfinite(value):
        return -inf
    rows = _rows(q, n)
    top, sums, half = rows[2], rows[3], rows[5]
    room, f, spare = empty((half + 1, NODE_STRIP)), empty((len(features), NODE_STRIP)), empty((1, NODE_STRIP))
    logs = q + q * q + q * p
    for block in range(len(strips)):
        width = min(NODE_STRIP, n_groups - block * NODE_STRIP)
        strip = strips[block].reshape((-1, NODE_STRIP))
        _read_strip(strip, beta, inverse, room, rows, width)
        _weigh(strip, logs, features, room, rows, f, width)
        # Each sum is at least one, and at most the number of nodes: their product has a logarithm.
        together = 1.0
        for lane in range(width):
            together *= room[sums, lane]
            value += room[top, lane] - room[half, lane]
        value += log(together)
        if not isfinite(value):
            return -inf
        if wanted:
            _add_gradient(strip, room, rows, inverse, width, spare, zz, g_beta)
    if not wanted:
        return value
    for i in range(q):
        for k in range(q):
            t = 0.0
            for h in range(i, q):
                t += inverse[h, i] * (zz[max(h, k), min(h, k)] - (n_groups if h == k else 0.0))
            g_Lambda[i, k] += t
    return value
