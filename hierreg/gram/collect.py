"""Collection of the Gram basis from the rows of a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.errors.ar1 import chain_of
from hierreg.errors.within_units import neighbours
from hierreg.exceptions import ModelError
from hierreg.gram.bare import products_of_triangles, squares_of_terms
from hierreg.gram.basis import CrossProducts, Gram, GroupProducts
from hierreg.gram.columns import pair_products
from hierreg.gram.dropping import check_rank
from hierreg.gram.frame import frame_of
from hierreg.gram.keys import compact
from hierreg.gram.known import check_known_errors, known_products, rows_are_within, whitened_rows
from hierreg.gram.labels import labelled_moments
from hierreg.gram.terms import ErrorTerms
from hierreg.gram.triangles import Left, classes_of, fewest, of_independent_rows, rotated

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.design_matrices import Design, FactorDesign
    from hierreg.errors.base import ErrorLayout
    from hierreg.errors.known_covariance import BlockCovariance
    from hierreg.gram.frame import Frame

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


# Different gaps in time; each has three terms of its own.
_MOST_GAPS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Columns of one grouping factor, internal scale, and the group of each row.

    They may be those of W, `is_population`, where one expression stands on both sides of the bar. Where they are those
    of a part, `is_bare`, products are left out that `bare.filled` makes of triangles.
    """

    factor: FactorDesign
    Z: Array
    frame: Frame
    is_population: bool
    is_bare: bool

    @property
    def index(self) -> Index:
        return self.factor.index

    @property
    def n_levels(self) -> int:
        return len(self.factor.levels)

    def products(
        self,
        pairs: tuple[Index, Index, Index],
        ZtZ: Array,
        entries: tuple[Index, Index],
        ZtW: Array,
        triangle: Array | None = None,
    ) -> GroupProducts:
        """Return the cross-products by term and pair of groups, and by term and group."""
        q, p1 = ZtW.shape[1:]
        return GroupProducts(
            name=self.factor.name,
            coef_names=self.factor.coef_names,
            levels=np.asarray(self.factor.levels),
            z_map=self.frame.map,
            frame=self.frame,
            pair_term=pairs[0],
            pair_row=pairs[1],
            pair_col=pairs[2],
            ZtZ=ZtZ,
            level_term=entries[0],
            level_index=entries[1],
            ZtW=ZtW,
            triangle=np.zeros((0, q, q + p1)) if triangle is None else triangle,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Products:
    """What was collected; the shapes are those of `Gram`. Without triangles nothing is left."""

    WtW: Array
    left: Left | None = None
    factors: tuple[GroupProducts, ...] = ()
    crossed: tuple[CrossProducts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _RowPairs:
    """Pairs of rows and the term that each pair belongs to, three int arrays (m,)."""

    first: Index
    second: Index
    term: Index


def collect(design: Design, layout: ErrorLayout) -> Gram:
    """Return the Gram basis of a table.

    Parameters
    ----------
    design : Design
        Response, population columns and group columns of N rows.
    layout : ErrorLayout
        The error structure over the same rows.

    Returns
    -------
    Gram
        The cross-products, one pass over the rows.

    Raises
    ------
    DataError
        If columns are collinear.
    ModelError
        If errors link groups of several factors (`check_units_in_groups`).
    """
    gram = collect_part(design, layout)
    check_rank(gram)
    check_known_errors(gram)
    return gram


def collect_part(design: Design, layout: ErrorLayout, *, is_bare: bool = False) -> Gram:
    """Return the Gram basis of rows that need not have full rank by themselves.

    Products that `bare.filled` makes of triangles are left out where it `is_bare`.
    """
    W, frame = frame_of(design.X, design.y)
    p = frame.n_predictors
    columns = []
    for factor in design.factors:
        # One expression on both sides of the bar is one array, and worth one pass.
        is_population = factor.Z is design.X
        Z, z_frame = (W[:, :p], frame.predictors) if is_population else frame_of(factor.Z)
        columns.append(_Columns(factor=factor, Z=Z, frame=z_frame, is_population=is_population, is_bare=is_bare))
    if len(columns) > 1:
        check_units_in_groups(design, layout)
    terms, products = _PRODUCTS[layout.kind](layout, W, columns)
    return Gram(
        coef_names=design.coef_names,
        factors=products.factors,
        crossed=products.crossed,
        terms=terms,
        n=len(W),
        WtW=products.WtW,
        left=np.empty((0, p + 1)) if products.left is None else products.left.rows,
        left_term=np.empty(0, dtype=np.intp) if products.left is None else products.left.term,
        x_map=frame.map[:p, :p],
        y_shift=-frame.map[:p, p],
        frame=frame,
        response=labelled_moments(design.y, layout, frame),
    )


def own_rows_layout(design: Design, layout: ErrorLayout, factor: int = 0) -> ErrorLayout:
    """Return the error structure in which the rows of different groups of one factor are independent."""
    index = design.factors[factor].index
    if layout.V is not None:
        return replace(layout, V=layout.V.within(index))
    assert layout.unit is not None
    unit = np.unique(layout.unit * len(design.factors[factor].levels) + index, return_inverse=True)[1]
    return replace(layout, unit=unit.astype(np.intp))


def check_units_in_groups(design: Design, layout: ErrorLayout) -> None:
    """Raise where errors correlate rows of different groups, which several grouping factors do not allow.

    Raises
    ------
    ModelError
        If a unit has rows in two groups of a factor.
    """
    names = ", ".join(repr(factor.name) for factor in design.factors)
    if layout.unit is None:
        return
    for factor in design.factors:
        first = np.zeros(int(layout.unit.max()) + 1, dtype=np.intp)
        first[layout.unit] = factor.index
        if np.any(first[layout.unit] != factor.index):
            raise ModelError(
                f"errors={layout.spec} with several grouping factors ({names}): each unit must lie within one group "
                f"of every factor, but units have rows in more than one group of {factor.name!r}. Use grouping "
                "factors that contain the units, one grouping factor alone, or errors=hr.by(column)."
            )


def _independent(layout: ErrorLayout, W: Array, columns: list[_Columns]) -> tuple[ErrorTerms, _Products]:
    D, log_det = len(layout.labels), 0.0
    if layout.se is not None:
        weight = 1.0 / layout.se[:, None]
        W, columns = W * weight, [replace(one, Z=one.Z * weight) for one in columns]
        log_det = 2.0 * float(np.sum(np.log(layout.se)))
    terms = _terms(layout, np.eye(D, dtype=bool), np.bincount(layout.stratum, minlength=D), log_det)
    return terms, _of_rows(W, columns, D, layout.stratum)


def _terms(layout: ErrorLayout, patterns: NDArray[np.bool_], counts: Index, log_det: float) -> ErrorTerms:
    return ErrorTerms(
        kind=layout.kind,
        labels=layout.labels,
        dim=layout.dim,
        n_sd=layout.n_sd,
        has_corr=layout.has_corr,
        patterns=patterns,
        gaps=np.zeros(len(patterns), dtype=np.intp),
        counts=counts.astype(float),
        log_det_known=log_det,
    )


def _correlated(layout: ErrorLayout, W: Array, columns: list[_Columns]) -> tuple[ErrorTerms, _Products]:
    terms, pairs = _pair_rows_of_units(layout)
    return terms, _with_wide_triangles(W, columns, terms, pairs)


def _in_time(layout: ErrorLayout, W: Array, columns: list[_Columns]) -> tuple[ErrorTerms, _Products]:
    terms, pairs = _pair_neighbours(layout)
    return terms, _with_wide_triangles(W, columns, terms, pairs)


def _pair_rows_of_units(layout: ErrorLayout) -> tuple[ErrorTerms, _RowPairs]:
    assert layout.unit is not None
    row_of = np.full((int(layout.unit.max()) + 1, len(layout.labels)), -1, dtype=np.intp)
    row_of[layout.unit, layout.stratum] = np.arange(len(layout.unit))
    patterns, pattern_of, counts = np.unique(row_of >= 0, axis=0, return_inverse=True, return_counts=True)
    terms = _terms(layout, patterns, counts, 0.0)
    units_of = [np.flatnonzero(pattern_of == m) for m in range(len(patterns))]
    table = terms.table.tolist()
    return terms, _RowPairs(
        first=np.concatenate([row_of[units_of[m], d] for m, d, _ in table]),
        second=np.concatenate([row_of[units_of[m], e] for m, _, e in table]),
        term=np.repeat(np.arange(len(table)), [len(units_of[m]) for m, _, _ in table]),
    )


def _pair_neighbours(layout: ErrorLayout) -> tuple[ErrorTerms, _RowPairs]:
    """Return the terms of AR(1) errors: those of units' first rows, and three for each gap between neighbours.

    Raises
    ------
    ModelError
        If there are too many different gaps.
    """
    chain, both = chain_of(layout), neighbours(layout.labels[0])
    gaps, gap_of, counts = np.unique(chain.gap, return_inverse=True, return_counts=True)
    if len(gaps) > _MOST_GAPS:
        raise ModelError(
            f"errors={layout.spec}: neighbouring times of a unit have {len(gaps)} different gaps; at most {_MOST_GAPS} "
            "are possible. Count time in coarser steps."
        )
    patterns = np.ones((len(gaps) + 1, 2), dtype=bool)
    patterns[0, 1] = False
    terms = replace(
        _terms(layout, patterns, np.concatenate([[len(chain.first)], counts]), 0.0),
        labels=both.labels,
        gaps=np.concatenate([[0], gaps]).astype(np.intp),
        components=both,
    )
    first, second, term = [chain.first], [chain.first], [np.zeros(len(chain.first), dtype=np.intp)]
    pairs = [np.flatnonzero(gap_of == m) for m in range(len(gaps))]
    rows = (chain.before, chain.now)
    for k, (m, d, e) in enumerate(terms.table.tolist()):
        if m:
            mine = pairs[m - 1]
            first.append(rows[d][mine])
            second.append(rows[e][mine])
            term.append(np.full(len(mine), k))
    return terms, _RowPairs(first=np.concatenate(first), second=np.concatenate(second), term=np.concatenate(term))


def _of_rows(W: Array, columns: list[_Columns], K: int, term: Index) -> _Products:
    """Return the products of independent rows, by their terms (N,)."""
    if len(columns) == 1:
        return _triangles(W, columns[0], K, term)
    if not columns:
        return _without_groups(W, K, term)
    every = np.arange(len(W))
    return _accumulate(W, columns, K, _RowPairs(first=every, second=every, term=term))


def _accumulate(W: Array, columns: list[_Columns], K: int, pairs: _RowPairs) -> _Products:
    other = pairs.first != pairs.second
    WtW = pair_products(W, W, (pairs.first, pairs.second), pairs.term, K)
    turned = pair_products(W, W, (pairs.second[other], pairs.first[other]), pairs.term[other], K)
    return _Products(
        WtW=WtW + turned,
        factors=tuple(_group_products(W, one, K, pairs) for one in columns),
        crossed=tuple(_cross_products(columns, (i, j), K, pairs) for j in range(len(columns)) for i in range(j)),
    )


def _without_groups(W: Array, K: int, term: Index) -> _Products:
    """Return the products of independent rows without grouping factors: all of them is left, by term."""
    left = of_independent_rows(np.empty((len(W), 0)), W, term, np.arange(K))[1]
    return _Products(WtW=squares_of_terms(left.rows, left.term, K), left=left)


def _with_wide_triangles(W: Array, columns: list[_Columns], terms: ErrorTerms, pairs: _RowPairs) -> _Products:
    """Return the products of pairs of rows; of one grouping factor also triangles of its rows by unit.

    Without grouping factors all rows are left.
    """
    products, table = _accumulate(W, columns, terms.n_terms, pairs), terms.table
    own = np.flatnonzero(pairs.first == pairs.second)
    rows, term = pairs.first[own], pairs.term[own]
    if not columns:
        return replace(products, left=fewest([Left(rows=W[rows], term=term)], table, W.shape[1]))
    if len(columns) > 1:
        return products
    (one,), (groups,) = columns, products.factors
    classes = classes_of(groups, table)
    if classes is None:
        return products
    J = one.n_levels
    place = np.searchsorted(groups.level_term * J + groups.level_index, term * J + one.index[rows])
    parts = np.concatenate([one.Z[rows], W[rows]], axis=1)[:, None, :]
    triangle, left = rotated(groups, classes, table, (place, parts))
    return replace(products, left=left, factors=(replace(groups, triangle=triangle),))


def _triangles(W: Array, columns: _Columns, K: int, term: Index) -> _Products:
    """Return the products of independent rows of one grouping factor, through triangles of each group's own rows."""
    J, q = columns.n_levels, columns.Z.shape[1]
    keys, place = compact(columns.index if K == 1 else term * J + columns.index, K * J)
    if columns.is_bare and len(W) <= q * len(keys):
        # as many numbers as the triangles have, or fewer
        rows = np.concatenate([columns.Z, W], axis=1)[:, None, :]
        return _bare(columns, (term, columns.index), rows, None)
    term, level = keys // J, keys % J
    triangle, left = of_independent_rows(None if columns.is_population else columns.Z, W, place, term)
    if columns.is_bare:
        return _bare(columns, (term, level), triangle, left)
    ZtZ, ZtW, WtW = products_of_triangles(triangle, q, term, left, K)
    factor = columns.products((term, level, level), ZtZ, (term, level), ZtW, triangle)
    return _Products(WtW=WtW, left=left, factors=(factor,))


def _bare(columns: _Columns, entries: tuple[Index, Index], triangle: Array, left: Left | None) -> _Products:
    """Return triangles without products."""
    none, q = np.empty(0, dtype=np.intp), columns.Z.shape[1]
    p1 = triangle.shape[2] - q
    factor = columns.products((none, none, none), np.empty((0, q, q)), entries, np.empty((0, q, p1)), triangle)
    return _Products(WtW=np.empty((0, p1, p1)), left=left, factors=(factor,))


def _group_products(W: Array, columns: _Columns, K: int, pairs: _RowPairs) -> GroupProducts:
    first, second, term = pairs.first, pairs.second, pairs.term
    J, index, Z, m = columns.n_levels, columns.index, columns.Z, len(pairs.first)
    g, h = index[first], index[second]
    pair_keys, pair_of = compact((term * J + np.minimum(g, h)) * J + np.maximum(g, h), K * J * J)
    level_keys, level_of = compact(np.concatenate([term * J + g, term * J + h]), K * J)
    # The smaller group comes first; rows r != s of one group add the transpose too.
    ordered = np.where(g > h, second, first), np.where(g > h, first, second)
    other, within = first != second, (first != second) & (g == h)
    ZtZ = pair_products(Z, Z, ordered, pair_of, len(pair_keys))
    ZtZ += pair_products(Z, Z, (second[within], first[within]), pair_of[within], len(pair_keys))
    ZtW = pair_products(Z, W, (first, second), level_of[:m], len(level_keys))
    ZtW += pair_products(Z, W, (second[other], first[other]), level_of[m:][other], len(level_keys))
    return columns.products(_pair_of_key(pair_keys, J, J), ZtZ, (level_keys // J, level_keys % J), ZtW)


def _cross_products(columns: list[_Columns], which: tuple[int, int], K: int, pairs: _RowPairs) -> CrossProducts:
    """Return the products of two factors; rows of a pair are in the same groups (`check_units_in_groups`)."""
    a, b = (columns[i] for i in which)
    keys = (pairs.term * a.n_levels + a.index[pairs.first]) * b.n_levels + b.index[pairs.first]
    keys, place = compact(keys, K * a.n_levels * b.n_levels)
    ZtZ, other = pair_products(a.Z, b.Z, (pairs.first, pairs.second), place, len(keys)), pairs.first != pairs.second
    ZtZ += pair_products(a.Z, b.Z, (pairs.second[other], pairs.first[other]), place[other], len(keys))
    term, row, col = _pair_of_key(keys, a.n_levels, b.n_levels)
    return CrossProducts(first=which[0], second=which[1], term=term, row=row, col=col, ZtZ=ZtZ)


def _pair_of_key(keys: Index, n_rows: int, n_cols: int) -> tuple[Index, Index, Index]:
    """Return term, row and column of keys (term n_rows + row) n_cols + column."""
    return keys // (n_rows * n_cols), keys // n_cols % n_rows, keys % n_cols


def are_within(inner: Index, outer: Index) -> bool:
    """Return whether the rows (N,) of each inner set, a unit say, are all in one outer set, a group say (N,)."""
    first = np.zeros(int(inner.max(initial=-1)) + 1, dtype=np.intp)
    first[inner] = outer
    return bool(np.array_equal(first[inner], outer))


def _exchangeable(layout: ErrorLayout, W: Array, columns: list[_Columns]) -> tuple[ErrorTerms, _Products]:
    from hierreg.gram import exchangeable

    terms, units = exchangeable.component_terms(layout)
    K = terms.n_terms
    assert layout.unit is not None
    if len(columns) != 1 or are_within(layout.unit, columns[0].index):
        rows = exchangeable.component_rows(layout, units, [W, *(one.Z for one in columns)])
        turned = [
            replace(one, Z=Z, factor=replace(one.factor, index=one.index[rows.row]))
            for one, Z in zip(columns, rows.arrays[1:], strict=True)
        ]
        return terms, _of_rows(rows.arrays[0], turned, K, rows.term)
    unit_mean, deviation, WtW = exchangeable.population_products(layout, units, W, K)
    (one,) = columns
    J = one.n_levels
    (pairs, ZtZ), (entries, ZtW) = exchangeable.component_products(
        layout, units, (unit_mean, deviation), one.Z, one.index, J
    )
    products = one.products(_pair_of_key(pairs, J, J), ZtZ, (entries // J, entries % J), ZtW)
    return terms, _Products(WtW=WtW, factors=(products,))


def _whitened(
    V: BlockCovariance, W: Array, columns: list[_Columns], layout: ErrorLayout
) -> tuple[ErrorTerms, _Products]:
    """Return the products where V links no groups: those of rows whose errors are independent."""
    (W, *Z), log_det = whitened_rows(V, (W, *(one.Z for one in columns)))
    terms = _terms(layout, np.ones((1, 1), dtype=bool), np.array([len(W)]), log_det)
    columns = [replace(one, Z=own) for one, own in zip(columns, Z, strict=True)]
    return terms, _of_rows(W, columns, 1, np.zeros(len(W), dtype=np.intp))


def _known_covariance(layout: ErrorLayout, W: Array, columns: list[_Columns]) -> tuple[ErrorTerms, _Products]:
    assert layout.V is not None
    if not columns or (len(columns) == 1 and rows_are_within(layout.V, columns[0].index)):
        return _whitened(layout.V, W, columns, layout)
    J = [one.n_levels for one in columns]
    found = known_products(layout.V, W, [one.Z for one in columns], [one.index for one in columns], J)
    factors = []
    for one, (pairs, ZtZ), (entries, ZtW) in zip(columns, found.pairs, found.entries, strict=True):
        own = _pair_of_key(pairs, one.n_levels, one.n_levels)
        factors.append(one.products(own, ZtZ, (np.zeros_like(entries), entries), ZtW))
    crossed = []
    places = ((i, j) for j in range(len(columns)) for i in range(j))
    for (i, j), (keys, ZtZ) in zip(places, found.crossed, strict=True):
        term, row, col = _pair_of_key(keys, J[i], J[j])
        crossed.append(CrossProducts(first=i, second=j, term=term, row=row, col=col, ZtZ=ZtZ))
    terms = _terms(layout, np.ones((1, 1), dtype=bool), np.array([len(W)]), found.log_det)
    WtW = found.WtW[None]
    return terms, _Products(WtW=WtW, factors=tuple(factors), crossed=tuple(crossed))


# Terms and cross-products by error structure.
_PRODUCTS: dict[str, Callable[[ErrorLayout, Array, list[_Columns]], tuple[ErrorTerms, _Products]]] = {
    "independent": _independent,
    "by": _independent,
    "correlated": _correlated,
    "exchangeable": _exchangeable,
    "ar1": _in_time,
    "known_se": _independent,
    "known_cov": _known_covariance,
}
