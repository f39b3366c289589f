"""What shapes the distribution of group effects beside their covariance: from parameters to a mixture, and back.

Student t: the scale s of a group is 1 / lambda with lambda ~ gamma(nu / 2, nu / 2). The integral over x = log lambda is
a sum over N_SCALES equal steps (the trapezoidal rule, whose error falls exponentially for such functions). A step, and
where the first one is, follow from nu smoothly: a group's own posterior of lambda is about gamma((nu + q) / 2, .),
whose spread in x the step follows; the first x is beyond what that has above one; the rest of the nodes reach down to
groups tens of scales away. Parameter: log(nu - lowest).

Finite mixture of c components. Parameters: log(w_k / w_0), c - 1 of them; log increments of the first coefficient's
mean from component to component, which keep these in order; differences of the other coefficients' means from component
0; all in units tau and in the frame of the priors. The means add up to zero with the weights. Their prior, that of
independent normal means around a common one of which nothing is known, is one of the differences: N(0, tau^2 (I + 1
1')), and c! of it where they are in order.
"""

from __future__ import annotations

from math import exp, lgamma, log, pi, sqrt

from hierreg.compiled.array_kernels import empty, zeros
from hierreg.compiled.parts import part
from hierreg.variances.prior_kernels import log_density_and_slope

N_SCALES = 40
# Chosen by trial against 4,000 nodes (`tests/likelihood/heavy_tails`): the step relative to the spread of log lambda,
# what it falls short of it where that is wide, and how many log units of the upper tail there are nodes for.
_STEP, _ADDED, _TAIL = 1.1107, 3.7, 10.0
STUDENT_T, MIXTURE = 0, 1


@part
def place_scales(nu, q, x, log_weight):
    """Write log precisions x (M,), downwards, and log weights (M,), which sum to one; return their slopes along nu.

    Returns
    -------
    of_first, of_step : float
        d x[k] / d nu = of_first - k of_step.
    """
    k = nu + q
    spread = 0.5 * k + _ADDED
    step = _STEP / sqrt(spread)
    above = k + 2.0 * sqrt(k * _TAIL) + 2.0 * _TAIL
    first = log(above / nu)
    highest, total = -1e308, 0.0
    for i in range(len(x)):
        x[i] = first - step * i
        log_weight[i] = 0.5 * nu * (x[i] - exp(x[i]))
        highest = log_weight[i] if log_weight[i] > highest else highest  # noqa: FURB136
    for i in range(len(x)):
        total += exp(log_weight[i] - highest)
    total = highest + log(total)
    for i in range(len(x)):
        log_weight[i] -= total
    return (1.0 + sqrt(_TAIL / k)) / above - 1.0 / nu, -0.25 * step / spread


@part
def nu_at(shape, student, prior_on, natural, g_shape):
    """Return nu and its log prior density, whose slope is added to g_shape."""
    nu, lowest, code, first, second, log_mass = student[0], student[1], student[2], student[3], student[4], student[5]
    if len(shape) == 0:
        return nu, 0.0
    nu = lowest + exp(shape[0])
    if not prior_on:
        return nu, 0.0
    value, slope = log_density_and_slope(int(code), first, second, nu)
    g_shape[0] += slope * (nu - lowest)
    value -= log_mass
    if not natural:
        value += shape[0]
        g_shape[0] += 1.0
    return nu, value


@part
def slope_of_nu(shape, student, q, slopes, g_shape):
    """Add the gradient with respect to log(nu - lowest), from those of scales and of their weights."""
    if len(shape) == 0:
        return
    g_weight, g_scale = slopes[3], slopes[4]
    M = len(g_weight)
    x, log_weight = empty(M), empty(M)
    nu = student[1] + exp(shape[0])
    of_first, of_step = place_scales(nu, q, x, log_weight)
    groups, mean, total = 0.0, 0.0, 0.0
    for k in range(M):
        groups += g_weight[k]
    for k in range(M):
        change = of_first - k * of_step
        slope = 0.5 * (x[k] - exp(x[k])) + 0.5 * nu * (1.0 - exp(x[k])) * change
        mean += exp(log_weight[k]) * slope
        total += g_weight[k] * slope - g_scale[k] * exp(-x[k]) * change
    g_shape[0] += (total - groups * mean) * (nu - student[1])


