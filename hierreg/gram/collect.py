"""Collection of the Gram basis from the rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.gram.basis import Gram
from hierreg.gram.scaling import orthogonalise, take_off_least_squares
from hierreg.gram.terms import ErrorTerms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design import Design
    from hierreg.error_structure import ErrorLayout

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Products:
    """Cross-products by term; the shapes are those of `Gram`."""

    pair_term: Index
    pair_row: Index
    pair_col: Index
    ZtZ: Array
    level_term: Index
    level_index: Index
    ZtW: Array
    WtW: Array


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
    """
    factor = design.factors[0] if design.factors else None
    X, x_map = orthogonalise(design.X)
    y, y_shift = take_off_least_squares(design.y, design.X, X, x_map)
    W = np.column_stack([X, y])
    if factor is None:
        Z, z_map = np.empty((len(y), 0)), np.empty((0, 0))
        index, levels = np.zeros(len(y), dtype=np.intp), np.empty(0, dtype=object)
    else:
        # One expression on both sides of the bar is one array, and worth one pass.
        Z, z_map = (X, x_map) if factor.Z is design.X else orthogonalise(factor.Z)
        index, levels = factor.index, np.asarray(factor.levels)
    terms, products = _products(layout, W, Z, index, len(levels))
    return Gram(
        coef_names=design.coef_names,
        factor=factor.name if factor else None,
        factor_coef_names=factor.coef_names if factor else (),
        levels=levels,
        terms=terms,
        n=len(y),
        pair_term=products.pair_term,
        pair_row=products.pair_row,
        pair_col=products.pair_col,
        ZtZ=products.ZtZ,
        level_term=products.level_term,
        level_index=products.level_index,
        ZtW=products.ZtW,
        WtW=products.WtW,
        x_map=x_map,
        z_map=z_map,
        y_shift=y_shift,
    )


def _products(layout: ErrorLayout, W: Array, Z: Array, index: Index, J: int) -> tuple[ErrorTerms, _Products]:
    D = len(layout.labels)
    if layout.kind == "known_cov":
        return _known_covariance(layout, W, Z, index, J)
    if layout.kind == "exchangeable":
        return _exchangeable(layout, W, Z, index, J)
    if layout.kind == "correlated":
        terms, pairs = _pair_rows_of_units(layout)
        return terms, _accumulate(W, Z, index, J, terms.n_terms, pairs)
    log_det = 0.0
    if layout.se is not None:
        W, Z = W / layout.se[:, None], Z / layout.se[:, None]
        log_det = 2.0 * float(np.sum(np.log(layout.se)))
    terms = _terms(layout, np.eye(D, dtype=bool), np.bincount(layout.stratum, minlength=D), log_det)
    rows = np.arange(len(W))
    pairs = _RowPairs(first=rows, second=rows, term=layout.stratum)
    return terms, _accumulate(W, Z, index, J, terms.n_terms, pairs)


def _terms(layout: ErrorLayout, patterns: NDArray[np.bool_], counts: Index, log_det: float) -> ErrorTerms:
    return ErrorTerms(
        kind=layout.kind,
        labels=layout.labels,
        dim=layout.dim,
        n_sd=layout.n_sd,
        has_corr=layout.has_corr,
        patterns=patterns,
        counts=counts.astype(float),
        log_det_known=log_det,
    )


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


def _accumulate(W: Array, Z: Array, index: Index, J: int, K: int, pairs: _RowPairs) -> _Products:
    from hierreg.gram import kernels

    first, second, term = pairs.first, pairs.second, pairs.term
    p1, q, m = W.shape[1], Z.shape[1], len(first)
    WtW = np.zeros((K, p1, p1))
    kernels.accumulate_products(W, first, second, term, WtW)
    if J == 0:
        return _no_groups(WtW)
    g, h = index[first], index[second]
    pair_keys, pair_of = _compact((term * J + np.minimum(g, h)) * J + np.maximum(g, h), K * J * J)
    level_keys, level_of = _compact(np.concatenate([term * J + g, term * J + h]), K * J)
    ZtZ = np.zeros((len(pair_keys), q, q))
    kernels.accumulate_pair_products(Z, index, first, second, pair_of, ZtZ)
    ZtW = np.zeros((len(level_keys), q, p1))
    kernels.accumulate_level_products(Z, W, first, second, level_of[:m], level_of[m:], ZtW)
    return _Products(
        pair_term=pair_keys // (J * J),
        pair_row=pair_keys // J % J,
        pair_col=pair_keys % J,
        ZtZ=ZtZ,
        level_term=level_keys // J,
        level_index=level_keys % J,
        ZtW=ZtW,
        WtW=WtW,
    )


