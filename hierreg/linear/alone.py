"""A result in the place of a model: it carries its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xarray as xr

from hierreg.design_matrices.kept import table_of
from hierreg.exceptions import ModelError
from hierreg.problem.effects import refusal
from hierreg.results.carried import problem_and_table
from hierreg.results.effects import EffectsEstimate
from hierreg.results.point import Coefficients

if TYPE_CHECKING:
    import pandas as pd

    from hierreg.predictive.of_model import ModelLike
    from hierreg.problem.family import FamilyProblem
    from hierreg.problem.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CarriedModel:
    """The model that a result carries.

    Attributes
    ----------
    problem : Problem or FamilyProblem
    data : DataFrame or None
        The columns of its rows; None of statistics alone, or where there were too many to keep.
    """

    problem: Any
    data: pd.DataFrame | None


def model_and_result(model: Any, at: Any, call: str) -> tuple[ModelLike, xr.DataTree | Coefficients]:
    """Return a model and a result of it, where the two are given or a result alone.

    Parameters
    ----------
    model : Model, DataTree, Estimate or Coefficients
    at : DataTree, Estimate, Coefficients or None
        None where `model` is a result.
    call : str
        How the function is called with a result alone, ``hr.predict(tree, newdata)``.

    Raises
    ------
    ModelError, DataError
        If there are two results or none, or the result does not know its model.
    """
    if not isinstance(model, xr.DataTree | Coefficients | EffectsEstimate):
        if at is None:
            raise ModelError(
                "at is missing: give what Model.sample, Model.estimate or Model.solve of the model returned, or that "
                f"alone, {call}."
            )
        return model, at
    if at is not None:
        raise ModelError(
            f"model is a result, and at is given too: give a result alone, {call}, or a model and a result."
        )
    return model_of(model), model  # type: ignore[return-value]  # estimates with effects are refused


def model_of(what: Any) -> ModelLike:
    """Return a model itself, or the one that a result carries.

    Raises
    ------
    ModelError, DataError
        If the result does not know its model.
    """
    if isinstance(what, xr.DataTree):
        problem, data = problem_and_table(what)
        return CarriedModel(problem=problem, data=data)
    if isinstance(what, EffectsEstimate):
        raise refusal("predict at an estimate", what.effects)
    if isinstance(what, Coefficients):
        if what.problem is None:
            raise ModelError("the estimate does not know its model: give both, the model and at=estimate.")
        return CarriedModel(problem=what.problem, data=kept_rows(what.problem))
    return what  # type: ignore[no-any-return]  # a model, or refused by who asks for its problem


def kept_rows(problem: Problem | FamilyProblem) -> pd.DataFrame | None:
    """Return the columns that a model keeps; None of statistics alone, or where there were too many to keep."""
    kept = problem.kept
    return None if kept is None or kept.columns is None or not len(problem.design.y) else table_of(kept.columns)
