"""The replications of a calibration that are finished, in a file from which it goes on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import DataError
from hierreg.gram.files import read_arrays, write_arrays
from hierreg.reports.calibration import Replication

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KIND = "hierreg.calibrate"
_WORDS = {
    "formula": "formula",
    "errors": "error structure or family",
    "priors": "priors",
    "rows": "rows",
    "around": "posterior that it is around",
    "quantities": "quantities",
    "method": "method",
    "draws": "draws",
    "seed": "seed",
}


def write(path: Path, key: Mapping[str, Any], found: Sequence[Replication]) -> None:
    """Write replications; `key` says of which study."""
    texts = [{name: value for name, value in asdict(one).items() if name not in {"ranks", "ess"}} for one in found]
    Q = max((len(one.ranks) for one in found), default=0)
    ranks = np.array([one.ranks or (-1,) * Q for one in found], dtype=np.int64).reshape(len(found), Q)
    arrays = {"ranks": ranks, "ess": np.array([one.ess for one in found]), "texts": np.array(json.dumps(texts))}
    write_arrays(path, {"kind": _KIND, "key": dict(key)}, arrays)


def checked_path(path: str | Path | None) -> Path | None:
    """Return where finished replications are kept.

    Raises
    ------
    DataError
        If there is no such folder, or the name is of another kind of file.
    """
    if path is None:
        return None
    where = Path(path)
    if where.suffix != ".npz":
        raise DataError(f"path={str(where)!r} must end in .npz.")
    if not where.parent.is_dir():
        raise DataError(f"path={str(where)!r}: the folder {str(where.parent)!r} does not exist; create it first.")
    return where


def seed_in(path: Path | None) -> int | None:
    """Return the seed of what is kept; None where nothing is."""
    if path is None or not path.exists():
        return None
    return int(read_arrays(path, _KIND)[0]["key"]["seed"])


def read(path: Path, key: Mapping[str, Any]) -> list[Replication]:
    """Return what is kept; nothing where there is no file yet.

    Raises
    ------
    DataError
        If it is of another study, or damaged.
    """
    if not path.exists():
        return []
    head, arrays = read_arrays(path, _KIND)
    then, now = head["key"], json.loads(json.dumps(dict(key)))
    for name, words in _WORDS.items():
        if then.get(name) != now[name]:
            raise DataError(
                f"path={str(path)!r} holds replications of another study: the {words} differ. Delete it to begin anew, "
                "or give another path."
            )
    return [
        Replication(
            number=int(text["number"]),
            ranks=tuple(ranks.tolist()) if text["status"] == "ok" else (),
            ess=float(ess),
            status=str(text["status"]),
            message=str(text["message"]),
            warnings=tuple(map(str, text["warnings"])),
        )
        for text, ranks, ess in zip(json.loads(str(arrays["texts"])), arrays["ranks"], arrays["ess"], strict=True)
    ]
