"""The first pass over tables in parts: levels of categorical predictors, and what transforms learn."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.design_matrices.kinds import ColumnKind, in_order_of, kinds_of, unite_kinds
from hierreg.design_matrices.learned import RESPONSE, LearnedState, decoded, encoded, expressions_of
from hierreg.design_matrices.levels import column_levels, united_levels
from hierreg.design_matrices.matrices import ColumnSource, fit_expression
from hierreg.design_matrices.table import complete_series, kind_of
from hierreg.design_matrices.transforms import learner_of
from hierreg.exceptions import DataError
from hierreg.formula import compile_expression

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import narwhals as nw

    from hierreg.design_matrices.transforms import Learner
    from hierreg.design_matrices.values import Level
    from hierreg.formula import Expression, FormulaSpec

    Levels = dict[tuple[str, str], tuple[Level, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What has to be known of all rows before the columns of any can be made.

    Attributes
    ----------
    categorical : tuple of (column, use)
        Categorical predictors.
    calls : tuple of (expression name, Expression, call)
        Transforms with a memory.
    """

    categorical: tuple[tuple[str, str], ...]
    calls: tuple[tuple[str, Expression, str], ...]

    def unknown(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Return, in words, what a first pass has to find out."""
        columns = dict.fromkeys(name for name, _ in self.categorical if name not in given)
        return (
            *(f"the levels of {name!r}" for name in columns),
            *(f"what `{expression.label(call)}` learns" for _, expression, call in self.calls),
        )


def needs_of(spec: FormulaSpec, table: nw.DataFrame[Any]) -> Needs:
    """Return what a formula needs to know of all rows, judged by the columns of one part of them."""
    expressions = {name: compile_expression(text) for name, text in expressions_of(spec).items()}
    categorical: dict[tuple[str, str], bool] = {}
    for name, expression in expressions.items():
        for column in expression.columns if name != RESPONSE else ():
            if column.use == "level" or (column.use == "plain" and _is_label(table, column.name)):
                categorical[column.name, column.use] = True
    levels: Levels = {}
    for key in categorical:
        levels[key] = _at_least_two(column_levels(table, key[0], role="predictor", allow_fractions=True)[0])
    calls = []
    for name, expression in expressions.items():
        source = ColumnSource(table=table, role=_role(name), learned=levels, is_learning=False)
        with np.errstate(all="ignore"):
            fitted, _ = fit_expression(expression, source, check=False)
        calls += [(name, expression, call) for call in fitted.model_spec.transform_state]
    return Needs(categorical=tuple(categorical), calls=tuple(calls))


def _role(name: str) -> str:
    return "response" if name == RESPONSE else "predictor"


def _is_label(table: nw.DataFrame[Any], column: str) -> bool:
    return kind_of(complete_series(table, column, role="predictor")) == "label"


def _at_least_two(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    return levels if len(levels) > 1 else (*levels, "" if isinstance(levels[0], str) else levels[0] + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What has been seen of the rows so far; filled in place.

    Attributes
    ----------
    spec : FormulaSpec
    needs : Needs
    levels : dict (column, use) -> levels
        Those given, and those found.
    wanted : tuple of (column, use)
        Whose levels are looked for.
    learners : tuple of (argument, Learner)
        For each of the calls of `needs`.
    kinds : dict column -> ColumnKind
        What the columns whose levels are looked for hold.
    """

    spec: FormulaSpec
    needs: Needs
    levels: Levels
    wanted: tuple[tuple[str, str], ...]
    learners: tuple[tuple[str, Learner], ...]
    kinds: dict[str, ColumnKind] = field(default_factory=dict)

    @classmethod
    def nothing(cls, spec: FormulaSpec, needs: Needs, given: Mapping[str, Any]) -> Seen:
        """Return the beginning, where only the levels given are known."""
        levels: Levels = {key: tuple(given[key[0]]) for key in needs.categorical if key[0] in given}
        learners = tuple(
            learner_of(call, dict(expression.texts), expression.label(call)) for _, expression, call in needs.calls
        )
        wanted = tuple(key for key in needs.categorical if key not in levels)
        return cls(spec=spec, needs=needs, levels=levels, wanted=wanted, learners=learners)

    @property
    def has_work(self) -> bool:
        """Whether anything is to be found out."""
        return bool(self.wanted or self.learners)

    def see(self, table: nw.DataFrame[Any]) -> None:
        """Take in one table."""
        self.kinds.update(unite_kinds(self.kinds, kinds_of(table, [name for name, _ in self.wanted])))
        for key in self.wanted:
            found, _ = column_levels(table, key[0], role="predictor", allow_fractions=True)
            self.levels[key] = united_levels(self.levels.get(key, found), found)
        for (name, expression, _), (argument, learner) in zip(self.needs.calls, self.learners, strict=True):
            learner.see(_values(argument, expression, table, _role(name)))

    def unite(self, other: Seen) -> None:
        """Take in what was seen of other rows."""
        self.kinds.update(unite_kinds(self.kinds, other.kinds))
        for key in self.wanted:
            self.levels[key] = united_levels(self.levels[key], other.levels[key])
        for (_, mine), (_, theirs) in zip(self.learners, other.learners, strict=True):
            mine.unite(theirs)

    def learned(self) -> LearnedState:
        """Return what the formula has learned.

        Raises
        ------
        DataError
            If a categorical predictor has a single level.
        """
        for (name, _), found in self.levels.items():
            if len(found) == 1:
                raise DataError(
                    f"data[{name!r}] (predictor) has the single level {found[0]!r}, so it has no effect; leave it out "
                    "of the formula."
                )
        transforms: dict[str, dict[str, Any]] = {name: {} for name in expressions_of(self.spec)}
        for (name, _, call), (_, learner) in zip(self.needs.calls, self.learners, strict=True):
            transforms[name][call] = decoded(encoded(learner.state()))
        levels = {key: in_order_of(self.kinds.get(key[0]), self.levels[key]) for key in self.needs.categorical}
        return LearnedState(formula=self.spec.text, levels=levels, transforms=transforms, factors=())


def learn(
    spec: FormulaSpec, needs: Needs, tables: Iterable[nw.DataFrame[Any]], given: Mapping[str, Any]
) -> LearnedState:
    """Return what the formula learns from all tables; grouping factors are left out.

    Parameters
    ----------
    spec : FormulaSpec
    needs : Needs
    tables : iterable of narwhals.DataFrame
        All rows; not looked at where nothing has to be learned.
    given : mapping str -> sequence
        Levels of categorical predictors that are known.

    Raises
    ------
    DataError
        If a categorical predictor has a single level.
    """
    seen = Seen.nothing(spec, needs, given)
    if seen.has_work:
        for table in tables:
            seen.see(table)
    return seen.learned()


def _values(argument: str, expression: Expression, table: nw.DataFrame[Any], role: str) -> Any:
    """Return the argument of a transform, one number per row."""
    used = {node.id for node in ast.walk(ast.parse(argument, mode="eval")) if isinstance(node, ast.Name)}
    columns = tuple(column for column in expression.columns if column.alias in used)
    alone = replace(expression, code=f"0 + I({argument})", columns=columns, texts=())
    source = ColumnSource(table=table, role=role, learned={}, is_learning=False)
    return fit_expression(alone, source)[1][:, 0]
