"""Saving and loading results: netCDF or zarr, never pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierreg.exceptions import DataError

if TYPE_CHECKING:
    import xarray as xr

_ENDINGS = (".nc", ".netcdf", ".h5", ".zarr")
_MARK, _ORDER = "hierreg_version", "order"


def save(tree: xr.DataTree, path: str | Path) -> Path:
    """Write a result to one file, enough for every report.

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
        If the ending is neither, the folder does not exist, or the tree is no result of hierreg.
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
    if path.suffix == ".zarr":
        # one file of all metadata is no part of the zarr format, and other programs may not know it
        _with_order(tree).to_zarr(path, mode="w", consolidated=False)
    else:
        tree.to_netcdf(path, engine="h5netcdf")
    return path


def load(path: str | Path) -> xr.DataTree:
    """Return a result written by `save`, in memory.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    DataError
        If there is no such file, or it was not written by hierreg.
    """
    import xarray as xr

    path = check_path(path)
    if not path.exists():
        raise DataError(f"path={str(path)!r}: no such file.")
    engine = "zarr" if path.suffix == ".zarr" else "h5netcdf"
    options: dict[str, Any] = {"consolidated": False} if engine == "zarr" else {}
    try:
        with xr.open_datatree(path, engine=engine, **options) as stored:
            tree = stored.load()
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"path={str(path)!r} cannot be read as {engine}: {error}") from error
    if _MARK not in tree.attrs:
        raise DataError(f"path={str(path)!r} was not written by hierreg.save: its attributes name no hierreg version.")
    return _upgraded(_in_order(tree) if _ORDER in tree.attrs else tree)


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
    out.attrs = tree.attrs | {_ORDER: json.dumps(order)}
    return out


def _in_order(tree: xr.DataTree) -> xr.DataTree:
    import xarray as xr

    groups = {}
    for name, variables in json.loads(tree.attrs.pop(_ORDER)).items():
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
