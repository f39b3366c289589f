"""Functions of one number that densities of responses need, and that the standard library lacks (numba)."""

from __future__ import annotations

from math import erfc, exp, log, log1p

from hierreg.compiled.parts import contracted, part

_LOG_ROOT_2PI = 0.9189385332046727
_ROOT_2 = 1.4142135623730951
# From here on the series of polygamma functions have all digits.
_LARGE = 16.0
# Below, the normal distribution function is found by its continued fraction.
_FAR = -4.0
_TERMS = 60

# exp(x) = e^-32 (e^r)^64, r = x / 64 + 1/2, for x in [-64, 0]; what is smaller counts for nothing beside one.
_LEAST, _SHARE, _REST = -64.0, 1.0 / 64.0, 1.2664165549094176e-14


@contracted
def exp_of_negative(x):
    """Return exp(x) for x <= 0, exp(-64) below -64, by a polynomial of degree 14 and six squarings: no branches.

    The error is 2e-17 of the polynomial and the roundings of six squarings: 2e-14 in all.
    """
    r = max(_LEAST, x) * _SHARE + 0.5
    e = 1.1470745597729725e-11
    e = e * r + 1.6059043836821613e-10
    e = e * r + 2.08767569878681e-09
    e = e * r + 2.505210838544172e-08
    e = e * r + 2.755731922398589e-07
    e = e * r + 2.7557319223985893e-06
    e = e * r + 2.48015873015873e-05
    e = e * r + 1.984126984126984e-04
    e = e * r + 1.388888888888889e-03
    e = e * r + 8.333333333333333e-03
    e = e * r + 4.1666666666666664e-02
    e = e * r + 1.6666666666666666e-01
    e = e * r + 0.5
    e = e * r + 1.0
    e = e * r + 1.0
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    return e * _REST


@contracted
def log1p_of_share(e):
    """Return log(1 + e) for e in [0, 1] by its series in s = e / (2 + e): no branches, an error of 3e-16."""
    s = e / (2.0 + e)
    z = s * s
    t = 1.0 / 35.0
    t = t * z + 1.0 / 33.0
    t = t * z + 1.0 / 31.0
    t = t * z + 1.0 / 29.0
    t = t * z + 1.0 / 27.0
    t = t * z + 1.0 / 25.0
    t = t * z + 1.0 / 23.0
    t = t * z + 1.0 / 21.0
    t = t * z + 1.0 / 19.0
    t = t * z + 1.0 / 17.0
    t = t * z + 1.0 / 15.0
    t = t * z + 1.0 / 13.0
    t = t * z + 1.0 / 11.0
    t = t * z + 1.0 / 9.0
    t = t * z + 1.0 / 7.0
    t = t * z + 1.0 / 5.0
    t = t * z + 1.0 / 3.0
    return 2.0 * s * (t * z + 1.0)


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
