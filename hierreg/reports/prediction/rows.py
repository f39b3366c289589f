"""New rows as arrays: columns, groups, and how their errors depend on those of the observed rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hierreg.design import as_table, column_levels
from hierreg.reports.prediction.errors import NewErrors, new_errors
from hierreg.sampling.problem import ProblemLike

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design import Design, DesignState, FactorDesign

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


class PredictedProblem(ProblemLike, Protocol):
    """What prediction reads of a model: the design can be made for another table."""

    @property
    def state(self) -> DesignState:
        """What the design learned from its table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGroups:
    """The groups of M new rows by one grouping factor.

    Attributes
    ----------
    factor : str
    Z : array (M, q)
    group : int array (M,)
        Observed group of each row; -1 for a new one.
    new_group : int array (M,)
        Number of the new group of each row; -1 for an observed one.
    labels : list of str
        Label of the group of each row.
    """

    factor: str
    Z: Array
    group: Index
    new_group: Index
    labels: list[str]

    @property
    def n_new(self) -> int:
        """Number of new groups."""
        return int(self.new_group.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRows:
    """M new rows.

    Attributes
    ----------
    X : array (M, p)
    groups : tuple of NewGroups
        One per grouping factor: each is known or new whatever the others are.
    errors : NewErrors
    """

    X: Array
    groups: tuple[NewGroups, ...]
    errors: NewErrors


def new_rows(
    problem: PredictedProblem, newdata: Any, *, observation: bool, cross_cov: Any = None, new_cov: Any = None
) -> NewRows:
    """Return the arrays of a new table.

    Raises
    ------
    DataError, ModelError
        If a column is missing, or levels or matrices do not fit.
    """
    table = as_table(newdata)
    design: Design = problem.state.apply(newdata, response=False, new_levels="allow")
    errors = new_errors(problem.layout, table, observation=observation, cross_cov=cross_cov, new_cov=new_cov)
    groups = tuple(
        _groups(factor, _labels(table, learned.columns))
        for factor, learned in zip(design.factors, problem.state.factors, strict=True)
    )
    return NewRows(X=design.X, groups=groups, errors=errors)


def _groups(factor: FactorDesign, labels: list[str]) -> NewGroups:
    is_new = factor.index < 0
    new_group = np.full(len(labels), -1, dtype=np.intp)
    new_group[is_new] = np.unique(np.array(labels)[is_new], return_inverse=True)[1]
    return NewGroups(factor=factor.name, Z=factor.Z, group=factor.index, new_group=new_group, labels=labels)


def _labels(table: Any, columns: tuple[str, ...]) -> list[str]:
    """Return the label of the group of each row."""
    parts = []
    for name in columns:
        levels, index = column_levels(table, name, role="grouping factor", allow_fractions=True)
        parts.append([str(levels[i]) for i in index])
    return [":".join(label) for label in zip(*parts, strict=True)]
