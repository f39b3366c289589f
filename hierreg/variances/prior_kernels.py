"""Compiled log densities of the sd families and their slopes, for the inner loop of optimiser and sampler."""

import math

from hierreg.compiled.parts import part
from hierreg.priors.families import (
    EXPONENTIAL,
    FIXED,
    GAMMA,
    HALF_CAUCHY,
    HALF_NORMAL,
    HALF_STUDENT_T,
    INVERSE_GAMMA,
    LOG_NORMAL,
)


@part
def log_density_and_slope(  # one branch per family, compiled into a jump table
    code: int, a: float, b: float, x: float
) -> tuple[float, float]:
    """Log density of an sd family at `x` and its derivative with respect to `x`.

    Parameters
    ----------
    code : int
        `code` of the family; `Fixed` gives (0, 0).
    a, b : float
        `parameters` of the family.
    x : float
        The standard deviation. Where the density is zero or x is not finite the result is (-inf, 0).

    Returns
    -------
    log_density, slope : float
    """
    if code == FIXED:
        return 0.0, 0.0
    is_zero_at_zero = code in (INVERSE_GAMMA, LOG_NORMAL) or (code == GAMMA and a > 1.0)
    if not (0.0 <= x < math.inf) or (x == 0.0 and is_zero_at_zero):
        return -math.inf, 0.0
    if code == HALF_NORMAL:
        z = x / a
        return 0.5 * math.log(2.0 / math.pi) - math.log(a) - 0.5 * z * z, -z / a
    if code == HALF_STUDENT_T:
        z = x / b
        log_constant = (
            math.log(2.0 / b) + math.lgamma(0.5 * (a + 1.0)) - math.lgamma(0.5 * a) - 0.5 * math.log(a * math.pi)
        )
        return log_constant - 0.5 * (a + 1.0) * math.log1p(z * z / a), -(a + 1.0) * z / (b * (a + z * z))
    if code == HALF_CAUCHY:
        z = x / a
        return math.log(2.0 / (math.pi * a)) - math.log1p(z * z), -2.0 * z / (a * (1.0 + z * z))
    if code == EXPONENTIAL:
        return math.log(a) - a * x, -a
    if code == GAMMA:
        log_constant = a * math.log(b) - math.lgamma(a)
        if a == 1.0:
            return log_constant - b * x, -b
        return log_constant + (a - 1.0) * math.log(x) - b * x, (a - 1.0) / x - b
    if code == INVERSE_GAMMA:
        log_constant = a * math.log(b) - math.lgamma(a)
        return log_constant - (a + 1.0) * math.log(x) - b / x, (b / x - (a + 1.0)) / x
    if code == LOG_NORMAL:
        log_x = math.log(x)
        z = (log_x - a) / b
        return -0.5 * z * z - log_x - math.log(b) - 0.5 * math.log(2.0 * math.pi), -(1.0 + z / b) / x
    return math.nan, math.nan
