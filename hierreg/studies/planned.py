"""One simulated study: rows, a response, and what its analysis says of the contrasts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate.mode import start_at
from hierreg.estimate.starting_values import starting_point
from hierreg.exceptions import HierregError, SamplingError
from hierreg.likelihood.crossed.blas_threads import blas_threads_for
from hierreg.likelihood.engines import recover, solve_equations
from hierreg.likelihood.posterior import Target
from hierreg.linalg import semidefinite_factor
from hierreg.model.estimation import estimate_without_nodes
from hierreg.model.posterior import by_importance, by_nuts
from hierreg.predictive.rows import replicate
from hierreg.problem.problem import Problem
from hierreg.problem.replaced import with_response
from hierreg.problem.resampled import drawn_rows, resampled
from hierreg.sampling.nuts import find_mode
from hierreg.studies.replications import request_of
from hierreg.studies.truths import Truth, truth_of_draw, truth_of_prior, with_values
from hierreg.variances.parameters import covariances
from hierreg.warning import kept_warnings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Of a posterior, both chains together.
_DRAWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all simulated studies have in common.

    Attributes
    ----------
    problem : Problem
    factor : int or None
        Place of the factor whose groups are drawn.
    sizes : tuple of (int or None, int or None)
        Groups, and rows of each.
    names : tuple of str (s,)
    weights : array (s, p)
        Contrasts of population coefficients.
    truth : Truth or None
        Parameters of all studies.
    draws : Dataset or None
        Of a posterior; each study takes one. Without truth and draws, parameters are of the prior.
    effects : dict name -> float
        Values of some population coefficients instead.
    method : {"psis", "nuts", "reml"}
    prob : float
        Of intervals.
    seed : int
    n : int
        Studies of each size: study i of size k is number k n + i.
    """

    problem: Problem
    factor: int | None
    sizes: tuple[tuple[int | None, int | None], ...]
    names: tuple[str, ...]
    weights: Array
    truth: Truth | None
    draws: xr.Dataset | None
    effects: Mapping[str, float]
    method: str
    prob: float
    seed: int
    n: int

    def of_each(self, n: int) -> Plan:
        """Return the plan with n studies of each size."""
        return replace(self, n=n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What came of one study.

    Attributes
    ----------
    number : int
    groups : int
    rows : float
        Of a group, on average.
    truth, mean, sd, lower, upper : tuples of float (s,)
    reliability : tuple of float
        Of each group column, factor by factor.
    by_nuts : bool
        Whether importance sampling was given up.
    message : str
        Why there is no analysis; empty where there is one.
    """

    number: int
    groups: int = 0
    rows: float = 0.0
    truth: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    sd: tuple[float, ...] = ()
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()
    reliability: tuple[float, ...] = ()
    by_nuts: bool = False
    message: str = ""


def simulated(plan: Plan, numbers: list[int]) -> list[Simulated]:
    """Return some studies of a plan."""
    return [_simulated(plan, number) for number in numbers]


def _simulated(plan: Plan, number: int) -> Simulated:
    size = plan.sizes[number // plan.n]
    entropy = [plan.seed, number % plan.n, *(0 if one is None else one for one in size)]
    seeds = [int(one) for one in np.random.SeedSequence(entropy).generate_state(4)]
    with kept_warnings():
        try:
            truth = _truth(plan, seeds[0])
            rng = np.random.default_rng(seeds[1])
            rows, group = drawn_rows(plan.problem, plan.factor, size, rng)
            planned = resampled(plan.problem, plan.factor, rows, group)
            y = replicate(planned, truth.fresh(planned, rng), [seeds[2]])[0]
            problem = with_response(planned, y)
            assert isinstance(problem, Problem)
            (mean, sd, lower, upper), is_by_nuts = _analysis(plan, problem, truth, seeds[3])
            reliability = _reliability(problem, truth)
        except (HierregError, ArithmeticError, ValueError) as error:
            return Simulated(number=number, message=f"{type(error).__name__}: {error}")
    groups = 0 if plan.factor is None else int(group.max()) + 1
    return Simulated(
        number=number,
        groups=groups,
        rows=len(rows) / max(1, groups),
        truth=_numbers(plan.weights @ truth.beta),
        mean=_numbers(mean),
        sd=_numbers(sd),
        lower=_numbers(lower),
        upper=_numbers(upper),
        reliability=reliability,
        by_nuts=is_by_nuts,
    )


def _numbers(array: Array) -> tuple[float, ...]:
    return tuple(array.tolist())


def _truth(plan: Plan, seed: int) -> Truth:
    if plan.truth is not None:
        return plan.truth
    if plan.draws is None:
        truth = truth_of_prior(plan.problem, seed)
    else:
        chains, draws = plan.draws.sizes["chain"], plan.draws.sizes["draw"]
        place = int(np.random.default_rng(seed).integers(chains * draws))
        truth = truth_of_draw(plan.draws.isel(chain=[place // draws], draw=[place % draws]), plan.problem)
    return with_values(truth, plan.effects, plan.problem)


def _analysis(plan: Plan, problem: Problem, truth: Truth, seed: int) -> tuple[tuple[Array, Array, Array, Array], bool]:
    """Return mean, sd and the ends of the intervals of the contrasts, and whether NUTS was needed."""
    tail = (1 - plan.prob) / 2
    if plan.method == "reml":
        from scipy.special import ndtri

        estimate = estimate_without_nodes(problem, "reml", None)
        mean = plan.weights @ estimate.beta.to_numpy()
        sd = np.sqrt(np.einsum("sp,pq,sq->s", plan.weights, estimate.beta_cov.to_numpy(), plan.weights))
        half = float(-ndtri(tail)) * sd
        return (mean, sd, mean - half, mean + half), False
    with blas_threads_for(problem.gram):
        beta, is_by_nuts = _draws_of_beta(plan, problem, truth, seed)
    own = beta @ plan.weights.T
    lower, upper = np.quantile(own, [tail, 1 - tail], axis=0)
    return (own.mean(axis=0), own.std(axis=0, ddof=1), lower, upper), is_by_nuts


def _draws_of_beta(plan: Plan, problem: Problem, truth: Truth, seed: int) -> tuple[Array, bool]:
    """Return draws (S, p) of the population coefficients: the search for the mode begins at the truth, among others."""
    likelihood = problem.likelihood("prior")
    target = Target(parameters=problem.parameters, likelihood=likelihood)
    errors = truth.error_sd, truth.error_corr
    start = start_at(problem.parameters, starting_point(likelihood.gram, problem.parameters), _joint(truth), errors)
    mode = find_mode(target, [start])
    target = target.with_digits_at(mode.u)
    method, is_by_nuts = plan.method, False
    try:
        sample = by_importance if method == "psis" else by_nuts
        u, _ = sample(target, mode, request_of(method, _DRAWS, seed), seed)
    except SamplingError:
        if method != "psis":
            raise
        u, _ = by_nuts(target, mode, request_of("nuts", _DRAWS, seed), seed)
        is_by_nuts = True
    cov = covariances(problem.parameters, u.reshape(u.shape[0] * u.shape[1], u.shape[2]))
    return problem.draws_with_fixed(recover(likelihood, cov, seed=seed)).beta, is_by_nuts


def _joint(truth: Truth) -> Array:
    """Return the covariance (q, q) of the coefficients of all factors."""
    q = sum(len(Sigma) for Sigma in truth.Sigma)
    out, at = np.zeros((q, q)), 0
    for Sigma in truth.Sigma:
        out[at : at + len(Sigma), at : at + len(Sigma)] = Sigma
        at += len(Sigma)
    return out


def _reliability(problem: Problem, truth: Truth) -> tuple[float, ...]:
    """Return 1 - Var(b | y, beta) / Var(b) of each group column, mean over groups, at the true variances."""
    if not truth.Sigma:
        return ()
    Lambda = semidefinite_factor(_joint(truth))
    solution = solve_equations(problem.likelihood("prior"), Lambda, truth.error_cov(problem))
    out: list[float] = []
    for Sigma, left in zip(truth.Sigma, solution.b_cond_cov, strict=True):
        variance = np.diagonal(Sigma)
        kept = np.diagonal(left, axis1=1, axis2=2).mean(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            out += np.where(variance > 0, 1 - kept / variance, np.nan).tolist()
    return tuple(out)
