"""Checks of a result whose file has no checksums: that what reports take for granted is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierreg.checks import listed
from hierreg.tree.names import factors_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr

_SAMPLE = ("chain", "draw")
_ATTRIBUTES = ("formula", "errors", "factors")
# Dimensions after chain and draw, by the beginning of a name; those of error_sd depend on the errors.
_N_DIMS = {"beta": 1, "b": 2, "theta": 2, "sd": 1, "corr": 2}


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
    names = ["beta", *(f"{kind}_{factor}" for factor in factors for kind in _N_DIMS if kind != "beta")]
    limit = tree["mixed_model_limit"].to_dataset() if "mixed_model_limit" in tree.children else None
    needed = ["beta", *(f"sd_{factor}" for factor in factors)]
    if limit is not None:
        needed += [f"theta_{factor}" for factor in factors if f"theta_{factor}" in limit and f"b_{factor}" in posterior]
    if lacking := [name for name in needed if name not in posterior]:
        raise ValueError(f"'posterior' lacks {listed(lacking)}")
    for name in [name for name in (*names, "error_sd", "error_corr") if name in posterior]:
        kind = name if name == "beta" else name.partition("_")[0]
        _check_variable(posterior, name, _N_DIMS.get(kind))
    if limit is not None:
        _check_shapes(posterior, limit, names)


def _check_shapes(posterior: xr.Dataset, limit: xr.Dataset, names: Iterable[str]) -> None:
    for name in names:
        if name in limit and name in posterior and limit[name].shape != posterior[name].shape[2:]:
            raise ValueError(
                f"'posterior/{name}' has the shape {posterior[name].shape} and 'mixed_model_limit/{name}' "
                f"{limit[name].shape}: they are of different models"
            )


def _check_variable(posterior: xr.Dataset, name: str, n_dims: int | None) -> None:
    variable = posterior[name]
    if variable.dims[:2] != _SAMPLE or (n_dims is not None and variable.ndim != 2 + n_dims):
        raise ValueError(f"'posterior/{name}' has the dimensions {variable.dims}, not chain, draw and {n_dims} more")
    if variable.dtype.kind != "f":
        raise ValueError(f"'posterior/{name}' holds {variable.dtype}, not numbers with decimals")
    if name == "beta" and variable.isnull().any():
        raise ValueError(f"'posterior/{name}' has missing values")
