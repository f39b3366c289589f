"""Checks of a Gram basis that was read from a file: shapes, ranges, finite values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import DataError
from hierreg.gram.bare import is_bare

if TYPE_CHECKING:
    from hierreg.gram.basis import Gram, GroupProducts
    from hierreg.gram.terms import ErrorTerms


def check_gram(gram: Gram, where: str, *, is_part: bool = False) -> None:
    """Raise a `DataError` unless all parts of a Gram basis fit each other.

    Parameters
    ----------
    gram : Gram
    where : str
        The file, for the message.
    is_part : bool
        Whether products may be left out that triangles give (`gram.bare`).
    """
    try:
        _check(gram, is_bare=is_part and is_bare(gram))
    except (ValueError, AttributeError, TypeError, IndexError) as error:
        raise DataError(f"path={where!r} is damaged: {error}. Write it anew.") from error
    if gram.own is not None:
        check_gram(gram.own, where, is_part=is_part)


def _check(gram: Gram, *, is_bare: bool) -> None:
    p, K = len(gram.coef_names), gram.terms.n_terms
    frame, response, terms = gram.frame, gram.response, gram.terms
    if frame is None or response is None:
        raise ValueError("there are no internal coordinates")
    _shape("WtW", gram.WtW, (0 if is_bare else K, p + 1, p + 1))
    _shape("left", gram.left, (len(gram.left_term), p + 1))
    _index("left", gram.left_term, len(gram.left_term), K)
    _left(gram)
    _shape("x_map", gram.x_map, (p, p))
    _shape("y_shift", gram.y_shift, (p,))
    _patterns(terms)
    _frame(frame, p + 1, p)
    for name in ("n", "mean", "squares"):
        _shape(f"response {name}", getattr(response, name), (len(response.labels),))
    if not (isinstance(gram.n, int) and gram.n > 0 and frame.n == gram.n and response.n.sum() == gram.n):
        raise ValueError(f"the numbers of rows differ: {gram.n!r}, {frame.n!r} and {response.n.sum()!r}")
    if np.any(terms.counts < 0) or not np.isfinite(terms.log_det_known):
        raise ValueError("counts of units are negative, or log|V| is not finite")
    for factor in gram.factors:
        _factor(factor, p, K, is_bare=is_bare)
    if gram.origin is not None:
        _levels_of_origin(gram)
    places = [(j, i) for i in range(len(gram.factors)) for j in range(i)]
    if [(crossed.first, crossed.second) for crossed in gram.crossed] != places:
        raise ValueError("the pairs of grouping factors are not complete")
    for crossed in gram.crossed:
        a, b = gram.factors[crossed.first], gram.factors[crossed.second]
        _shape("crossed ZtZ", crossed.ZtZ, (len(crossed.term), a.n_coef, b.n_coef))
        for index, bound in ((crossed.term, K), (crossed.row, a.n_levels), (crossed.col, b.n_levels)):
            _index("crossed", index, len(crossed.term), bound)


def _patterns(terms: ErrorTerms) -> None:
    D, M = len(terms.labels), len(terms.patterns)
    _shape("patterns", terms.patterns, (M, D))
    _shape("counts", terms.counts, (M,))
    _shape("gaps", terms.gaps, (M,))
    if np.any(terms.gaps < 0) or np.any((terms.gaps > 0) & ~((D == 2) & terms.patterns.all(axis=1))):
        raise ValueError("gaps belong to other than two rows")


def _left(gram: Gram) -> None:
    """Check that the data sets of a pattern have as many rows left each, by the data sets' own terms."""
    pattern, d, e = gram.terms.table[gram.left_term].T
    counts = np.bincount(gram.left_term, minlength=gram.terms.n_terms)[gram.terms.table[:, 1] == gram.terms.table[:, 2]]
    own = gram.terms.table[gram.terms.table[:, 1] == gram.terms.table[:, 2], 0]
    if np.any(d != e) or np.any(np.diff(gram.left_term) < 0):
        raise ValueError("what is left of the rows is not in the order of its terms")
    if any(len(set(counts[own == m].tolist())) > 1 for m in set(pattern.tolist())):
        raise ValueError("what is left of the rows of a pattern differs in length")


def _levels_of_origin(gram: Gram) -> None:
    assert gram.origin is not None
    learned = gram.origin.learned.factors
    if [factor.name for factor in learned] != [factor.name for factor in gram.factors]:
        raise ValueError("the grouping factors of the formula are others")
    for known, factor in zip(learned, gram.factors, strict=True):
        if len(set(known.levels)) < len(known.levels) or set(known.levels) != set(factor.levels.tolist()):
            raise ValueError(f"the levels of {factor.name!r} are not those of its statistics")


def _factor(factor: GroupProducts, p: int, K: int, *, is_bare: bool) -> None:
    q, J, E, F = factor.n_coef, factor.n_levels, len(factor.pair_term), len(factor.level_term)
    _shape("levels", factor.levels, (J,))
    _shape("ZtZ", factor.ZtZ, (E, q, q))
    _shape("ZtW", factor.ZtW, (0 if is_bare else F, q, p + 1))
    height = factor.triangle.shape[1] if factor.triangle.ndim == 3 else q
    _shape("triangle", factor.triangle, (F if is_bare or len(factor.triangle) else 0, height, q + p + 1))
    _shape("z_map", factor.z_map, (q, q))
    _frame(factor.frame, q, q)
    for index, n, bound in (
        (factor.pair_term, E, K),
        (factor.pair_row, E, J),
        (factor.pair_col, E, J),
        (factor.level_term, F, K),
        (factor.level_index, F, J),
    ):
        _index(f"groups of {factor.name!r}", index, n, bound)
    if len(set(factor.levels.tolist())) < J:
        raise ValueError(f"levels of {factor.name!r} occur twice")


def _frame(frame: Any, m: int, n_predictors: int) -> None:
    for name, shape in (("centre", (m,)), ("basis", (m, m)), ("products", (m, m)), ("mean", (m,)), ("squares", (m,))):
        _shape(name, getattr(frame, name), shape)
    if frame.n_predictors != n_predictors or not (frame.constant is None or 0 <= frame.constant < m):
        raise ValueError("the internal coordinates have another number of columns")


def _shape(name: str, array: Any, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, not {shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")


def _index(name: str, index: Any, n: int, bound: int) -> None:
    if index.shape != (n,) or (n and (index.min() < 0 or index.max() >= bound)):
        raise ValueError(f"{name}: positions outside 0 to {bound - 1}")
