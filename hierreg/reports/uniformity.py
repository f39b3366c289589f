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
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import read_only

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
    n = largest + 1
    # The counts between places have to be equally probable.
    step = next(s for s in range(max(1, -(-n // 100)), n + 1) if n % s == 0)
    return np.arange(step, n, step) / n


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
    K = len(counts)
    return _probability_of(float(np.min(_two_sided(n, K)[np.arange(K), counts])), n, K)


@lru_cache(maxsize=4)
def _two_sided(n: int, K: int) -> Array:
    """Return the two-sided tail probability (K, n + 1) of each count below each of K places."""
    from scipy.special import bdtr, bdtrc

    z, counts = (np.arange(1, K + 1) / (K + 1))[:, None], np.arange(n + 1)[None, :]
    above = np.where(counts > 0, bdtrc(np.maximum(counts - 1, 0), n, z), 1.0)
    return read_only(np.minimum(1.0, 2.0 * np.minimum(bdtr(counts, n, z), above)))


def _probability_of(level: float, n: int, K: int) -> float:
    """Return how probable a two-sided tail probability of `level` or less is at one of the places."""
    # A last digit must not decide whether what was seen counts as that far out.
    lower, upper = _accepted(level * (1 + 1e-9), n, K)
    return float(np.clip(1.0 - _chance_within(lower, upper, n), 0.0, 1.0))


def _accepted(level: float, n: int, K: int) -> tuple[Index, Index]:
    """Return the least and the largest count at each place whose two-sided probability is above a level."""
    is_in = _two_sided(n, K) > level
    lower, upper = np.argmax(is_in, axis=1), n - np.argmax(is_in[:, ::-1], axis=1)
    return lower, np.where(is_in.any(axis=1), upper, lower - 1)


def _chance_within(lower: Index, upper: Index, n: int) -> float:
    """Return how probable it is that all counts (K,) are within their bounds."""
    from scipy.special import gammaln, xlog1py, xlogy

    K = len(lower)
    if np.any(lower > upper):
        return 0.0
    log_factorial = gammaln(np.arange(n + 1) + 1.0)
    before, chance = np.array([0]), np.array([1.0])
    for i, (low, high) in enumerate(zip(lower, upper, strict=True)):
        now = np.arange(low, high + 1)
        more, left, p = now[None, :] - before[:, None], n - before[:, None], 1.0 / (K + 1 - i)
        k = np.clip(more, 0, left)
        log = log_factorial[left] - log_factorial[k] - log_factorial[left - k] + xlogy(k, p) + xlog1py(left - k, -p)
        before, chance = now, chance @ np.where((more >= 0) & (more <= left), np.exp(log), 0.0)
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
    K, low, high = len(z), 0.0, 1.0
    for _ in range(_SEARCHES):
        level = 0.5 * (low + high)
        low, high = (low, level) if _probability_of(level, n, K) > 1 - prob else (level, high)
    lower, upper = _accepted(low, n, K)
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
