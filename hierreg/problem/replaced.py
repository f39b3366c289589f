"""The problem of the same rows with other responses: nothing is read, learned or resolved again.

Formula, columns, error structure and priors stay, default priors too, which would otherwise follow the response. Only
cross-products are collected anew, of arrays that are there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, read_only
from hierreg.errors.known_covariance.value import BlockCovariance, BlocksOfSize
from hierreg.exceptions import DataError
from hierreg.gram.collect import collect_part
from hierreg.likelihood.engines import blocks_of
from hierreg.problem.family import FamilyProblem, as_layout, check_some_variation, unit_of
from hierreg.response import LogNormalResponse
from hierreg.variances.parameters import variance_parameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]


def with_response(problem: Problem | FamilyProblem, y: Array) -> Problem | FamilyProblem:
    """Return the problem with another response.

    Parameters
    ----------
    problem : Problem
        With its rows.
    y : array (N,)
        As it is given: successes, counts, values, or categories counted from zero.

    Raises
    ------
    DataError
        If no model is made of such a response: it is not finite, none of the family's, or says nothing (zeros in every
        row, an ordered category in none).
    """
    if not np.all(np.isfinite(y)):
        raise DataError(f"the response has {int(np.sum(~np.isfinite(y)))} values that are not finite numbers.")
    y = read_only(np.array(y, dtype=np.float64))
    if isinstance(problem, FamilyProblem):
        return _of_family(problem, y)
    design = replace(problem.design, y=y)
    gram = collect_part(design, problem.layout)
    return replace(problem, design=design, gram=gram, blocks=blocks_of(gram, problem.fixed), kept=None)


def _of_family(problem: FamilyProblem, y: Array) -> FamilyProblem:
    family = problem.family
    family.check_values(y, problem.design.response_name)
    y = read_only(np.log(y)) if isinstance(family, LogNormalResponse) else y
    observed = replace(problem.observed, y=y)
    check_some_variation(observed, family, problem.design.response_name)
    _check_categories(problem, y)
    working, information = family.working(observed)
    inner = read_only(working - problem.offset)
    design = replace(problem.design, y=inner)
    return replace(
        problem,
        observed=observed,
        design=design,
        gram=collect_part(design, as_layout((problem.weights * information) ** -0.5)),
        unit=family.unit or unit_of(inner, family),
        kept=None,
    )


def _check_categories(problem: FamilyProblem, y: Array) -> None:
    """Raise where an ordered category is in no row: a table of such rows would not know that there is one."""
    if not problem.family.has_level:
        seen = np.isin(np.arange(len(problem.observed.categories)), y)
        if not seen.all():
            missing = [name for name, is_seen in zip(problem.observed.categories, seen, strict=True) if not is_seen]
            raise DataError(f"the response has no row of the categories {listed(missing)}.")


def twice(problem: Problem | FamilyProblem) -> Problem | FamilyProblem:
    """Return the problem in which every row was observed twice, in the same groups and in units of their own.

    The responses are those of the rows, and the same again: what `with_response` replaces.
    """
    design = _design_twice(problem.design)
    if isinstance(problem, FamilyProblem):
        return _family_twice(problem, design)
    layout = _layout_twice(problem.layout)
    gram = collect_part(design, layout)
    factors = [(factor.name, factor.coef_names, factor.term_sizes) for factor in design.factors]
    return replace(
        problem,
        design=design,
        layout=layout,
        gram=gram,
        parameters=variance_parameters(gram.terms, problem.priors, factors=factors),
        blocks=blocks_of(gram, problem.fixed),
        kept=None,
    )


def _family_twice(problem: FamilyProblem, design: Design) -> FamilyProblem:
    observed = problem.observed
    both = replace(
        observed, y=_two(observed.y), trials=_two(observed.trials), stratum=np.concatenate([observed.stratum] * 2)
    )
    weights = _two(problem.weights)
    information = problem.family.working(both)[1]
    return replace(
        problem,
        design=design,
        observed=both,
        offset=_two(problem.offset),
        weights=weights,
        gram=collect_part(design, as_layout((weights * information) ** -0.5)),
        X=_two(problem.X),
        Z=_two(problem.Z),
        kept=None,
    )


def _two(array: Array) -> Array:
    return read_only(np.concatenate([array, array]))


def _design_twice(design: Design) -> Design:
    X = _two(design.X)
    # One array for both sides of the bar stays one: it is worth one pass.
    factors = tuple(
        replace(one, index=np.concatenate([one.index] * 2), Z=X if one.Z is design.X else _two(one.Z))
        for one in design.factors
    )
    return replace(design, y=_two(design.y), X=X, factors=factors)


def _layout_twice(layout: ErrorLayout) -> ErrorLayout:
    changed: dict[str, Any] = {"stratum": np.concatenate([layout.stratum] * 2)}
    if layout.unit is not None:
        changed["unit"] = np.concatenate([layout.unit, layout.unit + int(layout.unit.max(initial=-1)) + 1])
        changed["unit_labels"] = layout.unit_labels + tuple(f"{label} again" for label in layout.unit_labels)
    if layout.time is not None:
        changed["time"] = np.concatenate([layout.time] * 2)
    if layout.se is not None:
        changed["se"] = _two(layout.se)
    if layout.V is not None:
        n = layout.V.n
        batches = tuple(
            BlocksOfSize(rows=np.concatenate([one.rows, one.rows + n]), V=np.concatenate([one.V, one.V]))
            for one in layout.V.batches
        )
        changed["V"] = BlockCovariance(n=2 * n, batches=batches)
    return replace(layout, **changed)
