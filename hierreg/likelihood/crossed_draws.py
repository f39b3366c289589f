"""Densities of crossed factors with exact draws of the coefficients beside them.

Importance sampling evaluates the density at points of which most become draws. Nearly all of an evaluation is the
elimination, of which a draw of all coefficients is one more product: made there, they need no second elimination.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from hierreg.variances.parameters import covariances

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.likelihood.crossed.engine import CrossedLikelihood
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]

# Of random numbers: others than those of draws that are made afterwards.
_STREAM = 105


class Evaluated(Protocol):
    """What is asked of a density, that of `posterior.Target`."""

    @property
    def parameters(self) -> VarianceParameters:
        """What u means."""

    def values(self, points: Array, *, threads: int = 1, after: Callable[[int], None] | None = None) -> Array:
        """Return the log densities (k,) of points (k, n_free); ``after`` is called with the number of each."""


class WithDraws:
    """The log density of a model with crossed factors, which keeps a draw of the coefficients at each point.

    Parameters
    ----------
    target : Target
    likelihood : CrossedLikelihood
        The target's own.
    seed : int
        The draws depend on it and on the number of the point alone.
    most_bytes : int
        If all draws take more, none are kept.
    """

    def __init__(self, target: Evaluated, likelihood: CrossedLikelihood, *, seed: int, most_bytes: int) -> None:
        self._target, self._likelihood, self._seed, self._most_bytes = target, likelihood, seed, most_bytes
        self._kept: list[Array] = []
        self._n = 0

    def values(self, points: Array, *, threads: int = 1) -> Array:
        """Return the log densities (k,) of points (k, n_free)."""
        plan = self._likelihood.plan
        width = plan.n_node_columns + plan.n_tail
        if 8 * width * (self._n + len(points)) > self._most_bytes:
            self._kept, self._most_bytes = [], 0
            return self._target.values(points, threads=threads)
        draws = np.empty((len(points), width))
        values = self._target.values(points, threads=threads, after=self._drawer(points, draws))
        self._kept.append(draws)
        self._n += len(points)
        return values

    def _drawer(self, points: Array, draws: Array) -> Callable[[int], None]:
        """Return what writes the draw at a point, in the thread that has just evaluated it."""
        from hierreg.likelihood.crossed.moments_kernels import carry_back

        likelihood, first = self._likelihood, self._n
        plan = likelihood.plan
        nodes, dense = plan.nodes, plan.dense
        internal = likelihood.z_map_inverse @ covariances(self._target.parameters, points).Lambda

        def draw(s: int) -> None:
            rng = np.random.default_rng([self._seed, _STREAM, first + s])
            z = rng.standard_normal(draws.shape[1] - 1)
            carry_back(*likelihood.room(), internal[s], nodes, dense, z, draws[s])

        return draw

    def draws_of(self, which: NDArray[np.intp]) -> Array | None:
        """Return the draws at points by number (S, width), NaN where a point is there again; None if none are kept."""
        if not self._kept:
            return None
        out = np.concatenate(self._kept)[which]
        _, first = np.unique(which, return_index=True)
        again = np.ones(len(which), dtype=bool)
        again[first] = False
        out[again] = np.nan
        return out
