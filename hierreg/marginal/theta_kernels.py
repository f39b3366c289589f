"""Groups whose coefficients are theta_j = K beta + b_j, a strip of them at a time (numba).

Where all population coefficients vary between groups, as in y ~ x + (x | g), X = Z K in every group with one matrix K.
Then A = Z'Z and b = Z'y are all that counts of a group: it has the likelihood of one estimate A^-1 b of
theta_j ~ N(K beta, Sigma) (Lindley and Smith 1972, section 3.2). In the notation of `kernels`, with Sigma =
Lambda Lambda' and T = (I + A Sigma)^-1::

    W = T A = (A^-1 + Sigma)^-1             t = T b             |M| = |I + A Sigma|
    V'M^-1 V = [K' (A - W) K    K' (b - t)]         H = [W K   t]         M^-1 Lambda' B = Lambda' H
               [ .              b' Sigma t]
    d log p / d Lambda = sum (h h' + W Q W - W) Lambda,     h = t - W K beta_hat,     Q = K P^-1 K'

Matrices of order two need no factors. With D = |A|, which may be zero, and adj(A) A = D I::

    |M| = 1 + tr(A Sigma) + D |Sigma|       W = (A + D adj(Sigma)) / |M|    t = (b + adj(Sigma) adj(A) b) / |M|
    b' Sigma t = (|Lambda' b|^2 + |Sigma| b' adj(A) b) / |M|

One term per strip: A and b are omega times fixed ones, so Lambda is multiplied by sqrt(omega) instead, and what comes
out by the powers of omega that are missing. Loops are written as in `strip_kernels`.

References
----------
Lindley, D. V. and Smith, A. F. M. (1972). Bayes estimates for the linear model. Journal of the Royal Statistical
Society B 34, 1-41.
"""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
from numba import njit

from hierreg.marginal.lanes import STRIP
from hierreg.marginal.strip_kernels import log_of_product, multiply, scaled


@njit(cache=True, nogil=True, error_model="numpy")
def _excess(Lambda, a00, a10, a11, D):
    """Return |M| - 1, for the elements of Lambda (2, 2) and D = |A|.

    Through tr(Lambda' A Lambda), not tr(A Sigma): where A and Lambda are both nearly singular little of it is left, of
    which the sum over the elements of A and Sigma would have no digit right.
    """
    l00, l01, l10, l11 = Lambda
    size = l00 * l11 - l01 * l10
    first = l00 * (l00 * a00 + l10 * a10) + l10 * (l00 * a10 + l10 * a11)
    second = l01 * (l01 * a00 + l11 * a10) + l11 * (l01 * a10 + l11 * a11)
    return first + second + D * (size * size)


@njit(cache=True, nogil=True, error_model="numpy")
def _absorb_one(root, Lambda, strip, det, sums, width):
    """Write |M| and add A - W, b - t and b' Sigma t to sums (3 rows), of one coefficient."""
    s = (root * Lambda[0, 0]) ** 2
    for lane in range(width):
        a, b = strip[lane], strip[STRIP + lane]
        m = 1.0 + a * s
        r = 1.0 / m
        det[lane] = m if m > 0.0 else nan
        sums[lane] += a * a * s * r
        sums[STRIP + lane] += b * a * s * r
        sums[2 * STRIP + lane] += b * b * s * r


