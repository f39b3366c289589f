"""Log densities of one response given its linear predictor eta, with three derivatives in eta (numba).

What a response is given by beside eta: y, the number of trials n, and two numbers a, c, whose meaning depends on the
family (dispersion; shape; precision; standard deviation; scale and degrees of freedom; the thresholds below and above
the category of y). Every family is one branch of `row_terms`, of `row_constant` (what does not depend on eta) and of
`auxiliary_slopes` (derivatives in a and c).
"""

from __future__ import annotations

from math import exp, expm1, inf, lgamma, log, log1p

from hierreg.compiled.lanes import LANES
from hierreg.compiled.parts import part
from hierreg.response.special_kernels import (
    exp_of_negative,
    expit,
    log1p_exp,
    log1p_of_share,
    log_normal_cdf,
    polygammas,
)

BINOMIAL, POISSON, NEGATIVE_BINOMIAL, GAMMA, BETA, NORMAL, STUDENT_T, CUMULATIVE = range(8)
LOGIT, PROBIT, CLOGLOG, LOG, IDENTITY = range(5)

_LOG_ROOT_2PI = 0.9189385332046727
_LOG_PI = 1.1447298858494002
# Of four times as many factors, of at most two, the product has a logarithm.
_FACTORS = 128
# Beyond, exp(eta) is no number that a probability needs.
_MOST = 30.0
# Counts up to this are summed over.
_FEW = 60.0
# Degrees of freedom from which on series about the normal density have all digits, and squares that are small there.
_MANY = 200.0
_NEAR = 1e-3


@part
def row_terms(family, link, y, n, eta, a, c):
    """Return the part of the log density that depends on eta, and its first three derivatives in eta."""
    if family == BINOMIAL:
        return _binomial(link, y, n, eta)
    if family == POISSON:
        mu = exp(eta)
        return y * eta - mu, y - mu, -mu, -mu
    if family == NEGATIVE_BINOMIAL:
        return _negative_binomial(y, eta, a)
    if family == GAMMA:
        t = a * y * exp(-eta)
        return -a * eta - t, t - a, -t, t
    if family == BETA:
        return _beta(y, eta, a)
    if family == NORMAL:
        w = 1.0 / (a * a)
        r = y - eta
        return -0.5 * w * r * r, w * r, -w, 0.0
    if family == STUDENT_T:
        return _student_t(y, eta, a, c)
    return _cumulative(link, eta, a, c)


@part
def value_and_slope(family, link, y, n, eta, a, c):
    """Return the part of the log density that depends on eta, and its first derivative, the commonest by few steps."""
    if family == BINOMIAL and link == LOGIT:
        whole, other, p, _ = _logit(eta)
        return -y * other - (n - y) * whole, y - n * p
    if family == POISSON:
        mu = exp(eta)
        return y * eta - mu, y - mu
    if family == STUDENT_T:
        r = y - eta
        t = r / (c * a * a)
        return -0.5 * (c + 1.0) * log1p(r * t), (c + 1.0) * t / (1.0 + r * t)
    value, slope, _, _ = row_terms(family, link, y, n, eta, a, c)
    return value, slope


@part
def counts_once(n, weight):
    """Return whether all rows are one trial, of weight one."""
    others = 0
    for i in range(len(n)):
        others += (n[i] != 1.0) | (weight[i] != 1.0)
    return others == 0


@part
def write_shares(eta, size, share):
    """Write exp(-|eta|) of rows, without branches or calls: rows do not wait for each other.

    Parameters
    ----------
    eta, share : arrays, with room for a multiple of eight
        Up to the next multiple of eight both are overwritten, so that loops have no rest.
    size : int
    """
    last = size + (-size) % LANES
    for i in range(size, last):
        eta[i] = 0.0
    for i in range(last):
        share[i] = exp_of_negative(-abs(eta[i]))


