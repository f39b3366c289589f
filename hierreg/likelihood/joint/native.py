"""The compiled log density of all effects with the arrays that it reads, as a function of Python."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.compiled.addresses import AddressTable, flags, floats, integers
from hierreg.compiled.densities import as_function

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@cache
def compiled() -> Any:
    """Return the compiled function as one of Python, which lets other threads run."""
    from hierreg.likelihood.joint.entry import log_densities

    return as_function(log_densities.address)


def density_table(
    target: Any,
    *,
    centre: Array | None = None,
    scale: Array | None = None,
    n_points: int = 1,
    wanted: bool = True,
) -> AddressTable:
    """Return the table of the log density where psi = centre + scale x; of psi itself by default."""
    n, v, auxiliary = target.n_psi, target.parameters, target.auxiliary
    likelihood, structure, working = target.likelihood, target.structure, target.working
    stratum, size, rest, sd_of_stratum, lowest, is_free, own_eta, fixed = v.within_units.arrays
    codes, priors = auxiliary.compiled_priors
    X, Z, y, trials, weight, offset, row_stratum, family, link = likelihood.numbers
    first, rows, first_update, places, dense, m = structure.form
    return AddressTable(
        [
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
            *floats(np.zeros(n) if centre is None else centre[:n], np.eye(n) if scale is None else scale),
            n_points,
            int(wanted),
            *floats(X, Z, y, trials, weight, offset),
            *integers(row_stratum),
            int(family),
            int(link),
            *integers(structure.place, structure.row_block, first, rows, first_update, places),
            int(dense),
            int(m),
            *integers(*structure.blocks, *structure.factors),
            *floats(working.entries, working.response, working.slope),
            *floats(target.population.mean, target.population.precision),
            int(target.prior_on),
            *integers(codes),
            *floats(priors),
            int(auxiliary.has_order),
            *floats(np.empty(auxiliary.shape), np.array([target.constant])),
        ]
    )
