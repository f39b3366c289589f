"""A Gram basis with its levels and labels in another order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.design_matrices.values import Level
    from hierreg.gram.basis import Gram, GroupProducts
    from hierreg.gram.terms import ErrorTerms

    Index = NDArray[np.intp]


def with_levels(gram: Gram, levels: Sequence[Sequence[Level]]) -> Gram:
    """Return the same basis with the levels of its grouping factors in the order given."""
    if gram.own is not None:
        gram = replace(gram, own=with_levels(gram.own, levels))
    places = [_places(factor, order) for factor, order in zip(gram.factors, levels, strict=True)]
    if all(np.array_equal(place, np.arange(len(place))) for place in places):
        return gram
    factors = tuple(
        _reordered(factor, np.asarray(order), place)
        for factor, order, place in zip(gram.factors, levels, places, strict=True)
    )
    crossed = []
    for one in gram.crossed:
        row, col = places[one.first][one.row], places[one.second][one.col]
        order = np.lexsort((col, row, one.term))
        crossed.append(replace(one, term=one.term[order], row=row[order], col=col[order], ZtZ=one.ZtZ[order]))
    return replace(gram, factors=factors, crossed=tuple(crossed))


def _places(factor: GroupProducts, levels: Sequence[Level]) -> Index:
    import pandas as pd

    wanted = np.asarray(levels)
    if wanted.dtype == factor.levels.dtype and np.array_equal(wanted, factor.levels):
        return np.arange(len(wanted))
    place = pd.Index(np.asarray(levels, dtype=object)).get_indexer(pd.Index(factor.levels.astype(object)))
    if len(levels) != factor.n_levels or np.any(place < 0):
        raise ModelError(f"the levels of {factor.name!r} given are not those of the statistics.")
    return np.asarray(place, dtype=np.intp)


def _reordered(factor: GroupProducts, levels: NDArray[np.generic], place: Index) -> GroupProducts:
    r, c = place[factor.pair_row], place[factor.pair_col]
    ZtZ = np.where((r > c)[:, None, None], np.swapaxes(factor.ZtZ, 1, 2), factor.ZtZ)
    row, col = np.minimum(r, c), np.maximum(r, c)
    pairs = np.lexsort((col, row, factor.pair_term))
    level = place[factor.level_index]
    entries = np.lexsort((level, factor.level_term))
    return replace(
        factor,
        levels=levels,
        pair_term=factor.pair_term[pairs],
        pair_row=row[pairs],
        pair_col=col[pairs],
        ZtZ=ZtZ[pairs],
        level_term=factor.level_term[entries],
        level_index=level[entries],
        ZtW=factor.ZtW[entries],
        triangle=factor.triangle[entries] if len(factor.triangle) else factor.triangle,
    )


def with_labels(gram: Gram, labels: tuple[str, ...]) -> Gram:
    """Return the same basis with the data sets or strata of the errors in the order given."""
    if gram.own is not None:
        gram = replace(gram, own=with_labels(gram.own, labels))
    terms, _, place = _empty(gram.terms, labels).unite(gram.terms)
    response = gram.response and gram.response.reordered(labels)
    if terms.labels == gram.terms.labels and np.array_equal(place, np.arange(len(place))):
        return replace(gram, response=response)
    WtW = np.empty_like(gram.WtW)
    WtW[place] = gram.WtW
    left = np.argsort(place[gram.left_term], kind="stable")
    factors = []
    for f in gram.factors:
        pair_term, level_term = place[f.pair_term], place[f.level_term]
        pairs = np.lexsort((f.pair_col, f.pair_row, pair_term))
        entries = np.lexsort((f.level_index, level_term))
        factors.append(
            replace(
                f,
                pair_term=pair_term[pairs],
                pair_row=f.pair_row[pairs],
                pair_col=f.pair_col[pairs],
                ZtZ=f.ZtZ[pairs],
                level_term=level_term[entries],
                level_index=f.level_index[entries],
                ZtW=f.ZtW[entries],
                triangle=f.triangle[entries] if len(f.triangle) else f.triangle,
            )
        )
    crossed = []
    for one in gram.crossed:
        order = np.lexsort((one.col, one.row, place[one.term]))
        crossed.append(
            replace(one, term=place[one.term][order], row=one.row[order], col=one.col[order], ZtZ=one.ZtZ[order])
        )
    return replace(
        gram,
        terms=terms,
        WtW=WtW,
        left=gram.left[left],
        left_term=place[gram.left_term][left],
        factors=tuple(factors),
        crossed=tuple(crossed),
        response=response,
    )


def _empty(terms: ErrorTerms, labels: tuple[str, ...]) -> ErrorTerms:
    """Return terms like these, of no units, with the labels given."""
    components, none = terms.components, np.empty(0, dtype=np.intp)
    if components is not None:
        components = components.without_units(labels)
        labels = components.labels
    return replace(
        terms,
        labels=labels,
        patterns=np.empty((0, len(labels)), dtype=bool),
        gaps=none,
        counts=np.empty(0),
        log_det_known=0.0,
        components=components,
    )
