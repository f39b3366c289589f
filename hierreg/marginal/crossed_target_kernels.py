"""The log posterior density of the unconstrained variance parameters with several grouping factors (numba)."""

from __future__ import annotations

import numpy as np
from numba import njit

from hierreg.marginal.crossed_kernels import log_likelihood
from hierreg.marginal.target_kernels import add_gradient_of_covariances, covariances_at, room_for_covariances


@njit(cache=True, nogil=True, error_model="numpy")
def log_posterior(u, variances, likelihood, prior_on, natural, with_gradient, g_u):
    """Return the log density of u and write its gradient to g_u, zeros where it is not wanted.

    The arguments are those of `target_kernels.log_posterior`, with the arrays of a `CrossedLikelihood`.
    """
    z_map_inverse, gram, errors, W0, constant, integrate = likelihood
    g_u[:] = 0.0
    point = room_for_covariances(u, variances)
    Lambda, S = point[3], point[4]
    value, first_corr = covariances_at(u, variances, z_map_inverse, prior_on, natural, point, g_u)
    g_Lambda, g_S = np.empty(Lambda.shape), np.empty(S.shape)
    treat = (integrate, with_gradient)
    value += log_likelihood(Lambda, S, gram, errors, W0, constant, treat, g_Lambda, g_S)
    if not np.isfinite(value):
        g_u[:] = 0.0
        return -np.inf
    if with_gradient:
        add_gradient_of_covariances(u, variances, z_map_inverse, point, first_corr, g_Lambda, g_S, g_u)
    else:
        g_u[:] = 0.0
    return value
