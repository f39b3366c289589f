"""The log posterior density of variance parameters, population coefficients and the shape of group effects."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.compiled import densities
from hierreg.compiled.address_kernels import GRADIENT, VALUE
from hierreg.compiled.addresses import AddressTable, PerThread
from hierreg.effects import Mixture, StudentT
from hierreg.errors.within_units import no_units
from hierreg.likelihood.heavy_tails.record import (
    AveragesRecord,
    DataRecord,
    EffectsRecord,
    GroupRecord,
    MixtureRecord,
    RunRecord,
    ShapeRecord,
    SlopesRecord,
)
from hierreg.priors import Fixed
from hierreg.variances.record import record_of

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
        data, effects = self.data, self.shape.effects
        constant = data.constant
        if len(data.prior_rows) and len(self.scale):
            constant += float(np.linalg.slogdet(self.scale)[1])
        most = int(np.diff(data.start).max(initial=0))
        from hierreg.likelihood.heavy_tails.shape_kernels import N_SCALES

        n_scales = 1 if isinstance(effects, Mixture) else N_SCALES
        uniform, normal, out, square, probability = room or _NO_DRAWS
        to_internal = self.parameters.to_internal(np.linalg.inv(data.gram.z_map))
        record = EffectsRecord(
            variances=record_of(self.parameters, self.sd_unit),
            to_internal=to_internal,
            own_variances=record_of(self.of_components),
            own_to_internal=self.of_components.to_internal(np.linalg.inv(data.gram.z_map)),
            data=self._data_record(),
            shape=self._shape_record(),
            run=RunRecord(
                n_points=n_points,
                wanted=wanted,
                prior_on=self.prior_on,
                natural=self.natural,
                constant=constant,
                n_free=self.parameters.n_free,
                n_own=self.of_components.n_free,
                n_shape=self.shape.n_shape,
                n_scales=n_scales,
                first=first,
                most=most,
                uniform=uniform,
                normal=normal,
                effects=out,
                square=square,
                probability=probability,
            ),
            **self._room(most, n_scales),
        )
        return AddressTable(record)

    def _data_record(self) -> DataRecord:
        data, terms = self.data, self.data.gram.terms
        return DataRecord(
            start=data.start,
            term=data.term,
            C=data.C,
            D=data.D,
            left=data.left,
            left_term=data.left_term,
            prior_rows=data.prior_rows,
            centre=self.centre,
            scale=self.scale,
            gaps=terms.gaps,
            patterns=terms.patterns,
            counts=terms.counts,
            n_terms=terms.n_terms,
        )

    def _shape_record(self) -> ShapeRecord:
        from hierreg.likelihood.heavy_tails.shape_kernels import MIXTURE, STUDENT_T

        shape, effects = self.shape, self.shape.effects
        return ShapeRecord(
            kind=MIXTURE if isinstance(effects, Mixture) else STUDENT_T,
            student=shape.student,
            n_components=shape.n_components,
            n_covariances=shape.n_covariances,
            concentration=effects.concentration if isinstance(effects, Mixture) else 1.0,
            tau=shape.tau,
            frame=shape.internal,
        )

    def _room(self, most: int, M: int) -> dict[str, Any]:
        """Return what the kernels write to, for groups of at most so many rows."""
        L, c, q = self.shape.n_covariances, self.shape.n_components, len(self.shape.coef)
        p, K = len(self.centre), self.data.gram.terms.n_terms
        return {
            "mixture": MixtureRecord(
                Lambdas=np.zeros((L, q, q)),
                which=np.arange(c) if L > 1 else np.zeros(c),
                means=np.zeros((c, q)),
                log_pi=np.zeros(c),
                log_weight=np.zeros(M),
                scale=np.zeros(M),
            ),
            "group": GroupRecord(
                U=np.zeros((L, most, q)),
                V=np.zeros((L, q, q)),
                d=np.zeros((L, q)),
                e=np.zeros((c, most)),
                rest=np.zeros((c, most)),
                w=np.zeros((c, q)),
                shrunk=np.zeros((c, q, M)),
                weight=np.zeros((c, M)),
                det=np.zeros((c, M)),
                base=np.zeros(most),
            ),
            "averages": AveragesRecord(
                first=np.zeros(q), second=np.zeros(q), squares=np.zeros((q, q)), variance=np.zeros(q)
            ),
            "slopes": SlopesRecord(
                of_Lambda=np.zeros((L, q, q)),
                of_means=np.zeros((c, q)),
                of_pi=np.zeros(c),
                of_weight=np.zeros(M),
                of_scale=np.zeros(M),
                of_beta=np.zeros(p),
                of_omega=np.zeros(K),
            ),
        }


@cache
def log_densities() -> Any:
    """Return the compiled function as one of Python, which lets other threads run."""
    from hierreg.likelihood.heavy_tails.entry import log_densities

    return densities.as_function(log_densities.address)
