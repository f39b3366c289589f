"""Addition of two Gram bases: rows of two tables as if they were one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.gram.basis import CrossProducts, GroupProducts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram.basis import Gram

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


def add(a: Gram, b: Gram) -> Gram:
    """Return the Gram basis of the rows of both tables, in the internal coordinates of the first.

    Groups, data sets and missingness patterns of both are united by label. The errors of the two tables are
    taken to be independent: rows of one unit, or with a known covariance, have to be in the same table.

    Raises
    ------
    ModelError
        If the two come from different formulas or error structures.
    """
    _check_same("coef_names", a.coef_names, b.coef_names)
    _check_same("grouping factors", [f.name for f in a.factors], [f.name for f in b.factors])
    for mine, theirs in zip(a.factors, b.factors, strict=True):
        _check_same(f"columns of {mine.name!r}", mine.coef_names, theirs.coef_names)
    terms, term_of_a, term_of_b = a.terms.unite(b.terms)
    b = _in_coordinates_of(a, b)
    WtW = np.zeros((terms.n_terms, *a.WtW.shape[1:]))
    np.add.at(WtW, term_of_a, a.WtW)
    np.add.at(WtW, term_of_b, b.WtW)
    levels_of = [_unite_levels(f.levels, g.levels) for f, g in zip(a.factors, b.factors, strict=True)]
    return replace(
        a,
        factors=tuple(
            _add_groups(f, g, levels, (term_of_a, term_of_b))
            for f, g, levels in zip(a.factors, b.factors, levels_of, strict=True)
        ),
        crossed=tuple(
            _add_crossed(f, g, (levels_of[f.first], levels_of[f.second]), (term_of_a, term_of_b))
            for f, g in zip(a.crossed, b.crossed, strict=True)
        ),
        terms=terms,
        n=a.n + b.n,
        WtW=WtW,
    )


def _check_same(what: str, a: object, b: object) -> None:
    if a != b:
        raise ModelError(
            f"Gram + Gram: {what} differ: {a!r} and {b!r}; only statistics of the same formula can be added."
        )


def _in_coordinates_of(a: Gram, b: Gram) -> Gram:
    p = len(a.coef_names)
    M = np.eye(p + 1)
    M[:p, :p] = np.linalg.solve(b.x_map, a.x_map)
    M[:p, p] = np.linalg.solve(b.x_map, b.y_shift - a.y_shift)
    z = [np.linalg.solve(g.z_map, f.z_map) for f, g in zip(a.factors, b.factors, strict=True)]
    return replace(
        b,
        WtW=M.T @ b.WtW @ M,
        factors=tuple(
            replace(g, ZtZ=Mz.T @ g.ZtZ @ Mz, ZtW=Mz.T @ g.ZtW @ M) for g, Mz in zip(b.factors, z, strict=True)
        ),
        crossed=tuple(replace(c, ZtZ=z[c.first].T @ c.ZtZ @ z[c.second]) for c in b.crossed),
    )


def _unite_levels(a: NDArray[np.generic], b: NDArray[np.generic]) -> tuple[NDArray[np.generic], Index, Index]:
    """Return the levels of a, then those only in b, and the place of each level of a and b among them."""
    place = {label: i for i, label in enumerate(a.tolist())}
    new = [label for label in b.tolist() if label not in place]
    place.update({label: len(a) + i for i, label in enumerate(new)})
    levels = np.concatenate([a, np.asarray(new, dtype=b.dtype)]) if new else a
    of_b = np.array([place[label] for label in b.tolist()], dtype=np.intp)
    return levels, np.arange(len(a)), of_b


def _add_groups(
    f: GroupProducts,
    g: GroupProducts,
    united: tuple[NDArray[np.generic], Index, Index],
    term_of: tuple[Index, Index],
) -> GroupProducts:
    levels, J = united[0], max(len(united[0]), 1)
    both = tuple(zip((f, g), term_of, united[1:], strict=True))
    pair_keys = []
    for one, term, level in both:
        r, c = level[one.pair_row], level[one.pair_col]
        pair_keys.append((term[one.pair_term] * J + np.minimum(r, c)) * J + np.maximum(r, c))
    pairs, ZtZ = _sum_by_key(np.concatenate(pair_keys), np.concatenate([f.ZtZ, _turned(g, united[2])]))
    level_keys = [term[one.level_term] * J + level[one.level_index] for one, term, level in both]
    entries, ZtW = _sum_by_key(np.concatenate(level_keys), np.concatenate([f.ZtW, g.ZtW]))
    return replace(
        f,
        levels=levels,
        pair_term=pairs // (J * J),
        pair_row=pairs // J % J,
        pair_col=pairs % J,
        ZtZ=ZtZ,
        level_term=entries // J,
        level_index=entries % J,
        ZtW=ZtW,
    )


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


def _sum_by_key(keys: Index, values: Array) -> tuple[Index, Array]:
    distinct, place = np.unique(keys, return_inverse=True)
    total = np.zeros((len(distinct), *values.shape[1:]))
    np.add.at(total, place, values)
    return distinct, total
