"""Point estimates of the variance parameters: REML, ML and MAP, with convergence and singularity in words.

REML and ML are maximised over the entries of a factor of Sigma, not over standard deviations: the criterion
is smooth there even where a variance is zero, so a boundary estimate is an ordinary interior maximum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.covariance import Covariances, covariances
from hierreg.estimate.coordinates import FactorCoordinates, factor_coordinates
from hierreg.estimate.search import search
from hierreg.estimate.standard_errors import natural_covariance, unconstrained
from hierreg.linalg import sd_and_corr
from hierreg.marginal.target import Target
from hierreg.optimise import Optimum, maximise
from hierreg.starting_values import expected_curvature, group_scales, starting_point

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.compound_symmetry import WithinUnits
    from hierreg.covariance import VarianceParameters
    from hierreg.marginal.likelihood import Likelihood

    Array = NDArray[np.float64]

# An sd this small beside the errors, or a correlation this close to one, counts as the boundary.
_SINGULAR = 1e-4
_SMALLEST_LOG_SD = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceEstimate:
    """Estimated covariances, and how the search for them ended.

    Attributes
    ----------
    Lambda : array (q, q)
        Square factor of Sigma, user scale.
    cov : array (q, q)
    sd : array (q,)
    corr : array (q, q)
        NaN where a standard deviation is zero.
    error_sd : array (D,)
    error_corr : array (D, D)
        Of exchangeable errors the correlations within units, (T,).
    error_cov : array (D, D)
        What the likelihood takes; of exchangeable errors the variances of their components, diagonal (C, C).
    log_density : float
        The maximised log (restricted) likelihood, or log likelihood plus log prior for MAP.
    converged : bool
    boundary : tuple of str
        Parameters on the boundary of their space, in words; empty where there is none.
    message : str
        How the search ended, in words.
    n_evaluations : int
    newton_decrement : float
    parameter_names : tuple of str
        Public names of the free standard deviations and correlations.
    parameter_cov : array (n_free, n_free)
        Their covariance, from the curvature of the criterion; NaN for those on the boundary.
    """

    Lambda: Array
    cov: Array
    sd: Array
    corr: Array
    error_sd: Array
    error_corr: Array
    error_cov: Array
    log_density: float
    converged: bool
    boundary: tuple[str, ...]
    message: str
    n_evaluations: int
    newton_decrement: float
    parameter_names: tuple[str, ...]
    parameter_cov: Array


def maximise_likelihood(likelihood: Likelihood, parameters: VarianceParameters) -> VarianceEstimate:
    """Return the REML estimate (beta integrated, flat prior) or the ML estimate (beta profiled).

    Parameters
    ----------
    likelihood : MarginalLikelihood or CrossedLikelihood
        Made with a flat prior of beta, or with ``profile=True``.
    parameters : VarianceParameters
        Their priors are ignored, except that `Fixed` values are kept.
    """
    coordinates = factor_coordinates(likelihood, parameters)
    if coordinates is None:
        return _over_unconstrained(Target(parameters=parameters, likelihood=likelihood, prior_on=False))
    found = search(coordinates)
    coordinates, optimum = found.coordinates, found.optimum
    Lambda, errors = coordinates.unpack(optimum.x)
    Lambda, optimum = _snap_to_boundary(coordinates, Lambda, optimum)
    target = Target(parameters=parameters, likelihood=likelihood, prior_on=False)
    return _described(target, Lambda, errors, optimum)


def maximise_posterior(likelihood: Likelihood, parameters: VarianceParameters) -> VarianceEstimate:
    """Return the MAP estimate: the mode of the density of sds and correlations, beta and b integrated out."""
    return _over_unconstrained(Target(parameters=parameters, likelihood=likelihood, natural=True))


def _over_unconstrained(target: Target) -> VarianceEstimate:
    """Maximise over u; log sds are kept above a floor where the maximum is at zero variance."""
    parameters = target.parameters
    start = starting_point(target.likelihood.gram, parameters)
    floor = start - _SMALLEST_LOG_SD
    n_sd = int(parameters.sd_is_free.sum())

    def bounded(u: Array) -> tuple[float, Array]:
        low = np.zeros(len(u), dtype=bool)
        low[:n_sd] = u[:n_sd] < floor[:n_sd]
        value, gradient = target(np.where(low, floor, u))
        # A quadratic fence keeps the search near the floor, where the density no longer changes.
        gap = np.where(low, u - floor, 0.0)
        return value - 0.5 * float(gap @ gap), np.where(low, -gap, gradient)

    curvature = expected_curvature(target.likelihood.gram, parameters)
    optimum = maximise(bounded, start, curvature=curvature, threads=target.likelihood.side_by_side)
    u = optimum.x.copy()
    u[:n_sd] = np.maximum(u[:n_sd], floor[:n_sd])
    at = covariances(parameters, u[None])
    return _described(target, at.Lambda[0], at, optimum)


def _snap_to_boundary(coordinates: FactorCoordinates, Lambda: Array, optimum: Optimum) -> tuple[Array, Optimum]:
    """Return Lambda with negligible rows at exactly zero, where that is no worse."""
    at_zero = Lambda.copy()
    error_cov = coordinates.unpack(optimum.x)[1].error_cov[0]
    reach = np.sqrt(np.sum(Lambda**2, axis=1)) / group_scales(coordinates.likelihood.gram, error_cov)
    at_zero[reach < _SINGULAR] = 0.0
    if np.array_equal(at_zero, Lambda):
        return Lambda, optimum
    value = coordinates.likelihood.value_and_gradient(at_zero, error_cov)[0]
    if value < optimum.value - 1e-9:
        return Lambda, optimum
    return at_zero, replace(optimum, value=max(value, optimum.value))


def _described(
    target: Target,
    Lambda: Array,
    errors: Covariances,
    optimum: Optimum,
) -> VarianceEstimate:
    error_sd = errors.error_sd[0]
    parameters, likelihood = target.parameters, target.likelihood
    cov = Lambda @ Lambda.T
    sd, corr = sd_and_corr(cov)
    problems = _boundary(parameters, likelihood, sd, corr, errors)
    perfect = _is_perfect_fit(likelihood, parameters, error_sd)
    if perfect:
        message = (
            "the fit is perfect to rounding, so the error variance cannot be estimated: the criterion has no "
            "maximum. Is the response a function of the predictors?"
        )
    elif optimum.converged:
        message = f"converged after {optimum.n_evaluations} evaluations"
    else:
        message = (
            f"not converged after {optimum.n_evaluations} evaluations: the criterion could still improve by "
            f"about {2 * optimum.newton_decrement:.2g}. Likely causes: (a) a variance that the data do not "
            "determine (too few groups for the number of columns: drop a column or use `||`); (b) columns on "
            "very different scales within a group; (c) groups that differ so much more than the errors that "
            "rounding hides the errors, or a nearly perfect fit."
        )
    return VarianceEstimate(
        Lambda=Lambda,
        cov=cov,
        sd=sd,
        corr=corr,
        error_sd=error_sd,
        error_corr=errors.error_corr[0],
        error_cov=errors.error_cov[0],
        log_density=optimum.value,
        converged=optimum.converged and not perfect,
        boundary=tuple(problems),
        message=message,
        n_evaluations=optimum.n_evaluations,
        newton_decrement=optimum.newton_decrement,
        parameter_names=parameters.free_names,
        parameter_cov=_parameter_covariance(target, (sd, corr), errors, perfect=perfect),
    )


def _parameter_covariance(target: Target, groups: tuple[Array, Array], errors: Covariances, *, perfect: bool) -> Array:
    """Return the covariance of the free sds and correlations; none where there is no maximum."""
    parameters, (sd, corr) = target.parameters, groups
    if perfect:
        return np.full((parameters.n_free, parameters.n_free), np.nan)
    reach = sd / group_scales(target.likelihood.gram, errors.error_cov[0])
    sd = np.where(reach < _SINGULAR, 0.0, sd)
    corr = np.where((sd[:, None] > 0) & (sd > 0), corr, np.nan)
    u, held = unconstrained(parameters, (sd, corr), (errors.error_sd[0], errors.error_corr[0]))
    return natural_covariance(target, u, held)


def _is_perfect_fit(likelihood: Likelihood, parameters: VarianceParameters, error_sd: Array) -> bool:
    """Return whether estimated errors are no larger than the rounding of the response."""
    gram = likelihood.gram
    if not parameters.sd_is_free[parameters.n_factor :].any() or not len(gram.y_shift):
        return False
    size = float(np.linalg.norm(np.linalg.solve(gram.x_map, gram.y_shift)))
    return float(np.max(error_sd)) < 10.0 * float(np.finfo(float).eps) * size


def _boundary(
    parameters: VarianceParameters,
    likelihood: Likelihood,
    sd: Array,
    corr: Array,
    errors: Covariances,
) -> list[str]:
    """Say which free parameters are on the boundary of their space."""
    q = parameters.n_factor
    reach = sd / group_scales(likelihood.gram, errors.error_cov[0])
    zero = reach < _SINGULAR
    columns = parameters.group_columns
    found = [
        f"the variance of {columns[i][1]} between groups of {columns[i][0]} is zero: "
        "the groups differ no more than their errors explain"
        for i in np.flatnonzero(zero & parameters.sd_is_free[:q])
    ]
    starts, sizes = parameters.block_starts, parameters.block_sizes
    labels = (*(name for _, name in columns), *parameters.error_labels)
    for block in np.flatnonzero(parameters.corr_is_free):
        a, b = starts[block], starts[block] + sizes[block]
        part = corr[a:b, a:b] if a < q else errors.error_corr[0]
        kept = np.flatnonzero(~zero[a:b]) if a < q else np.arange(b - a)
        if len(kept) > 1 and np.linalg.eigvalsh(part[np.ix_(kept, kept)])[0] < _SINGULAR**2 * 100:
            names = ", ".join(str(labels[a + i]) for i in kept)
            what = f"group coefficients {names} of {columns[a][0]}" if a < q else f"errors of {names}"
            found.append(f"the correlation matrix of the {what} is singular (a correlation of one in some direction)")
    return found + _boundary_within_units(parameters.within_units, errors)


def _boundary_within_units(units: WithinUnits, errors: Covariances) -> list[str]:
    found = []
    for label, free, rho, lowest in zip(
        units.strata, units.is_free, errors.error_corr[0] if units.strata else (), units.lowest, strict=True
    ):
        where = f"of {label} " if len(units.strata) > 1 else ""
        if free and 1.0 - rho < _SINGULAR**2:
            found.append(f"the correlation of errors {where}within units is one: rows of a unit do not differ")
        elif free and rho - lowest < _SINGULAR**2:
            found.append(
                f"the correlation of errors {where}within units is at its lower bound {lowest:.4g}: the largest units "
                "have no variance between them"
            )
    return found
