"""Compiled functions that are called by their address, with tables of the arrays that they read."""

from __future__ import annotations

import threading
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from hierreg.compiled.records import values_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


# Points at which moments are asked for in one call.
_POINTS_AT_ONCE = 64


class AddressTable:
    """Addresses and extents of arrays, as `address_kernels` reads them; the arrays live as long as it does.

    Parameters
    ----------
    record : named tuple
        See `records`: a row for each of its fields, whole numbers too.
    keep : object
        What else must live as long: a likelihood whose addresses are among the fields.
    """

    def __init__(self, record: tuple[Any, ...], *, keep: NativeLikelihood | None = None) -> None:
        from hierreg.compiled.address_kernels import WIDTH

        rows = list(values_of(record))
        self._alive = rows, keep
        self.rows = np.zeros((len(rows), WIDTH), dtype=np.int64)
        for i, row in enumerate(rows):
            if isinstance(row, int):
                self.rows[i, 0] = row
            else:
                self.rows[i, : 1 + row.ndim] = row.ctypes.data, *row.shape

    @property
    def address(self) -> int:
        """Where the table itself is."""
        return int(self.rows.ctypes.data)

    def __reduce__(self) -> NoReturn:
        raise TypeError("addresses mean nothing in another process, and a copy would not keep what they point to")


class NativeLikelihood:
    """The compiled likelihood of one kind of model, its table, and room for what it is given and returns.

    Parameters
    ----------
    entry : str
        Module of `hierreg.likelihood` with the function ``log_likelihood``: ``"groups.theta_entry"`` and others there,
        or ``"crossed.entry"``.
    record : named tuple
        What the function reads; see `records`.
    q, K : int
        Sizes of Lambda and omega.

    Attributes
    ----------
    addresses : (int, int)
        Of the function and of its table.
    """

    def __init__(self, entry: str, record: tuple[Any, ...], *, q: int, K: int) -> None:
        from hierreg.compiled.address_kernels import GRADIENT

        function, address = _entry(entry)
        self._table = AddressTable(record)
        self.addresses = address, self._table.address
        # Arrays of its own: asking others for their addresses takes longer than a small likelihood.
        self._room = np.empty((q, q)), np.empty(2 * K + 2), np.empty((q, q)), np.empty(K), np.empty(1)
        self._function = function
        self._call = partial(function, self._table.address, *(array.ctypes.data for array in self._room), GRADIENT)

    def __call__(self, Lambda: Array, weights: Array, g_Lambda: Array, g_omega: Array) -> float:
        """Return the log likelihood at internal Lambda (q, q) and weights (2 K + 2,), and write its gradient."""
        own_Lambda, own_weights, own_g_Lambda, own_g_omega, value = self._room
        if np.shape(Lambda) != own_Lambda.shape:
            raise ValueError(f"Lambda has shape {np.shape(Lambda)}; expected {own_Lambda.shape}")
        own_Lambda[:], own_weights[:], value[0] = Lambda, weights, np.nan
        self._call()
        if value[0] > -np.inf:
            g_Lambda[:], g_omega[:] = own_g_Lambda, own_g_omega
        return finished(float(value[0]))

    def value(self, Lambda: Array, weights: Array) -> float:
        """Return the log likelihood at internal Lambda (q, q) and weights (2 K + 2,)."""
        from hierreg.compiled.address_kernels import VALUE

        own_Lambda, own_weights, first, second, value = self._room
        own_Lambda[:], own_weights[:], value[0] = Lambda, weights, np.nan
        places = (array.ctypes.data for array in (own_Lambda, own_weights, first, second, value))
        self._function(self._table.address, *places, VALUE)
        return finished(float(value[0]))

    def moments(self, Lambda: Array, weights: Array, mean: Array, factor: Array, values: Array) -> bool:
        """Write the conditional mean of beta, internal scale, F, F F' its covariance, and the log likelihood, n times.

        Parameters
        ----------
        Lambda, weights : arrays (n, q, q), (n, 2 K + 2)
            Internal scale; in C order, as the others.
        mean, factor, values : arrays (n, p), (n, p, p), (n,)
            Overwritten.

        Returns
        -------
        bool
            Whether there is a likelihood at all points; after the first where there is none, nothing is written.
        """
        from hierreg.compiled.address_kernels import MOMENTS

        arrays = Lambda, weights, mean, factor, values
        assert all(array.flags.c_contiguous and array.dtype == np.float64 for array in arrays)
        values[:] = np.nan
        places = [array.ctypes.data for array in arrays]
        sizes = [array[:1].nbytes for array in arrays]
        # Not all at once, so that they can be interrupted.
        for first in range(0, len(Lambda), _POINTS_AT_ONCE):
            further = min(_POINTS_AT_ONCE, len(Lambda) - first) - 1
            at = (place + first * size for place, size in zip(places, sizes, strict=True))
            self._function(self._table.address, *at, MOMENTS + further)
            own = values[first : first + further + 1]
            if (own == -np.inf).any():
                return False
            finished(float(own[-1]))
        return True


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

    def once[T](self, name: str, make: Callable[[], T]) -> T:
        """Return what was made for this thread under a name, or make it."""
        try:
            made: T = getattr(self, name)
        except AttributeError:
            made = make()
            setattr(self, name, made)
        return made

    def __reduce__(self) -> tuple[type[PerThread], tuple[()]]:
        return PerThread, ()


@cache
def _entry(name: str) -> tuple[Any, int]:
    """Return a compiled likelihood as a function of Python, which lets other threads run, and its address."""
    function = import_module(f"hierreg.likelihood.{name}").log_likelihood
    return function.ctypes, int(function.address)
