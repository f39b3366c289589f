"""Means, standard deviations and quantiles of group coefficients, without draws of them.

Given a draw of the variance parameters a coefficient is normal, beta integrated out, so that its posterior is a mixture
of normals, one a draw: mean and variance follow in closed form (Rao-Blackwell), and quantiles are those of the mixture.
What the normals differ by is what the data leave open of a few variances, so that some dozens of them do: groups take
draws, evenly spaced, until `MOST_ERROR` is reached.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.compiled.lanes import LANES
from hierreg.likelihood.drawn import EffectSummary
from hierreg.likelihood.groups.moments_by_numpy import moments_at_draws, slices_of
from hierreg.likelihood.groups.rows import RowTiles
from hierreg.likelihood.mixtures import quantiles_of_mixture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from hierreg.likelihood.groups.tiles import Tiles

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Monte-Carlo error of means and quantiles that is allowed, in posterior standard deviations.
MOST_ERROR = 0.015
_FEWEST_DRAWS = 32
# Blocks at once, so that what is known of them at a few dozen draws stays in the cache.
_BLOCKS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditionals:
    """Normal distributions of the group coefficients at S draws.

    Attributes
    ----------
    omega, roots : array (S, K)
        Weights of the error terms, and their roots, which blocks by rows read.
    Lambda, Lambda_user : array (S, q, q)
    beta_hat : array (S, p)
        Conditional means, internal.
    F : array (S, p, p)
        Their covariance is F F'.
    """

    omega: Array
    roots: Array
    Lambda: Array
    Lambda_user: Array
    beta_hat: Array
    F: Array

    def at(self, which: Index) -> Conditionals:
        """Return those of some draws."""
        return replace(
            self,
            omega=self.omega[which],
            roots=self.roots[which],
            Lambda=self.Lambda[which],
            Lambda_user=self.Lambda_user[which],
            beta_hat=self.beta_hat[which],
            F=self.F[which],
        )

    def moments(self, targets: Array, tiles: Tiles | RowTiles, some: slice) -> tuple[Array, Array]:
        """Return mean and variance, (T, m, S, tiles, width), of the coefficients of blocks."""
        if isinstance(tiles, RowTiles):
            return _moments_by_rows(self, targets, tiles, some)
        covariances = self.omega, self.Lambda, self.Lambda_user
        return moments_at_draws(covariances, tiles, some, (self.beta_hat, self.F, targets))


def summarise_groups(  # what is known of groups, the groups, and what is asked of them
    conditionals: Conditionals,
    targets: Array,
    all_tiles: Sequence[Tiles | RowTiles],
    J: int,
    probs: Sequence[float],
    threads: int,
) -> tuple[EffectSummary, ...]:
    """Return a summary of each target for J groups: target t of targets (T, q, p) is b plus targets[t] @ beta."""
    T, q = targets.shape[:2]
    order = _evenly_spread(len(conditionals.omega))
    mean, sd = np.zeros((2, T, J, q))
    quantiles = np.zeros((T, len(probs), J, q))

    def run(task: tuple[Tiles | RowTiles, slice]) -> float:
        tiles, some = task
        tile, slot, lane = np.nonzero(tiles.levels[some] >= 0)
        levels = tiles.levels[some][tile, slot, lane]
        if not len(levels):
            return 0.0

        def of_levels(moment: Array) -> Array:
            by_slot = moment.reshape(T, -1, q, *moment.shape[2:]).transpose(1, 4, 5, 0, 2, 3)
            return np.ascontiguousarray(by_slot[slot, tile, lane])  # (levels, T, q, S)

        def at(which: Index) -> tuple[Array, ...]:
            return tuple(of_levels(moment) for moment in conditionals.at(which).moments(targets, tiles, some))

        means, sds, found, error = _until_known(at, order, probs)
        centre = means.mean(axis=-1)
        mean[:, levels] = np.moveaxis(centre, 1, 0)
        variance = np.mean(sds * sds + (means - centre[..., None]) ** 2, axis=-1)
        sd[:, levels] = np.moveaxis(np.sqrt(variance), 1, 0)
        quantiles[:, :, levels] = np.moveaxis(found, 2, 0)
        return error

    tasks = [(tiles, some) for tiles in all_tiles for some in _pieces(tiles)]
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        error = max(pool.map(run, tasks), default=0.0)
    return tuple(EffectSummary(mean=mean[t], sd=sd[t], quantiles=quantiles[t], error=error) for t in range(T))


def _until_known(
    at: Callable[[Index], tuple[Array, ...]], order: Index, probs: Sequence[float]
) -> tuple[Array, Array, Array, float]:
    """Return means and sds (levels, T, q, draws) at as many draws as are needed, quantiles, and the largest error."""
    taken, wanted, parts = 0, _FEWEST_DRAWS, []
    while True:
        mean, variance = at(order[taken:wanted])
        parts.append((mean, np.sqrt(variance)))
        means, sds = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
        quantiles, errors = quantiles_of_mixture(means, sds, probs)
        taken, error = means.shape[-1], float(errors.max())
        if error <= MOST_ERROR or taken == len(order):
            return means, sds, quantiles, error
        share = min(error / MOST_ERROR, np.sqrt(len(order)))
        wanted = max(2 * taken, int(1.1 * taken * share * share))


def _evenly_spread(S: int) -> Index:
    """Return the draws (S,) in an order whose beginnings are spread over all: van der Corput's."""
    n_bits = max(1, (S - 1).bit_length())
    reversed_bits = np.zeros(2**n_bits, dtype=np.intp)
    for bit in range(n_bits):
        reversed_bits = 2 * reversed_bits + ((np.arange(2**n_bits) >> bit) & 1)
    # Of 2^n places on a line as long as all draws, those that belong to a new draw.
    places = reversed_bits * S >> n_bits
    order: Index = places[np.sort(np.unique(places, return_index=True)[1])]
    return order