@part
def sum_of_logits(y, n, weight, once, eta, share, at):
    """Return the log density of binomial rows with a logit, times their weights, given exp(-|eta|) of each.

    log(1 + exp(eta)) = max(eta, 0) + log(1 + exp(-|eta|)), and where all rows count once one logarithm of a product
    stands for many: its factors are between one and two. `row_terms` has the same.

    Parameters
    ----------
    y, n, weight : arrays (rows,)
    once : bool
        From `counts_once`.
    eta, share : arrays (K, rows)
    at : int
        Which of K.
    """
    size, total = len(y), 0.0
    if not once:
        for i in range(size):
            above = max(eta[at, i], 0.0) + log1p_of_share(share[at, i])
            total += weight[i] * (y[i] * eta[at, i] - n[i] * above)
        return total
    # Sums and products of four that do not wait for each other; of what is left, one by one.
    s, t, u, v = 0.0, 0.0, 0.0, 0.0
    a, b, c, d = 1.0, 1.0, 1.0, 1.0
    for k in range(size // 4):
        i = 4 * k
        s += y[i] * eta[at, i] - max(eta[at, i], 0.0)
        t += y[i + 1] * eta[at, i + 1] - max(eta[at, i + 1], 0.0)
        u += y[i + 2] * eta[at, i + 2] - max(eta[at, i + 2], 0.0)
        v += y[i + 3] * eta[at, i + 3] - max(eta[at, i + 3], 0.0)
        a *= 1.0 + share[at, i]
        b *= 1.0 + share[at, i + 1]
        c *= 1.0 + share[at, i + 2]
        d *= 1.0 + share[at, i + 3]
        if k % _FACTORS == _FACTORS - 1:
            total -= log((a * b) * (c * d))
            a, b, c, d = 1.0, 1.0, 1.0, 1.0
    for k in range(size % 4):
        i = size - size % 4 + k
        s += y[i] * eta[at, i] - max(eta[at, i], 0.0)
        a *= 1.0 + share[at, i]
    return total + (s + t) + (u + v) - log((a * b) * (c * d))


@part
def write_logit_slopes(y, n, weight, eta, share, at, slope):
    """Write the derivative of the log density of binomial rows with a logit, times their weights."""
    for i in range(len(y)):
        e = share[at, i]
        slope[i] = weight[i] * (y[i] - n[i] * ((1.0 if eta[at, i] > 0.0 else e) / (1.0 + e)))


@part
def write_logit_terms(y, n, weight, eta, share, at, slope, information):
    """Write the derivative of the log density of binomial rows with a logit, and minus the second, times weights."""
    for i in range(len(y)):
        e = share[at, i]
        large = 1.0 / (1.0 + e)
        small = e * large
        slope[i] = weight[i] * (y[i] - n[i] * (large if eta[at, i] > 0.0 else small))
        information[i] = weight[i] * n[i] * large * small


@part
def write_third_of_logits(eta, share, information, third):
    """Write the third derivative of the log density of binomial rows with a logit, times weights."""
    for i in range(len(third)):
        e = share[0, i]
        # Two probabilities less one
        twice = (1.0 - e) / (1.0 + e)
        third[i] = information[i] * (twice if eta[0, i] > 0.0 else -twice)


@part
def _logit(eta):
    """Return log(1 + exp(eta)), log(1 + exp(-eta)), p = expit(eta) and p (1 - p), by one exponential."""
    e = exp(-abs(eta))
    large = 1.0 / (1.0 + e)
    small = e * large
    # log(1 + e) with the digits that 1 + e loses, in half the time that log1p takes.
    rest = log(1.0 + e) - (((1.0 + e) - 1.0) - e) * large
    if eta > 0.0:
        return rest + eta, rest, large, large * small
    return rest, rest - eta, small, large * small


@part
def _binomial(link, y, n, eta):
    if link == LOGIT:
        whole, other, p, v = _logit(eta)
        return -y * other - (n - y) * whole, y - n * p, -n * v, -n * v * (1.0 - 2.0 * p)
    if link == PROBIT:
        value, d1, d2, d3 = 0.0, 0.0, 0.0, 0.0
        if y > 0.0:
            log_p, h = log_normal_cdf(eta)
            dh = -h * (eta + h)
            value += y * log_p
            d1 += y * h
            d2 += y * dh
            d3 -= y * (dh * (eta + h) + h * (1.0 + dh))
        if n > y:
            log_p, h = log_normal_cdf(-eta)
            dh = -h * (h - eta)
            value += (n - y) * log_p
            d1 -= (n - y) * h
            d2 += (n - y) * dh
            d3 += (n - y) * (dh * (h - eta) + h * (1.0 + dh))
        return value, d1, d2, d3
    m = exp(eta)
    value, d1, d2, d3 = -(n - y) * m, -(n - y) * m, -(n - y) * m, -(n - y) * m
    if y > 0.0 and eta < _MOST:
        s = m / expm1(m)
        r = 1.0 - m - s
        value += y * log(-expm1(-m))
        d1 += y * s
        d2 += y * s * r
        d3 += y * s * (r * r - m - s * r)
    return value, d1, d2, d3


@part
def _negative_binomial(y, eta, a):
    """Variance mu + a mu^2: y eta - (y + 1/a) log(1 + a mu)."""
    # t = a mu / (1 + a mu), by logarithms: a mu may be beyond all numbers, and zero.
    x = eta + log(a)
    t, rest = expit(x), expit(-x)
    slope = (y + 1.0 / a) * t
    # log(1 + a mu) / a has to tend to mu
    small = exp(eta)
    whole = log1p_exp(x)
    value = y * (eta - whole) - (whole / a if x > -30.0 else small)
    return value, y - slope, -slope * rest, -slope * rest * (rest - t)


@part
def _beta(y, eta, a):
    """Mean expit(eta), precision a."""
    p, rest = expit(eta), expit(-eta)
    f, g = p * a, rest * a
    f0, f1, f2 = polygammas(f)
    g0, g1, g2 = polygammas(g)
    d = log(y) - log1p(-y) - f0 + g0
    # derivatives in p, then in eta
    s1, s2, s3 = a * d, -a * a * (f1 + g1), -a * a * a * (f2 - g2)
    v = p * rest
    v1, v2 = v * (rest - p), v * (1.0 - 6.0 * v)
    value = f * log(y) + g * log1p(-y) - lgamma(f) - lgamma(g)
    return value, s1 * v, s2 * v * v + s1 * v1, s3 * v * v * v + 3.0 * s2 * v * v1 + s1 * v2


@part
def expected_information(a, c):
    """Return the mean of minus the second derivative of a Student t density, which itself may be negative."""
    return (c + 1.0) / ((c + 3.0) * a * a)


@part
def _student_t(y, eta, a, c):
    """Scale a, degrees of freedom c."""
    z = (y - eta) / a
    q = z * z / c
    k = (c + 1.0) / (c * a * (1.0 + q))
    d1 = k * z
    d2 = -k * (1.0 - q) / (a * (1.0 + q))
    d3 = 2.0 * k * z * (q - 3.0) / (c * a * a * (1.0 + q) * (1.0 + q))
    return -0.5 * (c + 1.0) * log1p(q), d1, d2, d3


@part
def _cumulative(link, eta, a, c):
    """Log of F(c - eta) - F(a - eta), for thresholds a < c, either of which may be infinite."""
    if link == LOGIT:
        # F(u) - F(l) = F(u) F(-l) (1 - exp(l - u))
        value, d1, d2, d3 = 0.0, 0.0, 0.0, 0.0
        if c < inf:
            x = c - eta
            q, p = expit(-x), expit(x)
            value -= log1p_exp(-x)
            d1 -= q
            d2 -= q * p
            d3 += q * p * (q - p)
        if a > -inf:
            x = a - eta
            p, q = expit(x), expit(-x)
            value -= log1p_exp(x)
            d1 += p
            d2 -= q * p
            d3 += q * p * (q - p)
        if c < inf and a > -inf:
            value += log(-expm1(a - c))
        return value, d1, d2, d3
    return _cumulative_probit(eta, a, c)


@part
def _cumulative_probit(eta, a, c):
    if a == -inf:
        value, h = log_normal_cdf(c - eta)
        x = c - eta
        dh = -h * (x + h)
        return value, -h, dh, h * (1.0 + dh) + dh * (x + h)
    if c == inf:
        value, h = log_normal_cdf(eta - a)
        x = eta - a
        dh = -h * (x + h)
        return value, h, dh, -(h * (1.0 + dh) + dh * (x + h))
    # On the side where both tails are small, differences keep their digits.
    sign = 1.0
    lower, upper = a - eta, c - eta
    if lower > 0.0:
        lower, upper, sign = -upper, -lower, -1.0
    high, h = log_normal_cdf(upper)
    low, g = log_normal_cdf(lower)
    ratio = exp(low - high)
    P = -expm1(low - high)
    # densities at the ends over the probability between them
    f, g = h / P, g * ratio / P
    s = g - f
    m = upper * f - lower * g
    r = (1.0 - upper * upper) * f - (1.0 - lower * lower) * g
    # with P the probability: P'/P = s, P''/P = -m, P'''/P = r, in eta (for sign = 1)
    return high + log(P), sign * s, -m - s * s, sign * (r + 3.0 * m * s + 2.0 * s * s * s)


@part
def row_constant(family, y, n, a, c):
    """Return the part of the log density that does not depend on eta."""
    if family == BINOMIAL:
        return lgamma(n + 1.0) - lgamma(y + 1.0) - lgamma(n - y + 1.0) if n > 1.0 else 0.0
    if family == POISSON:
        return -lgamma(y + 1.0)
    if family == NEGATIVE_BINOMIAL:
        return _rising(y, a) - lgamma(y + 1.0)
    if family == GAMMA:
        return a * log(a) - lgamma(a) + (a - 1.0) * log(y)
    if family == BETA:
        return lgamma(a) - log(y) - log1p(-y)
    if family == NORMAL:
        return -log(a) - _LOG_ROOT_2PI
    if family == STUDENT_T:
        if c > _MANY:
            # What two logarithms of gamma functions cannot say of numbers that differ by a half (Stirling's series).
            r = 1.0 / c
            return -_LOG_ROOT_2PI - log(a) - r * (0.25 - r * r * (1 / 24 - r * r / 20))
        return lgamma(0.5 * (c + 1.0)) - lgamma(0.5 * c) - 0.5 * (log(c) + _LOG_PI) - log(a)
    return 0.0


@part
def _rising(y, a):
    """Return log(Gamma(y + 1/a) / Gamma(1/a)) + y log a, which is zero for a = 0: the sum of log(1 + a i), i < y."""
    if y <= _FEW:
        total = 0.0
        for i in range(1, int(y)):
            total += log1p(a * i)
        return total
    r = 1.0 / a
    if r < 1e3:
        return lgamma(y + r) - lgamma(r) + y * log(a)
    # Stirling's series, whose leading terms cancel
    x = y * a
    corrections = (1.0 / (y + r) - a) / 12.0 - (1.0 / (y + r) ** 3 - a**3) / 360.0
    return (r + y - 0.5) * log1p(x) - y + corrections


@part
def auxiliary_slopes(family, link, y, eta, a, c):
    """Return the derivatives of the whole log density in a and in c."""
    if family == NEGATIVE_BINOMIAL:
        return _slope_of_dispersion(y, eta, a), 0.0
    if family == GAMMA:
        return log(a) + 1.0 - eta - polygammas(a)[0] + log(y) - y * exp(-eta), 0.0
    if family == BETA:
        p, rest = expit(eta), expit(-eta)
        inner = p * (log(y) - polygammas(p * a)[0]) + rest * (log1p(-y) - polygammas(rest * a)[0])
        return polygammas(a)[0] + inner, 0.0
    if family == NORMAL:
        r = (y - eta) / a
        return (r * r - 1.0) / a, 0.0
    if family == STUDENT_T:
        return _slopes_of_student_t(y, eta, a, c)
    if family == CUMULATIVE:
        return _slopes_of_thresholds(link, eta, a, c)
    return 0.0, 0.0


@part
def _slopes_of_student_t(y, eta, a, c):
    of_scale, rest = student_t_slopes(y, eta, a, c)
    return of_scale, rest + slope_of_constant(c)


@part
def student_t_slopes(y, eta, a, c):
    """Return the derivatives in the scale, and in the degrees of freedom but for those of the constant."""
    z = (y - eta) / a
    q = z * z / c
    share = q / (1.0 + q) if q < 1.0 else 1.0 / (1.0 + 1.0 / q)
    # q / (1 + q) - log(1 + q) = -q^2/2 + 2 q^3/3 - 3 q^4/4 + ...
    inner = share - log1p(q) if q > _NEAR else -q * q * (0.5 - q * (2 / 3 - q * (0.75 - 0.8 * q)))
    return ((c + 1.0) * share - 1.0) / a, 0.5 * (inner + share / c)


@part
def slope_of_constant(c):
    """Return the derivative of a Student t density's constant in the degrees of freedom."""
    if c > _MANY:
        r = 1.0 / (c * c)
        return r * (0.25 - r * (0.125 - 0.25 * r))
    return 0.5 * (polygammas(0.5 * (c + 1.0))[0] - polygammas(0.5 * c)[0] - 1.0 / c)


@part
def _slope_of_dispersion(y, eta, a):
    total = 0.0
    if y <= _FEW:
        for i in range(1, int(y)):
            total += i / (1.0 + a * i)
    else:
        r = 1.0 / a
        if r < 1e3:
            total = (polygammas(r)[0] - polygammas(y + r)[0]) * r * r + y * r
        else:
            x = y * a
            total = -log1p(x) * r * r + (r + y - 0.5) * y / (1.0 + x)
            total += ((1.0 / (y + r) ** 2) * r * r - 1.0) / 12.0
    mu = exp(eta)
    x = a * mu
    # d/da of -(y + 1/a) log(1 + a mu); log(1 + x) - x / (1 + x) = x^2/2 - 2 x^3/3 + ...
    first = log1p(x) - x / (1.0 + x) if x > 1e-3 else x * x * (0.5 - x * (2 / 3 - x * (0.75 - 0.8 * x)))
    return total + first / (a * a) - y * mu / (1.0 + x)


@part
def _slopes_of_thresholds(link, eta, a, c):
    if link == LOGIT:
        below, above = 0.0, 0.0
        if c < inf:
            above = expit(eta - c)
        if a > -inf:
            below = -expit(a - eta)
        if c < inf and a > -inf:
            # of log(1 - exp(a - c))
            slope = 1.0 / expm1(c - a)
            above += slope
            below -= slope
        return below, above
    log_p = row_terms(CUMULATIVE, link, 0.0, 0.0, eta, a, c)[0]
    above = exp(-0.5 * (c - eta) ** 2 - _LOG_ROOT_2PI - log_p) if c < inf else 0.0
    below = -exp(-0.5 * (a - eta) ** 2 - _LOG_ROOT_2PI - log_p) if a > -inf else 0.0
    return below, above
