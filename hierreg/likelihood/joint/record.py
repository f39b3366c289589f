"""What the compiled density of the parameters and all effects reads (`compiled.records`)."""

from __future__ import annotations

from typing import NamedTuple

from hierreg.compiled.records import Count, Floats, Integers, Number, n_rows, rows_of
from hierreg.likelihood.quadrature.record import AuxiliaryRecord, PsiRecord, RowsRecord


class FormRecord(NamedTuple):
    """The form of the factor of H (`structure.Structure.form`): see `factor_kernels`."""

    first: Integers
    rows: Integers
    first_update: Integers
    places: Integers
    dense: Count
    n_dense: Count


class StructureRecord(NamedTuple):
    """Where H has entries: `structure.Structure`.

    Attributes
    ----------
    place, row_block : int arrays (N, F), (N, F (F + 1) / 2)
    form : FormRecord
    begin, places : int arrays
        Its blocks.
    column, size, first : int arrays (F,), (F,), (F + 1,)
        Its factors.
    """

    place: Integers
    row_block: Integers
    form: FormRecord
    begin: Integers
    places: Integers
    column: Integers
    size: Integers
    first: Integers


class JointRecord(NamedTuple):
    """What `entry.log_densities` reads.

    Attributes
    ----------
    psi : PsiRecord
        Whose n are the elements of psi alone.
    rows : RowsRecord
    structure : StructureRecord
    entries, response, slope : arrays
        The working Gaussian model (`density.WorkingEffects`).
    auxiliary : AuxiliaryRecord
    constant : float
        Of the log density.
    """

    psi: PsiRecord
    rows: RowsRecord
    structure: StructureRecord
    entries: Floats
    response: Floats
    slope: Floats
    auxiliary: AuxiliaryRecord
    constant: Number


ROWS, N_ROWS = rows_of(JointRecord), n_rows(JointRecord)
