"""Several tables as one, with a column that says which row came from where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import first_rows, listed
from hierreg.design_matrices.levels import column_levels
from hierreg.design_matrices.table import as_table
from hierreg.exceptions import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import narwhals as nw


def stack(tables: Mapping[str, Any], *, unit: str, dataset: str = "dataset") -> Any:
    """Return several data sets as one table, a row per unit and data set.

    Units need not occur in every data set: rows without a partner are kept.

    Parameters
    ----------
    tables : dict of str -> table
        Data sets by name, all of one kind (pandas, polars, ...) and with the same columns.
    unit : str
        Column that pairs the rows of different tables: the configuration, year, pupil. At most one row per
        unit in each table.
    dataset : str
        Name of the new first column, which holds the names of the data sets, in the order given.

    Returns
    -------
    table
        Of the same kind as the tables given.

    Raises
    ------
    DataError
        If the tables differ in kind or columns, a unit is missing or occurs twice in a table, or the new
        column exists already.

    See Also
    --------
    correlated : Errors of data sets that share units.

    Examples
    --------
    >>> import pandas as pd
    >>> a = pd.DataFrame({"config": [1, 2], "y": [0.1, 0.2]})
    >>> b = pd.DataFrame({"config": [2, 3], "y": [0.3, 0.4]})
    >>> stack({"alpha": a, "beta": b}, unit="config")
      dataset  config    y
    0   alpha       1  0.1
    1   alpha       2  0.2
    2    beta       2  0.3
    3    beta       3  0.4
    """
    import narwhals as nw

    if not hasattr(tables, "items") or len(tables) < 2:
        raise DataError(
            "stack(tables): a dictionary of at least two tables is required: {'alpha': df_a, 'beta': df_b}."
        )
    frames = {str(name): as_table(table) for name, table in tables.items()}
    _check_alike(frames, dataset)
    for name, frame in frames.items():
        _check_units(frame, name, unit)
    labels = list(frames)
    first = next(iter(frames.values()))
    # pyarrow has no fixed category list; its dictionaries keep the order of appearance: the order given
    kind = nw.Categorical if first.implementation.is_pyarrow() else nw.Enum(labels)
    parts = [frame.select(nw.lit(name).alias(dataset), *first.columns) for name, frame in _same_types(frames).items()]
    stacked = nw.concat(parts, how="vertical").with_columns(nw.col(dataset).cast(kind))
    return nw.maybe_reset_index(stacked).to_native()


def _check_alike(frames: Mapping[str, nw.DataFrame[Any]], dataset: str) -> None:
    (first_name, first), *others = frames.items()
    for name, frame in others:
        if frame.implementation != first.implementation:
            raise DataError(
                f"stack(tables): {first_name!r} and {name!r} are tables of different kinds "
                f"({type(first.to_native())} and {type(frame.to_native())}); convert them to one."
            )
        lacking = [
            (name, set(first.columns) - set(frame.columns)),
            (first_name, set(frame.columns) - set(first.columns)),
        ]
        for table, columns in lacking:
            if columns:
                raise DataError(
                    f"stack(tables): the table {table!r} lacks the columns {listed(sorted(columns))} that "
                    "another has; all tables must have the same columns."
                )
    if dataset in first.columns:
        raise DataError(
            f"stack(dataset={dataset!r}): the tables have a column of this name already; choose another name."
        )


def _check_units(frame: nw.DataFrame[Any], name: str, unit: str) -> None:
    units, index = column_levels(frame, unit, role=f"unit, table {name!r}", allow_fractions=True)
    counts = np.bincount(index, minlength=len(units))
    if counts.max() > 1:
        repeated = np.flatnonzero(counts > 1)
        raise DataError(
            f"stack(unit={unit!r}): the table {name!r} has more than one row for {len(repeated)} "
            f"of its units ({listed(units[i] for i in repeated)}; {first_rows(index == repeated[0])} are the "
            "same unit). A unit has one row per data set: make the unit finer, or average the repeats."
        )


def _same_types(frames: Mapping[str, nw.DataFrame[Any]]) -> dict[str, nw.DataFrame[Any]]:
    """Return the tables with each column in one type: unlike numbers as float, unlike labels as text."""
    import narwhals as nw

    casts: dict[str, Any] = {}
    first = next(iter(frames.values()))
    for column in first.columns:
        types = [frame.schema[column] for frame in frames.values()]
        if all(kind == types[0] for kind in types):
            continue
        if all(kind.is_numeric() for kind in types):
            casts[column] = nw.Float64
        elif all(kind in (nw.String, nw.Categorical, nw.Enum) for kind in types):
            casts[column] = nw.String
        else:
            raise DataError(
                f"stack(tables): the column {column!r} has different types in the tables "
                f"({listed(str(kind) for kind in dict.fromkeys(types))}); convert it to one."
            )
    return {
        name: frame.with_columns(*(nw.col(column).cast(kind) for column, kind in casts.items()))
        for name, frame in frames.items()
    }
