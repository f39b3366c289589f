"""Group coefficients theta_j = E beta + b_j as arrays that are added up when their values are asked for.

They are as large as the draws of b, and many results are read without them. xarray treats such an array as it treats
one of a file that it has opened: a part that is selected is computed alone, values once computed are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class GroupCoefficients(BackendArray):
    """The sum of b and of the population coefficients that its columns match.

    Parameters
    ----------
    beta : array (..., p)
    b : array (..., J, q)
        Leading dimensions as those of `beta`. Both are kept, not copied: what is written into them before the sum is
        read is part of it, and a part of the sum that is sent to another process takes all of them along.
    columns : sequence of int or None
        For each of the q columns the matching one of beta; None where b is all there is.
    """

    def __init__(self, beta: Array, b: Array, columns: Sequence[int | None]) -> None:
        self.shape, self.dtype = b.shape, b.dtype
        self._beta, self._b, self._columns = beta, b, tuple(columns)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Return the part that xarray asks for."""
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._part)

    def _part(self, key: tuple[int | slice, ...]) -> Array:
        population = np.zeros((*self._beta.shape[:-1], 1, len(self._columns)))
        for i, column in enumerate(self._columns):
            if column is not None:
                population[..., 0, i] = self._beta[..., column]
        return np.asarray(self._b[key] + np.broadcast_to(population, self.shape)[key])


class _LazilyIndexed(indexing.LazilyIndexedArray):
    """A part that is computed before its dimensions are put in another order.

    xarray would look up each number by itself instead, which takes forty times as long.
    """

    __slots__ = ()

    def transpose(self, order: Sequence[int]) -> Any:
        """Return the values with their dimensions in another order."""
        values = np.asarray(self.get_duck_array())  # type: ignore[no-untyped-call]
        return indexing.NumpyIndexingAdapter(values.transpose(order))  # type: ignore[no-untyped-call]


def on_access(array: BackendArray) -> Any:
    """Return an array for an xarray variable, whose values are computed when asked for, kept, and may be changed."""
    changeable = indexing.CopyOnWriteArray(_LazilyIndexed(array))  # type: ignore[arg-type]  # as xarray does
    return indexing.MemoryCachedArray(changeable)  # type: ignore[no-untyped-call]
