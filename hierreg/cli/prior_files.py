"""Files of priors, TOML or JSON: tables as `hr.Priors` has them, of texts such as "HalfNormal(50)"."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hierreg.checks import listed
from hierreg.cli.parsing import Entry
from hierreg.exceptions import DataError, PriorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_READERS: dict[str, Callable[[str], Any]] = {".toml": tomllib.loads, ".json": json.loads}


def read_priors(path: Path) -> list[Entry]:
    """Return the priors of a file; names are as they stand, with dots and spaces where they have some.

    Raises
    ------
    DataError
        If the file cannot be read.
    PriorError
        If a value is not a text.
    """
    if path.suffix not in _READERS:
        raise DataError(f"--priors {path}: the ending must be one of {listed(_READERS)}.")
    if not path.is_file():
        raise DataError(f"--priors {path}: no such file.")
    try:
        found = _READERS[path.suffix](path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"--priors {path} cannot be read: {error}") from error
    if not isinstance(found, Mapping):
        raise PriorError(
            f"--priors {path} is a {type(found).__name__}; an object is required, as in "
            '{"sd": {"Subject": "HalfNormal(50)"}}.'
        )
    return list(_entries(found, (), path))


def _entries(values: Mapping[str, Any], above: tuple[str, ...], path: Path) -> Iterator[Entry]:
    for name, value in values.items():
        place = (*above, name)
        if isinstance(value, Mapping):
            yield from _entries(value, place, path)
            continue
        where = f"--priors {path}: {'.'.join(place)} = {value!r}"
        if not isinstance(value, str):
            raise PriorError(f'{where}: a prior is a text, as in "HalfNormal(50)".')
        yield Entry(path=place, family=value.strip(), where=where)
