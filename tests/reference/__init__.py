"""Answers of other software, certified values and integrated posteriors, with the data they belong to.

``README.md`` in this folder says where every value comes from and how exact it is.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from hierreg.datasets import load_dataset

_HERE = Path(__file__).parent


def available_references() -> tuple[str, ...]:
    """Return the names of the cases, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in _HERE.glob("*/expected.json")))


def load_reference(case: str) -> dict[str, Any]:
    """Return what is known about a case: ``data``, ``models`` with the answers, ``accuracy``, ``notes``."""
    return json.loads((_HERE / case / "expected.json").read_text(encoding="utf-8"))


def reference_data(case: str, file: str | None = None) -> pd.DataFrame:
    """Return a table of a case; ``file`` names another than the main one (see ``more_files`` in the answers).

    Categorical columns have the levels in the order that the answers list, the reference level first; long lists of
    levels are left out there, and sorted here.
    """
    data = load_reference(case)["data"]
    tables = {entry.get("file", "data.csv"): entry for entry in (data, *data.get("more_files", ()))}
    file = data.get("file", "data.csv") if file is None else file
    if file not in tables:
        raise ValueError(f"{case} has no table {file!r}; it has {', '.join(tables)}")
    table = tables[file]
    if "package_data" in table:
        return load_dataset(table["package_data"])
    frame = pd.read_csv(_HERE / case / file, dtype="str")
    return frame.assign(**{name: _values(frame[name], column) for name, column in table["columns"].items()})


def _values(texts: pd.Series, column: dict[str, Any]) -> pd.Categorical | list[float]:
    """Return a column as categories in the listed order, as integers if all are, or as nearest doubles."""
    if column["type"] == "categorical":
        return pd.Categorical(texts, categories=column.get("levels"))
    number = int if texts.str.fullmatch(r"-?\d+").all() else float
    return [number(text) for text in texts]
