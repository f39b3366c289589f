"""Where a Gram basis comes from: what is needed to make a model of it, and to predict with that."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hierreg.design_matrices.learned import LearnedState
    from hierreg.design_matrices.levels import FactorLevels
    from hierreg.errors.base import ErrorSpec

    Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Formula, errors and what the columns were learned to be.

    Attributes
    ----------
    learned : LearnedState
        Formula, levels, and what transforms learned.
    errors : ErrorSpec
        The error structure; of a known covariance the size alone is kept in files.
    """

    learned: LearnedState
    errors: ErrorSpec


def unite_origins(a: Origin, b: Origin) -> Origin:
    """Return the origin of the rows of both; levels of grouping factors are united.

    Raises
    ------
    ModelError
        If the columns of the two do not mean the same: other levels of a predictor, other centres, other knots.
    """
    from hierreg.design_matrices.learned import encoded
    from hierreg.design_matrices.levels import unite_factors

    mine, theirs = a.learned, b.learned
    for what, one, other in (
        ("formulas", mine.formula, theirs.formula),
        ("error structures", a.errors.without_data(), b.errors.without_data()),
        ("levels of the categorical predictors", dict(mine.levels), dict(theirs.levels)),
    ):
        if one != other:
            raise ModelError(f"Gram + Gram: the {what} differ: {one!r} and {other!r}.")
    if encoded(dict(mine.transforms)) != encoded(dict(theirs.transforms)):
        raise ModelError(
            "Gram + Gram: the transforms of the formula have learned different means, knots or norms from the two "
            "tables, so that their columns differ. Use hr.Gram.from_batches on both tables, or transform the columns "
            "beforehand."
        )
    factors = tuple(unite_factors(f, g) for f, g in zip(mine.factors, theirs.factors, strict=True))
    return replace(a, learned=replace(mine, factors=factors))


def check_determined(mine: LearnedState, theirs: LearnedState) -> None:
    """Raise unless the same columns were dropped from both, for the same reason.

    Raises
    ------
    ModelError
        If what determines them differs.
    """
    for factor in {**mine.determined, **theirs.determined}:
        one, other = mine.determined.get(factor), theirs.determined.get(factor)
        if one is None or other is None or not one.is_same(other):
            raise ModelError(
                "Gram + Gram: collinear columns were dropped, and what determines them differs between the two tables "
                f"({', '.join(f'{d.dropped_names!r}' if d is not None else 'none' for d in (one, other))} dropped), so "
                "that they are not collinear in both together. Use hr.Gram.from_batches on both tables."
            )


def origin_to_json(origin: Origin) -> Arrays:
    """Return an origin as arrays: one of JSON, and those of the levels of grouping factors."""
    from hierreg.design_matrices.collinear import determined_to_json
    from hierreg.design_matrices.learned import encoded

    learned = origin.learned
    head = {
        "formula": learned.formula,
        "levels": [[list(key), list(levels)] for key, levels in learned.levels.items()],
        "transforms": encoded(dict(learned.transforms)),
        "errors": origin.errors.to_json(),
        "factors": [{"name": factor.name, "columns": factor.columns} for factor in learned.factors],
        "determined": determined_to_json(learned.determined),
    }
    out: Arrays = {"head": np.array(json.dumps(head))}
    for i, factor in enumerate(learned.factors):
        out[f"codes{i}"] = factor.codes
        for c, levels in enumerate(factor.column_levels):
            out[f"levels{i}.{c}"] = np.array(levels)
    return out


def origin_from_json(arrays: Mapping[str, np.ndarray[Any, Any]]) -> Origin:
    """Return what `origin_to_json` was given; a known covariance has no values."""
    from hierreg.design_matrices.collinear import determined_from_json
    from hierreg.design_matrices.learned import LearnedState, decoded
    from hierreg.design_matrices.levels import factor_levels
    from hierreg.errors.structures import errors_from_json

    head = json.loads(str(arrays["head"]))
    factors: list[FactorLevels] = []
    for i, factor in enumerate(head["factors"]):
        columns = tuple(factor["columns"])
        levels = tuple(tuple(arrays[f"levels{i}.{c}"].tolist()) for c in range(len(columns)))
        factors.append(factor_levels(factor["name"], columns, levels, arrays[f"codes{i}"].astype(np.intp)))
    learned = LearnedState(
        formula=head["formula"],
        levels={tuple(key): tuple(levels) for key, levels in head["levels"]},
        transforms=decoded(head["transforms"]),
        factors=tuple(factors),
        determined=determined_from_json(head.get("determined", [])),
    )
    return Origin(learned=learned, errors=errors_from_json(head["errors"]))
