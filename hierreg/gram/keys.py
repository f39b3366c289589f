"""Keys of groups, pairs of groups and terms: which are distinct, and sums by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

_FEW = 1024


def compact(keys: Index, bound: int) -> tuple[Index, Index]:
    """Return the sorted distinct keys, all below `bound`, and, for each key, its place among them."""
    if bound > 4 * len(keys) + _FEW:
        return _hashed(keys)
    seen = np.zeros(bound, dtype=bool)
    seen[keys] = True
    if seen.all():
        return np.arange(bound), keys
    distinct = np.flatnonzero(seen)
    lookup = np.empty(bound, dtype=np.intp)
    lookup[distinct] = np.arange(len(distinct))
    return distinct, lookup[keys]


def _hashed(keys: Index) -> tuple[Index, Index]:
    if len(keys) <= _FEW:
        distinct, place = np.unique(keys, return_inverse=True)
        return distinct, place
    import pandas as pd

    codes, distinct = pd.factorize(keys)
    order = np.argsort(distinct)
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return distinct[order], rank[codes]


def sum_by_key(keys: Index, values: Array, bound: int) -> tuple[Index, Array]:
    """Return the sorted distinct keys (m,), all below `bound`, and the sums (m, ...) of the values (n, ...) of each."""
    distinct, place = compact(keys, bound)
    flat = values.reshape(len(values), -1)
    total = np.empty((len(distinct), flat.shape[1]))
    for c in range(flat.shape[1]):
        total[:, c] = np.bincount(place, weights=flat[:, c], minlength=len(distinct))
    return distinct, total.reshape(len(distinct), *values.shape[1:])
