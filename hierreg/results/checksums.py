"""A list of everything in a result with its checksum, as an attribute of the file.

What a file lacks, or has with other values, dimensions, types or order, is named when it is read. Values survive all
formats as they are; what does not (objects of other programs) is left out of the list.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed
from hierreg.exceptions import DataError
from hierreg.stored import digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr

CHECKSUMS, ORDER = "hierreg_checksums", "order"
_AT_ONCE = 1 << 26  # bytes of a variable that are read at once, if it has a dimension to cut


def checksums_of(tree: xr.DataTree) -> dict[str, str]:
    """Return the checksum of every variable of a tree, and of the attributes of its groups, by path."""
    out = {}
    for node in tree.subtree:
        dataset = node.to_dataset(inherit=False)
        group = node.path.strip("/")
        out[f"{group}/@"] = _of_attributes(dataset.attrs)
        for name, variable in dataset.variables.items():
            own = _of_variable(variable)
            if own is not None:
                out[f"{group}/{name}"] = own
    return out


def check_checksums(tree: xr.DataTree, where: str) -> None:
    """Raise unless a tree that was read has what its list of checksums says.

    Raises
    ------
    DataError
        If there is no list, or something is missing or was changed.
    """
    if CHECKSUMS not in tree.attrs:
        raise DataError(
            f"path={where!r} has no checksums: it was not written by hr.save, but by xarray, ArviZ or another program, "
            "and nothing in it tells whether draws or labels are in the order they had. Reports take a tree that "
            f"xarray.open_datatree({where!r}).load() returns as it is; if you know that it is right, write it with "
            "hr.save, and hr.load reads it from then on."
        )
    try:
        expected = dict(json.loads(tree.attrs[CHECKSUMS]))
    except (ValueError, TypeError) as error:
        raise DataError(f"path={where!r} is damaged: its list of checksums cannot be read.") from error
    found = checksums_of(tree)
    missing = [_shown(name) for name in expected if name not in found]
    changed = [_shown(name) for name, own in expected.items() if found.get(name, own) != own]
    if missing or changed:
        says = [f"{listed(missing)} {_are(missing)} missing"] if missing else []
        says += [f"{listed(changed)} {_are(changed)} not as saved"] if changed else []
        raise DataError(
            f"path={where!r} is not whole: {', and '.join(says)}. It is damaged, was copied or written in part, or was "
            "changed by another program. Save the result anew, or take a copy that is whole; a result that was changed "
            "on purpose is written with hr.save."
        )


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _shown(name: str) -> str:
    group, _, variable = name.rpartition("/")
    return f"attributes of {group or 'the file'}" if variable == "@" else name


def _of_attributes(attrs: Mapping[Any, Any]) -> str:
    plain = {str(name): _plain(value) for name, value in attrs.items() if name not in (CHECKSUMS, ORDER)}
    return digest(sorted((name, value) for name, value in plain.items() if value is not None), ())


def _plain(value: Any) -> list[str] | None:
    """Return an attribute as text; formats differ in whether one number is a list of one. None: not of these kinds."""
    if not isinstance(value, (str, int, float, np.generic, np.ndarray, list)):
        return None
    array = np.atleast_1d(np.asarray(value))
    values = array.ravel().tolist()
    if all(isinstance(one, str) for one in values):
        return ["text", *values]
    return ["numbers", *(repr(float(one)) for one in values)] if array.dtype.kind in "biuf" else None


def _of_variable(variable: Any) -> str | None:
    about = [list(map(str, variable.dims)), list(variable.shape), _of_attributes(variable.attrs)]
    try:
        return digest(about, _pieces(variable))
    except TypeError:
        return None


def _pieces(variable: Any) -> Iterator[np.ndarray[Any, Any]]:
    """Return the values of a variable, one index of its first dimension after the other where they are many."""
    if variable.ndim > 1 and variable.nbytes > _AT_ONCE:
        for i in range(variable.shape[0]):
            yield np.asarray(variable[i].values)
    else:
        yield np.asarray(variable.values)
