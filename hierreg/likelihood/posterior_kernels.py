"""The log posterior density of the unconstrained variance parameters, for all kinds of models (numba).

The likelihood is called by its address.
"""

from __future__ import annotations

from math import isfinite, isnan

import numpy as np

from hierreg.compiled.address_kernels import VALUE, call_likelihood, matrix_at, vector_at
from hierreg.compiled.array_kernels import array_at, local
from hierreg.compiled.dense_kernels import affine, times_transposed
from hierreg.compiled.parts import part
from hierreg.likelihood.posterior_record import ROWS
from hierreg.variances.kernels import add_gradient_of_covariances, covariances_at, room_for_covariances
from hierreg.variances.precision_kernels import error_precision_gradient, weights_of


@part
def log_densities_of(n, x, gradient, value, rows, variances, columns, gaps):
    """Write the log density, and its gradient where it is wanted, at points x; u = centre + scale x.

    Parameters
    ----------
    n : int
        Number of parameters.
    x, gradient : arrays (n_points, n)
    value : array (n_points,)
    rows : int array (N_ROWS, WIDTH)
        Of a `PosteriorRecord`.
    variances : VarianceRecord
    columns, gaps : arrays or None
        See `precision_kernels.weights_of`.

    Returns
    -------
    int
        0; 4 where the last density is not finite, which nutpie takes for a divergence; -1 where there was no memory
        for the likelihood, which ends its chain. The value is NaN then.
    """
    n_points, wanted = rows[ROWS.n_points, 0], rows[ROWS.wanted, 0]
    values = array_at(value, (n_points,), np.float64)
    # Before memory is asked for: a C function that fails returns as if nothing had happened.
    for s in range(n_points):
        values[s] = np.nan
    to_internal = matrix_at(rows, ROWS.to_internal, np.float64)
    function, own_table = rows[ROWS.function, 0], rows[ROWS.table, 0]
    centre, scale = vector_at(rows, ROWS.centre, np.float64), matrix_at(rows, ROWS.scale, np.float64)
    prior_on, natural = rows[ROWS.prior_on, 0] == 1, rows[ROWS.natural, 0] == 1
    points, slopes = array_at(x, (n_points, n), np.float64), array_at(gradient, (n_points, n), np.float64)
    u, g = local(n), local(n)
    point = room_for_covariances(u, variances)
    Lambda, S = point[3], point[4]
    patterns, counts = matrix_at(rows, ROWS.patterns, np.bool_), vector_at(rows, ROWS.counts, np.float64)
    K = rows[ROWS.n_terms, 0]
    weights, g_omega, likelihood = local(2 * K + 2), local(K), local(1)
    g_Lambda, g_S = local(Lambda.shape), local(S.shape)
    status = 0
    for s in range(n_points):
        affine(centre, scale, points[s], u)
        for i in range(n):
            g[i] = 0.0
        log_density, first_corr = covariances_at(u, variances, to_internal, prior_on, natural, point, g)
        if isfinite(log_density):
            likelihood[0] = np.nan
            weights_of(S, columns, gaps, patterns, counts, weights)
            call_likelihood(function, own_table, Lambda, weights, g_Lambda, g_omega, likelihood, wanted)
            log_density += likelihood[0]
            if isnan(log_density):
                return -1
        status = 0
        if not isfinite(log_density):
            log_density, status = -np.inf, 4
        values[s] = log_density
        if wanted == VALUE:
            continue
        if status == 0:
            error_precision_gradient(S, columns, gaps, patterns, counts, weights, g_omega, g_S)
            add_gradient_of_covariances(u, variances, to_internal, point, first_corr, g_Lambda, g_S, g)
            times_transposed(scale, g, slopes[s])
        else:
            for j in range(n):
                slopes[s, j] = 0.0
    return status
