"""The order in which the coefficients of several grouping factors are eliminated, and where everything is stored.

The precision of all coefficients is a sparse matrix of small blocks, one row for each level of each factor. *Staged*
factors are eliminated level by level, the one with most levels first: no two levels of a staged factor are joined by
fill-in, so that its diagonal stays a diagonal of small blocks. That holds for the first factor and for every factor
that an earlier one is nested in. What is left, the *tail*, is one dense matrix: the columns of the other factors, then
those of X, then y.

Errors may link levels of one factor (a known covariance in blocks). Levels of a staged factor that are linked, directly
or through others, are a *clique*: each meets all later ones of its clique, and all of a clique meet the same levels of
other factors. A factor with a large clique is part of the tail.

All numbers live in one array, the *workspace*: the diagonal block (q, q) of each staged level, its *panel* (q, w) of
cross-products with the later levels that it meets and with X and y, the tail (D, D), upper triangle, and once more as
many numbers as panels have, for what elimination makes of them.

References
----------
Davis, T. A. (2006). Direct Methods for Sparse Linear Systems. SIAM, chapter 4.
Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects models using lme4. Journal of
Statistical Software 67(1), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram, GroupProducts

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Columns of the tail: each of three or four dense matrices of this size takes 3.2 GB.
_LARGEST_TAIL = 20_000
# Columns from which one evaluation takes all threads, those of BLAS: it does not wait, and there is room for one.
_ALL_THREADS = 3_000
# Columns of a clique of a staged factor; its maps take the cube.
_LARGEST_CLIQUE = 64
# Products of levels beside those of BLAS; and those of ten milliseconds.
_SLOWER, _COSTLY = 60.0, 4e8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Layout of the workspace.

    Attributes
    ----------
    staged, tail : tuple of int
        Places of factors in `Gram.factors`: those eliminated level by level, in that order, and those in the tail.
    node_start : int array (n_nodes,)
        First column of the level's factor in Lambda. Levels of staged factors are *nodes*, in order of elimination.
    node_q : int array (n_nodes,)
    diag_at, panel_at : int arrays (n_nodes,)
        Where diagonal block and panel begin in the workspace.
    first_node : int array (n_factors,)
        Node of the first level of each factor; -1 for the tail.
    column_at : int array (n_nodes + 1,)
        Entries column_at[i] to column_at[i + 1] of ``column`` are the columns of panel i.
    column : int array
        Columns of panels: first those of later nodes, numbered from 0 through all nodes, then those of the tail,
        numbered from n_node_columns on.
    up_at : int array (n_nodes + 1,)
    up_node : int array (n_ups,)
        Later nodes that each node meets.
    up_map_at : int array (n_ups,)
    up_map : int array
        For each up, places in its panel of the columns that follow it in the panel of the node.
    n_node_columns : int
    tail_at : int
        Where the tail begins in the workspace.
    tail_start, tail_q, tail_lambda : int arrays (n_tail_levels,)
        First tail column of each level in the tail, its number of columns, and first column in Lambda.
    first_column : int array (n_factors,)
        First column of each factor, numbered as in ``column``: those of a level follow those of the level before it.
    n_tail_b : int
        Columns T of the tail that belong to groups.
    n_tail : int
        All its columns, D = T + p + 1.
    row_at : int array (D + 1,)
        Entries row_at[i] to row_at[i + 1] of the next two are the panels that have column i of the tail.
    row_node, row_place : int arrays
        Their nodes, and the place of the column in each panel.
    """

    staged: tuple[int, ...]
    tail: tuple[int, ...]
    node_start: Index
    node_q: Index
    diag_at: Index
    panel_at: Index
    first_node: Index
    column_at: Index
    column: Index
    up_at: Index
    up_node: Index
    up_map_at: Index
    up_map: Index
    n_node_columns: int
    tail_at: int
    tail_start: Index
    tail_q: Index
    tail_lambda: Index
    first_column: Index
    n_tail_b: int
    n_tail: int
    row_at: Index
    row_node: Index
    row_place: Index

    @property
    def nodes(self) -> tuple[Any, ...]:
        """What the kernels read of the staged levels, in the order of `record.NodesRecord`."""
        return (
            self.node_start,
            self.node_q,
            self.diag_at,
            self.panel_at,
            self.column_at,
            self.column,
            self.up_at,
            self.up_node,
            self.up_map_at,
            self.up_map,
            self.n_node_columns,
        )

    @property
    def dense(self) -> tuple[Any, ...]:
        """What the kernels read of the tail, in the order of `record.TailRecord`."""
        return self.tail_at, self.tail_start, self.tail_q, self.tail_lambda, self.n_tail_b, self.n_tail

    @property
    def rows(self) -> tuple[Index, Index, Index]:
        """The panels that each column of the tail is in, in the order of `record.PanelsRecord`."""
        return self.row_at, self.row_node, self.row_place

    @property
    def n_workspace(self) -> int:
        """Numbers in the workspace."""
        before = int(self.panel_at[0]) if len(self.panel_at) else self.tail_at
        return self.tail_at + self.n_tail**2 + self.tail_at - before

    @property
    def n_products(self) -> float:
        """About how many multiplications a gradient takes that cost as much as those of the tail, D^3 of them."""
        width = np.diff(self.column_at).astype(float)
        return float(self.n_tail) ** 3 + _SLOWER * float(self.node_q @ width**2)

    @property
    def is_costly(self) -> bool:
        """Whether a gradient takes more than about ten milliseconds of one core."""
        return self.n_products > _COSTLY

    @property
    def takes_all_threads(self) -> bool:
        """Whether evaluations follow each other, each with all threads of BLAS, rather than run side by side."""
        return self.n_tail > _ALL_THREADS

    def diagonal_places(self, f: int, level: Index, q: int) -> Index:
        """Return where the diagonal blocks of levels of a staged factor are (n, q, q)."""
        grid = np.arange(q)
        places: Index = self.diag_at[self.first_node[f] + level][:, None, None] + grid[:, None] * q + grid
        return places

    def panel_rows(self, f: int, level: Index, q: int) -> tuple[Index, Index]:
        """Return where the rows of the panels of levels of a staged factor begin (n, q, 1), and end."""
        node = self.first_node[f] + level
        width = (self.column_at[node + 1] - self.column_at[node])[:, None, None]
        begin = self.panel_at[node][:, None, None] + np.arange(q)[:, None] * width
        return begin, begin + width


