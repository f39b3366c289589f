"""Derivatives of the slope and curvature of a log density in its further parameters (numba).

What Laplace's approximation asks for beside `kernels.row_terms` and `kernels.auxiliary_slopes`: with l' and l'' the
first two derivatives of the log density in eta, their derivatives in the numbers a and c of a response. Of families
without such numbers they are zero.
"""

from __future__ import annotations

from math import exp, inf, log, log1p

from hierreg.compiled.parts import part
from hierreg.response.kernels import (
    BETA,
    CUMULATIVE,
    GAMMA,
    LOGIT,
    NEGATIVE_BINOMIAL,
    NORMAL,
    row_terms,
)
from hierreg.response.special_kernels import expit, polygammas

_LOG_ROOT_2PI = 0.9189385332046727


@part
def mixed_slopes(family, link, y, eta, a, c):
    """Return the derivatives of l' and of l'' in a, then those in c."""
    if family == NEGATIVE_BINOMIAL:
        return _of_dispersion(y, eta, a)
    if family == GAMMA:
        s = y * exp(-eta)
        return s - 1.0, -s, 0.0, 0.0
    if family == BETA:
        return _of_precision(y, eta, a)
    if family == NORMAL:
        w = 1.0 / (a * a)
        return -2.0 * w * (y - eta) / a, 2.0 * w / a, 0.0, 0.0
    if family == CUMULATIVE:
        return _of_thresholds(link, eta, a, c)
    return 0.0, 0.0, 0.0, 0.0


@part
def _of_dispersion(y, eta, a):
    """Return those of l' = (y - mu) / (1 + a mu) and l'' = -mu (1 + a y) / (1 + a mu)^2."""
    # With t = a mu / (1 + a mu) and rest = 1 - t: a mu may be beyond all numbers, and a zero.
    x = eta + log(a)
    t, rest = expit(x), expit(-x)
    # mu / (1 + a mu), by t / a where mu is no number
    share = exp(eta) * rest if eta < 0.0 or x < 0.0 else t / a
    # (y - mu) / (1 + a mu)
    slope = y * rest - share
    curve = -share * (y * (rest - t) - 2.0 * share)
    return -slope * share, curve * rest, 0.0, 0.0


@part
def _of_precision(y, eta, a):
    p, rest = expit(eta), expit(-eta)
    f0, f1, f2 = polygammas(p * a)
    g0, g1, g2 = polygammas(rest * a)
    d = log(y) - log1p(-y) - f0 + g0
    v = p * rest
    # of a d and of -a^2 (f1 + g1), the derivatives in p
    first = d + a * (rest * g1 - p * f1)
    second = -2.0 * a * (f1 + g1) - a * a * (p * f2 + rest * g2)
    return first * v, second * v * v + first * v * (rest - p), 0.0, 0.0


@part
def slopes_of_expected_information(a, c):
    """Return the derivatives of `kernels.expected_information` in the scale and in the degrees of freedom."""
    return -2.0 * (c + 1.0) / ((c + 3.0) * a * a * a), 2.0 / ((c + 3.0) * (c + 3.0) * a * a)


@part
def _of_thresholds(link, eta, a, c):
    first_a, second_a, first_c, second_c = 0.0, 0.0, 0.0, 0.0
    if link == LOGIT:
        # Each threshold is in a term of its own, of eta less it.
        if c < inf:
            p, q = expit(c - eta), expit(eta - c)
            first_c, second_c = p * q, p * q * (p - q)
        if a > -inf:
            p, q = expit(a - eta), expit(eta - a)
            first_a, second_a = p * q, p * q * (p - q)
        return first_a, second_a, first_c, second_c
    log_p, slope, curve, _ = row_terms(CUMULATIVE, link, 0.0, 0.0, eta, a, c)
    if c < inf:
        x = c - eta
        density = exp(-0.5 * x * x - _LOG_ROOT_2PI - log_p)
        first_c = density * (x - slope)
        second_c = density * ((x - slope) * (x - slope) - 1.0 - curve)
    if a > -inf:
        x = a - eta
        density = exp(-0.5 * x * x - _LOG_ROOT_2PI - log_p)
        first_a = -density * (x - slope)
        second_a = -density * ((x - slope) * (x - slope) - 1.0 - curve)
    return first_a, second_a, first_c, second_c
