"""Correlations as unique pairs in a tree, and as matrices where they are worked with.

In the groups of draws of a tree a correlation matrix is what is below its diagonal, one element a pair, so that no
diagnostic meets a constant or counts anything twice: ``corr_Subject[Days, Intercept]``. Pairs that are zero by
construction, of columns of different bar terms, are left out. Which entry of the matrix each is stands in attributes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    import xarray as xr

# Attributes of a variable of pairs: rows and columns of the matrix, and the dimension that both run over.
_ROWS, _COLUMNS, _OF = "pair_rows", "pair_columns", "pairs_of"


def correlation_matrices(tree: xr.DataTree, group: str = "posterior") -> xr.Dataset:
    """Return the draws of all correlation matrices, whole, with their unit diagonal.

    A result has the pairs below the diagonal alone (``tree["posterior"]["corr_Subject"]`` over ``Subject_coef_pair``).

    Parameters
    ----------
    tree : DataTree
        From `Model.sample`, `hr.load` or `hr.prior_predictive`.
    group : {"posterior", "prior"}

    Returns
    -------
    Dataset
        ``corr_<factor>`` (chain, draw, <factor>_coef, <factor>_coef_col) and, of errors that are correlated between
        data sets, ``error_corr`` (chain, draw, <data set>, <data set>_col).

    Raises
    ------
    ModelError
        If the tree has no such group.

    See Also
    --------
    hierreg.correlations : A report of them.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> tree = model.sample(draws=100, seed=1, method="psis")
    >>> dict(hr.correlation_matrices(tree)["corr_Subject"].sizes)
    {'chain': 4, 'draw': 100, 'Subject_coef': 2, 'Subject_coef_col': 2}
    """
    import xarray as xr

    if not isinstance(tree, xr.DataTree) or group not in tree.children:
        what = f"groups {', '.join(tree.children)}" if isinstance(tree, xr.DataTree) else f"type {type(tree).__name__}"
        raise ModelError(f"tree has {what}, and none {group!r}: a result of Model.sample or hr.load is required.")
    whole = as_matrices(tree[group].to_dataset())
    return whole[[name for name, values in whole.data_vars.items() if _square_dim(values) is not None]]


def as_pairs(draws: xr.Dataset) -> xr.Dataset:
    """Return a group of draws with its correlation matrices as pairs."""
    out: dict[Any, xr.DataArray] = {}
    for name, values in draws.data_vars.items():
        dim = _square_dim(values)
        if dim is None:
            out[name] = values
            continue
        pairs = _pairs(values, dim)
        if pairs is not None:
            out[name] = pairs
    return _dataset(out, draws)


def as_matrices(draws: xr.Dataset) -> xr.Dataset:
    """Return a group of draws with its correlations as matrices, as `as_pairs` was given them."""
    return _dataset(
        {name: _matrix(values, draws) if _OF in values.attrs else values for name, values in draws.data_vars.items()},
        draws,
    )


def _dataset(variables: dict[Any, xr.DataArray], like: xr.Dataset) -> xr.Dataset:
    """Return arrays as one Dataset with the coordinates that they have among those of another, and their own."""
    import xarray as xr

    used = {dim for values in variables.values() for dim in values.dims}
    coords = {name: c for name, c in like.coords.items() if set(c.dims) <= used}
    for values in variables.values():
        coords |= {name: c for name, c in values.coords.items() if name not in coords}
    # As variables: arrays would be aligned with each other, which they are.
    indexes = {name: c.xindexes[name] for name, c in coords.items() if name in c.xindexes}
    whole = xr.Coordinates({name: c.variable for name, c in coords.items()}, indexes=indexes)
    return xr.Dataset({name: values.variable for name, values in variables.items()}, coords=whole, attrs=like.attrs)


def _square_dim(values: xr.DataArray) -> str | None:
    """Return the dimension of a square matrix, the last two of an array, or None where they are none."""
    if values.ndim < 2 or values.dims[-1] != f"{values.dims[-2]}_col":
        return None
    return str(values.dims[-2])


def _pairs(values: xr.DataArray, dim: str) -> xr.DataArray | None:
    """Return the entries below the diagonal that are not zero in every draw, or None where there are none."""
    import xarray as xr

    matrix = values.to_numpy()
    rows, columns = np.tril_indices(matrix.shape[-1], -1)
    flat = matrix[..., rows, columns]
    kept = np.flatnonzero(flat.reshape(-1, len(rows)).any(axis=0))
    if not len(kept):
        return None
    rows, columns = rows[kept], columns[kept]
    labels = [str(label) for label in values.coords[dim].to_numpy()]
    names = [f"{labels[i]}, {labels[j]}" for i, j in zip(rows, columns, strict=True)]
    coords = {d: values.coords[d] for d in values.dims[:-2] if d in values.coords} | {f"{dim}_pair": names}
    attrs = values.attrs | {
        # As text: a file gives a list of one number back as a number.
        _ROWS: json.dumps(rows.tolist()),
        _COLUMNS: json.dumps(columns.tolist()),
        _OF: dim,
    }
    return xr.DataArray(flat[..., kept], dims=(*values.dims[:-2], f"{dim}_pair"), coords=coords, attrs=attrs)


def _matrix(values: xr.DataArray, draws: xr.Dataset) -> xr.DataArray:
    import xarray as xr

    attrs = dict(values.attrs)
    rows, columns = (np.array(json.loads(str(attrs.pop(name)))) for name in (_ROWS, _COLUMNS))
    dim = str(attrs.pop(_OF))
    labels = draws.coords[dim].to_numpy()
    flat = values.transpose(..., f"{dim}_pair").to_numpy()
    matrix = np.zeros((*flat.shape[:-1], len(labels), len(labels)))
    matrix[..., np.arange(len(labels)), np.arange(len(labels))] = 1.0
    matrix[..., rows, columns] = matrix[..., columns, rows] = flat
    dims = tuple(d for d in values.dims if d != f"{dim}_pair")
    coords = {d: values.coords[d] for d in dims if d in values.coords} | {dim: labels, f"{dim}_col": labels}
    return xr.DataArray(matrix, dims=(*dims, dim, f"{dim}_col"), coords=coords, attrs=attrs)
