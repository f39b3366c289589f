"""Where the precision of the effects of several grouping factors has entries, and how it is factorised."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]

# Share of entries that are not zero from which on the rest of a factor is kept as a dense block.
_DENSE = 0.3
# Rows of one group that follow each other, in the mean, from which on loops over them pay.
_LONG_RUN = 4


@dataclass(frozen=True, kw_only=True)
class Structure:
    """The effects of all factors in the order in which they are eliminated: factors with more effects first.

    Attributes
    ----------
    order : tuple of int
        Factor of the formula at each place of that order.
    column, size : int arrays (F,)
        First column among those of all factors, and number of columns.
    levels : int array (F,)
        Groups.
    first : int array (F + 1,)
        First effect.
    place : int array (N, 2 F)
        First effect of the group of each row; and where the rows of that group end that follow each other from there,
        negative throughout where these are few.
    row_block : int array (N, F (F + 1) / 2)
        First entry of the block of each row for each pair of factors g <= f; -1 where the pair is left out.
    blocks : tuple of int arrays
        See `kernels`.
    form : tuple
        See `factor_kernels`.
    """

    order: tuple[int, ...]
    column: Index
    size: Index
    levels: Index
    first: Index
    place: Index
    row_block: Index
    blocks: tuple[Index, ...]
    form: tuple[Any, ...]

    @property
    def n_effects(self) -> int:
        """Number of effects n."""
        return int(self.first[-1])

    @property
    def n_entries(self) -> int:
        """Number of entries of Z'WZ that are kept."""
        return len(self.blocks[1])

    @property
    def n_values(self) -> int:
        """Number of values of a factor."""
        return int(self.form[4] + self.form[5] ** 2)

    @property
    def factors(self) -> tuple[Index, Index, Index]:
        """What kernels read of the factors."""
        return self.column, self.size, self.first

    @property
    def work(self) -> float:
        """About how many multiplications a factorisation takes."""
        counts = np.diff(self.form[0])
        return float(0.5 * np.sum(counts**2) + self.form[5] ** 3 / 6)

    @cached_property
    def column_of_effect(self) -> Index:
        """Column among those of all factors of each effect (n,)."""
        parts = [
            np.tile(start + np.arange(size), count)
            for start, size, count in zip(self.column, self.size, self.levels, strict=True)
        ]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def by_factor(self, effects: Array) -> tuple[Array, ...]:
        """Return effects (..., n) as arrays (..., J, q), one for each factor of the formula."""
        out: dict[int, Array] = {}
        for i, f in enumerate(self.order):
            mine = effects[..., self.first[i] : self.first[i + 1]]
            out[f] = mine.reshape(*effects.shape[:-1], int(self.levels[i]), int(self.size[i]))
        return tuple(out[f] for f in range(len(self.order)))

    def together(self, effects: Sequence[Array]) -> Array:
        """Return effects (..., n) of arrays (..., J, q), the inverse of `by_factor`."""
        parts = [
            one.reshape(*one.shape[:-2], one.shape[-2] * one.shape[-1]) for one in (effects[f] for f in self.order)
        ]
        return np.ascontiguousarray(np.concatenate(parts, axis=-1))

    def groups(self, f: int) -> Index:
        """Return the group of each row (N,) of a factor of the formula."""
        i = self.order.index(f)
        return np.asarray((self.place[:, i] - self.first[i]) // self.size[i])

    def inverse_blocks(self, bar: Array) -> tuple[Array, ...]:
        """Return the blocks (J, q, q) of the inverse of the precision that belong to one group, by factor.

        Parameters
        ----------
        bar : array
            Derivatives of log|L| in the values of the precision, L its factor: those of half the inverse, off the
            diagonal of both halves.
        """
        begin, places = self.blocks
        out: dict[int, Array] = {}
        for i, f in enumerate(self.order):
            pair, q = i * (i + 1) // 2 + i, int(self.size[i])
            place = places[begin[pair] : begin[pair + 1]].reshape(-1, q, q)
            lower = np.tril(bar[place])
            mine = np.tile(np.eye(q), (int(self.levels[i]), 1, 1))
            # Groups without rows have no block.
            filled = np.unique(self.groups(f))
            mine[filled] = lower + np.swapaxes(lower, 1, 2)
            out[f] = mine
        return tuple(out[f] for f in range(len(self.order)))

    def matrix(self, values: Array) -> Any:
        """Return the symmetric matrix of values as a sparse one."""
        from scipy.sparse import coo_array, diags_array

        first, rows, _, _, dense, m = self.form
        sparse = len(first) - 1
        cols = np.repeat(np.arange(sparse), np.diff(first))
        i, j = np.tril_indices(m)
        row, col = np.concatenate([rows, sparse + i]), np.concatenate([cols, sparse + j])
        data = np.concatenate([values[: len(rows)], values[dense + i * m + j]])
        lower = coo_array((data, (row, col)), shape=(self.n_effects,) * 2).tocsc()
        return (lower + lower.T - diags_array(lower.diagonal())).tocsc()


def structure_of(
    indices: Sequence[NDArray[np.intp]], levels: Sequence[int], sizes: Sequence[int], *, across: bool = True
) -> Structure:
    """Return the structure of a design.

    Parameters
    ----------
    indices : sequence of int arrays (N,)
        Group of each row, by factor.
    levels, sizes : sequences of int
        Groups and columns of each factor.
    across : bool
        Keep the entries between factors; without them the precision falls into blocks, one for each group.
    """
    order = tuple(sorted(range(len(sizes)), key=lambda f: -levels[f] * sizes[f]))
    columns = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    size = np.array([sizes[f] for f in order], dtype=np.int64)
    count = np.array([levels[f] for f in order], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(size * count)]).astype(np.int64)
    place = np.stack([first[i] + size[i] * indices[f] for i, f in enumerate(order)], axis=1).astype(np.int64)
    blocks, begin, row_block = _blocks(place, size, first, across=across)
    form, places = _form(blocks, size, first)
    return Structure(
        order=order,
        column=np.array([columns[f] for f in order], dtype=np.int64),
        size=size,
        levels=count,
        first=first,
        place=np.ascontiguousarray(np.concatenate([place, _ends(place)], axis=1)),
        row_block=row_block,
        blocks=(begin, places),
        form=form,
    )


