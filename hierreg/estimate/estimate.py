"""Point estimates of the variance parameters: REML, ML and MAP, with convergence and singularity in words.

REML and ML are maximised over the entries of a factor of Sigma, not over standard deviations: the criterion
is smooth there even where a variance is zero, so a boundary estimate is an ordinary interior maximum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.estimate.boundary import SINGULAR, boundary, errors_at_zero, is_negligible, term_factors
from hierreg.estimate.coordinates import OUT_OF_RANGE, FactorCoordinates, basis_of, factor_coordinates, terms_of
from hierreg.estimate.identification import Flat, flat_directions
from hierreg.estimate.mode import best_mode
from hierreg.estimate.optimise import Optimum
from hierreg.estimate.search import least_information, search
from hierreg.estimate.standard_errors import (
    TermFactor,
    covariance_inside,
    errors_on_boundary,
    factor_covariance,
    natural_covariance,
)
from hierreg.estimate.starting_values import group_scales, starting_point
from hierreg.likelihood.posterior import Target
from hierreg.linalg import sd_and_corr
from hierreg.variances.parameters import Covariances, covariances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.engines import Likelihood
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]

_SMALLEST_LOG_SD = 12.0
# Information, in units of log sds, above which no direction is without any: as of a log sd with standard error 10.
_SOME_INFORMATION = 0.01
# log of an sd that is zero to any error
_LOG_ZERO = -300.0


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
        Their covariance, from the curvature of the criterion; NaN for those on the boundary, or not identified.
    unidentified : tuple of str
        Names of parameters that no data of this design tell apart.
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
    unidentified: tuple[str, ...] = ()


def maximise_likelihood(
    likelihood: Likelihood, parameters: VarianceParameters, *, has_maximum: bool = True
) -> VarianceEstimate:
    """Return the REML estimate (beta integrated, flat prior) or the ML estimate (beta profiled).

    Parameters
    ----------
    likelihood : MarginalLikelihood or CrossedLikelihood
        Made with a flat prior of beta, or with ``profile=True``.
    parameters : VarianceParameters
        Their priors are ignored, except that `Fixed` values are kept.
    has_maximum : bool
        Where the criterion is known to have none, one search is made and there are no standard errors.
    """
    coordinates = factor_coordinates(likelihood, parameters)
    if coordinates is None:
        estimate = _over_unconstrained(Target(parameters=parameters, likelihood=likelihood, prior_on=False))
        return _with_flat(estimate, flat_directions(likelihood, parameters))
    found = search(coordinates, has_maximum=has_maximum)
    coordinates, optimum = found.coordinates, found.optimum
    inside = optimum
    inner, u = coordinates.inner(optimum.x), optimum.x[len(coordinates.rows) :]
    errors = covariances(coordinates.errors, u[None])
    # The errors decide what is small: the basis at their estimate.
    basis = basis_of(likelihood.gram, errors.error_cov[0], parameters)
    Lambda, optimum = _snap_to_boundary(coordinates, basis, inner, optimum)
    coordinates = replace(coordinates, basis=basis, scale=np.ones(len(basis)))
    zero = is_negligible(Lambda, basis)
    terms = term_factors(np.linalg.solve(basis, Lambda) if len(basis) else basis, terms_of(parameters))
    problems = boundary(parameters, zero, terms, errors)

    def with_errors(u: Array) -> float:
        error_cov = covariances(coordinates.errors, u[None]).error_cov[0]
        value: float = coordinates.likelihood.value_and_gradient(Lambda, error_cov)[0]
        return value

    problems += errors_at_zero(coordinates.errors, likelihood.gram, u, optimum.value, with_errors)
    perfect = _is_perfect_fit(likelihood, parameters, errors.error_sd[0])
    if perfect or not has_maximum:
        parameter_cov = _none(parameters)
    elif inside.is_precise and inside.converged and not problems:
        parameter_cov = covariance_inside(found.coordinates, terms, inside.x, inside.hessian)
    else:
        parameter_cov = factor_covariance(coordinates, terms, errors, u)
    estimate = VarianceEstimate(
        **_covariances_of(Lambda, errors),
        **_how_it_ended(optimum, problems, perfect=perfect),
        parameter_names=parameters.free_names,
        parameter_cov=parameter_cov,
    )
    if not has_maximum:
        return estimate
    least = least_information(optimum.hessian, found.coordinates.sizes(optimum.x))
    if not problems and optimum.converged and least > _SOME_INFORMATION:
        return estimate
    return _with_flat(estimate, flat_directions(likelihood, parameters))


def _with_flat(estimate: VarianceEstimate, flat: Flat | None) -> VarianceEstimate:
    """Return an estimate that says what the data do not determine."""
    if flat is None:
        return estimate
    cov = estimate.parameter_cov.copy()
    cov[flat.is_joined], cov[:, flat.is_joined] = np.nan, np.nan
    message = f"{estimate.message}; {flat.text}"
    return replace(estimate, parameter_cov=cov, message=message, unidentified=flat.names)


def maximise_posterior(likelihood: Likelihood, parameters: VarianceParameters) -> VarianceEstimate:
    """Return the MAP estimate: the mode of the density of sds and correlations, beta and b integrated out."""
    return _over_unconstrained(Target(parameters=parameters, likelihood=likelihood, natural=True))


def _over_unconstrained(target: Target) -> VarianceEstimate:
    """Maximise over u; log sds are kept above a floor where the maximum is at zero variance."""
    parameters, likelihood = target.parameters, target.likelihood
    floor = starting_point(likelihood.gram, parameters) - _SMALLEST_LOG_SD
    n_sd = int(parameters.sd_is_free.sum())

    def bounded(u: Array) -> tuple[float, Array]:
        if np.any(np.abs(u) > OUT_OF_RANGE):
            return -np.inf, np.zeros(len(u))
        low = np.zeros(len(u), dtype=bool)
        low[:n_sd] = u[:n_sd] < floor[:n_sd]
        value, gradient = target(np.where(low, floor, u))
        # A quadratic fence keeps the search near the floor, where the density no longer changes.
        gap = np.where(low, u - floor, 0.0)
        return value - 0.5 * float(gap @ gap), np.where(low, -gap, gradient)

    optimum, _ = best_mode(target, objective=bounded)
    u = optimum.x.copy()
    u[:n_sd] = np.maximum(u[:n_sd], floor[:n_sd])
    at = covariances(parameters, u[None])
    Lambda, basis = at.Lambda[0], basis_of(likelihood.gram, at.error_cov[0], parameters)
    terms = term_factors(np.linalg.solve(basis, Lambda) if len(basis) else basis, terms_of(parameters))
    problems = boundary(parameters, is_negligible(Lambda, basis), terms, at)
    problems += errors_at_zero(parameters, likelihood.gram, u, optimum.value, lambda u: target(u)[0])
    perfect = _is_perfect_fit(likelihood, parameters, at.error_sd[0])
    return VarianceEstimate(
        **_covariances_of(Lambda, at),
        **_how_it_ended(optimum, problems, perfect=perfect),
        parameter_names=parameters.free_names,
        parameter_cov=_none(parameters) if perfect else natural_covariance(target, *_held(target, u, at, terms)),
    )


def _held(target: Target, u: Array, at: Covariances, terms: list[TermFactor]) -> tuple[Array, NDArray[np.bool_]]:
    """Return u with negligible sds at zero, and which elements are on the boundary."""
    parameters = target.parameters
    q, is_free = parameters.n_factor, parameters.sd_is_free
    scale = group_scales(target.likelihood.gram, at.error_cov[0], parameters)
    sd = np.zeros(q)
    sd[is_free[:q]] = np.exp(u[: int(is_free[:q].sum())])
    zero = is_free[:q] & (sd < SINGULAR * scale)
    free_zero = np.concatenate([zero[is_free[:q]], np.zeros(int(is_free[q:].sum()), dtype=bool)])
    held = [free_zero]
    full = {tuple(term.columns.tolist()): term.values.shape[1] == len(term.columns) for term in terms}
    for start, size, free in zip(parameters.block_starts, parameters.block_sizes, parameters.corr_is_free, strict=True):
        if free and start < q:
            has_rank = full[tuple(range(start, start + size))]
            held.append(np.full(size * (size - 1) // 2, not has_rank or bool(zero[start : start + size].any())))
    n_error_sd = int(is_free[q:].sum())
    held.append(errors_on_boundary(parameters, at)[n_error_sd:])
    u = u.copy()
    u[: len(free_zero)][free_zero] = _LOG_ZERO
    return u, np.concatenate(held)


def _snap_to_boundary(
    coordinates: FactorCoordinates, basis: Array, inner: Array, optimum: Optimum
) -> tuple[Array, Optimum]:
    """Return Lambda (q, q) with negligible rows at exactly zero, where that is no worse."""
    Lambda = coordinates.basis @ inner
    at_zero = np.where(is_negligible(Lambda, basis)[:, None], 0.0, Lambda)
    if np.array_equal(at_zero, Lambda):
        return Lambda, optimum
    error_cov = coordinates.unpack(optimum.x)[1].error_cov[0]
    value = coordinates.likelihood.value_and_gradient(at_zero, error_cov)[0]
    if value < optimum.value - 1e-9:
        return Lambda, optimum
    return at_zero, replace(optimum, value=max(value, optimum.value))


def _covariances_of(Lambda: Array, errors: Covariances) -> dict[str, Any]:
    cov = Lambda @ Lambda.T
    sd, corr = sd_and_corr(cov)
    return {
        "Lambda": Lambda,
        "cov": cov,
        "sd": sd,
        "corr": corr,
        "error_sd": errors.error_sd[0],
        "error_corr": errors.error_corr[0],
        "error_cov": errors.error_cov[0],
    }


def _how_it_ended(optimum: Optimum, problems: list[str], *, perfect: bool) -> dict[str, Any]:
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
    return {
        "log_density": optimum.value,
        "converged": optimum.converged and not perfect,
        "boundary": tuple(problems),
        "message": message,
        "n_evaluations": optimum.n_evaluations,
        "newton_decrement": optimum.newton_decrement,
    }


def _none(parameters: VarianceParameters) -> Array:
    return np.full((parameters.n_free, parameters.n_free), np.nan)


def _is_perfect_fit(likelihood: Likelihood, parameters: VarianceParameters, error_sd: Array) -> bool:
    """Return whether estimated errors are no larger than the rounding of the response."""
    gram = likelihood.gram
    if not parameters.sd_is_free[parameters.n_factor :].any() or not len(gram.y_shift):
        return False
    size = float(np.linalg.norm(np.linalg.solve(gram.x_map, gram.y_shift)))
    return float(np.max(error_sd)) < 10.0 * float(np.finfo(float).eps) * size
