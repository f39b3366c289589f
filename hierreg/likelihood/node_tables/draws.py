"""Draws of the effects of groups given the parameters, where a table at fixed nodes says most of their density.

About the posterior of theta_j the log-likelihood of a group is nearly that of a normal model, the same for all values
of the parameters: the one that has, with the prior of theta_j at the mean of the parameters, the moments that the table
tells. Given parameters, its conditional is known in closed form, without a node or a row; proposals are Student t about
it. The ratio of target and proposal is, but for what depends on the parameters alone, a function of theta_j and of
where it is in the proposal. Its largest value at points of the proposals at some of the parameters bounds it, and
rejection needs about 1.4 proposals, each of which reads the rows of the group once (Caffo, Booth and Davis 2002 call
such bounds empirical). Groups get more proposals, in rounds, until one is accepted. Where a proposal is above the
bound, or none of all was accepted, the draw is the end of an independence chain through all of them, as in
`quadrature.draws`.

References
----------
Caffo, B. S., Booth, J. G. and Davis, A. F. (2002). Empirical supremum rejection sampling. Biometrika 89, 745-754.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import SamplingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.node_tables.table import NodeTable
    from hierreg.likelihood.quadrature.engine import QuadratureLikelihood

    Array = NDArray[np.float64]
    Nearest = tuple[Array, Array, Array, Array]

# Proposals of the rounds, and effects of one group that are drawn together: enough that what a round costs besides
# does not count, few enough that its numbers stay in the cache.
ROUNDS, _TOGETHER = (1, 2, 5), 2**15
_DF, _MARGIN = 5.0, 0.05
# Distances from the centre, in units of the normal model, and directions, of the points by which ratios are bounded;
# and values of the parameters besides those of which one is extreme.
_DISTANCES, _AMONG = (0.7, 1.4, 2.1, 2.8, 3.5), 8
_STREAM = 304


def draw_effects(
    likelihood: QuadratureLikelihood, table: NodeTable, phi: Array, Lambda: Array, *, seed: int, threads: int
) -> Array:
    """Return draws of v (S, J, q), one for each of S values of the parameters.

    Parameters
    ----------
    likelihood : QuadratureLikelihood
        Its rows are those that the table is of.
    table : NodeTable
    phi, Lambda : arrays (S, p), (S, q, q)
    seed : int
        The draws depend on it and on nothing else, whatever the number of threads.
    """
    from hierreg.likelihood.node_tables.draw_kernels import DONE
    from hierreg.likelihood.node_tables.draw_kernels import draw_effects as draw

    S, (J, q) = len(phi), table.place.shape
    phi, Lambda = np.ascontiguousarray(phi), np.ascontiguousarray(Lambda)
    out, rows = np.zeros((S, J, q)), likelihood.rows
    nearest = _nearest(table, phi.mean(axis=0), Lambda.mean(axis=0))
    some = _some_of(phi, Lambda)
    bound = _bounds(rows, nearest, phi[some], Lambda[some]) + _MARGIN
    size = max(1, _TOGETHER // J)

    def fill(first: int) -> bool:
        mine = slice(first, min(first + size, S))
        n = mine.stop - first
        rng = np.random.default_rng([seed, _STREAM, first])
        turns, state, last = np.arange(J * n), np.zeros(J * n, dtype=np.intp), np.full(J * n, -np.inf)
        for m in ROUNDS:
            shape = (len(turns), m)
            t = rng.standard_normal((*shape, q)) * np.sqrt(_DF / rng.chisquare(_DF, shape))[:, :, None]
            exponentials = rng.standard_exponential((len(turns), 2, m))
            turn = (turns, t, exponentials, state, last, out[mine])
            if not draw(rows, nearest, bound, phi[mine], Lambda[mine], _DF, *turn):
                return False
            turns = np.flatnonzero(state != DONE)
        return True

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        found = list(pool.map(fill, range(0, S, size)))
    if not all(found):
        raise _no_covariance()
    return out


def _bounds(rows: tuple[Any, ...], nearest: Nearest, phi: Array, Lambda: Array) -> Array:
    """Return the largest log ratio of each group (J,) at points of the proposals and S values of the parameters.

    A chain that no chance lets go lower ends there.
    """
    from hierreg.likelihood.node_tables.draw_kernels import draw_effects as draw

    S, (J, q) = len(phi), nearest[0].shape
    points, highest, none = _points(q), np.full(J * S, -np.inf), np.full(J, np.inf)
    state, unused = np.zeros(J * S, dtype=np.intp), np.empty((S, J, q))
    size = max(1, _TOGETHER // (S * len(points)))
    for first in range(0, J, size):
        turns = np.arange(first * S, min(first + size, J) * S)
        proposals = np.tile(points, (len(turns), 1, 1))
        certain = np.zeros((len(turns), 2, len(points)))
        if not draw(rows, nearest, none, phi, Lambda, _DF, turns, proposals, certain, state, highest, unused):
            raise _no_covariance()
    return highest.reshape(J, S).max(axis=1)


def _no_covariance() -> SamplingError:
    return SamplingError(
        "the effects of a group have no covariance at draws of the parameters. Responses or offsets many orders of "
        "magnitude apart are the likely cause."
    )


def _nearest(table: NodeTable, phi: Array, Lambda: Array) -> Nearest:
    """Return the normal model of each group nearest to its log-likelihood: m, A, h and P (see `draw_kernels`).

    With the prior of theta at these parameters it has the mean and covariance that the table tells; where the
    likelihood says less than that of a normal response can, it says nothing.

    Raises
    ------
    SamplingError
        If theta of a group has no covariance.
    """
    mean, cov = table.moments(phi[None], Lambda[None])
    try:
        root, place = np.linalg.cholesky(cov), table.place
    except np.linalg.LinAlgError:
        raise _no_covariance() from None
    to_unit = np.linalg.inv(root)
    z = np.linalg.solve(Lambda, root)
    # In units of the posterior: the precision that the prior does not explain.
    values, vectors = np.linalg.eigh(np.eye(len(Lambda)) - np.swapaxes(z, 1, 2) @ z)
    of_unit = np.swapaxes(vectors, 1, 2) @ to_unit
    curvature = np.swapaxes(of_unit, 1, 2) @ (np.maximum(values, 0.0)[:, :, None] * of_unit)
    # P (mean - m) + Sigma^-1 (mean - A phi) = h
    of_prior = np.linalg.solve(Lambda, (mean - table.maps @ phi).T)
    slope = (curvature @ (mean - place)[:, :, None])[:, :, 0] + np.linalg.solve(Lambda.T, of_prior).T
    return tuple(np.ascontiguousarray(x) for x in (place, table.maps, slope, curvature))  # type: ignore[return-value]


def _some_of(phi: Array, Lambda: Array) -> NDArray[np.intp]:
    """Return which values of the parameters bounds are found at: those of which one is extreme, and some between."""
    S, q = len(phi), Lambda.shape[1]
    columns = np.concatenate([phi, Lambda[:, *np.tril_indices(q)]], axis=1)
    between = np.linspace(0, S - 1, min(_AMONG, S)).astype(np.intp)
    return np.unique(np.concatenate([columns.argmin(axis=0), columns.argmax(axis=0), between]))


def _points(q: int) -> Array:
    """Return points (K, q) around the origin, along the axes and between them."""
    grid = np.array([one for one in product((-1.0, 0.0, 1.0), repeat=q) if any(one)])
    unit = grid / np.linalg.norm(grid, axis=1, keepdims=True)
    return np.concatenate([np.zeros((1, q)), *(distance * unit for distance in _DISTANCES)])
