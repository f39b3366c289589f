"""Exact draws of beta and b from their Gaussian conditional, one per draw of the variance parameters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.compiled.lanes import LANES, STRIP
from hierreg.likelihood.drawn import Recovered
from hierreg.likelihood.groups.equations import population_at
from hierreg.likelihood.groups.moments_by_numpy import draw
from hierreg.likelihood.groups.rows import RowTiles
from hierreg.likelihood.groups.summaries import Conditionals, summarise_groups
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
    S, p, J = len(Lambda), len(gram.coef_names), gram.factors[0].n_levels if gram.factors else 0
    likelihood, weights, hat, F = population_at(likelihood, Lambda, covariances.error_cov, max(1, threads))
    rng = np.random.default_rng([seed, 0])
    beta = hat + np.einsum("sij,sj->si", _lower(F), rng.standard_normal((S, p))) if p else hat
    user_beta, K = gram.y_shift + beta @ gram.x_map.T, likelihood.errors.n_terms
    conditionals = Conditionals(
        omega=np.ascontiguousarray(weights[:, :K]),
        roots=np.ascontiguousarray(weights[:, K : 2 * K]),
        Lambda=np.ascontiguousarray(likelihood.z_map_inverse @ Lambda),
        Lambda_user=np.ascontiguousarray(Lambda),
        beta_hat=hat,
        F=F,
    )
    if probs is None:
        b = _draws(conditionals, likelihood.blocks.tiles, np.ascontiguousarray(beta), J, seed, threads)
        return Recovered(beta=user_beta, b=(b,) if gram.factors else (), b_summary=None, theta_summary=None)
    if not probs:
        return Recovered(beta=user_beta, b=None, b_summary=None, theta_summary=None)
    if not gram.factors:
        return Recovered(beta=user_beta, b=None, b_summary=(), theta_summary=())
    matches = tuple(theta_columns[0]) if theta_columns else ()
    targets, shift = np.zeros((1 + bool(matches), gram.n_coef, p)), np.zeros(gram.n_coef)
    for i, column in enumerate(matches):
        if column is not None:
            targets[1, i], shift[i] = gram.x_map[column], gram.y_shift[column]
    of_b, *theta = summarise_groups(conditionals, targets, likelihood.blocks.tiles, J, probs, threads)
    shifted = [replace(one, mean=one.mean + shift, quantiles=one.quantiles + shift) for one in theta]
    return Recovered(beta=user_beta, b=None, b_summary=(of_b,), theta_summary=tuple(shifted) or (None,))


def _draws(  # what is known of groups, the groups, and how to draw
    conditionals: Conditionals, all_tiles: Sequence[Tiles | RowTiles], beta: Array, J: int, seed: int, threads: int
) -> Array:
    """Return b (S, J, q) given beta (S, p), internal."""
    c, (S, q) = conditionals, conditionals.Lambda.shape[:2]
    job = _Job(
        covariances=(c.omega, c.Lambda, c.Lambda_user),
        roots=c.roots,
        beta=beta,
        seed=seed,
        is_compiled=S * J * q > _MANY,
        draws=np.empty((S, J, q)),
    )
    tasks = [
        (tiles, first, which)
        for which, tiles in enumerate(all_tiles)
        for first in range(0, len(tiles.levels), job.chunk(S, tiles))
    ]
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        list(pool.map(lambda task: job.run(*task), tasks))
    return job.draws


def _lower(F: Array) -> Array:
    """Return L (S, p, p), lower triangular with a positive diagonal, L L' = F F', which is not formed."""
    R: Array = np.linalg.qr(np.swapaxes(F, 1, 2), mode="r")
    sign = np.where(np.diagonal(R, axis1=1, axis2=2) < 0, -1.0, 1.0)
    return np.swapaxes(sign[:, :, None] * R, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What draws of b (S, J, q) need; chunks of blocks write theirs by level."""

    covariances: tuple[Array, Array, Array]
    roots: Array
    beta: Array
    seed: int
    is_compiled: bool
    draws: Array

    def chunk(self, S: int, tiles: Tiles | RowTiles) -> int:
        if tiles.width == STRIP:
            return 1
        return max(1, _CHUNK_VALUES // max(1, S * tiles.n_coef * LANES))

    def run(self, tiles: Tiles | RowTiles, first: int, which: int) -> None:
        rng = np.random.default_rng([self.seed, 1 + which, first])
        if isinstance(tiles, Tiles) and tiles.width == STRIP:
            self._run_strip(tiles, first, rng)
            return
        S, q = len(self.beta), self.draws.shape[2]
        n = min(self.chunk(S, tiles), len(tiles.levels) - first)
        draws = rng.standard_normal((S, n, tiles.n_coef, LANES))
        if isinstance(tiles, Tiles) and not self.is_compiled:
            for t in range(n):
                draws[:, t] = draw(self.covariances, tiles, first + t, self.beta, draws[:, t])
        else:
            self._compiled(tiles, first, draws)
        for slot in range(tiles.levels.shape[1]):
            members = tiles.levels[first : first + n, slot]
            tile, lane = np.nonzero(members >= 0)
            mine = slice(slot * q, (slot + 1) * q)
            self.draws[:, members[tile, lane]] = np.moveaxis(draws[:, :, mine], 2, 3)[:, tile, lane]

    def _run_strip(self, tiles: Tiles, t: int, rng: np.random.Generator) -> None:
        S, m = len(self.beta), tiles.n_coef
        levels = tiles.levels[t, 0]
        # Lanes without a group are the last ones.
        levels = levels[levels >= 0]
        n = len(levels)
        if not self.is_compiled:
            normals = rng.standard_normal((S, m, n))
            self.draws[:, levels] = np.swapaxes(draw(self.covariances, tiles, t, self.beta, normals), 1, 2)
            return
        from hierreg.likelihood.groups.strip_moments_kernels import strip_draws

        normals = np.empty((min(S, _DRAWS_AT_ONCE), m * n))
        for first in range(0, S, _DRAWS_AT_ONCE):
            some = slice(first, min(first + _DRAWS_AT_ONCE, S))
            z = rng.standard_normal(out=normals[: some.stop - first])
            covariances = tuple(array[some] for array in self.covariances)
            strip_draws(covariances, tiles.arrays, t, self.beta[some], z, levels, self.draws[some])

    def _compiled(self, tiles: Tiles | RowTiles, first: int, draws: Array) -> None:
        from hierreg.likelihood.groups.moments_kernels import block_draws

        if isinstance(tiles, RowTiles):
            block_draws((self.roots, *self.covariances[1:]), None, tiles.arrays, first, self.beta, draws)
        else:
            block_draws(self.covariances, tiles.arrays, None, first, self.beta, draws)