def _ends(place: Index) -> Index:
    """Return where runs of equal places end from each row (N, F), negative where they are short in the mean."""
    N = len(place)
    out = np.empty_like(place)
    for f in range(place.shape[1]):
        last = np.append(np.flatnonzero(np.diff(place[:, f])) + 1, N)
        length = np.diff(last, prepend=0)
        out[:, f] = np.repeat(last, length) * (1 if _LONG_RUN * len(last) <= N else -1)
    return out


def _blocks(place: Index, size: Index, first: Index, *, across: bool) -> tuple[list[tuple[Index, Index]], Index, Index]:
    """Return the blocks of each pair of factors, by the first effects of row and column, and where entries begin.

    That is the first entry of each pair (F (F + 1) / 2 + 1,), and that of each row and pair, -1 where it is left out.
    """
    n, F = int(first[-1]), len(size)
    found: list[tuple[Index, Index]] = []
    of_rows = np.full((len(place), F * (F + 1) // 2), -1, dtype=np.int64)
    begin = [0]
    for f in range(F):
        for g in range(f + 1):
            keys = np.empty(0, dtype=np.int64)
            if across or f == g:
                keys, inverse = np.unique(place[:, f] * n + place[:, g], return_inverse=True)
                of_rows[:, len(found)] = begin[-1] + size[f] * size[g] * inverse
            found.append((keys // n, keys % n))
            begin.append(begin[-1] + int(size[f] * size[g]) * len(keys))
    return found, np.array(begin, dtype=np.int64), of_rows


def _entries(blocks: Sequence[tuple[Index, Index]], size: Index) -> tuple[Index, Index]:
    """Return the row and the column of every entry."""
    rows, cols = [], []
    pairs = [(f, g) for f in range(len(size)) for g in range(f + 1)]
    for (f, g), (row, col) in zip(pairs, blocks, strict=True):
        a, c = np.meshgrid(np.arange(size[f]), np.arange(size[g]), indexing="ij")
        rows.append((row[:, None] + a.ravel()).ravel())
        cols.append((col[:, None] + c.ravel()).ravel())
    return np.concatenate(rows), np.concatenate(cols)


def _form(blocks: Sequence[tuple[Index, Index]], size: Index, first: Index) -> tuple[tuple[Any, ...], Index]:
    """Return the form of a factor, and the place of every entry among its values."""
    n = int(first[-1])
    row, col = _entries(blocks, size)
    columns = _fill_in(row, col, n)
    counts = np.array([len(one) + 1 for one in columns])
    sparse = n
    for start in first[1:-1]:
        m = n - int(start)
        if m > 1 and counts[start:].sum() > _DENSE * m * (m + 1) / 2:
            sparse = int(start)
            break
    m = n - sparse
    starts = np.concatenate([[0], np.cumsum(counts[:sparse])]).astype(np.int64)
    rows = np.concatenate([[k, *sorted(columns[k])] for k in range(sparse)]).astype(np.int64)
    dense = int(starts[-1])
    keys = np.repeat(np.arange(sparse), counts[:sparse]) * n + rows

    def place_of(i: Index, j: Index) -> Index:
        is_dense = j >= sparse
        out = np.searchsorted(keys, j * n + i)
        out[is_dense] = dense + (i[is_dense] - sparse) * m + j[is_dense] - sparse
        return out.astype(np.int64)

    first_update = np.full(sparse, -1, dtype=np.int64)
    lower = cache(np.tril_indices)
    updates, total = [np.empty((2, 0), dtype=np.int64)], 0
    for k in range(sparse):
        mine = rows[starts[k] + 1 : starts[k + 1]]
        if len(mine) and mine[0] < sparse:
            first_update[k] = total
            updates.append(mine[np.array(lower(len(mine)))])
            total += updates[-1].shape[1]
    form = (starts, rows, first_update, place_of(*np.concatenate(updates, axis=1)), dense, m)
    places = np.where(row >= col, place_of(np.maximum(row, col), np.minimum(row, col)), -1)
    return form, places


def _fill_in(row: Index, col: Index, n: int) -> list[set[int]]:
    """Return the rows below the diagonal of each column of the factor."""
    columns: list[set[int]] = [set() for _ in range(n)]
    below = row > col
    for i, j in zip(row[below].tolist(), col[below].tolist(), strict=True):
        columns[j].add(i)
    for mine in columns:
        if mine:
            # What a column has below its first row, the column of that row has too.
            parent = min(mine)
            columns[parent] |= mine
            columns[parent].discard(parent)
    return columns
