"""Saving and loading results: netCDF or zarr, never pickle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hierreg.exceptions import DataError

if TYPE_CHECKING:
    import xarray as xr

_ENDINGS = (".nc", ".netcdf", ".h5", ".zarr")


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
        If the ending is neither, or the folder does not exist.
    """
    path = check_path(path)
    if not path.parent.is_dir():
        raise DataError(f"path={str(path)!r}: the folder {str(path.parent)!r} does not exist; create it first.")
    if path.suffix == ".zarr":
        tree.to_zarr(path, mode="w")
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
    try:
        with xr.open_datatree(path, engine=engine) as stored:
            tree = stored.load()
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"path={str(path)!r} cannot be read as {engine}: {error}") from error
    if "hierreg_version" not in tree.attrs:
        raise DataError(f"path={str(path)!r} was not written by hierreg.save: its attributes name no hierreg version.")
    return tree


def check_path(path: str | Path) -> Path:
    """Return a path that can be written or read, by its ending."""
    path = Path(path)
    if path.suffix not in _ENDINGS:
        raise DataError(f"path={str(path)!r} must end in one of {', '.join(_ENDINGS)}.")
    return path
