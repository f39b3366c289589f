"""New rows as arrays: columns, groups, and how their errors depend on those of the observed rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.design_matrices import as_table
from hierreg.design_matrices.build import evaluate
from hierreg.linear.prediction.errors import NewErrors, new_errors
from hierreg.linear.prediction.levels import check_labels, labels_of
from hierreg.problem.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hierreg.design_matrices import Design, DesignState, FactorDesign
    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGroups:
    """The groups of M new rows by one grouping factor.

    Attributes
    ----------
    factor : str
    Z : array (M, q)
    group : int array (M,)
        Observed group of each row; -1 for a new one, and where the population is meant.
    new_group : int array (M,)
        Number of the new group of each row; -1 for an observed one, and where the population is meant.
    labels : list of str
        Label of the group of each row.
    columns : array (M, q) or None
        The group columns of rows for which the population is meant, whose Z is zero; else None.
    """

    factor: str
    Z: Array
    group: Index
    new_group: Index
    labels: list[str]
    columns: Array | None = None

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


def new_rows(  # noqa: PLR0913  # the arguments of `predict`
    problem: Problem | FamilyProblem,
    newdata: Any,
    level: Mapping[str, str],
    *,
    observation: bool,
    cross_cov: Any = None,
    new_cov: Any = None,
    integrates: bool = False,
    residuals: bool = True,
) -> NewRows:
    """Return the arrays of a new table.

    Parameters
    ----------
    problem : Problem
    newdata : table
    level : mapping factor -> str
        "group", "population" or "new group"; see `predict`.
    observation, cross_cov, new_cov
        As `predict` takes them.
    integrates : bool
        Keep the group columns of rows for which the population is meant: responses are averaged over groups.
    residuals : bool
        Let correlated errors be predicted from the residuals of observed rows; else they are zero, and the table may
        name units at any time.

    Raises
    ------
    DataError, ModelError
        If a column is missing, or levels or matrices do not fit.
    """
    table, names = as_table(newdata), problem.labels.factor_names
    labels = {
        factor.name: labels_of(table, factor, names)
        for factor in problem.state.factors
        if level[factor.name] != "population"
    }
    design: Design = _without(problem.state, set(names) - set(labels)).apply(
        newdata, response=False, new_levels="allow"
    )
    errors = (
        new_errors(problem.layout, table, observation=observation, cross_cov=cross_cov, new_cov=new_cov)
        if residuals
        else NewErrors(units=(), scale=np.ones(len(table)))
    )
    found = {factor.name: factor for factor in design.factors}
    groups = []
    for learned, own in zip(problem.state.factors, problem.labels.factors, strict=True):
        if learned.name not in found:
            columns = _columns_of(problem.state, table, learned.name) if integrates else None
            groups.append(_population(learned.name, len(table), len(own.coef), columns))
            continue
        of = labels[learned.name]
        check_labels(of, learned, found[learned.name].index, level[learned.name], names)
        groups.append(_groups(found[learned.name], of.text))
    return NewRows(X=design.X, groups=tuple(groups), errors=errors)


def _without(state: DesignState, factors: set[str]) -> DesignState:
    """Return the design without some grouping factors, which then need no columns of a table."""
    terms = [term.expression for term in state.spec.group_terms if term.factor not in factors]
    needed = {state.spec.population, *terms}
    return replace(
        state,
        expressions={text: fitted for text, fitted in state.expressions.items() if text in needed},
        factors=tuple(factor for factor in state.factors if factor.name not in factors),
    )


def _population(factor: str, m: int, q: int, columns: Array | None) -> NewGroups:
    """Return rows without groups of a factor."""
    none, labels = np.full(m, -1, dtype=np.intp), ["population"] * m
    return NewGroups(factor=factor, Z=np.zeros((m, q)), group=none, new_group=none, labels=labels, columns=columns)


def _columns_of(state: DesignState, table: Any, factor: str) -> Array:
    """Return the group columns (M, q) of a factor, which need none of its labels."""
    _, matrices = evaluate(state, table, response=False)
    parts = [matrices[term.expression][1] for term in state.spec.group_terms if term.factor == factor]
    columns = np.concatenate(parts, axis=1)
    own = state.determined.get(factor)
    return columns if own is None else columns[:, list(own.kept)]


def _groups(factor: FactorDesign, labels: list[str]) -> NewGroups:
    is_new = factor.index < 0
    new_group = np.full(len(labels), -1, dtype=np.intp)
    new_group[is_new] = np.unique(np.array(labels)[is_new], return_inverse=True)[1]
    return NewGroups(factor=factor.name, Z=factor.Z, group=factor.index, new_group=new_group, labels=labels)
