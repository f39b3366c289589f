"""The Gram basis: every cross-product of the rows that the likelihood needs, collected in one pass.

With W = [X y] the precision of the errors is R^-1 = sum_k omega[k] K[k] (see `error_structure`), so the
data enter only through ``Z'K[k]Z``, ``Z'K[k]W`` and ``W'K[k]W``. They are stored by term, and for Z by pair
of group levels, so that two collections can be added.

Cross-products square the condition number. The columns are therefore centred, scaled and orthogonalised
before they are multiplied, the least-squares fit is taken off y, and the maps that undo this are kept::

    X_internal = X x_map        beta = y_shift + x_map beta_internal
    Z_internal = Z z_map        b    = z_map b_internal
    y_internal = y - X y_shift
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.gram.terms import ErrorTerms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gram:
    """Cross-products of one table under one error structure.

    Attributes
    ----------
    coef_names : tuple of str
        The p columns of X.
    factor : str or None
        Grouping factor; None for a model without group effects.
    factor_coef_names : tuple of str
        The q columns of Z.
    levels : array (J,)
        Labels of the groups.
    terms : ErrorTerms
        The K terms of the error precision, and the counts that log|R| needs.
    n : int
        Number of rows.
    pair_term, pair_row, pair_col : int arrays (E,)
        Term and pair of levels (row <= col) of each entry of ``ZtZ``.
    ZtZ : array (E, q, q)
        Internal scale; only the entries that occur.
    level_term, level_index : int arrays (F,)
        Term and level of each entry of ``ZtW``.
    ZtW : array (F, q, p + 1)
        Z'K[k][X y], internal scale.
    WtW : array (K, p + 1, p + 1)
        [X y]'K[k][X y], internal scale.
    x_map : array (p, p)
    z_map : array (q, q)
    y_shift : array (p,)
        The maps of the module's docstring.
    """

    coef_names: tuple[str, ...]
    factor: str | None
    factor_coef_names: tuple[str, ...]
    levels: NDArray[np.generic]
    terms: ErrorTerms
    n: int
    pair_term: NDArray[np.intp]
    pair_row: NDArray[np.intp]
    pair_col: NDArray[np.intp]
    ZtZ: Array
    level_term: NDArray[np.intp]
    level_index: NDArray[np.intp]
    ZtW: Array
    WtW: Array
    x_map: Array
    z_map: Array
    y_shift: Array

    @property
    def n_levels(self) -> int:
        """Number of groups J."""
        return len(self.levels)

    def __add__(self, other: Gram) -> Gram:
        """Return the Gram basis of the rows of both, in the internal coordinates of the first."""
        if not isinstance(other, Gram):
            return NotImplemented
        return add(self, other)


def add(a: Gram, b: Gram) -> Gram:
    """Return the Gram basis of the rows of both tables, in the internal coordinates of the first.

    Groups, data sets and missingness patterns of both are united by label. The errors of the two tables are
    taken to be independent: rows of one unit, or with a known covariance, have to be in the same table.

    Raises
    ------
    ModelError
        If the two come from different formulas or error structures.
    """
    for what in ("coef_names", "factor", "factor_coef_names"):
        if getattr(a, what) != getattr(b, what):
            raise ModelError(
                f"Gram + Gram: {what} differ: {getattr(a, what)!r} and {getattr(b, what)!r}; "
                "only statistics of the same formula can be added."
            )
    terms, term_of_a, term_of_b = a.terms.unite(b.terms)
    b = _in_coordinates_of(a, b)
    levels, level_of_a, level_of_b = _unite_levels(a.levels, b.levels)
    J = max(len(levels), 1)
    K = terms.n_terms
    WtW = np.zeros((K, *a.WtW.shape[1:]))
    np.add.at(WtW, term_of_a, a.WtW)
    np.add.at(WtW, term_of_b, b.WtW)
    pair_keys = [
        _pair_keys(g, term_of, level_of, J)
        for g, term_of, level_of in ((a, term_of_a, level_of_a), (b, term_of_b, level_of_b))
    ]
    pairs, ZtZ = _sum_by_key(np.concatenate(pair_keys), np.concatenate([a.ZtZ, _turned(b, level_of_b)]))
    level_keys = [
        term_of[g.level_term] * J + level_of[g.level_index]
        for g, term_of, level_of in ((a, term_of_a, level_of_a), (b, term_of_b, level_of_b))
    ]
    entries, ZtW = _sum_by_key(np.concatenate(level_keys), np.concatenate([a.ZtW, b.ZtW]))
    return replace(
        a,
        levels=levels,
        terms=terms,
        n=a.n + b.n,
        pair_term=pairs // (J * J),
        pair_row=pairs // J % J,
        pair_col=pairs % J,
        ZtZ=ZtZ,
        level_term=entries // J,
        level_index=entries % J,
        ZtW=ZtW,
        WtW=WtW,
    )


def _in_coordinates_of(a: Gram, b: Gram) -> Gram:
    p = len(a.coef_names)
    M = np.eye(p + 1)
    M[:p, :p] = np.linalg.solve(b.x_map, a.x_map)
    M[:p, p] = np.linalg.solve(b.x_map, b.y_shift - a.y_shift)
    Mz = np.linalg.solve(b.z_map, a.z_map) if a.factor else np.empty((0, 0))
    return replace(b, WtW=M.T @ b.WtW @ M, ZtW=Mz.T @ b.ZtW @ M, ZtZ=Mz.T @ b.ZtZ @ Mz)


def _unite_levels(
    a: NDArray[np.generic], b: NDArray[np.generic]
) -> tuple[NDArray[np.generic], NDArray[np.intp], NDArray[np.intp]]:
    """Return the levels of a, then those only in b, and the place of each level of a and b among them."""
    place = {label: i for i, label in enumerate(a.tolist())}
    new = [label for label in b.tolist() if label not in place]
    place.update({label: len(a) + i for i, label in enumerate(new)})
    levels = np.concatenate([a, np.asarray(new, dtype=b.dtype)]) if new else a
    of_b = np.array([place[label] for label in b.tolist()], dtype=np.intp)
    return levels, np.arange(len(a)), of_b


def _pair_keys(g: Gram, term_of: NDArray[np.intp], level_of: NDArray[np.intp], J: int) -> NDArray[np.intp]:
    r, c = level_of[g.pair_row], level_of[g.pair_col]
    keys: NDArray[np.intp] = (term_of[g.pair_term] * J + np.minimum(r, c)) * J + np.maximum(r, c)
    return keys


def _turned(g: Gram, level_of: NDArray[np.intp]) -> Array:
    """Return ZtZ of b, transposed where its pair of levels changes order in the united numbering."""
    turn = level_of[g.pair_row] > level_of[g.pair_col]
    return np.where(turn[:, None, None], np.swapaxes(g.ZtZ, 1, 2), g.ZtZ)


def _sum_by_key(keys: NDArray[np.intp], values: Array) -> tuple[NDArray[np.intp], Array]:
    distinct, place = np.unique(keys, return_inverse=True)
    total = np.zeros((len(distinct), *values.shape[1:]))
    np.add.at(total, place, values)
    return distinct, total
