"""The log posterior density of the parameters and all effects, in coordinates in which they are nearly normal.

psi = (u, phi, w) as in `quadrature.density`, and after it x (n,): standardised effects v = L'^-1 (L^-1 c + x), where
L and c are those of the working Gaussian model at the mode, its variances and phi those of psi (`kernels.transport`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hierreg.compiled.densities import value_and_gradient, values
from hierreg.likelihood.joint.native import compiled, density_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.compiled.addresses import AddressTable
    from hierreg.likelihood.joint.laplace import JointLaplace
    from hierreg.likelihood.joint.structure import Structure
    from hierreg.likelihood.quadrature.auxiliary import Auxiliary
    from hierreg.likelihood.quadrature.density import Population
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingEffects:
    """What the transport knows of the data: the working Gaussian model at some point.

    Attributes
    ----------
    entries : array
        Of Z'WZ, those that the structure keeps.
    response : array (n,)
        Z'W y; where the structure keeps nothing between factors, the effects of the others taken off.
    slope : array (n, p)
        Z'W X.
    """

    entries: Array
    response: Array
    slope: Array


@dataclass(frozen=True, kw_only=True)
class JointTarget:
    """log p(psi, x | y) up to the evidence; a `sampling.density.Density`.

    Attributes
    ----------
    parameters : VarianceParameters
    population : Population
    auxiliary : Auxiliary
    likelihood : JointLaplace
        Whose rows are read.
    structure : Structure
        Of the transport.
    working : WorkingEffects
    prior_on : bool
        Add log priors.
    sd_unit : array (q + 1,) or None
        See `likelihood.posterior.Target`.
    """

    parameters: VarianceParameters
    population: Population
    auxiliary: Auxiliary
    likelihood: JointLaplace
    structure: Structure
    working: WorkingEffects
    prior_on: bool = True
    sd_unit: Array | None = None

    @property
    def n_psi(self) -> int:
        """Number of elements of psi."""
        return self.parameters.n_free + len(self.population.mean) + self.auxiliary.n

    @property
    def n(self) -> int:
        """Number of elements of psi and x."""
        return self.n_psi + self.structure.n_effects

    @cached_property
    def constant(self) -> float:
        """What of the log likelihood depends on no parameter; zero where families have further ones."""
        from hierreg.likelihood.joint.kernels import constant_at

        if self.auxiliary.shape[1]:
            return 0.0
        return float(constant_at(self.likelihood.rows, np.empty(self.auxiliary.shape)))

    def split(self, points: Array) -> tuple[Array, Array, Array, Array]:
        """Return u, phi, w and x of points (..., n)."""
        n, p, end = self.parameters.n_free, len(self.population.mean), self.n_psi
        return points[..., :n], points[..., n : n + p], points[..., n + p : end], points[..., end:]

    def __call__(self, point: Array) -> tuple[float, Array]:
        """Return the log density at a point (n,) and its gradient (n,)."""
        return value_and_gradient(compiled(), np.ascontiguousarray(point, dtype=float), self.n, self._own_table)

    @cached_property
    def _own_table(self) -> AddressTable:
        return density_table(self)

    def evaluator(self) -> Callable[[Array], tuple[float, Array]]:
        """Return the density as a function for one thread."""
        return self

    def native(self, centre: Array, scale: Array) -> tuple[int, AddressTable]:
        """Return the address of the compiled function and its table.

        Of points of which the first elements are those of psi = centre + scale x, and the others their own.
        """
        from hierreg.likelihood.joint.entry import log_densities

        return int(log_densities.address), density_table(self, centre=centre, scale=scale)

    def values(self, points: Array, *, threads: int = 1) -> Array:
        """Return the log densities (k,) of many points (k, n)."""
        return values(compiled(), points, self.n, lambda k: density_table(self, n_points=k, wanted=False), threads)

    def on_threads(self, threads: int) -> JointTarget:  # noqa: ARG002  # one evaluation takes one thread
        """Return the target itself."""
        return self

    def with_signed(self, unit: Array) -> JointTarget:
        """Return the target in coordinates of which some are signed standard deviations."""
        return replace(self, sd_unit=unit)

    def standardised(self, phi: Array, Lambda: Array, x: Array) -> Array:
        """Return v (S, n) at S draws.

        Parameters
        ----------
        phi : array (S, p)
        Lambda : array (S, q, q)
            In the frame of priors.
        x : array (S, n)
        """
        from hierreg.likelihood.joint.kernels import draws_of_effects

        structure, working = self.structure, self.working
        out = np.empty(x.shape)
        arrays = (np.ascontiguousarray(one, dtype=float) for one in (phi, Lambda, x))
        found = draws_of_effects(
            structure.form,
            structure.blocks,
            structure.factors,
            (working.entries, working.response, working.slope),
            *arrays,
            out,
        )
        assert found  # an identity matrix is added to what is not negative
        return out


def working_effects(
    likelihood: JointLaplace, structure: Structure, response: Array, information: Array
) -> WorkingEffects:
    """Return the working model of rows.

    Parameters
    ----------
    likelihood : JointLaplace
    structure : Structure
        Of the transport.
    response : array (N,)
        Working response, the offset taken off.
    information : array (N,)
        W, none of them negative.
    """
    from hierreg.likelihood.joint.kernels import entries_at

    X, Z = likelihood.numbers[:2]
    rows = (*likelihood.numbers, structure.place, structure.row_block)
    entries = np.empty(structure.n_entries)
    entries_at(rows, structure.factors, information, entries)
    weighted = information[:, None] * np.column_stack([response, X.T])
    pulled = np.zeros((structure.n_effects, weighted.shape[1]))
    for f in range(len(structure.order)):
        for k in range(int(structure.size[f])):
            np.add.at(pulled, structure.place[:, f] + k, Z[structure.column[f] + k, :, None] * weighted)
    return WorkingEffects(
        entries=entries, response=np.ascontiguousarray(pulled[:, 0]), slope=np.ascontiguousarray(pulled[:, 1:])
    )