def plan_elimination(gram: Gram) -> Plan:
    """Return the plan for the factors of a Gram basis.

    Raises
    ------
    ModelError
        If the factors cross each other so much that the dense tail would be too large.
    """
    staged, tail, meets = _stages(gram)
    p1, q = len(gram.coef_names) + 1, [factor.n_coef for factor in gram.factors]
    J = [factor.n_levels for factor in gram.factors]
    T = sum(J[f] * q[f] for f in tail)
    if T + p1 > _LARGEST_TAIL:
        names = ", ".join(f"{gram.factors[f].name!r} ({J[f]} levels, {q[f]} columns)" for f in tail)
        how = f"are crossed with {gram.factors[staged[0]].name!r}" if staged else "are linked by the errors"
        raise ModelError(
            f"the grouping factors {names} {how}, and together their "
            f"{T} coefficients would be one dense matrix; up to {_LARGEST_TAIL} are possible. Any number of levels is "
            "possible for one factor and for factors that it is nested in: drop a factor, or merge its levels."
        )
    lambda_start = np.cumsum([0, *q])[:-1]
    node_of, node_start, node_q, first_node = _nodes(staged, J, q, lambda_start)
    n_node_columns = int(node_q.sum())
    node_column = np.concatenate([[0], np.cumsum(node_q)])[:-1].astype(np.intp)
    first_column, at = np.zeros(len(J), dtype=np.intp), 0
    for f in (*staged, *tail):
        first_column[f] = at
        at += J[f] * q[f]
    column_at, column = _panels(staged, meets, node_of, first_column, q, (n_node_columns + T, p1))
    diag_at = np.concatenate([[0], np.cumsum(node_q**2)])
    width = np.diff(column_at)
    panel_at = diag_at[-1] + np.concatenate([[0], np.cumsum(node_q * width)])
    up_at, up_node = _ups(column_at, column, node_column, n_node_columns)
    up_map_at, up_map = _maps(column_at, column, up_at, up_node, node_q)
    row_at, row_node, row_place = _rows(column_at, column, n_node_columns, T + p1)
    return Plan(
        staged=staged,
        tail=tail,
        node_start=node_start,
        node_q=node_q,
        diag_at=diag_at[:-1].astype(np.intp),
        panel_at=panel_at[:-1].astype(np.intp),
        first_node=first_node,
        column_at=column_at,
        column=column,
        up_at=up_at,
        up_node=up_node,
        up_map_at=up_map_at,
        up_map=up_map,
        n_node_columns=n_node_columns,
        tail_at=int(panel_at[-1]),
        tail_start=np.concatenate(
            [first_column[f] - n_node_columns + np.arange(J[f]) * q[f] for f in tail] or [[]]
        ).astype(np.intp),
        tail_q=np.repeat([q[f] for f in tail], [J[f] for f in tail]).astype(np.intp),
        tail_lambda=np.repeat(lambda_start[list(tail)], [J[f] for f in tail]).astype(np.intp),
        first_column=first_column,
        n_tail_b=T,
        n_tail=T + p1,
        row_at=row_at,
        row_node=row_node,
        row_place=row_place,
    )


