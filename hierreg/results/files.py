"""Saving and loading results: netCDF or zarr, never pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hierreg.checks import listed
from hierreg.exceptions import DataError
from hierreg.results.checksums import CHECKSUMS, ORDER, check_checksums, checksums_of
from hierreg.results.writing import open_stored, write_netcdf, write_zarr

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

    See Also
    --------
    load : Reads it.
    Gram.save : Of statistics alone.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> tree = model.sample(draws=200, seed=1, method="psis")
    >>> with TemporaryDirectory() as folder:
    ...     hr.save(tree, Path(folder) / "fit.nc").name
    'fit.nc'
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
    checked.attrs = {name: value for name, value in tree.attrs.items() if name not in (CHECKSUMS, ORDER)}
    checked.attrs[CHECKSUMS] = json.dumps(checksums_of(checked), ensure_ascii=False)
    if path.suffix == ".zarr":
        write_zarr(_with_order(checked), path)
    else:
        write_netcdf(checked, path)
    return path


def load(path: str | Path) -> xr.DataTree:
    """Return a result written by `save`, in memory.

    Checksums in the file are compared with what is in it, so that no value, label or order is another than it was. A
    tree that xarray or ArviZ wrote has none: read it with ``xarray.open_datatree``, which reports take too, and write
    it with `save` if it is right.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    DataError
        If there is no such file, it was not written by `save`, or is not whole.

    See Also
    --------
    save : Writes it.
    Model.from_tree : The model that a result is of.
    Gram.load : Of statistics alone.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> tree = model.sample(draws=200, seed=1, method="psis")
    >>> with TemporaryDirectory() as folder:
    ...     again = hr.load(hr.save(tree, Path(folder) / "fit.nc"))
    >>> again["posterior"].equals(tree["posterior"])
    True
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
    del tree.attrs[CHECKSUMS]
    try:
        return _in_order(tree) if ORDER in tree.attrs else tree
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"path={str(path)!r} is damaged: its order of variables, {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _left_behind(path: Path) -> str:
    """Return a sentence on what an interrupted `save` of a zarr store has left, or nothing."""
    old = [str(one) for one in sorted(path.parent.glob(f".{path.name}.*.old"))] if path.parent.is_dir() else []
    return f" A save was interrupted when the earlier result was {listed(old)}: rename it." if old else ""


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
        # What another program added comes after.
        ordered = {variable: group[variable].variable for variable in dict.fromkeys([*variables, *group.data_vars])}
        groups[name] = xr.Dataset(ordered, coords=group.coords, attrs=group.attrs)
    groups |= {name: node.to_dataset() for name, node in tree.children.items() if name not in groups}
    out = xr.DataTree.from_dict(groups)
    out.attrs = tree.attrs
    return out


def check_path(path: str | Path) -> Path:
    """Return a path that can be written or read, by its ending."""
    path = Path(path)
    if path.suffix not in _ENDINGS:
        raise DataError(f"path={str(path)!r} must end in one of {', '.join(_ENDINGS)}.")
    return path
