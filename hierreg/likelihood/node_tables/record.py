"""What the compiled density by tables at fixed nodes reads (`compiled.records`)."""

from __future__ import annotations

from typing import NamedTuple

from hierreg.compiled.records import Count, Floats, n_rows, rows_of
from hierreg.likelihood.quadrature.record import PsiRecord


class NodeTableRecord(NamedTuple):
    """What `entry.log_densities` reads; see `table.NodeTable`.

    Attributes
    ----------
    psi : PsiRecord
    strips, features : arrays
    n_groups : int
    same : array (q, q)
        The unit matrix.
    """

    psi: PsiRecord
    strips: Floats
    n_groups: Count
    features: Floats
    same: Floats


ROWS, N_ROWS = rows_of(NodeTableRecord), n_rows(NodeTableRecord)
