"""Point estimates of a problem, and its mixed-model-equations limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierreg.estimate import maximise_likelihood, maximise_posterior
from hierreg.marginal.equations import solve_equations
from hierreg.marginal.first_use import announce_compilation
from hierreg.marginal.goodness_of_fit import chi_square
from hierreg.marginal.no_pooling import no_pooling
from hierreg.tree import point
from hierreg.tree.build import Limit

if TYPE_CHECKING:
    from hierreg.gram import Gram
    from hierreg.model.assemble import Problem
    from hierreg.tree.point import Estimate


def estimate(problem: Problem, method: str) -> Estimate:
    """Return the REML, ML or MAP estimate of a problem."""
    announce_compilation()
    if method == "map":
        likelihood = problem.likelihood("prior")
        variances = maximise_posterior(likelihood, problem.parameters)
    else:
        likelihood = problem.likelihood(method)
        variances = maximise_likelihood(likelihood, problem.parameters)
    at = likelihood if method != "ml" else problem.likelihood("reml")
    solution = problem.with_fixed(solve_equations(at, variances.Lambda, variances.error_cov))
    # A prior of beta adds to the sum of squares what has no chi-square distribution.
    fit = chi_square(likelihood) if method != "map" else None
    return point.estimate(problem.labels, method, variances, solution, -2.0 * variances.log_density, fit)


def limit(problem: Problem, own: Gram | None) -> Limit:
    """Return the REML plug-in solution, and least squares on each group alone."""
    reml = estimate(problem, "reml")
    if own is None:
        return Limit(estimate=reml, no_pooling=None, no_pooling_cov=None)
    S = reml.error_cov if reml.error_cov is not None else reml.error_sd**2
    theta, cov = no_pooling(
        own,
        S.to_numpy().reshape(own.terms.n_labels, own.terms.n_labels),
        reml.beta.to_numpy(),
        problem.labels.theta_columns,
    )
    return Limit(estimate=reml, no_pooling=theta, no_pooling_cov=cov)
