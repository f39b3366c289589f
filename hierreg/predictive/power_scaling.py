"""Posteriors under a power of the priors or of the likelihood, from the draws of one fit.

With u the variance parameters, beta and b integrated out, the posterior is p(u) L(u; R, V0), where L is the marginal
likelihood with errors ~ N(0, R) and beta ~ N(m0, V0). For a power alpha:

- **The prior**, p(u)^alpha p(beta)^alpha. The alpha-th power of N(m0, V0) is, but for a constant, N(m0, V0 / alpha), so
  that a draw of u has the weight ``p(u)^(alpha - 1) L(u; R, V0 / alpha) / L(u; R, V0)``, and beta and b given u are
  those of the model with V0 / alpha. What is flat or fixed has no power.
- **The likelihood**, p(y | beta, b, u)^alpha, as if each row were there alpha times. N(y; m, R)^alpha is
  N(y; m, R / alpha) times |R|^((1 - alpha) / 2) and a constant, so that the weight is
  ``|R|^((1 - alpha) / 2) L(u; R / alpha, V0) / L(u; R, V0)``, and beta and b given u are those of the model with
  R / alpha.
- N(0, Sigma), the distribution of b, is in neither: it is the model, whose parameters have the priors (Kallioinen et
  al. 2024 scale top-level priors alone). More rows, not more groups, are what the power of the likelihood stands for.

Weights are functions of u alone, in closed form. Those of the usual way, a power of p(y | beta, b, u) at drawn beta and
b, have the same mean given u, but a variance besides, which grows with the number of coefficients: with some hundred
groups it is all that a sensitivity shows. Coefficients are drawn anew for each power, from the same random numbers, so
that two posteriors differ by what the power does and not by other draws.

Where group effects or the response are not normal there is no such form, and the weights are the usual ones.

References
----------
Kallioinen, N., Paananen, T., Buerkner, P.-C. and Vehtari, A. (2024). Detecting and diagnosing prior and likelihood
sensitivity with power-scaling. Statistics and Computing 34, 57.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.likelihood.crossed.blas_threads import blas_threads_for
from hierreg.likelihood.engines import log_likelihoods, recover
from hierreg.likelihood.groups.threads import available_cores
from hierreg.predictive.densities import log_prior_variables
from hierreg.predictive.groups import log_likelihood_of, log_prior_of
from hierreg.predictive.recovered import covariances_of
from hierreg.priors import Normal
from hierreg.priors.changed import changed, to_power
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.problem import Problem
from hierreg.results import build
from hierreg.results.carried import draws_in
from hierreg.results.pairs import as_pairs
from hierreg.variances.parameters import Covariances

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.likelihood.engines import Likelihood
    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]
    type Evaluate = Callable[[xr.Dataset], Array]

PRIOR, LIKELIHOOD = "prior", "likelihood"
# Draws of all coefficients that are held at once.
_MOST_BYTES = 2**28


@dataclass(frozen=True, slots=True, kw_only=True)
class Powered:
    """A posterior under a power, as weighted draws.

    Attributes
    ----------
    component : str
        "prior" (all of them), "likelihood", or the variable whose prior alone has the power.
    alpha : float
    log_ratio : array (S,)
        Log weights, but for a constant; not smoothed.
    values : array (S, Q)
        Of the quantities.
    """

    component: str
    alpha: float
    log_ratio: Array
    values: Array


def powered_posteriors(
    problem: Problem | FamilyProblem, tree: xr.DataTree, evaluate: Evaluate, alphas: tuple[float, ...], seed: int
) -> tuple[Array, list[Powered]]:
    """Return quantities at the draws of a posterior, and under powers of its priors and of its likelihood.

    Parameters
    ----------
    problem : Problem or FamilyProblem
        That of the tree.
    tree : DataTree
    evaluate : function
        Posterior, with the variables of ``tree["posterior"]`` -> array (chain, draw, Q).
    alphas : tuple of float
    seed : int
        Of coefficients that are drawn anew.

    Returns
    -------
    values : array (S, Q)
        At the draws as they are.
    powered : list of Powered

    Raises
    ------
    ModelError
        If a density has too few digits at a draw.
    """
    if isinstance(problem, Problem) and not isinstance(problem, EffectsProblem):
        with blas_threads_for(problem.gram):
            return _integrated(_Integrated.of(problem, tree, evaluate, seed), alphas)
    return _as_drawn(problem, tree, evaluate, alphas)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Integrated:
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

    @classmethod
    def of(cls, problem: Problem, tree: xr.DataTree, evaluate: Evaluate, seed: int) -> _Integrated:
        posterior = draws_in(tree)
        log_prior = _summed(log_prior_variables(problem, posterior))
        log_prior.pop("beta")
        return cls(
            problem=problem,
            cov=covariances_of(problem, posterior),
            shape=(posterior.sizes["chain"], posterior.sizes["draw"]),
            log_prior=log_prior,
            evaluate=evaluate,
            seed=seed,
        )

    def density(self, likelihood: Likelihood, alpha: float = 1.0) -> Array:
        """Return log L(u; R / alpha) (S,)."""
        return log_likelihoods(likelihood, self.cov.Lambda, self.cov.error_cov / alpha, available_cores())

    def values(self, likelihood: Likelihood, alpha: float = 1.0) -> Array:
        """Return the quantities (S, Q) at draws of beta and b given u, with errors of covariance R / alpha."""
        return values_at(self.problem, likelihood, self.cov, self.evaluate, (self.shape, self.seed), alpha)


def values_at(  # what draws of coefficients depend on
    problem: Problem,
    likelihood: Likelihood,
    cov: Covariances,
    evaluate: Evaluate,
    draws: tuple[tuple[int, int], int],
    alpha: float = 1.0,
) -> Array:
    """Return quantities (S, Q) at draws of u, with beta and b drawn given them and errors of covariance R / alpha.

    Parameters
    ----------
    problem : Problem
    likelihood : MarginalLikelihood or CrossedLikelihood
        With the prior of beta.
    cov : Covariances
        At S draws.
    evaluate : function
        Posterior -> array (chain, draw, Q).
    draws : ((int, int), int)
        Chains and draws of each, and the seed.
    alpha : float
    """
    (shape, seed), S = draws, len(cov.sd)
    each = 8 * sum(len(factor.levels) * len(factor.coef) for factor in problem.labels.factors)
    size = S if S * each <= _MOST_BYTES else max(1, _MOST_BYTES // each)

    def some(part: slice) -> Array:
        own = Covariances(**{field.name: getattr(cov, field.name)[part] for field in fields(cov)})
        # Each part has random numbers of its own, the same for all powers.
        stream = int(np.random.SeedSequence([seed, part.start]).generate_state(1)[0])
        given = replace(own, error_cov=own.error_cov / alpha)
        drawn = problem.draws_with_fixed(recover(likelihood, given, seed=stream, threads=available_cores()))
        posterior = build.posterior(problem.labels, shape if size == S else (1, len(own.sd)), own, drawn)
        return evaluate(as_pairs(posterior)).reshape(len(own.sd), -1)

    return np.concatenate([some(slice(a, min(a + size, S))) for a in range(0, S, size)])


def _integrated(at: _Integrated, alphas: tuple[float, ...]) -> tuple[Array, list[Powered]]:
    """Return the values and posteriors of a Gaussian model, coefficients integrated out of all weights."""
    likelihood = at.problem.likelihood("prior")
    base, values = at.density(likelihood), at.values(likelihood)
    errors = likelihood.errors
    log_det_R = errors.weights_of_draws(at.cov.error_cov)[:, 2 * errors.n_terms]
    has_beta = any(isinstance(prior, Normal) for prior in at.problem.priors.beta)
    out = []
    for alpha in alphas:
        ratios = {name: (alpha - 1.0) * density for name, density in at.log_prior.items()}
        out += [Powered(component=name, alpha=alpha, log_ratio=own, values=values) for name, own in ratios.items()]
        ratio, of_prior = sum(ratios.values(), np.zeros(len(base))), values
        if has_beta:
            scaled = _with_power_of_beta(at.problem, alpha)
            of_beta, of_prior = at.density(scaled) - base, at.values(scaled)
            ratio = ratio + of_beta
            out.append(Powered(component="beta", alpha=alpha, log_ratio=of_beta, values=of_prior))
        out.append(Powered(component=PRIOR, alpha=alpha, log_ratio=ratio, values=of_prior))
        of_rows = at.density(likelihood, alpha) - base + 0.5 * (1.0 - alpha) * log_det_R
        powered = at.values(likelihood, alpha)
        out.append(Powered(component=LIKELIHOOD, alpha=alpha, log_ratio=of_rows, values=powered))
    return values, out


def _with_power_of_beta(problem: Problem, alpha: float) -> Likelihood:
    """Return the marginal likelihood under the alpha-th power of the prior of beta."""
    priors = changed(problem.priors, lambda name, prior: to_power(prior, alpha) if name == "beta" else prior)
    return replace(problem, priors=priors).likelihood("prior")


def _as_drawn(
    problem: Problem | FamilyProblem, tree: xr.DataTree, evaluate: Evaluate, alphas: tuple[float, ...]
) -> tuple[Array, list[Powered]]:
    """Return the values and posteriors of any model, by weights of its draws of all coefficients."""
    posterior = tree["posterior"].to_dataset()
    S = posterior.sizes["chain"] * posterior.sizes["draw"]
    values = evaluate(posterior).reshape(S, -1)
    log_prior, log_likelihood = _densities(problem, tree)
    parts: dict[str, Array] = _summed(dict(log_prior.data_vars))
    densities = parts | {
        PRIOR: sum(parts.values(), np.zeros(S)),
        LIKELIHOOD: sum(_summed(dict(log_likelihood.data_vars)).values(), np.zeros(S)),
    }
    return values, [
        Powered(component=name, alpha=alpha, log_ratio=(alpha - 1.0) * density, values=values)
        for alpha in alphas
        for name, density in densities.items()
    ]


def _densities(problem: Any, tree: xr.DataTree) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the log prior densities of the draws, and the log density of all rows."""
    if isinstance(problem, Problem):
        return log_prior_of(tree, problem), log_likelihood_of(tree, problem, "all")
    from hierreg.predictive import of_family

    return of_family.log_prior(problem, tree), of_family.log_likelihood(problem, tree, by="row", joint=True)


def _summed(variables: dict[Any, xr.DataArray]) -> dict[str, Array]:
    """Return each variable's sum over all but draws (S,)."""
    out = {}
    for name, values in variables.items():
        flat = values.transpose("chain", "draw", ...).to_numpy()
        out[str(name)] = flat.reshape(flat.shape[0] * flat.shape[1], -1).sum(axis=1)
    return out
