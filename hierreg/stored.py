"""Files that are whole or not there, and checksums of what is in them.

What is written appears under its name when it is complete; until then a file that was there before stays. A file that
was cut, changed or put together anew by another program has other checksums than those written in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DIGITS = 32


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside a file to write to; when the block ends without an error, it takes the place of the file.

    Raises
    ------
    DataError
        If it cannot be written; the file is as it was before.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    partial = beside(target, "partial")
    try:
        yield partial
        _settle(partial, target)
        partial.replace(target)
    except OSError as error:
        raise unwritten(path, error.strerror or str(error)) from error
    finally:
        partial.unlink(missing_ok=True)


def beside(path: Path, ending: str) -> Path:
    """Return a hidden name in the same folder that no other process or thread has."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.{ending}")


def unwritten(path: Path, reason: str) -> DataError:
    """Return the error of a file that could not be written."""
    was = "The file that was there is as it was." if path.exists() else "Nothing was left behind."
    return DataError(f"path={str(path)!r} could not be written: {' '.join(reason.split())}. {was}")


def _settle(partial: Path, target: Path) -> None:
    """Make sure that a file is on the disk, with the permissions of the one that it replaces."""
    descriptor = os.open(partial, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if target.is_file():
        partial.chmod(stat.S_IMODE(target.stat().st_mode))


def digest(about: Any, pieces: Iterable[np.ndarray[Any, Any]]) -> str:
    """Return a checksum of an array that comes in pieces, in C order.

    Parameters
    ----------
    about : JSON
        What else has to be the same: names, shape.
    pieces : iterable of arrays
        Numbers count with their type, text as text, in whatever type NumPy has it.

    Raises
    ------
    TypeError
        If there are other objects than text among them.
    """
    total = hashlib.sha256(json.dumps(about).encode())
    for piece in pieces:
        if piece.dtype.kind in "biufc":
            total.update(piece.dtype.str[1:].encode())
            flat = np.ascontiguousarray(piece, dtype=piece.dtype.newbyteorder("<")).reshape(-1)
            total.update(flat.view(np.uint8).data)
        else:
            total.update(json.dumps([_text(value) for value in piece.ravel().tolist()]).encode())
    return total.hexdigest()[:_DIGITS]


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} has no checksum")
    return value
