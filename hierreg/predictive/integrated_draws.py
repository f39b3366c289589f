"""Draws of the variance parameters of a Gaussian model, at which coefficients can be integrated out or drawn anew."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.likelihood.drawn import Recovered
from hierreg.likelihood.engines import log_likelihoods, population, recover
from hierreg.predictive.densities import log_prior_variables
from hierreg.predictive.recovered import covariances_of
from hierreg.results import build
from hierreg.results.carried import draws_in
from hierreg.results.pairs import as_pairs
from hierreg.threads import available_cores
from hierreg.variances.parameters import Covariances

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.likelihood.engines import Likelihood
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]
    type Evaluate = Callable[[xr.Dataset], Array]

# Draws of all coefficients that are held at once.
MOST_BYTES = 2**28


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrated:
    """What the posteriors of a Gaussian model have in common, whatever the power.

    Attributes
    ----------
    cov : Covariances
        At S draws.
    shape : (int, int)
        Chains and draws.
    log_prior : dict of arrays (S,)
        Of the variance parameters, by variable.
    """

    problem: Problem
    cov: Covariances
    shape: tuple[int, int]
    log_prior: dict[str, Array]
    evaluate: Evaluate
    seed: int
    with_groups: bool

    @classmethod
    def of(
        cls, problem: Problem, tree: xr.DataTree, evaluate: Evaluate, seed: int, *, with_groups: bool = True
    ) -> Integrated:
        """Return the draws of a tree."""
        posterior = draws_in(tree)
        log_prior = summed(log_prior_variables(problem, posterior))
        log_prior.pop("beta")
        return cls(
            problem=problem,
            cov=covariances_of(problem, posterior),
            shape=(posterior.sizes["chain"], posterior.sizes["draw"]),
            log_prior=log_prior,
            evaluate=evaluate,
            seed=seed,
            with_groups=with_groups,
        )

    def density(self, likelihood: Likelihood, alpha: float = 1.0, of_groups: float = 1.0) -> Array:
        """Return log L(u; Sigma / of_groups, R / alpha) (S,)."""
        Lambda = self.cov.Lambda / np.sqrt(of_groups)
        return log_likelihoods(likelihood, Lambda, self.cov.error_cov / alpha, available_cores())

    def values(self, likelihood: Likelihood, alpha: float = 1.0, seed: int = 0) -> Array:
        """Return the quantities (S, Q) at draws of beta and b given u, with errors of covariance R / alpha."""
        how = Redraw(shape=self.shape, seed=self.seed + seed, alpha=alpha, with_groups=self.with_groups)
        return values_at(self.problem, likelihood, self.cov, self.evaluate, how)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redraw:
    """How coefficients are drawn at draws of the variance parameters.

    Attributes
    ----------
    shape : (int, int)
        Chains and draws of each.
    seed : int
    alpha : float
        Errors have the covariance R / alpha.
    with_groups : bool
        Whether coefficients of groups are drawn; without, the posterior has none.
    """

    shape: tuple[int, int]
    seed: int
    alpha: float = 1.0
    with_groups: bool = True


def values_at(problem: Problem, likelihood: Likelihood, cov: Covariances, evaluate: Evaluate, how: Redraw) -> Array:
    """Return quantities (S, Q) at draws of u, with beta and b drawn given them.

    Parameters
    ----------
    problem : Problem
    likelihood : MarginalLikelihood or CrossedLikelihood
        With the prior of beta.
    cov : Covariances
        At S draws.
    evaluate : function
        Posterior -> array (chain, draw, Q).
    how : Redraw
    """
    S = len(cov.sd)
    each = 8 * sum(len(factor.levels) * len(factor.coef) for factor in problem.labels.factors) if how.with_groups else 0
    size = S if S * each <= MOST_BYTES else max(1, MOST_BYTES // each)

    def some(part: slice) -> Array:
        own = Covariances(**{field.name: getattr(cov, field.name)[part] for field in fields(cov)})
        # Each part has random numbers of its own, the same for all powers.
        stream = int(np.random.SeedSequence([how.seed, part.start]).generate_state(1)[0])
        given = replace(own, error_cov=own.error_cov / how.alpha)
        drawn = _recovered(likelihood, given, stream, with_groups=how.with_groups)
        own_shape = how.shape if size == S else (1, len(own.sd))
        posterior = build.posterior(problem.labels, own_shape, own, problem.draws_with_fixed(drawn))
        return evaluate(as_pairs(posterior)).reshape(len(own.sd), -1)

    return np.concatenate([some(slice(a, min(a + size, S))) for a in range(0, S, size)])


def _recovered(likelihood: Likelihood, cov: Covariances, seed: int, *, with_groups: bool) -> Recovered:
    """Return one draw of beta and b for each of u, or of beta alone, whose distribution is known without b."""
    if with_groups:
        return recover(likelihood, cov, seed=seed, threads=available_cores())
    mean, F = population(likelihood, cov.Lambda, cov.error_cov, available_cores())
    z = np.random.default_rng(seed).standard_normal(mean.shape)
    beta = mean + np.einsum("sij,sj->si", F, z)
    return Recovered(beta=beta, b=None, b_summary=None, theta_summary=None)


def summed(variables: dict[Any, xr.DataArray]) -> dict[str, Array]:
    """Return each variable's sum over all but draws (S,)."""
    out = {}
    for name, values in variables.items():
        flat = values.transpose("chain", "draw", ...).to_numpy()
        out[str(name)] = flat.reshape(flat.shape[0] * flat.shape[1], -1).sum(axis=1)
    return out