def _pieces(tiles: Tiles | RowTiles) -> Iterator[slice]:
    """Yield slices of tiles that are factored all or none, of some hundred blocks."""
    if isinstance(tiles, RowTiles):
        step = _BLOCKS // LANES
        yield from (slice(first, first + step) for first in range(0, len(tiles.levels), step))
    else:
        yield from slices_of(tiles, _BLOCKS // tiles.width)


def _moments_by_rows(conditionals: Conditionals, targets: Array, tiles: RowTiles, some: slice) -> tuple[Array, Array]:
    from hierreg.likelihood.groups.moments_kernels import block_moments

    c, m = conditionals, tiles.n_coef
    (T, q, p), S, n = targets.shape, len(c.omega), len(tiles.levels[some])
    indptr, *entries, basis, is_left, fit = tiles.arrays
    rows = indptr[some.start : some.start + n + 1], *entries, basis[some], is_left[some], fit[some]
    means, variances = np.empty((2, T, m, S, n, LANES))
    own, both, cond, cross = (np.empty((n, m, columns, LANES)) for columns in (1, m, m, p))
    for s in range(S):
        v = np.append(-c.beta_hat[s], 1.0)[:, None]
        block_moments((c.roots[s], c.Lambda[s], c.Lambda_user[s]), rows, v, c.F[s], (own, both, cond, cross))
        for t, target in enumerate(targets):
            of_beta = cross + np.tile(target @ c.F[s], (m // q, 1))[:, :, None]
            shift = np.tile(target @ c.beta_hat[s], m // q)[:, None, None]
            means[t, :, s] = np.moveaxis(own[:, :, 0], 1, 0) + shift
            variance = np.einsum("nmml->mnl", cond) + np.einsum("nmcl,nmcl->mnl", of_beta, of_beta)
            variances[t, :, s] = variance
    return means, variances
