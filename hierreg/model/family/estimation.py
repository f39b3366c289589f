"""Point estimates where the response is not normal: maximum likelihood by Laplace's approximation or quadrature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate import VarianceEstimate
from hierreg.estimate.of_families import FamilyOptimum, FamilyStart, is_singular, maximise_family
from hierreg.estimate.starting_values import starting_point
from hierreg.exceptions import ConvergenceWarning, ModelError
from hierreg.likelihood.alone import no_pooling
from hierreg.likelihood.first_use import announce
from hierreg.linalg import sd_and_corr
from hierreg.model.family.modes import ChainStart
from hierreg.model.family.solutions import solved
from hierreg.model.family.starts import best_effects, second_modes, starts_of
from hierreg.model.family.two_modes import warn_of_two_modes
from hierreg.priors import Fixed
from hierreg.problem.exact_rows import check_exact_rows
from hierreg.problem.family import checked_nodes, most_nodes, with_quadrature
from hierreg.results import point
from hierreg.results.build import Limit
from hierreg.threads import available_cores
from hierreg.warning import warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.model.family.working import Working
    from hierreg.problem.family import FamilyProblem
    from hierreg.results.point import Estimate

    Array = NDArray[np.float64]

# Nodes on each axis, where none are asked for: more where the search does not end. The slope that it follows is that of
# the integral, not of the rule, so that it does not where a rule is coarse.
QUADRATURE_NODES = (9, 15, 25)
# Where rows may be far out: how many more nodes say how wrong those are, and what of a criterion is not.
_FINER, _ENOUGH = 6, 0.05
# How often effects are moved to higher modes, each time with a search from there, and what is no change of a maximum.
_MOST_MOVES, _SAME = 4, 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class PlugIn:
    """A point estimate with the working model at it.

    Attributes
    ----------
    optimum : FamilyOptimum
    estimate : Estimate
    working : Working
    effects : tuple of arrays (J, q)
        Where searches for the modes of standardised effects of each factor begin.
    """

    optimum: FamilyOptimum
    estimate: Estimate
    working: Working
    effects: tuple[Array, ...]


def default_method(problem: FamilyProblem) -> str:
    """Return the method of estimates where none is asked for."""
    is_by_quadrature = problem.family.has_heavy_tails and with_quadrature(problem).engine == "quadrature"
    return "quadrature" if is_by_quadrature and problem.design.factors else "laplace"


def estimate(problem: FamilyProblem, method: str, nodes: int | None) -> Estimate:
    """Return the estimate by "laplace" or "quadrature"."""
    _check_nothing_is_held(problem)
    if method == "quadrature":
        problem = with_quadrature(problem)
    if method == "quadrature" and problem.engine == "joint":
        raise ModelError(
            f"method='quadrature' with {problem.formula!r}: quadrature integrates over the effects of one grouping "
            "factor, three of them in a group at most. Use method='laplace', or model.sample(), which samples all "
            "effects and is exact."
        )
    if method == "laplace" and nodes not in {None, 1}:
        raise ModelError(f"nodes={nodes} with method='laplace', which has one node. Use method='quadrature' for more.")
    if method == "laplace":
        found = plug_in(problem, 1, method)
    else:
        found = (_by_enough_nodes if problem.family.has_heavy_tails else _by_quadrature)(problem, nodes)
    if not found.estimate.converged:
        warn(found.estimate.message, ConvergenceWarning)
    if method == "quadrature" and problem.family.has_heavy_tails:
        at = found.optimum.phi, found.optimum.Lambda, found.optimum.auxiliary
        warn_of_two_modes(problem, second_modes(problem, problem.likelihood(1), *at))
    return found.estimate


def _check_nothing_is_held(problem: FamilyProblem) -> None:
    """Raise where a prior holds a standard deviation or a correlation between groups at a value."""
    for kind, given in (("sd", problem.priors.sd), ("corr", problem.priors.corr)):
        for factor, each in given.items():
            held = [one for one in each if isinstance(one, Fixed)]
            if held:
                raise ModelError(
                    f"{kind}[{factor!r}] = {held[0]} is held by a prior, and estimates with family={problem.family} "
                    "estimate all standard deviations and correlations between groups: use model.sample(), which holds "
                    "it, or leave the prior out."
                )


def _by_quadrature(problem: FamilyProblem, nodes: int | None) -> PlugIn:
    """Return the maximum with the nodes that are asked for, or with the first number with which the search ends."""
    tried = QUADRATURE_NODES if nodes is None else (checked_nodes(nodes, problem),)
    found = plug_in(problem, tried[0], "quadrature")
    for n in tried[1:]:
        if found.estimate.converged or n > most_nodes(problem):
            break
        found = plug_in(problem, n, "quadrature")
    return found


def _by_enough_nodes(problem: FamilyProblem, nodes: int | None) -> PlugIn:
    """Return the maximum by so many nodes, or by the first rule that a finer one agrees with, and say where none is."""
    most = most_nodes(problem)
    tried = [n for n in QUADRATURE_NODES if n <= most] if nodes is None else [checked_nodes(nodes, problem)]
    for n in tried:
        found = plug_in(problem, n, "quadrature")
        optimum = found.optimum
        finer = problem.likelihood(n + _FINER).beginning_at(found.effects)
        at = optimum.phi, optimum.Lambda, optimum.auxiliary
        error = 2.0 * abs(finer.value_and_gradient(*at, wanted=False)[0] - optimum.log_likelihood)
        if error < _ENOUGH:
            return found
    warn(
        f"quadrature with {tried[-1]} nodes on each axis is not exact: with {tried[-1] + _FINER} the criterion is "
        f"{error:.2g} away. Ask for more, nodes=..., or use model.sample(), which samples the effects.",
        ConvergenceWarning,
    )
    return found


def plug_in(problem: FamilyProblem, n_nodes: int, method: str) -> PlugIn:
    """Return the maximum of the likelihood with so many nodes on each axis, and what follows from it."""
    if problem.family.has_heavy_tails:
        check_exact_rows(problem)
    announce(f"{problem.engine}.entry", "log_densities")
    target = problem.target(n_nodes, prior_on=False).on_threads(available_cores())
    unit = None if problem.family.unit else problem.unit
    optimum = maximise_family(target, starts_of(problem), unit)
    for _ in range(_MOST_MOVES if problem.family.has_heavy_tails else 0):
        before = optimum
        effects = best_effects(problem, target.likelihood, optimum.phi, optimum.Lambda, optimum.auxiliary)
        if effects is None:
            break
        target = replace(target, likelihood=target.likelihood.beginning_at(effects))
        optimum = maximise_family(target, [_again(before)], unit)
        if abs(optimum.log_likelihood - before.log_likelihood) < _SAME:
            break
    return at_optimum(problem, target, optimum, method)


def _again(optimum: FamilyOptimum) -> FamilyStart:
    return FamilyStart(phi=optimum.phi, Lambda=optimum.Lambda, auxiliary=optimum.auxiliary)


def at_optimum(problem: FamilyProblem, target: QuadratureTarget, optimum: FamilyOptimum, method: str) -> PlugIn:
    """Return the estimate at an optimum of the likelihood."""
    found = solved(problem, target, optimum) if np.isfinite(optimum.log_likelihood) else None
    if found is None:
        raise ModelError(
            f"the likelihood of {problem.formula!r} with family={problem.family} is not finite where its search "
            "begins: are there responses or offsets that are many orders of magnitude from the others?"
        )
    working, solution = found
    _, auxiliary = problem.reported(problem.beta(optimum.phi), optimum.auxiliary)
    estimate = point.family_estimate(
        problem.labels,
        method,
        _variances(problem, optimum, target.likelihood.n_nodes),
        solution,
        -2.0 * optimum.log_likelihood,
        family=str(problem.family),
        n_nodes=target.likelihood.n_nodes,
        auxiliary=problem.auxiliary.arrays(auxiliary),
        coords=problem.auxiliary.coords,
    )
    return PlugIn(optimum=optimum, estimate=estimate, working=working, effects=target.likelihood.standardised())


def _variances(problem: FamilyProblem, optimum: FamilyOptimum, n_nodes: int) -> VarianceEstimate:
    raw = problem.to_raw @ optimum.Lambda
    cov = raw @ raw.T
    sd, corr = sd_and_corr(cov)
    names = [f"{factor}[{name}]" for factor, name in problem.parameters.group_columns]
    zero = [f"the standard deviation of {names[k]} is zero" for k in range(len(sd)) if sd[k] == 0]
    further = problem.auxiliary.free_names
    zero += [f"{further[k]} is at the end of its range" for k in optimum.flat]
    if optimum.is_singular:
        zero += [
            f"the correlation matrix of {factor} is singular"
            for factor, mine in zip(problem.parameters.factors, problem.parameters.factor_slices, strict=True)
            if is_singular(optimum.Lambda[mine, mine])
        ]
    return VarianceEstimate(
        Lambda=raw,
        cov=cov,
        sd=sd,
        corr=corr,
        error_sd=np.ones(1),
        error_corr=np.ones((1, 1)),
        error_cov=np.ones((1, 1)),
        log_density=optimum.log_likelihood,
        converged=optimum.converged,
        boundary=tuple(zero),
        message=_message(problem, optimum, n_nodes),
        n_evaluations=optimum.n_evaluations,
        newton_decrement=optimum.newton_decrement,
        parameter_names=(),
        parameter_cov=np.empty((0, 0)),
    )


def _message(problem: FamilyProblem, optimum: FamilyOptimum, n_nodes: int) -> str:
    if optimum.converged:
        return f"converged after {optimum.n_evaluations} evaluations"
    few = (
        f"; (c) {n_nodes} nodes on each axis are too few for these groups, so that values and slopes of the likelihood "
        "do not agree: give more, nodes=..."
        if n_nodes > 1
        else ""
    )
    return (
        f"not converged after {optimum.n_evaluations} evaluations: the likelihood has no maximum, or is flat there. "
        "Likely causes: (a) separation: some combination of predictors determines the response, so that coefficients "
        f"grow without bound; (b) too few groups for the variances asked for{few}. A posterior exists all the same, by "
        f"its priors: model.sample(). ({problem.formula})"
    )


def limit(problem: FamilyProblem) -> tuple[Limit, PlugIn]:
    """Return the Laplace plug-in, with estimates of each group alone by the working model, one step from it."""
    found = plug_in(problem, 1, "laplace")
    labels = problem.labels
    alone = []
    for f, factor in enumerate(labels.factors):
        J, q = len(factor.levels), len(factor.coef)
        if problem.family.has_level:
            theta, cov = no_pooling(
                found.working.gram,
                f,
                np.ones((1, 1)),
                found.estimate.beta.to_numpy(),
                factor.theta_columns,
                found.estimate.solution.b,
            )
        else:
            theta, cov = np.full((J, q), np.nan), np.full((J, q, q), np.nan)
        alone.append((theta, cov))
    return Limit(
        estimate=found.estimate,
        no_pooling=tuple(theta for theta, _ in alone),
        no_pooling_cov=tuple(cov for _, cov in alone),
    ), found


def starts_of_chains(problem: FamilyProblem, found: PlugIn) -> list[ChainStart]:
    """Return where searches for the mode of psi begin: near the estimate, and where there may be others, its starts."""
    near = ChainStart(psi=start_of_chains(problem, found.optimum))
    if not problem.family.has_heavy_tails:
        return [near]
    others = [ChainStart(psi=start_of_chains(problem, one), effects=one.effects) for one in starts_of(problem)]
    return [replace(near, effects=found.effects), *others]


def start_of_chains(problem: FamilyProblem, optimum: FamilyOptimum | FamilyStart) -> Array:
    """Return psi near an optimum of the likelihood, off its boundaries."""
    from hierreg.estimate.mode import start_at

    parameters = problem.parameters
    moments = starting_point(problem.gram, parameters)
    raw = problem.to_raw @ optimum.Lambda
    u = start_at(parameters, moments, raw @ raw.T, (np.ones(1), None))
    # In units of the linear predictor: an estimate of zero is a small sd, not none.
    n_sd = int(parameters.sd_is_free[: parameters.n_factor].sum())
    if problem.family.unit:
        u[:n_sd] = np.maximum(u[:n_sd], np.log(0.05))
    return np.concatenate([u, optimum.phi, problem.auxiliary.unconstrained(optimum.auxiliary)])
