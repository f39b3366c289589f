"""The log posterior density of variance parameters, population coefficients and the shape of group effects."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.compiled import densities
from hierreg.compiled.address_kernels import GRADIENT, VALUE
from hierreg.compiled.addresses import AddressTable, PerThread, flags, floats, integers
from hierreg.effects import Mixture, StudentT
from hierreg.errors.within_units import no_units
from hierreg.priors import Fixed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.likelihood.heavy_tails.data import GroupData
    from hierreg.likelihood.heavy_tails.shape import Shape
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]

_NO_DRAWS = tuple(np.empty((0,) * n) for n in (2, 3, 3, 2, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectsTarget:
    """log p(psi | y) up to the evidence, psi = (u, beta*, shape, u of further components).

    Attributes
    ----------
    parameters : VarianceParameters
        Those of u, which come first.
    data : GroupData
    shape : Shape
    centre, scale : arrays (p,), (p, p)
        Internal beta = centre + scale beta*: about the mean and a factor of the covariance of beta.
    prior_on, natural : bool
        As of `posterior.Target`: add priors; as densities of sds, correlations, nu, weights and means themselves.
    sd_unit : array (q + D,) or None
        Units of signed sds among u.
    """

    parameters: VarianceParameters
    data: GroupData
    shape: Shape
    centre: Array
    scale: Array
    prior_on: bool = True
    natural: bool = False
    sd_unit: Array | None = None
    _mine: PerThread = field(init=False, default_factory=PerThread, repr=False, compare=False)

    @property
    def n(self) -> int:
        """Number of parameters."""
        return self.parameters.n_free + len(self.centre) + self.shape.n_shape + self._n_further

    @property
    def names(self) -> tuple[str, ...]:
        """Public names of the parameters."""
        coef = tuple(f"beta[{name}]" for name in self.data.gram.coef_names)
        own = self.of_components.free_names if self._n_further else ()
        further = tuple(f"component {k}: {name}" for k in range(1, self.shape.n_covariances) for name in own)
        sd = "scale_" if isinstance(self.shape.effects, StudentT) else "component_sd_"
        mine = tuple(
            name.replace("sd_", sd, 1) if name.startswith("sd_") else name for name in self.parameters.free_names
        )
        return (*mine, *coef, *self.shape.names, *further)

    @property
    def of_components(self) -> VarianceParameters:
        """Variance parameters of a further component: those of the factor, with errors as constants."""
        v = self.parameters
        code, values, corr_is_free = v.sd_code.copy(), v.sd_parameters.copy(), v.corr_is_free.copy()
        code[v.n_factor :], values[v.n_factor :], corr_is_free[-1] = Fixed.code, (1.0, 0.0), False
        return replace(v, sd_code=code, sd_parameters=values, corr_is_free=corr_is_free, within_units=no_units())

    @property
    def _n_further(self) -> int:
        return (self.shape.n_covariances - 1) * self.of_components.n_free

    def parts(self, psi: Array) -> tuple[Array, Array, Array, tuple[Array, ...]]:
        """Return u, beta of columns as they stand, shape, and u of further components, at points psi (S, n)."""
        n, p, m = self.parameters.n_free, len(self.centre), self.shape.n_shape
        beta = self.data.to_user(self.centre + psi[:, n : n + p] @ self.scale.T)
        further = np.split(psi[:, n + p + m :], self.shape.n_covariances - 1, axis=1) if self._n_further else []
        return psi[:, :n], beta, psi[:, n + p : n + p + m], tuple(further)

    def __call__(self, u: Array, /) -> tuple[float, Array]:
        """Return the log density of psi (n,), which samplers call u, and its gradient (n,)."""
        return self._mine.once("evaluator", self.evaluator)(u)

    def on_threads(self, threads: int) -> EffectsTarget:  # noqa: ARG002  # `sampling.density.Density`
        """Return the same: one evaluation has one thread."""
        return self

    def with_signed(self, unit: Array) -> EffectsTarget:
        """Return the target in coordinates of which some are signed standard deviations."""
        return replace(self, sd_unit=unit)

    def native(self, centre: Array, scale: Array) -> None:
        """Return nothing: the table has room for one thread, and chains would share it."""

    def evaluator(self) -> Callable[[Array], tuple[float, Array]]:
        """Return the density as a function with room of its own, for one thread at a time."""
        return densities.evaluator(log_densities(), self.n, self.table())

    def values(self, points: Array, *, threads: int = 1) -> Array:
        """Return the log densities (k,) of many points (k, n)."""
        return densities.values(
            log_densities(), points, self.n, lambda k: self.table(n_points=k, wanted=VALUE), threads
        )

    def table(
        self, *, n_points: int = 1, wanted: int = GRADIENT, first: int = 0, room: tuple[Array, ...] | None = None
    ) -> AddressTable:
        """Return the table that `entry.log_densities` reads.

        Parameters
        ----------
        n_points : int
            Points to be evaluated in each call.
        wanted : int
            `VALUE`, `GRADIENT`, or above that draws of groups.
        first : int
            The first group to be drawn.
        room : tuple of arrays or None
            Random numbers and what draws are written to: see `draws`.
        """
        v, data, shape = self.parameters, self.data, self.shape
        effects, terms = shape.effects, data.gram.terms
        is_mixture = isinstance(effects, Mixture)
        concentration = effects.concentration if isinstance(effects, Mixture) else 1.0
        sd_unit = np.zeros(v.n_columns) if self.sd_unit is None else self.sd_unit
        constant = data.constant
        if len(data.prior_rows) and len(self.scale):
            constant += float(np.linalg.slogdet(self.scale)[1])
        most = int(np.diff(data.start).max(initial=0))
        from hierreg.likelihood.heavy_tails.shape_kernels import MIXTURE, N_SCALES, STUDENT_T

        return AddressTable(
            [
                *self._variance_rows(v, sd_unit),
                *self._variance_rows(self.of_components, np.zeros(v.n_columns)),
                *integers(data.start, data.term),
                *floats(data.C, data.D, data.left),
                *integers(data.left_term),
                *floats(data.prior_rows, self.centre, self.scale),
                *integers(terms.gaps),
                *flags(terms.patterns),
                *floats(terms.counts),
                terms.n_terms,
                MIXTURE if is_mixture else STUDENT_T,
                *floats(shape.student),
                shape.n_components,
                shape.n_covariances,
                *floats(np.array([concentration]), shape.tau, shape.internal),
                n_points,
                wanted,
                int(self.prior_on),
                int(self.natural),
                *floats(np.array([constant])),
                v.n_free,
                self.of_components.n_free,
                shape.n_shape,
                1 if is_mixture else N_SCALES,
                first,
                most,
                *(room or _NO_DRAWS),
                *self._room(most, 1 if is_mixture else N_SCALES),
            ]
        )

    def _room(self, most: int, M: int) -> list[Any]:
        """Return what the kernels write to, for groups of at most so many rows: mixture, `weigh`, `differentiate`."""
        L, c, q = self.shape.n_covariances, self.shape.n_components, len(self.shape.coef)
        p, K = len(self.centre), self.data.gram.terms.n_terms
        which = np.arange(c, dtype=np.int64) if L > 1 else np.zeros(c, dtype=np.int64)
        mixture = [np.zeros((L, q, q)), which, np.zeros((c, q)), np.zeros(c), np.zeros(M), np.zeros(M)]
        of_group = [(L, most, q), (L, q, q), (L, q), (c, most), (c, most), (c, q), (c, q, M), (c, M), (c, M), (most,)]
        averages: list[tuple[int, ...]] = [(q,), (q,), (q, q), (q,)]
        slopes: list[tuple[int, ...]] = [(L, q, q), (c, q), (c,), (M,), (M,), (p,), (K,)]
        return [*mixture, *(np.zeros(shape) for shape in (*of_group, *averages, *slopes))]

    def _variance_rows(self, v: VarianceParameters, sd_unit: Array) -> list[Any]:
        """Return what `covariances_at` reads of variance parameters, and the map to internal Lambda."""
        stratum, size, rest, sd_of_stratum, lowest, is_free, eta, fixed = v.within_units.arrays
        return [
            v.n_factor,
            *integers(v.block_sizes, v.sd_code),
            *floats(v.sd_parameters),
            *flags(v.corr_is_free),
            *floats(v.eta, v.fixed_corr_factor),
            *integers(stratum, size),
            *floats(rest),
            *integers(sd_of_stratum),
            *floats(lowest),
            *flags(is_free),
            *floats(eta, fixed, sd_unit),
            *floats(v.to_internal(np.linalg.inv(self.data.gram.z_map))),
        ]


@cache
def log_densities() -> Any:
    """Return the compiled function as one of Python, which lets other threads run."""
    from hierreg.likelihood.heavy_tails.entry import log_densities

    return densities.as_function(log_densities.address)
