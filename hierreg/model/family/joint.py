"""Draws of the parameters and of the effects of all factors together, where groups cannot be dealt with one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.likelihood.joint.density import JointTarget, WorkingEffects, working_effects
from hierreg.likelihood.joint.laplace import JointLaplace
from hierreg.model.family.working import derivatives
from hierreg.variances.parameters import covariances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.joint.structure import Structure
    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.problem.family import FamilyProblem
    from hierreg.sampling.approximation import Mode

    Array = NDArray[np.float64]

# Multiplications of a factorisation above which the transport leaves out what different factors have in common.
MOST_WORK = 2e7


def joint_target(
    problem: FamilyProblem, marginal: QuadratureTarget, psi: Array, *, most_work: float = MOST_WORK
) -> JointTarget:
    """Return the density of psi and all effects, these in coordinates of the working model at a point.

    Parameters
    ----------
    problem : FamilyProblem
    marginal : QuadratureTarget
        By Laplace's approximation.
    psi : array (n_psi,)
        Its mode; any point will do, but not as fast.
    most_work : float
    """
    likelihood = marginal.likelihood
    assert isinstance(likelihood, JointLaplace)
    u, phi, w = marginal.split(psi)
    Lambda, auxiliary = marginal.factor(u), problem.auxiliary.natural(w)
    modes = likelihood.modes(phi, Lambda, auxiliary)
    v = np.zeros(problem.structure.n_effects) if modes is None else modes.v
    eta = likelihood.predictors(phi, Lambda, v)
    slope, information = derivatives(problem, eta, auxiliary)
    response = eta - likelihood.numbers[5] + slope / information
    across = problem.structure.work <= most_work
    structure = problem.structure if across else problem.structure_of(across=False)
    working = working_effects(likelihood, structure, response, information)
    if not across:
        working = _less_others(likelihood, structure, working, information, _effects(problem, Lambda, v))
    return JointTarget(
        parameters=marginal.parameters,
        population=marginal.population,
        auxiliary=marginal.auxiliary,
        likelihood=likelihood,
        structure=structure,
        working=working,
    )


def _effects(problem: FamilyProblem, Lambda: Array, v: Array) -> list[Array]:
    """Return what each factor of the formula adds to the linear predictors (N,)."""
    parts = zip(problem.structure.by_factor(v), problem.parameters.factor_slices, problem.indices, strict=True)
    return [
        np.einsum("nq,nq->n", problem.Z[:, mine], (effects @ Lambda[mine, mine].T)[index])
        for effects, mine, index in parts
    ]


def _less_others(
    likelihood: JointLaplace, structure: Structure, working: WorkingEffects, information: Array, parts: list[Array]
) -> WorkingEffects:
    """Return the working model in which each factor sees the response less the effects of the others."""
    response = working.response.copy()
    for i, f in enumerate(structure.order):
        others = np.sum(parts, axis=0) - parts[f]
        mine = slice(int(structure.first[i]), int(structure.first[i + 1]))
        response[mine] -= working_effects(likelihood, structure, others, information).response[mine]
    return replace(working, response=response)


def joint_mode(marginal: Mode, target: JointTarget) -> Mode:
    """Return where chains begin: the mode of psi, and the transported effects at zero, in units of one."""
    n = target.structure.n_effects
    return replace(marginal, u=np.concatenate([marginal.u, np.zeros(n)]))


def effects_of(problem: FamilyProblem, target: JointTarget, points: Array, sign: Array | None) -> tuple[Array, ...]:
    """Return the standardised effects v (S, J, q) of each factor at S draws of psi and x.

    Parameters
    ----------
    points : array (S, n)
        With logarithms of standard deviations.
    sign : array (S, columns) or None
        Of the standard deviations as they were sampled. Where one is negative, its column of Lambda has the other sign,
        and so have the effects v, and x.
    """
    u, phi, _, x = target.split(points)
    if sign is not None:
        x = x * sign[:, target.structure.column_of_effect]
    Lambda = problem.parameters.from_raw @ covariances(problem.parameters, u).Lambda
    return problem.structure.by_factor(target.standardised(phi, Lambda, x))
