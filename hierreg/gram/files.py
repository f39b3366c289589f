"""Gram bases in files: NumPy's npz without pickle, a version, and every array checked when it is read.

Statistics are smaller than rows but not anonymous: those of a group of one row are that row.
"""

from __future__ import annotations

import json
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import DataError
from hierreg.gram.basis import CrossProducts, Gram, GroupProducts
from hierreg.gram.check import check_gram
from hierreg.gram.frame import Frame
from hierreg.gram.labels import LabelledMoments
from hierreg.gram.origin import Origin, origin_from_json, origin_to_json
from hierreg.gram.terms import ErrorTerms
from hierreg.stored import digest, replacing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hierreg.errors.within_units import Components

FORMAT = "hierreg.Gram"
VERSION = 4
_CHECKSUM = "checksum"


def save(gram: Gram, path: str | Path) -> Path:
    """Write a Gram basis to one file; see `Gram.save`."""
    path = _checked_path(path)
    if not path.parent.is_dir():
        raise DataError(f"path={str(path)!r}: the folder {str(path.parent)!r} does not exist; create it first.")
    write_arrays(path, {"kind": FORMAT}, pack(gram))
    return path


def load(path: str | Path) -> Gram:
    """Return a Gram basis from a file; see `Gram.load`."""
    path = _checked_path(path)
    head, arrays = read_arrays(path, FORMAT)
    del head
    return unpack(arrays, str(path))


def to_bytes(gram: Gram, most_bytes: float) -> bytes | None:
    """Return what `save` would write, or None where its arrays take more than `most_bytes`."""
    arrays = pack(gram)
    if sum(array.nbytes for array in arrays.values()) > most_bytes:
        return None
    file = BytesIO()
    _write(file, {"kind": FORMAT}, arrays)
    return file.getvalue()


def from_bytes(stored: bytes, where: str) -> Gram:
    """Return the Gram basis of what `to_bytes` returned.

    Raises
    ------
    DataError
        If it is damaged; `where` it stands is part of the message.
    """
    _, arrays = _read(BytesIO(stored), FORMAT, where)
    return unpack(arrays, where)