def is_plain(plan: Plan, gram: Gram) -> bool:
    """Return whether factors have one coefficient each, one of them is staged, and errors link no levels."""
    alone = all(factor.n_coef == 1 and not factor.has_links for factor in gram.factors)
    return len(plan.staged) == 1 and len(plan.tail) > 0 and alone


def takes_all_threads(gram: Gram) -> bool:
    """Return `Plan.takes_all_threads` of a Gram basis, before there is a plan."""
    columns = sorted(factor.n_levels * factor.n_coef for factor in gram.factors)
    p1 = len(gram.coef_names) + 1
    if sum(columns[:-1]) + p1 <= _ALL_THREADS:
        return False
    return sum(gram.factors[f].n_levels * gram.factors[f].n_coef for f in _stages(gram)[1]) + p1 > _ALL_THREADS


def _stages(gram: Gram) -> tuple[tuple[int, ...], tuple[int, ...], dict[tuple[int, int], Any]]:
    """Return staged factors, tail factors, and for each staged factor which levels of the later ones it meets."""
    from scipy.sparse import coo_array, triu

    cliques = [_cliques(factor) for factor in gram.factors]
    direct = {}
    for c in gram.crossed:
        shape = (gram.factors[c.first].n_levels, gram.factors[c.second].n_levels)
        pattern = coo_array((np.ones(len(c.row), dtype=bool), (c.row, c.col)), shape=shape).tocsr()
        direct[c.first, c.second], direct[c.second, c.first] = pattern, pattern.T.tocsr()
    left = sorted(range(len(gram.factors)), key=lambda f: -gram.factors[f].n_levels)
    staged: list[int] = []
    tail: list[int] = []
    meets: dict[tuple[int, int], Any] = {}
    while left:
        f = left.pop(0)
        largest = int(np.diff(cliques[f].indptr).max(initial=1)) if cliques[f] is not None else 1
        is_large = largest > 1 and largest * gram.factors[f].n_coef > _LARGEST_CLIQUE
        if is_large or any(np.diff(meets[s, f].indptr).max(initial=0) > 1 for s in staged):
            tail.append(f)
            continue
        for g in (*left, *tail):
            pattern = direct[f, g]
            for s in staged:
                # Eliminating a level of s joins all that it meets.
                pattern = pattern + meets[s, f].T @ meets[s, g]
            meets[f, g] = (pattern if cliques[f] is None else cliques[f] @ pattern).tocsr()
        if cliques[f] is not None:
            meets[f, f] = triu(cliques[f], k=1).tocsr()
        staged.append(f)
    return tuple(staged), tuple(sorted(tail)), meets


