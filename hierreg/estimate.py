"""Point estimates of the variance parameters: REML, ML and MAP, with convergence and singularity in words.

REML and ML are maximised over the entries of a factor of Sigma, not over standard deviations: the criterion is
smooth there even where a variance is zero, so a boundary estimate is an ordinary interior maximum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.covariance import covariances
from hierreg.linalg import sd_and_corr
from hierreg.marginal.target import Target
from hierreg.optimise import Optimum, maximise
from hierreg.starting_values import group_scales, starting_point

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.covariance import VarianceParameters
    from hierreg.marginal.likelihood import MarginalLikelihood

    Array = NDArray[np.float64]

# A standard deviation this small beside the errors, or a correlation this close to one, counts as the boundary.
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
    error_cov : array (D, D)
    log_density : float
        The maximised log (restricted) likelihood, or log likelihood plus log prior for MAP.
    converged : bool
    singular : bool
    message : str
        Both in words.
    n_evaluations : int
    newton_decrement : float
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
    singular: bool
    message: str
    n_evaluations: int
    newton_decrement: float


def maximise_likelihood(likelihood: MarginalLikelihood, parameters: VarianceParameters) -> VarianceEstimate:
    """Return the REML estimate (beta integrated, flat prior) or the ML estimate (beta profiled).

    Parameters
    ----------
    likelihood : MarginalLikelihood
        Made with a flat prior of beta, or with ``profile=True``.
    parameters : VarianceParameters
        Their priors are ignored, except that `Fixed` values are kept.
    """
    coordinates = _coordinates(likelihood, parameters)
    if coordinates is None:
        return _over_unconstrained(Target(parameters=parameters, likelihood=likelihood, prior_on=False))
    optimum = maximise(coordinates, np.concatenate([coordinates.start(), coordinates.error_start()]))
    Lambda, error = coordinates.unpack(optimum.x)
    Lambda, optimum = _snap_to_boundary(coordinates, Lambda, optimum)
    return _described(parameters, likelihood, Lambda, error, optimum)


def maximise_posterior(likelihood: MarginalLikelihood, parameters: VarianceParameters) -> VarianceEstimate:
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

    optimum = maximise(bounded, start)
    u = optimum.x.copy()
    u[:n_sd] = np.maximum(u[:n_sd], floor[:n_sd])
    at = covariances(parameters, u[None])
    return _described(parameters, target.likelihood, at.Lambda[0], (at.error_sd[0], at.error_corr[0]), optimum)


@dataclass(frozen=True, slots=True, kw_only=True)
class _FactorCoordinates:
    """The search space (entries of a factor of Sigma, then u of the errors) and the criterion on it.

    A single correlated term is searched in internal coordinates, where its columns are orthogonal; several
    terms, or uncorrelated columns, keep their zeros only in the user's.
    """

    likelihood: MarginalLikelihood
    errors: VarianceParameters
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    basis: Array
    scale: Array

    def start(self) -> Array:
        return np.where(self.rows == self.cols, 1.0, 0.0)

    def error_start(self) -> Array:
        return starting_point(self.likelihood.gram, self.errors)

    def unpack(self, x: Array) -> tuple[Array, tuple[Array, Array]]:
        m, q = len(self.rows), len(self.basis)
        inner = np.zeros((q, q))
        inner[self.rows, self.cols] = x[:m] * self.scale[self.rows]
        at = covariances(self.errors, x[None, m:])
        return self.basis @ inner, (at.error_sd[0], at.error_corr[0])

    def __call__(self, x: Array) -> tuple[float, Array]:
        Lambda, (sd, corr) = self.unpack(x)
        value, g_Lambda, g_S = self.likelihood.value_and_gradient(Lambda, sd[:, None] * corr * sd)
        inner = self.basis.T @ g_Lambda
        g_factor = inner[self.rows, self.cols] * self.scale[self.rows]
        return value, np.concatenate([g_factor, self._error_gradient(x[len(self.rows) :], sd, corr, g_S)])

    def _error_gradient(self, u: Array, sd: Array, corr: Array, g_S: Array) -> Array:
        from hierreg.marginal.target_kernels import corr_factor_block, corr_factor_gradient

        g = np.zeros(len(u))
        n_sd = int(self.errors.sd_is_free.sum())
        g_log_sd = 2.0 * np.sum(g_S * (sd[:, None] * corr * sd), axis=1)
        g[:n_sd] = g_log_sd[self.errors.sd_is_free]
        if self.errors.corr_is_free[-1]:
            D = len(sd)
            L, sech = np.zeros((D, D)), np.ones(len(u) + 1)
            corr_factor_block(u, n_sd, 0, D, L, sech)
            g_L = 2.0 * (sd[:, None] * g_S * sd) @ L
            corr_factor_gradient(u, n_sd, 0, D, L, sech, g_L, g)
        return g


def _coordinates(likelihood: MarginalLikelihood, parameters: VarianceParameters) -> _FactorCoordinates | None:
    """Return the search space, or None where part of Sigma is fixed, so that its factor is not free."""
    q, sizes = parameters.n_factor, parameters.block_sizes[:-1]
    identity = np.array_equal(parameters.fixed_corr_factor[:q, :q], np.eye(q))
    if q and not (parameters.sd_is_free[:q].all() and identity):
        return None
    rows, cols = [], []
    for start, size, free in zip(parameters.block_starts, sizes, parameters.corr_is_free, strict=False):
        r, c = np.tril_indices(size) if free else (np.arange(size), np.arange(size))
        rows.append(r + start)
        cols.append(c + start)
    one_block = len(sizes) == 1 and (parameters.corr_is_free[0] or q == 1)
    scale = group_scales(likelihood.gram)
    if one_block:
        scale = np.ones(q)
    gram = likelihood.gram
    errors = _only_errors(parameters)
    size = np.sqrt(np.mean(covariances(errors, starting_point(gram, errors)[None]).error_sd ** 2))
    return _FactorCoordinates(
        likelihood=likelihood,
        errors=errors,
        rows=np.concatenate(rows) if rows else np.empty(0, dtype=np.intp),
        cols=np.concatenate(cols) if cols else np.empty(0, dtype=np.intp),
        basis=gram.z_map if one_block else np.eye(q),
        scale=scale * size,
    )


def _only_errors(parameters: VarianceParameters) -> VarianceParameters:
    from dataclasses import replace

    q = parameters.n_factor
    return replace(
        parameters,
        factor=None,
        factor_coef_names=(),
        block_sizes=parameters.block_sizes[-1:],
        sd_code=parameters.sd_code[q:],
        sd_parameters=parameters.sd_parameters[q:],
        corr_is_free=parameters.corr_is_free[-1:],
        eta=parameters.eta[-1:],
        fixed_corr_factor=parameters.fixed_corr_factor[q:, q:],
    )


def _snap_to_boundary(coordinates: _FactorCoordinates, Lambda: Array, optimum: Optimum) -> tuple[Array, Optimum]:
    """Return Lambda with negligible rows at exactly zero, where that is no worse."""
    from dataclasses import replace

    at_zero = Lambda.copy()
    error_sd = float(np.max(coordinates.unpack(optimum.x)[1][0]))
    reach = np.sqrt(np.sum(Lambda**2, axis=1)) / group_scales(coordinates.likelihood.gram)
    at_zero[reach < _SINGULAR * error_sd] = 0.0
    if np.array_equal(at_zero, Lambda):
        return Lambda, optimum
    _, (sd, corr) = coordinates.unpack(optimum.x)
    value = coordinates.likelihood.value_and_gradient(at_zero, sd[:, None] * corr * sd)[0]
    if value < optimum.value - 1e-9:
        return Lambda, optimum
    return at_zero, replace(optimum, value=max(value, optimum.value))


def _described(
    parameters: VarianceParameters,
    likelihood: MarginalLikelihood,
    Lambda: Array,
    error: tuple[Array, Array],
    optimum: Optimum,
) -> VarianceEstimate:
    error_sd, error_corr = error
    cov = Lambda @ Lambda.T
    sd, corr = sd_and_corr(cov)
    problems = _boundary(parameters, likelihood, sd, corr, error_sd, error_corr)
    if optimum.converged:
        message = f"converged after {optimum.n_evaluations} evaluations"
    else:
        message = (
            f"not converged after {optimum.n_evaluations} evaluations: the criterion could still improve by about "
            f"{2 * optimum.newton_decrement:.2g}. Likely causes: (a) a variance that the data do not determine (too "
            "few groups for the number of columns: drop a column or use `||`); (b) columns on very different scales "
            "within a group; (c) nearly perfect fit."
        )
    return VarianceEstimate(
        Lambda=Lambda,
        cov=cov,
        sd=sd,
        corr=corr,
        error_sd=error_sd,
        error_corr=error_corr,
        error_cov=error_sd[:, None] * error_corr * error_sd,
        log_density=optimum.value,
        converged=optimum.converged,
        singular=bool(problems),
        message="; ".join([message, *problems]),
        n_evaluations=optimum.n_evaluations,
        newton_decrement=optimum.newton_decrement,
    )


def _boundary(
    parameters: VarianceParameters,
    likelihood: MarginalLikelihood,
    sd: Array,
    corr: Array,
    error_sd: Array,
    error_corr: Array,
) -> list[str]:
    """Say which free parameters are on the boundary of their space."""
    found = []
    q = parameters.n_factor
    reach = sd / group_scales(likelihood.gram)
    zero = reach < _SINGULAR * float(np.max(error_sd, initial=0.0))
    for i in np.flatnonzero(zero & parameters.sd_is_free[:q]):
        found.append(
            f"the variance of {parameters.factor_coef_names[i]} between groups of {parameters.factor} is zero: "
            "the groups differ no more than their errors explain"
        )
    starts, sizes = parameters.block_starts, parameters.block_sizes
    labels = parameters.factor_coef_names + parameters.error_labels
    for block in np.flatnonzero(parameters.corr_is_free):
        a, b = starts[block], starts[block] + sizes[block]
        part = corr[a:b, a:b] if a < q else error_corr
        kept = np.flatnonzero(~zero[a:b]) if a < q else np.arange(b - a)
        if len(kept) > 1 and np.linalg.eigvalsh(part[np.ix_(kept, kept)])[0] < _SINGULAR**2 * 100:
            names = ", ".join(str(labels[a + i]) for i in kept)
            what = f"group coefficients {names} of {parameters.factor}" if a < q else f"errors of {names}"
            found.append(f"the correlation matrix of the {what} is singular (a correlation of one in some direction)")
    return found
