"""Point estimates of a problem, and its mixed-model-equations limit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate import maximise_likelihood, maximise_posterior
from hierreg.exceptions import IdentificationWarning, ModelError
from hierreg.likelihood.crossed.blas_threads import blas_threads_for
from hierreg.likelihood.engines import check_not_cut_off, on_threads, solve_equations
from hierreg.likelihood.first_use import announce_compilation
from hierreg.likelihood.goodness_of_fit import chi_square
from hierreg.problem.exact_fit import check_exact_fit
from hierreg.problem.few_units import without_maximum
from hierreg.problem.no_bound import is_at_lowest, without_bound
from hierreg.results import point
from hierreg.results.at_estimate import limit_at
from hierreg.threads import available_cores
from hierreg.warning import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.estimate import VarianceEstimate
    from hierreg.gram import Gram
    from hierreg.likelihood.engines import Likelihood
    from hierreg.likelihood.solution import Solution
    from hierreg.problem.problem import Problem
    from hierreg.results.build import Limit
    from hierreg.results.point import Estimate

    Array = NDArray[np.float64]

# Together with what was before, of error correlations that are singular to rounding.
_SHARES = (1e-12, 1e-10, 1e-8, 1e-6)


def estimate(problem: Problem, method: str) -> Estimate:
    """Return the REML, ML or MAP estimate of a problem."""
    found = _quiet_estimate(problem, method)
    if found.unidentified:
        warn(found.message, IdentificationWarning)
    return found


def estimate_without_nodes(problem: Problem, method: str, nodes: int | None) -> Estimate:
    """Return the estimate of a problem whose integrals need no quadrature."""
    check_no_nodes(nodes)
    return estimate(problem, method)


def check_no_nodes(nodes: int | None) -> None:
    """Raise where nodes were asked for and there is no quadrature."""
    if nodes is not None:
        raise ModelError(f"nodes={nodes} without a family: normal responses need no quadrature. Leave nodes out.")


def _quiet_estimate(problem: Problem, method: str) -> Estimate:
    check_exact_fit(problem)
    announce_compilation(problem.blocks)
    with blas_threads_for(problem.gram):
        return _estimate(problem, method)


def _estimate(problem: Problem, method: str) -> Estimate:
    likelihood = on_threads(problem.likelihood("prior" if method == "map" else method), available_cores())
    if method == "map":
        variances, unbounded = maximise_posterior(likelihood, problem.parameters), None
    else:
        variances, unbounded = _searched(problem, likelihood, method)
    if unbounded is None:
        check_not_cut_off(likelihood, variances.Lambda, variances.error_cov)
    at = likelihood if method != "ml" else problem.likelihood("reml")
    try:
        variances, solved = _solved(at, likelihood, variances, () if unbounded is None else _SHARES)
    except ModelError as error:
        if unbounded is None:
            raise
        raise ModelError(f"there is no estimate: {unbounded}") from error
    solution = problem.with_fixed(solved)
    # A prior of beta adds to the sum of squares what has no chi-square distribution.
    fit = chi_square(likelihood) if method != "map" else None
    return point.estimate(problem.labels, method, variances, solution, -2.0 * variances.log_density, fit)


def _searched(problem: Problem, likelihood: Likelihood, method: str) -> tuple[VarianceEstimate, str | None]:
    """Return the REML or ML estimate, and in words why there is none; None where there is one."""
    found = without_bound(problem) if method == "ml" else None
    unbounded = without_maximum(problem, method) or (found.text if found is not None and not found.is_far else None)
    variances = maximise_likelihood(likelihood, problem.parameters, has_maximum=unbounded is None)
    if unbounded is None and found is not None:
        if variances.converged and not is_at_lowest(problem, variances.error_corr):
            inside = f"{variances.message}, to a maximum inside. Beside it, {found.text}"
            return replace(variances, message=inside), None
        unbounded = found.text
    if unbounded is not None:
        variances = replace(variances, converged=False, message=f"not converged: {unbounded}")
    return variances, unbounded


def _solved(
    at: Likelihood, criterion: Likelihood, variances: VarianceEstimate, shares: Sequence[float]
) -> tuple[VarianceEstimate, Solution]:
    """Return the solution at variances, or the nearest to them at which it has digits.

    A criterion without a maximum grows up to error correlations that are singular to rounding. Where the search ended
    says nothing then, and sampling must not depend on it.

    Parameters
    ----------
    at, criterion : Likelihood
        Where the equations are solved, and what variances were searched for with.
    variances : VarianceEstimate
    shares : sequence of float
        By which error correlations may be made smaller, one after the other.

    Raises
    ------
    ModelError
        If no share is enough.
    """
    try:
        return variances, solve_equations(at, variances.Lambda, variances.error_cov)
    except ModelError:
        if not shares or variances.error_cov.shape != variances.error_corr.shape:
            raise
    less = 1.0 - shares[0] * (1.0 - np.eye(len(variances.error_cov)))
    nearer = replace(variances, error_cov=less * variances.error_cov, error_corr=less * variances.error_corr)
    value = criterion.value_and_gradient(nearer.Lambda, nearer.error_cov)[0]
    return _solved(at, criterion, replace(nearer, log_density=value), shares[1:])


def limit(problem: Problem, own: Sequence[Gram]) -> Limit:
    """Return the REML plug-in solution, and least squares on each group alone, from `Problem.own_rows` by factor."""
    return limit_at(_quiet_estimate(problem, "reml"), problem.labels, own)
