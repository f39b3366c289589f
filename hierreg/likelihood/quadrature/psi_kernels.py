"""What a density of psi = (u, phi, w) has beside the likelihood: priors, and further parameters (numba)."""

from __future__ import annotations

from math import exp, log

import numpy as np

from hierreg.compiled.address_kernels import matrix_at, vector_at
from hierreg.compiled.parts import part
from hierreg.priors.families import FIXED
from hierreg.variances.prior_kernels import log_density_and_slope

_HALF_LOG_2PI = 0.9189385332046727
# Code of what is that of the first stratum.
COMMON = -2


@part
def data_at(table, rows):
    """Return the arrays and numbers of a `record.RowsRecord`, whose rows in a table are given."""
    return (
        matrix_at(table, rows.X, np.float64),
        matrix_at(table, rows.Z, np.float64),
        vector_at(table, rows.y, np.float64),
        vector_at(table, rows.trials, np.float64),
        vector_at(table, rows.weight, np.float64),
        vector_at(table, rows.offset, np.float64),
        vector_at(table, rows.stratum, np.int64),
        table[rows.family, 0],
        table[rows.link, 0],
    )


@part
def population_prior(phi, mean, precision, g_phi):
    """Return the log density of phi under independent normal priors, without constants where they are flat."""
    value = 0.0
    for k in range(len(phi)):
        if precision[k] > 0.0:
            z = phi[k] - mean[k]
            value += 0.5 * log(precision[k]) - _HALF_LOG_2PI - 0.5 * precision[k] * z * z
            g_phi[k] -= precision[k] * z
    return value


@part
def write_thresholds(w, priors, prior_on, auxiliary, g_w):
    """Write increasing thresholds at w: the first, and logarithms of steps; return their log prior density."""
    value, m = 0.0, len(w)
    total = 0.0
    for k in range(m):
        total += w[k] if k == 0 else exp(w[k])
        auxiliary[0, k] = total
    if not prior_on:
        return value
    for k in range(m):
        mean, sd = priors[k, 0], priors[k, 1]
        z = (auxiliary[0, k] - mean) / sd
        value += -log(sd) - _HALF_LOG_2PI - 0.5 * z * z
        for j in range(k + 1):
            g_w[j] -= z / sd * (1.0 if j == 0 else exp(w[j]))
        if k > 0:
            value += w[k]
            g_w[k] += 1.0
    return value


@part
def write_positives(w, codes, priors, prior_on, auxiliary, g_w):
    """Write parameters above their bounds, at the logarithms w of what they exceed them by, and constants as they are.

    Return their log prior density. Rows of priors are two parameters, the bound, and the log of the prior's mass above.
    """
    value, place, m = 0.0, 0, auxiliary.shape[1]
    for i in range(len(codes)):
        if codes[i] == FIXED:
            auxiliary[i // m, i % m] = priors[i, 0]
            continue
        if codes[i] == COMMON:
            auxiliary[i // m, i % m] = auxiliary[0, i % m]
            continue
        excess = exp(w[place])
        x = priors[i, 2] + excess
        auxiliary[i // m, i % m] = x
        if prior_on:
            log_prior, slope = log_density_and_slope(codes[i], priors[i, 0], priors[i, 1], x)
            value += log_prior - priors[i, 3] + w[place]
            g_w[place] += slope * excess + 1.0
        place += 1
    return value


@part
def n_free_of(codes):
    """Return the number of parameters that are sampled; thresholds have the code -1."""
    total = 0
    for code in codes:
        if code not in (FIXED, COMMON):
            total += 1
    return total


@part
def pull_back_auxiliary(w, codes, has_order, auxiliary, g_auxiliary, g_w):
    """Add the gradient with respect to further parameters, which it overwrites, to that of w."""
    m = auxiliary.shape[1]
    if has_order:
        for k in range(m):
            for j in range(k + 1):
                g_w[j] += g_auxiliary[0, k] * (1.0 if j == 0 else exp(w[j]))
        return
    place = 0
    for i in range(len(codes)):
        if codes[i] == COMMON:
            g_auxiliary[0, i % m] += g_auxiliary[i // m, i % m]
    for i in range(len(codes)):
        if codes[i] not in (FIXED, COMMON):
            g_w[place] += g_auxiliary[i // m, i % m] * exp(w[place])
            place += 1
