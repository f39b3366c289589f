"""Numbers that compare two sets of draws: distances, weights, and what a posterior has beyond its prior."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Log ratios that vary by less are all the same.
_SAME = 1e-10
# Of a normal distribution, the distance of its quartiles in standard deviations.
QUARTILES_OF_NORMAL = 1.3489795003921634


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothed:
    """Pareto-smoothed weights (S,), which add up to one, and the k of their tail; NaN where all are the same."""

    weight: Array
    pareto_k: float


def smoothed(log_ratio: Array) -> Smoothed:
    """Return weights from their logarithms (S,), but for a constant."""
    from arviz_stats.base.array import array_stats

    if np.ptp(log_ratio) < _SAME:
        return Smoothed(weight=np.full(len(log_ratio), 1.0 / len(log_ratio)), pareto_k=np.nan)
    with warnings.catch_warnings():
        # Tails of equal weights have no shape.
        warnings.simplefilter("ignore", RuntimeWarning)
        # ArviZ takes the logarithm of the reciprocals.
        log_weight, k = array_stats.psislw(-log_ratio)
    weight = np.exp(log_weight - log_weight.max())
    return Smoothed(weight=weight / weight.sum(), pareto_k=float(k))


def distance(x: Array, y: Array, weight: Array) -> float:
    """Return the cumulative Jensen-Shannon distance of draws x (S,) and weighted draws y (S,).

    That of `arviz_stats.psense`, for draws that need not be the same: the larger one of the distances of distribution
    functions and of survival functions, each between zero and one.

    References
    ----------
    Nguyen, H.-V. and Vreeken, J. (2015). Non-parametric Jensen-Shannon divergence. Machine Learning and Knowledge
    Discovery in Databases (ECML PKDD 2015), 173-189.
    """
    if y is x:
        order = np.argsort(x, kind="stable")
        width = np.diff(x[order])
        p = np.arange(1, len(x)) / len(x)
        q = np.cumsum(weight[order])[:-1]
    else:
        both = np.concatenate([x, y])
        order = np.argsort(both, kind="stable")
        width = np.diff(both[order])
        p = np.cumsum(np.concatenate([np.full(len(x), 1.0 / len(x)), np.zeros(len(y))])[order])[:-1]
        q = np.cumsum(np.concatenate([np.zeros(len(x)), weight])[order])[:-1]
    if not width.any():
        return 0.0
    p, q = np.clip(p, 0.0, 1.0), np.clip(q, 0.0, 1.0)
    return float(np.sqrt(max(_divergence(p, q, width), _divergence(1.0 - p, 1.0 - q, width))))


def _divergence(p: Array, q: Array, width: Array) -> float:
    """Return the divergence of two distribution functions on intervals, as a share of its bound."""
    middle = 0.5 * (p + q)
    # The terms with the integrals of p and q cancel in the sum of both directions.
    parts = _entropy(p, middle) + _entropy(q, middle)
    bound = float((p + q) @ width)
    return max(0.0, float(parts @ width)) / bound if bound > 0 else 0.0


def _entropy(p: Array, middle: Array) -> Array:
    """Return p log2(p / middle); zero where p is."""
    positive = p > 0
    return np.where(positive, p * np.log2(np.where(positive, p, 1.0) / np.where(positive, middle, 1.0)), 0.0)


def moments_of(values: Array, weight: Array, ci_prob: float) -> tuple[float, float, float, float]:
    """Return mean, sd and the ends of the equal-tailed interval of weighted draws (S,)."""
    mean = float(weight @ values)
    sd = float(np.sqrt(weight @ (values - mean) ** 2))
    order = np.argsort(values)
    below = np.cumsum(weight[order]) - 0.5 * weight[order]
    lower, upper = np.interp([(1 - ci_prob) / 2, (1 + ci_prob) / 2], below, values[order])
    return mean, sd, float(lower), float(upper)


def overlap(x: Array, y: Array) -> float:
    """Return what two sets of draws have in common: the integral of the smaller of their densities.

    By the range of the difference of their distribution functions, which needs no estimate of a density and is exact
    where the densities cross at most twice; an upper bound where they cross more often.
    """
    both = np.sort(np.concatenate([x, y]))
    difference = np.searchsorted(np.sort(x), both, side="right") / len(x)
    difference -= np.searchsorted(np.sort(y), both, side="right") / len(y)
    return float(1.0 - (max(difference.max(), 0.0) - min(difference.min(), 0.0)))


def quartile_spread(values: Array) -> float:
    """Return the standard deviation of a normal distribution with the quartiles of draws (S,)."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low) / QUARTILES_OF_NORMAL


def noise_of(x: Array, weight: Array, shifts: NDArray[np.intp]) -> float:
    """Return the mean distance that weights have which say nothing of x: the same, moved along the draws."""
    return float(np.mean([distance(x, x, np.roll(weight, shift)) for shift in shifts]))
