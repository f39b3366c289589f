"""From a formula and a table to the arrays of the model, and back to new tables.

A table is anything narwhals reads. Rows keep their order and none is ever dropped; what cannot be used is an
error that names the column and the rows.
"""

from hierreg.design.build import DesignState, build_design
from hierreg.design.levels import column_levels
from hierreg.design.stacking import stack
from hierreg.design.table import as_table, column
from hierreg.design.values import Design, FactorDesign

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
