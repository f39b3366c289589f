"""Saving and loading results: netCDF or zarr, never pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hierreg.checks import listed
from hierreg.exceptions import DataError
from hierreg.tree.check import check_tree
from hierreg.tree.checksums import CHECKSUMS, ORDER, check_checksums, checksums_of
from hierreg.tree.writing import open_stored, write_netcdf, write_zarr

if TYPE_CHECKING:
    import xarray as xr

_ENDINGS = (".nc", ".netcdf", ".h5", ".zarr")
_MARK = "hierreg_version"


def save(tree: xr.DataTree, path: str | Path) -> Path:
    """Write a result to one file, enough for every report.

    It is written beside, read back and compared, and takes its name when it is complete. The file has a checksum of
    everything in it, which `load` compares.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample`.
    path : str or Path
        Ending in ``.nc`` (netCDF 4) or ``.zarr`` (a folder; needs the ``zarr`` extra).

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    DataError
        If the ending is neither, the folder does not exist, the tree is no result of hierreg, or it cannot be written
        (a full disk); a file that was there before is then as it was.
    """
    import xarray as xr

    path = check_path(path)
    if not isinstance(tree, xr.DataTree) or _MARK not in tree.attrs:
        raise DataError(
            f"tree has type {type(tree).__name__} and is not a result of hierreg; a DataTree from Model.sample "
            "or hr.prior_predictive is required."
        )
    if not path.parent.is_dir():
        raise DataError(f"path={str(path)!r}: the folder {str(path.parent)!r} does not exist; create it first.")
    checked: xr.DataTree = tree.copy()
    checked.attrs = {name: value for name, value in tree.attrs.items() if name != CHECKSUMS}
    checked.attrs[CHECKSUMS] = json.dumps(checksums_of(checked), ensure_ascii=False)
    if path.suffix == ".zarr":
        write_zarr(_with_order(checked), path)
    else:
        write_netcdf(checked, path)
    return path


def load(path: str | Path) -> xr.DataTree:
    """Return a result written by `save`, in memory.

    Checksums in the file are compared with what is in it. Files without them (hierreg 0.1.0, or a tree that was written
    with ArviZ or xarray) are read too; of these only what reports need to be there is checked.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    DataError
        If there is no such file, it was not written by hierreg, or is not whole.
    """
    path = check_path(path)
    if not path.exists():
        raise DataError(f"path={str(path)!r}: no such file.{_left_behind(path)}")
    engine = "zarr" if path.suffix == ".zarr" else "h5netcdf"
    try:
        with open_stored(path, engine) as stored:
            tree: xr.DataTree = stored.load()
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged file leads to
        raise DataError(f"path={str(path)!r} cannot be read as {engine}: {_reason(error)}") from error
    if _MARK not in tree.attrs:
        raise DataError(
            f"path={str(path)!r} was not written by hierreg.save, or only in part: its attributes name no version of "
            "hierreg."
        )
    check_checksums(tree, str(path))
    was_checked = tree.attrs.pop(CHECKSUMS, None) is not None
    try:
        tree = _upgraded(_in_order(tree) if ORDER in tree.attrs else tree)
        if not was_checked:
            check_tree(tree)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"path={str(path)!r} is no whole result of hierreg: {_reason(error)}") from error
    return tree


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _left_behind(path: Path) -> str:
    """Return a sentence on what an interrupted `save` of a zarr store has left, or nothing."""
    old = [str(one) for one in sorted(path.parent.glob(f".{path.name}.*.old"))] if path.parent.is_dir() else []
    return f" A save was interrupted when the earlier result was {listed(old)}: rename it." if old else ""


def _upgraded(tree: xr.DataTree) -> xr.DataTree:
    """Return a tree of version 0.1, which had one grouping factor, with today's names."""
    if "factor" not in tree.attrs:
        return tree
    out: xr.DataTree = tree.copy()
    factor = out.attrs.pop("factor")
    out.attrs["factors"] = json.dumps([factor] if factor else [], ensure_ascii=False)
    if factor and "constant_data" in out.children:
        old = ("group_index", "group_term", "group_ZtZ", "entry")
        out["constant_data"] = out["constant_data"].to_dataset().rename({name: f"{name}_{factor}" for name in old})
    return out


def _with_order(tree: xr.DataTree) -> xr.DataTree:
    """Return the tree with the order of its groups and variables, which zarr forgets, as an attribute.

    ArviZ's labels of elements depend on the order in which dimensions first appear.
    """
    order = {name: list(group.data_vars) for name, group in tree.children.items()}
    out: xr.DataTree = tree.copy()
    out.attrs = tree.attrs | {ORDER: json.dumps(order)}
    return out


def _in_order(tree: xr.DataTree) -> xr.DataTree:
    import xarray as xr

    groups = {}
    for name, variables in json.loads(tree.attrs.pop(ORDER)).items():
        group = tree[name].to_dataset()
        ordered = {variable: group[variable].variable for variable in variables}
        groups[name] = xr.Dataset(ordered, coords=group.coords, attrs=group.attrs)
    out = xr.DataTree.from_dict(groups)
    out.attrs = tree.attrs
    return out


def check_path(path: str | Path) -> Path:
    """Return a path that can be written or read, by its ending."""
    path = Path(path)
    if path.suffix not in _ENDINGS:
        raise DataError(f"path={str(path)!r} must end in one of {', '.join(_ENDINGS)}.")
    return path
