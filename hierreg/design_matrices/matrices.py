"""Matrices of expressions, evaluated by formulaic and remembered for new data."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hierreg.checks import counted, first_rows, listed, read_only
from hierreg.design_matrices.levels import column_levels, index_in
from hierreg.design_matrices.table import complete_series, is_finite, kind_of, numbers
from hierreg.exceptions import DataError, FormulaError, HierregError
from hierreg.formula.functions import numeric_functions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import narwhals as nw
    import pandas as pd
    from numpy.typing import NDArray

    from hierreg.design_matrices.values import Level
    from hierreg.formula.expression import ColumnUse, Expression

    Learned = dict[tuple[str, str], tuple[Level, ...]]

_BEYOND_BOUNDS = "extend beyond upper and/or lower bounds"  # what formulaic says of a spline
_WRAPPED = re.compile(r"Unable to evaluate factor `(?P<factor>.*)`\. \[\w+: (?P<reason>.*)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedExpression:
    """An expression with what it learned from a table: means, knots, polynomial norms, contrasts.

    Attributes
    ----------
    expression : Expression
    model_spec : formulaic.ModelSpec
    names : tuple of str
        Labels of the columns, in the user's names.
    """

    expression: Expression
    model_spec: Any
    names: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class ColumnSource:
    """The columns of one table as expressions use them; each is converted once.

    Attributes
    ----------
    table : narwhals.DataFrame
    role : str
        "predictor" or "response".
    learned : dict (column, use) -> levels
        Levels of the categorical columns. Filled while learning, looked up on new data.
    is_learning : bool
        Whether this is the table that the model is made from.
    """

    table: nw.DataFrame[Any]
    role: str
    learned: Learned
    is_learning: bool
    _values: dict[tuple[str, str], Any] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.table)

    def values(self, column: ColumnUse) -> NDArray[np.float64] | pd.Categorical:
        """Return a column as float64 numbers or as a categorical."""
        key = (column.name, column.use)
        if key not in self._values:
            self._values[key] = self._categorical(column) if self._is_categorical(column) else self._number(column)
        return self._values[key]

    def _is_categorical(self, column: ColumnUse) -> bool:
        if not self.is_learning:
            return (column.name, column.use) in self.learned
        if column.use != "plain" or self.role == "response":
            return column.use == "level"
        return kind_of(complete_series(self.table, column.name, role=self.role)) == "label"

    def _number(self, column: ColumnUse) -> NDArray[np.float64]:
        if self.role == "response":
            reason = "a response must be numeric"
            if kind_of(complete_series(self.table, column.name, role=self.role)) == "bool":
                raise DataError(
                    f"data[{column.name!r}] (response) holds truth values, which have no Gaussian errors. If a linear "
                    f"probability model is meant, convert the column to 0 and 1 first: "
                    f"data[{column.name!r}].astype(float)."
                )
        elif column.use == "number":
            reason = "a function in the formula needs numbers"
        else:
            reason = "it was numeric in the data that the model was made from"
        return numbers(self.table, column.name, role=self.role, reason=reason)

    def _categorical(self, column: ColumnUse) -> pd.Categorical:
        import pandas as pd

        key = (column.name, column.use)
        if self.is_learning:
            self.learned[key], index = column_levels(self.table, column.name, role=self.role, allow_fractions=True)
            if len(self.learned[key]) == 1:
                raise DataError(
                    f"data[{column.name!r}] ({self.role}) has the single level {self.learned[key][0]!r}, "
                    "so it has no effect; leave it out of the formula."
                )
        else:
            index, unknown = index_in(self.table, column.name, self.learned[key], role=self.role)
            if unknown:
                raise DataError(
                    f"data[{column.name!r}] has levels that the model has not seen ({listed(unknown)}; "
                    f"first at {first_rows(index < 0)}); it knows {listed(self.learned[key])}. There is no "
                    "coefficient for a new level: leave these rows out."
                )
        return pd.Categorical.from_codes(index, categories=list(self.learned[key]))


class Source(Protocol):
    """Where expressions find their columns."""

    @property
    def n(self) -> int:
        """Number of rows."""
        ...

    def values(self, column: ColumnUse) -> NDArray[np.float64] | pd.Categorical:
        """Return a column as float64 numbers or as a categorical."""
        ...


def fit_expression(
    expression: Expression, source: Source, *, transforms: Mapping[str, Any] | None = None, check: bool = True
) -> tuple[FittedExpression, NDArray[np.float64]]:
    """Return an expression with what it learns from a table, and its matrix (N, columns), read-only.

    Parameters
    ----------
    expression : Expression
    source : Source
        The columns.
    transforms : mapping, optional
        What its transforms have learned elsewhere, as formulaic keeps it; this table then teaches them nothing.
    check : bool
        Whether values must be finite.

    Raises
    ------
    DataError, FormulaError
        If a column cannot be used, a function gets impossible arguments, or its values are not finite.
    """
    from formulaic import ModelSpec

    spec = _translating_errors(
        expression,
        lambda: ModelSpec.from_spec(
            expression.code, na_action="ignore", output="numpy", transform_state=deepcopy(dict(transforms or {}))
        ),
    )
    spec, matrix = _evaluate(expression, spec, source)
    names = tuple(expression.label(name) for name in spec.column_names)
    if len(set(names)) < len(names):
        raise FormulaError(f"`{expression.text}` gives columns of the same name: {listed(names)}.")
    if check:
        _check_finite(matrix, names, expression)
    return FittedExpression(expression=expression, model_spec=spec, names=names), matrix


def apply_expression(fitted: FittedExpression, source: Source) -> NDArray[np.float64]:
    """Return the matrix (N, columns) of a remembered expression on a new table, read-only."""
    _, matrix = _evaluate(fitted.expression, fitted.model_spec, source)
    _check_finite(matrix, fitted.names, fitted.expression)
    return matrix


def _evaluate(expression: Expression, spec: Any, source: Source) -> tuple[Any, NDArray[np.float64]]:
    import pandas as pd

    columns = {column.alias: source.values(column) for column in expression.columns}
    # copy=False: pandas would otherwise gather all columns into one new block
    frame = pd.DataFrame(columns, index=pd.RangeIndex(source.n), copy=False)
    context = {**numeric_functions(), **dict(expression.texts)}

    def materialise() -> Any:
        with np.errstate(all="ignore"):
            return spec.get_model_matrix(frame, context=context)

    result = _translating_errors(expression, materialise, spec.transform_state)
    return result.model_spec, read_only(np.array(result, dtype=np.float64, order="C", copy=None))


def _translating_errors(expression: Expression, call: Any, transforms: Mapping[str, Any] | None = None) -> Any:
    """Return what a call into formulaic returns, or raise a `FormulaError` in the user's names.

    Parameters
    ----------
    expression : Expression
    call : callable
    transforms : mapping, optional
        What the transforms of the expression have learned, as formulaic keeps it.
    """
    try:
        return call()
    except HierregError:
        raise
    except Exception as error:  # whatever a third party raises for arguments that only it can judge
        reason = " ".join(expression.label(str(error)).split())
        if _BEYOND_BOUNDS in reason:
            raise FormulaError(_beyond_bounds(expression, transforms or {})) from error
        wrapped = _WRAPPED.search(reason)
        if wrapped:
            reason = f"`{wrapped['factor']}`: {wrapped['reason']}"
        raise FormulaError(f"`{expression.text}` cannot be evaluated: {reason.rstrip('.')}.") from error


def _beyond_bounds(expression: Expression, transforms: Mapping[str, Any]) -> str:
    """Return the message of a spline that is asked for values outside of its bounds."""
    splines = []
    for call, state in transforms.items():
        low, high = (state.get(name) for name in ("lower_bound", "upper_bound"))
        if low is not None and high is not None:
            splines.append(f"`{expression.label(call)}`, which the model knows from {low:g} to {high:g}")
    return (
        f"{', or '.join(splines) or f'`{expression.text}`'}: values lie beyond the bounds of the spline, where its "
        "columns are not defined. Leave these rows out; or make the model with bounds that hold all values, "
        "bs(x, ..., lower_bound=..., upper_bound=...), or say how to go on beyond them: extrapolation='extend' (the "
        "outer polynomials go on) or extrapolation='clip' (the value at the bound)."
    )


def _check_finite(matrix: NDArray[np.float64], names: tuple[str, ...], expression: Expression) -> None:
    if is_finite(matrix):
        return
    is_bad = ~np.isfinite(matrix)
    worst = int(np.argmax(is_bad.any(axis=0)))
    rows = is_bad[:, worst]
    raise DataError(
        f"`{names[worst]}` of the formula is not finite in {counted(int(rows.sum()), 'row')} "
        f"(first at {first_rows(rows, matrix[:, worst])}), though {listed(expression.column_names)} "
        f"{'is' if len(expression.column_names) == 1 else 'are'} finite there: a "
        "logarithm or root of a negative number, a division by zero, or an overflow. "
        "Correct the values or choose another transform."
    )
