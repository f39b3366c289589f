"""Columns whose names a PyMC model cannot have as dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierreg.checks import listed
from hierreg.exceptions import ModelError
from hierreg.problem.labels import response_variable, result_dims

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout

_OWN_DIMS = {"obs", "population_columns"}


def check_names(design: Design, layout: ErrorLayout, further: Sequence[str] = ()) -> None:
    """Raise where a column that labels results is called like something else in a PyMC model.

    There every dimension has the name of its column, dimensions and variables share one list of names, and some names
    belong to PyMC; a tree renames its dimensions instead (`hierreg.problem.labels.result_dims`). `further` are names of
    a family's parameters and dimensions.

    Raises
    ------
    ModelError
    """
    factors = [factor.name for factor in design.factors]
    columns = list(dict.fromkeys([*factors, *([layout.dim] if layout.dim is not None else [])]))
    dims = result_dims(columns, factors, further)
    of_pymc = {name for factor in factors for name in (f"{factor}_columns", f"{factor}_index")}
    wrong = [column for column in columns if dims[column] != column or column in _OWN_DIMS | of_pymc]
    response = response_variable(design.response_name)
    if response in {"obs", "coef", *further, *dims.values(), *(f"{dim}_coef" for dim in dims.values())}:
        wrong.append(design.response_name)
    if wrong:
        raise ModelError(
            f"a PyMC model cannot have dimensions called like the columns {listed(wrong)}: variables or dimensions of "
            "it have these names, or they hold a slash. Rename the columns, or use parametrization='marginal' with "
            "sampler='nutpie', which needs no PyMC model."
        )