@part
def components_of(shape, c, tau, log_pi, delta, means):
    """Write log weights (c,), differences of means (c, q) in units tau, and means (c, q) in the frame of priors."""
    q = len(tau)
    total = 1.0
    for k in range(1, c):
        total += exp(shape[k - 1])
    log_pi[0] = -log(total)
    for k in range(1, c):
        log_pi[k] = shape[k - 1] - log(total)
    place = c - 1
    for a in range(q):
        delta[0, a] = 0.0
    for k in range(1, c):
        delta[k, 0] = delta[k - 1, 0] + exp(shape[place])
        place += 1
    for k in range(1, c):
        for a in range(1, q):
            delta[k, a] = shape[place]
            place += 1
    for a in range(q):
        centre = 0.0
        for k in range(c):
            centre += exp(log_pi[k]) * delta[k, a]
        for k in range(c):
            means[k, a] = tau[a] * (delta[k, a] - centre)


@part
def prior_of_components(shape, c, concentration, tau, log_pi, delta, natural, g_shape):
    """Return the log prior density of what shapes a mixture and add its gradient."""
    q, n = len(tau), c - 1
    # Dirichlet; log(w_k / w_0) have it times the product of all weights.
    power = concentration - 1.0 if natural else concentration
    value = lgamma(c * concentration) - c * lgamma(concentration)
    for k in range(c):
        value += power * log_pi[k]
    for k in range(1, c):
        g_shape[k - 1] += power * (1.0 - c * exp(log_pi[k]))
    # A factorial: the means are in order.
    value += lgamma(c + 1.0)
    g = empty((c, q))
    for a in range(q):
        total, square = 0.0, 0.0
        for k in range(1, c):
            total += delta[k, a]
            square += delta[k, a] * delta[k, a]
        value -= 0.5 * (square - total * total / c) + 0.5 * n * log(2.0 * pi) + 0.5 * log(c * 1.0)
        if natural:
            value -= n * log(tau[a])
        for k in range(1, c):
            g[k, a] = -(delta[k, a] - total / c)
    if not natural:
        for k in range(1, c):
            value += shape[n + k - 1]
            g_shape[n + k - 1] += 1.0
    _of_differences(shape, c, g, g_shape)
    return value


@part
def _of_differences(shape, c, g, g_shape):
    """Add the gradient with respect to shape, from that of differences of means g (c, q)."""
    q, n = g.shape[1], c - 1
    along = 0.0
    for k in range(c - 1, 0, -1):
        along += g[k, 0]
        g_shape[n + k - 1] += along * exp(shape[n + k - 1])
    place = 2 * n
    for k in range(1, c):
        for a in range(1, q):
            g_shape[place] += g[k, a]
            place += 1


@part
def slope_of_components(shape, c, tau, frame, delta, log_pi, slopes, g_shape):
    """Add the gradient with respect to shape, from those of means (c, q), internal, and of log weights (c,)."""
    g_means, g_pi = slopes[1], slopes[2]
    q = len(tau)
    g, total = zeros((c, q)), zeros(q)
    groups, average = 0.0, 0.0
    for k in range(c):
        groups += g_pi[k]
        for a in range(q):
            for b in range(q):
                g[k, a] += frame[b, a] * g_means[k, b] * tau[a]
            total[a] += g[k, a]
    # Of weights, by way of the centre that means have together.
    of_weight = zeros(c)
    for k in range(c):
        for a in range(q):
            of_weight[k] -= delta[k, a] * total[a]
        average += exp(log_pi[k]) * of_weight[k]
    for k in range(1, c):
        share = exp(log_pi[k])
        g_shape[k - 1] += g_pi[k] - share * groups + share * (of_weight[k] - average)
    for k in range(c):
        for a in range(q):
            g[k, a] -= exp(log_pi[k]) * total[a]
    _of_differences(shape, c, g, g_shape)
