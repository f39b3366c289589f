"""What the user gives as a known covariance: a matrix, a labelled or a sparse one, or a list of blocks; all checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed
from hierreg.errors.known_covariance.labelled import values_and_labels
from hierreg.errors.known_covariance.value import BlockCovariance, from_entries, from_matrix
from hierreg.exceptions import DataError, ModelError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

_ARGUMENT = "known_cov(V)"
_NOT_SYMMETRIC = 1e-8  # largest difference of two correlations that should be one


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GivenCovariance:
    """A known covariance as it was given.

    Attributes
    ----------
    V : BlockCovariance
        In the order given.
    index : pandas.Index or None
        Labels of its rows, where it has any.
    column : str or None
        Column of the data that holds them; None for the index of the data.
    is_table : bool
        Whether it was a table with the labels 0, 1, 2, ... that pandas gives where there are none.
    """

    V: BlockCovariance
    index: pd.Index | None = None
    column: str | None = None
    is_table: bool = False


def read_covariance(V: Any, column: str | None = None) -> GivenCovariance:
    """Return what `hierreg.known_cov` was given, checked.

    Parameters
    ----------
    V : matrix, table, sparse matrix or list of blocks
    column : str, optional
        Column of the data with the labels of V's rows.

    Raises
    ------
    ModelError
        If this is no finite, symmetric, positive definite matrix, or its labels cannot be used.
    """
    if column is not None and not isinstance(column, str):
        raise ModelError(f"known_cov(V, labels={column!r}): the name of a column of the data is required.")
    index = None
    if _is_sparse(V):
        covariance = _of_sparse(V)
    elif _is_list_of_blocks(V):
        covariance, index = _of_blocks(V)
    else:
        values, index = values_and_labels(V, _ARGUMENT)
        covariance = from_matrix(_square(_numbers(values, "V"), "V"))
    if column is not None and index is None:
        raise ModelError(
            f"known_cov(V, labels={column!r}): V has no labels to match that column with. Give a pandas or xarray "
            "table with labelled rows and columns, or leave labels out: V is then in the order of the rows."
        )
    is_table = index is None and type(V).__module__.partition(".")[0] == "pandas"
    return GivenCovariance(V=_checked(covariance), index=index, column=column, is_table=is_table)


def in_order_of_rows(given: GivenCovariance, table: Any, n: int) -> BlockCovariance:
    """Return the covariance in the order of the rows of a table.

    Parameters
    ----------
    given : GivenCovariance
    table : narwhals.DataFrame
    n : int
        Number of rows.

    Raises
    ------
    DataError, ModelError
        If the matrix has another size, or labels that are not those of the rows.
    """
    if given.V.n != n:
        raise ModelError(
            f"{_ARGUMENT}: V has shape {given.V.shape} but the table has {n} rows; "
            f"give the ({n}, {n}) covariance of the rows, in the table's order."
        )
    if given.index is None:
        if given.is_table:
            _check_not_shuffled(table, n)
        return given.V
    rows, what = _labels_of_rows(given, table)
    _check_labels(given.index, rows, what)
    place = rows.get_indexer(given.index)
    return given.V.renumbered(place.astype(np.intp))


def _labels_of_rows(given: GivenCovariance, table: Any) -> tuple[pd.Index, str]:
    import pandas as pd

    from hierreg.design_matrices import column_levels

    assert given.index is not None
    if given.column is not None:
        levels, index = column_levels(table, given.column, role="labels of a known covariance")
        return pd.Index([levels[i] for i in index]), f"data[{given.column!r}]"
    native = table.to_native()
    if type(native).__module__.partition(".")[0] != "pandas":
        raise ModelError(
            f"{_ARGUMENT}: V is labelled ({listed(given.index)}), but data, a {type(native).__name__}, has no index to "
            "match its labels with. Name the column that has them, hr.known_cov(V, labels='column'), or give the "
            "values alone, in the order of the rows: hr.known_cov(V.to_numpy())."
        )
    return native.index, "the index of data"


def _check_labels(labels: pd.Index, rows: pd.Index, what: str) -> None:
    if rows.has_duplicates:
        again = rows[rows.duplicated()].unique()
        raise DataError(
            f"{_ARGUMENT}: V is labelled, and {what} has labels that occur more than once ({listed(again)}), so its "
            "rows cannot be told by them. Make them distinct, or give V without labels, in the order of the rows: "
            "V.to_numpy()."
        )
    missing = labels[rows.get_indexer(labels) < 0]
    if len(missing):
        as_text = {str(label) for label in rows} == {str(label) for label in labels}
        hint = (
            f" They are the same as text: the labels of V have type {labels.dtype}, those of data {rows.dtype}."
            if as_text
            else ""
        )
        raise ModelError(
            f"{_ARGUMENT}: V has labels that are not in {what}: {listed(missing)} (there are {listed(rows)}).{hint} "
            "Rows are matched by label. Label V as the data are, name the column that has its labels, "
            "hr.known_cov(V, labels='column'), or give the values alone, in the order of the rows: V.to_numpy()."
        )


def _check_not_shuffled(table: Any, n: int) -> None:
    """Raise where V is a table labelled 0, 1, 2, ..., and so are the rows of data, in another order."""
    index: Any = getattr(table.to_native(), "index", None)
    if getattr(index, "nlevels", 0) != 1 or index.dtype.kind not in "iu":
        return
    if np.array_equal(np.sort(index), np.arange(n)) and not np.array_equal(index, np.arange(n)):
        raise ModelError(
            f"{_ARGUMENT}: V is a table labelled 0, 1, 2, ..., and the index of data has the same labels in another "
            f"order ({listed(index)}), so its rows have changed places: should V follow them or not? Give hr.known_cov("
            "V.loc[data.index, data.index].to_numpy()) to match by label, or hr.known_cov(V.to_numpy()) if V is in the "
            "order of the rows already."
        )


def _numbers(value: Any, name: str) -> Array:
    try:
        return np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(
            f"known_cov({name}): {name} is not a matrix of numbers (type {type(value).__name__}). Give a square matrix "
            "(array, pandas or xarray table, scipy.sparse matrix) or a list of square blocks."
        ) from None


def _square(V: Array, name: str) -> Array:
    if V.ndim != 2 or V.shape[0] != V.shape[1] or V.size == 0:
        raise ModelError(f"known_cov(V): {name} has shape {V.shape}; a square covariance matrix is required.")
    return V


def _is_sparse(V: Any) -> bool:
    return type(V).__module__.startswith("scipy.sparse") and hasattr(V, "tocoo")


def _of_sparse(V: Any) -> BlockCovariance:
    V = V.tocoo().copy()
    if V.ndim != 2 or V.shape[0] != V.shape[1] or V.shape[0] == 0:
        raise ModelError(f"{_ARGUMENT}: V has shape {V.shape}; a square covariance matrix is required.")
    V.sum_duplicates()
    value = np.asarray(V.data, dtype=float)
    used = value != 0
    row, col = (np.asarray(one)[used].astype(np.intp) for one in (V.row, V.col))
    return from_entries(V.shape[0], row, col, value[used])


def _is_list_of_blocks(V: Any) -> bool:
    if isinstance(V, np.ndarray):
        return V.ndim == 3
    return isinstance(V, (list, tuple)) and len(V) > 0 and any(_ndim(block) == 2 for block in V)


def _ndim(block: Any) -> int:
    try:
        return int(np.ndim(block))
    except ValueError:
        return -1


def _of_blocks(blocks: Any) -> tuple[BlockCovariance, pd.Index | None]:
    """Return blocks, rows in order, and their labels where all have some."""
    arrays, labels = [], []
    for i, block in enumerate(blocks):
        name = f"block {i}"
        values, index = values_and_labels(block, f"{_ARGUMENT}: {name}")
        array = _numbers(values, name)
        arrays.append(_square(array.reshape(1, 1) if array.ndim == 0 else array, name))
        if index is not None:
            labels.append(index)
    if labels and len(labels) < len(arrays):
        raise ModelError(
            f"{_ARGUMENT}: {len(labels)} of {len(arrays)} blocks have labels. Label all of them, or none: to_numpy()."
        )
    sizes = np.array([len(array) for array in arrays])
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rows, cols, values_of = [], [], []
    for s in np.unique(sizes):
        mine = np.flatnonzero(sizes == s)
        V = np.stack([arrays[i] for i in mine])
        place = first[mine][:, None] + np.arange(s)
        which, row, col = np.nonzero(V)
        rows.append(place[which, row])
        cols.append(place[which, col])
        values_of.append(V[which, row, col])
    covariance = from_entries(
        int(sizes.sum()),
        np.concatenate(rows).astype(np.intp),
        np.concatenate(cols).astype(np.intp),
        np.concatenate(values_of),
    )
    if not labels:
        return covariance, None
    index = labels[0].append(labels[1:])
    if index.has_duplicates:
        again = index[index.duplicated()].unique()
        raise ModelError(
            f"{_ARGUMENT}: labels occur in more than one block ({listed(again)}). Make them distinct, or give the "
            "blocks without labels, in the order of the rows: to_numpy()."
        )
    return covariance, index


def _checked(covariance: BlockCovariance) -> BlockCovariance:
    """Return the covariance made exactly symmetric, after checks of its correlations: units do not matter."""
    out = []
    for batch in covariance.batches:
        _check_finite(batch.V, batch.rows)
        variance = np.diagonal(batch.V, axis1=1, axis2=2)
        if np.any(variance <= 0):
            which, i = (int(place[0]) for place in np.nonzero(variance <= 0))
            raise ModelError(
                f"{_ARGUMENT}: V is not positive definite: the variance of row {batch.rows[which, i]} is "
                f"{variance[which, i]:.3g}; variances must be > 0."
            )
        sd = np.sqrt(variance)
        corr = batch.V / sd[:, :, None] / sd[:, None, :]
        gap = np.abs(corr - np.swapaxes(corr, 1, 2))
        if gap.max() > _NOT_SYMMETRIC:
            which, i, j = (int(one) for one in np.unravel_index(int(gap.argmax()), gap.shape))
            where = [int(batch.rows[which, i]), int(batch.rows[which, j])]
            off = abs(batch.V[which, i, j] - batch.V[which, j, i])
            raise ModelError(f"{_ARGUMENT}: V is not symmetric (largest difference {off:.3g} at {where}).")
        _check_definite(0.5 * (corr + np.swapaxes(corr, 1, 2)), batch.rows, covariance.n)
        V = 0.5 * (batch.V + np.swapaxes(batch.V, 1, 2))
        V.flags.writeable = False
        out.append(type(batch)(rows=batch.rows, V=V))
    return BlockCovariance(n=covariance.n, batches=tuple(out))


def _check_finite(V: Array, rows: Index) -> None:
    bad = np.argwhere(~np.isfinite(V))
    if len(bad):
        which, i, j = bad[0]
        where = [int(rows[which, i]), int(rows[which, j])]
        raise ModelError(f"{_ARGUMENT}: V has values that are not finite (first at {where}).")


def _check_definite(corr: Array, rows: Index, n: int) -> None:
    smallest = np.linalg.eigvalsh(corr)[:, 0]
    # A covariance estimated from too few samples has exact zeros here, up to rounding.
    bad = np.flatnonzero(smallest <= corr.shape[1] * np.finfo(float).eps)
    if len(bad):
        block = "" if rows.shape[1] == n else f", of the block of rows {listed(rows[bad[0]].tolist())}"
        raise ModelError(
            f"{_ARGUMENT}: V is not positive definite (smallest eigenvalue {smallest[bad[0]]:.3g} "
            f"of its correlations{block}). A covariance estimated from fewer samples than rows is singular: use more "
            "samples, or shrink it before passing it: hr.covariance_from_samples(samples, shrinkage='ledoit-wolf'), "
            "with pairs= where two data sets are compared."
        )
