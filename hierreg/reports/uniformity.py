"""Whether ranks are uniform: exact bands and probabilities of their distribution function, and of two shapes.

With n ranks among 0 .. L, of which c_i are below z_i (L + 1), the counts c_i are binomial where ranks are uniform. The
smallest of the two-sided tail probabilities of all c_i is the statistic; how small it becomes by chance follows
from a recursion over i, because the counts are a Markov chain: c_{i+1} - c_i is binomial given c_i.

References
----------
Säilynoja, Bürkner and Vehtari (2022), Statistics and Computing 32, 32, section 2: simultaneous bands of an empirical
distribution function and the recursion for their coverage. Cook, Gelman and Rubin (2006), Journal of Computational
and Graphical Statistics 15(3), 675-692: normal scores of ranks and their sum of squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

_SEARCHES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Probabilities (Q,) of what was seen, or more, if ranks were uniform; two-sided.

    Attributes
    ----------
    ecdf : array
        Of the distribution function, wherever it deviates.
    bias : array
        Of the mean of the normal scores.
    spread : array
        Of their sum of squares.
    mean, square : arrays
        Mean and mean square of the normal scores, in units of those of uniform ranks: zero and one.
    """

    ecdf: Array
    bias: Array
    spread: Array
    mean: Array
    square: Array


def evidence_of(ranks: Index, largest: int) -> Evidence:
    """Return the tests of ranks (n, Q) among 0 .. largest."""
    from scipy.special import gammainc, gammaincc, ndtr

    n = len(ranks)
    scores, second, fourth = _scores(largest)
    own = scores[ranks]
    mean = own.sum(axis=0) / np.sqrt(n * second)
    square = np.sum(own**2, axis=0)
    # A gamma distribution with the mean and variance of the sum of squares.
    shape = n * second**2 / (fourth - second**2)
    x = square / (n * second) * shape
    tails = np.minimum(gammainc(shape, x), gammaincc(shape, x))
    return Evidence(
        ecdf=np.array([probability(counts_below(column, largest), n) for column in ranks.T]),
        bias=2.0 * ndtr(-np.abs(mean)),
        spread=np.minimum(1.0, 2.0 * tails),
        mean=own.mean(axis=0) / np.sqrt(second),
        square=square / (n * second),
    )


def _scores(largest: int) -> tuple[Array, float, float]:
    """Return the normal scores of ranks 0 .. largest, with their mean square and mean fourth power."""
    from scipy.special import ndtri

    scores = ndtri((np.arange(largest + 1) + 0.5) / (largest + 1))
    return scores, float(np.mean(scores**2)), float(np.mean(scores**4))


def places(largest: int) -> Array:
    """Return where distribution functions are compared, in (0, 1): a hundred places at most."""
    step = max(1, -(-(largest + 1) // 100))
    return np.arange(step, largest + 1, step) / (largest + 1)


def counts_below(ranks: Index, largest: int) -> Index:
    """Return how many of the ranks (n,) are below each of `places`."""
    below = np.concatenate([[0], np.cumsum(np.bincount(ranks, minlength=largest + 1))])
    at = np.round(places(largest) * (largest + 1)).astype(np.intp)
    return np.asarray(below[at], dtype=np.intp)


def probability(counts: Index, n: int) -> float:
    """Return how probable it is that uniform ranks deviate as far as these counts do, somewhere.

    Parameters
    ----------
    counts : int array (K,)
        Of n ranks, those below the places i / (K + 1).
    n : int
    """
    z = np.arange(1, len(counts) + 1) / (len(counts) + 1)
    return _probability_of(float(np.min(_two_sided(counts, n, z))), n, z)


def _two_sided(counts: Index, n: int, z: Array) -> Array:
    from scipy.stats import binom

    tails = np.minimum(binom.cdf(counts, n, z), binom.sf(counts - 1, n, z))
    return np.asarray(np.minimum(1.0, 2.0 * tails))


def _probability_of(level: float, n: int, z: Array) -> float:
    """Return how probable a two-sided tail probability of `level` or less is at one of the places."""
    # A last digit must not decide whether what was seen counts as that far out.
    lower, upper = _accepted(level * (1 + 1e-9), n, z)
    return float(np.clip(1.0 - _chance_within(lower, upper, n, z), 0.0, 1.0))


def _accepted(level: float, n: int, z: Array) -> tuple[Index, Index]:
    """Return the least and the largest count at each place whose two-sided probability is above a level."""
    from scipy.stats import binom

    lower, upper = (binom.ppf(p, n, z).astype(np.intp) for p in (min(level / 2, 1.0), max(1 - level / 2, 0.0)))
    for side, step, inward in ((lower, -1, 1), (upper, 1, -1)):
        for _ in range(3):
            side[:] = np.where(_two_sided(side + step, n, z) > level, side + step, side)
        for _ in range(3):
            side[:] = np.where(_two_sided(side, n, z) > level, side, side + inward)
    return np.maximum(lower, 0), np.minimum(upper, n)


def _chance_within(lower: Index, upper: Index, n: int, z: Array) -> float:
    """Return how probable it is that all counts (K,) are within their bounds."""
    from scipy.stats import binom

    if np.any(lower > upper):
        return 0.0
    before, chance, at = np.array([0]), np.array([1.0]), 0.0
    for low, high, place in zip(lower, upper, z, strict=True):
        now = np.arange(low, high + 1)
        step = binom.pmf(now[None, :] - before[:, None], n - before[:, None], (place - at) / (1 - at))
        before, chance, at = now, chance @ step, float(place)
    return float(chance.sum())


def band(n: int, largest: int, prob: float) -> tuple[Array, Array, Array]:
    """Return places (K,) and the ends (K,) between which the distribution function of n uniform ranks lies everywhere.

    Parameters
    ----------
    n : int
    largest : int
        Ranks are among 0 .. largest.
    prob : float
        The least probability with which it does.
    """
    z = places(largest)
    low, high = 0.0, 1.0
    for _ in range(_SEARCHES):
        level = 0.5 * (low + high)
        low, high = (low, level) if _probability_of(level, n, z) > 1 - prob else (level, high)
    lower, upper = _accepted(low, n, z)
    return z, lower / n, upper / n


def holm(p: Array) -> Array:
    """Return probabilities (Q,) that hold for all quantities together, whatever their dependence.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70.

    Examples
    --------
    >>> holm(np.array([0.01, 0.5, 0.04])).tolist()
    [0.03, 0.5, 0.08]
    """
    order = np.argsort(p)
    factors = np.arange(len(p), 0, -1)
    out = np.empty(len(p))
    out[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return out
