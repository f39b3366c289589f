"""Functions of one number that densities of responses need, and that the standard library lacks (numba)."""

from __future__ import annotations

from math import erfc, exp, log, log1p

from hierreg.compiled.parts import part

_LOG_ROOT_2PI = 0.9189385332046727
_ROOT_2 = 1.4142135623730951
# From here on the series of polygamma functions have all digits.
_LARGE = 16.0
# Below, the normal distribution function is found by its continued fraction.
_FAR = -4.0
_TERMS = 60


@part
def polygammas(x):
    """Return psi, psi' and psi'' at x > 0: recurrence, and the asymptotic series (Abramowitz and Stegun 1964, 6.4)."""
    p0, p1, p2 = 0.0, 0.0, 0.0
    while x < _LARGE:
        p0 -= 1.0 / x
        p1 += 1.0 / (x * x)
        p2 -= 2.0 / (x * x * x)
        x += 1.0
    r = 1.0 / x
    s = r * r
    p0 += log(x) - 0.5 * r - s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * (1 / 132)))))
    p1 += r + 0.5 * s + s * r * (1 / 6 - s * (1 / 30 - s * (1 / 42 - s * (1 / 30 - s * (5 / 66)))))
    p2 -= s + s * r + s * s * (1 / 2 - s * (1 / 6 - s * (1 / 6 - s * (3 / 10 - s * (5 / 6)))))
    return p0, p1, p2


@part
def log1p_exp(x):
    """Return log(1 + exp(x))."""
    return x + log1p(exp(-x)) if x > 0.0 else log1p(exp(x))


@part
def expit(x):
    """Return 1 / (1 + exp(-x))."""
    if x >= 0.0:
        return 1.0 / (1.0 + exp(-x))
    e = exp(x)
    return e / (1.0 + e)


@part
def log_normal_cdf(x):
    """Return log Phi(x) and the ratio phi(x) / Phi(x), with all digits however small Phi(x) is."""
    if x > _FAR:
        cdf = 0.5 * erfc(-x / _ROOT_2)
        value = log1p(-0.5 * erfc(x / _ROOT_2)) if x > 0.0 else log(cdf)
        return value, exp(-0.5 * x * x - _LOG_ROOT_2PI) / cdf
    # phi / Phi = t + 1 / (t + 2 / (t + ...)), t = -x
    t = -x
    ratio = t
    for k in range(_TERMS, 0, -1):
        ratio = t + k / ratio
    return -0.5 * x * x - _LOG_ROOT_2PI - log(ratio), ratio
