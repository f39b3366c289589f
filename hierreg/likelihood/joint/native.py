"""The compiled log density of all effects with the arrays that it reads, as a function of Python."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.compiled.addresses import AddressTable
from hierreg.compiled.densities import as_function
from hierreg.likelihood.joint.record import FormRecord, JointRecord, StructureRecord
from hierreg.likelihood.quadrature.native import auxiliary_record, psi_record
from hierreg.likelihood.quadrature.record import RowsRecord

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
    likelihood, structure, working = target.likelihood, target.structure, target.working
    begin, places = structure.blocks
    column, size, first = structure.factors
    record = JointRecord(
        psi=psi_record(target, target.n_psi, centre=centre, scale=scale, n_points=n_points, wanted=wanted),
        rows=RowsRecord(*likelihood.numbers),
        structure=StructureRecord(
            place=structure.place,
            row_block=structure.row_block,
            form=FormRecord(*structure.form),
            begin=begin,
            places=places,
            column=column,
            size=size,
            first=first,
        ),
        entries=working.entries,
        response=working.response,
        slope=working.slope,
        auxiliary=auxiliary_record(target.auxiliary),
        constant=target.constant,
    )
    return AddressTable(record)
