"""Addition of Gram bases: rows of several tables as if they were one."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.gram.bare import filled, has_bare_form, united_rows
from hierreg.gram.frame import unite_all
from hierreg.gram.keys import sum_by_key
from hierreg.gram.labels import unite_levels
from hierreg.gram.origin import check_determined, unite_origins
from hierreg.gram.triangles import Left, classes_of, fewest, rotated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.gram.basis import CrossProducts, Gram, GroupProducts
    from hierreg.gram.frame import Frame
    from hierreg.gram.labels import LabelledMoments
    from hierreg.gram.origin import Origin
    from hierreg.gram.terms import ErrorTerms

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]
    # Terms of all, and the places of those of each table among them; levels likewise.
    Terms = tuple[ErrorTerms, list[Index]]
    Levels = tuple[NDArray[np.generic], list[Index]]
    # Internal coordinates of W, and the maps to them from those of each table; those of each factor likewise.
    Maps = tuple[Frame, list[Array], list[tuple[Frame, list[Array]]]]


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
    return filled(join([a, b]))


def join(grams: Sequence[Gram]) -> Gram:
    """Do what `add` does of the rows of all tables at once; products that triangles give are left out (`bare`).

    Time and memory are those of the statistics of all: nothing is moved or sorted more than once.

    Raises
    ------
    ModelError
        If they come from different formulas or error structures.
    """
    if len(grams) == 1:
        return grams[0]
    _check_all(grams)
    is_bare = all(map(has_bare_form, grams))
    grams = list(grams) if is_bare else [filled(one) for one in grams]
    terms, term_of = _unite_terms([one.terms for one in grams])
    own = join([_own(one) for one in grams]) if any(one.own is not None for one in grams) else None
    frame, maps = unite_all([_frame(one) for one in grams])
    z = [unite_all([_frame(f) for f in each]) for each in zip(*(one.factors for one in grams), strict=True)]
    levels = [unite_levels([f.levels for f in each]) for each in zip(*(one.factors for one in grams), strict=True)]
    unite_them = _unite_rows if is_bare else _unite_products
    united = unite_them(grams, (terms, term_of), levels, (frame, maps, z))
    p = len(grams[0].coef_names)
    return replace(
        united,
        terms=terms,
        n=sum(one.n for one in grams),
        x_map=frame.map[:p, :p],
        y_shift=-frame.map[:p, p],
        frame=frame,
        response=reduce(lambda a, b: a.unite(b), [_response(one) for one in grams]),
        own=own,
        origin=_unite_origins([one.origin for one in grams]),
    )


def _check_all(grams: Sequence[Gram]) -> None:
    """Raise unless the columns of all are the same, and what their groups are."""
    a = grams[0]
    for b in grams[1:]:
        if a.origin is not None and b.origin is not None:
            check_determined(a.origin.learned, b.origin.learned)
        _check_same("coef_names", a.coef_names, b.coef_names)
        _check_same("grouping factors", [f.name for f in a.factors], [f.name for f in b.factors])
        for mine, theirs in zip(a.factors, b.factors, strict=True):
            _check_same(f"columns of {mine.name!r}", mine.coef_names, theirs.coef_names)
            _check_labels(mine, theirs)
    for one in grams:
        _response(one)
        _frame(one)
        for factor in one.factors:
            _frame(factor)


def _unite_terms(each: Sequence[ErrorTerms]) -> tuple[ErrorTerms, list[Index]]:
    """Return the terms of all, and the places of those of each among them."""
    if len(each) == 1:
        return each[0], [np.arange(each[0].n_terms)]
    half = len(each) // 2
    (a, places), (b, more) = _unite_terms(each[:half]), _unite_terms(each[half:])
    terms, of_a, of_b = a.unite(b)
    return terms, [of_a[own] for own in places] + [of_b[own] for own in more]


def _unite_origins(origins: Sequence[Origin | None]) -> Origin | None:
    known = [one for one in origins if one is not None]
    return reduce(unite_origins, known) if len(known) == len(origins) else None


def _unite_rows(grams: list[Gram], of: Terms, levels: list[Levels], to: Maps) -> Gram:
    """Return statistics without products, by rotating the rows of all."""
    (terms, term_of), ((united, place),), (_, maps, ((z_frame, z_maps),)) = of, levels, to
    J, factors = max(len(united), 1), [one.factors[0] for one in grams]
    keys = [
        term[f.level_term] * J + level[f.level_index] for f, term, level in zip(factors, term_of, place, strict=True)
    ]
    both = [_block_diagonal(Mz, M) for Mz, M in zip(z_maps, maps, strict=True)]
    rows, rest = united_rows(factors, both, keys, (np.arange(terms.n_terms), J))
    none, q, p1 = np.empty(0, dtype=np.intp), factors[0].n_coef, len(maps[0])
    parts = [
        Left(rows=one.left @ M, term=term[one.left_term]) for one, M, term in zip(grams, maps, term_of, strict=True)
    ]
    left = fewest([rest, *parts], terms.table, p1)
    factor = replace(
        rows,
        levels=united,
        frame=z_frame,
        z_map=z_frame.map,
        pair_term=none,
        pair_row=none,
        pair_col=none,
        ZtZ=np.empty((0, q, q)),
        ZtW=np.empty((0, q, p1)),
    )
    return replace(grams[0], factors=(factor,), WtW=np.empty((0, p1, p1)), left=left.rows, left_term=left.term)


def _block_diagonal(A: Array, B: Array) -> Array:
    q = len(A)
    out = np.zeros((q + len(B), q + len(B)))
    out[:q, :q], out[q:, q:] = A, B
    return out


def _unite_products(grams: list[Gram], of: Terms, levels: list[Levels], to: Maps) -> Gram:
    """Return the sums of all products, and triangles where there are any."""
    (terms, term_of), (_, maps, z) = of, to
    grams = [
        moved(one, maps[i], [(own_frame, own_maps[i]) for own_frame, own_maps in z]) for i, one in enumerate(grams)
    ]
    WtW = np.zeros((terms.n_terms, *grams[0].WtW.shape[1:]))
    for one, place in zip(grams, term_of, strict=True):
        np.add.at(WtW, place, one.WtW)
    each = zip(*(one.factors for one in grams), strict=True)
    summed = [_add_groups(parts, own, of) for parts, own in zip(each, levels, strict=True)]
    left = _add_left(grams, term_of, [rest for _, rest in summed], terms.table)
    crossed = zip(*(one.crossed for one in grams), strict=True)
    return replace(
        grams[0],
        factors=tuple(groups for groups, _ in summed),
        crossed=tuple(_add_crossed(parts, (levels[parts[0].first], levels[parts[0].second]), of) for parts in crossed),
        WtW=WtW,
        left=left.rows,
        left_term=left.term,
    )


def _frame(one: Gram | GroupProducts) -> Frame:
    if one.frame is None:
        raise ModelError(_DERIVED)
    return one.frame


def _response(gram: Gram) -> LabelledMoments:
    if gram.response is None:
        raise ModelError(_DERIVED)
    return gram.response


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


def _add_groups(parts: Sequence[GroupProducts], united: Levels, of: Terms) -> tuple[GroupProducts, Left | None]:
    """Return the sums, and what the united triangles leave of those of each; None where there are none."""
    (levels, level_of), (terms, term_of) = united, of
    J, K = max(len(levels), 1), terms.n_terms
    pair_keys, level_keys, turned = [], [], []
    for one, term, level in zip(parts, term_of, level_of, strict=True):
        r, c = level[one.pair_row], level[one.pair_col]
        pair_keys.append((term[one.pair_term] * J + np.minimum(r, c)) * J + np.maximum(r, c))
        level_keys.append(term[one.level_term] * J + level[one.level_index])
        # Transposed where a pair of levels changes order in the united numbering.
        turned.append(np.where((r > c)[:, None, None], np.swapaxes(one.ZtZ, 1, 2), one.ZtZ))
    pairs, ZtZ = sum_by_key(np.concatenate(pair_keys), np.concatenate(turned), K * J * J)
    entries, ZtW = sum_by_key(np.concatenate(level_keys), np.concatenate([one.ZtW for one in parts]), K * J)
    out = replace(
        parts[0],
        levels=levels,
        pair_term=pairs // (J * J),
        pair_row=pairs // J % J,
        pair_col=pairs % J,
        ZtZ=ZtZ,
        level_term=entries // J,
        level_index=entries % J,
        ZtW=ZtW,
        triangle=np.zeros((0, *parts[0].triangle.shape[1:])),
    )
    place = np.searchsorted(entries, np.concatenate(level_keys))
    return _add_triangles(out, parts, place, terms.table)


def _add_triangles(
    united: GroupProducts, parts: Sequence[GroupProducts], place: Index, table: Index
) -> tuple[GroupProducts, Left | None]:
    """Return the groups with the triangles of the rows of all parts, and what these leave.

    There are none where one part has none, or groups of all do not go together.

    Parameters
    ----------
    united : GroupProducts
        Without triangles.
    parts : sequence of GroupProducts
        In the same coordinates; what moving left of triangles need not be triangular.
    place : int array (n,)
        Entry of each entry of the first part, then of the second, and so on.
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


