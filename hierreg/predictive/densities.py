"""Log densities at draws of the parameters: of the rows given them, and of the parameters themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from hierreg.errors.ar1 import chain_of, given_neighbours, innovations
from hierreg.errors.within_units import units_by_size
from hierreg.linalg import sd_and_corr
from hierreg.predictive.rows import chunks, row_means, row_sds, unit_patterns, unit_variances
from hierreg.priors import LKJ, Fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.errors.base import ErrorLayout
    from hierreg.predictive.rows import Draws
    from hierreg.priors import GroupFrame, ResolvedPriors
    from hierreg.priors.requested import BetaChoice, CorrChoice, SdChoice
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]
    Density = Callable[[Draws, Array], Array]

_LOG_2PI = float(np.log(2.0 * np.pi))


def n_units(layout: ErrorLayout) -> int:
    """Return the number of units within which errors are correlated."""
    assert layout.unit is not None
    return int(layout.unit.max()) + 1


def log_densities(problem: Problem, draws: Draws, of: Literal["rows", "units", "all"]) -> Array:
    """Return the log likelihood at S draws.

    Parameters
    ----------
    problem : Problem
    draws : Draws
    of : str
        "rows": each row given the rows whose errors are correlated with its own, (S, N); "units": all rows of a unit
        together, (S, units); "all": all rows together, (S,).
    """
    layout, y = problem.layout, problem.design.y
    S, N = len(draws.beta), len(y)
    density = _DENSITIES[layout.kind][of](layout)
    out = np.empty({"rows": (S, N), "units": (S, 0 if layout.unit is None else n_units(layout)), "all": (S,)}[of])
    for which in chunks(S, N):
        part = draws.part(which)
        out[which] = density(part, y - row_means(problem.design, part))
    return out


def _independent(layout: ErrorLayout) -> Density:
    return lambda draws, residual: _normal(residual, row_sds(layout, draws))


def _sum_of(elements: Callable[[ErrorLayout], Density]) -> Callable[[ErrorLayout], Density]:
    """Return the joint density of independent elements, rows or units."""

    def joint(layout: ErrorLayout) -> Density:
        each = elements(layout)
        return lambda draws, residual: each(draws, residual).sum(axis=1)

    return joint


def _normal(residual: Array, sd: Array) -> Array:
    return -0.5 * (residual / sd) ** 2 - np.log(sd) - 0.5 * _LOG_2PI


def _by_unit(layout: ErrorLayout) -> Density:
    """Return the joint density of the rows of each unit."""
    patterns, n = unit_patterns(layout), n_units(layout)

    def density(draws: Draws, residual: Array) -> Array:
        out = np.empty((len(residual), n))
        for same in patterns:
            L = np.linalg.cholesky(draws.error_cov(same.present))
            z = np.linalg.solve(L, np.swapaxes(residual[:, same.rows], 1, 2))  # (draw, data set, unit)
            log_det = np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1)
            out[:, same.unit] = -0.5 * ((z**2).sum(axis=1) + len(same.present) * _LOG_2PI) - log_det[:, None]
        return out

    return density


def _by_exchangeable_unit(layout: ErrorLayout) -> Density:
    """Return the joint density of the rows of each unit, from contrasts within it and its mean."""
    units, count = units_by_size(layout), n_units(layout)

    def density(draws: Draws, residual: Array) -> Array:
        out = np.zeros((len(residual), count))
        for same in units:
            a, c = (variance[:, None] for variance in unit_variances(same, draws))
            r, n = residual[:, same.rows], same.size  # (draw, unit, row)
            mean = r.mean(axis=2)
            squares = ((r - mean[:, :, None]) ** 2).sum(axis=2) / a + n * mean**2 / c
            out[:, same.unit] = -0.5 * (squares + (n - 1) * np.log(a) + np.log(c) + n * _LOG_2PI)
        return out

    return density


def _by_unit_in_time(layout: ErrorLayout) -> Density:
    """Return the joint density of the rows of each unit with AR(1) errors, each row given the one before."""
    chain, n, unit = chain_of(layout), n_units(layout), layout.unit
    assert unit is not None

    def density(draws: Draws, residual: Array) -> Array:
        e, sd = innovations(chain, draws.error_sd[:, 0], draws.error_corr[:, 0], residual)
        out = np.zeros((n, len(residual)))
        np.add.at(out, unit, _normal(e, sd).T)
        return out.T

    return density


# The densities of rows given others. With P the precision of correlated errors and r = y - mu, y_i given the rest has
# variance 1 / P_ii and lies (P r)_i / P_ii from its mean: Buerkner, P.-C., Gabry, J. and Vehtari, A. (2021). Efficient
# leave-one-out cross-validation for Bayesian non-factorized normal and Student-t models. Computational Statistics 36,
# 1243-1261.


def _given_unit(layout: ErrorLayout) -> Density:
    """Return the density of each row given the other rows of its unit."""
    patterns = unit_patterns(layout)

    def density(draws: Draws, residual: Array) -> Array:
        out = np.empty_like(residual)
        for same in patterns:
            # Of correlations, not of covariances: data sets may be in any units.
            P = np.linalg.inv(draws.error_corr[:, same.present[:, None], same.present])
            precision = np.diagonal(P, axis1=1, axis2=2)[:, None, :]
            sd = draws.error_sd[:, same.present][:, None, :]
            Pr = np.einsum("sij,snj->sni", P, residual[:, same.rows] / sd)
            out[:, same.rows] = _normal(sd * Pr / precision, sd / np.sqrt(precision))
        return out

    return density


def _given_exchangeable_unit(layout: ErrorLayout) -> Density:
    """Return the density of each row given the other rows of its unit: P = (I - J / n) / a + (J / n) / c."""
    units = units_by_size(layout)

    def density(draws: Draws, residual: Array) -> Array:
        out = np.empty_like(residual)
        for same in units:
            a, c = (variance[:, None, None] for variance in unit_variances(same, draws))
            r, n = residual[:, same.rows], same.size  # (draw, unit, row)
            mean = r.mean(axis=2, keepdims=True)
            # times a c, so that a unit of one row, which has no a, is no special case
            precision, Pr = (c * (n - 1) + a) / n, c * (r - mean) + a * mean
            out[:, same.rows] = _normal(Pr / precision, np.sqrt(a * c / precision))
        return out

    return density


def _given_neighbours(layout: ErrorLayout) -> Density:
    """Return the density of each row given the other rows of its unit, which is that given its neighbours in time."""
    chain = chain_of(layout)

    def density(draws: Draws, residual: Array) -> Array:
        return _normal(*given_neighbours(chain, draws.error_sd[:, 0], draws.error_corr[:, 0], residual))

    return density


def _given_other_rows(layout: ErrorLayout) -> Density:
    """Return the density of each row given all other rows; P = V^-1 / sigma^2."""
    assert layout.V is not None
    inverse = layout.V.inverse()
    precision = inverse.diagonal()

    def density(draws: Draws, residual: Array) -> Array:
        return _normal(inverse.rows_times(residual) / precision, draws.error_sd / np.sqrt(precision))

    return density


def _known_covariance(layout: ErrorLayout) -> Density:
    assert layout.V is not None
    L = layout.V.factor()
    return lambda draws, residual: _normal(L.whitened_rows(residual), draws.error_sd).sum(axis=1) - L.log_det()


# By error structure, the densities that `log_densities` returns.
_ROWS = {"rows": _independent, "all": _sum_of(_independent)}
_DENSITIES: dict[str, dict[str, Callable[[ErrorLayout], Density]]] = {
    "independent": _ROWS,
    "by": _ROWS,
    "correlated": {"rows": _given_unit, "units": _by_unit, "all": _sum_of(_by_unit)},
    "exchangeable": {
        "rows": _given_exchangeable_unit,
        "units": _by_exchangeable_unit,
        "all": _sum_of(_by_exchangeable_unit),
    },
    "ar1": {"rows": _given_neighbours, "units": _by_unit_in_time, "all": _sum_of(_by_unit_in_time)},
    "known_se": _ROWS,
    "known_cov": {"rows": _given_other_rows, "all": _known_covariance},
}


def log_prior_variables(problem: Problem, posterior: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the log prior density of beta, every sd and every correlation matrix, on their own scale.

    Parameters
    ----------
    problem : Problem
    posterior : Dataset
        The draws.
    """
    priors = problem.priors
    out = {"beta": log_prior_of_beta(priors, posterior["beta"])}
    for labels, factor in zip(problem.labels.factors, problem.design.factors, strict=True):
        sd, corr = f"sd_{labels.key}", f"corr_{labels.key}"
        sds, corrs = in_frame(priors.frames.get(factor.name), posterior[sd], posterior.get(corr))
        out[sd] = elementwise(priors.sd[factor.name], sds)
        if corrs is not None and labels.has_corr:
            out[corr] = log_prior_of_corr(priors.corr[factor.name], factor.term_sizes, corrs)
    if problem.labels.n_error_sd:
        out["error_sd"] = elementwise(priors.error_sd, posterior["error_sd"])
    if problem.labels.has_error_corr:
        n = len(problem.layout.labels)
        if isinstance(priors.error_corr, tuple):
            out["error_corr"] = _log_prior_within_units(problem, priors.error_corr, posterior["error_corr"])
        else:
            out["error_corr"] = log_prior_of_corr((priors.error_corr,), (n,), posterior["error_corr"])
    return out


