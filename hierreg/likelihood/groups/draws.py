"""Exact draws of beta and b from their Gaussian conditional, one per draw of the variance parameters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.compiled.lanes import LANES, STRIP
from hierreg.likelihood.drawn import EffectSummary, Recovered
from hierreg.likelihood.groups.equations import population_at
from hierreg.likelihood.groups.moments_by_numpy import draw
from hierreg.likelihood.groups.rows import RowTiles
from hierreg.likelihood.groups.tiles import Tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.likelihood.groups.engine import MarginalLikelihood
    from hierreg.variances.parameters import Covariances

    Array = NDArray[np.float64]

# Values of b drawn at a time; part of what a seed means, so never a function of the machine.
_CHUNK_VALUES = 2_000_000
# Draws of a strip at a time, so that their random numbers stay in the cache.
_DRAWS_AT_ONCE = 256
# Coefficients times draws from which compiled functions are worth their compilation, of which there are three seconds.
_MANY = 500_000


def draw_groups(
    likelihood: MarginalLikelihood,
    covariances: Covariances,
    *,
    seed: int,
    probs: Sequence[float] | None,
    theta_columns: Sequence[Sequence[int | None]],
    threads: int,
) -> Recovered:
    """Return one exact draw of the coefficients per draw of the variance parameters; see `engines.recover`."""
    gram, Lambda = likelihood.gram, covariances.Lambda
    S, p = len(Lambda), len(gram.coef_names)
    J, q = gram.factors[0].n_levels if gram.factors else 0, gram.n_coef
    likelihood, weights, hat, F = population_at(likelihood, Lambda, covariances.error_cov, max(1, threads))
    K = likelihood.errors.n_terms
    rng = np.random.default_rng([seed, 0])
    beta = hat + np.einsum("sij,sj->si", _lower(F), rng.standard_normal((S, p))) if p else hat
    matches = tuple(theta_columns[0]) if theta_columns else ()
    targets = np.zeros((0 if probs is None else 2, q, p))
    if probs is not None:
        for i, column in enumerate(matches):
            if column is not None:
                targets[1, i] = gram.x_map[column]
    job = _Job(
        covariances=(
            np.ascontiguousarray(weights[:, :K]),
            np.ascontiguousarray(likelihood.z_map_inverse @ Lambda),
            np.ascontiguousarray(Lambda),
        ),
        roots=None if likelihood.blocks.rows is None else np.ascontiguousarray(weights[:, K : 2 * K]),
        population=(np.ascontiguousarray(beta), hat, F @ np.swapaxes(F, 1, 2), targets),
        seed=seed,
        probs=probs,
        is_compiled=S * J * q > _MANY,
    )
    effects = _Effects(S, J, q, probs, n_targets=len(targets))
    tasks = [
        (tiles, first, which)
        for which, tiles in enumerate(likelihood.blocks.tiles)
        for first in range(0, len(tiles.levels), job.chunk(S, tiles))
    ]
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        list(pool.map(lambda task: job.run(*task, out=effects), tasks))
    beta = gram.y_shift + beta @ gram.x_map.T
    if effects.draws is not None:
        b = (effects.draws,) if gram.factors else ()
        return Recovered(beta=beta, b=b, b_summary=None, theta_summary=None)
    if not gram.factors:
        return Recovered(beta=beta, b=None, b_summary=(), theta_summary=())
    shift = np.array([0.0 if c is None else gram.y_shift[c] for c in matches])
    return Recovered(
        beta=beta,
        b=None,
        b_summary=(effects.summary(0, 0.0),),
        theta_summary=(effects.summary(1, shift) if matches else None,),
    )


def _lower(F: Array) -> Array:
    """Return L (S, p, p), lower triangular with a positive diagonal, L L' = F F', which is not formed."""
    R: Array = np.linalg.qr(np.swapaxes(F, 1, 2), mode="r")
    sign = np.where(np.diagonal(R, axis1=1, axis2=2) < 0, -1.0, 1.0)
    return np.swapaxes(sign[:, :, None] * R, 1, 2)


class _Effects:
    """Where chunks of blocks write their draws or summaries, by level."""

    def __init__(self, S: int, J: int, q: int, probs: Sequence[float] | None, n_targets: int) -> None:
        self.S = S
        self.draws = np.empty((S, J, q)) if probs is None else None
        self.sums = np.zeros((n_targets, 3, J, q))
        self.quantiles = np.empty((n_targets, len(probs or ()), J, q))

    def summary(self, target: int, shift: Array | float) -> EffectSummary:
        mean, variance, square = self.sums[target]
        return EffectSummary(
            mean=mean + shift,
            sd=np.sqrt((variance + square) / self.S),
            quantiles=self.quantiles[target] + shift,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    covariances: tuple[Array, Array, Array]
    roots: Array | None
    population: tuple[Array, Array, Array, Array]
    seed: int
    probs: Sequence[float] | None
    is_compiled: bool

    def chunk(self, S: int, tiles: Tiles | RowTiles) -> int:
        if tiles.width == STRIP:
            return 1
        return max(1, _CHUNK_VALUES // max(1, S * tiles.n_coef * LANES))

    def _run_strip(self, tiles: Tiles, t: int, which: int, out: _Effects) -> None:
        beta, beta_hat, beta_cov, targets = self.population
        S, m = len(beta), tiles.ZtZ.shape[1]
        rng = np.random.default_rng([self.seed, 1 + which, t])
        levels = tiles.levels[t, 0]
        # Lanes without a group are the last ones.
        levels = levels[levels >= 0]
        n = len(levels)
        if not self.is_compiled:
            of_strip = np.zeros((len(targets), 3, m, n))
            normals = rng.standard_normal((S, m, n))
            b = np.swapaxes(draw(self.covariances, tiles, t, self.population, normals, of_strip), 1, 2)
            self._keep(b, of_strip, levels, out)
            return
        from hierreg.likelihood.groups.strip_moments_kernels import strip_draws

        sums = np.zeros((len(targets), 3, m, STRIP))
        normals = np.empty((min(S, _DRAWS_AT_ONCE), m * n))
        # Where only summaries are kept, draws of this strip alone.
        draws, places = (np.empty((S, n, m)), np.arange(n)) if out.draws is None else (out.draws, levels)
        for first in range(0, S, _DRAWS_AT_ONCE):
            some = slice(first, min(first + _DRAWS_AT_ONCE, S))
            z = rng.standard_normal(out=normals[: some.stop - first])
            covariances = tuple(array[some] for array in self.covariances)
            population = beta[some], beta_hat[some], beta_cov[some], targets
            strip_draws(covariances, tiles.arrays, t, population, z, places, draws[some], (first, sums))
        if out.draws is None:
            self._keep(draws, sums[:, :, :, :n], levels, out)

    def _keep(self, b: Array, sums: Array, levels: NDArray[np.intp], out: _Effects) -> None:
        """Keep draws b (S, n, m) of groups, or their quantiles and sums (T, 3, m, n)."""
        if out.draws is not None:
            out.draws[:, levels] = b
            return
        out.sums[:, :, levels] = np.moveaxis(sums, 3, 2)
        self._quantiles(b, levels, out)

    def _compiled(self, tiles: Tiles | RowTiles, first: int, draws: Array, sums: Array) -> None:
        from hierreg.likelihood.groups.moments_kernels import block_draws

        if isinstance(tiles, RowTiles):
            assert self.roots is not None
            block_draws((self.roots, *self.covariances[1:]), None, tiles.arrays, first, self.population, draws, sums)
        else:
            block_draws(self.covariances, tiles.arrays, None, first, self.population, draws, sums)

    def _quantiles(self, b: Array, levels: NDArray[np.intp], out: _Effects) -> None:
        beta, targets = self.population[0], self.population[3]
        for t, target in enumerate(targets):
            with_beta = b + (beta @ target.T)[:, None, :]
            out.quantiles[t][:, levels] = np.quantile(with_beta, self.probs or (), axis=0)

    def run(self, tiles: Tiles | RowTiles, first: int, which: int, *, out: _Effects) -> None:
        if isinstance(tiles, Tiles) and tiles.width == STRIP:
            self._run_strip(tiles, first, which, out)
            return
        targets = self.population[3]
        S, q = len(self.population[0]), targets.shape[1]
        n = min(self.chunk(S, tiles), len(tiles.levels) - first)
        m = tiles.n_coef
        draws = np.random.default_rng([self.seed, 1 + which, first]).standard_normal((S, n, m, LANES))
        sums = np.zeros((len(targets), 3, n, m, LANES))
        if isinstance(tiles, Tiles) and not self.is_compiled:
            for t in range(n):
                draws[:, t] = draw(self.covariances, tiles, first + t, self.population, draws[:, t], sums[:, :, t])
        else:
            self._compiled(tiles, first, draws, sums)
        for slot in range(tiles.levels.shape[1]):
            members = tiles.levels[first : first + n, slot]
            tile, lane = np.nonzero(members >= 0)
            levels, mine = members[tile, lane], slice(slot * q, (slot + 1) * q)
            b = np.moveaxis(draws[:, :, mine], 2, 3)[:, tile, lane]
            if out.draws is not None:
                out.draws[:, levels] = b
                continue
            out.sums[:, :, levels] = np.moveaxis(sums[:, :, :, mine], 3, 4)[:, :, tile, lane]
            self._quantiles(b, levels, out)
