"""Means of the group columns, over all rows and by data set or stratum of the errors.

Rows with weights count with them; what is said of rows with a known covariance is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.gram.basis import Gram
    from hierreg.gram.frame import Frame
    from hierreg.gram.terms import ErrorTerms

    Array = NDArray[np.float64]


_IS_CONSTANT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMeans:
    """Means of the q columns of one grouping factor.

    Attributes
    ----------
    overall : array (q,)
    by_label : array (D, q)
        By data set or stratum of the errors; NaN where they are not known.
    """

    overall: Array
    by_label: Array


def means_of_rows(design: Design, layout: ErrorLayout) -> tuple[ColumnMeans, ...]:
    """Return the means of the group columns of each factor, from the rows."""
    labels = range(len(layout.labels))
    weight = np.ones(len(layout.stratum)) if layout.se is None else layout.se**-2.0
    of_label = [layout.stratum == label for label in labels]
    return tuple(
        ColumnMeans(
            overall=_mean(factor.Z, weight),
            by_label=np.array([_mean(factor.Z[mine], weight[mine]) for mine in of_label]),
        )
        for factor in design.factors
    )


def _mean(Z: Array, weight: Array) -> Array:
    # Of differences from a first row: an offset takes no digits from them.
    return np.asarray(Z[0] + weight @ (Z - Z[0]) / weight.sum()) if len(Z) else np.full(Z.shape[1], np.nan)


def means_of_gram(own: Gram, factor: int) -> ColumnMeans:
    """Return the means of the group columns of one factor, from statistics in which no two groups are linked.

    By label they follow from cross-products with a constant, which some combination of the group columns or of the
    population columns has to be.
    """
    groups, labels = own.factors[factor], _labels(own.terms)
    D, q, K = int(labels.max()) + 1, groups.n_coef, own.terms.n_terms
    if groups.frame is None:
        return ColumnMeans(overall=np.full(q, np.nan), by_label=np.full((D, q), np.nan))
    frame, p = groups.frame, len(own.coef_names)
    sums, counts = np.zeros((K, q)), np.zeros(K)
    of_groups = _constant(frame, q)
    of_population = _constant(own.frame, p) if own.frame is not None else None
    if of_groups is not None:
        products = np.zeros((K, q, q))
        np.add.at(products, groups.pair_term, groups.ZtZ)
        sums, counts = products @ of_groups, (products @ of_groups) @ of_groups
    elif of_population is not None:
        np.add.at(sums, groups.level_term, groups.ZtW[:, :, :p] @ of_population)
        counts = (own.WtW[:, :p, :p] @ of_population) @ of_population
    is_own = labels >= 0
    total, n = np.zeros((D, q)), np.zeros(D)
    np.add.at(total, labels[is_own], sums[is_own])
    np.add.at(n, labels[is_own], counts[is_own])
    known = n > 0
    by_label = np.full((D, q), np.nan)
    by_label[known] = _outside(frame, total[known] / n[known, None])
    overall = _outside(frame, total.sum(axis=0) / n.sum()) if n.sum() > 0 else frame.mean[:q]
    return ColumnMeans(overall=overall, by_label=by_label)


def _outside(frame: Frame, means: Array) -> Array:
    """Return means (..., q) of internal columns as those of the user's."""
    q = means.shape[-1]
    return np.asarray(frame.centre[:q] + np.linalg.solve(frame.basis[:q, :q].T, means.T).T)


def _constant(frame: Frame, m: int) -> Array | None:
    """Return e (m,) with 1 = A_internal e, or None where no combination of the columns is constant."""
    if frame.constant is not None:
        unit = np.zeros(m)
        unit[frame.constant] = 1.0 / frame.value
        return np.asarray(np.linalg.solve(frame.basis[:m, :m], unit))
    if not m:
        return None
    # The projection of 1 on the columns, which is 1 where it has its length: columns of all levels of a predictor.
    total = frame.n * (frame.mean[:m] @ frame.basis[:m, :m])
    e = np.linalg.solve(frame.products[:m, :m], total)
    return np.asarray(e) if abs(e @ total / frame.n - 1.0) < _IS_CONSTANT else None


def _labels(terms: ErrorTerms) -> NDArray[np.intp]:
    """Return the data set or stratum whose rows each term has, each with itself; -1 for pairs of data sets."""
    first = terms.table[:, 1]
    label = first if terms.components is None else terms.components.stratum[first]
    return np.where(terms.each_row, label, -1)
