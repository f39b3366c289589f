"""The design of a part of the rows, whose grouping factors may have levels that no other part has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hierreg.design_matrices.build import assemble_design, columns_of_factors, evaluate
from hierreg.design_matrices.levels import FactorLevels, learn_factor

if TYPE_CHECKING:
    import narwhals as nw

    from hierreg.design_matrices.build import DesignState
    from hierreg.design_matrices.values import Design


def design_of_part(state: DesignState, table: nw.DataFrame[Any]) -> tuple[Design, tuple[FactorLevels, ...]]:
    """Return the arrays of a part of the rows, and the levels of its grouping factors.

    Parameters
    ----------
    state : DesignState
        What is known of all rows; its grouping factors are not looked at.
    table : narwhals.DataFrame

    Raises
    ------
    DataError
        If a column is absent, incomplete or of an unusable type, or a categorical predictor has an unknown level.
    """
    y, matrices = evaluate(state, table, response=True)
    columns = columns_of_factors(state.spec)
    factors = [learn_factor(table, name, own, allow_single=True) for name, own in columns.items()]
    return assemble_design(state.spec, state.response_name, y, matrices, factors), tuple(
        levels for levels, _ in factors
    )
