"""Tables at which effects are asked for: the observed rows, a grid, or rows of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.design_matrices import as_table
from hierreg.design_matrices.build import evaluate
from hierreg.exceptions import DataError, ModelError
from hierreg.linear.alone import model_of
from hierreg.predictive.of_model import any_problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.predictive.of_model import ModelLike
    from hierreg.results.point import Coefficients

_GRIDS = ("mean", "median", "balanced")


def predictors_of(problem: Any, *, groups: bool = False) -> dict[str, tuple[Any, ...] | None]:
    """Return the columns of the population formula, with the levels of those that have some.

    Parameters
    ----------
    problem : Problem or FamilyProblem
    groups : bool
        Return those of group terms too, ``x`` of ``(x | g)``.
    """
    state = problem.state
    names = [state.spec.population, *([term.expression for term in state.spec.group_terms] if groups else [])]
    out: dict[str, tuple[Any, ...] | None] = {}
    for column in [column for name in names for column in state.expressions[name].expression.columns]:
        levels = state.learned.get((column.name, column.use))
        out[column.name] = levels if levels is not None else out.get(column.name)
    return out


def levels_by_predictor(model: ModelLike, *, groups: bool = False) -> dict[str, tuple[Any, ...] | None]:
    """Return the same of a model, with truth values as the two levels that they are."""
    known, data = predictors_of(any_problem_of(model), groups=groups), getattr(model, "data", None)
    if data is None:
        return known
    table = as_table(data)
    truth = {name for name in known if name in table.columns and table[name].to_numpy().dtype == bool}
    return {name: (False, True) if name in truth and levels is None else levels for name, levels in known.items()}


def observed(model: ModelLike, what: str) -> pd.DataFrame:
    """Return the table that the model was made from, as it was then.

    Raises
    ------
    ModelError
        If there is none: the model is one of statistics, or came from another process.
    DataError
        If the table has been changed since.
    """
    problem, data = any_problem_of(model), getattr(model, "data", None)
    if data is None:
        raise ModelError(
            f"{what} needs the rows that the model was made from, and this model has none (it is one of statistics "
            "alone, or came from another process). Give rows, newdata=table."
        )
    table = as_table(data)
    is_same = len(table) == len(problem.design.y)
    if is_same:
        _, matrices = evaluate(problem.state, table, response=False)
        X = matrices[problem.state.spec.population][1]
        dropped = problem.state.determined.get("")
        is_same = np.array_equal(X if dropped is None else X[:, list(dropped.kept)], problem.design.X)
    if not is_same:
        raise DataError(
            "the table that the model was made from has been changed since: its rows give other columns now. Make the "
            f"model again, or say which rows are meant, newdata=table ({what})."
        )
    return frame_of(table)


def check_levels(values: Sequence[Any], levels: Sequence[Any], what: str) -> None:
    """Raise unless values are levels that the model knows, and there are some; `what` is how they were given.

    Raises
    ------
    ModelError
    """
    if not values or any(value not in levels for value in values):
        raise ModelError(f"{what}: the model knows the levels {listed(levels)}.")


def frame_of(table: Any) -> pd.DataFrame:
    """Return any table as a pandas data frame whose index counts rows."""
    frame: pd.DataFrame = as_table(table).to_pandas().reset_index(drop=True)
    return frame


def table_at(model: ModelLike, newdata: Any, what: str) -> pd.DataFrame:
    """Return the rows that `newdata` asks for.

    Raises
    ------
    ModelError, DataError
        If it is no table and none of the words.
    """
    if newdata is None:
        return observed(model, what)
    if isinstance(newdata, str):
        if newdata not in _GRIDS:
            raise ModelError(
                f"newdata={newdata!r} is none of {listed(_GRIDS)}, nor a table.{suggestion(newdata, _GRIDS)}"
            )
        if newdata == "balanced":
            levels = {name: own for name, own in levels_by_predictor(model).items() if own is not None}
            return datagrid(model, **levels)
        return _typical(model, np.median if newdata == "median" else np.mean, what)
    return frame_of(newdata)


def datagrid(model: ModelLike | xr.DataTree | Coefficients, /, **values: Any) -> pd.DataFrame:
    """Return a table of every combination of some values, the other predictors at what is typical.

    Parameters
    ----------
    model : Model, DataTree, Estimate or Coefficients
        A model, or a result that carries one.
    **values
        For columns of the formula, or any others, a value or a list of them. Predictors that are left out are at their
        mean over the rows of the model, those with levels, and truth values, at the most frequent one.

    Returns
    -------
    DataFrame
        pandas; its rows in the order of the values, the last column fastest.

    Raises
    ------
    ModelError
        If values are none, or the model has no rows to take what is typical from.
    DataError
        If the table of the model has been changed since.

    See Also
    --------
    predict : Takes the table.
    comparisons, slopes, means : Take it as ``newdata``.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("MathAch ~ SES * Sector + (SES | School)", hr.load_dataset("math_achieve"))
    >>> hr.datagrid(model, SES=[-1, 1])
       SES  Sector
    0   -1  Public
    1    1  Public
    """
    import pandas as pd

    own = model_of(model)
    columns = {name: _listed_values(name, value) for name, value in values.items()}
    rest = [name for name in predictors_of(any_problem_of(own)) if name not in columns]
    typical = _typical(own, np.mean, "datagrid")[rest] if rest else None
    rows = list(product(*columns.values()))
    out = {name: [row[i] for row in rows] for i, name in enumerate(columns)}
    if typical is not None:
        out |= {name: [typical[name].iloc[0]] * len(rows) for name in rest}
    return pd.DataFrame(out)


def _listed_values(name: str, value: Any) -> list[Any]:
    values = [value] if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) else list(value)
    if not values:
        raise ModelError(f"{name} has no values; give one or a list of them.")
    return values


def _typical(model: ModelLike, centre: Any, what: str) -> pd.DataFrame:
    """Return one row: predictors at their centre, those with levels at the most frequent one."""
    import pandas as pd

    frame = observed(model, what)
    return pd.DataFrame({name: [value] for name, value in typical(frame, levels_by_predictor(model), centre).items()})


def typical(
    frame: pd.DataFrame, predictors: Mapping[str, tuple[Any, ...] | None], centre: Any = np.mean
) -> dict[str, Any]:
    """Return a value of each predictor: its centre, or its most frequent level."""
    row: dict[str, Any] = {}
    for name, levels in predictors.items():
        values = frame[name]
        if levels is None:
            row[name] = float(centre(values.to_numpy(dtype=float)))
            continue
        counts = values.astype(object).value_counts()
        # The first level where several are as frequent.
        row[name] = levels[int(np.argmax([counts.get(level, 0) for level in levels]))]
    return row


def cells_of(frame: pd.DataFrame, by: Any) -> tuple[NDArray[np.intp], int, dict[str, list[Any]]]:
    """Return the cell of each row, how many there are, and what each is called, by column.

    Parameters
    ----------
    frame : DataFrame
    by : bool, str or sequence of str
        True: all rows are one cell; False: each is one; columns: their combinations.

    Raises
    ------
    ModelError
        If a column is not there.
    """
    n = len(frame)
    if by is True:
        return np.zeros(n, dtype=np.intp), 1, {}
    if by is False:
        return np.arange(n, dtype=np.intp), n, {"row": list(range(n))}
    names = [by] if isinstance(by, str) else list(by) if isinstance(by, Sequence) else None
    if not names:
        raise ModelError(f"by={by!r} must be True (all rows together), False (each row), or columns of newdata.")
    for name in names:
        if name not in frame.columns:
            raise ModelError(
                f"by={name!r} is no column of newdata, which has {listed(frame.columns)}."
                f"{suggestion(name, frame.columns)}"
            )
    groups = frame.groupby(names, sort=True, observed=True)
    index = groups.ngroup().to_numpy()
    if index.min() < 0:
        raise DataError(f"by={listed(names)}: newdata has missing values there.")
    first = [int(np.flatnonzero(index == c)[0]) for c in range(index.max() + 1)]
    return index.astype(np.intp), len(first), {name: frame[name].iloc[first].tolist() for name in names}


def weights_of(frame: pd.DataFrame, wts: Any, cell: NDArray[np.intp], n_cells: int) -> NDArray[np.float64]:
    """Return the weight of each row in the average of its cell (M,), which sum to one there.

    Raises
    ------
    ModelError, DataError
        If `wts` is no column of newdata, or holds what cannot be a weight.
    """
    if wts is None:
        weight = np.ones(len(frame))
    else:
        if wts not in frame.columns:
            raise ModelError(f"wts={wts!r} is no column of newdata.{suggestion(wts, frame.columns)}")
        weight = np.asarray(frame[wts], dtype=float)
        if not np.all(np.isfinite(weight)) or np.any(weight < 0):
            raise DataError(f"newdata[{wts!r}] (weights) must be finite and not negative.")
    total = np.bincount(cell, weights=weight, minlength=n_cells)
    if not np.all(total > 0):
        raise DataError(f"newdata[{wts!r}] (weights) sum to zero in some cell of by.")
    return np.asarray(weight / total[cell])
