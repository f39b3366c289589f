"""The compiled log density by quadrature with the arrays that it reads, as functions of Python.

`engine.QuadratureLikelihood` and `density.QuadratureTarget` are called so here, and import this module.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.compiled.addresses import AddressTable, flags, floats, integers
from hierreg.compiled.densities import as_function, value_and_gradient
from hierreg.likelihood.quadrature.nodes import product_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@cache
def compiled() -> Any:
    """Return the compiled function as one of Python, which lets other threads run."""
    from hierreg.likelihood.quadrature.entry import log_densities

    return as_function(log_densities.address)


class FactorFunction:
    """(phi, Lambda, further parameters) -> log likelihood of some groups and gradient, for any number of threads."""

    def __init__(self, likelihood: Any, first: int, last: int) -> None:
        p, q = likelihood.rows[0].shape[1], likelihood.n_effects
        nothing = np.empty(0)
        variances: list[NDArray[Any] | int] = [
            q,
            *integers(nothing, np.zeros(q)),
            *floats(np.empty((q, 2))),
            *flags(nothing),
            *floats(nothing, np.eye(q)),
            *_within_nothing(),
            *floats(nothing),
        ]
        self._likelihood = likelihood
        self._variances = variances
        self._range, self._p = (first, last), p
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
            self._tables[key] = AddressTable(
                [
                    *self._variances,
                    *floats(np.empty(0), np.empty((0, 0))),
                    1,
                    int(wanted),
                    *rows_of(self._likelihood),
                    *floats(np.zeros(self._p), np.zeros(self._p)),
                    0,
                    *integers(np.empty(0)),
                    *floats(np.empty((0, 2))),
                    0,
                    *shape,
                    self._range[0],
                    1,
                    self._range[1],
                    *floats(np.eye(self._likelihood.n_effects)),
                ]
            )
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
    v, likelihood, auxiliary = target.parameters, target.likelihood, target.auxiliary
    codes, priors = auxiliary.compiled_priors
    T, m = auxiliary.shape
    return AddressTable(
        [
            *rows_of_psi(target, centre, scale),
            n_points,
            int(wanted),
            *rows_of(likelihood),
            *floats(target.population.mean, target.population.precision),
            int(target.prior_on),
            *integers(codes),
            *floats(priors),
            int(auxiliary.has_order),
            T,
            m,
            0,
            0,
            likelihood.n_groups,
            *floats(np.eye(v.n_factor)),
        ]
    )


def rows_of_psi(target: Any, centre: Array | None, scale: Array | None) -> Sequence[NDArray[Any] | int]:
    """Return the rows of a table that hold the variance parameters, and what psi = centre + scale x is of x."""
    n, v = target.n, target.parameters
    stratum, size, rest, sd_of_stratum, lowest, is_free, own_eta, fixed = v.within_units.arrays
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
        *floats(own_eta, fixed),
        *floats(np.zeros(v.n_columns) if target.sd_unit is None else target.sd_unit),
        *floats(np.zeros(n) if centre is None else centre, np.eye(n) if scale is None else scale),
    ]


def rows_of(likelihood: Any) -> Sequence[NDArray[Any] | int]:
    """Return the rows of a table that hold the data, the rule and the modes."""
    X, Z, y, n, weight, offset, stratum, family, link, starts = likelihood.rows
    nodes, log_weights = product_rule(likelihood.n_nodes, likelihood.n_effects)
    return [
        *floats(X, Z, y, n, weight, offset),
        *integers(stratum),
        int(family),
        int(link),
        *integers(starts),
        *floats(nodes, log_weights, likelihood.modes),
    ]


def _within_nothing() -> list[NDArray[Any]]:
    """Return the rows of correlations within units, of which there are none."""
    nothing = np.empty(0)
    return [
        *integers(nothing, nothing),
        *floats(nothing),
        *integers(nothing),
        *floats(nothing),
        *flags(nothing),
        *floats(nothing, nothing),
    ]
