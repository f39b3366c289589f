"""`comparisons`, `slopes` and `means`: effects of predictors, and expected values of cells.

The arguments have the names of the Python package marginaleffects, and of `bambi.interpret`, so that what is known of
these serves here. Their machinery is not used: marginaleffects 0.6.1, the version that was looked at, needs jax,
pydantic, plotnine and patsy (an environment of 1.2 GB), and fails with the polars that is installed with it (2.1, on
numeric predictors); a model joins it by its coefficients and their covariance alone, so that draws of a posterior, and
coefficients of groups, have no place in it; and standard errors of its slopes come from differences. Here a difference
of linear predictors is a linear function of the coefficients, of which draws, estimates and solutions of the
mixed-model equations give the exact distribution: a contrast. The columns of the design are made again at the changed
values, by what the model has learned, so that ``log(x)``, splines and interactions are followed.

References
----------
Arel-Bundock, Greifer and Heiss (2024), How to interpret statistical models using marginaleffects for R and Python,
Journal of Statistical Software 111(9); Searle, Speed and Milliken (1980), The American Statistician 34(4), 216-221
(means of populations with equal cells).
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from hierreg.checks import check_choice
from hierreg.exceptions import ModelError
from hierreg.linear.alone import model_and_result
from hierreg.linear.effects.averages import Cells, Request
from hierreg.linear.effects.changes import asked_of, changes_of, slopes_of
from hierreg.linear.effects.report import Effects, Found, effects_of
from hierreg.linear.effects.tables import cells_of, check_levels, datagrid, levels_by_predictor, table_at, weights_of
from hierreg.linear.prediction.levels import levels_of
from hierreg.linear.prediction.predict import check_result
from hierreg.predictive.of_model import any_problem_of
from hierreg.reports.reading import check_prob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from hierreg.linear.effects.changes import Change
    from hierreg.predictive.of_model import ModelLike
    from hierreg.results.point import Coefficients

__all__ = ["comparisons", "datagrid", "means", "slopes"]


def comparisons(  # noqa: PLR0913  # every argument after the second has a default
    model: ModelLike | xr.DataTree | Coefficients,
    at: xr.DataTree | Coefficients | None = None,
    variables: Any = None,
    newdata: Any = None,
    *,
    comparison: Literal["difference", "ratio"] = "difference",
    by: Any = True,
    wts: str | None = None,
    hypothesis: Any = None,
    level: str | Mapping[str, str] = "population",
    scale: Literal["response", "link"] = "response",
    ci_prob: float = 0.95,
) -> Effects:
    """Return what a change of a predictor changes in the expected value, averaged over rows.

    Parameters
    ----------
    model : Model, DataTree, Estimate or Coefficients
        A model; or a result alone, which carries its model: ``hr.comparisons(tree, variables=...)``.
    at : DataTree, Estimate or Coefficients, optional
        From `Model.sample`, `Model.estimate` or `Model.solve` of the model.
    variables : str, list or dict, optional
        Predictors of the population part; all by default. A dictionary says which change: of numbers a step such as 1
        (the default), a pair from which to which, "sd", "2sd", "iqr" or "minmax"; of levels "reference" (each against
        the first; the default), "revreference", "sequential", "pairwise", "revpairwise" or a pair.
    newdata : table or str, optional
        Rows whose other predictors are held: by default those of the model; "mean" or "median" is one typical row,
        "balanced" one for each combination of levels, the numbers at their means. `datagrid` makes others.
    comparison : {"difference", "ratio"}
        Of two averages.
    by : bool, str or list of str
        True: one average over all rows; columns: one for each of their combinations; False: each row.
    wts : str, optional
        Column of newdata with weights of the averages.
    hypothesis : str, matrix or dict, optional
        Differences of the effects: "pairwise" (the later less the earlier), "reference" (each less the first)
        or "sequential" (each less the one before), also with "rev" before them; "meandev" (each less their mean);
        or weights, a matrix with a column for each effect or {name: {effect: weight}}.
    level : str or dict factor -> str
        "population" (no group's deviation: the effect in a typical group) or "group" (that of the groups of newdata,
        whose columns it then needs).
    scale : {"response", "link"}
        With a family: expected responses, averaged over groups where level is "population"; or linear predictors.
    ci_prob : float
        Probability of the intervals: equal-tailed for draws, normal for the others.

    Returns
    -------
    Dataset
        Over ``effect``: ``mean``, ``sd``, ``lower``, ``upper``; of draws also ``prob_positive``, ``mcse`` and ``draws``
        (chain, draw, effect), of an estimate or solution ``statistic`` and ``p_value`` (normal, the variances taken as
        known); ``cov`` (effect, effect_col) of up to 1000 effects. Coordinates ``variable``, ``contrast`` and the
        columns of `by`. On the scale of a response that is not normal the errors of an estimate are those of
        the delta method.

    Raises
    ------
    ModelError, DataError
        If an argument is malformed, a column is missing, the table of the model has been changed since it was made, or
        `at` belongs to another model.

    See Also
    --------
    slopes : Per unit of a numeric predictor, where it is curved.
    means : Expected values of cells, and their differences.
    contrasts : Any linear function of coefficients.
    predict : Expected values of rows, with the uncertainty of new groups and observations.

    References
    ----------
    Arel-Bundock, Greifer and Heiss (2024), Journal of Statistical Software 111(9); Gelman and Pardoe (2007),
    Sociological Methodology 37(1), 23-51 (average predictive comparisons).

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("MathAch ~ SES * Sector + (1 | School)", hr.load_dataset("math_achieve"))
    >>> est = model.estimate()
    >>> print(hr.comparisons(model, est, "SES", by="Sector"))
    MathAch ~ SES * Sector + (1 | School), REML estimate; normal 95 % intervals, the variances taken as known
    <BLANKLINE>
    variable  contrast  Sector    estimate     se  2.5 %  97.5 %      z        p
      SES     +1        Catholic     1.638  0.159  1.327   1.949  10.33  5.4e-25
      SES     +1        Public       2.951  0.141  2.676   3.227  20.99  8.3e-98
    <BLANKLINE>
    Averages over 7185 rows; level population.
    """
    request = _request(model, at, level, scale, "comparisons")
    check_choice(comparison, ("difference", "ratio"), argument="comparison", error=ModelError)
    frame = table_at(request.model, newdata, "hr.comparisons")
    found = _effects(request, frame, changes_of(request.problem, frame, variables), comparison, by, wts)
    return effects_of(request, found, check_prob(ci_prob), hypothesis, len(frame), comparison)


def slopes(  # noqa: PLR0913  # every argument after the second has a default
    model: ModelLike | xr.DataTree | Coefficients,
    at: xr.DataTree | Coefficients | None = None,
    variables: Any = None,
    newdata: Any = None,
    *,
    by: Any = True,
    wts: str | None = None,
    hypothesis: Any = None,
    level: str | Mapping[str, str] = "population",
    scale: Literal["response", "link"] = "response",
    ci_prob: float = 0.95,
) -> Effects:
    """Return the derivative of the expected value in numeric predictors, averaged over rows.

    Where a predictor is in a function (``log(x)``, ``poly(x, 2)``, a spline) the derivative is the difference between x
    + h and x - h, with h = 1e-4 standard deviations, never beyond the values in newdata.

    Parameters
    ----------
    model : Model, DataTree, Estimate or Coefficients
        A model; or a result alone, which carries its model: ``hr.slopes(tree, variables=...)``.
    at : DataTree, Estimate or Coefficients, optional
        From `Model.sample`, `Model.estimate` or `Model.solve` of the model.
    variables : str or list of str, optional
        Numeric predictors of the population part; all by default.
    newdata, by, wts, hypothesis, level, scale, ci_prob
        As `comparisons` takes them.

    Returns
    -------
    Dataset
        As from `comparisons`.

    Raises
    ------
    ModelError, DataError
        As from `comparisons`; or there is no numeric predictor.

    See Also
    --------
    comparisons : Of changes that are not small, and of predictors with levels.
    contrasts : Any linear function of coefficients.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + I(Days**2) + (1 | Subject)", hr.load_dataset("sleepstudy"))
    >>> report = hr.slopes(model, model.estimate(), newdata=hr.datagrid(model, Days=[0, 9]), by="Days")
    >>> report["mean"].to_numpy().round(2).tolist()
    [7.43, 13.5]
    """
    request = _request(model, at, level, scale, "slopes")
    frame = table_at(request.model, newdata, "hr.slopes")
    found = _effects(request, frame, slopes_of(request.problem, frame, variables), "difference", by, wts)
    return effects_of(request, found, check_prob(ci_prob), hypothesis, len(frame), "slope")


def means(  # noqa: PLR0913  # every argument after the second has a default
    model: ModelLike | xr.DataTree | Coefficients,
    at: xr.DataTree | Coefficients | None = None,
    variables: Any = None,
    newdata: Any = "balanced",
    *,
    wts: str | None = None,
    hypothesis: Any = None,
    level: str | Mapping[str, str] = "population",
    scale: Literal["response", "link"] = "response",
    ci_prob: float = 0.95,
) -> Effects:
    """Return expected values of cells: estimated marginal means, and on request their differences.

    For each combination of the values of `variables` all rows of `newdata` are given these values, and their expected
    values are averaged.

    Parameters
    ----------
    model : Model, DataTree, Estimate or Coefficients
        A model; or a result alone, which carries its model: ``hr.means(tree, variables=...)``.
    at : DataTree, Estimate or Coefficients, optional
        From `Model.sample`, `Model.estimate` or `Model.solve` of the model.
    variables : str, list or dict, optional
        Predictors whose cells are wanted: names of those with levels (all of them by default), or values,
        ``{"Days": [0, 5, 9]}``; None in a dictionary stands for all levels.
    newdata : table or str
        Over which rows each mean is taken: "balanced" (the default: each combination of the levels of the other
        predictors once, numbers at their means, as emmeans does), "mean", "median", a table, or None for the rows of
        the model (the mean that the population would have if all were in the cell).
    wts, hypothesis, level, scale, ci_prob
        As `comparisons` takes them; ``hypothesis="pairwise"`` for all pairs.

    Returns
    -------
    Dataset
        As from `comparisons`, with the values of `variables` as coordinates.

    Raises
    ------
    ModelError, DataError
        As from `comparisons`; or no predictor has levels and none is given with values.

    See Also
    --------
    comparisons : The effect of a change.
    predict : Expected values of rows.

    References
    ----------
    Searle, Speed and Milliken (1980), The American Statistician 34(4), 216-221.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("MathAch ~ SES * Sector + (1 | School)", hr.load_dataset("math_achieve"))
    >>> est = model.estimate()
    >>> hr.means(model, est, "Sector")["mean"].to_numpy().round(2).tolist()
    [13.94, 11.8]
    >>> hr.means(model, est, {"Sector": None, "SES": [-1, 1]}, hypothesis="reference").sizes["effect"]
    3
    """
    request = _request(model, at, level, scale, "means")
    values = _values(request.model, variables)
    frame = _base(request.model, newdata, values)
    all_rows = np.zeros(len(frame), dtype=np.intp)
    one = Cells(cell=all_rows, weight=weights_of(frame, wts, all_rows, 1), n=1)
    found = []
    for cell in product(*values.values()):
        own = dict(zip(values, cell, strict=True))
        average = request.average(frame.assign(**own), one)
        found.append(
            Found(variable="", contrast="", cells={name: [value] for name, value in own.items()}, average=average)
        )
    return effects_of(request, found, check_prob(ci_prob), hypothesis, len(frame), "mean")


def _request(model: Any, at: Any, level: Any, scale: str, name: str) -> Request:
    found, at = model_and_result(model, at, f"hr.{name}(tree, variables=...)")
    problem = any_problem_of(found)
    check_choice(scale, ("response", "link"), argument="scale", error=ModelError)
    check_result(at, problem, scale)
    each = levels_of(level, problem.labels.factor_names)
    for factor, own in each.items():
        if own == "new group":
            raise ModelError(
                f"level={{{factor!r}: 'new group'}}: the effect in a new group is that of the population, with its own "
                "spread; use level='population', or hr.predict."
            )
    return Request(model=found, problem=problem, at=at, level=each, scale=scale)


def _effects(  # what effects depend on
    request: Request, frame: pd.DataFrame, changes: Sequence[Change], comparison: str, by: Any, wts: str | None
) -> list[Found]:
    cell, n, called = cells_of(frame, by)
    weight, found = weights_of(frame, wts, cell, n), []
    for change in changes:
        cells = Cells(cell=cell, weight=weight / change.per, n=n)
        high, low = (
            request.average(frame.assign(**{change.variable: value}), cells) for value in (change.high, change.low)
        )
        average = high.minus(low) if comparison == "difference" else high.over(low)
        text = change.text.replace(" - ", " / ") if comparison == "ratio" else change.text
        found.append(Found(variable=change.variable, contrast=text, cells=called, average=average))
    return found


def _values(model: ModelLike, variables: Any) -> dict[str, list[Any]]:
    """Return the values of the variables whose cells are wanted."""
    known = levels_by_predictor(model)
    with_levels = [name for name, levels in known.items() if levels is not None]
    asked = dict.fromkeys(with_levels) if variables is None else asked_of(variables, known)
    out = {}
    for name, values in asked.items():
        levels = known[name]
        if values is None:
            if levels is None:
                raise ModelError(f"variables={name!r} has no levels; say at which values, {{{name!r}: [0, 1]}}.")
            out[name] = list(levels)
            continue
        own = [values] if isinstance(values, str) or not hasattr(values, "__len__") else list(values)
        if levels is not None or not own:
            check_levels(own, levels or (), f"variables[{name!r}]={values!r}")
        out[name] = own
    if not out:
        raise ModelError("variables: no predictor has levels; say at which values of others, {name: [values]}.")
    return out


def _base(model: ModelLike, newdata: Any, values: Mapping[str, list[Any]]) -> pd.DataFrame:
    """Return the rows over which each cell is averaged."""
    if not (isinstance(newdata, str) and newdata == "balanced"):
        return table_at(model, newdata, "hr.means")
    others = {
        name: levels for name, levels in levels_by_predictor(model).items() if levels is not None and name not in values
    }
    # The values of the variables themselves are put in later; one each stands in.
    return datagrid(model, **{name: own[:1] for name, own in values.items()}, **others)
