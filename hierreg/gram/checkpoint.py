"""What a scan has done so far, in a file from which it goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.design_matrices.kinds import ColumnKind
from hierreg.exceptions import DataError
from hierreg.gram.files import below, pack, read_arrays, under, unpack, write_arrays
from hierreg.gram.origin import Origin, origin_from_json, origin_to_json
from hierreg.gram.part import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hierreg.design_matrices.learned import LearnedState
    from hierreg.errors.base import ErrorSpec

_KIND = "hierreg.Gram.scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a checkpoint holds: what was learned, and the parts so far."""

    learned: LearnedState
    parts: tuple[Part, ...]


def write(
    checkpoint: str | Path, key: Mapping[str, Any], errors: ErrorSpec, given: Mapping[str, Any], saved: Saved
) -> None:
    """Write what has been done; `key` says of which scan, `given` what levels the user knew."""
    head = {"kind": _KIND, "key": {**key, "levels": _plain(given)}, "parts": len(saved.parts)}
    arrays = under("learned", origin_to_json(Origin(learned=saved.learned, errors=errors)))
    for i, part in enumerate(saved.parts):
        learned = replace(saved.learned, factors=part.factors)
        gram = replace(part.gram, origin=Origin(learned=learned, errors=errors))
        error_levels = np.array(json.dumps(list(part.error_levels)))
        kinds = np.array(json.dumps({name: [kind.words, kind.categories] for name, kind in part.kinds.items()}))
        own = {"units": part.units, "error_levels": error_levels, "kinds": kinds}
        arrays |= under(f"part{i}", {**under("gram", pack(gram)), **own})
    write_arrays(Path(checkpoint), head, arrays)


def _plain(given: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: [str(level) for level in levels] for name, levels in given.items()}


def resume(checkpoint: str | Path, key: Mapping[str, Any], given: Mapping[str, Any]) -> Saved | None:
    """Return what a checkpoint holds, or None where there is none yet.

    Raises
    ------
    DataError
        If it is of another scan, or damaged.
    """
    path = Path(checkpoint)
    if path.suffix != ".npz":
        raise DataError(f"checkpoint={str(path)!r} must end in .npz.")
    if not path.parent.is_dir():
        raise DataError(f"checkpoint={str(path)!r}: the folder {str(path.parent)!r} does not exist; create it first.")
    if not path.exists():
        return None
    head, arrays = read_arrays(path, _KIND)
    then, now = head["key"], {**key, "levels": _plain(given)}
    for what, words in (
        ("formula", "formula"),
        ("errors", "error structure"),
        ("levels", "levels"),
        ("batch_rows", "batch_rows"),
        ("files", "files, their sizes or times of change"),
    ):
        if then.get(what) != json.loads(json.dumps(now[what])):
            raise DataError(
                f"checkpoint={str(path)!r} was written for another scan: the {words} differ. Delete it to begin anew."
            )
    parts = []
    for i in range(int(head["parts"])):
        own = below(arrays, f"part{i}")
        gram = unpack(below(own, "gram"), str(path), is_part=True)
        assert gram.origin is not None
        parts.append(
            Part(
                gram=replace(gram, origin=None),
                factors=gram.origin.learned.factors,
                error_levels=tuple(json.loads(str(own["error_levels"]))),
                units=own["units"],
                kinds=_kinds(json.loads(str(own["kinds"]))) if "kinds" in own else {},
            )
        )
    return Saved(learned=origin_from_json(below(arrays, "learned")).learned, parts=tuple(parts))


def _kinds(stored: Mapping[str, Any]) -> dict[str, ColumnKind]:
    return {
        name: ColumnKind(words=words, categories=None if categories is None else tuple(categories))
        for name, (words, categories) in stored.items()
    }
