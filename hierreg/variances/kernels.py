"""The log posterior density of the unconstrained variance parameters, and its gradient (numba)."""

from __future__ import annotations

from math import cosh, exp, lgamma, log, log1p, sinh, tanh

import numpy as np

from hierreg.compiled.address_kernels import matrix_at, vector_at
from hierreg.compiled.array_kernels import empty, in_shape, local, local_zeros, zeros
from hierreg.compiled.parts import part
from hierreg.errors.within_units import NEIGHBOURS
from hierreg.priors.families import FIXED
from hierreg.variances.prior_kernels import log_density_and_slope
from hierreg.variances.record import VarianceRecord, WithinRecord

LOG_2 = log(2.0)
# Signed sds nearer to zero are taken for this many units: the density, which is even, differs by the square of it, and
# the slope along the sd of errors is a quotient of two numbers that vanish at zero.
NEAR_ZERO = 1e-4


@part
def _bounded(u):
    """Return u where its exponential has a square, the nearest such number elsewhere."""
    if u < -350.0:
        return -350.0
    # numba compiles its own min and max for each.
    return 350.0 if u > 350.0 else u  # noqa: FURB136


@part
def corr_factor_block(u, place, start, size, F, sech):
    """Write the lower factor of one correlation matrix into F[start:, start:]; return the next place in u."""
    for i in range(size):
        rest = 1.0
        for j in range(i):
            F[start + i, start + j] = tanh(u[place]) * rest
            sech[place] = 1.0 / cosh(_bounded(u[place]))
            rest *= sech[place]
            place += 1
        F[start + i, start + i] = rest
    return place


@part
def corr_factor_gradient(u, place, start, size, F, sech, g_F, g_u):
    """Add the gradient with respect to the partial correlations of one block to g_u; return the next place."""
    for i in range(size):
        tail = g_F[start + i, start + i] * F[start + i, start + i]
        for j in range(i - 1, -1, -1):
            k = place + j
            z = tanh(u[k])
            rest = 1.0
            for h in range(j):
                rest *= sech[place + h]
            g_u[k] += g_F[start + i, start + j] * rest * sech[k] * sech[k] - z * tail
            tail += g_F[start + i, start + j] * F[start + i, start + j]
        place += i
    return place


@part
def lkj_prior(u, place, size, eta, natural, g_u):
    """Return the LKJ log density of one block and add its gradient.

    Entry (i, j), j < i, of the partial correlations z = tanh(u) is Beta(b, b) on (-1, 1) with
    b = eta + (size - 2 - j) / 2 (Lewandowski, Kurowicka and Joe 2009, section 2.4), so with the Jacobian the
    density of u has b log(1 - z^2). On the natural scale (``natural``) it is (eta - 1) log det Corr.
    """
    value = 0.0
    for i in range(size):
        for j in range(i):
            b = eta + 0.5 * (size - 2 - j)
            power = eta - 1.0 if natural else b
            a = abs(u[place])
            log_1mz2 = 2.0 * (LOG_2 - a - log1p(exp(-2.0 * a)))
            log_beta = 2.0 * lgamma(b) - lgamma(2.0 * b)
            value += power * log_1mz2 - (2.0 * b - 1.0) * LOG_2 - log_beta
            g_u[place] -= 2.0 * power * tanh(u[place])
            place += 1
    return value


@part
def exchangeable_prior(u, place, within, natural, g_u):
    """Return the log density of the correlations of exchangeable errors and add its gradient.

    (rho - lowest) / (1 - lowest) is Beta(eta, eta), as that of two columns under LKJ(eta); on the natural scale the
    interval is shorter than (-1, 1), and the density higher. Zero where nothing is correlated within units (None).
    """
    if within is None:
        return 0.0
    _, _, _, _, lowest, is_free, eta, _ = within
    value = 0.0
    for t in range(len(lowest)):
        if is_free[t]:
            value += lkj_prior(u, place, 2, eta[t], natural, g_u)
            if natural:
                value += log(2.0 / (1.0 - lowest[t]))
            place += 1
    return value