def in_frame(
    frame: GroupFrame | None, sd: xr.DataArray, corr: xr.DataArray | None
) -> tuple[xr.DataArray, xr.DataArray | None]:
    """Return sds and correlations of the group coefficients that the priors are priors of."""
    if frame is None or frame.is_plain or corr is None:
        return sd, corr
    s = sd.to_numpy()
    cov = frame.from_raw @ (s[..., :, None] * corr.to_numpy() * s[..., None, :]) @ frame.from_raw.T
    sds, corrs = sd_and_corr(cov)
    return sd.copy(data=sds), corr.copy(data=np.where(np.isfinite(corrs), corrs, 0.0))


def log_prior_of_beta(priors: ResolvedPriors, beta: xr.DataArray) -> xr.DataArray:
    """Return the log prior density of the population coefficients, each in the frame of its prior."""
    # The basis has determinant one: the densities of its rows are those of beta.
    return elementwise(priors.beta, beta.copy(data=beta.to_numpy() @ priors.beta_basis.T))


def elementwise(priors: Sequence[BetaChoice | SdChoice], values: xr.DataArray) -> xr.DataArray:
    """Return the log prior density of each element; zero where it is fixed."""
    x = values.to_numpy()
    columns = x.reshape((*x.shape[:2], len(priors)))
    out = np.zeros_like(columns)
    for i, prior in enumerate(priors):
        if not isinstance(prior, Fixed):
            out[:, :, i] = prior.log_density(columns[:, :, i])
    return values.copy(data=out.reshape(x.shape))


def log_prior_of_corr(priors: Sequence[CorrChoice | None], sizes: Sequence[int], corr: xr.DataArray) -> xr.DataArray:
    """Return the log prior density (chain, draw) of the correlations of all bar terms."""
    import xarray as xr

    matrix = corr.to_numpy()
    out = np.zeros(matrix.shape[:2])
    start = 0
    for prior, size in zip(priors, sizes, strict=True):
        if isinstance(prior, LKJ) and size > 1:
            out += prior.log_density(matrix[:, :, start : start + size, start : start + size])
        start += size
    return xr.DataArray(out, dims=("chain", "draw"), coords={d: corr.coords[d] for d in ("chain", "draw")})


def _log_prior_within_units(problem: Problem, priors: Sequence[CorrChoice], rho: xr.DataArray) -> xr.DataArray:
    x = rho.to_numpy()
    columns = x.reshape((*x.shape[:2], len(priors)))
    out = np.zeros_like(columns)
    for i, (prior, lowest) in enumerate(zip(priors, problem.parameters.within_units.lowest, strict=True)):
        if isinstance(prior, LKJ):
            out[:, :, i] = prior.log_density_within_units(columns[:, :, i], float(lowest))
    return rho.copy(data=out.reshape(x.shape))
