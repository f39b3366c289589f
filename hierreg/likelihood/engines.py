"""The engines side by side: which one takes a model, and what every one of them can do.

Three treatments of the population coefficients beta:

- integrated under a normal prior on some or all of ``beta_basis @ beta`` (full Bayes, MAP);
- integrated under a flat prior: the restricted likelihood (REML), the limit of zero prior precision;
- profiled out (ML).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.likelihood.crossed.curvature import curvature_of_crossed
from hierreg.likelihood.crossed.draws import recover_crossed, recover_kept
from hierreg.likelihood.crossed.engine import CrossedLikelihood, crossed_likelihood
from hierreg.likelihood.crossed.equations import (
    cut_off_of_crossed,
    left_by_crossed,
    log_likelihoods_of_crossed,
    population_of_crossed,
    solve_crossed,
)
from hierreg.likelihood.crossed.near import recover_near
from hierreg.likelihood.crossed_draws import WithDraws
from hierreg.likelihood.drawn import Recovered
from hierreg.likelihood.groups.blocks import SplitBlocks, split_into_blocks
from hierreg.likelihood.groups.draws import draw_groups
from hierreg.likelihood.groups.engine import MarginalLikelihood
from hierreg.likelihood.groups.equations import (
    cut_off_of_groups,
    log_likelihoods_at,
    population_of_groups,
    solve_groups,
)
from hierreg.likelihood.population import FixedBeta, PopulationPrior, flat_beta, hold_fixed, population_of
from hierreg.likelihood.solution import Solution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.gram import Gram
    from hierreg.variances.parameters import Covariances

    Array = NDArray[np.float64]

LOG_2PI = float(np.log(2.0 * np.pi))

Likelihood = MarginalLikelihood | CrossedLikelihood


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What an engine does beside evaluating its likelihood.

    Attributes
    ----------
    solve : function
        See `solve_equations`.
    draw : function
        See `recover`.
    values : function
        See `log_likelihoods`.
    population : function
        See `population`.
    cut_off : function
        See `check_not_cut_off`.
    curvature : function or None
        See `log_curvature`; None where differences of gradients cost little.
    left : function or None
        See `left_by_effects`; None where least squares itself costs little.
    drawing : function or None
        Target, seed and most_bytes -> the density, which draws the coefficients wherever it is evaluated
        (`crossed_draws.WithDraws`); None where draws that are made afterwards cost little.
    draw_kept : function or None
        Draws of which ``drawing`` has made most; see `crossed.draws.recover_kept`.
    draw_near : function or None
        Draws near a point, without a factorisation for each; see `crossed.near.recover_near`.
    """

    solve: Callable[..., Solution]
    draw: Callable[..., Recovered]
    values: Callable[..., Array]
    population: Callable[..., tuple[Array, Array]]
    cut_off: Callable[..., str | None]
    curvature: Callable[..., Array | None] | None = None
    left: Callable[..., float | None] | None = None
    drawing: Callable[..., WithDraws] | None = None
    draw_kept: Callable[..., Recovered] | None = None
    draw_near: Callable[..., Recovered | None] | None = None


ENGINES: dict[type[Any], Engine] = {
    MarginalLikelihood: Engine(
        solve=solve_groups,
        draw=draw_groups,
        values=log_likelihoods_at,
        population=population_of_groups,
        cut_off=cut_off_of_groups,
    ),
    CrossedLikelihood: Engine(
        solve=solve_crossed,
        draw=recover_crossed,
        values=log_likelihoods_of_crossed,
        population=population_of_crossed,
        cut_off=cut_off_of_crossed,
        curvature=curvature_of_crossed,
        left=left_by_crossed,
        drawing=WithDraws,
        draw_kept=recover_kept,
        draw_near=recover_near,
    ),
}


def solve_equations(likelihood: Likelihood, Lambda: Array, error_cov: Array) -> Solution:
    """Return the solution of the mixed-model equations.

    Parameters
    ----------
    likelihood : MarginalLikelihood or CrossedLikelihood
        The statistics and the prior of beta.
    Lambda : array (q, q)
        Square factor of Sigma, user scale; of several grouping factors block diagonal.
    error_cov : array (D, D)
        Error covariance of one unit.

    Returns
    -------
    Solution
        Of the coefficients that are not fixed.
    """
    return ENGINES[type(likelihood)].solve(likelihood, Lambda, error_cov)


def recover(
    likelihood: Likelihood,
    covariances: Covariances,
    *,
    seed: int,
    probs: Sequence[float] | None = None,
    theta_columns: Sequence[Sequence[int | None]] = (),
    threads: int = 1,
) -> Recovered:
    """Return one exact draw of the coefficients per draw of the variance parameters, or summaries of those of groups.

    Parameters
    ----------
    likelihood : MarginalLikelihood or CrossedLikelihood
        Statistics of the data, beta integrated.
    covariances : Covariances
        At S draws of the variance parameters.
    seed : int
        The draws depend on it and on nothing else, whatever the number of threads.
    probs : sequence of float or None
        None keeps every draw of b; otherwise only means, sds and these quantiles are kept, in memory that does not grow
        with the number of draws, and of an empty sequence nothing: beta alone.
    theta_columns : sequence of sequences of (int or None)
        Per grouping factor, the column of X that each of its columns matches; empty where theta is not wanted.
    threads : int
    """
    draw = ENGINES[type(likelihood)].draw
    return draw(likelihood, covariances, seed=seed, probs=probs, theta_columns=theta_columns, threads=threads)


