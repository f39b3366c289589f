"""Which rows a check is of: all, or those of each group, stratum, level or range of a column."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import check_whole
from hierreg.display.numbers import number
from hierreg.predictive.left_out.sets import column_levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.problem.family import FamilyProblem
    from hierreg.problem.problem import Problem

    Index = NDArray[np.intp]

# Values of a number up to which each is a set of its own.
_MOST_VALUES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSets:
    """Rows in K sets, in their order.

    Attributes
    ----------
    by : str
        Column, or empty.
    labels : list of str (K,)
    order : int array (n,)
        Rows, sorted by set.
    starts : int array (K,)
        First place of each set among them.
    """

    by: str
    labels: list[str]
    order: Index
    starts: Index

    @property
    def sizes(self) -> Index:
        """Rows of each set (K,)."""
        return np.diff(np.append(self.starts, len(self.order)))


def check_sets(problem: Problem | FamilyProblem, table: Any, by: str | None, bins: int, rows: Index) -> CheckSets:
    """Return the sets of some rows.

    Parameters
    ----------
    problem : Problem or FamilyProblem
    table : table or None
        The columns of all rows.
    by : str or None
        A grouping factor, or a column of the table: of text or few numbers its values, else so many ranges with about
        as many rows each.
    bins : int
    rows : int array (n,)
        Those that are checked, of all.

    Raises
    ------
    ModelError
        If there is no such column.
    DataError
        If it has missing values.
    """
    check_whole("bins", bins, least=2)
    if by is None:
        return CheckSets(by="", labels=[""], order=np.arange(len(rows)), starts=np.zeros(1, dtype=np.intp))
    labels, index = _labels(problem, table, by, bins)
    index = index[rows]
    order = np.argsort(index, kind="stable")
    present, starts = np.unique(index[order], return_index=True)
    return CheckSets(by=by, labels=[labels[k] for k in present], order=order, starts=starts.astype(np.intp))


def _labels(problem: Any, table: Any, by: str, bins: int) -> tuple[list[str], Index]:
    for factor in problem.design.factors:
        if factor.name == by:
            return [str(level) for level in factor.levels], factor.index
    names = [factor.name for factor in problem.design.factors]
    values, levels, index = column_levels(names, table, by, role="what a check is by")
    if levels.dtype.kind not in "iuf" or len(levels) <= _MOST_VALUES:
        return [str(level) for level in levels], index
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
    ranges = [f"{number(float(low))} to {number(float(high))}" for low, high in pairwise(edges)]
    return ranges, np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(ranges) - 1).astype(np.intp)
