"""What samplers ask of a density."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from hierreg.compiled.addresses import AddressTable
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]


class Values(Protocol):
    """What importance sampling asks of a density: values at many points."""

    def values(self, points: Array, *, threads: int = 1) -> Array:
        """Return the log densities (k,) of many vectors (k, n)."""


class Density(Values, Protocol):
    """The log density of an unconstrained vector that begins with the variance parameters u.

    Where other parameters are sampled beside them, they follow u. `likelihood.posterior.Target` is the one of Gaussian
    models, of u alone.
    """

    @property
    def parameters(self) -> VarianceParameters:
        """The variance parameters."""

    def __call__(self, u: Array, /) -> tuple[float, Array]:
        """Return the log density of a vector (n,) and its gradient (n,); minus infinity where there is none."""

    def evaluator(self) -> Callable[[Array], tuple[float, Array]]:
        """Return the density as a function with room of its own, for one thread at a time."""

    def on_threads(self, threads: int) -> Density:
        """Return the density, which may use so many threads for one evaluation."""

    def with_signed(self, unit: Array) -> Density:
        """Return the density in coordinates of which some are signed standard deviations (`sampling.signed`)."""

    def native(self, centre: Array, scale: Array) -> tuple[int, AddressTable] | None:
        """Return the address of a C function and its table, for the density of x, the vector = centre + scale x.

        The function takes the number of parameters, x, the gradient, the value and the table, from several threads at
        once. None where there is none: samplers then call `evaluator`, one chain at a time.
        """