def _checked_path(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix != ".npz":
        raise DataError(f"path={str(path)!r} must end in .npz.")
    return path


def write_arrays(path: Path, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write arrays and a head to a file that appears when it is complete, with a checksum of them.

    Raises
    ------
    DataError
        If it cannot be written; a file that was there before is as it was.
    """
    with replacing(path) as partial, partial.open("xb") as file:
        _write(file, head, arrays)


def _write(file: IO[bytes], head: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    full = {"version": VERSION, **head}
    full[_CHECKSUM] = _checksum(full, arrays)
    np.savez(file, allow_pickle=False, head=np.array(json.dumps(full)), **arrays)


def read_arrays(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Return head and arrays of a file of the given kind.

    Raises
    ------
    DataError
        If there is no such file, or it is another, of another version, or damaged.
    """
    if not path.exists():
        raise DataError(f"path={str(path)!r}: no such file.")
    try:
        opened = path.open("rb")
    except OSError as error:
        raise _unreadable(str(path), error) from error
    with opened:
        return _read(opened, kind, str(path))


def _read(opened: IO[bytes], kind: str, where: str) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Return head and arrays of an open file, which np.load leaves open where it is no archive."""
    try:
        with np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(str(arrays.pop("head")))
    except Exception as error:  # whatever a damaged file leads to; nothing in it is run
        raise _unreadable(where, error) from error
    if not isinstance(head, dict) or head.get("kind") != kind:
        raise DataError(f"path={where!r} is no file of kind {kind!r}.")
    if head.get("version") != VERSION:
        raise DataError(
            f"path={where!r} has version {head.get('version')!r} of the format; this hierreg reads version {VERSION}."
        )
    expected = head.pop(_CHECKSUM, None)
    if expected is None:
        raise DataError(
            f"path={where!r} has no checksum: hierreg did not write it as it is, and nothing tells whether its "
            "numbers are those of the groups and columns that it names. Write it anew from the rows."
        )
    if expected != _checksum(head, arrays):
        raise DataError(
            f"path={where!r} is damaged: it is not as hierreg wrote it (its checksum differs). Write it anew, or "
            "take a copy that is whole."
        )
    return head, arrays


def _unreadable(where: str, error: Exception) -> DataError:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return DataError(f"path={where!r} cannot be read ({reason}). Was it written by hierreg?")


def _checksum(head: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Return the checksum of a head and of arrays, in whatever order they are stored."""
    each = {name: digest(list(array.shape), [array]) for name, array in arrays.items()}
    return digest([json.loads(json.dumps(head)), sorted(each.items())], ())


# ---- a Gram basis as arrays

_SKIPPED = {"factors", "crossed", "terms", "frame", "response", "own", "origin"}


def pack(gram: Gram) -> dict[str, np.ndarray[Any, Any]]:
    """Return a Gram basis as arrays of numbers and text."""
    if gram.frame is None or gram.response is None:
        raise DataError("this Gram basis was derived from another and cannot be stored; store that one.")
    out = _packed(gram, _SKIPPED) | under("frame", _packed(gram.frame)) | under("response", _packed(gram.response))
    for i, factor in enumerate(gram.factors):
        out |= under(f"factor{i}", _packed(factor, {"frame"}) | under("frame", _packed(factor.frame)))
    for i, crossed in enumerate(gram.crossed):
        out |= under(f"crossed{i}", _packed(crossed))
    out |= under("terms", _packed(gram.terms, {"components"}))
    if gram.terms.components is not None:
        out |= under("terms/components", _packed(gram.terms.components))
    if gram.own is not None:
        out |= under("own", pack(gram.own))
    if gram.origin is not None:
        out |= under("origin", origin_to_json(gram.origin))
    return out


def unpack(arrays: Mapping[str, np.ndarray[Any, Any]], where: str, *, is_part: bool = False) -> Gram:
    """Return the Gram basis of arrays made by `pack`, checked; that of a part may lack products (`gram.bare`).

    Raises
    ------
    DataError
        If an array is missing, has another shape or type, or values that cannot be.
    """
    try:
        gram = _unpacked(arrays)
    except Exception as error:  # whatever other arrays lead to
        raise DataError(f"path={where!r} is damaged: {error!r}. Write it anew.") from error
    check_gram(gram, where, is_part=is_part)
    return gram


def _unpacked(arrays: Mapping[str, np.ndarray[Any, Any]]) -> Gram:
    terms = below(arrays, "terms")
    components = below(terms, "components")
    origin = below(arrays, "origin")
    own = below(arrays, "own")
    return Gram(
        **_values(Gram, arrays, _SKIPPED),
        factors=tuple(_group_products(below(arrays, f"factor{i}")) for i in range(_count(arrays, "factor"))),
        crossed=tuple(
            CrossProducts(**_values(CrossProducts, below(arrays, f"crossed{i}")))
            for i in range(_count(arrays, "crossed"))
        ),
        terms=ErrorTerms(
            **_values(ErrorTerms, terms, {"components"}), components=_components(components) if components else None
        ),
        frame=Frame(**_values(Frame, below(arrays, "frame"))),
        response=LabelledMoments(**_values(LabelledMoments, below(arrays, "response"))),
        own=_unpacked(own) if own else None,
        origin=_origin(origin) if origin else None,
    )


def _group_products(arrays: Mapping[str, np.ndarray[Any, Any]]) -> GroupProducts:
    frame = Frame(**_values(Frame, below(arrays, "frame")))
    return GroupProducts(**_values(GroupProducts, arrays, {"frame"}), frame=frame)


def _components(arrays: Mapping[str, np.ndarray[Any, Any]]) -> Components:
    from hierreg.errors.within_units import Components

    return Components(**_values(Components, arrays))


def _origin(arrays: Mapping[str, np.ndarray[Any, Any]]) -> Origin:
    return origin_from_json(arrays)


def _packed(value: Any, without: set[str] | None = None) -> dict[str, np.ndarray[Any, Any]]:
    """Return the fields of a dataclass as arrays; what is no array becomes JSON."""
    out = {}
    for field in fields(value):
        if field.name not in (without or ()):
            item = getattr(value, field.name)
            is_array = isinstance(item, np.ndarray) and item.dtype != object
            out[field.name] = item if is_array else np.array(_as_json(item))
    return out


def _as_json(item: Any) -> str:
    if isinstance(item, np.ndarray):
        return json.dumps({"levels": item.tolist()})
    return json.dumps({"tuple": list(item)} if isinstance(item, tuple) else item)


def _values(kind: type, arrays: Mapping[str, np.ndarray[Any, Any]], without: set[str] | None = None) -> dict[str, Any]:
    return {f.name: _value(arrays[f.name], str(f.type)) for f in fields(kind) if f.name not in (without or ())}


def _value(array: np.ndarray[Any, Any], annotation: str) -> Any:
    """Return a field as its annotation has it: numbers in the type of the class, or what the JSON says."""
    if "NDArray" in annotation or annotation in {"Array", "Index"}:
        if array.ndim == 0:
            return np.array(json.loads(str(array))["levels"], dtype=object)
        if "generic" in annotation:
            return array
        kind = (
            np.float64 if annotation == "Array" or "float" in annotation else bool if "bool" in annotation else np.intp
        )
        if array.dtype != kind:
            raise TypeError(f"an array of {array.dtype} where {np.dtype(kind)} is required")
        return array
    item = json.loads(str(array))
    if isinstance(item, dict):
        return tuple(_of_type(one, annotation, {"tuple[str, ...]": (str,)}) for one in item["tuple"])
    return _of_type(item, annotation, _PLAIN)


_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (float, int),
    "bool": (bool,),
}


def _of_type(item: Any, annotation: str, allowed: Mapping[str, tuple[type, ...]]) -> Any:
    if type(item) not in allowed.get(annotation, ()):
        raise TypeError(f"{item!r} where {annotation} is required")
    return item


def under(name: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """Return arrays with a name put before theirs."""
    return {f"{name}/{key}": array for key, array in arrays.items()}


def below(arrays: Mapping[str, np.ndarray[Any, Any]], name: str) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays that `under` put below a name."""
    return {key[len(name) + 1 :]: array for key, array in arrays.items() if key.startswith(f"{name}/")}


def _count(arrays: Mapping[str, np.ndarray[Any, Any]], name: str) -> int:
    return len({key.split("/")[0] for key in arrays if key.split("/")[0].rstrip("0123456789") == name and "/" in key})
