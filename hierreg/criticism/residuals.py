"""What checks read of the rows of a model, whatever makes its residuals."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hierreg.criticism.values import Sample
    from hierreg.design_matrices import FactorDesign

    Array = NDArray[np.float64]


class Residuals(abc.ABC):
    """Residuals of the data, and of replicates: what checks of errors alone need."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def has_residual(self) -> NDArray[np.bool_]:
        """Rows that have a residual of their own (N,)."""

    @property
    @abc.abstractmethod
    def factors(self) -> tuple[FactorDesign, ...]:
        """The grouping factors."""

    @property
    @abc.abstractmethod
    def predicted(self) -> Array:
        """What the population coefficients predict of each row (N,)."""

    @abc.abstractmethod
    def data(self) -> Sample:
        """Return the residuals of the data, b = 1."""

    @abc.abstractmethod
    def replicates(self, n: int, seed: int) -> Iterator[Sample]:
        """Yield the residuals of n replicates, some at a time."""

    @abc.abstractmethod
    def direction(self, h: Array) -> Array | None:
        """Return what takes `Sample.errors` to the score of a further population column (N,); None where it is none."""
