"""The compiled log density by quadrature with the arrays that it reads, as functions of Python.

`engine.QuadratureLikelihood` and `density.QuadratureTarget` are called so here, and import this module.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.compiled.addresses import AddressTable
from hierreg.compiled.densities import as_function, value_and_gradient
from hierreg.likelihood.quadrature.nodes import product_rule
from hierreg.likelihood.quadrature.record import (
    OF_FACTOR,
    OF_PSI,
    AuxiliaryRecord,
    PsiRecord,
    QuadratureRecord,
    RowsRecord,
)
from hierreg.variances.record import VarianceRecord, WithinRecord, record_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.quadrature.auxiliary import Auxiliary

    Array = NDArray[np.float64]


@cache
def compiled() -> Any:
    """Return the compiled function as one of Python, which lets other threads run."""
    from hierreg.likelihood.quadrature.entry import log_densities

    return as_function(log_densities.address)


class FactorFunction:
    """(phi, Lambda, further parameters) -> log likelihood of some groups and gradient, for any number of threads."""

    def __init__(self, likelihood: Any, first: int, last: int) -> None:
        self._likelihood = likelihood
        self._range, self._p = (first, last), likelihood.rows[0].shape[1]
        self._tables: dict[tuple[bool, tuple[int, ...]], AddressTable] = {}

    def __call__(self, x: Array, *, wanted: bool) -> tuple[float, Array]:
        """Return the log likelihood at x, and the gradient; zero where it is not wanted."""
        q = self._likelihood.n_effects
        T = int(self._likelihood.rows[6].max(initial=0)) + 1
        size = len(x) - self._p - q * q
        shape = (T, size // T) if not self._likelihood.has_order else (1, size)
        table = self._table(shape, wanted=wanted)
        return value_and_gradient(compiled(), np.ascontiguousarray(x, dtype=float), len(x), table)

    def _table(self, shape: tuple[int, int], *, wanted: bool) -> AddressTable:
        key = wanted, shape
        if key not in self._tables:
            T, m = shape
            psi = PsiRecord(
                variances=_no_variances(self._likelihood.n_effects),
                centre=np.empty(0),
                scale=np.empty((0, 0)),
                n_points=1,
                wanted=wanted,
                mean=np.zeros(self._p),
                precision=np.zeros(self._p),
                prior_on=0,
            )
            further = AuxiliaryRecord(codes=np.empty(0), priors=np.empty((0, 2)), has_order=0, n_strata=T, n_each=m)
            self._tables[key] = AddressTable(_record(self._likelihood, psi, further, self._range, OF_FACTOR))
        return self._tables[key]


def density_table(
    target: Any,
    *,
    centre: Array | None = None,
    scale: Array | None = None,
    n_points: int = 1,
    wanted: bool = True,
) -> AddressTable:
    """Return the table of the log density of psi = centre + scale x; of psi itself by default."""
    psi = psi_record(target, target.n, centre=centre, scale=scale, n_points=n_points, wanted=wanted)
    own = target.likelihood
    return AddressTable(_record(own, psi, auxiliary_record(target.auxiliary), (0, own.n_groups), OF_PSI))


def psi_record(
    target: Any, n: int, *, centre: Array | None, scale: Array | None, n_points: int, wanted: bool | int
) -> PsiRecord:
    """Return what psi = centre + scale x, of n elements, is, and what is wanted."""
    return PsiRecord(
        variances=record_of(target.parameters, target.sd_unit),
        centre=np.zeros(n) if centre is None else centre[:n],
        scale=np.eye(n) if scale is None else scale,
        n_points=n_points,
        wanted=wanted,
        mean=target.population.mean,
        precision=target.population.precision,
        prior_on=target.prior_on,
    )


def auxiliary_record(auxiliary: Auxiliary) -> AuxiliaryRecord:
    """Return the further parameters of a family."""
    codes, priors = auxiliary.compiled_priors
    T, m = auxiliary.shape
    return AuxiliaryRecord(codes=codes, priors=priors, has_order=auxiliary.has_order, n_strata=T, n_each=m)


def _record(
    likelihood: Any, psi: PsiRecord, auxiliary: AuxiliaryRecord, groups: tuple[int, int], of: int
) -> QuadratureRecord:
    *rows, starts = likelihood.rows
    nodes, log_weights = product_rule(likelihood.n_nodes, likelihood.n_effects)
    return QuadratureRecord(
        psi=psi,
        rows=RowsRecord(*rows),
        starts=starts,
        nodes=nodes,
        log_weights=log_weights,
        modes=likelihood.modes,
        auxiliary=auxiliary,
        first=groups[0],
        last=groups[1],
        of=of,
        same=np.eye(likelihood.n_effects),
    )


def _no_variances(q: int) -> VarianceRecord:
    """Return variance parameters of which nothing but their number of effects is read."""
    nothing = np.empty(0)
    return VarianceRecord(
        n_factor=q,
        block_sizes=nothing,
        sd_code=np.zeros(q),
        sd_parameters=np.empty((q, 2)),
        corr_is_free=nothing,
        eta=nothing,
        fixed_corr_factor=np.eye(q),
        within=WithinRecord(*[nothing] * len(WithinRecord._fields)),
        sd_unit=nothing,
    )
