"""Coefficients at an optimum of the likelihood, by engine: their modes, covariances, and the working model there."""

from __future__ import annotations

from dataclasses import dataclass
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
    from hierreg.likelihood.integrated import IntegratedLikelihood
    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]

    Solved = tuple[Working, Solution] | None

# Of thresholds, in units of the latent response, for differences.
_STEP = 1e-5


def solved(problem: FamilyProblem, target: QuadratureTarget, optimum: FamilyOptimum) -> Solved:
    """Return the working model and the coefficients at an optimum, None where the effects have no mode."""
    return _SOLVED[problem.engine](problem, target, optimum)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Thresholds:
    """What thresholds add to the joint distribution of all coefficients.

    Attributes
    ----------
    cov : array (p + m, p + m)
        Of beta and thresholds, as they are reported.
    to_sampled : array (free + m, p + m)
        How phi and thresholds as they are sampled follow from these.
    of_slopes : array (N, m)
        Derivatives in thresholds of the derivative of each row's log density in its linear predictor.
    """

    cov: Array
    to_sampled: Array
    of_slopes: Array


def _thresholds(
    problem: FamilyProblem, likelihood: IntegratedLikelihood, optimum: FamilyOptimum, eta: Array
) -> _Thresholds | None:
    """Return what thresholds add, None of families without."""
    auxiliary = problem.auxiliary
    if not auxiliary.has_order:
        return None
    to_beta, kept, m = problem.beta_map(), problem.kept_coefficients, auxiliary.shape[1]
    free = to_beta.shape[1]
    w = auxiliary.unconstrained(optimum.auxiliary)
    # (phi, w) -> (phi, thresholds as they are sampled) -> (beta, thresholds as they are reported)
    natural = np.eye(free + m)
    natural[free:, free:] = auxiliary.jacobian(w)
    reported = np.zeros((len(kept) + m, free + m))
    reported[: len(kept), :free] = to_beta[kept]
    _, moved = problem.reported(to_beta.T, np.zeros((free, 1, m)))
    reported[len(kept) :, :free] = moved[:, 0].T
    reported[len(kept) :, free:] = np.eye(m)
    whole = reported @ natural
    of_slopes = np.empty((len(eta), m))
    for k in range(m):
        step = np.zeros((1, m))
        step[0, k] = _STEP
        ahead, behind = (likelihood.row_derivatives(eta, optimum.auxiliary + s * step)[0] for s in (1.0, -1.0))
        of_slopes[:, k] = (ahead - behind) / (2.0 * _STEP)
    return _Thresholds(
        cov=whole @ optimum.joint_cov @ whole.T, to_sampled=np.linalg.pinv(reported), of_slopes=of_slopes
    )


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
    thresholds, with_thresholds = _thresholds(problem, target.likelihood, optimum, eta), None
    if thresholds is not None:
        ZG = np.zeros((J, q, thresholds.of_slopes.shape[1]))
        np.add.at(ZG, problem.index, problem.Z[:, :, None] * thresholds.of_slopes[:, None, :])
        slope = np.concatenate([slope_phi, raw @ inverse @ optimum.Lambda.T @ ZG], axis=2)
        with_thresholds = ModeCovariance(beta_cov=thresholds.cov, slope=slope @ thresholds.to_sampled, cond_cov=cond)
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
        with_thresholds=with_thresholds,
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
    thresholds, with_thresholds = _thresholds(problem, likelihood, optimum, eta), None
    if thresholds is not None:
        ones = np.ones(len(eta))
        ZG = [working_effects(likelihood, structure, column, ones).response for column in thresholds.of_slopes.T]
        by_factor = structure.by_factor(np.array(ZG))
        pulled = [by_factor[f] @ optimum.Lambda[mine, mine] for f, mine in enumerate(slices)]
        slope = np.concatenate([slope_v, solve(structure.together(pulled).T)], axis=1)
        with_thresholds = JointModeCovariance(
            structure=structure,
            Lambda=raw,
            beta_cov=thresholds.cov,
            slope=slope @ thresholds.to_sampled,
            solve=solve,
        )
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
        with_thresholds=with_thresholds,
    )


# By engine: problem, target and optimum -> working model and coefficients.
_SOLVED: dict[str, Callable[[FamilyProblem, QuadratureTarget, FamilyOptimum], Solved]] = {
    "quadrature": _by_group,
    "joint": _together,
}
