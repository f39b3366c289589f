"""Compiled functions that are called by their address, with tables of the arrays that they read."""

from __future__ import annotations

import threading
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# The compiled likelihood of each kind of blocks (see `SplitBlocks.arrays`): the last kind that there is decides.
_ENTRIES = ("theta_entry", "strip_entry", "tile_entry", "tile_entry", "row_entry")


def entry_of(kinds: Sequence[Any]) -> str:
    """Return the module with the compiled likelihood of a model with one grouping factor.

    Parameters
    ----------
    kinds : sequence
        `SplitBlocks.arrays`.
    """
    return [name for name, blocks in zip(_ENTRIES, kinds, strict=True) if blocks is not None][-1]


class AddressTable:
    """Addresses and extents of arrays, as `address_kernels` reads them; the arrays live as long as it does.

    Parameters
    ----------
    rows : sequence of (array or int)
        From `floats`, `integers` and `flags`, which make sure of the types that compiled functions take for granted;
        whole numbers have rows too.
    keep : object
        What else must live as long: a likelihood whose addresses are among the rows.
    """

    def __init__(self, rows: Sequence[NDArray[Any] | int], *, keep: NativeLikelihood | None = None) -> None:
        from hierreg.marginal.address_kernels import WIDTH

        self._alive = rows, keep
        self.rows = np.zeros((len(rows), WIDTH), dtype=np.int64)
        for i, row in enumerate(rows):
            if isinstance(row, int):
                self.rows[i, 0] = row
            else:
                assert row.flags.c_contiguous
                self.rows[i, : 1 + row.ndim] = row.ctypes.data, *row.shape

    @property
    def address(self) -> int:
        """Where the table itself is."""
        return int(self.rows.ctypes.data)

    def __reduce__(self) -> NoReturn:
        raise TypeError("addresses mean nothing in another process, and a copy would not keep what they point to")


def floats(*arrays: Any) -> list[NDArray[Any]]:
    """Return arrays, or numbers as arrays of one, of float64 in C order."""
    return [np.ascontiguousarray(array, dtype=np.float64) for array in arrays]


def integers(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
    """Return arrays of int64 in C order."""
    return [np.ascontiguousarray(array, dtype=np.int64) for array in arrays]


def flags(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
    """Return arrays of bool in C order."""
    return [np.ascontiguousarray(array, dtype=np.bool_) for array in arrays]


class NativeLikelihood:
    """The compiled likelihood of one kind of model, its table, and room for what it is given and returns.

    Parameters
    ----------
    entry : str
        Module with the function ``log_likelihood``: ``"theta_entry"``, ``"strip_entry"``, ``"tile_entry"``,
        ``"row_entry"`` or ``"crossed_entry"``.
    rows : sequence of (array or int)
        What the function reads, in its order.
    q, D : int
        Sizes of Lambda and S.

    Attributes
    ----------
    addresses : (int, int)
        Of the function and of its table.
    """

    def __init__(self, entry: str, rows: Sequence[NDArray[Any] | int], *, q: int, D: int) -> None:
        from hierreg.marginal.address_kernels import GRADIENT

        function, address = _entry(entry)
        self._table = AddressTable(rows)
        self.addresses = address, self._table.address
        # Arrays of its own: asking others for their addresses takes longer than a small likelihood.
        self._room = np.empty((q, q)), np.empty((D, D)), np.empty((q, q)), np.empty((D, D)), np.empty(1)
        self._function = function
        self._call = partial(function, self._table.address, *(array.ctypes.data for array in self._room), GRADIENT)

    def __call__(self, Lambda: Array, S: Array, g_Lambda: Array, g_S: Array) -> float:
        """Return the log likelihood at Lambda (q, q), internal scale, and S (D, D), and write its gradient."""
        own_Lambda, own_S, own_g_Lambda, own_g_S, value = self._room
        if np.shape(Lambda) != own_Lambda.shape or np.shape(S) != own_S.shape:
            raise ValueError(
                f"Lambda and the error covariance have shapes {np.shape(Lambda)} and {np.shape(S)}; "
                f"expected {own_Lambda.shape} and {own_S.shape}"
            )
        own_Lambda[:], own_S[:], value[0] = Lambda, S, np.nan
        self._call()
        if value[0] > -np.inf:
            g_Lambda[:], g_S[:] = own_g_Lambda, own_g_S
        return finished(float(value[0]))

    def value(self, Lambda: Array, S: Array) -> float:
        """Return the log likelihood at Lambda (q, q), internal scale, and S (D, D)."""
        from hierreg.marginal.address_kernels import VALUE

        own_Lambda, own_S, first, second, value = self._room
        own_Lambda[:], own_S[:], value[0] = Lambda, S, np.nan
        places = (array.ctypes.data for array in (own_Lambda, own_S, first, second, value))
        self._function(self._table.address, *places, VALUE)
        return finished(float(value[0]))

    def moments(self, Lambda: Array, S: Array, mean: Array, factor: Array) -> float:
        """Write the conditional mean of beta, internal scale, and F, F F' its covariance, at n points.

        Parameters
        ----------
        Lambda, S : arrays (n, q, q), (n, D, D)
            Internal scale; in C order, as the others.
        mean, factor : arrays (n, p), (n, p, p)
            Overwritten.

        Returns
        -------
        float
            The log likelihood at the last point; -inf at the first where there is none, after which nothing is written.
        """
        from hierreg.marginal.address_kernels import MOMENTS

        arrays = Lambda, S, mean, factor
        assert all(array.flags.c_contiguous and array.dtype == np.float64 for array in arrays)
        value, found = self._room[4], -np.inf
        first, step = [array.ctypes.data for array in arrays], [array[:1].nbytes for array in arrays]
        for s in range(len(Lambda)):
            places = (start + s * size for start, size in zip(first, step, strict=True))
            value[0] = np.nan
            self._function(self._table.address, *places, value.ctypes.data, MOMENTS)
            found = finished(float(value[0]))
            if found == -np.inf:
                break
        return found


def finished(value: float) -> float:
    """Return what a compiled function wrote.

    Raises
    ------
    MemoryError
        If it wrote nothing.
    """
    if value != value:  # noqa: PLR0124  # NaN
        raise MemoryError("there is not enough memory for one evaluation of the likelihood")
    return value


class PerThread(threading.local):
    """What a thread makes once for an object; deep copies, and what arrives in another process, begin anew."""

    def __reduce__(self) -> tuple[type[PerThread], tuple[()]]:
        return PerThread, ()


@cache
def _entry(name: str) -> tuple[Any, int]:
    """Return a compiled likelihood as a function of Python, which lets other threads run, and its address."""
    function = import_module(f"hierreg.marginal.{name}").log_likelihood
    return function.ctypes, int(function.address)
