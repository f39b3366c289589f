"""Coefficients at an optimum of the likelihood, by engine: their modes, covariances, and the working model there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.likelihood.joint.laplace import JointLaplace
from hierreg.likelihood.joint.solution import JointModeCovariance
from hierreg.likelihood.quadrature.engine import QuadratureLikelihood
from hierreg.likelihood.quadrature.solution import ModeCovariance
from hierreg.likelihood.solution import Solution
from hierreg.model.family.working import Working, working_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.estimate.of_families import FamilyOptimum
    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]

    Solved = tuple[Working, Solution] | None


def solved(problem: FamilyProblem, target: QuadratureTarget, optimum: FamilyOptimum) -> Solved:
    """Return the working model and the coefficients at an optimum, None where the effects have no mode."""
    return _SOLVED[problem.engine](problem, target, optimum)


def _by_group(problem: FamilyProblem, target: QuadratureTarget, optimum: FamilyOptimum) -> Solved:
    assert isinstance(target.likelihood, QuadratureLikelihood)
    modes = target.likelihood.effects(optimum.phi, optimum.Lambda, optimum.auxiliary)
    if modes is None:
        return None
    v, inverse = modes
    raw = problem.to_raw @ optimum.Lambda
    b_frame = v @ optimum.Lambda.T
    X = problem.X[:, problem.free]
    eta = problem.offset + problem.X @ problem.held + X @ optimum.phi
    if problem.design.factors:
        eta = eta + np.einsum("rq,rq->r", problem.Z, b_frame[problem.index])
    working = working_model(problem, eta, optimum.auxiliary)
    # How the modes move with phi: -(inverse) Lambda' Z'W X
    J, q = v.shape
    ZWX = np.zeros((J, q, X.shape[1]))
    np.add.at(ZWX, problem.index, problem.Z[:, :, None] * (working.information[:, None] * X)[:, None, :])
    slope_phi = -raw @ inverse @ optimum.Lambda.T @ ZWX
    to_beta = problem.beta_map()
    beta_cov = to_beta @ optimum.phi_cov @ to_beta.T
    cond = raw @ inverse @ raw.T
    cross = np.swapaxes(to_beta @ optimum.phi_cov @ np.swapaxes(slope_phi, 1, 2), 1, 2)
    beta, _ = problem.reported(problem.beta(optimum.phi), optimum.auxiliary)
    kept = problem.kept_coefficients
    from_beta = np.linalg.pinv(to_beta)
    return working, Solution(
        beta=beta,
        beta_cov=beta_cov[np.ix_(kept, kept)],
        b=(b_frame @ problem.to_raw.T,) if q else (),
        b_cov=(cond + slope_phi @ optimum.phi_cov @ np.swapaxes(slope_phi, 1, 2),) if q else (),
        b_cond_cov=(cond,) if q else (),
        beta_b_cov=(np.swapaxes(cross, 1, 2)[:, kept],) if q else (),
        joint=ModeCovariance(
            beta_cov=beta_cov[np.ix_(kept, kept)], slope=(slope_phi @ from_beta)[:, :, kept], cond_cov=cond
        ),
        Sigma=raw @ raw.T,
        error_cov=np.ones((1, 1)),
    )


def _together(problem: FamilyProblem, target: QuadratureTarget, optimum: FamilyOptimum) -> Solved:
    from scipy.sparse.linalg import splu

    from hierreg.likelihood.joint.density import working_effects

    likelihood = target.likelihood
    assert isinstance(likelihood, JointLaplace)
    modes = likelihood.modes(optimum.phi, optimum.Lambda, optimum.auxiliary)
    if modes is None:
        return None
    structure, slices = problem.structure, problem.parameters.factor_slices
    eta = likelihood.predictors(optimum.phi, optimum.Lambda, modes.v)
    working = working_model(problem, eta, optimum.auxiliary)
    raw = tuple(problem.to_raw[mine, mine] @ optimum.Lambda[mine, mine] for mine in slices)
    solve = splu(modes.precision).solve
    # How the modes move with phi: -(inverse) Lambda' Z'W X
    _, information = likelihood.row_derivatives(eta, optimum.auxiliary)
    information = working.information if problem.family.has_heavy_tails else information
    ZWX = structure.by_factor(working_effects(likelihood, structure, eta, information).slope.T)
    pulled = [ZWX[f] @ optimum.Lambda[mine, mine] for f, mine in enumerate(slices)]
    slope_v = -solve(structure.together(pulled).T)
    slope_b = [np.moveaxis(one @ raw[f].T, 0, 2) for f, one in enumerate(structure.by_factor(slope_v.T))]
    to_beta = problem.beta_map()
    beta_cov = to_beta @ optimum.phi_cov @ to_beta.T
    beta, _ = problem.reported(problem.beta(optimum.phi), optimum.auxiliary)
    kept = problem.kept_coefficients
    cond = tuple(raw[f] @ block @ raw[f].T for f, block in enumerate(modes.inverse))
    Sigma = np.zeros_like(optimum.Lambda)
    for f, mine in enumerate(slices):
        Sigma[mine, mine] = raw[f] @ raw[f].T
    return working, Solution(
        beta=beta,
        beta_cov=beta_cov[np.ix_(kept, kept)],
        b=tuple(v @ raw[f].T for f, v in enumerate(structure.by_factor(modes.v))),
        b_cov=tuple(cond[f] + slope @ optimum.phi_cov @ np.swapaxes(slope, 1, 2) for f, slope in enumerate(slope_b)),
        b_cond_cov=cond,
        beta_b_cov=tuple((to_beta @ optimum.phi_cov @ np.swapaxes(slope, 1, 2))[:, kept] for slope in slope_b),
        joint=JointModeCovariance(
            structure=structure,
            Lambda=raw,
            beta_cov=beta_cov[np.ix_(kept, kept)],
            slope=(slope_v @ np.linalg.pinv(to_beta))[:, kept],
            solve=solve,
        ),
        Sigma=Sigma,
        error_cov=np.ones((1, 1)),
    )


# By engine: problem, target and optimum -> working model and coefficients.
_SOLVED: dict[str, Callable[[FamilyProblem, QuadratureTarget, FamilyOptimum], Solved]] = {
    "quadrature": _by_group,
    "joint": _together,
}
