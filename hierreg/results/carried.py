"""What a result carries of its model: the rows that it read, as ArviZ wants them, and the model itself, made again.

- ``constant_data``: the columns of the table that the model reads, over ``obs``. Those that say which rows belong
  together (groups, strata, units, categories) are coordinates of ``obs`` in the other groups of rows too. Numbers are
  not: `arviz_plots.plot_lm` takes no predictor that is a coordinate already.
- ``model``: the arguments of the model as JSON, and a known covariance; of a model of statistics alone the statistics,
  as the bytes of a file of `Gram.save`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.design_matrices.kept import KeptColumn, table_of
from hierreg.errors.known_covariance.given import GivenCovariance
from hierreg.errors.known_covariance.value import BlockCovariance, BlocksOfSize
from hierreg.exceptions import DataError, ModelError
from hierreg.gram.files import from_bytes, to_bytes
from hierreg.problem.from_gram import problem_of_gram
from hierreg.problem.given import MOST_BYTES, Given
from hierreg.problem.labels import DRAWS, variable_name
from hierreg.problem.problem import Problem
from hierreg.results.pairs import as_matrices, as_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.problem.family import FamilyProblem

OBS = "obs"
_COLUMN, _CATEGORIES, _IS_LABEL = "column", "categories", "is_label"
_GONE = (
    "It carries the model that it was sampled from only where the columns of that, or its statistics, take less than "
    "64 MiB, and nobody took the groups `model` and `constant_data` out of it. Give the model: "
    "hr.Model(formula, table) with the rows, or hr.Model.from_gram(gram)."
)


def carried_groups(problem: Problem | FamilyProblem) -> dict[str, xr.Dataset]:
    """Return the groups ``constant_data`` and ``model``, as far as there are any."""
    import xarray as xr

    kept = problem.kept
    if kept is None:
        return {}
    about: dict[str, Any] = {"arguments": ((), json.dumps(kept.arguments, ensure_ascii=False))}
    if kept.columns is None:
        stored = to_bytes(problem.complete_gram(), MOST_BYTES) if isinstance(problem, Problem) else None
        if stored is None:
            return {}
        return {"model": xr.Dataset(about | {"statistics": (("byte",), np.frombuffer(stored, dtype=np.uint8))})}
    if problem.layout.V is not None:
        about |= _covariance(problem.layout.V)
    return {"constant_data": _rows(kept.columns), "model": xr.Dataset(about)}


def with_row_coords(group: xr.Dataset, rows: xr.Dataset | None) -> xr.Dataset:
    """Return a group of a tree with the labels of rows, of ``constant_data``, as coordinates of ``obs``.

    Columns that are variables of the group (the response) are none of them.
    """
    if rows is None or OBS not in group.dims or group.sizes[OBS] != rows.sizes.get(OBS):
        return group
    return group.assign_coords(
        {
            name: (OBS, column.to_numpy())
            for name, column in rows.data_vars.items()
            if column.attrs[_IS_LABEL] and not {name, column.attrs[_COLUMN]} & set(group.variables)
        }
    )


def draws_in(tree: xr.DataTree, name: str = "posterior") -> xr.Dataset:
    """Return a group of draws of a tree, its correlations as matrices."""
    return as_matrices(tree[name].to_dataset())


def with_group(tree: xr.DataTree, name: str, group: xr.Dataset) -> xr.DataTree:
    """Return a new tree with one more group, or with it replaced; data are shared, not copied."""
    import xarray as xr

    out = tree.copy()
    out[name] = xr.DataTree(as_stored(name, group, rows_of(tree)))
    return out


def with_mu(tree: xr.DataTree, mu: NDArray[np.float64]) -> xr.DataTree:
    """Return a new tree with the expected response of each row (S, N) as ``mu`` of its posterior."""
    import xarray as xr

    posterior = tree["posterior"].to_dataset()
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    posterior = posterior.assign(mu=(("chain", "draw", "obs"), mu.reshape(*shape, -1)))
    out = tree.copy()
    out["posterior"] = xr.DataTree(with_row_coords(posterior.assign_coords(obs=np.arange(mu.shape[1])), rows_of(tree)))
    return out


def rows_of(tree: xr.DataTree) -> xr.Dataset | None:
    """Return the columns that a tree carries, or None."""
    return tree["constant_data"].to_dataset() if "constant_data" in tree.children else None


def tree_of(groups: Mapping[str, xr.Dataset], problem: Problem | FamilyProblem) -> xr.DataTree:
    """Return a tree of groups, and of what it carries of its model."""
    import xarray as xr

    carried = carried_groups(problem)
    rows = carried.get("constant_data")
    own = {name: as_stored(name, group, rows) for name, group in groups.items()}
    return xr.DataTree.from_dict(own | carried)


def as_stored(name: str, group: xr.Dataset, rows: xr.Dataset | None) -> xr.Dataset:
    """Return a group as it stands in a tree: rows with their columns, correlations of draws as pairs."""
    return as_pairs(group) if name in {"posterior", "prior"} else with_row_coords(group, rows)


def problem_of_tree(tree: Any) -> Problem | FamilyProblem:
    """Return the problem of the model that a result carries; errors are those of `problem_and_table`."""
    return problem_and_table(tree)[0]


def problem_and_table(tree: Any) -> tuple[Problem | FamilyProblem, Any]:
    """Return the problem of the model that a result carries, and the table (pandas.DataFrame) of its columns, or None.

    Raises
    ------
    DataError, ModelError
        If it carries none.
    """
    import xarray as xr

    if not isinstance(tree, xr.DataTree):
        raise ModelError(f"tree has type {type(tree).__name__}; a DataTree from Model.sample or hr.load is required.")
    if "model" not in tree.children:
        raise DataError(f"the result does not say which model it is of. {_GONE}")
    about = tree["model"].to_dataset()
    given = Given.from_json(json.loads(str(about["arguments"].to_numpy())))
    if "statistics" in about:
        gram = from_bytes(about["statistics"].to_numpy().tobytes(), "the group `model` of the result")
        return problem_of_gram(gram, given.priors), None
    rows = rows_of(tree)
    if rows is None:
        raise DataError(f"the result has lost the rows of its model. {_GONE}")
    if "known_cov_rows" in about and given.errors is not None:
        errors: Any = given.errors
        given = replace(given, errors=replace(errors, given=GivenCovariance(V=_covariance_of(about))))
    table = table_of(_columns(rows))
    return given.problem(table), table


def _rows(columns: Mapping[str, KeptColumn]) -> xr.Dataset:
    import xarray as xr

    names = _variables(columns)
    out = {}
    for column, kept in columns.items():
        attrs: dict[str, Any] = {_COLUMN: column, _IS_LABEL: int(kept.is_label)}
        if kept.categories is not None:
            attrs[_CATEGORIES] = json.dumps(list(kept.categories), ensure_ascii=False)
        out[names[column]] = xr.Variable((OBS,), kept.values, attrs=attrs)
    n = len(next(iter(columns.values())).values)
    return xr.Dataset(out, coords={OBS: np.arange(n)})


def _variables(columns: Mapping[str, Any]) -> dict[str, str]:
    """Return what columns are called as variables: by their names, unless ArviZ or a file has another use of them."""
    taken = {OBS, *DRAWS}
    out = {}
    for column in columns:
        # xarray marks no name with a space as that of a coordinate.
        name = variable_name(column).replace(" ", "_") or "_"
        name = "_" if name in {".", ".."} else name
        while name in taken:
            name += "_"
        taken.add(name)
        out[column] = name
    return out


def _columns(rows: xr.Dataset) -> dict[str, KeptColumn]:
    out = {}
    for name, variable in rows.data_vars.items():
        categories = variable.attrs.get(_CATEGORIES)
        values = variable.to_numpy()
        out[str(variable.attrs.get(_COLUMN, name))] = KeptColumn(
            values=values.astype(object) if values.dtype.kind in "UT" else values,
            categories=None if categories is None else tuple(json.loads(str(categories))),
            is_label=bool(variable.attrs.get(_IS_LABEL, False)),
        )
    return out


def _covariance(V: BlockCovariance) -> dict[str, Any]:
    """Return a known covariance, in the order of the rows, as variables: its blocks, those of one size together."""
    sizes = [batch.rows.shape for batch in V.batches]
    return {
        "known_cov_sizes": (("batch", "shape"), np.array(sizes, dtype=np.int64).reshape(-1, 2)),
        "known_cov_rows": (("row",), np.concatenate([batch.rows.ravel() for batch in V.batches])),
        "known_cov_values": (("entry",), np.concatenate([batch.V.ravel() for batch in V.batches])),
    }


def _covariance_of(about: xr.Dataset) -> BlockCovariance:
    sizes, rows, values = (about[f"known_cov_{what}"].to_numpy() for what in ("sizes", "rows", "values"))
    batches, i, j = [], 0, 0
    for m, s in sizes.tolist():
        own, i = rows[i : i + m * s].reshape(m, s), i + m * s
        blocks, j = values[j : j + m * s * s].reshape(m, s, s), j + m * s * s
        batches.append(BlocksOfSize(rows=own.astype(np.intp), V=blocks))
    return BlockCovariance(n=len(rows), batches=tuple(batches))
