"""Location and scale of the response in each data set or stratum of the errors, and levels united by label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.design_matrices.levels import is_sorted
from hierreg.gram.keys import compact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.errors.base import ErrorLayout
    from hierreg.gram.frame import Frame

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledMoments:
    """Number, mean and sum of squared deviations of a column, by label.

    Attributes
    ----------
    labels : tuple of str
        The L data sets or strata.
    n, mean, squares : arrays (L,)
    """

    labels: tuple[str, ...]
    n: Array
    mean: Array
    squares: Array

    def reordered(self, labels: tuple[str, ...]) -> LabelledMoments:
        """Return the moments of the given labels; those that are new have no rows."""
        place = [labels.index(label) for label in self.labels]
        out = [np.zeros(len(labels)) for _ in range(3)]
        for new, old in zip(out, (self.n, self.mean, self.squares), strict=True):
            new[place] = old
        return LabelledMoments(labels=labels, n=out[0], mean=out[1], squares=out[2])

    def unite(self, other: LabelledMoments) -> LabelledMoments:
        """Return the moments of the rows of both."""
        labels = self.labels + tuple(label for label in other.labels if label not in self.labels)
        a, b = self.reordered(labels), other.reordered(labels)
        n = a.n + b.n
        share = b.n / np.maximum(n, 1)
        gap = b.mean - a.mean
        # a label that one of them lacks has no mean there
        gap[(a.n == 0) | (b.n == 0)] = 0.0
        mean = np.where(a.n == 0, b.mean, a.mean + gap * share)
        return LabelledMoments(labels=labels, n=n, mean=mean, squares=a.squares + b.squares + gap**2 * a.n * share)


def labelled_moments(y: Array, layout: ErrorLayout, frame: Frame) -> LabelledMoments:
    """Return the moments of the response in each data set or stratum; those of all rows are in their frame."""
    L = len(layout.labels)
    if L == 1:
        n = np.array([float(len(y))])
        return LabelledMoments(labels=layout.labels, n=n, mean=frame.mean[-1:], squares=frame.squares[-1:])
    n = np.bincount(layout.stratum, minlength=L).astype(float)
    mean = np.bincount(layout.stratum, weights=y, minlength=L) / np.maximum(n, 1)
    # Sums of large offsets lose digits; the sum of what is left does not.
    mean += np.bincount(layout.stratum, weights=y - mean[layout.stratum], minlength=L) / np.maximum(n, 1)
    squares = np.bincount(layout.stratum, weights=(y - mean[layout.stratum]) ** 2, minlength=L)
    # Values that do not vary: exact zeros, not the rounding of a mean.
    lowest, highest = np.full(L, np.inf), np.full(L, -np.inf)
    np.minimum.at(lowest, layout.stratum, y)
    np.maximum.at(highest, layout.stratum, y)
    same = lowest == highest
    mean[same], squares[same] = lowest[same], 0.0
    return LabelledMoments(labels=layout.labels, n=n, mean=mean, squares=squares)


def unite_levels(parts: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], list[Index]]:
    """Return the levels in any of the parts, and the place of each level of each part among them.

    They are sorted where those of all parts are; else those of the first part come first, and so on.
    """
    first = parts[0]
    if all(one is first or (one.dtype == first.dtype and np.array_equal(one, first)) for one in parts[1:]):
        return first, [np.arange(len(first))] * len(parts)
    if len({one.dtype.kind for one in parts}) > 1:
        parts = [one.astype(object) for one in parts]
    are_sorted = all(is_sorted(one) for one in parts)
    both = np.concatenate(parts)
    if both.dtype.kind in "iu":
        low, high = int(both.min()), int(both.max())
        if are_sorted and high - low < 2**62:
            keys, place = compact((both - both.dtype.type(low)).astype(np.intp), high - low + 1)
            return keys.astype(both.dtype) + both.dtype.type(low), _split(place, parts)
    levels, place = _factorized(both)
    if are_sorted:
        order = np.argsort(levels, kind="stable")
        rank = np.empty(len(order), dtype=np.intp)
        rank[order] = np.arange(len(order))
        levels, place = levels[order], rank[place]
    return levels, _split(place, parts)


def _split(place: Index, parts: Sequence[NDArray[Any]]) -> list[Index]:
    return np.split(place, np.cumsum([len(one) for one in parts])[:-1])


def _factorized(labels: NDArray[Any]) -> tuple[NDArray[Any], Index]:
    """Return the distinct labels in the order in which they come, and the place of each."""
    import pandas as pd

    codes, distinct = pd.factorize(labels.astype(object) if labels.dtype.kind == "U" else labels)
    return distinct.astype(labels.dtype), codes.astype(np.intp, copy=False)
