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
        Leading dimensions as those of `beta`. Kept, not copied.
    columns : sequence of int or None
        For each of the q columns the matching one of beta; None where b is all there is.
    """

    def __init__(self, beta: Array, b: Array, columns: Sequence[int | None]) -> None:
        self.shape, self.dtype = b.shape, b.dtype
        self._b = b
        self._population = np.zeros((*beta.shape[:-1], 1, len(columns)))
        for i, column in enumerate(columns):
            if column is not None:
                self._population[..., 0, i] = beta[..., column]

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Return the part that xarray asks for."""
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._part)

    def _part(self, key: tuple[int | slice, ...]) -> Array:
        return np.asarray(self._b[key] + np.broadcast_to(self._population, self.shape)[key])


def on_access(array: BackendArray) -> Any:
    """Return an array for an xarray variable, whose values are computed when asked for, kept, and may be changed."""
    changeable = indexing.CopyOnWriteArray(indexing.LazilyIndexedArray(array))  # type: ignore[arg-type]  # as xarray does
    return indexing.MemoryCachedArray(changeable)  # type: ignore[no-untyped-call]