@njit(cache=True, nogil=True, error_model="numpy")
def _absorb_two(root, Lambda, strip, det, sums, width):
    """Write |M| and add A - W, b - t and b' Sigma t to sums (6 rows), of two coefficients.

    With v = Lambda' b and u = adj(Lambda) adj(A) b, |M| t = b + adj(Lambda)' u.
    """
    l00, l01, l10, l11 = scaled(root, Lambda)
    s00, s10, s11, size = l00 * l00 + l01 * l01, l10 * l00 + l11 * l01, l10 * l10 + l11 * l11, l00 * l11 - l01 * l10
    for lane in range(width):
        a00, a10, a11, D = strip[lane], strip[STRIP + lane], strip[2 * STRIP + lane], strip[3 * STRIP + lane]
        b0, b1 = strip[4 * STRIP + lane], strip[5 * STRIP + lane]
        c0, c1, form = strip[6 * STRIP + lane], strip[7 * STRIP + lane], strip[8 * STRIP + lane]
        e = _excess((l00, l01, l10, l11), a00, a10, a11, D)
        m = 1.0 + e
        r = 1.0 / m
        v0, v1 = l00 * b0 + l10 * b1, l01 * b0 + l11 * b1
        u0, u1 = l11 * c0 - l01 * c1, l00 * c1 - l10 * c0
        det[lane] = m if m > 0.0 else nan
        sums[lane] += (a00 * e - D * s11) * r
        sums[STRIP + lane] += (a10 * e + D * s10) * r
        sums[2 * STRIP + lane] += (a11 * e - D * s00) * r
        sums[3 * STRIP + lane] += (b0 * e - (l11 * u0 - l10 * u1)) * r
        sums[4 * STRIP + lane] += (b1 * e - (l00 * u1 - l01 * u0)) * r
        sums[5 * STRIP + lane] += (v0 * v0 + v1 * v1 + size * size * form) * r


@njit(cache=True, nogil=True, error_model="numpy")
def _total_of(sums, row, width):
    """Return the sum of a row over the lanes and clear it."""
    total = 0.0
    for lane in range(row * STRIP, row * STRIP + width):
        total += sums[lane]
        sums[lane] = 0.0
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _symmetric(sums, q, width):
    """Return the matrix (q, q) of the sums over the lanes of the first rows, its lower triangle, and clear them."""
    out = np.empty((q, q))
    row = 0
    for i in range(q):
        for j in range(i + 1):
            out[i, j] = out[j, i] = _total_of(sums, row, width)
            row += 1
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _add_to_total(omega, K, sums, width, total):
    """Add V'M^-1 V, omega times the sums of one term, to ``total`` (p + 1, p + 1, LANES); clear the sums."""
    q, p = K.shape
    first, of_X = q * (q + 1) // 2, _symmetric(sums, q, width)
    for i in range(q):
        of_y = _total_of(sums, first + i, width)
        for c in range(p):
            total[p, c, 0] += omega * K[i, c] * of_y
            for j in range(q):
                for d in range(c + 1):
                    total[c, d, 0] += omega * K[i, c] * of_X[i, j] * K[j, d]
    total[p, p, 0] += omega * _total_of(sums, first + q, width)


