"""From a formula and a table to the arrays of the model, and back to new tables.

A table is anything narwhals reads. Rows keep their order and none is ever dropped; what cannot be used is an
error that names the column and the rows.
"""

from hierreg.design_matrices.build import DesignState, build_design
from hierreg.design_matrices.levels import column_levels
from hierreg.design_matrices.stacking import stack
from hierreg.design_matrices.table import as_table, column
from hierreg.design_matrices.values import Design, FactorDesign

__all__ = [
    "Design",
    "DesignState",
    "FactorDesign",
    "as_table",
    "build_design",
    "column",
    "column_levels",
    "stack",
]