@part
def component_covariance(u, place, sd, within, S):
    """Write the S (C, C) of the components of exchangeable errors, diagonal, from sds and rho (u from ``place`` on).

    Differences 1 - rho and rho - lowest are taken from u itself, so that they keep their digits near zero. Of AR(1)
    errors S (2, 2) is that of two rows one step of time apart.
    """
    stratum, size, rest, sd_of_stratum, lowest, is_free, _, fixed = within
    T = len(lowest)
    above, below = local(T), local(T)
    for t in range(T):
        if is_free[t]:
            x = _bounded(u[place])
            above[t] = (1.0 - lowest[t]) / (1.0 + exp(2.0 * x))
            below[t] = (1.0 - lowest[t]) / (1.0 + exp(-2.0 * x))
            place += 1
        else:
            above[t] = 1.0 - fixed[t]
            below[t] = fixed[t] - lowest[t]
    S[:] = 0.0
    if size[0] == NEIGHBOURS:
        v = sd[0] * sd[0]
        S[0, 0] = S[1, 1] = v
        S[0, 1] = S[1, 0] = v * (1.0 - above[0] if above[0] < below[0] else below[0] - 1.0)
        return
    for c in range(len(stratum)):
        t = stratum[c]
        v = sd[sd_of_stratum[t]] * sd[sd_of_stratum[t]]
        S[c, c] = v * (above[t] if size[c] == 0 else rest[c] + (size[c] - 1.0) * below[t])


@part
def component_gradient(u, place, sd, within, S, g_S, g_log_sd, g_u):
    """Add the gradient with respect to the components' variances to those of log sds and of u, from ``place`` on."""
    stratum, size, _, sd_of_stratum, lowest, is_free, _, _ = within
    g_rho = local_zeros(len(lowest))
    if size[0] == NEIGHBOURS:
        g_rho[0] = (g_S[0, 1] + g_S[1, 0]) * sd[0] * sd[0]
        for i in range(2):
            for j in range(2):
                g_log_sd[0] += 2.0 * g_S[i, j] * S[i, j]
    for c in range(len(stratum) if size[0] != NEIGHBOURS else 0):
        t = stratum[c]
        s = sd_of_stratum[t]
        g_log_sd[s] += 2.0 * g_S[c, c] * S[c, c]
        g_rho[t] += g_S[c, c] * sd[s] * sd[s] * (-1.0 if size[c] == 0 else size[c] - 1.0)
    for t in range(len(lowest)):
        if is_free[t]:
            sech = 1.0 / cosh(_bounded(u[place]))
            g_u[place] += g_rho[t] * 0.5 * (1.0 - lowest[t]) * sech * sech
            place += 1


@part
def _error_covariance(u, place, sd, F, within, S):
    """Write S (D, D) of the errors from their sds and the factor of their correlations, or those within units."""
    if within is None:
        covariance_of_factor(sd, F, S)
        return
    if len(within[0]) > 0:
        component_covariance(u, place, sd, within, S)
    else:
        covariance_of_factor(sd, F, S)


@part
def covariance_of_factor(sd, F, S):
    """Write S = diag(sd) F F' diag(sd)."""
    D = len(sd)
    for i in range(D):
        for j in range(D):
            t = 0.0
            for k in range(D):
                t += F[i, k] * F[j, k]
            S[i, j] = sd[i] * sd[j] * t


@part
def sd_of(u, unit):
    """Return a standard deviation: exp(u), or unit sinh(u), signed, where a unit is given."""
    if unit == 0.0:
        return exp(u)
    if abs(u) < NEAR_ZERO:
        u = -NEAR_ZERO if u < 0.0 else NEAR_ZERO
    return unit * sinh(u)


@part
def slope_of_sd(u, unit, sd):
    """Return the derivative of a standard deviation with respect to its u."""
    if unit == 0.0:
        return sd
    return 0.0 if abs(u) < NEAR_ZERO else unit * cosh(u)


