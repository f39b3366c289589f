"""What a user writes for linear functions of coefficients, read as weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.likelihood.solution import GroupWeights, LinearFunctions, no_weights

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_FORMS = (
    "a dictionary {name: {coefficient: weight}}, with a group's coefficients as (group, coefficient), or a matrix with "
    "one column per population coefficient"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupNames:
    """What coefficients of the groups of one factor are called.

    Attributes
    ----------
    factor : str
    levels : sequence of labels (J,)
    coef : sequence of str (q,)
    """

    factor: str
    levels: Sequence[Any]
    coef: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What coefficients of a result are called.

    Attributes
    ----------
    coef : sequence of str (p,)
    groups : sequence of GroupNames
        One per grouping factor.
    """

    coef: Sequence[str]
    groups: Sequence[GroupNames]


def read_weights(what: Any, names: Names) -> tuple[list[str], LinearFunctions]:
    """Return the names of linear functions and their weights.

    Raises
    ------
    ModelError
        If a coefficient or a group is unknown, a weight is no finite number, or the shape does not fit.
    """
    if isinstance(what, Mapping):
        return _of_mapping(what, names)
    if isinstance(what, xr.DataArray):
        return _of_labelled(what, names)
    if hasattr(what, "columns") and hasattr(what, "index"):
        labelled = xr.DataArray(_matrix(what.to_numpy()), dims=("contrast", "coef"))
        return _of_labelled(labelled.assign_coords(contrast=list(what.index), coef=list(what.columns)), names)
    matrix = np.atleast_2d(_matrix(what))
    if matrix.ndim != 2 or matrix.shape[1] != len(names.coef) or not len(matrix):
        raise ModelError(
            f"what has shape {matrix.shape}; a matrix needs one column for each of the population coefficients "
            f"{listed(names.coef)}, and at least one row."
        )
    return [f"phi[{i}]" for i in range(len(matrix))], _of_population(matrix, names)


def _of_labelled(array: xr.DataArray, names: Names) -> tuple[list[str], LinearFunctions]:
    """Return the functions in the rows of a matrix whose columns are named; columns left out weigh nothing."""
    if array.ndim == 1:
        array = array.expand_dims("contrast")
    place = "coef" if "coef" in array.dims else array.dims[-1]
    if array.ndim != 2 or place not in array.coords:
        raise ModelError(
            f"what has the dimensions {listed(array.dims)}; a labelled matrix needs two, one of them 'coef' with the "
            f"names of population coefficients ({listed(names.coef)})."
        )
    array = array.transpose(..., place)
    columns = [str(c) for c in array[place].values]
    for column in columns:
        _check_known(column, names.coef, "what has the column", "population coefficients")
    if len(set(columns)) < len(columns):
        raise ModelError(f"what has columns of the same name: {listed(columns)}.")
    values, first = _matrix(array.to_numpy()), array.dims[0]
    matrix = np.zeros((len(values), len(names.coef)))
    matrix[:, [list(names.coef).index(c) for c in columns]] = values
    rows = [str(v) for v in array[first].values] if first in array.coords else [f"phi[{i}]" for i in range(len(matrix))]
    return rows, _of_population(matrix, names)


def _of_population(matrix: Array, names: Names) -> LinearFunctions:
    return LinearFunctions(beta=matrix, groups=tuple(no_weights(len(group.coef)) for group in names.groups))


def _matrix(value: Any) -> Array:
    try:
        matrix = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"what={value!r} does not say which functions are wanted: give {_FORMS}.") from None
    if not np.all(np.isfinite(matrix)):
        raise ModelError("what has weights that are not finite.")
    return matrix


