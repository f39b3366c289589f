"""The log posterior density of psi = (u, phi, w): variance, population and further parameters of a family.

phi are population coefficients in the frame of their priors (`priors.frames`), those that are free; w are
unconstrained: logarithms of positive parameters, and of thresholds the first and the logarithms of the steps between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hierreg.compiled.densities import value_and_gradient, values
from hierreg.likelihood.quadrature.native import compiled, density_table
from hierreg.variances.record import record_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.compiled.addresses import AddressTable
    from hierreg.likelihood.integrated import IntegratedLikelihood
    from hierreg.likelihood.quadrature.auxiliary import Auxiliary
    from hierreg.variances.parameters import VarianceParameters
    from hierreg.variances.record import VarianceRecord

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Normal priors of the free population coefficients phi (p,), independent.

    Attributes
    ----------
    mean, precision : arrays (p,)
        A precision of zero is a flat prior.
    """

    mean: Array
    precision: Array

    def log_density(self, phi: Array) -> tuple[float, Array]:
        """Return the log density and its gradient; without a constant where it is flat."""
        z = phi - self.mean
        proper = self.precision > 0
        constant = 0.5 * float(np.sum(np.log(self.precision[proper]))) - 0.5 * int(proper.sum()) * np.log(2 * np.pi)
        return constant - 0.5 * float(np.sum(self.precision * z * z)), -self.precision * z


@dataclass(frozen=True, kw_only=True)
class QuadratureTarget:
    """log p(psi | y) up to the evidence; a `sampling.density.Density`.

    Attributes
    ----------
    parameters : VarianceParameters
    population : Population
    auxiliary : Auxiliary
    likelihood : IntegratedLikelihood
    prior_on : bool
        Add log priors.
    sd_unit : array (q + 1,) or None
        See `likelihood.posterior.Target`.
    """

    parameters: VarianceParameters
    population: Population
    auxiliary: Auxiliary
    likelihood: IntegratedLikelihood
    prior_on: bool = True
    sd_unit: Array | None = None

    @property
    def n(self) -> int:
        """Number of elements of psi."""
        return self.parameters.n_free + len(self.population.mean) + self.auxiliary.n

    def split(self, psi: Array) -> tuple[Array, Array, Array]:
        """Return u, phi and w of psi (..., n)."""
        n, p = self.parameters.n_free, len(self.population.mean)
        return psi[..., :n], psi[..., n : n + p], psi[..., n + p :]

    def __call__(self, psi: Array) -> tuple[float, Array]:
        """Return the log density at psi (n,) and its gradient (n,)."""
        psi = np.ascontiguousarray(psi, dtype=float)
        is_one = self.likelihood.is_compiled and self.likelihood.threads == 1
        return value_and_gradient(compiled(), psi, self.n, self._own_table) if is_one else self._evaluate(psi)

    @cached_property
    def _own_table(self) -> AddressTable:
        return density_table(self)

    def evaluator(self) -> Callable[[Array], tuple[float, Array]]:
        """Return the density as a function for one thread."""
        return self.on_threads(1)

    def native(self, centre: Array, scale: Array) -> tuple[int, AddressTable] | None:
        """Return the address of the compiled function and its table, for the density of x, psi = centre + scale x.

        None where the density is not one compiled function.
        """
        if not self.likelihood.is_compiled:
            return None
        from hierreg.likelihood.quadrature.entry import log_densities

        return int(log_densities.address), density_table(self, centre=centre, scale=scale)

    def values(self, points: Array, *, threads: int = 1) -> Array:
        """Return the log densities (k,) of many points (k, n)."""
        return values(compiled(), points, self.n, lambda k: density_table(self, n_points=k, wanted=False), threads)

    def on_threads(self, threads: int) -> QuadratureTarget:
        """Return the target with a likelihood that may use so many threads."""
        return replace(self, likelihood=self.likelihood.on_threads(threads))

    def with_signed(self, unit: Array) -> QuadratureTarget:
        """Return the target in coordinates of which some are signed standard deviations."""
        return replace(self, sd_unit=unit)

    def with_nodes(self, n: int) -> QuadratureTarget:
        """Return the target by a rule of another number of nodes."""
        return replace(self, likelihood=self.likelihood.with_nodes(n))

    def with_modes_at(self, psi: Array) -> QuadratureTarget:
        """Return the target whose searches for the modes of groups begin at those at psi."""
        u, phi, w = self.split(psi)
        return replace(self, likelihood=self.likelihood.with_modes(phi, self.factor(u), self.auxiliary.natural(w)))

    def factor(self, u: Array) -> Array:
        """Return Lambda (q, q) in the frame of priors at u (n_free,)."""
        from hierreg.variances.entry import factor_at

        q = self.parameters.n_factor
        Lambda, unused, none = np.empty((q, q)), np.zeros(len(u)), np.empty((0, 0))
        factor_at(np.ascontiguousarray(u), self.variances, np.eye(q), False, False, Lambda, unused, none)
        return Lambda

    def _evaluate(self, psi: Array) -> tuple[float, Array]:
        from hierreg.variances.entry import factor_at

        if psi.shape != (self.n,):
            raise ValueError(f"psi has shape {psi.shape}; there are {self.n} parameters")
        u, phi, w = (np.ascontiguousarray(part) for part in self.split(psi))
        q = self.parameters.n_factor
        Lambda, g_u, same, none = np.empty((q, q)), np.zeros(len(u)), np.eye(q), np.empty((0, 0))
        nothing = -np.inf, np.zeros(self.n)
        value = float(factor_at(u, self.variances, same, self.prior_on, False, Lambda, g_u, none))
        auxiliary, jacobian = self.auxiliary.natural(w), self.auxiliary.jacobian(w)
        if not (np.isfinite(value) and np.all(np.isfinite(auxiliary)) and np.all(np.isfinite(Lambda))):
            return nothing
        g_phi, g_w = np.zeros(len(phi)), np.zeros(len(w))
        if self.prior_on:
            of_phi, g_phi = self.population.log_density(phi)
            of_w, g_w = self.auxiliary.log_prior(w)
            value += of_phi + of_w
        found = self.likelihood.value_and_gradient(phi, Lambda, auxiliary)
        value += found[0]
        if not np.isfinite(value):
            return nothing
        factor_at(u, self.variances, same, False, False, Lambda, g_u, found[2])
        return value, np.concatenate([g_u, g_phi + found[1], g_w + jacobian.T @ found[3].ravel()])

    @property
    def variances(self) -> VarianceRecord:
        """What `variances.kernels.covariances_at` reads of the variance parameters."""
        return record_of(self.parameters, self.sd_unit)
