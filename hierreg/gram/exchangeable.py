"""Cross-products of exchangeable errors, by component: within units, and of the means of units.

With the mean of a unit's rows taken off, the products within units are sums of squares, so that nothing is lost to
cancellation where the correlation is close to one. A *cell* is what a unit and a group have in common: m rows, of
the unit's n. With deviations from the cell's mean, s the sum of z over the cell, and t over another cell of the unit,

    Z'(I - J / n) Z  =  sum of deviations squared + (1 / m - 1 / n) s s'     for the group of the cell
                        - s t' / n                                           between the groups of two cells
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.errors.within_units import components_of
from hierreg.exceptions import ModelError
from hierreg.gram.terms import ErrorTerms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.errors.base import ErrorLayout
    from hierreg.errors.within_units import Units

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Draws of the error variances hold the square of the number of components.
_MOST_COMPONENTS = 250


def component_terms(layout: ErrorLayout) -> tuple[ErrorTerms, Units]:
    """Return the terms of exchangeable errors, one per component, and the units.

    Raises
    ------
    ModelError
        If the units have too many different sizes.
    """
    components, units = components_of(layout)
    C, n = len(components.size), len(layout.labels)
    if C > _MOST_COMPONENTS:
        raise ModelError(
            f"errors={layout.spec}: the units have {C - n} different sizes, counted by stratum (up to "
            f"{components.largest.max()} rows); at most {_MOST_COMPONENTS - n} are possible. Use a random intercept of "
            "the unit, (1 | unit), in place of exchangeable errors, or smaller units."
        )
    present = units.mean >= 0
    counts = np.zeros(C)
    np.add.at(counts, units.stratum[present], units.size[present] - 1.0)
    np.add.at(counts, units.mean[present], 1.0)
    terms = ErrorTerms(
        kind=layout.kind,
        labels=components.labels,
        dim=layout.dim,
        n_sd=layout.n_sd,
        has_corr=layout.has_corr,
        patterns=np.eye(C, dtype=bool),
        gaps=np.zeros(C, dtype=np.intp),
        counts=counts,
        log_det_known=0.0,
        components=components,
    )
    return terms, units


def population_products(layout: ErrorLayout, units: Units, W: Array, K: int) -> tuple[Array, Array, Array]:
    """Return the means of W over units (U, p + 1), the deviations of rows (N, p + 1), and WtW (K, p + 1, p + 1)."""
    assert layout.unit is not None
    unit, size = layout.unit, np.maximum(units.size, 1)
    mean = _sums(W, unit, len(size)) / size[:, None]
    deviation = W - mean[unit]
    # A unit of one row has no deviations, not even rounding.
    deviation[size[unit] == 1] = 0.0
    scaled = mean * np.sqrt(size)[:, None]
    n = len(layout.labels)
    parts = [deviation[layout.stratum == k] if k < n else scaled[units.mean == k] for k in range(K)]
    return mean, deviation, np.stack([part.T @ part for part in parts])


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRows:
    """Rows whose errors are independent: deviations from the means of units, and those means.

    Attributes
    ----------
    row : int array (R,)
        A row of the table in the same unit.
    term : int array (R,)
    arrays : list of arrays (R, c)
    """

    row: Index
    term: Index
    arrays: list[Array]


def component_rows(layout: ErrorLayout, units: Units, arrays: list[Array]) -> ComponentRows:
    """Return the rows of several arrays (N, c) in the components of the errors.

    A unit of n rows gives n deviations and sqrt(n) times its mean; of a unit of one row only the mean is kept.
    """
    assert layout.unit is not None
    unit, size = layout.unit, np.maximum(units.size, 1)
    many = np.flatnonzero(size[unit] > 1)
    present = np.flatnonzero(units.mean >= 0)
    member = np.zeros(len(size), dtype=np.intp)
    member[unit] = np.arange(len(unit))
    out = []
    for A in arrays:
        mean = _sums(A, unit, len(size)) / size[:, None]
        out.append(np.concatenate([(A - mean[unit])[many], (mean * np.sqrt(size)[:, None])[present]]))
    return ComponentRows(
        row=np.concatenate([many, member[present]]),
        term=np.concatenate([units.stratum[unit[many]], units.mean[present]]),
        arrays=out,
    )


def component_products(  # the arrays of one table
    layout: ErrorLayout, units: Units, population: tuple[Array, Array], Z: Array, index: Index, J: int
) -> tuple[tuple[Index, Array], tuple[Index, Array]]:
    """Return ZtZ and ZtW, each with the keys of its entries.

    Parameters
    ----------
    layout : ErrorLayout
    units : Units
    population : tuple of arrays (U, p + 1) and (N, p + 1)
        Means of [X y] over units, and deviations of the rows from them.
    Z : array (N, q)
    index : int array (N,)
        Group of each row.
    J : int
        Number of groups.

    Returns
    -------
    pairs : int array (E,) and array (E, q, q)
        Keys (term J + smaller group) J + larger group, and products.
    entries : int array (F,) and array (F, q, p + 1)
        Keys term J + group, and products.
    """
    assert layout.unit is not None
    unit_mean, deviation = population
    cells, cell = np.unique(layout.unit * J + index, return_inverse=True)
    its_unit, group = cells // J, cells % J
    m, n = np.bincount(cell).astype(float), units.size[its_unit].astype(float)
    total = _sums(Z, cell, len(cells))
    within, between = units.stratum[its_unit] * J, units.mean[its_unit] * J
    # Units of one row have nothing within them.
    many = np.flatnonzero(n > 1)
    level_products = [_products_by(Z, deviation, cell, len(cells))[many], _outer(total, unit_mean[its_unit])]
    level_keys = [(within + group)[many], between + group]
    from_mean = Z - (total / m[:, None])[cell]
    own = _products_by(from_mean, from_mean, cell, len(cells)) + (1 / m - 1 / n)[:, None, None] * _outer(total, total)
    first, second = _pairs_of_cells(its_unit)
    cross = _outer(total[first], total[second]) / n[first][:, None, None]
    pair_products = [own[many], _outer(total, total) / n[:, None, None], -cross, cross]
    pair_keys = [
        ((within + group) * J + group)[many],
        (between + group) * J + group,
        (within + group)[first] * J + group[second],
        (between + group)[first] * J + group[second],
    ]
    return _sum_by_key(pair_keys, pair_products), _sum_by_key(level_keys, level_products)


def _pairs_of_cells(its_unit: Index) -> tuple[Index, Index]:
    """Return every pair first < second of cells of the same unit; cells are sorted by unit, then group."""
    first, second = [], []
    step, here = 1, np.arange(len(its_unit))
    while True:
        here = here[here + step < len(its_unit)]
        here = here[its_unit[here] == its_unit[here + step]]
        if not len(here):
            break
        first.append(here)
        second.append(here + step)
        step += 1
    none = np.empty(0, dtype=np.intp)
    return np.concatenate([none, *first]), np.concatenate([none, *second])


def _outer(A: Array, B: Array) -> Array:
    return np.asarray(A[:, :, None] * B[:, None, :])


def _sums(A: Array, place: Index, n: int) -> Array:
    out = np.zeros((n, A.shape[1]))
    for c in range(A.shape[1]):
        out[:, c] = np.bincount(place, weights=A[:, c], minlength=n)
    return out


def _products_by(A: Array, B: Array, place: Index, n: int) -> Array:
    """Return the sums of a b' over the rows of each of n places."""
    out = np.empty((n, A.shape[1], B.shape[1]))
    for a in range(A.shape[1]):
        for b in range(B.shape[1]):
            out[:, a, b] = np.bincount(place, weights=A[:, a] * B[:, b], minlength=n)
    return out


def _sum_by_key(all_keys: list[Index], all_values: list[Array]) -> tuple[Index, Array]:
    values = np.concatenate(all_values)
    distinct, place = np.unique(np.concatenate(all_keys), return_inverse=True)
    flat = _sums(values.reshape(len(values), -1), place.ravel(), len(distinct))
    return distinct, flat.reshape(len(distinct), *values.shape[1:])
