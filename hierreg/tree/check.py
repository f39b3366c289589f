"""Checks of a result whose file has no checksums: that what reports take for granted is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierreg.checks import listed
from hierreg.tree.names import factors_of

if TYPE_CHECKING:
    import xarray as xr

_SAMPLE = ("chain", "draw")
_ATTRIBUTES = ("formula", "errors", "factors")
# Dimensions after chain and draw, by the beginning of a name; those of error_sd depend on the errors.
_N_DIMS = {"b": 2, "theta": 2, "sd": 1, "corr": 2}


def check_tree(tree: xr.DataTree) -> None:
    """Raise a `ValueError` unless a result has what every report needs.

    Parameters
    ----------
    tree : DataTree
        With today's names.
    """
    lacking = [name for name in _ATTRIBUTES if name not in tree.attrs]
    if lacking:
        raise ValueError(f"its attributes lack {listed(lacking)}")
    factors = factors_of(tree.attrs)
    if "posterior" not in tree.children:
        return
    posterior = tree["posterior"].to_dataset()
    if "beta" in posterior:
        _check_variable(posterior, "beta", 1)
    for factor in factors:
        if f"sd_{factor}" not in posterior:
            raise ValueError(f"'posterior' lacks 'sd_{factor}'")
        for kind, n_dims in _N_DIMS.items():
            if f"{kind}_{factor}" in posterior:
                _check_variable(posterior, f"{kind}_{factor}", n_dims)
    for name in ("error_sd", "error_corr"):
        if name in posterior:
            _check_variable(posterior, name, None)


def _check_variable(posterior: xr.Dataset, name: str, n_dims: int | None) -> None:
    variable = posterior[name]
    if variable.dims[:2] != _SAMPLE or (n_dims is not None and variable.ndim != 2 + n_dims):
        raise ValueError(f"'posterior/{name}' has the dimensions {variable.dims}, not chain, draw and {n_dims} more")
    if variable.dtype.kind != "f":
        raise ValueError(f"'posterior/{name}' holds {variable.dtype}, not numbers with decimals")
    if variable.isnull().any():
        raise ValueError(f"'posterior/{name}' has missing values")
