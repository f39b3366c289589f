"""Tables of one file, by its ending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hierreg.checks import listed
from hierreg.exceptions import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read_table(path: Path, as_category: Sequence[str]) -> Any:
    """Return the table of a file, with some columns as labels."""
    import pandas as pd

    readers = {
        ".csv": pd.read_csv,
        ".tsv": lambda p: pd.read_csv(p, sep="\t"),
        ".parquet": pd.read_parquet,
        ".feather": pd.read_feather,
    }
    if path.suffix not in readers:
        raise DataError(f"data={str(path)!r}: the ending must be one of {listed(readers)}.")
    if not path.is_file():
        raise DataError(f"data={str(path)!r}: no such file.")
    try:
        table = readers[path.suffix](path)
    except (ValueError, ImportError) as error:
        raise DataError(f"data={str(path)!r} cannot be read: {error}") from error
    for name in as_category:
        if name not in table.columns:
            raise DataError(f"--as-category {name}: the table has the columns {listed(table.columns)}.")
        table[name] = table[name].astype(str)
    return table