@part
def read_sds(u, sd_code, sd_parameters, sd_unit, prior_on, natural, sd, g_u):
    """Write the standard deviations; return their log prior density, its gradient added, and the next place in u.

    A column with a unit has sd = unit sinh(u), of either sign: |sd| is the standard deviation, and the density of u is
    half that of |sd| times its Jacobian.
    """
    # np.int64(0), here and below: what is called with the constant 0 is compiled for it once more.
    value, place = 0.0, np.int64(0)
    for c in range(len(sd)):
        if sd_code[c] == FIXED:
            sd[c] = sd_parameters[c, 0]
            continue
        unit = sd_unit[c]
        sd[c] = sd_of(u[place], unit)
        if prior_on:
            log_prior, slope = log_density_and_slope(sd_code[c], sd_parameters[c, 0], sd_parameters[c, 1], abs(sd[c]))
            value += log_prior
            g_u[place] += (-slope if sd[c] < 0.0 else slope) * slope_of_sd(u[place], unit, sd[c])
            if not natural:
                if unit > 0.0:
                    a = abs(u[place])
                    # log(unit cosh(u) / 2)
                    value += log(unit) + a + log1p(exp(-2.0 * a)) - 2.0 * LOG_2
                    g_u[place] += tanh(u[place])
                else:
                    value += u[place]
                    g_u[place] += 1.0
        place += 1
    return value, place


@part
def covariances_at(u, variances, z_map_inverse, prior_on, natural, point, g_u):
    """Write sd, sech, F, Lambda (internal) and S at u; return the log prior, its gradient added, and the first corr.

    Parameters
    ----------
    u : array (n_free,)
    variances : VarianceRecord
        q, block_sizes, sd_code, sd_parameters, corr_is_free, eta, fixed_corr_factor, the arrays of ``within_units``
        (see `covariance`), and the units of signed sds (see `posterior.Target`).
    z_map_inverse : array (q, q)
    prior_on, natural : bool
        Add the log prior; as the density of sds and correlations themselves (for their mode), without the Jacobian
        of u.
    point : tuple of arrays (Q,), (n_free + 1,), (Q, Q), (q, q), (D, D)
        sd (signed where its coordinate is), sech of the partial correlations, factors F of all correlations, Lambda and
        S; overwritten.
    g_u : array (n_free,)
    """
    q, block_sizes, sd_code, sd_parameters, corr_is_free, eta, fixed_factor, within, sd_unit = variances
    sd, sech, F, Lambda, S = point
    # A loop: copying arrays costs two seconds of compilation, for the text of errors that cannot occur.
    for i in range(len(F)):
        for j in range(len(F)):
            F[i, j] = fixed_factor[i, j]
    value, place = read_sds(u, sd_code, sd_parameters, sd_unit, prior_on, natural, sd, g_u)
    first_corr, start = place, np.int64(0)
    for block in range(len(block_sizes)):
        if corr_is_free[block]:
            if prior_on:
                value += lkj_prior(u, place, block_sizes[block], eta[block], natural, g_u)
            place = corr_factor_block(u, place, start, block_sizes[block], F, sech)
        start += block_sizes[block]
    if prior_on:
        value += exchangeable_prior(u, place, within, natural, g_u)
    for i in range(q):
        for j in range(q):
            t = 0.0
            for k in range(q):
                t += z_map_inverse[i, k] * sd[k] * F[k, j]
            Lambda[i, j] = t
    _error_covariance(u, place, sd[q:], F[q:, q:], within, S)
    return value, first_corr


@part
def variances_at(table, rows):
    """Return the arrays of a `VarianceRecord`, whose rows in a table are given."""
    within = rows.within
    correlated = WithinRecord(
        vector_at(table, within.component_stratum, np.int64),
        vector_at(table, within.component_size, np.int64),
        vector_at(table, within.rest, np.float64),
        vector_at(table, within.sd_of_stratum, np.int64),
        vector_at(table, within.lowest, np.float64),
        vector_at(table, within.is_free, np.bool_),
        vector_at(table, within.eta, np.float64),
        vector_at(table, within.fixed, np.float64),
    )
    return _variances_with(table, rows, correlated)


@part
def uncorrelated_variances_at(table, rows):
    """Return the same without what is of errors that are correlated within units, for which no code is compiled."""
    return _variances_with(table, rows, None)


