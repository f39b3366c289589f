"""The log posterior density of psi = (u, phi) by tables at fixed nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.compiled.address_kernels import GRADIENT, VALUE
from hierreg.compiled.addresses import AddressTable
from hierreg.compiled.densities import as_function, value_and_gradient, values
from hierreg.likelihood.node_tables.record import NodeTableRecord
from hierreg.likelihood.quadrature.native import psi_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.likelihood.node_tables.table import NodeTable
    from hierreg.likelihood.quadrature.density import Population
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]


@cache
def compiled() -> Any:
    """Return the compiled function as one of Python, which lets other threads run."""
    from hierreg.likelihood.node_tables.entry import log_densities

    return as_function(log_densities.address)


@dataclass(frozen=True, kw_only=True)
class NodeTableTarget:
    """log p(psi | y) up to the evidence; a `sampling.density.Density`.

    Attributes
    ----------
    parameters : VarianceParameters
    population : Population
    table : NodeTable
    prior_on : bool
        Add log priors.
    sd_unit : array (q + 1,) or None
        See `likelihood.posterior.Target`.
    """

    parameters: VarianceParameters
    population: Population
    table: NodeTable
    prior_on: bool = True
    sd_unit: Array | None = None

    @property
    def n(self) -> int:
        """Number of elements of psi."""
        return self.parameters.n_free + len(self.population.mean)

    def __call__(self, psi: Array) -> tuple[float, Array]:
        """Return the log density at psi (n,) and its gradient (n,)."""
        return value_and_gradient(compiled(), np.ascontiguousarray(psi, dtype=float), self.n, self._own_table)

    @cached_property
    def _own_table(self) -> AddressTable:
        return self._addresses()

    def evaluator(self) -> Callable[[Array], tuple[float, Array]]:
        """Return the density as a function for one thread."""
        return self

    def on_threads(self, threads: int) -> NodeTableTarget:  # noqa: ARG002  # `sampling.density.Density`
        """Return the same: one evaluation has one thread."""
        return self

    def with_signed(self, unit: Array) -> NodeTableTarget:
        """Return the target in coordinates of which some are signed standard deviations."""
        return replace(self, sd_unit=unit)

    def native(self, centre: Array, scale: Array) -> tuple[int, AddressTable]:
        """Return the address of the compiled function and its table, for the density of x, psi = centre + scale x."""
        from hierreg.likelihood.node_tables.entry import log_densities

        return int(log_densities.address), self._addresses(centre=centre, scale=scale)

    def values(self, points: Array, *, threads: int = 1) -> Array:
        """Return the log densities (k,) of many points (k, n)."""
        return values(compiled(), points, self.n, lambda k: self._addresses(n_points=k, wanted=VALUE), threads)

    def _addresses(
        self,
        *,
        centre: Array | None = None,
        scale: Array | None = None,
        n_points: int = 1,
        wanted: int = GRADIENT,
    ) -> AddressTable:
        record = NodeTableRecord(
            psi=psi_record(self, self.n, centre=centre, scale=scale, n_points=n_points, wanted=wanted),
            strips=self.table.strips,
            n_groups=len(self.table.place),
            features=self.table.features,
            same=np.eye(self.parameters.n_factor),
        )
        return AddressTable(record)
