"""What point results are shown as: parameters with standard errors, in the order of `summary`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.display import Column, Row, Section, Table
from hierreg.problem.labels import variable_name
from hierreg.results.text import TITLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr

COLUMNS = (Column(key="estimate", head="estimate", scale="se"), Column(key="se", head="se", scale="se", fold=1))


def beta_section(beta: xr.DataArray, se: xr.DataArray) -> Section:
    """Return the population coefficients."""
    numbers = zip(beta["coef"].values, beta.to_numpy().tolist(), se.to_numpy().tolist(), strict=True)
    rows = [Row(name=f"beta[{name}]", values={"estimate": value, "se": error}) for name, value, error in numbers]
    return Section(title=TITLES["beta"], rows=rows, kind="beta")


def values_section(kind: str, arrays: Mapping[str, xr.DataArray | float], se: Mapping[str, float]) -> Section:
    """Return every element of some arrays, whose names have the labels of their dimensions in brackets."""
    rows = [
        Row(name=name, values={"estimate": value, "se": se.get(name, float("nan"))})
        for variable, array in arrays.items()
        for name, value in elements(variable, array)
    ]
    return Section(title=TITLES[kind], rows=rows, kind=kind)


def corr_section(kind: str, arrays: Mapping[str, xr.DataArray], se: Mapping[str, float], *, where: str = "") -> Section:
    """Return the correlations below the diagonal, without those that are zero by the formula."""
    rows = []
    for variable, array in arrays.items():
        if array.ndim < 2:
            rows += list(values_section(kind, {variable: array}, se).rows)
            continue
        labels, values = array[array.dims[0]].values, array.to_numpy()
        for i in range(len(labels)):
            for j in range(i):
                name = f"{variable}[{labels[i]}, {labels[j]}]"
                if values[i, j] != 0 or name in se:
                    error = se.get(name, float("nan"))
                    rows.append(Row(name=name, values={"estimate": float(values[i, j]), "se": error}))
    return Section(title=f"{TITLES[kind]} {where}".rstrip(), rows=rows, kind=kind)


def elements(variable: str, array: xr.DataArray | float) -> Iterator[tuple[str, float]]:
    """Yield the name and the value of every element of an array."""
    values = np.asarray(array, dtype=float)
    if not values.ndim:
        yield variable, float(values)
        return
    named_array: Any = array
    labels = [named_array[dim].values for dim in named_array.dims]
    for index in np.ndindex(values.shape):
        named = ", ".join(str(own[i]) for own, i in zip(labels, index, strict=True))
        yield f"{variable}[{named}]", float(values[index])


def by_factor(name: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return arrays of the grouping factors under the names that they have in a tree."""
    return {f"{name}_{variable_name(factor)}": array for factor, array in arrays.items()}


def size_of(formula: str, n_rows: int, b: Mapping[str, xr.DataArray]) -> str:
    """Return the formula, and how many rows and groups there are, where that is known."""
    counts = [f"{n_rows:,} rows"] if n_rows else []
    counts += [f"{array.sizes[array.dims[0]]:,} groups of {factor}" for factor, array in b.items()]
    return "\n".join(line for line in (formula, ", ".join(counts)) if line)


def estimate_table(heading: list[str], sections: list[Section], notes: list[str]) -> Table:
    """Return the table of an estimate."""
    return Table(
        columns=COLUMNS, sections=tuple(sections), heading="\n".join(filter(None, heading)), notes=tuple(notes)
    )