@part
def _variances_with(table, rows, within):
    return VarianceRecord(
        table[rows.n_factor, 0],
        vector_at(table, rows.block_sizes, np.int64),
        vector_at(table, rows.sd_code, np.int64),
        matrix_at(table, rows.sd_parameters, np.float64),
        vector_at(table, rows.corr_is_free, np.bool_),
        vector_at(table, rows.eta, np.float64),
        matrix_at(table, rows.fixed_corr_factor, np.float64),
        within,
        vector_at(table, rows.sd_unit, np.float64),
    )


@part
def _n_components(within):
    """Return the number of components of errors within units, zero of None."""
    return 0 if within is None else len(within[0])


@part
def room_for_covariances(u, variances):
    """Return the arrays that `covariances_at` writes."""
    q, Q = variances.n_factor, len(variances.sd_code)
    C = _n_components(variances.within)
    D = C if C > 0 else Q - q
    a = Q + len(u) + 1
    b, c = a + Q * Q, a + Q * Q + q * q
    # One array: memory for each would take as long as writing them.
    room = empty(c + D * D)
    room[Q:a] = 1.0
    return room[:Q], room[Q:a], in_shape(room[a:b], (Q, Q)), in_shape(room[b:c], (q, q)), in_shape(room[c:], (D, D))


@part
def add_gradient_of_covariances(u, variances, z_map_inverse, point, first_corr, g_Lambda, g_S, g_u):
    """Add the gradient with respect to Lambda (internal) and S to that of u."""
    sd, sech, F, _, S = point
    g_S = _through_units(u, variances, variances.within, sd, S, first_corr, g_S, g_u)
    _pull_back(u, variances, z_map_inverse, sd, F, sech, g_Lambda, g_S, first_corr, g_u)


@part
def _through_units(u, variances, within, sd, S, first_corr, g_S, g_u):
    """Return g_S; where errors are correlated within units zeros, and its gradient is added to that of u."""
    if within is None:
        return g_S
    q, block_sizes, sd_code, _, corr_is_free, _, _, _, sd_unit = variances
    if len(within[0]) == 0:
        return g_S
    Q = len(sd_code)
    place = first_corr
    for block in range(len(block_sizes)):
        if corr_is_free[block]:
            place += block_sizes[block] * (block_sizes[block] - 1) // 2
    g_log_sd = local_zeros(Q - q)
    component_gradient(u, place, sd[q:], within, S, g_S, g_log_sd, g_u)
    free = first_corr
    for c in range(Q - 1, q - 1, -1):
        if sd_code[c] != FIXED:
            free -= 1
            # sd itself may be beyond all numbers where its logarithm is not.
            change = slope_of_sd(u[free], sd_unit[c], sd[c]) / sd[c] if sd_unit[c] > 0.0 else 1.0
            g_u[free] += g_log_sd[c - q] * change
    return zeros((Q - q, Q - q))


@part
def _pull_back(u, variances, z_map_inverse, sd, F, sech, g_Lambda, g_S, place, g_u):
    """Add the gradient with respect to Lambda (internal scale) and S to g_u, through sds and correlations."""
    q, block_sizes, sd_code, _, corr_is_free, _, _, _, sd_unit = variances
    Q = len(sd)
    g_F = local_zeros((Q, Q))
    for k in range(q):
        for j in range(q):
            t = 0.0
            for i in range(q):
                t += z_map_inverse[i, k] * g_Lambda[i, j]
            g_F[k, j] = t
    for i in range(q, Q):
        for k in range(q, Q):
            t = 0.0
            for j in range(q, Q):
                t += 2.0 * g_S[i - q, j - q] * sd[j] * F[j, k]
            g_F[i, k] = t
    free = 0
    for c in range(Q):
        t = 0.0
        for k in range(Q):
            t += g_F[c, k] * F[c, k]
            g_F[c, k] *= sd[c]
        if sd_code[c] != FIXED:
            g_u[free] += t * slope_of_sd(u[free], sd_unit[c], sd[c])
            free += 1
    start = np.int64(0)
    for block in range(len(block_sizes)):
        if corr_is_free[block]:
            place = corr_factor_gradient(u, place, start, block_sizes[block], F, sech, g_F, g_u)
        start += block_sizes[block]
