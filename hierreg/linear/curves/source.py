"""What curves are made from: a result, the model that it is of, and the rows of that, as far as they are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from hierreg.exceptions import DataError, ModelError
from hierreg.linear.alone import kept_rows
from hierreg.linear.effects.tables import observed
from hierreg.linear.prediction.predict import check_result
from hierreg.predictive.of_model import any_problem_of
from hierreg.problem.effects import refusal
from hierreg.problem.family import FamilyProblem
from hierreg.results.carried import problem_and_table
from hierreg.results.effects import EffectsEstimate
from hierreg.results.point import METHOD_NAMES, Coefficients, Estimate

if TYPE_CHECKING:
    import pandas as pd

    from hierreg.predictive.of_model import ModelLike

_NO_RESULT = (
    "give what Model.sample, Model.estimate, Model.solve or hr.load returned, or hr.prior_predictive(model) for lines "
    "from the prior."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """A result and its model.

    Attributes
    ----------
    problem : Problem or FamilyProblem
    at : DataTree or Coefficients
        Draws of the prior stand in the place of the posterior.
    data : DataFrame or None
        The rows of the model; None of statistics alone.
    kind : {"posterior", "prior", "estimate"}
    method : str
        What the estimate is called; empty for draws.
    """

    problem: Any
    at: Any
    data: pd.DataFrame | None
    kind: Literal["posterior", "prior", "estimate"]
    method: str = ""

    @property
    def is_family(self) -> bool:
        """Whether the response is not normal."""
        return isinstance(self.problem, FamilyProblem)


def source_of(result: Any, model: ModelLike | None, group: str | None) -> Source:
    """Return a result with its model.

    Parameters
    ----------
    result : DataTree, Estimate or Coefficients
    model : Model, optional
        Where the result does not know it, or has not its rows.
    group : {"posterior", "prior"}, optional
        Which draws of a tree; the prior where it has no posterior.

    Raises
    ------
    DataError, ModelError
        If it is no result, or not of the model, or does not know its model.
    """
    if isinstance(result, EffectsEstimate):
        raise refusal("predict at an estimate", result.effects)
    if isinstance(result, Coefficients):
        return _of_estimate(result, model, group)
    if not isinstance(result, xr.DataTree):
        raise ModelError(f"result has type {type(result).__name__}; {_NO_RESULT}")
    kind = _kind(result, group)
    problem, data = problem_and_table(result) if model is None else _of_model(model)
    at = with_prior_as_posterior(result, problem) if kind == "prior" else result
    check_result(at, problem, "link")
    return Source(problem=problem, at=at, data=data, kind=kind)


def _kind(tree: xr.DataTree, group: str | None) -> Literal["posterior", "prior"]:
    found = [name for name in ("posterior", "prior") if name in tree.children]
    if not found or (group is not None and group not in found):
        has = ", ".join(str(name) for name in tree.children) or "none"
        what = f"group={group!r}, but the result has the groups {has}" if found else f"the result has the groups {has}"
        raise DataError(f"{what}; {_NO_RESULT}")
    return group or found[0]  # type: ignore[return-value]  # one of the two


def _of_model(model: ModelLike) -> tuple[Any, Any]:
    problem = any_problem_of(model)
    has_rows = len(problem.design.y) > 0 and getattr(model, "data", None) is not None
    return problem, observed(model, "plots.lines") if has_rows else _kept(problem)


def _of_estimate(est: Coefficients, model: ModelLike | None, group: str | None) -> Source:
    if group is not None:
        raise ModelError(
            f"group={group!r} says which draws of a tree are meant, and an estimate has none: leave it out."
        )
    if model is None and est.problem is None:
        raise ModelError("the estimate does not know its model: give it, model=model.")
    problem, data = (est.problem, _kept(est.problem)) if model is None else _of_model(model)
    check_result(est, problem, "link")
    method = METHOD_NAMES[est.method] if isinstance(est, Estimate) else "given covariances"
    return Source(problem=problem, at=est, data=data, kind="estimate", method=method)


def _kept(problem: Any) -> pd.DataFrame | None:
    """Return the columns that a model keeps; None of statistics alone.

    Raises
    ------
    DataError
        If there were too many to keep.
    """
    if not len(problem.design.y):
        return None
    frame = kept_rows(problem)
    if frame is None:
        raise DataError(
            "the rows of the model are too many for its results to carry: give the model that has them, model=model."
        )
    return frame


def with_prior_as_posterior(tree: xr.DataTree, problem: Any) -> xr.DataTree:
    """Return a tree whose posterior are the draws of its prior, for what reads draws.

    Of the other groups that are read of a result only the names and dimensions are there, no values.
    """
    out = tree.copy()
    out["posterior"] = xr.DataTree(tree["prior"].to_dataset())
    if "mixed_model_limit" in tree.children:
        return out
    names: dict[str, Any] = {}
    for factor in problem.labels.factors:
        coords = {factor.dim: factor.levels, factor.coef_dim: list(factor.coef)}
        J, q = len(factor.levels), len(factor.coef)
        names[f"sd_{factor.key}"] = xr.DataArray(
            np.full(q, np.nan), {factor.coef_dim: list(factor.coef)}, factor.coef_dim
        )
        names[f"b_{factor.key}"] = xr.DataArray(np.full((J, q), np.nan), coords, (factor.dim, factor.coef_dim))
    out["mixed_model_limit"] = xr.DataTree(xr.Dataset(names))
    out["statistics"] = xr.DataTree(xr.Dataset())
    return out
