"""Importance sampling of the unconstrained variance parameters, with Pareto-smoothed weights (PSIS).

The first proposal is a Student t distribution at the mode. Where that is not enough, mixtures are fitted to the
weighted proposals so far and more are drawn from them (adaptive multiple importance sampling). All proposals count,
with weights p(u) / sum over rounds t of (N_t / N) q_t(u): no round has to be good by itself. One fifth of each mixture
is fitted to p^0.3: standard deviations that may be zero and correlations that then mean nothing give the posterior
long tails, and a proposal that is thin there has a few very large weights.

Draws of equal weight come from systematic resampling. Where S w_i <= 1 for each of the normalised weights w this is
rejection sampling: no draw occurs twice and the S draws are worth S independent ones. The number of proposals is
chosen so that this nearly holds; `Draws.resampled_ess` says how nearly.

References
----------
Vehtari, A., Simpson, D., Gelman, A., Yao, Y. and Gabry, J. (2024). Pareto smoothed importance sampling. Journal of
Machine Learning Research 25(72), 1-58.

Cornuet, J.-M., Marin, J.-M., Mira, A. and Robert, C. P. (2012). Adaptive multiple importance sampling. Scandinavian
Journal of Statistics 39, 798-812.

Hesterberg, T. (1995). Weighted average importance sampling and defensive mixture distributions. Technometrics 37,
185-194.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import SamplingError
from hierreg.sampling.mixture import Mixture, fit_mixture, joined, student_t
from hierreg.sampling.resampling import proposals_needed, resample, resampled_ess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hierreg.sampling.approximation import Mode
    from hierreg.sampling.density import Values

    Array = NDArray[np.float64]

# Vehtari et al. (2024), section 3: above it, no practical number of draws is enough. Below 2,200 draws the limit is
# lower, but there `_GOOD_K` decides.
K_LIMIT = 0.7
# Numbers that were chosen by trial on the shipped data sets, so that k is small on all of them. Degrees of freedom:
# of the start, which has to find the tails; of what is fitted; and of the part that guards the tails.
_DF_START, _DF_FIT, _DF_TAILS = 3.0, 10.0, 4.0
_TAIL_SHARE, _TAIL_POWER = 0.2, 0.3
_MOST_COMPONENTS, _POINTS_PER_COEFFICIENT = 8, 15
# Rounds that improve the proposal, in units of `_round_size`, and what ends them early.
_PILOT_ROUNDS = (1, 1, 2, 2)
_GOOD_K, _GOOD_EFFICIENCY = 0.5, 0.7
_MOST_ROUNDS = 10
# Proposals at most: so many per draw, or so many.
_MOST_PER_DRAW, _MOST_AT_LEAST = 10, 20_000
_POINTS_FITTED = 5_000
# How nearly the number of proposals is found, as a power of two: where a density is cheap, and where it is costly.
_STEP, _STEP_COSTLY = 0.25, 0.03
# arviz-stats fits a fifth of the ratios, at least five of them.
_FEWEST_FOR_A_TAIL = 25
_STREAM = 104


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to sample.

    Attributes
    ----------
    draws, chains : int
        Draws per chain, and chains.
    seed : int
        Alone decides the draws.
    cores : int
    costly : bool
        A density takes so long that rounds in which the proposal is found are to be half as large.
    """

    draws: int
    chains: int
    seed: int
    cores: int
    costly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Draws of the unconstrained variance parameters, in random order, and what they are worth.

    Attributes
    ----------
    u : array (chains, draws, n)
    stats : dict of arrays (chains, draws)
        ``lp`` log density; ``log_weight`` log of the smoothed weight, which is one on average over the proposals;
        ``proposal`` its number, the same for copies of one proposal.
    pareto_k : float
        Shape of the tail of the weights.
    importance_ess : float
        Independent draws that the N weighted proposals are worth, 1 / sum w^2.
    resampled_ess : float
        Independent draws that the S draws are worth, at most S.
    n_proposals : int
    n_rounds : int
    interrupted : str
        What is missing where a user interrupted; else empty.
    """

    u: Array
    stats: dict[str, NDArray[Any]]
    pareto_k: float
    importance_ess: float
    resampled_ess: float
    n_proposals: int
    n_rounds: int
    interrupted: str = ""

    @property
    def attributes(self) -> dict[str, float | int | str]:
        """What a result records of the run."""
        return {
            "pareto_k": self.pareto_k,
            "importance_ess": self.importance_ess,
            "resampled_ess": self.resampled_ess,
            "n_proposals": self.n_proposals,
            "n_distinct": len(np.unique(self.stats["proposal"])),
            "n_rounds": self.n_rounds,
        } | ({"interrupted": self.interrupted} if self.interrupted else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Proposals of R rounds: points (N, n), log target (N,), log density of each round's proposal (R, N)."""

    mixtures: tuple[Mixture, ...]
    sizes: tuple[int, ...]
    u: Array
    log_target: Array
    log_proposals: Array

    @property
    def log_mixture(self) -> Array:
        """Log density (N,) of the mixture of all rounds."""
        from scipy.special import logsumexp

        share = np.array(self.sizes) / sum(self.sizes)
        return np.asarray(logsumexp(self.log_proposals + np.log(share)[:, None], axis=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Smoothed weights (N,), which sum to one, and the shape of their tail."""

    value: Array
    k: float

    @property
    def efficiency(self) -> float:
        """Independent draws that one proposal is worth."""
        return float(1.0 / (len(self.value) * (self.value @ self.value)))

    @property
    def is_good(self) -> bool:
        """Whether a better proposal would hardly help."""
        return self.k <= _GOOD_K and self.efficiency >= _GOOD_EFFICIENCY


def sample_by_importance(target: Values, mode: Mode, settings: Settings) -> Draws:
    """Return draws of u by importance sampling.

    Parameters
    ----------
    target : Density
    mode : Mode
        Location and scale of the first proposal.
    settings : Settings

    Raises
    ------
    SamplingError
        Where the weights have too heavy a tail (k above 0.7) however many proposals.
    KeyboardInterrupt
        Where a user interrupted before the proposals so far can represent the posterior; later, draws from those that
        are finished are returned.
    """
    n, S = len(mode.u), settings.chains * settings.draws
    if n == 0:
        return _nothing_to_sample(target, settings)
    rng = np.random.default_rng([settings.seed, _STREAM])
    pool, weights, is_whole = propose(target, mode, S, rng, settings.cores, costly=settings.costly)
    if not (is_whole or weights.k <= K_LIMIT):
        raise KeyboardInterrupt(
            f"interrupted after {len(pool.u)} proposals, which cannot represent the posterior yet (Pareto k "
            f"{weights.k:.2f}): there is nothing to keep"
        )
    if not weights.k <= K_LIMIT:
        raise SamplingError(
            f"importance sampling cannot represent this posterior: after {len(pool.u)} proposals the Pareto k of the "
            f"weights is {weights.k:.2f}, and {K_LIMIT} is the most that can be trusted. Use method='nuts'; "
            "more informative priors for standard deviations with few groups can help too."
        )
    which = rng.permutation(resample(weights.value, S, rng))
    shape = (settings.chains, settings.draws)
    return Draws(
        u=pool.u[which].reshape(*shape, n),
        stats={
            "lp": pool.log_target[which].reshape(shape),
            "log_weight": np.log(weights.value[which] * len(pool.u)).reshape(shape),
            "proposal": which.reshape(shape),
        },
        pareto_k=weights.k,
        importance_ess=weights.efficiency * len(pool.u),
        resampled_ess=resampled_ess(weights.value, S),
        n_proposals=len(pool.u),
        n_rounds=len(pool.sizes),
        interrupted="" if is_whole else _interrupted(pool, weights, S),
    )


def _interrupted(pool: Pool, weights: Weights, S: int) -> str:
    worth = resampled_ess(weights.value, S)
    return (
        f"importance sampling was interrupted: the {S} draws are from the {len(pool.u)} proposals that were finished, "
        f"and worth {worth:.0f} independent ones."
    )


def _nothing_to_sample(target: Values, settings: Settings) -> Draws:
    shape = (settings.chains, settings.draws)
    S = settings.chains * settings.draws
    return Draws(
        u=np.empty((*shape, 0)),
        stats={
            "lp": np.full(shape, target.values(np.empty((1, 0)))[0]),
            "log_weight": np.zeros(shape),
            "proposal": np.arange(S).reshape(shape),
        },
        # No tail: all weights are equal.
        pareto_k=-np.inf,
        importance_ess=float(S),
        resampled_ess=float(S),
        n_proposals=S,
        n_rounds=0,
    )


def propose(
    target: Values, mode: Mode, S: int, rng: np.random.Generator, cores: int, *, costly: bool = False
) -> tuple[Pool, Weights, bool]:
    """Return proposals, their weights, and whether they are all: enough for S draws where that is possible.

    Where a user interrupts, those of the rounds that are finished.
    """
    rounds = _rounds(target, mode, S, rng, (cores, costly))
    pool, weights = next(rounds)
    try:
        for more, their_weights in rounds:
            pool, weights = more, their_weights
    except KeyboardInterrupt:
        return pool, weights, False
    return pool, weights, True


def _rounds(
    target: Values, mode: Mode, S: int, rng: np.random.Generator, how: tuple[int, bool]
) -> Iterator[tuple[Pool, Weights]]:
    """Yield all proposals so far and their weights, after each round."""
    n, (cores, costly) = len(mode.u), how
    scale = mode.scale @ mode.scale.T
    proposal = student_t(mode.u, scale, _DF_START)
    pool = Pool(mixtures=(), sizes=(), u=np.empty((0, n)), log_target=np.empty(0), log_proposals=np.empty((0, 0)))
    unit = max(500, 100 * n) // (2 if costly else 1)
    for size in _PILOT_ROUNDS:
        pool = _extended(pool, proposal, size * unit, target, rng, cores)
        weights = _weights(pool)
        yield pool, weights
        if weights.is_good and not costly:
            break
        proposal = _refit(pool, weights, scale, rng)
        if weights.is_good:
            break
    most = max(_MOST_PER_DRAW * S, _MOST_AT_LEAST)
    while len(pool.sizes) < _MOST_ROUNDS:
        N = len(pool.u)
        wanted = proposals_needed(weights.value, S, most, _STEP_COSTLY if costly else _STEP) - N
        if not weights.is_good:
            # What fails may be the proposal, not the number of draws from it: no more than double, and look again.
            wanted = min(wanted if weights.k <= K_LIMIT else N, N)
        size = min(wanted, most - N)
        if not size > 0:
            break
        pool = _extended(pool, proposal, size, target, rng, cores)
        weights = _weights(pool)
        yield pool, weights
        if not weights.is_good:
            proposal = _refit(pool, weights, scale, rng)


def _extended(pool: Pool, proposal: Mixture, size: int, target: Values, rng: np.random.Generator, cores: int) -> Pool:
    """Return the pool with one more round."""
    u = proposal.draw(rng, size)
    old = np.array([mixture.log_density(u) for mixture in pool.mixtures]).reshape(len(pool.mixtures), size)
    everything = np.concatenate([pool.u, u])
    return Pool(
        mixtures=(*pool.mixtures, proposal),
        sizes=(*pool.sizes, size),
        u=everything,
        log_target=np.concatenate([pool.log_target, target.values(u, threads=cores)]),
        log_proposals=np.vstack([np.hstack([pool.log_proposals, old]), proposal.log_density(everything)]),
    )


def _weights(pool: Pool) -> Weights:
    return smoothed(pool.log_target - pool.log_mixture)


def smoothed(log_ratio: Array) -> Weights:
    """Return Pareto-smoothed weights of log ratios (N,) of target and proposal.

    Of fewer than 25 there is no tail to fit: the weights are the ratios, and k says nothing, minus infinity.
    """
    from arviz_stats.base.array import array_stats
    from scipy.special import logsumexp

    if len(log_ratio) < _FEWEST_FOR_A_TAIL:
        return Weights(value=np.exp(log_ratio - logsumexp(log_ratio)), k=-np.inf)
    log_weight, k = array_stats.psislw(-log_ratio)
    return Weights(value=np.exp(log_weight - logsumexp(log_weight)), k=float(k))


def _refit(pool: Pool, weights: Weights, scale: Array, rng: np.random.Generator) -> Mixture:
    """Return a mixture for the next round, fitted to what is known of the target so far and of its tails."""
    # Independent points: any of them represent all.
    chosen = slice(None, None, -(-len(pool.u) // _POINTS_FITTED))
    u, log_target, log_mixture = pool.u[chosen], pool.log_target[chosen], pool.log_mixture[chosen]
    tempered = smoothed(_TAIL_POWER * log_target - log_mixture)
    main = weights.value[chosen] / weights.value[chosen].sum()
    return joined(_fitted(u, main, _DF_FIT, scale, rng), _fitted(u, tempered.value, _DF_TAILS, scale, rng), _TAIL_SHARE)


def _fitted(u: Array, weight: Array, df: float, scale: Array, rng: np.random.Generator) -> Mixture:
    ess = 1.0 / float(weight @ weight)
    components = int(np.clip(ess / (_POINTS_PER_COEFFICIENT * u.shape[1]), 1, _MOST_COMPONENTS))
    return fit_mixture(u, weight, components=components, df=df, prior_scale=scale, rng=rng)
