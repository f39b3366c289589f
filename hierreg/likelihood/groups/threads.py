"""The marginal likelihood of many groups on several threads, called from Python.

Tiles are evaluated in chunks of a fixed size whose sums are added in their order, so that the result does not depend
on the number of threads to the last bit. The threads are Python's: the kernels release the interpreter's lock. numba's
own threads abort the process where two threads of a program start them at once, as samplers do, and chains that run
side by side need none: theirs is `kernels.log_likelihood_of`, on the thread that calls it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hierreg.compiled.lanes import LANES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from hierreg.likelihood.groups.record import BaseRecord

    Array = NDArray[np.float64]

# Tiles a chunk: about a millisecond, far above what handing it to a thread costs. 65,536 groups in strips, else 8,192.
CHUNK = 1024
# Chunks from which threads are worth their start; the same for one thread, whose sums must be the same.
_FEWEST_CHUNKS = 8


def is_large(n_tiles: int) -> bool:
    """Return whether there is enough to do for several threads."""
    return n_tiles >= _FEWEST_CHUNKS * CHUNK


class _Piece(NamedTuple):
    """The functions of one chunk: for the sums over it, and for their gradient.

    Attributes
    ----------
    absorb : function of (omega, root), Lambda and the total that is added to
        Returns the sum of log|M|.
    differentiate : function of omega, Lambda, (P^-1, beta, G, T) and the gradients that are added to
    """

    absorb: Callable[[tuple[Array, Array], Array, Array], float]
    differentiate: Callable[[Array, Array, tuple[Array, Array, Array, Array], Array, Array], None]


def _pieces(kinds: tuple[tuple[Array, ...] | None, ...]) -> Iterator[_Piece]:
    """Yield the chunks of one kind of strips, or those of tiles."""
    from hierreg.likelihood.groups import kernels, strip_kernels

    theta, strips, *tiles, rows = kinds
    if theta is not None:
        term, products, K = theta
        for first in range(0, len(term), CHUNK):
            some = slice(first, first + CHUNK)
            yield _theta_piece((term[some], products[some], K))
    if strips is not None:
        for chunk in _chunks_of(strips):
            room = strip_kernels.room_for_strips(chunk)
            yield _piece(chunk, room, strip_kernels.absorb_strips, strip_kernels.gradient_of_strips)
    for blocks in tiles:
        if blocks is not None:
            # Memory in one piece for all: threads would ask the system for pieces of their own each time.
            factors = kernels.room_for_factors(blocks, len(blocks[0]) - 1)
            for i, chunk in enumerate(_chunks_of(blocks)):
                mine = tuple(array[i * CHUNK : (i + 1) * CHUNK] for array in factors)
                yield _piece(chunk, mine, kernels.absorb_blocks, kernels.gradient_of_blocks)
    if rows is not None:
        yield from _row_pieces(rows)


def _chunks_of(blocks: tuple[Array, ...]) -> Iterator[tuple[Array, ...]]:
    """Yield views of CHUNK tiles of the arrays of `tiles.Tiles.arrays`."""
    indptr, term, ZtZ, ZtW, weight, factored = blocks
    for first in range(0, len(indptr) - 1, CHUNK):
        some = slice(first, first + CHUNK)
        yield indptr[first : first + CHUNK + 1], term, ZtZ, ZtW, weight[some], factored[some]


def _row_pieces(rows: tuple[Array, ...]) -> Iterator[_Piece]:
    from hierreg.likelihood.groups.row_kernels import room_for_rows

    indptr, *entries, basis, is_left, fit = rows
    factors = room_for_rows(rows, len(indptr) - 1)
    for first in range(0, len(indptr) - 1, CHUNK):
        some = slice(first, first + CHUNK)
        chunk = indptr[first : first + CHUNK + 1], *entries, basis[some], is_left[some], fit[some]
        yield _row_piece(chunk, tuple(array[some] for array in factors))


def _row_piece(rows: tuple[Array, ...], room: Any) -> _Piece:
    from hierreg.likelihood.groups.row_kernels import absorb_rows, gradient_of_rows

    return _Piece(
        lambda precision, Lambda, total: absorb_rows(precision[1], Lambda, rows, room, total),
        lambda _, Lambda, weights, *gradients: gradient_of_rows(Lambda, rows, room, *weights[::3], *gradients),
    )


def _theta_piece(theta: tuple[Array, ...]) -> _Piece:
    from hierreg.likelihood.groups.theta_kernels import absorb_theta, gradient_of_theta

    return _Piece(
        lambda precision, Lambda, total: absorb_theta(precision[0], Lambda, theta, total),
        lambda omega, Lambda, weights, g_factor, _: gradient_of_theta(omega, Lambda, theta, *weights[:2], g_factor),
    )


def _piece(
    blocks: tuple[Array, ...], room: Any, absorb: Callable[..., float], differentiate: Callable[..., None]
) -> _Piece:
    return _Piece(
        lambda precision, Lambda, total: absorb(precision[0], Lambda, blocks, room, total),
        lambda omega, Lambda, weights, *gradients: differentiate(omega, Lambda, blocks, room, weights[2:], *gradients),
    )


def _of_residuals(
    precision: tuple[Array, Array], Lambda: Array, kinds: tuple[tuple[Array, ...] | None, ...], left: Any, beta: Array
) -> float:
    """Return the residual form where what groups fit is squared after it is added up, too."""
    from hierreg.likelihood.groups import kernels

    omega, root = precision
    value: float = kernels.residual_form(root, left, np.zeros((len(beta) + 1, len(beta) + 1)), beta)
    value += kernels.quadratic_of_strips(omega, Lambda, kinds[1], beta)
    value += kernels.quadratic_of_tiles(omega, Lambda, kinds[2], beta)
    value += kernels.quadratic_of_rows(root, Lambda, kinds[4], beta)
    return value


def log_likelihood_in_chunks(
    Lambda: Array,
    weights: Array,
    arguments: tuple[BaseRecord, tuple[Any, ...]],
    g_Lambda: Array,
    g_omega: Array,
    threads: int,
) -> float:
    """Return what `kernels.log_likelihood_of` does, by chunks of tiles.

    Parameters
    ----------
    Lambda : array (q, q)
        Internal scale.
    weights : array (2 K + 2,)
    arguments : tuple
        What is read beside the groups, and the arrays of these: `blocks.SplitBlocks.arrays`.
    g_Lambda, g_omega : arrays (q, q), (K,)
        Overwritten.
    threads : int
    """
    from hierreg.likelihood.groups import kernels

    own, kinds = arguments
    base, left, (most_of_y, most) = own.base, (own.left, own.left_of, own.prior_rows), own.most_subtracted
    (K, p1, _), q = base.shape, len(Lambda)
    omega, root, log_det_R = weights[:K], weights[K : 2 * K], weights[2 * K]
    B, C, G, T = np.empty((4, p1, p1))
    P, P_inv, beta = np.empty((p1 - 1, p1 - 1)), np.empty((p1 - 1, p1 - 1)), np.empty(p1 - 1)
    pieces = list(_pieces(kinds))

    def absorb(piece: _Piece) -> tuple[float, Array]:
        total = np.zeros((K + 1, p1, p1, LANES))
        return piece.absorb((omega, root), Lambda, total), total

    def differentiate(piece: _Piece) -> tuple[Array, Array]:
        g_factor, mine = np.zeros((K + 1, q, q, LANES)), np.zeros(K)
        piece.differentiate(omega, Lambda, (P_inv, beta, G, T), g_factor, mine)
        return g_factor, mine

    g_Lambda[:], g_omega[:] = 0.0, 0.0
    with ThreadPoolExecutor(max_workers=threads) as pool:
        share = pool.map if threads > 1 else map
        log_dets, totals = zip(*share(absorb, pieces), strict=True)
        total = sum(totals, np.zeros((K + 1, p1, p1, LANES)))
        kernels.reduce_population(omega, base, own.W0, most, total, B, C)
        log_det_P, quadratic = kernels.solve_population(C, B, P, beta, own.is_strict)
        if not own.is_exact:
            if not kernels.has_digits(C, B, P, quadratic, most_of_y, own.is_strict):
                quadratic = np.nan
        elif np.isfinite(quadratic):
            quadratic = kernels.residual_form(root, left, B, beta)
            if (own.is_strict or kinds[0] is None) and kernels.is_noise(B, beta, quadratic):
                quadratic = np.nan if own.is_strict else _of_residuals((omega, root), Lambda, kinds, left, beta)
        value = own.constant - 0.5 * (log_det_R + sum(log_dets) + quadratic + (log_det_P if own.integrate else 0.0))
        if not np.isfinite(value):
            return -np.inf
        kernels.population_weights(P, beta, own.integrate, P_inv, G, T)
        g_factors, g_omegas = zip(*share(differentiate, pieces), strict=True)
    for part in g_omegas:
        g_omega += part
    if own.is_exact:
        kernels.add_residual_gradient(left, beta, g_omega)
    G_base, g_factor = kernels.weights_of_base(G, P_inv, own.is_exact), sum(g_factors, np.zeros((K + 1, q, q, LANES)))
    kernels.collect_gradient(omega, Lambda, base, total, g_factor, G, G_base, g_Lambda, g_omega)
    return float(value)