def _no_groups(WtW: Array) -> _Products:
    none = np.empty(0, dtype=np.intp)
    return _Products(
        pair_term=none,
        pair_row=none,
        pair_col=none,
        ZtZ=np.empty((0, 0, 0)),
        level_term=none,
        level_index=none,
        ZtW=np.empty((0, 0, WtW.shape[1])),
        WtW=WtW,
    )


def _compact(keys: Index, bound: int) -> tuple[Index, Index]:
    """Return the sorted distinct keys and, for each key, its place among them."""
    if bound > 4 * len(keys) + 1024:
        distinct, place = np.unique(keys, return_inverse=True)
        return distinct, place
    seen = np.zeros(bound, dtype=bool)
    seen[keys] = True
    distinct = np.flatnonzero(seen)
    lookup = np.empty(bound, dtype=np.intp)
    lookup[distinct] = np.arange(len(distinct))
    return distinct, lookup[keys]


def _exchangeable(layout: ErrorLayout, W: Array, Z: Array, index: Index, J: int) -> tuple[ErrorTerms, _Products]:
    from hierreg.gram.exchangeable import component_products, component_terms, population_products

    terms, units = component_terms(layout)
    unit_mean, deviation, WtW = population_products(layout, units, W, terms.n_terms)
    if J == 0:
        return terms, _no_groups(WtW)
    (pairs, ZtZ), (entries, ZtW) = component_products(layout, units, (unit_mean, deviation), Z, index, J)
    return terms, _Products(
        pair_term=pairs // (J * J),
        pair_row=pairs // J % J,
        pair_col=pairs % J,
        ZtZ=ZtZ,
        level_term=entries // J,
        level_index=entries % J,
        ZtW=ZtW,
        WtW=WtW,
    )


def _known_covariance(layout: ErrorLayout, W: Array, Z: Array, index: Index, J: int) -> tuple[ErrorTerms, _Products]:
    """Multiply by V^-1 through its Cholesky factor: with L L' = V, Z'V^-1 Z = (L^-1 Z)'(L^-1 Z)."""
    from scipy.linalg import cholesky, solve_triangular

    assert layout.V is not None
    L = cholesky(layout.V, lower=True)
    log_det = 2.0 * float(np.sum(np.log(np.diagonal(L))))
    n, q = Z.shape
    p1 = W.shape[1]
    terms = _terms(layout, np.ones((1, 1), dtype=bool), np.array([n]), log_det)
    white_W = solve_triangular(L, W, lower=True)
    WtW = (white_W.T @ white_W)[None]
    if J == 0:
        return terms, _no_groups(WtW)
    spread = np.zeros((n, J, q))
    spread[np.arange(n), index] = Z
    white_Z = solve_triangular(L, spread.reshape(n, J * q), lower=True)
    ZtZ = (white_Z.T @ white_Z).reshape(J, q, J, q).transpose(0, 2, 1, 3)
    ZtW = (white_Z.T @ white_W).reshape(J, q, p1)
    # A V that is block diagonal over groups has exact zeros here, and its groups stay separate.
    linked = np.any(ZtZ != 0, axis=(2, 3)) | np.eye(J, dtype=bool)
    row, col = np.nonzero(np.triu(linked))
    none = np.zeros(len(row), dtype=np.intp)
    return terms, _Products(
        pair_term=none,
        pair_row=row,
        pair_col=col,
        ZtZ=np.ascontiguousarray(ZtZ[row, col]),
        level_term=np.zeros(J, dtype=np.intp),
        level_index=np.arange(J),
        ZtW=ZtW,
        WtW=WtW,
    )