@njit(cache=True, nogil=True, error_model="numpy")
def absorb_theta(omega, Lambda, theta, total):
    """Do for strips of `theta_strips` what `kernels.absorb_blocks` does for tiles."""
    if theta is None:
        return 0.0
    term, products, K = theta
    n_rows, width, q, flat = products.shape[1], products.shape[2], len(K), products.reshape(-1)
    det, product, sums = np.empty(STRIP), np.ones(STRIP), np.zeros((q * (q + 1) // 2 + q + 1) * STRIP)
    log_det, last, root = 0.0, np.int64(-1), 1.0
    for t in range(len(term)):
        if term[t] != last:
            if last >= 0:
                _add_to_total(omega[last], K, sums, width, total[last])
            last = term[t]
            root = sqrt(omega[last])
        strip = flat[t * n_rows * STRIP : (t + 1) * n_rows * STRIP]
        if q == 1:
            _absorb_one(root, Lambda, strip, det, sums, width)
        else:
            _absorb_two(root, Lambda, strip, det, sums, width)
        if not multiply(product, det):
            # Few logarithms are taken because each costs as much as a group.
            log_det += log_of_product(product)
            product[:] = 1.0
    if last >= 0:
        _add_to_total(omega[last], K, sums, width, total[last])
    return log_det + log_of_product(product)


@njit(cache=True, nogil=True, error_model="numpy")
def _differentiate_one(root, Lambda, strip, omega, Q, mean, sums, width):
    """Add omega (h h' + W Q W) - W to sums, of one coefficient."""
    s, q, m = (root * Lambda[0, 0]) ** 2, omega * Q[0, 0], mean[0]
    for lane in range(width):
        a, b = strip[lane], strip[STRIP + lane]
        r = 1.0 / (1.0 + a * s)
        w = a * r
        h = b * r - w * m
        sums[lane] += omega * h * h + w * q * w - w


@njit(cache=True, nogil=True, error_model="numpy")
def _differentiate_two(root, Lambda, strip, omega, Q, mean, sums, width):
    """Add omega (h h' + W Q W) - W to sums (3 rows), of two coefficients."""
    l00, l01, l10, l11 = scaled(root, Lambda)
    s00, s10, s11 = l00 * l00 + l01 * l01, l10 * l00 + l11 * l01, l10 * l10 + l11 * l11
    q00, q10, q11, m0, m1 = omega * Q[0, 0], omega * Q[1, 0], omega * Q[1, 1], mean[0], mean[1]
    for lane in range(width):
        a00, a10, a11, D = strip[lane], strip[STRIP + lane], strip[2 * STRIP + lane], strip[3 * STRIP + lane]
        b0, b1 = strip[4 * STRIP + lane], strip[5 * STRIP + lane]
        c0, c1 = strip[6 * STRIP + lane], strip[7 * STRIP + lane]
        r = 1.0 / (1.0 + _excess((l00, l01, l10, l11), a00, a10, a11, D))
        w00, w10, w11 = (a00 + D * s11) * r, (a10 - D * s10) * r, (a11 + D * s00) * r
        u0, u1 = l11 * c0 - l01 * c1, l00 * c1 - l10 * c0
        h0 = (b0 + l11 * u0 - l10 * u1) * r - (w00 * m0 + w10 * m1)
        h1 = (b1 + l00 * u1 - l01 * u0) * r - (w10 * m0 + w11 * m1)
        # Q W, then W Q W.
        y00, y01 = q00 * w00 + q10 * w10, q00 * w10 + q10 * w11
        y10, y11 = q10 * w00 + q11 * w10, q10 * w10 + q11 * w11
        g0, g1 = omega * h0, omega * h1
        sums[lane] += g0 * h0 + (w00 * y00 + w10 * y10) - w00
        sums[STRIP + lane] += g1 * h0 + (w10 * y00 + w11 * y10) - w10
        sums[2 * STRIP + lane] += g1 * h1 + (w10 * y01 + w11 * y11) - w11


@njit(cache=True, nogil=True, error_model="numpy")
def _add_to_factor(omega, Lambda, sums, width, g_factor):
    """Add omega times the sums of one term times Lambda to ``g_factor`` (q, q, LANES); clear the sums."""
    q = len(Lambda)
    of_Sigma = _symmetric(sums, q, width)
    for i in range(q):
        for j in range(q):
            for k in range(q):
                g_factor[i, j, 0] += omega * of_Sigma[i, k] * Lambda[k, j]


@njit(cache=True, nogil=True, error_model="numpy")
def gradient_of_theta(omega, Lambda, theta, P_inv, beta, g_factor):
    """Do for strips of `theta_strips` what `kernels.gradient_of_blocks` does for tiles, without g_omega.

    ``P_inv`` (p, p) is zero where beta is profiled out.
    """
    if theta is None:
        return
    term, products, K = theta
    n_rows, width, flat = products.shape[1], products.shape[2], products.reshape(-1)
    q, p = K.shape
    Q, mean, sums = np.zeros((q, q)), np.zeros(q), np.zeros(q * (q + 1) // 2 * STRIP)
    for i in range(q):
        for c in range(p):
            mean[i] += K[i, c] * beta[c]
            for d in range(p):
                for j in range(q):
                    Q[i, j] += K[i, c] * P_inv[c, d] * K[j, d]
    last, root = np.int64(-1), 1.0
    for t in range(len(term)):
        if term[t] != last:
            if last >= 0:
                _add_to_factor(omega[last], Lambda, sums, width, g_factor[last])
            last = term[t]
            root = sqrt(omega[last])
        strip = flat[t * n_rows * STRIP : (t + 1) * n_rows * STRIP]
        if q == 1:
            _differentiate_one(root, Lambda, strip, omega[last], Q, mean, sums, width)
        else:
            _differentiate_two(root, Lambda, strip, omega[last], Q, mean, sums, width)
    if last >= 0:
        _add_to_factor(omega[last], Lambda, sums, width, g_factor[last])
