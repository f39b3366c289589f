"""The problem of other rows of the same kind: groups drawn anew from those of a model, for studies to come."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import read_only
from hierreg.exceptions import ModelError
from hierreg.gram.collect import are_within, collect_part
from hierreg.problem.problem import of_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.problem.problem import Problem

    Index = NDArray[np.intp]


def check_resampled(problem: Problem, factor: int | None, *, with_rows: bool) -> None:
    """Raise where groups or rows of a model cannot be drawn anew.

    Parameters
    ----------
    problem : Problem
    factor : int or None
        Place of the grouping factor whose groups are drawn; None where there is none.
    with_rows : bool
        Whether the number of rows is asked for.

    Raises
    ------
    ModelError
    """
    layout = problem.layout
    if layout.V is not None:
        raise ModelError(
            f"errors={layout.spec}: a known covariance is that of these rows, and nothing says what that of others is. "
            "Use hr.known_se(column), or another error structure."
        )
    if layout.unit is None:
        return
    if with_rows:
        raise ModelError(
            f"rows= with errors={layout.spec}: rows of a unit belong together, and are not taken apart. Leave rows "
            "out: groups are drawn with all their rows."
        )
    if factor is not None and not are_within(layout.unit, problem.design.factors[factor].index):
        raise ModelError(
            f"errors={layout.spec}: units have rows in several groups of "
            f"{problem.design.factors[factor].name!r}, so that a group cannot be drawn without the others."
        )


def drawn_rows(
    problem: Problem, factor: int | None, size: tuple[int | None, int | None], rng: np.random.Generator
) -> tuple[Index, Index]:
    """Return rows (n,) of a model, and the new group (n,) of each.

    Each group of the new study is one of the model, drawn with equal chances; it has so many of its rows: each as often
    as any other, but for one.

    Parameters
    ----------
    problem : Problem
    factor : int or None
    size : (int or None, int or None)
        Groups, and rows of each; None for as many as there are.
    rng : Generator
    """
    n = len(problem.design.y)
    index = np.zeros(n, dtype=np.intp) if factor is None else problem.design.factors[factor].index
    groups, rows = size
    members = np.split(np.argsort(index, kind="stable"), np.flatnonzero(np.diff(np.sort(index))) + 1)
    chosen = np.arange(len(members)) if groups is None else rng.integers(len(members), size=groups)
    parts = [members[i] if rows is None else _of_group(members[i], rows, rng) for i in chosen]
    return np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts]).astype(np.intp)


def _of_group(members: Index, rows: int, rng: np.random.Generator) -> Index:
    whole, rest = divmod(rows, len(members))
    return np.concatenate([np.tile(members, whole), rng.permutation(members)[:rest]])


def resampled(problem: Problem, factor: int | None, rows: Index, group: Index) -> Problem:
    """Return the problem of drawn rows, under the priors of the model.

    Groups of other factors that lie within one group of the factor are new with it; those that cross it stay.

    Parameters
    ----------
    problem : Problem
        Of normal responses.
    factor : int or None
    rows, group : int arrays (n,)
        From `drawn_rows`.
    """
    design = _design_of(problem, factor, rows, group)
    layout = _layout_of(problem.layout, rows, group)
    return of_other_rows(problem, design, layout)


def of_other_rows(problem: Problem, design: Design, layout: ErrorLayout) -> Problem:
    """Return the problem of other rows under the priors of a model.

    What priors say in internal coordinates is of the columns of the model: here it follows from what they say of the
    columns as they stand.
    """
    priors = replace(problem.priors, beta_inner=None)
    found = of_parts(problem.formula, design, problem.state, layout, collect_part(design, layout), priors)
    return replace(found, parameters=replace(found.parameters, internal=None))


def _design_of(problem: Problem, factor: int | None, rows: Index, group: Index) -> Design:
    design = problem.design
    X, factors = read_only(design.X[rows]), []
    for place, one in enumerate(design.factors):
        Z = X if one.Z is design.X else read_only(one.Z[rows])
        levels: tuple[Any, ...]
        if place == factor:
            index, levels = group, tuple(range(int(group.max()) + 1))
        elif factor is not None and are_within(one.index, design.factors[factor].index):
            pairs, index = np.unique(group * len(one.levels) + one.index[rows], return_inverse=True)
            levels = tuple(range(len(pairs)))
        else:
            index, levels = one.index[rows], one.levels
        factors.append(replace(one, levels=levels, index=index.astype(np.intp), Z=Z))
    return replace(design, y=read_only(np.zeros(len(rows))), X=X, factors=tuple(factors))


def _layout_of(layout: ErrorLayout, rows: Index, group: Index) -> ErrorLayout:
    changed: dict[str, Any] = {"stratum": layout.stratum[rows]}
    if layout.unit is not None:
        pairs, unit = np.unique(group * (int(layout.unit.max()) + 1) + layout.unit[rows], return_inverse=True)
        changed["unit"] = unit.astype(np.intp)
        changed["unit_labels"] = tuple(map(str, range(len(pairs))))
    if layout.time is not None:
        changed["time"] = layout.time[rows]
    if layout.se is not None:
        changed["se"] = read_only(layout.se[rows])
    return replace(layout, **changed)
