"""Collinear columns of a Gram basis: refused, as `design_matrices.collinear` judges, or dropped by a linear map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.design_matrices.collinear import Determined, check_or_drop, check_some_left, what_group_columns
from hierreg.gram.addition import moved
from hierreg.gram.frame import measured_frame, without_columns
from hierreg.gram.triangles import Left, classes_of, fewest, rotated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hierreg.gram.basis import Gram, GroupProducts
    from hierreg.gram.frame import Frame


def check_rank(gram: Gram) -> None:
    """Raise unless the columns of all rows are linearly independent.

    Raises
    ------
    DataError
        If columns are collinear, on either side of the bar.
    """
    determined_of(gram, drop=False)


def determined_of(gram: Gram, *, drop: bool) -> dict[str, Determined]:
    """Return the columns that those before them determine, by grouping factor; "" for the population columns.

    Raises
    ------
    DataError
        If there are such columns and they must not be dropped, or a factor would have no column left.
    """
    assert gram.frame is not None
    out = {}
    measured = measured_frame(gram.frame, gram.coef_names)
    own = check_or_drop(measured, what="population columns", n=gram.n, drop=drop)
    if own is not None:
        out[""] = own
    for factor in gram.factors:
        assert factor.frame is not None
        measured = measured_frame(factor.frame, factor.coef_names)
        own = check_or_drop(measured, what=what_group_columns(factor.name), n=gram.n, drop=drop)
        if own is not None:
            check_some_left(own, factor.name)
            out[factor.name] = own
    return out


def without_determined(gram: Gram, determined: Mapping[str, Determined]) -> Gram:
    """Return the Gram basis of the same rows without the columns that others determine."""
    if not determined:
        return gram
    own = without_determined(gram.own, determined) if gram.own is not None else None
    assert gram.frame is not None
    frame, M = without_columns(gram.frame, _kept(determined.get(""), len(gram.coef_names)))
    z = [without_columns(_frame(f), _kept(determined.get(f.name), f.n_coef)) for f in gram.factors]
    out = moved(gram, M, z)
    p, table = frame.n_predictors, gram.terms.table
    left = [Left(rows=out.left, term=out.left_term)]
    factors = []
    for f in out.factors:
        names = _names(f.coef_names, determined.get(f.name))
        f = replace(f, coef_names=names)  # noqa: PLW2901
        if len(f.triangle):
            classes = classes_of(f, table)
            assert classes is not None
            triangle, rest = rotated(f, classes, table, (np.arange(len(f.triangle)), f.triangle))
            f = replace(f, triangle=triangle)  # noqa: PLW2901
            left.append(rest)
        factors.append(f)
    all_left = fewest(left, table, p + 1)
    return replace(
        out,
        coef_names=_names(gram.coef_names, determined.get("")),
        factors=tuple(factors),
        left=all_left.rows,
        left_term=all_left.term,
        x_map=frame.map[:p, :p],
        y_shift=-frame.map[:p, p],
        frame=frame,
        own=own,
    )


def _frame(factor: GroupProducts) -> Frame:
    assert factor.frame is not None
    return factor.frame


def _kept(determined: Determined | None, n: int) -> tuple[int, ...]:
    return tuple(range(n)) if determined is None else determined.kept


def _names(names: tuple[str, ...], determined: Determined | None) -> tuple[str, ...]:
    return names if determined is None else tuple(names[j] for j in determined.kept)
