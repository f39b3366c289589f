"""Exact draws of all coefficients with several grouping factors, one per draw of the variance parameters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from hierreg.likelihood.crossed.equations import solve_crossed, split_coefficients
from hierreg.likelihood.drawn import EffectSummary, Recovered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.likelihood.crossed.engine import CrossedLikelihood
    from hierreg.likelihood.solution import Solution
    from hierreg.variances.parameters import Covariances

    Array = NDArray[np.float64]

# Draws of one stream of random numbers; part of what a seed means, so never a function of the machine.
_CHUNK_DRAWS = 50
# Where only summaries are kept: numbers held at once, and draws at which conditional variances are taken.
_SUMMARY_VALUES = 2**27
_SUMMARY_DRAWS = 400


def recover_crossed(
    likelihood: CrossedLikelihood,
    covariances: Covariances,
    *,
    seed: int,
    probs: Sequence[float] | None,
    theta_columns: Sequence[Sequence[int | None]],
    threads: int,
) -> Recovered:
    """Return one exact draw of the coefficients per draw of the variance parameters; see `engines.recover`.

    Where only summaries are asked for, those of the group coefficients come from draws evenly spaced, 400 at most and
    as many as fit in 1 GiB: means and standard deviations from conditional means and variances (Rao-Blackwell),
    quantiles from the exact draws.
    """
    S = len(covariances.Lambda)
    if probs is None:
        beta, b = _draws(likelihood, covariances, np.arange(S), seed, threads)
        return Recovered(beta=beta, b=b, b_summary=None, theta_summary=None)
    if not probs:
        beta = _population(likelihood, covariances, seed, threads)
        return Recovered(beta=beta, b=None, b_summary=None, theta_summary=None)
    kept = kept_for_summaries(likelihood, S)
    beta = _population(likelihood, covariances, seed, threads)
    beta[kept], b = _draws(likelihood, covariances, kept, seed, threads)
    collected = _Moments(likelihood, theta_columns)
    for s in kept:
        collected.add(solve_crossed(likelihood, covariances.Lambda[s], covariances.error_cov[s]))
    return Recovered(
        beta=beta,
        b=None,
        b_summary=collected.of_b(b, probs),
        theta_summary=collected.of_theta(beta[kept], b, probs),
    )


def kept_for_summaries(likelihood: CrossedLikelihood, S: int) -> NDArray[np.intp]:
    """Return which of S draws summaries of the group coefficients come from."""
    width = likelihood.plan.n_node_columns + likelihood.plan.n_tail
    fewer = max(1, min(S, _SUMMARY_DRAWS, _SUMMARY_VALUES // width))
    return np.arange(fewer) * S // fewer


def recover_kept(
    likelihood: CrossedLikelihood, covariances: Covariances, kept: Array, *, seed: int, threads: int
) -> Recovered:
    """Return draws of the coefficients of which some were made when the density was evaluated (`kept.WithDraws`).

    Parameters
    ----------
    likelihood : CrossedLikelihood
    covariances : Covariances
        At S draws of the variance parameters.
    kept : array (S, n_node_columns + D)
        As `carry_back` writes them; rows of NaN are drawn here. Overwritten.
    seed, threads : int
    """
    missing = np.flatnonzero(np.isnan(kept[:, -1]))
    kept[missing] = standard_draws(likelihood, covariances, missing, seed, threads)
    beta, b = split_coefficients(likelihood, kept, covariances.Lambda)
    return Recovered(beta=beta, b=b, b_summary=None, theta_summary=None)


def _draws(
    likelihood: CrossedLikelihood, covariances: Covariances, which: NDArray[np.intp], seed: int, threads: int
) -> tuple[Array, tuple[Array, ...]]:
    """Return draws of beta (len(which), p) and of b, (len(which), J, q) per factor, user scale."""
    out = standard_draws(likelihood, covariances, which, seed, threads)
    return split_coefficients(likelihood, out, covariances.Lambda[which])


def standard_draws(
    likelihood: CrossedLikelihood, covariances: Covariances, which: NDArray[np.intp], seed: int, threads: int
) -> Array:
    """Return draws (len(which), n_node_columns + D) as `carry_back` writes them."""
    from hierreg.likelihood.crossed.moments_kernels import carry_back

    plan = likelihood.plan
    internal = likelihood.z_map_inverse @ covariances.Lambda[which]
    weights = likelihood.errors.weights_of_draws(covariances.error_cov[which])
    out = np.empty((len(which), plan.n_node_columns + plan.n_tail))

    def run(first: int) -> None:
        some = slice(first, first + _CHUNK_DRAWS)
        normals = np.random.default_rng([seed, int(which[first])]).standard_normal((len(out[some]), out.shape[1] - 1))
        for s, z in enumerate(normals, start=first):
            _, workspace, tail = likelihood.eliminated(internal[s], weights[s])
            carry_back(workspace, tail, internal[s], plan.nodes, plan.dense, z, out[s])

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        list(pool.map(run, range(0, len(which), _CHUNK_DRAWS)))
    return out


def _population(likelihood: CrossedLikelihood, covariances: Covariances, seed: int, threads: int) -> Array:
    """Return one draw of beta (S, p) per draw, a few at a time."""
    S = len(covariances.Lambda)
    width = likelihood.plan.n_node_columns + likelihood.plan.n_tail
    step = max(1, _SUMMARY_VALUES // width)
    parts = [_draws(likelihood, covariances, np.arange(a, min(a + step, S)), seed, threads) for a in range(0, S, step)]
    return np.concatenate([beta for beta, _ in parts])


class _Moments:
    """Running means of conditional means of b and theta, sums of squared deviations from them, and of variances.

    Not sums of squares (Welford 1962, Technometrics 4, 419-420): theta may be far from zero beside its deviations.
    """

    def __init__(self, likelihood: CrossedLikelihood, theta_columns: Sequence[Sequence[int | None]]) -> None:
        p = len(likelihood.gram.coef_names)
        self.n = 0
        self.matches = [indicator(columns, p) for columns in theta_columns]
        self.sums = [np.zeros((2, 3, f.n_levels, f.n_coef)) for f in likelihood.gram.factors]

    def add(self, solution: Solution) -> None:
        self.n += 1
        for f, sums in enumerate(self.sums):
            E = self.matches[f] if self.matches else np.zeros((sums.shape[3], len(solution.beta)))
            cross = E @ solution.beta_b_cov[f]
            cov = solution.b_cov[f]
            theta_cov = cov + cross + np.swapaxes(cross, 1, 2) + E @ solution.beta_cov @ E.T
            for target, mean, variance in (
                (0, solution.b[f], cov),
                (1, solution.b[f] + E @ solution.beta, theta_cov),
            ):
                deviation = mean - sums[target, 0]
                sums[target, 0] += deviation / self.n
                sums[target, 1] += np.diagonal(variance, axis1=1, axis2=2)
                sums[target, 2] += deviation * (mean - sums[target, 0])

    def of_b(self, b: tuple[Array, ...], probs: Sequence[float]) -> tuple[EffectSummary, ...]:
        return tuple(self._summary(f, 0, draws, probs) for f, draws in enumerate(b))

    def of_theta(self, beta: Array, b: tuple[Array, ...], probs: Sequence[float]) -> tuple[EffectSummary | None, ...]:
        if not self.matches:
            return (None,) * len(b)
        # Without a matching coefficient that is free, theta is b until fixed ones are added.
        return tuple(self._summary(f, 1, b[f] + (beta @ E.T)[:, None, :], probs) for f, E in enumerate(self.matches))

    def _summary(self, f: int, target: int, draws: Array, probs: Sequence[float]) -> EffectSummary:
        mean, variance, square = self.sums[f][target]
        return EffectSummary(
            mean=mean,
            sd=np.sqrt((variance + square) / self.n),
            quantiles=np.quantile(draws, probs, axis=0),
        )


def indicator(columns: Sequence[int | None], p: int) -> Array:
    """Return E (q, p), theta = b + E beta, from the column of X that each column of Z matches."""
    E = np.zeros((len(columns), p))
    for i, column in enumerate(columns):
        if column is not None:
            E[i, column] = 1.0
    return E