def _of_mapping(what: Mapping[Any, Any], names: Names) -> tuple[list[str], LinearFunctions]:
    if not what:
        raise ModelError(f"what is empty: give {_FORMS}.")
    beta = np.zeros((len(what), len(names.coef)))
    entries: list[list[tuple[int, int, Array]]] = [[] for _ in names.groups]
    for s, (name, weights) in enumerate(what.items()):
        if not isinstance(weights, Mapping) or not weights:
            raise ModelError(f"what[{name!r}]={weights!r}; weights are required, as in {{'Intercept': 1, 'Days': 5}}.")
        for key, value in weights.items():
            weight = _weight(value, name, key)
            if isinstance(key, str):
                _check_known(key, names.coef, f"what[{name!r}] names", "population coefficients")
                beta[s, list(names.coef).index(key)] += weight
                continue
            of_theta, f, group, coef = _group_key(key, name, names)
            unit = np.zeros(len(names.groups[f].coef))
            unit[list(names.groups[f].coef).index(coef)] = weight
            entries[f].append((s, _level(group, name, names.groups[f]), unit))
            if of_theta and coef in names.coef:
                beta[s, list(names.coef).index(coef)] += weight
    groups = tuple(_group_weights(own, len(group.coef)) for own, group in zip(entries, names.groups, strict=True))
    return [str(name) for name in what], LinearFunctions(beta=beta, groups=groups)


def _group_weights(entries: list[tuple[int, int, Array]], q: int) -> GroupWeights:
    return GroupWeights(
        row=np.array([row for row, _, _ in entries], dtype=np.intp),
        level=np.array([level for _, level, _ in entries], dtype=np.intp),
        b=np.array([b for _, _, b in entries], dtype=float).reshape(len(entries), q),
    )


def _weight(value: Any, name: Any, key: Any) -> float:
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = np.nan
    if not np.isfinite(weight):
        raise ModelError(f"what[{name!r}][{key!r}]={value!r} must be a finite number.")
    return weight


def _group_key(key: Any, name: Any, names: Names) -> tuple[bool, int, Any, str]:
    """Return whether theta or b is meant, the place of the factor, the group, and its column."""
    parts = key if isinstance(key, tuple) else ()
    factors = [group.factor for group in names.groups]
    # The factor of a model with a single one may be left out; then three parts begin with "b".
    is_b = len(parts) == 4 or (len(parts) == 3 and len(factors) < 2 and parts[0] == "b")
    rest = parts[1:] if is_b else parts
    if len(rest) not in {2, 3} or (is_b and parts[0] != "b"):
        raise ModelError(
            f"what[{name!r}] has the key {key!r}; a key is the name of a population coefficient, (group, coefficient) "
            "for theta = beta + b of a group, or ('b', group, coefficient) for its deviation alone; in a model with "
            "several grouping factors (factor, group, coefficient) or ('b', factor, group, coefficient)."
        )
    if not factors:
        raise ModelError(f"what[{name!r}] has the key {key!r}, but the model has no groups.")
    if len(rest) == 2 and len(factors) > 1:
        raise ModelError(
            f"what[{name!r}] has the key {key!r}, which names no grouping factor; the model has {listed(factors)}: "
            f"write {(*parts[:-2], factors[0], *rest)!r}."
        )
    f = 0
    if len(rest) == 3:
        _check_known(rest[0], factors, f"what[{name!r}] has the key {key!r}, which begins with", "grouping factors")
        f = factors.index(rest[0])
    group, coef = rest[-2:]
    _check_known(coef, names.groups[f].coef, f"what[{name!r}] names", f"coefficients of {factors[f]}")
    return not is_b, f, group, str(coef)


def _level(group: Hashable, name: Any, names: GroupNames) -> int:
    """Return the place of a group, by its label or by the label's text."""
    labels = list(names.levels)
    found = [i for i, label in enumerate(labels) if label == group] or [
        i for i, label in enumerate(labels) if str(label) == str(group)
    ]
    if not found:
        _check_known(group, labels, f"what[{name!r}] names", f"groups of {names.factor}")
    return found[0]


def _check_known(name: Any, valid: Sequence[Any], where: str, kind: str) -> None:
    if name not in valid:
        raise ModelError(f"{where} {name!r}, which is none of the {kind} {listed(valid)}.{suggestion(name, valid)}")
