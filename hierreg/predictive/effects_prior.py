"""Log prior densities where group effects have heavy tails or are mixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.effects import StudentT
from hierreg.effects.student_t import LOWEST_NU
from hierreg.likelihood.engines import LOG_2PI
from hierreg.predictive.densities import elementwise, in_frame, log_prior_of_beta, log_prior_of_corr
from hierreg.priors.above import log_mass_above
from hierreg.problem.effects import name_of_prior
from hierreg.results.effects import component_dim

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from hierreg.problem.effects import EffectsProblem


def log_prior_with_effects(problem: EffectsProblem, posterior: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return what `densities.log_prior_variables` does, with what shapes the effects.

    Parameters
    ----------
    problem : EffectsProblem
    posterior : Dataset
        The draws.
    """
    priors, factor, labels = problem.priors, problem.design.factors[0], problem.labels.factors[0]
    out = {"beta": log_prior_of_beta(priors, posterior["beta"])}
    sd, corr = (name_of_prior(problem, f"{what}_{labels.key}") for what in ("sd", "corr"))
    component = component_dim(labels)
    each = [None] if component not in posterior[sd].dims else list(posterior[component].values)
    parts: dict[str, list[xr.DataArray]] = {sd: [], corr: []}
    for k in each:
        where = {} if k is None else {component: k}
        of_corr = posterior[corr].sel(where) if corr in posterior else None
        sds, corrs = in_frame(priors.frames.get(factor.name), posterior[sd].sel(where), of_corr)
        parts[sd].append(elementwise(priors.sd[factor.name], sds))
        if corrs is not None and labels.has_corr:
            parts[corr].append(log_prior_of_corr(priors.corr[factor.name], factor.term_sizes, corrs))
    for name, found in parts.items():
        if found:
            # In the order of the variable, with components after the draws.
            out[name] = found[0] if each == [None] else _joined(found, component, each)
    if problem.labels.n_error_sd:
        out["error_sd"] = elementwise(priors.error_sd, posterior["error_sd"])
    return out | _log_prior_of_shape(problem, posterior)


def _joined(parts: Sequence[xr.DataArray], dim: str, values: Sequence[Any]) -> xr.DataArray:
    """Return arrays of components as one, chain and draw first."""
    import xarray as xr

    joined = xr.concat([part.drop_vars(dim, errors="ignore") for part in parts], dim=dim)
    return joined.assign_coords({dim: list(values)}).transpose("chain", "draw", dim, ...)


def _log_prior_of_shape(problem: EffectsProblem, posterior: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the log prior density of nu, or of weights and means of components."""
    import xarray as xr
    from scipy.special import gammaln

    key, shape, effects = problem.shape.factor, problem.shape, problem.effects
    if isinstance(effects, StudentT):
        nu = posterior[f"nu_{key}"]
        if effects.prior is None:
            return {f"nu_{key}": xr.zeros_like(nu)}
        mass = log_mass_above(effects.prior, LOWEST_NU)
        return {f"nu_{key}": nu.copy(data=effects.prior.log_density(nu.to_numpy()) - mass)}
    c, alpha = effects.components, effects.concentration
    weight = posterior[f"component_weight_{key}"].transpose("chain", "draw", ...)
    mean = posterior[f"component_mean_{key}"].transpose("chain", "draw", ...)
    first = weight.isel({weight.dims[-1]: 0}, drop=True)
    of_weight = gammaln(c * alpha) - c * gammaln(alpha) + (alpha - 1) * np.log(weight.to_numpy()).sum(axis=2)
    # Differences from the first component: N(0, tau^2 (I + 1 1')), in order.
    inner = np.linalg.solve(shape.to_raw, np.swapaxes(mean.to_numpy(), 2, 3)) / shape.tau[:, None]
    about = inner - inner.mean(axis=3, keepdims=True)
    n, q = c - 1, len(shape.coef)
    of_mean = gammaln(c + 1) - 0.5 * np.sum(about**2, axis=(2, 3)) - 0.5 * q * (n * LOG_2PI + np.log(c))
    of_mean = of_mean - n * np.sum(np.log(shape.tau))
    return {f"component_weight_{key}": first.copy(data=of_weight), f"component_mean_{key}": first.copy(data=of_mean)}
