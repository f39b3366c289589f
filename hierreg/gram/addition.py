"""Addition of two Gram bases: rows of two tables as if they were one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.gram.basis import CrossProducts, GroupProducts
from hierreg.gram.frame import unite
from hierreg.gram.labels import unite_levels
from hierreg.gram.origin import check_determined, unite_origins
from hierreg.gram.triangles import Left, classes_of, fewest, rotated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram.basis import Gram
    from hierreg.gram.frame import Frame

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


_DERIVED = "Gram + Gram: one of them was derived from another, and has no rows of its own to add."


def add(a: Gram, b: Gram) -> Gram:
    """Return the Gram basis of the rows of both tables.

    The sum has internal coordinates of its own, in which the columns of all rows are centred and orthonormal. Groups,
    data sets and missingness patterns of both are united by label. The errors of the two tables are
    taken to be independent: rows of one unit, or with a known covariance, have to be in the same table.

    Raises
    ------
    ModelError
        If the two come from different formulas or error structures.
    """
    if a.origin is not None and b.origin is not None:
        check_determined(a.origin.learned, b.origin.learned)
    _check_same("coef_names", a.coef_names, b.coef_names)
    _check_same("grouping factors", [f.name for f in a.factors], [f.name for f in b.factors])
    for mine, theirs in zip(a.factors, b.factors, strict=True):
        _check_same(f"columns of {mine.name!r}", mine.coef_names, theirs.coef_names)
        _check_labels(mine, theirs)
    if a.frame is None or b.frame is None or a.response is None or b.response is None:
        raise ModelError(_DERIVED)
    terms, term_of_a, term_of_b = a.terms.unite(b.terms)
    own = _own(a) + _own(b) if a.own is not None or b.own is not None else None
    frame, to_a, to_b = unite(a.frame, b.frame)
    z = [unite(_frame(f), _frame(g)) for f, g in zip(a.factors, b.factors, strict=True)]
    a = moved(a, to_a, [(both, M) for both, M, _ in z])
    b = moved(b, to_b, [(both, M) for both, _, M in z])
    WtW = np.zeros((terms.n_terms, *a.WtW.shape[1:]))
    for one, place in ((a, term_of_a), (b, term_of_b)):
        np.add.at(WtW, place, one.WtW)
    levels_of = [unite_levels(f.levels, g.levels) for f, g in zip(a.factors, b.factors, strict=True)]
    summed = [
        _add_groups(f, g, levels, (term_of_a, term_of_b, terms.table))
        for f, g, levels in zip(a.factors, b.factors, levels_of, strict=True)
    ]
    p = len(a.coef_names)
    left = _add_left((a, term_of_a), (b, term_of_b), [rest for _, rest in summed], terms.table)
    assert a.response is not None
    assert b.response is not None
    return replace(
        a,
        factors=tuple(groups for groups, _ in summed),
        crossed=tuple(
            _add_crossed(f, g, (levels_of[f.first], levels_of[f.second]), (term_of_a, term_of_b))
            for f, g in zip(a.crossed, b.crossed, strict=True)
        ),
        terms=terms,
        n=a.n + b.n,
        WtW=WtW,
        left=left.rows,
        left_term=left.term,
        x_map=frame.map[:p, :p],
        y_shift=-frame.map[:p, p],
        frame=frame,
        response=a.response.unite(b.response),
        own=own,
        origin=None if a.origin is None or b.origin is None else unite_origins(a.origin, b.origin),
    )


def _frame(factor: GroupProducts) -> Frame:
    if factor.frame is None:
        raise ModelError(_DERIVED)
    return factor.frame


def _own(gram: Gram) -> Gram:
    """Return the basis in which each group sees its own rows alone."""
    if gram.own is not None:
        return gram.own
    if gram.has_links:
        raise ModelError(
            "Gram + Gram: errors link the groups of both tables, and one of them does not say what each group sees "
            "alone; take both from `Model.gram` or `Gram.from_batches`."
        )
    return gram


def _check_same(what: str, a: object, b: object) -> None:
    if a != b:
        raise ModelError(
            f"Gram + Gram: {what} differ: {a!r} and {b!r}; only statistics of the same formula can be added."
        )


def _check_labels(a: GroupProducts, b: GroupProducts) -> None:
    mine, theirs = _words_of(a.levels), _words_of(b.levels)
    if mine and theirs and mine != theirs:
        raise ModelError(
            f"Gram + Gram: the groups of {a.name!r} are {mine} in the first and {theirs} in the second; 3 and '3' "
            "would be two groups. Convert the column to one type and collect the statistics anew."
        )


def _words_of(levels: NDArray[np.generic]) -> str:
    if levels.dtype != object:
        return "text" if levels.dtype.kind == "U" else "numbers"
    kinds = {isinstance(level, str) for level in levels.tolist()}
    return "" if len(kinds) != 1 else "text" if True in kinds else "numbers"


def moved(gram: Gram, M: Array, z: list[tuple[Frame, Array]]) -> Gram:
    """Return the cross-products in other internal coordinates."""
    return replace(
        gram,
        WtW=M.T @ gram.WtW @ M,
        left=gram.left @ M,
        factors=tuple(
            replace(
                f,
                frame=frame,
                z_map=frame.map,
                ZtZ=_between(Mz, f.ZtZ, Mz),
                ZtW=_between(Mz, f.ZtW, M),
                triangle=np.concatenate([f.triangle[:, :, : len(Mz)] @ Mz, f.triangle[:, :, len(Mz) :] @ M], axis=2),
            )
            for f, (frame, Mz) in zip(gram.factors, z, strict=True)
        ),
        crossed=tuple(replace(c, ZtZ=_between(z[c.first][1], c.ZtZ, z[c.second][1])) for c in gram.crossed),
    )


def _add_groups(
    f: GroupProducts,
    g: GroupProducts,
    united: tuple[NDArray[np.generic], Index, Index],
    terms: tuple[Index, Index, Index],
) -> tuple[GroupProducts, Left | None]:
    """Return the sums, and what the united triangles leave of those of each; None where there are none.

    ``terms`` are the places of those of each, and the table of all.
    """
    levels, J = united[0], max(len(united[0]), 1)
    both = tuple(zip((f, g), terms[:2], united[1:], strict=True))
    pair_keys = []
    for one, term, level in both:
        r, c = level[one.pair_row], level[one.pair_col]
        pair_keys.append((term[one.pair_term] * J + np.minimum(r, c)) * J + np.maximum(r, c))
    pairs, ZtZ = _sum_by_key(np.concatenate(pair_keys), np.concatenate([f.ZtZ, _turned(g, united[2])]))
    level_keys = [term[one.level_term] * J + level[one.level_index] for one, term, level in both]
    entries, ZtW = _sum_by_key(np.concatenate(level_keys), np.concatenate([f.ZtW, g.ZtW]))
    out = replace(
        f,
        levels=levels,
        pair_term=pairs // (J * J),
        pair_row=pairs // J % J,
        pair_col=pairs % J,
        ZtZ=ZtZ,
        level_term=entries // J,
        level_index=entries % J,
        ZtW=ZtW,
        triangle=np.zeros((0, *f.triangle.shape[1:])),
    )
    place = np.searchsorted(entries, np.concatenate(level_keys))
    return _add_triangles(out, (f, g), place, terms[2])


def _add_triangles(
    united: GroupProducts,
    parts: tuple[GroupProducts, GroupProducts],
    place: Index,
    table: Index,
) -> tuple[GroupProducts, Left | None]:
    """Return the groups with the triangles of the rows of both parts, and what these leave.

    There are none where one part has none, or groups of both do not go together.

    Parameters
    ----------
    united : GroupProducts
        Without triangles.
    parts : tuple of GroupProducts
        In the same coordinates; what moving left of triangles need not be triangular.
    place : int array (n,)
        Entry of each entry of the first part, then of the second.
    table : int array (K, 3)
        See `ErrorTerms.table`.
    """
    has_triangles = all(len(one.triangle) == len(one.level_term) for one in parts)
    classes = classes_of(united, table) if has_triangles else None
    if classes is None:
        return united, None
    height = max(one.triangle.shape[1] for one in parts)
    fill = [((0, 0), (0, height - one.triangle.shape[1]), (0, 0)) for one in parts]
    rows = np.concatenate([np.pad(one.triangle, own) for one, own in zip(parts, fill, strict=True)])
    triangle, left = rotated(united, classes, table, (place, rows))
    return replace(united, triangle=triangle), left


def _add_left(a: tuple[Gram, Index], b: tuple[Gram, Index], rest: list[Left | None], table: Index) -> Left:
    """Return what is left of the rows of both, given with the places of their terms; nothing without triangles."""
    p1 = a[0].left.shape[1]
    parts = [one for one in rest if one is not None]
    if parts or not a[0].factors:
        parts += [Left(rows=gram.left, term=place[gram.left_term]) for gram, place in (a, b)]
    return fewest(parts, table, p1)


def _turned(g: GroupProducts, level_of: Index) -> Array:
    """Return ZtZ of b, transposed where its pair of levels changes order in the united numbering."""
    turn = level_of[g.pair_row] > level_of[g.pair_col]
    return np.where(turn[:, None, None], np.swapaxes(g.ZtZ, 1, 2), g.ZtZ)


def _add_crossed(
    f: CrossProducts,
    g: CrossProducts,
    united: tuple[tuple[NDArray[np.generic], Index, Index], tuple[NDArray[np.generic], Index, Index]],
    term_of: tuple[Index, Index],
) -> CrossProducts:
    (rows, *row_of), (cols, *col_of) = united
    J, C = max(len(rows), 1), max(len(cols), 1)
    keys = [
        (term[one.term] * J + row[one.row]) * C + col[one.col]
        for one, term, row, col in zip((f, g), term_of, row_of, col_of, strict=True)
    ]
    pairs, ZtZ = _sum_by_key(np.concatenate(keys), np.concatenate([f.ZtZ, g.ZtZ]))
    return replace(f, term=pairs // (J * C), row=pairs // C % J, col=pairs % C, ZtZ=ZtZ)


def _between(L: Array, A: Array, R: Array) -> Array:
    """Return L' A[e] R for each e."""
    E, q, p = A.shape
    half = (A.reshape(E * q, p) @ R).reshape(E, q, R.shape[1])
    return np.ascontiguousarray(np.swapaxes(np.tensordot(half, L, (1, 0)), 1, 2))


def _sum_by_key(keys: Index, values: Array) -> tuple[Index, Array]:
    half = len(keys) // 2
    if 2 * half == len(keys) and np.array_equal(keys[:half], keys[half:]):
        # The same entries in both; those of one table have distinct keys.
        own, total = keys[:half], values[:half] + values[half:]
        order = np.argsort(own) if np.any(own[1:] < own[:-1]) else slice(None)
        return own[order], total[order]
    distinct, place = np.unique(keys, return_inverse=True)
    flat = values.reshape(len(values), -1)
    total = np.empty((len(distinct), flat.shape[1]))
    for c in range(flat.shape[1]):
        total[:, c] = np.bincount(place, weights=flat[:, c], minlength=len(distinct))
    return distinct, total.reshape(len(distinct), *values.shape[1:])
