"""What Python calls of the map from variance parameters u to Lambda, where a likelihood takes Lambda from Python."""

from __future__ import annotations

from hierreg.compiled.array_kernels import zeros
from hierreg.compiled.parts import whole
from hierreg.variances.kernels import add_gradient_of_covariances, covariances_at, room_for_covariances


@whole
def factor_at(u, variances, to_internal, prior_on, natural, Lambda, g_u, g_Lambda):
    """Write Lambda (q, q) at u; return the log prior density of u, its gradient added to g_u (n_free,).

    Where a gradient with respect to Lambda is given, g_Lambda (q, q) in place of (0, 0), that with respect to u is
    added to g_u too.
    """
    point = room_for_covariances(u, variances)
    value, first_corr = covariances_at(u, variances, to_internal, prior_on, natural, point, g_u)
    for i in range(len(Lambda)):
        for j in range(len(Lambda)):
            Lambda[i, j] = point[3][i, j]
    if len(g_Lambda) > 0:
        g_S = zeros(point[4].shape)
        add_gradient_of_covariances(u, variances, to_internal, point, first_corr, g_Lambda, g_S, g_u)
    return value
