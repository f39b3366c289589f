"""What Python calls of the map from variance parameters u to Lambda, where a likelihood takes Lambda from Python."""

from __future__ import annotations

from hierreg.compiled.array_kernels import empty, zeros
from hierreg.compiled.parts import whole
from hierreg.variances.kernels import add_gradient_of_covariances, covariances_at, room_for_covariances


@whole
def factor_at(u, variances, to_internal, prior_on, natural, Lambda, g_u):
    """Write Lambda (q, q) at u; return the log prior density of u, its gradient added to g_u (n_free,)."""
    point = room_for_covariances(u, variances)
    value, _ = covariances_at(u, variances, to_internal, prior_on, natural, point, g_u)
    for i in range(len(Lambda)):
        for j in range(len(Lambda)):
            Lambda[i, j] = point[3][i, j]
    return value


@whole
def add_gradient_of_factor(u, variances, to_internal, g_Lambda, g_u):
    """Add the gradient with respect to Lambda (q, q) to that of u (n_free,)."""
    point = room_for_covariances(u, variances)
    unused = zeros(len(u))
    # No constant: called with one, what is called is compiled for it, and that went wrong.
    off = len(u) < 0
    _, first_corr = covariances_at(u, variances, to_internal, off, off, point, unused)
    g_S = empty(point[4].shape)
    for i in range(len(g_S)):
        for j in range(len(g_S)):
            g_S[i, j] = 0.0
    add_gradient_of_covariances(u, variances, to_internal, point, first_corr, g_Lambda, g_S, g_u)
    return first_corr
