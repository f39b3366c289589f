"""From a result to what checks read: its model, its residuals, and the columns that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.criticism.examined import Examined
from hierreg.criticism.point import point_of_estimate, point_of_posterior
from hierreg.criticism.projection import TooManyColumnsError
from hierreg.criticism.quantiles import FEWEST, quantile_rows
from hierreg.criticism.rows import rows_of
from hierreg.design_matrices import as_table
from hierreg.exceptions import ModelError
from hierreg.formula import parse_formula
from hierreg.predictive.of_model import any_problem_of, check_match
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.problem import Problem
from hierreg.results.carried import draws_in, problem_and_table
from hierreg.results.point import Coefficients, Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hierreg.criticism.residuals import Residuals
    from hierreg.predictive.of_model import ModelLike


def examined_of(x: Any, model: ModelLike | None, how: Mapping[str, Any]) -> tuple[Examined, str]:
    """Return what is looked at, and in words at which values of the variances.

    Parameters
    ----------
    x : DataTree or Estimate
    model : Model or None
    how : dict
        `time`, `unit`, `replicates` and `seed` of `hierreg.check`.

    Raises
    ------
    ModelError
        If `x` is no result, `model` is not its model, or a column is not known.
    """
    import xarray as xr

    if isinstance(x, Estimate):
        if x.problem is None:
            raise ModelError("the estimate does not know its model; take it from Model.estimate.")
        problem, table = x.problem, getattr(model, "data", None)
        if model is not None:
            _check_same(problem, any_problem_of(model))
    elif isinstance(x, xr.DataTree):
        if model is None:
            problem, table = problem_and_table(x)
        else:
            problem, table = any_problem_of(model), getattr(model, "data", None)
        check_match(x, problem)
    else:
        what = "a solution at given covariances" if isinstance(x, Coefficients) else type(x).__name__
        raise ModelError(
            f"x is {what}; an Estimate from Model.estimate, or a DataTree from Model.sample or hr.load, is required."
        )
    residuals, no_rows, where = _residuals(x, problem, how)
    columns, labels = _columns(problem, table)
    found = Examined(
        problem=problem,
        columns=columns,
        labels=labels,
        residuals=residuals,
        no_rows=no_rows,
        tree=None if isinstance(x, Estimate) else x,
        estimate=x if isinstance(x, Estimate) else None,
        has_normal_effects=not isinstance(problem, EffectsProblem),
        time=how["time"],
        unit=how["unit"],
    )
    for argument in ("time", "unit"):
        if how[argument] is not None and residuals is not None:
            found.named(argument, how[argument])
    return found, where


def _check_same(mine: Any, given: Any) -> None:
    if mine.formula != given.formula or mine.n_rows != given.n_rows:
        raise ModelError(
            f"the estimate is of {mine.formula!r} with {mine.n_rows} rows, and model of {given.formula!r} with "
            f"{given.n_rows}; give the model that it comes from."
        )
    if not np.array_equal(mine.design.y, given.design.y):
        raise ModelError("the estimate and model have other responses; give the model that it comes from.")


def _residuals(x: Any, problem: Any, how: Mapping[str, Any]) -> tuple[Residuals | None, str, str]:
    """Return the residuals of a result, or why there are none, and where they are looked at."""
    if not isinstance(problem, Problem):
        if isinstance(x, Estimate):
            why = f"family={problem.family} is looked at by draws of a posterior: sample, and give the tree"
            return None, why, "the estimate"
        quantiles = quantile_rows(problem, x, how["replicates"], how["seed"])
        why = f"fewer than {FEWEST} draws of all coefficients, or too many rows for replicates"
        return quantiles, why, "draws of the posterior"
    point = point_of_estimate(x) if isinstance(x, Estimate) else point_of_posterior(draws_in(x), problem)
    if not len(problem.design.y):
        return None, "the model is one of statistics alone, and has no rows", point.words
    try:
        return rows_of(point), "", point.words
    except np.linalg.LinAlgError:
        why = "errors have a singular correlation or no variance, so that they cannot be made independent"
        return None, why, point.words
    except TooManyColumnsError:
        return None, "crossed factors have too many coefficients for exact variances of residuals", point.words


def _columns(problem: Any, table: Any) -> tuple[dict[str, NDArray[Any]], frozenset[str]]:
    """Return the columns that are known, and which of them are labels of rows."""
    kept = problem.kept.columns if problem.kept is not None and problem.kept.columns is not None else {}
    out = {name: column.values for name, column in kept.items()}
    labels = {name for name, column in kept.items() if column.is_label}
    if table is not None and len(problem.design.y):
        given = as_table(table)
        for name in given.columns:
            if name not in out:
                out[name] = given[name].to_numpy()
                if out[name].dtype.kind in "OUSb" or "str" in str(out[name].dtype):
                    labels.add(name)
    # The levels of a response are what is explained: they are no strata of its errors.
    return out, frozenset(labels.difference(parse_formula(problem.formula).response_columns))
