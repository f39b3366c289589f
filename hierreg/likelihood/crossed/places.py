"""Where each cross-product of a Gram basis goes in the workspace of several grouping factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.likelihood.crossed.plan import places_in_panels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import CrossProducts, Gram, GroupProducts
    from hierreg.likelihood.crossed.plan import Plan

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Entries that are added to the workspace: workspace[place] += omega[term] * value.

    Attributes
    ----------
    place, term : int arrays (E,)
    value : array (E,)
    weight : array (E,)
        How often the entry stands in the symmetric matrix: one on its diagonal blocks, two elsewhere.
    """

    place: Index
    term: Index
    value: Array
    weight: Array

    @property
    def arrays(self) -> tuple[Index, Index, Array, Array]:
        """The arrays in the order of `record.SourcesRecord`."""
        return self.place, self.term, self.value, self.weight


def sources_of(gram: Gram, plan: Plan) -> Sources:
    """Return all cross-products of a Gram basis with their places in the workspace."""
    parts = [_population(gram, plan)]
    for f, factor in enumerate(gram.factors):
        parts += _own(factor, f, plan) if f in plan.staged else _own_in_tail(factor, f, plan)
        if factor.has_links:
            parts.append(_linked(factor, f, plan))
    for crossed in gram.crossed:
        parts.append(_crossed(gram, crossed, plan))
    place, term, value, weight = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Sources(place=place, term=term, value=value, weight=weight)


_Part = tuple["Index", "Index", "Array", "Array"]


def _part(place: Index, term: Index, value: Array, weight: Array | float) -> _Part:
    """Return entries flat; term (n,) belongs to place and value (n, rows, cols)."""
    n = place[0].size if len(place) else 0
    return place.ravel(), np.repeat(term, n), value.ravel(), np.broadcast_to(weight, place.shape).ravel().copy()


def _population(gram: Gram, plan: Plan) -> _Part:
    p1 = gram.WtW.shape[1]
    row, col = np.triu_indices(p1)
    place = plan.tail_at + (plan.n_tail_b + row) * plan.n_tail + plan.n_tail_b + col
    value = gram.WtW[:, row, col]
    return _part(np.broadcast_to(place, value.shape), np.arange(len(value)), value, np.where(row == col, 1.0, 2.0))


def _own(factor: GroupProducts, f: int, plan: Plan) -> list[_Part]:
    """Return diagonal blocks and products with [X y] of a staged factor."""
    q, p1 = factor.ZtW.shape[1:]
    alone = factor.pair_row == factor.pair_col
    diagonal = plan.diagonal_places(f, factor.pair_row[alone], q)
    panel = plan.panel_rows(f, factor.level_index, q)[1] - p1 + np.arange(p1)
    return [
        _part(diagonal, factor.pair_term[alone], factor.ZtZ[alone], 1.0),
        _part(panel, factor.level_term, factor.ZtW, 2.0),
    ]


def _linked(factor: GroupProducts, f: int, plan: Plan) -> _Part:
    """Return the products of two levels of one factor, whose errors are correlated."""
    two = factor.pair_row != factor.pair_col
    row, col, grid = factor.pair_row[two], factor.pair_col[two], np.arange(factor.n_coef)
    q, column = len(grid), plan.first_column[f] + col * len(grid)
    if f in plan.staged:
        at = places_in_panels(plan.column_at, plan.column, plan.first_node[f] + row, column)
        place = plan.panel_rows(f, row, q)[0] + at[:, None, None] + grid
    else:
        r, c = plan.first_column[f] + row * q - plan.n_node_columns, column - plan.n_node_columns
        place = plan.tail_at + (r[:, None, None] + grid[:, None]) * plan.n_tail + c[:, None, None] + grid
    return _part(place, factor.pair_term[two], factor.ZtZ[two], 2.0)


def _own_in_tail(factor: GroupProducts, f: int, plan: Plan) -> list[_Part]:
    q, p1 = factor.ZtW.shape[1:]
    D = plan.n_tail
    row, col = np.triu_indices(q)
    first = plan.first_column[f] - plan.n_node_columns
    alone = factor.pair_row == factor.pair_col
    start = (first + factor.pair_row[alone] * q)[:, None]
    diagonal = plan.tail_at + (start + row) * D + start + col
    start = (first + factor.level_index * q)[:, None, None]
    beside = plan.tail_at + (start + np.arange(q)[:, None]) * D + plan.n_tail_b + np.arange(p1)
    weight = np.where(row == col, 1.0, 2.0)
    return [
        _part(diagonal, factor.pair_term[alone], factor.ZtZ[alone][:, row, col], weight),
        _part(beside, factor.level_term, factor.ZtW, 2.0),
    ]


def _crossed(gram: Gram, crossed: CrossProducts, plan: Plan) -> _Part:
    """Return the products of two factors, in the panel of the one that is eliminated first."""
    f, g, row, col, ZtZ = crossed.first, crossed.second, crossed.row, crossed.col, crossed.ZtZ
    order = {factor: i for i, factor in enumerate((*plan.staged, *plan.tail))}
    if order[g] < order[f]:
        f, g, row, col, ZtZ = g, f, col, row, np.swapaxes(ZtZ, 1, 2)
    qf, qg = (np.arange(gram.factors[i].n_coef) for i in (f, g))
    column = plan.first_column[g] + col * len(qg)
    if f in plan.tail:
        r, c = (first - plan.n_node_columns for first in (plan.first_column[f] + row * len(qf), column))
        place = plan.tail_at + (r[:, None, None] + qf[:, None]) * plan.n_tail + c[:, None, None] + qg
        return _part(place, crossed.term, ZtZ, 2.0)
    at = places_in_panels(plan.column_at, plan.column, plan.first_node[f] + row, column)
    place = plan.panel_rows(f, row, len(qf))[0] + at[:, None, None] + qg
    return _part(place, crossed.term, ZtZ, 2.0)
