"""Coordinates of a search in which steps of one are sensible, whatever the zero and the unit of the response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class InUnits:
    """A function of x = (psi - centre) / unit.

    Attributes
    ----------
    function : callable
        psi -> (value, gradient).
    centre, unit : arrays (n,)
    """

    function: Callable[[Array], tuple[float, Array]]
    centre: Array
    unit: Array

    def __call__(self, x: Array) -> tuple[float, Array]:
        """Return the value and the gradient in x."""
        value, gradient = self.function(self.psi(x))
        return value, self.unit * gradient

    def psi(self, x: Array) -> Array:
        """Return psi at x."""
        return np.asarray(self.centre + self.unit * x)

    def x(self, psi: Array) -> Array:
        """Return x at psi."""
        return np.asarray((psi - self.centre) / self.unit)
