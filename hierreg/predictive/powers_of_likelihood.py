"""The likelihood of groups, or of rows, raised to a power: `power_scaling` has the formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.likelihood.engines import LOG_2PI, population
from hierreg.predictive.integrated_draws import Redraw, values_at
from hierreg.predictive.powered import LIKELIHOOD, Powered, same_weights
from hierreg.threads import available_cores

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.likelihood.engines import Likelihood
    from hierreg.predictive.integrated_draws import Integrated

    Array = NDArray[np.float64]


def conditional(at: Integrated, likelihood: Likelihood, base: Array) -> Callable[[float], Powered]:
    """Return what makes the posterior under a power of p(y | beta, b, u)."""
    errors = likelihood.errors
    log_det_R = errors.weights_of_draws(at.cov.error_cov)[:, 2 * errors.n_terms]

    def powered(alpha: float) -> Powered:
        ratio = at.density(likelihood, alpha) - base + 0.5 * (1.0 - alpha) * log_det_R
        return same_weights(LIKELIHOOD, alpha, ratio, at.values(likelihood, alpha))

    return powered


def marginal(at: Integrated, likelihood: Likelihood, values: Array) -> Callable[[float], Powered]:
    """Return what makes the posterior under a power of p(y | beta, u).

    Quantities that stay the same where coefficients are drawn with another seed are functions of u.
    """
    base, log_det_V, squares = at.density(likelihood), *_dense_parts(at)
    is_of_u = np.all(at.values(likelihood, seed=1) == values, axis=0)
    of_beta = -0.5 * (log_det_V + squares + _squares_of_beta(at, likelihood))

    def powered(alpha: float) -> Powered:
        of_u = at.density(likelihood, alpha, alpha) - base + 0.5 * (1.0 - alpha) * log_det_V
        ratios = np.stack([of_u, (alpha - 1.0) * of_beta])
        which = np.where(is_of_u, 0, 1)
        return Powered(component=LIKELIHOOD, alpha=alpha, log_ratio=ratios, which=which, values=values)

    return powered


def _dense_parts(at: Integrated) -> tuple[Array, Array]:
    """Return log|V| (S,) and the generalised sum of squares (S,) about the least-squares fit.

    From the profile likelihood at V and at V / 4, of which one is -(n log 2 pi + log|V| + squares) / 2 and the other
    -(n log 2 pi + log|V| - n log 4 + 4 squares) / 2.
    """
    profile, n = at.problem.likelihood("ml"), at.problem.n_rows
    one, four = at.density(profile), at.density(profile, 4.0, 4.0)
    squares = (n * np.log(4.0) - 2.0 * (four - one)) / 3.0
    return -2.0 * one - n * LOG_2PI - squares, squares


def _squares_of_beta(at: Integrated, likelihood: Likelihood) -> Array:
    """Return (beta - beta_hat)' X'V^-1 X (beta - beta_hat) (S,) at the drawn beta, from the least-squares fit."""
    free = ~at.problem.fixed.is_fixed
    if not free.any():
        return np.zeros(len(at.cov.sd))

    def beta_of(posterior: xr.Dataset) -> Array:
        return posterior["beta"].transpose("chain", "draw", ...).to_numpy()

    how = Redraw(shape=at.shape, seed=at.seed, with_groups=at.with_groups)
    drawn = values_at(at.problem, likelihood, at.cov, beta_of, how)[:, free]
    mean, F = population(at.problem.likelihood("reml"), at.cov.Lambda, at.cov.error_cov, available_cores())
    return np.sum(np.linalg.solve(F, (drawn - mean)[:, :, None])[:, :, 0] ** 2, axis=1)
