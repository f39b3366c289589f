"""Draws of equal weight from weighted ones, and what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Draws are enough where they are worth this share of as many independent ones.
_GOOD_SHARE = 0.95


def resample(weight: Array, S: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return S indices, each i floor(S w_i) or ceil(S w_i) times (systematic resampling in random order).

    References
    ----------
    Kitagawa, G. (1996). Monte Carlo filter and smoother for non-Gaussian nonlinear state space models. Journal of
    Computational and Graphical Statistics 5, 1-25.
    """
    order = rng.permutation(len(weight))
    edges = np.cumsum(weight[order])
    places = (rng.random() + np.arange(S)) / S * edges[-1]
    return np.asarray(order[np.minimum(np.searchsorted(edges, places, side="right"), len(weight) - 1)])


def resampled_ess(weight: Array, S: int, times: float = 1.0) -> float:
    """Return the number of independent draws that S resampled ones are worth.

    The variance of a mean over them is that of the weighted mean and of the resampling: with p the fractional part of
    S w, a variance of one becomes sum w^2 + sum p (1 - p) / S^2. That is 1 / S where S w_i <= 1 for all i.

    Parameters
    ----------
    weight : array (N,)
    S : int
    times : float
        As if there were so many times as many proposals.
    """
    p = np.mod(S * weight / times, 1.0)
    return float(1.0 / (weight @ weight / times + times * (p @ (1.0 - p)) / S**2))


def proposals_needed(weight: Array, S: int, most: int, step: float = 0.25) -> int:
    """Return how many proposals with such weights S draws need, at most `most`, to a factor of 2^step."""
    times = 2.0 ** np.arange(-8, 24, step)
    enough = (t for t in times if resampled_ess(weight, S, t) >= _GOOD_SHARE * S)
    return int(min(np.ceil(next(enough, np.inf) * len(weight)), most))
