"""Rows that have the statistics of others which are gone: a rotation, of which independent errors know nothing.

The triangles of groups and what they leave (`gram.triangles`) are rows of X and Z, and those beyond them are zero in
both: with y rotated in the same way the likelihood is that of the rows themselves, and so are simulated responses.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import read_only
from hierreg.exceptions import ModelError
from hierreg.problem.resampled import of_other_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

_MOST_VALUES = 2**28


def with_rotated_rows(problem: Problem, what: str) -> Problem:
    """Return the problem of statistics alone with rows that have these statistics; itself where it has rows.

    Parameters
    ----------
    problem : Problem
    what : str
        What needs rows, for the message.

    Raises
    ------
    ModelError
        If errors are correlated, there are several factors, or the rows would take more than 2 GiB.
    """
    if len(problem.design.y):
        return problem
    gram = problem.gram
    spec = problem.layout.spec
    if spec.has_units or spec.known_matrix is not None or not gram.has_triangles:
        raise ModelError(
            f"{what} of statistics alone (Model.from_gram) needs independent errors and one grouping factor at most; "
            f"here there are errors={spec} and {len(gram.factors)} factors. Use hr.Model(formula, "
            "table) with the rows, or a part of them."
        )
    if gram.n * (len(gram.coef_names) + gram.n_coef + 1) > _MOST_VALUES:
        raise ModelError(
            f"{what} of statistics alone simulates as many rows as there were, and {gram.n:,} would take more than 2 "
            "GiB. Use hr.Model(formula, table) with a part of the rows."
        )
    return _with_rows(problem, *_rows_of(gram))


def _rows_of(gram: Gram) -> tuple[Array, Array, Index, Index]:
    """Return [X y] (n, p + 1), Z (n, q), the term and the group of each row; zeros of y hold what is left of it."""
    p, q = len(gram.coef_names), gram.n_coef
    W, Z = [gram.left], [np.zeros((len(gram.left), q))]
    term, group = [gram.left_term], [np.zeros(len(gram.left), dtype=np.intp)]
    for factor in gram.factors:
        h = factor.triangle.shape[1]
        rows = factor.triangle.reshape(-1, q + p + 1)
        Z.append(rows[:, :q])
        W.append(rows[:, q:])
        term.append(np.repeat(factor.level_term, h))
        group.append(np.repeat(factor.level_index, h))
    all_W, all_Z = np.concatenate(W), np.concatenate(Z)
    terms, groups = np.concatenate(term), np.concatenate(group)
    kept = np.any(all_W != 0, axis=1) | np.any(all_Z != 0, axis=1)
    all_W, all_Z, terms, groups = all_W[kept], all_Z[kept], terms[kept], groups[kept]
    present = np.bincount(terms, minlength=gram.terms.n_terms)
    more = np.asarray(np.round(gram.terms.counts) - present, dtype=np.intp)
    n = int(more.sum())
    return (
        np.concatenate([all_W, np.zeros((n, p + 1))]),
        np.concatenate([all_Z, np.zeros((n, q))]),
        np.concatenate([terms, np.repeat(np.arange(len(more)), more)]),
        np.concatenate([groups, np.zeros(n, dtype=np.intp)]),
    )


def _with_rows(problem: Problem, W: Array, Z: Array, term: Index, group: Index) -> Problem:
    gram, p = problem.gram, len(problem.gram.coef_names)
    X = W[:, :p] @ np.linalg.inv(gram.x_map) if p else np.empty((len(W), 0))
    factors = tuple(
        replace(one, index=group, Z=read_only(Z @ np.linalg.inv(gram.z_map))) for one in problem.design.factors
    )
    design = replace(problem.design, y=read_only(W[:, p] + X @ gram.y_shift), X=read_only(X), factors=factors)
    se = np.ones(len(W)) if problem.layout.spec.is_known else None
    layout = replace(problem.layout, stratum=term, se=se)
    return of_other_rows(problem, design, layout)
