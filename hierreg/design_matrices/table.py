"""Tables of any kind, and their columns as NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import counted, first_rows, listed, separator_hint, suggestion
from hierreg.exceptions import DataError

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

_TABLES = "a pandas or polars DataFrame, a pyarrow Table (anything narwhals reads) or a dictionary of columns"
_IF_NOT_OBSERVED = (
    ". If it was observed in only some of several data sets, use one row per observation, leave the others "
    "out, and see hr.correlated, which integrates over what is missing exactly"
)


def as_table(data: Any) -> nw.DataFrame[Any]:
    """Return data as a narwhals DataFrame of at least one row.

    Parameters
    ----------
    data : table
        A pandas or polars DataFrame, a pyarrow Table (anything narwhals reads eagerly), or a dictionary of
        one-dimensional columns. A pandas index is ignored.

    Raises
    ------
    DataError
        If this is no table, is lazy, is empty, or has two columns of one name.

    Examples
    --------
    >>> as_table({"x": [1.0, 2.0]}).columns
    ['x']
    """
    import narwhals as nw

    table: Any
    if isinstance(data, Mapping):
        data = _from_mapping(data)
    try:
        table = nw.from_native(data)
    except nw.exceptions.DuplicateError as error:
        raise DataError(f"data has columns of the same name: {' '.join(str(error).split())}. Rename them.") from None
    except TypeError:
        raise DataError(f"data must be {_TABLES}, not {type(data).__name__}.") from None
    if isinstance(table, nw.LazyFrame):
        raise DataError("data is a lazy table; hierreg needs its rows: call `.collect()` first.")
    if len(table) == 0:
        raise DataError(f"data has no rows (columns: {listed(table.columns)}); at least one is required.")
    eager: nw.DataFrame[Any] = table
    return eager


def _from_mapping(data: Mapping[Any, Any]) -> Any:
    import narwhals as nw

    for name, values in data.items():
        is_column = hasattr(values, "__len__") and not isinstance(values, (str, bytes, Mapping))
        if not is_column or len(getattr(values, "shape", (0,))) != 1:
            raise DataError(f"data[{name!r}] must be one-dimensional; give one entry per row.")
    lengths = {name: len(values) for name, values in data.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"data: the columns of a dictionary must be equally long, not {lengths}.")
    if not data:
        raise DataError("data has no rows and no columns.")
    return nw.from_dict(data, backend="pandas")


def column(table: nw.DataFrame[Any], name: str, *, role: str) -> NDArray[Any]:
    """Return the values of a column, complete and finite.

    Parameters
    ----------
    table : narwhals.DataFrame
        As `as_table` gives it.
    name : str
        Column of the table.
    role : str
        What the column is for, in words for the messages: "response", "predictor", ...

    Returns
    -------
    array (N,)
        Numbers as float64, truth values as bool, text and categories as objects.

    Raises
    ------
    DataError
        If there is no such column, a value is missing or infinite, or hierreg cannot use the type.

    Examples
    --------
    >>> column(as_table({"x": [1, 2]}), "x", role="predictor")
    array([1., 2.])
    """
    return values_of(complete_series(table, name, role=role), name, role=role)


def values_of(series: nw.Series[Any], name: str, *, role: str) -> NDArray[Any]:
    """Return the values of a complete column as an array; see `column`."""
    kind = kind_of(series)
    if kind == "number":
        return _finite(series.to_numpy(), name, role)
    if kind == "bool":
        return np.asarray(series.to_numpy(), dtype=bool)
    if kind == "label":
        return np.asarray(series.to_numpy(), dtype=object)
    raise DataError(
        f"data[{name!r}] ({role}) has type {series.dtype}{_mixture(series)}, which hierreg cannot use; "
        "convert it to numbers (for example days since a date) or to text."
    )


def numbers(table: nw.DataFrame[Any], name: str, *, role: str, reason: str) -> NDArray[np.float64]:
    """Return a column as float64, or raise a `DataError` if it holds anything but numbers or truth values.

    Parameters
    ----------
    table, name, role
        As for `column`.
    reason : str
        Why numbers are needed, for the message.
    """
    values = column(table, name, role=role)
    if values.dtype == object:
        raise DataError(
            f"data[{name!r}] ({role}) holds text or categories (first: {values[0]!r}); {reason}. "
            "Convert the column to numbers."
        )
    return np.asarray(values, dtype=np.float64)


def complete_series(table: nw.DataFrame[Any], name: str, *, role: str) -> nw.Series[Any]:
    """Return a column of a table, or raise a `DataError` if it is not there or has missing values."""
    if name not in table.columns:
        raise DataError(
            f"data has no column {name!r} ({role}).{suggestion(name, table.columns)} "
            f"Its columns are {listed(table.columns)}.{separator_hint(table.columns)}"
        )
    series = table[name]
    is_missing = _is_missing(series)
    if is_missing is not None:
        raise DataError(
            f"data[{name!r}] ({role}) has {counted(int(is_missing.sum()), 'missing value')} "
            f"(first at {first_rows(is_missing)}). hierreg never drops rows: remove or impute "
            f"them{_IF_NOT_OBSERVED if role == 'response' else ''}."
        )
    return series


def _is_missing(series: nw.Series[Any]) -> NDArray[np.bool_] | None:
    """Return which values are missing (null, None or NaN), or None if none is."""
    if series.null_count():
        is_missing = np.asarray(series.is_null().to_numpy(), dtype=bool)
        if series.dtype.is_float():
            is_missing = is_missing | np.isnan(np.asarray(series.to_numpy(), dtype=float))
        return is_missing
    if series.dtype.is_float():
        values = series.to_numpy()
        if not is_finite(values) and (is_nan := np.isnan(values)).any():
            return np.asarray(is_nan)
    return None


def is_finite(values: NDArray[Any]) -> bool:
    """Return whether all numbers are finite. Their sum tells it, mostly, in one pass."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum())) or bool(np.isfinite(values).all())


def kind_of(series: nw.Series[Any]) -> str:
    """Return what a column holds: "number", "bool", "label" or "other"."""
    import narwhals as nw

    if series.dtype.is_numeric():
        return "number"
    if series.dtype == nw.Boolean:
        return "bool"
    if series.dtype in (nw.String, nw.Categorical, nw.Enum):
        return "label"
    if series.dtype == nw.Object:
        return _kind_of_objects(series.to_numpy())
    return "other"


def _kind_of_objects(values: NDArray[Any]) -> str:
    from pandas.api.types import infer_dtype

    kinds = {
        "string": "label",
        "boolean": "bool",
        "integer": "number",
        "floating": "number",
        "mixed-integer-float": "number",
        "decimal": "number",
    }
    return kinds.get(infer_dtype(values, skipna=False), "other")


def _mixture(series: nw.Series[Any]) -> str:
    import narwhals as nw

    if series.dtype != nw.Object:
        return ""
    return f" (values of type {', '.join(sorted({type(value).__name__ for value in series.to_numpy()}))})"


def _finite(values: NDArray[Any], name: str, role: str) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if not is_finite(values):
        is_infinite = np.isinf(values)
        raise DataError(
            f"data[{name!r}] ({role}) has {counted(int(is_infinite.sum()), 'infinite value')} "
            f"(first at {first_rows(is_infinite)}); numbers must be finite. Remove or correct them."
        )
    return values
