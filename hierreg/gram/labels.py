"""Location and scale of the response in each data set or stratum of the errors, and levels united by label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
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


def unite_levels(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any], Index, Index]:
    """Return the levels of a, then those only in b, and the place of each level of a and b among them."""
    import pandas as pd

    here = np.arange(len(a))
    if a is b or (a.dtype == b.dtype and np.array_equal(a, b)):
        return a, here, here
    if a.dtype.kind != b.dtype.kind:
        a, b = a.astype(object), b.astype(object)
    of_b = pd.Index(_hashable(a)).get_indexer(pd.Index(_hashable(b))).astype(np.intp)
    new = np.flatnonzero(of_b < 0)
    of_b[new] = len(a) + np.arange(len(new))
    return (np.concatenate([a, b[new]]) if len(new) else a), here, of_b


def _hashable(levels: NDArray[Any]) -> NDArray[Any]:
    return levels.astype(object) if levels.dtype.kind == "U" else levels