def log_likelihoods(likelihood: Likelihood, Lambda: Array, error_cov: Array, threads: int = 1) -> Array:
    """Return the log likelihoods (S,) at S draws of the variance parameters.

    Parameters
    ----------
    likelihood : MarginalLikelihood or CrossedLikelihood
    Lambda : array (S, q, q)
        User scale; of several grouping factors block diagonal.
    error_cov : array (S, D, D)
    threads : int

    Raises
    ------
    ModelError
        If a matrix is not positive definite, or too few digits are left.
    """
    return ENGINES[type(likelihood)].values(likelihood, Lambda, error_cov, threads)


def population(likelihood: Likelihood, Lambda: Array, error_cov: Array, threads: int = 1) -> tuple[Array, Array]:
    """Return the mean (S, p) of beta, user scale, given y and S draws of the variances, and F (S, p, p).

    F F' is its covariance; fixed coefficients are left out. Arguments and errors are those of `log_likelihoods`.
    """
    return ENGINES[type(likelihood)].population(likelihood, Lambda, error_cov, threads)


def check_not_cut_off(likelihood: Likelihood, Lambda: Array, error_cov: Array) -> None:
    """Refuse a mode beside which the density has too few digits to be one: it is the edge that was found.

    Parameters
    ----------
    likelihood : MarginalLikelihood or CrossedLikelihood
    Lambda : array (q, q)
        At the mode, user scale.
    error_cov : array (D, D)

    Raises
    ------
    ModelError
        If there is no density where error standard deviations are half as large, or products know too little of the
        population coefficients where groups are linked.
    """
    problem = ENGINES[type(likelihood)].cut_off(likelihood, Lambda, error_cov, 0.25 * error_cov)
    if problem is not None:
        raise ModelError(problem)


def log_curvature(likelihood: Likelihood, Lambda: Array, error_cov: Array) -> Array | None:
    """Return the exact Hessian (q + 1, q + 1) over the log sds of all factors and that of errors, or None.

    None where they are not all the parameters, where a sd is zero, or where differences of gradients cost little.
    """
    curvature = ENGINES[type(likelihood)].curvature
    return None if curvature is None or not likelihood.is_costly else curvature(likelihood, Lambda, error_cov)


def left_by_effects(likelihood: Likelihood, terms: Array, sd: float) -> float | None:
    """Return what group effects that are penalised by their squares / sd^2 leave of the response, with that penalty.

    Effects that leave nothing have squares whose sum is at least sd^2 times as much. See `crossed.equations`; None
    where it is not known, or nothing is gained by asking.
    """
    left = ENGINES[type(likelihood)].left
    return None if left is None or not likelihood.is_costly else left(likelihood, terms, sd)


def blocks_of(gram: Gram, fixed: FixedBeta) -> SplitBlocks | None:
    """Return the blocks that every likelihood of a Gram basis reads; None with several grouping factors."""
    return split_into_blocks(hold_fixed(gram, fixed)) if len(gram.factors) < 2 else None


def on_threads(likelihood: Likelihood, threads: int) -> Likelihood:
    """Return a likelihood that may use so many threads."""
    return replace(likelihood, threads=threads)


def marginal_likelihood(
    gram: Gram,
    *,
    prior: PopulationPrior | None = None,
    fixed: FixedBeta | None = None,
    profile: bool = False,
    blocks: SplitBlocks | None = None,
) -> Likelihood:
    """Return the marginal likelihood of a Gram basis; its class depends on the number of grouping factors.

    Parameters
    ----------
    gram : Gram
    prior : PopulationPrior or None
        Normal prior of beta; None is flat (then the value is the restricted log likelihood).
    fixed : FixedBeta or None
        Coefficients held at known values.
    profile : bool
        Maximise over beta instead of integrating (maximum likelihood); `prior` is then ignored.
    blocks : SplitBlocks or None
        Those of the same Gram basis and fixed coefficients (`blocks_of`), where they are at hand.
    """
    rows = prior if prior is not None and not profile else flat_beta(len(gram.coef_names))
    population = population_of(gram, rows, fixed)
    gram, K = population.gram, population.rows
    p, r = len(gram.coef_names), len(rows.sd)
    constant = -0.5 * (gram.n * LOG_2PI + gram.terms.log_det_known)
    if not profile:
        constant += 0.5 * (p - r) * LOG_2PI - float(np.sum(np.log(rows.sd))) + rows.log_det_basis
        constant += float(np.linalg.slogdet(gram.x_map)[1]) if p else 0.0
    if len(gram.factors) > 1:
        return crossed_likelihood(gram, W0=K.T @ K, constant=constant, integrate=not profile)
    return MarginalLikelihood(
        gram=gram,
        blocks=split_into_blocks(gram) if blocks is None or population.is_moved else blocks,
        prior_rows=K,
        constant=constant,
        integrate=not profile,
        z_map_inverse=np.linalg.inv(gram.z_map),
    )
