"""Means, products and bounds of columns: one pass over the rows, of which an offset takes no digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import read_only
from hierreg.threads import chunks_of, in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Numbers that one thread looks at: some megabytes, and part of the result, to the last digit.
_SIZE = 1 << 20
# Up to so many rows compiling takes longer than it saves, and of more columns BLAS is faster.
_FEW_ROWS, _FEW_COLUMNS = 1 << 17, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Moments of m columns of n rows.

    Attributes
    ----------
    n : int
    mean : array (m,)
        Of a column that does not vary its value, exactly.
    low, high : arrays (m,)
    about_mean : array (m, m)
        Sums of products of deviations from the mean; zeros for a column that does not vary.
    """

    n: int
    mean: Array
    low: Array
    high: Array
    about_mean: Array

    def constant_before(self, p: int) -> int | None:
        """Return the first of p columns that has one value other than zero, or None."""
        return next((c for c in range(p) if self.low[c] == self.high[c] != 0), None)

    def about(self, centre: Array) -> Array:
        """Return the sums of products (m, m) of deviations from a centre."""
        gap = self.mean - centre
        return self.about_mean + self.n * np.outer(gap, gap)


def moments_of(X: Array, y: Array | None = None) -> Moments:
    """Return the moments of the columns of X (N, p) and, if it is given, of y (N,)."""
    last = np.empty(0) if y is None else y
    m = X.shape[1] + (y is not None)
    origin = np.concatenate([X[0], last[:1]])
    n, mean, products = 0, np.zeros(m), np.zeros((m, m))
    low, high = np.full(m, np.inf), np.full(m, -np.inf)
    chunks = chunks_of(len(X), max(1, _SIZE // max(1, m)))
    for rows, own in zip(chunks, in_order(lambda some: _chunk(X[some], last[some], origin), chunks), strict=True):
        size, gap = rows.stop - rows.start, own[0] - mean
        products += own[1] + np.outer(gap, gap) * (n * size / (n + size))
        n += size
        mean += gap * (size / n)
        low, high = np.minimum(low, own[2]), np.maximum(high, own[3])
    varies = low != high
    return Moments(
        n=n,
        mean=np.where(varies, origin + mean, low),
        low=low,
        high=high,
        about_mean=products * np.outer(varies, varies),
    )


def is_worth_compiling(n_rows: int, n_columns: int) -> bool:
    """Return whether a compiled pass over so many rows is faster, compiling it included."""
    return n_rows > _FEW_ROWS and n_columns <= _FEW_COLUMNS


def _chunk(X: Array, y: Array, origin: Array) -> tuple[Array, Array, Array, Array]:
    """Return the mean of the deviations from an origin, the products about it, and the bounds of columns."""
    m = len(origin)
    if is_worth_compiling(len(X), m):
        from hierreg.design_matrices.moment_kernels import add_moments

        mean, products, low, high = np.zeros(m), np.zeros((m, m)), np.full(m, np.inf), np.full(m, -np.inf)
        add_moments(read_only(X.view()), read_only(y.view()), origin, mean, products, low, high)
        return mean, products + np.tril(products, -1).T, low, high
    A = np.column_stack([X, y]) if len(y) else X
    low, high = A.min(axis=0), A.max(axis=0)
    A = A - origin
    mean = A.mean(axis=0)
    A -= mean
    return mean, A.T @ A, low, high