def _add_left(grams: Sequence[Gram], term_of: Sequence[Index], rest: list[Left | None], table: Index) -> Left:
    """Return what is left of the rows of all; nothing without triangles."""
    parts = [one for one in rest if one is not None]
    if parts or not grams[0].factors:
        parts += [Left(rows=one.left, term=place[one.left_term]) for one, place in zip(grams, term_of, strict=True)]
    return fewest(parts, table, grams[0].left.shape[1])


def _add_crossed(parts: Sequence[CrossProducts], united: tuple[Levels, Levels], of: Terms) -> CrossProducts:
    (rows, row_of), (cols, col_of), (terms, term_of) = *united, of
    J, C = max(len(rows), 1), max(len(cols), 1)
    keys = [
        (term[one.term] * J + row[one.row]) * C + col[one.col]
        for one, term, row, col in zip(parts, term_of, row_of, col_of, strict=True)
    ]
    pairs, ZtZ = sum_by_key(np.concatenate(keys), np.concatenate([one.ZtZ for one in parts]), terms.n_terms * J * C)
    return replace(parts[0], term=pairs // (J * C), row=pairs // C % J, col=pairs % C, ZtZ=ZtZ)


def _between(L: Array, A: Array, R: Array) -> Array:
    """Return L' A[e] R for each e."""
    E, q, p = A.shape
    half = (A.reshape(E * q, p) @ R).reshape(E, q, R.shape[1])
    return np.ascontiguousarray(np.swapaxes(np.tensordot(half, L, (1, 0)), 1, 2))
