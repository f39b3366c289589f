"""Groups whose coefficients are theta_j = K beta + b_j, a strip of them at a time (numba).

Where all population coefficients vary between groups, as in y ~ x + (x | g), X = Z K in every group with one matrix K.
Then the triangle [C d] of Z and y, C'C = A = Z'Z and C'd = b = Z'y, is all that counts of a group: it has the
likelihood of one estimate A^-1 b of theta_j ~ N(K beta, Sigma) (Lindley and Smith 1972, section 3.2). In the notation
of `kernels`, with N = I + C Sigma C'::

    W = C'N^-1 C = (A^-1 + Sigma)^-1        t = C'N^-1 d        |M| = |N|
    the group adds to W'V^-1 W:  [K'W K   K't       ]
                                 [ .      d'N^-1 d  ]
    d log p / d Lambda = sum (h h' + W Q W - W) Lambda,     h = t - W K beta_hat,     Q = K P^-1 K'

Matrices of order two need no factors. With X = C Lambda, D = |C|^2, which may be zero, u = adj(Lambda) adj(C) d, and
adj(C) C = |C| I, everything is a sum of squares or products::

    |N| = 1 + tr(X X') + |X|^2      W = (A + D adj(Sigma)) / |N|     t = (b + |C| adj(Lambda)' u) / |N|
    d'N^-1 d = (d'd + u'u) / |N|

One term per strip: C and d are the root of omega times fixed ones, so Lambda is multiplied by sqrt(omega) instead, and
what comes out by the powers of omega that are missing. Loops are written as in `strip_kernels`.

References
----------
Lindley, D. V. and Smith, A. F. M. (1972). Bayes estimates for the linear model. Journal of the Royal Statistical
Society B 34, 1-41.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from hierreg.compiled.array_kernels import in_shape, local, local_zeros
from hierreg.compiled.lanes import STRIP
from hierreg.compiled.parts import part
from hierreg.likelihood.groups.strip_kernels import log_of_product, multiply, scaled


@part
def _excess(Lambda, c00, c01, c11, det):
    """Return |N| - 1, for the elements of Lambda (2, 2) and det = |C|.

    Squares of the elements of C Lambda, not of A and Sigma: where both are nearly singular little of them is left, of
    which the sum over products would have no digit right.
    """
    l00, l01, l10, l11 = Lambda
    x00, x01, x10, x11 = c00 * l00 + c01 * l10, c00 * l01 + c01 * l11, c11 * l10, c11 * l11
    whole = det * (l00 * l11 - l01 * l10)
    return x00 * x00 + x01 * x01 + (x10 * x10 + x11 * x11) + whole * whole


@part
def _absorb_one(root, Lambda, strip, det, sums, width):
    """Write |N| and add W, t and d'N^-1 d to sums (3 rows), of one coefficient."""
    s = (root * Lambda[0, 0]) ** 2
    for lane in range(width):
        c, d = strip[lane], strip[STRIP + lane]
        m = 1.0 + c * c * s
        r = 1.0 / m
        det[lane] = m
        sums[lane] += c * c * r
        sums[STRIP + lane] += c * d * r
        sums[2 * STRIP + lane] += d * d * r


@part
def _absorb_two(root, Lambda, strip, det, sums, width):
    """Write |N| and add W, t and d'N^-1 d to sums (6 rows), of two coefficients."""
    l00, l01, l10, l11 = scaled(root, Lambda)
    s00, s10, s11 = l00 * l00 + l01 * l01, l10 * l00 + l11 * l01, l10 * l10 + l11 * l11
    for lane in range(width):
        c00, c01, c11, a11 = strip[lane], strip[STRIP + lane], strip[2 * STRIP + lane], strip[3 * STRIP + lane]
        b0, b1 = strip[4 * STRIP + lane], strip[5 * STRIP + lane]
        e0, e1 = strip[6 * STRIP + lane], strip[7 * STRIP + lane]
        whole = c00 * c11
        D = whole * whole
        m = 1.0 + _excess((l00, l01, l10, l11), c00, c01, c11, whole)
        r = 1.0 / m
        u0, u1 = l11 * e0 - l01 * e1, l00 * e1 - l10 * e0
        det[lane] = m
        sums[lane] += (c00 * c00 + D * s11) * r
        sums[STRIP + lane] += (c00 * c01 - D * s10) * r
        sums[2 * STRIP + lane] += (a11 + D * s00) * r
        sums[3 * STRIP + lane] += (b0 + whole * (l11 * u0 - l10 * u1)) * r
        sums[4 * STRIP + lane] += (b1 + whole * (l00 * u1 - l01 * u0)) * r
        sums[5 * STRIP + lane] += (strip[8 * STRIP + lane] + (u0 * u0 + u1 * u1)) * r


@part
def _total_of(sums, row, width):
    """Return the sum of a row over the lanes and clear it."""
    total = 0.0
    for lane in range(row * STRIP, row * STRIP + width):
        total += sums[lane]
        sums[lane] = 0.0
    return total


