"""Which rows are left out together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.design_matrices import as_table
from hierreg.design_matrices.table import complete_series
from hierreg.exceptions import ModelError
from hierreg.predictive.of_model import any_problem_of, check_match
from hierreg.problem.labels import DRAWS
from hierreg.results.carried import problem_and_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.predictive.of_model import ModelLike
    from hierreg.problem.family import FamilyProblem
    from hierreg.problem.problem import Problem

    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSets:
    """The rows of a table in K sets, each of which is left out at once.

    Attributes
    ----------
    what : str
        What a set is called: "row", or the column.
    dim : str
        Dimension of results.
    labels : list (K,)
    index : int array (N,) or None
        Set of each row; None where each is its own.
    """

    what: str
    dim: str
    labels: list[Any]
    index: Index | None

    def rows(self, k: int) -> Index:
        """Return the rows of a set."""
        return np.array([k]) if self.index is None else np.flatnonzero(self.index == k)

    def others(self, k: int) -> Index:
        """Return all rows but those of a set."""
        own = np.arange(len(self.labels)) if self.index is None else self.index
        return np.flatnonzero(own != k)

    def name(self, k: int) -> str:
        """Return what a set is called in messages."""
        return f"{self.what} {self.labels[k]}"


def problem_and_data(tree: xr.DataTree, model: ModelLike | None) -> tuple[Problem | FamilyProblem, Any]:
    """Return the problem of the model given, or of that which the tree carries, and its table."""
    found = problem_and_table(tree) if model is None else (any_problem_of(model), getattr(model, "data", None))
    check_match(tree, found[0])
    return found


def sets_of(problem: Problem, table: Any, by: str | None) -> RowSets:
    """Return the rows, the groups of a grouping factor, the units of errors, or the groups of another column.

    Raises
    ------
    ModelError
        If there is no such column.
    DataError
        If it has missing values.
    """
    if by is None:
        n = len(problem.design.y)
        return RowSets(what="row", dim="obs", labels=list(range(n)), index=None)
    names = [factor.name for factor in problem.labels.factors]
    for labels, factor in zip(problem.labels.factors, problem.design.factors, strict=True):
        if factor.name == by:
            return RowSets(what=by, dim=labels.dim, labels=list(factor.levels), index=factor.index)
    _, levels, index = column_levels(names, table, by, role="groups that are left out")
    dim = f"{by}_" if by in DRAWS else by
    return RowSets(what=by, dim=dim, labels=levels.tolist(), index=index)


def column_levels(factors: Sequence[str], table: Any, by: str, role: str) -> tuple[NDArray[Any], NDArray[Any], Index]:
    """Return the values (N,) of a column that is no grouping factor, those that differ, and which is that of each row.

    Raises
    ------
    ModelError
        If there is no such column.
    DataError
        If it has missing values.
    """
    columns = [] if table is None else list(as_table(table).columns)
    if by not in columns:
        known = list(dict.fromkeys([*factors, *columns]))
        raise ModelError(
            f"by={by!r} is no grouping factor and no column that the result carries: {listed(known)}."
            f"{suggestion(str(by), known)} Other columns of the table are known with model=model."
        )
    values = complete_series(as_table(table), by, role=role).to_numpy()
    levels, index = np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)
    return values, levels, index.astype(np.intp)
