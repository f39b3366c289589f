"""Posteriors under a power of the priors or of the likelihood, from the draws of one fit.

With u the variance parameters, beta and b integrated out, the posterior is p(u) L(u; Sigma, R, V0), where L is the
marginal likelihood with b ~ N(0, Sigma), errors ~ N(0, R) and beta ~ N(m0, V0). For a power alpha:

- **The prior**, p(u)^alpha p(beta)^alpha. The alpha-th power of N(m0, V0) is, but for a constant, N(m0, V0 / alpha), so
  that a draw of u has the weight ``p(u)^(alpha - 1) L(u; Sigma, R, V0 / alpha) / L(u; Sigma, R, V0)``, and beta and b
  given u are those of the model with V0 / alpha. What is flat or fixed has no power. Coefficients are drawn anew, from
  the same random numbers as without the power, so that two posteriors differ by what the power does.
- **The likelihood of the groups**, p(y | beta, u)^alpha ("marginal"), with b integrated out: as if there were alpha
  times as many groups like these. N(y; X beta, V)^alpha is N(y; X beta, V / alpha) times |V|^((1 - alpha) / 2) and a
  constant, V = Z Sigma Z' + R, so that u has the weight
  ``|V|^((1 - alpha) / 2) L(u; Sigma / alpha, R / alpha, V0) / L(u; Sigma, R, V0)``; and a draw of u, beta and b has
  p(y | beta, u)^(alpha - 1), since b given the others stays what it is.
- **The likelihood of the rows**, p(y | beta, b, u)^alpha ("conditional"), as if each row were there alpha times, in the
  same groups: ``|R|^((1 - alpha) / 2) L(u; Sigma, R / alpha, V0) / L(u; Sigma, R, V0)``, and beta and b given u are
  those of the model with R / alpha.

N(0, Sigma) is in neither of the priors: these are those of its parameters (Kallioinen et al. 2024 scale top-level
priors alone). The power that asks what data say of u is that of the groups. With that of the rows, coefficients of
groups follow their own rows more closely, and with them the errors: the error sd moves although no datum speaks against
it (its residual degrees of freedom are n - d / alpha), far beyond its posterior where groups are many and small; and of
the sd of few groups that are known well, data seem to say nothing.

All weights are in closed form, and those of functions of u depend on u alone. Weights that are a power of
p(y | beta, b, u) at drawn b, which is what samplers record, have a variance besides, which grows with the number of
groups. Where group effects or the response are not normal there is no closed form, and those are what there is.

References
----------
Kallioinen, N., Paananen, T., Buerkner, P.-C. and Vehtari, A. (2024). Detecting and diagnosing prior and likelihood
sensitivity with power-scaling. Statistics and Computing 34, 57.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.likelihood.crossed.blas_threads import blas_threads_for
from hierreg.predictive.groups import log_likelihood_of, log_prior_of
from hierreg.predictive.integrated_draws import Integrated, summed
from hierreg.predictive.powered import LIKELIHOOD, MARGINAL, PRIOR, Powered, same_weights
from hierreg.predictive.powers_of_likelihood import conditional, marginal
from hierreg.priors import Normal
from hierreg.priors.changed import changed, to_power
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.problem import Problem

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.likelihood.engines import Likelihood
    from hierreg.predictive.integrated_draws import Evaluate
    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """Which powers are asked for.

    Attributes
    ----------
    alphas : tuple of float
    seed : int
        Of coefficients that are drawn anew.
    likelihood : {"marginal", "conditional"}
        Which likelihood has powers; of models without a closed form the conditional one, whatever is asked for.
    with_groups : bool
        Whether quantities read coefficients of groups.
    """

    alphas: tuple[float, ...]
    seed: int
    likelihood: str = MARGINAL
    with_groups: bool = True


def powered_posteriors(
    problem: Problem | FamilyProblem, tree: xr.DataTree, evaluate: Evaluate, asked: Powers
) -> tuple[Array, list[Powered]]:
    """Return quantities at the draws of a posterior, and under powers of its priors and of its likelihood.

    Parameters
    ----------
    problem : Problem or FamilyProblem
        That of the tree.
    tree : DataTree
    evaluate : function
        Posterior, with the variables of ``tree["posterior"]`` -> array (chain, draw, Q).
    asked : Powers

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
            at = Integrated.of(problem, tree, evaluate, asked.seed, with_groups=asked.with_groups)
            return _integrated(at, asked.alphas, asked.likelihood)
    return _as_drawn(problem, tree, evaluate, asked.alphas)


def _integrated(at: Integrated, alphas: tuple[float, ...], of: str) -> tuple[Array, list[Powered]]:
    """Return the values and posteriors of a Gaussian model, group coefficients integrated out of all weights."""
    likelihood = at.problem.likelihood("prior")
    base, values = at.density(likelihood), at.values(likelihood)
    powered = marginal(at, likelihood, values) if of == MARGINAL else conditional(at, likelihood, base)
    out = []
    for alpha in alphas:
        out += [*_of_priors(at, base, values, alpha), powered(alpha)]
    return values, out


def _of_priors(at: Integrated, base: Array, values: Array, alpha: float) -> list[Powered]:
    """Return the posteriors under a power of each prior, and of all."""
    ratios = {name: (alpha - 1.0) * density for name, density in at.log_prior.items()}
    out = [same_weights(name, alpha, own, values) for name, own in ratios.items()]
    ratio, of_prior = sum(ratios.values(), np.zeros(len(base))), values
    if any(isinstance(prior, Normal) for prior in at.problem.priors.beta):
        scaled = _with_power_of_beta(at.problem, alpha)
        of_beta, of_prior = at.density(scaled) - base, at.values(scaled)
        ratio = ratio + of_beta
        out.append(same_weights("beta", alpha, of_beta, of_prior))
    return [*out, same_weights(PRIOR, alpha, ratio, of_prior)]


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
    parts: dict[str, Array] = summed(dict(log_prior.data_vars))
    densities = parts | {
        PRIOR: sum(parts.values(), np.zeros(S)),
        LIKELIHOOD: sum(summed(dict(log_likelihood.data_vars)).values(), np.zeros(S)),
    }
    return values, [
        same_weights(name, alpha, (alpha - 1.0) * density, values)
        for alpha in alphas
        for name, density in densities.items()
    ]


def _densities(problem: Any, tree: xr.DataTree) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the log prior densities of the draws, and the log density of all rows."""
    if isinstance(problem, Problem):
        return log_prior_of(tree, problem), log_likelihood_of(tree, problem, "all")
    from hierreg.predictive import of_family

    return of_family.log_prior(problem, tree), of_family.log_likelihood(problem, tree, by="row", joint=True)