@part
def _symmetric(sums, q, width, out):
    """Write the matrix (q, q) of the sums over the lanes of the first rows, its lower triangle, and clear them."""
    row = 0
    for i in range(q):
        for j in range(i + 1):
            out[i, j] = out[j, i] = _total_of(sums, row, width)
            row += 1


@part
def _add_to_total(omega, K, sums, width, total):
    """Add omega times the sums of one term, between K' and K, to ``total`` (p + 1, p + 1, LANES); clear the sums."""
    q, p = K.shape
    first, of_X = q * (q + 1) // 2, local((q, q))
    _symmetric(sums, q, width, of_X)
    for i in range(q):
        of_y = _total_of(sums, first + i, width)
        for c in range(p):
            total[p, c, 0] += omega * K[i, c] * of_y
            for j in range(q):
                for d in range(c + 1):
                    total[c, d, 0] += omega * K[i, c] * of_X[i, j] * K[j, d]
    total[p, p, 0] += omega * _total_of(sums, first + q, width)


@part
def absorb_theta(omega, Lambda, theta, total):
    """Do for strips of `theta_strips` what `kernels.absorb_blocks` does for tiles."""
    if theta is None:
        return 0.0
    term, products, K = theta
    n_rows, width, q, flat = products.shape[1], products.shape[2], len(K), in_shape(products, products.size)
    det, product, sums = local(STRIP), local(STRIP), local_zeros((q * (q + 1) // 2 + q + 1) * STRIP)
    log_det, last, root = 0.0, np.int64(-1), 1.0
    product[:] = 1.0
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


@part
def _differentiate_one(root, Lambda, strip, omega, Q, mean, sums, width):
    """Add omega (h h' + W Q W) - W to sums, of one coefficient."""
    s, q, m = (root * Lambda[0, 0]) ** 2, omega * Q[0, 0], mean[0]
    for lane in range(width):
        c, d = strip[lane], strip[STRIP + lane]
        r = 1.0 / (1.0 + c * c * s)
        w = c * c * r
        h = c * d * r - w * m
        sums[lane] += omega * h * h + w * q * w - w


@part
def _differentiate_two(root, Lambda, strip, omega, Q, mean, sums, width):
    """Add omega (h h' + W Q W) - W to sums (3 rows), of two coefficients."""
    l00, l01, l10, l11 = scaled(root, Lambda)
    s00, s10, s11 = l00 * l00 + l01 * l01, l10 * l00 + l11 * l01, l10 * l10 + l11 * l11
    q00, q10, q11, m0, m1 = omega * Q[0, 0], omega * Q[1, 0], omega * Q[1, 1], mean[0], mean[1]
    for lane in range(width):
        c00, c01, c11, a11 = strip[lane], strip[STRIP + lane], strip[2 * STRIP + lane], strip[3 * STRIP + lane]
        b0, b1 = strip[4 * STRIP + lane], strip[5 * STRIP + lane]
        e0, e1 = strip[6 * STRIP + lane], strip[7 * STRIP + lane]
        whole = c00 * c11
        D = whole * whole
        r = 1.0 / (1.0 + _excess((l00, l01, l10, l11), c00, c01, c11, whole))
        w00, w10, w11 = (c00 * c00 + D * s11) * r, (c00 * c01 - D * s10) * r, (a11 + D * s00) * r
        u0, u1 = l11 * e0 - l01 * e1, l00 * e1 - l10 * e0
        h0 = (b0 + whole * (l11 * u0 - l10 * u1)) * r - (w00 * m0 + w10 * m1)
        h1 = (b1 + whole * (l00 * u1 - l01 * u0)) * r - (w10 * m0 + w11 * m1)
        # Q W, then W Q W.
        y00, y01 = q00 * w00 + q10 * w10, q00 * w10 + q10 * w11
        y10, y11 = q10 * w00 + q11 * w10, q10 * w10 + q11 * w11
        g0, g1 = omega * h0, omega * h1
        sums[lane] += g0 * h0 + (w00 * y00 + w10 * y10) - w00
        sums[STRIP + lane] += g1 * h0 + (w10 * y00 + w11 * y10) - w10
        sums[2 * STRIP + lane] += g1 * h1 + (w10 * y01 + w11 * y11) - w11


@part
def _add_to_factor(omega, Lambda, sums, width, g_factor):
    """Add omega times the sums of one term times Lambda to ``g_factor`` (q, q, LANES); clear the sums."""
    q = len(Lambda)
    of_Sigma = local((q, q))
    _symmetric(sums, q, width, of_Sigma)
    for i in range(q):
        for j in range(q):
            for k in range(q):
                g_factor[i, j, 0] += omega * of_Sigma[i, k] * Lambda[k, j]


@part
def gradient_of_theta(omega, Lambda, theta, P_inv, beta, g_factor):
    """Do for strips of `theta_strips` what `kernels.gradient_of_blocks` does for tiles, without g_omega.

    ``P_inv`` (p, p) is zero where beta is profiled out.
    """
    if theta is None:
        return
    term, products, K = theta
    n_rows, width, flat = products.shape[1], products.shape[2], in_shape(products, products.size)
    q, p = K.shape
    Q, mean, sums = local_zeros((q, q)), local_zeros(q), local_zeros(q * (q + 1) // 2 * STRIP)
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
