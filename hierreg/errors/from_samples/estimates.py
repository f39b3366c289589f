"""Factors for few samples, and shrunk correlations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import listed
from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Samples per value from which on few are not spoken of.
SAMPLES_PER_VALUE = 10


def too_few(n: int, N: int) -> ModelError:
    """Return the error of no more independent samples than values."""
    return ModelError(
        f"samples has {n} independent samples of {N} values; more samples than values are required for a covariance "
        f"matrix that can be inverted, and {SAMPLES_PER_VALUE * N} for a good one. Draw more samples, use fewer "
        "values, or shrink: shrinkage='ledoit-wolf', with pairs= where two data sets are compared."
    )


def correction(n: int, N: int, p: int | None) -> float:
    """Return the factor for few samples."""
    left = n - N - 2 if p is None else n - 2 - N + p
    if left <= 0:
        raise ModelError(
            f"{n} independent samples of {N} values are too few: the inverse of their covariance has no mean, so no "
            f"factor corrects it; {N + 3} are the least, and {SAMPLES_PER_VALUE * N} are good. Draw more samples, use "
            "fewer values, or shrink: shrinkage='ledoit-wolf', with pairs= where two data sets are compared."
        )
    return (n - 1) / left if p is None else (n - 1) * (n - 2) / ((left + 1) * left)


def shrunk_correlations(z: Array, weight: float | None, rows_per_sample: float, pairs: Index) -> Array:
    """Return shrunk correlations (N, N) of standardised samples.

    In the coordinates t = (sums and differences of pairs, all else), standardised, with D^2 = 1 - shrinkage of the
    group that a coordinate is in, C becomes D C D + 1 - D^2: positive definite, the diagonal and so the two variances
    and the covariance of each pair as they were.
    """
    first, second = pairs.T
    t = z.copy()
    t[:, first], t[:, second] = (z[:, first] + z[:, second]) / np.sqrt(2), (z[:, first] - z[:, second]) / np.sqrt(2)
    scale = t.std(axis=0, ddof=1)
    same = np.flatnonzero(~(scale > 1e-12))
    if len(same):
        raise ModelError(
            f"pairs: sum or difference of two standardised values never varies (values {listed(same.tolist())}), so "
            "they are one value. Leave one of the two out."
        )
    t /= scale
    is_difference = np.zeros(z.shape[1], dtype=bool)
    is_difference[second] = True
    D = np.empty(z.shape[1])
    for group in (is_difference, ~is_difference):
        if np.any(group):
            w = _ledoit_wolf(t[:, group], rows_per_sample) if weight is None else weight
            D[group] = np.sqrt(1.0 - w)
    C = D[:, None] * (t.T @ t / (len(t) - 1)) * D
    np.fill_diagonal(C, 1.0)
    C = scale[:, None] * C * scale
    turn = np.eye(z.shape[1])
    turn[first, first], turn[first, second] = np.sqrt(0.5), np.sqrt(0.5)
    turn[second, first], turn[second, second] = np.sqrt(0.5), -np.sqrt(0.5)
    return np.asarray(turn.T @ C @ turn)


def _ledoit_wolf(z: Array, rows_per_sample: float) -> float:
    """Return the weight of the target for standardised samples; noise is that of the independent ones among them."""
    n, N = z.shape
    S = z.T @ z / n
    mean = float(np.trace(S)) / N
    square = float(np.sum(S**2))
    noise = (float(np.sum((z**2).T @ z**2)) / n - square) / n * rows_per_sample
    distance = square - N * mean**2
    return min(noise, distance) / distance if noise > 0 and distance > 0 else 0.0