def _cliques(factor: GroupProducts) -> Any:
    """Return which levels of a factor are linked by errors, directly or through others (J, J); None where none are."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not factor.has_links:
        return None
    J = factor.n_levels
    ones = np.ones(len(factor.pair_row), dtype=bool)
    links = coo_array((ones, (factor.pair_row, factor.pair_col)), shape=(J, J))
    number, of_level = connected_components(links, directed=False)
    member = coo_array((np.ones(J, dtype=bool), (np.arange(J), of_level)), shape=(J, number)).tocsr()
    return (member @ member.T).tocsr()


def _nodes(
    staged: tuple[int, ...], J: list[int], q: list[int], lambda_start: NDArray[Any]
) -> tuple[dict[int, Index], Index, Index, Index]:
    node_of, first_node, at = {}, np.full(len(J), -1, dtype=np.intp), 0
    for f in staged:
        node_of[f], first_node[f] = np.arange(at, at + J[f]), at
        at += J[f]
    counts = [J[f] for f in staged]
    start = np.repeat(lambda_start[list(staged)], counts).astype(np.intp)
    return node_of, start, np.repeat([q[f] for f in staged], counts).astype(np.intp), first_node


def _panels(
    staged: tuple[int, ...],
    meets: dict[tuple[int, int], Any],
    node_of: dict[int, Index],
    first_column: Index,
    q: list[int],
    fixed: tuple[int, int],
) -> tuple[Index, Index]:
    """Return the columns of every panel, ascending; X and y (first column and number of them) are in all."""
    nodes, columns = [], []
    for (f, g), pattern in meets.items():
        row, col = pattern.tocoo().coords
        nodes.append(np.repeat(node_of[f][row], q[g]))
        columns.append((first_column[g] + col[:, None] * q[g] + np.arange(q[g])).ravel())
    n_nodes = sum(len(node_of[f]) for f in staged)
    start, p1 = fixed
    nodes.append(np.repeat(np.arange(n_nodes), p1))
    columns.append(np.tile(start + np.arange(p1), n_nodes))
    node, column = np.concatenate(nodes), np.concatenate(columns)
    order = np.lexsort((column, node))
    counts = np.bincount(node, minlength=n_nodes)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.intp), column[order].astype(np.intp)


def _ups(column_at: Index, column: Index, node_column: Index, n_node_columns: int) -> tuple[Index, Index]:
    """Return the later nodes in each panel."""
    node = np.repeat(np.arange(len(column_at) - 1), np.diff(column_at))
    up = np.searchsorted(node_column, column, side="right") - 1
    first = (column < n_node_columns) & (node_column[np.clip(up, 0, None)] == column)
    counts = np.bincount(node[first], minlength=len(column_at) - 1)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.intp), up[first].astype(np.intp)


def _rows(column_at: Index, column: Index, n_node_columns: int, D: int) -> tuple[Index, Index, Index]:
    """Return, for each column of the tail, the nodes whose panels have it, ascending, and its places there."""
    node = np.repeat(np.arange(len(column_at) - 1), np.diff(column_at))
    entry = np.flatnonzero(column >= n_node_columns)
    mine = column[entry] - n_node_columns
    entry = entry[np.argsort(mine, kind="stable")]
    at = np.concatenate([[0], np.cumsum(np.bincount(mine, minlength=D))]).astype(np.intp)
    return at, node[entry].astype(np.intp), (entry - column_at[node[entry]]).astype(np.intp)


def _maps(column_at: Index, column: Index, up_at: Index, up_node: Index, node_q: Index) -> tuple[Index, Index]:
    """Return, for each up, the places in its panel of the columns that follow it in the panel of the node."""
    if not len(up_node):
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    node = np.repeat(np.arange(len(up_at) - 1), np.diff(up_at))
    # The columns of the ups before this one, and its own, come first.
    own = np.concatenate([[0], np.cumsum(node_q[up_node])])
    begin = column_at[node] + own[1:] - own[up_at[node]]
    length = column_at[node + 1] - begin
    offset = np.concatenate([[0], np.cumsum(length)])
    source = np.repeat(begin - offset[:-1], length) + np.arange(offset[-1])
    places = places_in_panels(column_at, column, np.repeat(up_node, length), column[source])
    return offset[:-1].astype(np.intp), places


def places_in_panels(column_at: Index, column: Index, node: Index, wanted: Index) -> Index:
    """Return the place of each wanted column in the panel of its node."""
    span = int(column.max(initial=0)) + 1
    keys = np.repeat(np.arange(len(column_at) - 1), np.diff(column_at)) * span + column
    places: Index = np.searchsorted(keys, node * span + wanted) - column_at[node]
    return places.astype(np.intp)
