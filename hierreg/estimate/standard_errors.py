"""Standard errors of variance parameters: curvature of the criterion at its maximum, and the delta method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.covariance import covariances, partial_correlations
from hierreg.linalg import sd_and_corr
from hierreg.optimise import hessian

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.covariance import VarianceParameters
    from hierreg.marginal.target import Target

    Array = NDArray[np.float64]

# log of an sd that is zero to any error
_LOG_ZERO = -300.0
_NEARLY_SINGULAR = 1e-9
_STEP = 1e-5


def natural_covariance(target: Target, u: Array, held: NDArray[np.bool_]) -> Array:
    """Return the covariance (n_free, n_free) of standard deviations and correlations, in the order of `free_names`.

    With H the Hessian of the criterion in u at its maximum and D the derivative of the parameters with respect to u,
    it is D (-H)^-1 D'.

    Parameters
    ----------
    target : Target
        Log density of sds and correlations, maximal at u.
    u : array (n_free,)
    held : bool array (n_free,)
        Elements on the boundary, held where they are: their rows are NaN, the others hold given them.

    Returns
    -------
    array (n_free, n_free)
        NaN throughout where the criterion has no maximum at u.
    """
    n = len(u)
    out = np.full((n, n), np.nan)
    free = np.flatnonzero(~held)
    if not len(free):
        return out

    def with_held(x: Array) -> Array:
        full = u.copy()
        full[free] = x
        return full

    def restricted(x: Array) -> tuple[float, Array]:
        value, gradient = target(with_held(x))
        return value, gradient[free]

    H = hessian(restricted, u[free], target.likelihood.side_by_side)
    if not np.all(np.isfinite(H)) or np.linalg.eigvalsh(H)[-1] >= 0:
        return out
    D = np.empty((len(free), len(free)))
    for i, k in enumerate(free):
        step = np.zeros(n)
        step[k] = _STEP
        change = natural_values(target.parameters, u + step) - natural_values(target.parameters, u - step)
        D[:, i] = change[free] / (2.0 * _STEP)
    out[np.ix_(free, free)] = D @ np.linalg.solve(-H, D.T)
    return out


def natural_values(parameters: VarianceParameters, u: Array) -> Array:
    """Return the free sds and correlations (n_free,) at u, in the order of `VarianceParameters.free_names`."""
    at, q = covariances(parameters, u[None]), parameters.n_factor
    values = [np.concatenate([at.sd[0], at.error_sd[0]])[parameters.sd_is_free]]
    for start, size, free in zip(parameters.block_starts, parameters.block_sizes, parameters.corr_is_free, strict=True):
        if free:
            corr, first = (at.corr[0], start) if start < q else (at.error_corr[0], start - q)
            values.append(corr[first : first + size, first : first + size][np.tril_indices(size, -1)])
    if parameters.within_units.strata:
        values.append(at.error_corr[0][parameters.within_units.is_free])
    return np.concatenate(values)


def _in_frame(parameters: VarianceParameters, sd: Array, corr: Array) -> tuple[Array, Array]:
    """Return sds and correlations in the frame of the priors."""
    if np.array_equal(parameters.from_raw, np.eye(len(sd))):
        return sd, corr
    cov = np.where(np.isfinite(corr), corr, 0.0) * sd[:, None] * sd
    return sd_and_corr(parameters.from_raw @ cov @ parameters.from_raw.T)


def unconstrained(
    parameters: VarianceParameters, groups: tuple[Array, Array], errors: tuple[Array, Array]
) -> tuple[Array, NDArray[np.bool_]]:
    """Return u (n_free,) at sds and correlations of groups and errors, and which elements are on the boundary."""
    (sd, corr), (error_sd, error_corr) = _in_frame(parameters, *groups), errors
    sds = np.concatenate([sd, error_sd])[parameters.sd_is_free]
    is_zero = ~(sds > 0)
    u, held = [np.where(is_zero, _LOG_ZERO, np.log(np.where(is_zero, 1.0, sds)))], [is_zero]
    for start, size, free in zip(parameters.block_starts, parameters.block_sizes, parameters.corr_is_free, strict=True):
        if free:
            all_corr, first = (
                (corr, start) if start < parameters.n_factor else (error_corr, start - parameters.n_factor)
            )
            block = all_corr[first : first + size, first : first + size]
            exists = bool(np.all(np.isfinite(block)))
            block = block if exists else np.eye(size)
            is_singular = float(np.linalg.eigvalsh(block)[0]) < _NEARLY_SINGULAR
            if is_singular:
                block = (1.0 - _NEARLY_SINGULAR) * block + _NEARLY_SINGULAR * np.eye(size)
            u.append(partial_correlations(block))
            held.append(np.full(len(u[-1]), is_singular or not exists))
    within = parameters.within_units
    if within.strata:
        u.append(within.unconstrained(error_corr))
        held.append(np.abs(u[-1]) > 0.5 * np.log(1.0 / _NEARLY_SINGULAR))
    return np.concatenate(u), np.concatenate(held)
