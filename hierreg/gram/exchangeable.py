"""Cross-products of exchangeable errors, by component: within units, and of the means of units.

With the mean of a unit's rows taken off, the products within units are sums of squares, so that nothing is lost to
cancellation where the correlation is close to one. A *cell* is what a unit and a group have in common: m rows, of
the unit's n. With deviations from the cell's mean, s the sum of z over the cell, and t over another cell of the unit,

    Z'(I - J / n) Z  =  sum of deviations squared + (1 / m - 1 / n) s s'     for the group of the cell
                        - s t' / n                                           between the groups of two cells
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.compound_symmetry import components_of
from hierreg.gram.terms import ErrorTerms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.error_structure import ErrorLayout
    from hierreg.compound_symmetry import Units

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
        counts=counts,
        log_det_known=0.0,
        components=components,
    )
    return terms, units


def component_products(  # noqa: PLR0913, PLR0917  # the arrays of one table
    layout: ErrorLayout, units: Units, W: Array, Z: Array, index: Index, J: int, K: int
) -> tuple[Array, dict[str, NDArray[np.generic]]]:
    """Return WtW (K, p + 1, p + 1), and ZtZ and ZtW with their terms and levels, named as in `Gram`.

    Parameters
    ----------
    layout : ErrorLayout
    units : Units
    W : array (N, p + 1)
    Z : array (N, q)
    index : int array (N,)
        Group of each row.
    J : int
        Number of groups; zero has no ZtZ and ZtW.
    K : int
        Number of terms.
    """
    assert layout.unit is not None
    unit, size = layout.unit, np.maximum(units.size, 1)
    root = np.sqrt(size)[:, None]
    mean = _sums(W, unit, len(size)) / size[:, None]
    deviation = W - mean[unit]
    # A unit of one row has no deviations, not even rounding.
    deviation[size[unit] == 1] = 0.0
    WtW = np.zeros((K, W.shape[1], W.shape[1]))
    for k in range(len(layout.labels)):
        mine = deviation[layout.stratum == k]
        WtW[k] = mine.T @ mine
    for k in range(len(layout.labels), K):
        mine = (mean * root)[units.mean == k]
        WtW[k] = mine.T @ mine
    if J == 0:
        return WtW, {}
    cells, cell = np.unique(unit * J + index, return_inverse=True)
    its_unit, group = cells // J, cells % J
    m, n = np.bincount(cell).astype(float), size[its_unit].astype(float)
    total = _sums(Z, cell, len(cells))
    within, between = units.stratum[its_unit], units.mean[its_unit]
    # Units of one row have nothing within them.
    many = np.flatnonzero(n > 1)
    level_products = np.concatenate([_products_by(Z, deviation, cell, len(cells))[many], _outer(total, mean[its_unit])])
    level_key = np.concatenate([(within * J + group)[many], between * J + group])
    from_mean = Z - (total / m[:, None])[cell]
    own = _products_by(from_mean, from_mean, cell, len(cells)) + (1 / m - 1 / n)[:, None, None] * _outer(total, total)
    first, second = _pairs_of_cells(its_unit)
    cross = _outer(total[first], total[second]) / n[first][:, None, None]
    pair_products = np.concatenate([own[many], _outer(total, total) / n[:, None, None], -cross, cross])
    own_key, cross_key = group * J + group, group[first] * J + group[second]
    pair_key = np.concatenate(
        [
            (within * J * J + own_key)[many],
            between * J * J + own_key,
            within[first] * J * J + cross_key,
            between[first] * J * J + cross_key,
        ]
    )
    pairs, ZtZ = _sum_by_key(pair_key, pair_products)
    levels, ZtW = _sum_by_key(level_key, level_products)
    return WtW, {
        "pair_term": pairs // (J * J),
        "pair_row": pairs // J % J,
        "pair_col": pairs % J,
        "ZtZ": ZtZ,
        "level_term": levels // J,
        "level_index": levels % J,
        "ZtW": ZtW,
    }


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


def _sum_by_key(keys: Index, values: Array) -> tuple[Index, Array]:
    distinct, place = np.unique(keys, return_inverse=True)
    flat = _sums(values.reshape(len(values), -1), place.ravel(), len(distinct))
    return distinct, flat.reshape(len(distinct), *values.shape[1:])
