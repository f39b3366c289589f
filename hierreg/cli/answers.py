"""What a command found, as one JSON object: for programs, and for scripts of a shell."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

# What a result says of itself, where it does.
_ATTRIBUTES = (
    *("formula", "errors", "family", "method", "n_rows", "seed", "heading", "ci_prob", "n_given", "pareto_k"),
    "given_ess",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command found.

    Attributes
    ----------
    tables : dict of DataFrame
        By name.
    about : dict
        What there is to know of them, by name.
    files : sequence of Path
        What was written.
    """

    tables: Mapping[str, pd.DataFrame]
    about: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[Path] = ()


def about_attributes(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what the attributes of a result or report say that a reader of numbers needs."""
    return {name: attrs[name] for name in _ATTRIBUTES if name in attrs}


def as_json(command: str, answer: Answer, warnings: Sequence[tuple[str, str]]) -> str:
    """Return an answer as JSON, numbers to their last bit.

    A number that is missing is null; one that is infinite the text "inf" or "-inf", since JSON has no such numbers.

    Parameters
    ----------
    command : str
    answer : Answer
    warnings : sequence of (kind, message)

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"name": ["x"], "mean": [0.1 + 0.2], "sd": [float("nan")]})
    >>> made = as_json("fit", Answer(tables={"summary": table}), [])
    >>> json.loads(made)["tables"]
    {'summary': [{'name': 'x', 'mean': 0.30000000000000004, 'sd': None}]}
    """
    out = {
        "hierreg": __version__,
        "command": command,
        "about": {name: _plain(value) for name, value in answer.about.items()},
        "tables": {name: _records(table) for name, table in answer.tables.items()},
        "files": [str(path) for path in answer.files],
        "warnings": [{"kind": kind, "message": message} for kind, message in warnings],
    }
    return json.dumps(out, ensure_ascii=False, allow_nan=False, indent=1)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): _plain(value) for name, value in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:
    """Return a value that JSON has."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
