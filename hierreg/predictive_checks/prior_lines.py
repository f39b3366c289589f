"""Lines of groups along a predictor, drawn from the prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.linear import datagrid
from hierreg.linear.alone import model_of
from hierreg.linear.effects.tables import levels_by_predictor, observed
from hierreg.linear.prediction.levels import levels_of
from hierreg.linear.prediction.rows import new_rows
from hierreg.predictive import of_family
from hierreg.predictive.of_model import any_problem_of, check_has_rows
from hierreg.predictive.prior_draws import draw_prior
from hierreg.problem.family import FamilyProblem
from hierreg.reports.draws import evenly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_STREAM, _POINTS = 419, 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriorLines:
    """Expected values at some draws.

    Attributes
    ----------
    x : array (n,)
    population : array (S, n)
        Without any group's deviation.
    groups : array (S, J, n)
    response : str
        What they are of.
    observed_x, observed : arrays (N,)
        The rows; None where a response is not on the scale of lines.
    """

    x: Array
    population: Array
    groups: Array
    response: str
    observed_x: Array
    observed: Array | None


def lines_of_prior(model: Any, x: str, *, factor: str | None, draws: int, seed: int, most: int) -> PriorLines:
    """Return lines of up to `most` groups of a factor, the others' effects zero, at draws from the prior.

    Raises
    ------
    ModelError
        If `x` is no numeric predictor, or there is no such grouping factor.
    PriorError
        If a prior is flat.
    """
    own = model_of(model)
    problem: Any = any_problem_of(own)
    check_has_rows(problem, "plots.prior_lines")
    predictors = levels_by_predictor(own)
    numeric = [name for name, levels in predictors.items() if levels is None]
    if x not in numeric:
        raise ModelError(
            f"x={x!r} is no numeric predictor; these are {listed(numeric) or 'none'}.{suggestion(x, numeric)}"
        )
    names = problem.labels.factor_names
    if not names or (factor is not None and factor not in names):
        known = f"they are {listed(names)}" if names else "there is none in the formula"
        raise ModelError(f"factor={factor!r} is no grouping factor; {known}.{suggestion(str(factor), names)}")
    place = 0 if factor is None else names.index(factor)
    is_family = isinstance(problem, FamilyProblem)
    prior = of_family.prior_group(problem, draws, seed) if is_family else draw_prior(problem, draws, [seed, _STREAM])
    rows_of = observed(own, "plots.prior_lines")
    values = np.asarray(rows_of[x], dtype=float)
    grid = np.linspace(values.min(), values.max(), _POINTS)
    line = _typical_line(own, problem, x, grid, place)
    beta, b = prior["beta"].to_numpy()[0], prior[f"b_{problem.labels.factors[place].key}"].to_numpy()[0]
    X, Z = line
    b = b[:, evenly(b.shape[1], most)]
    kept = getattr(problem, "kept_coefficients", slice(None))
    population = beta @ X[:, kept].T
    groups = population[:, None] + np.einsum("sjq,nq->sjn", b, Z)
    on_link = is_family and problem.family.link != "identity"
    y = None if on_link else np.asarray(of_family.observed_values(problem) if is_family else problem.design.y)
    name = problem.labels.response
    return PriorLines(
        x=grid,
        population=population,
        groups=groups,
        response=f"linear predictor of {name}" if on_link else name,
        observed_x=values,
        observed=y,
    )


def _typical_line(model: Any, problem: Any, x: str, grid: Array, place: int) -> tuple[Array, Array]:
    """Return the columns (n, p) and (n, q) of a line along x, other predictors at what is typical."""
    factor = problem.state.factors[place]
    first = dict(zip(factor.columns, [levels[0] for levels in factor.column_levels], strict=True))
    table = datagrid(model, **{x: grid, **{name: [label] for name, label in first.items() if name != x}})
    names = problem.labels.factor_names
    level = levels_of({name: "group" if k == place else "population" for k, name in enumerate(names)}, names)
    rows = new_rows(problem, table, level, observation=False, residuals=False)
    return rows.X, rows.groups[place].Z
