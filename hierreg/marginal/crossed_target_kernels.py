"""The log posterior density of the unconstrained variance parameters with several grouping factors (numba)."""

from __future__ import annotations

import numpy as np
from numba import njit

from hierreg.marginal.crossed_kernels import log_likelihood
from hierreg.marginal.target_kernels import add_gradient_of_covariances, covariances_at, room_for_covariances


@njit(cache=True, nogil=True, error_model="numpy")
def log_posterior(u, variances, likelihood, prior_on, natural, g_u):
    """Return the log density of u and write its gradient to g_u.

    The arguments are those of `target_kernels.log_posterior`, with the arrays of a `CrossedLikelihood`.
    """
    z_map_inverse, gram, errors, W0, constant, integrate = likelihood
    g_u[:] = 0.0
    point = room_for_covariances(u, variances)
    Lambda, S = point[3], point[4]
    value, first_corr = covariances_at(u, variances, z_map_inverse, prior_on, natural, point, g_u)
    g_Lambda, g_S = np.empty(Lambda.shape), np.empty(S.shape)
    value += log_likelihood(Lambda, S, gram, errors, W0, constant, (integrate, True), g_Lambda, g_S)
    if not np.isfinite(value):
        g_u[:] = 0.0
        return -np.inf
    add_gradient_of_covariances(u, variances, z_map_inverse, point, first_corr, g_Lambda, g_S, g_u)
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def log_posterior_values(points, variances, likelihood, prior_on, natural, out):
    """Write the log densities of points (n, n_free) to out (n,), without gradients."""
    z_map_inverse, gram, errors, W0, constant, integrate = likelihood
    g_u = np.empty(points.shape[1])
    for i in range(len(points)):
        point = room_for_covariances(points[i], variances)
        Lambda, S = point[3], point[4]
        value, _ = covariances_at(points[i], variances, z_map_inverse, prior_on, natural, point, g_u)
        if np.isfinite(value):
            treat = (integrate, False)
            value += log_likelihood(
                Lambda, S, gram, errors, W0, constant, treat, np.empty(Lambda.shape), np.empty(S.shape)
            )
        out[i] = value if np.isfinite(value) else -np.inf
