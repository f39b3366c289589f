"""Log prior densities where the response is not normal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.predictive.densities import elementwise, in_frame, log_prior_of_beta, log_prior_of_corr
from hierreg.priors import Fixed
from hierreg.priors.above import log_mass_above

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]


def log_prior_with_family(problem: FamilyProblem, posterior: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return what `densities.log_prior_variables` does, with the further parameters of the family.

    Thresholds have one value per draw, the joint density of increasing ones, as the sampler has it: of the thresholds
    at the means of the predictors, where the intercept that they stand for is.

    Parameters
    ----------
    problem : FamilyProblem
    posterior : Dataset
        The draws.
    """
    priors = problem.priors
    if problem.family.has_level:
        out = {"beta": log_prior_of_beta(priors, posterior["beta"])}
    else:
        out = _without_level(problem, posterior)
    for labels, factor in zip(problem.labels.factors, problem.design.factors, strict=True):
        sd, corr = f"sd_{labels.key}", f"corr_{labels.key}"
        sds, corrs = in_frame(priors.frames.get(factor.name), posterior[sd], posterior.get(corr))
        out[sd] = elementwise(priors.sd[factor.name], sds)
        if corrs is not None and labels.has_corr:
            out[corr] = log_prior_of_corr(priors.corr[factor.name], factor.term_sizes, corrs)
    auxiliary = problem.auxiliary
    for m, name in enumerate(() if auxiliary.has_order else auxiliary.names):
        # One for each value: a stratum each, or one in all.
        n = int(np.prod([size for dim, size in posterior[name].sizes.items() if dim not in {"chain", "draw"}]))
        out[name] = elementwise([row[m] for row in auxiliary.priors[:n]], posterior[name])
        prior, lowest = auxiliary.priors[0][m], auxiliary.lowest.get(name, 0.0)
        if lowest and not isinstance(prior, Fixed):
            out[name] = out[name] - log_mass_above(prior, lowest)
    return out


def _without_level(problem: FamilyProblem, posterior: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the densities of beta and of the thresholds, which stand for the level."""
    from scipy.special import gammaln

    beta, thresholds = posterior["beta"], posterior[problem.auxiliary.names[0]]
    phi, moved = problem.as_sampled(beta.to_numpy(), thresholds.to_numpy())
    of_beta = np.zeros(beta.shape)
    for i, k in enumerate(problem.kept_coefficients):
        prior = problem.priors.beta[k]
        if not isinstance(prior, Fixed):
            of_beta[..., i] = prior.log_density(phi[..., k])
    # Increasing ones are sorted ones: each set counts once for all its orders.
    value = gammaln(moved.shape[-1] + 1) + sum(
        prior.log_density(moved[..., i]) for i, prior in enumerate(problem.auxiliary.flat)
    )
    one = thresholds.isel({thresholds.dims[-1]: 0}, drop=True)
    return {"beta": beta.copy(data=of_beta), problem.auxiliary.names[0]: one.copy(data=value)}
