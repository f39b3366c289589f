"""`predict`: what it takes, what it returns, and how it prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
import xarray as xr

from hierreg.checks import check_choice
from hierreg.display import Column
from hierreg.display.numbers import percent
from hierreg.exceptions import ModelError
from hierreg.hints import PROB, SEED, understands
from hierreg.linear.alone import model_and_result
from hierreg.linear.prediction.categories import (
    CategoryPredictions,
    check_asked,
    group_columns,
    group_coords,
    probabilities_at,
    probabilities_of_draws,
    report_of_categories,
)
from hierreg.linear.prediction.conditioning import GivenRows, given_rows, is_given
from hierreg.linear.prediction.levels import levels_of
from hierreg.linear.prediction.normal import at_point, check_seed, from_draws
from hierreg.linear.prediction.rows import NewRows, new_rows
from hierreg.predictive.of_model import any_problem_of, check_match, gaussian
from hierreg.problem.effects import refusal, refuse
from hierreg.problem.family import FamilyProblem
from hierreg.problem.labels import factors_attribute
from hierreg.reports.reading import check_prob, read
from hierreg.reports.table import Report, section
from hierreg.results.effects import EffectsEstimate
from hierreg.results.point import METHOD_NAMES, Coefficients, Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hierreg.display import Section
    from hierreg.predictive.of_model import ModelLike
    from hierreg.problem.labels import Labels
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]

_OTHER_MODEL = (
    "at has other coefficients, groups or data sets than the model: give the estimate or solution of the same model."
)


@final
class Predictions(Report):
    """What `predict` returns; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"row": 1, "mean": 1, "sd": 1, "upper": 1}

    def _columns(self) -> tuple[Column, ...]:
        new = zip(("sd_new", "lower_new", "upper_new"), ("sd new", *self._ends), strict=True)
        return (
            *group_columns(self),
            Column(key="mean", head="mean"),
            Column(key="sd", head="sd"),
            *self._interval(),
            *(Column(key=key, head=head, fold=1) for key, head in new if key in self),
        )

    def _sections(self, most: int | None) -> tuple[Section, ...]:
        return (section("row", self, most),)


@understands("hr.predict", same=SEED, instead=PROB)
def predict(  # noqa: PLR0913  # every argument after the third has a default
    model: ModelLike | xr.DataTree | Coefficients,
    newdata: Any,
    at: xr.DataTree | Coefficients | None = None,
    *,
    level: str | Mapping[str, str] = "group",
    given: Any = None,
    ci_prob: float = 0.95,
    observation: bool = True,
    cross_cov: Any = None,
    new_cov: Any = None,
    covariance: bool = False,
    draws: bool = False,
    seed: int | None = None,
    scale: Literal["response", "link"] = "response",
) -> Predictions | CategoryPredictions:
    """Return predictions of new rows, from the posterior or at an estimate.

    The *expected value* of a row is x beta + z b. Which b, `level` says, for all grouping factors or for each:

    - "group": those of the row's own group, which was observed. A label that was not is an error.
    - "new group": the same, but a label that was not observed is a new group. It has b ~ N(0, Sigma), which is part of
      the uncertainty of its expected value; rows of one new group share it. With heavy tails or mixtures of group
      effects it is drawn from these.
    - "population": none, b = 0: the expected value is x beta, and a new observation adds its error. The columns of the
      grouping factor are not needed.

    Rows that were observed after the fit go into ``given``, with their response: the first rows of a new group, further
    ones of a known group, the value of the same unit in another data set, earlier times of a unit. Predictions are
    those given them too. At an estimate or solution they are in closed form, and equal to what `Model.solve` with
    these rows in its data predicts at the same variances. The draws of a posterior are weighted by the density of the
    given responses, so that all parameters learn from them, variances included; the weights are Pareto-smoothed, the
    draws chosen again by them, and k of the weights is reported. Many rows, or rows of known groups that are far from
    what was expected, make it too large: then fit again.

    Correlated, exchangeable and AR(1) errors: where other rows of a unit were observed, their residuals are used, and
    the expected value is that given the observed rows. A unit that was not observed, or newdata without the unit
    column, has none; so leave the column out to predict for the rows of the data themselves. With exchangeable errors
    rows of an observed unit are further rows of it, beside those of the data; with AR(1) errors they are rows at other
    times.

    Known covariance: with ``cross_cov`` the new errors are predicted from the residuals too. This is kriging, or
    Gaussian-process regression with the population part as its mean: with V = k(x, x') + noise, ``cross_cov`` =
    k(x*, x) and ``new_cov`` = k(x*, x*), `mean` and `sd_new` describe the function without noise.

    Parameters
    ----------
    model : Model, or DataTree, Estimate or Coefficients
        A model, or a result alone, which knows its model: ``hr.predict(est, newdata)``; from a saved file
        ``hr.predict(hr.load("fit.nc"), newdata)``.
    newdata : table
        M rows with the columns of predictors and grouping factors; with ``observation`` also those of the errors
        (strata, data sets, standard errors).
    at : DataTree, Estimate or Coefficients
        From `Model.sample`, `Model.estimate` or `Model.solve` of the same model; left out where a result is given in
        place of the model. Of a posterior that has summaries of the group coefficients alone, those of the groups of
        the new rows are drawn again.
    level : str or dict factor -> str
        "group", "new group" or "population", of all grouping factors or of those named, as in
        ``level={"plate": "new group"}``; those left out are at "group".
    given : table, optional
        G rows with the columns of predictors, grouping factors, errors and the response, that are not in the data of
        the model; needs normal responses. A group that it has is observed, at level "group" too. newdata then has the
        columns of errors whatever `observation` says. An empty table is the same as none.
    ci_prob : float
        Probability of the intervals: equal-tailed for draws, normal for the others.
    observation : bool
        Predict new observations too, with the error of each.
    cross_cov, new_cov : array_like (M, N) and (M, M)
        For `hr.known_cov`: covariance of the new errors with those of the data, and of the new errors (without the
        unknown factor, where there is one). Without ``cross_cov`` they are independent. With ``given`` they are of
        G + M rows, those of given before those of newdata.
    covariance : bool
        Return covariances between the rows too.
    draws : bool
        Return the draws too (of a posterior).
    seed : int, optional
        Of the coefficients of new groups and of new errors, for draws; by default that of the tree.
    scale : {"response", "link"}
        With a family, expected responses (of binomial ones, probabilities), or linear predictors, offset included; the
        same for normal responses. On the scale of the response ``level="population"`` is the mean over groups, their
        coefficients integrated out, which is not the response of a group with b = 0. New observations are drawn from
        a posterior only, on the scale of the response: of binomial ones numbers of successes, in as many trials as
        the column says that the formula or ``trials=`` names, else in single ones. Of ordered categories the
        probability of each.

    Returns
    -------
    Dataset
        Over ``row``, with the coordinate ``group`` (``group_<factor>`` where there are several grouping factors;
        "population" where that is meant):
        ``mean``, and ``sd``, ``lower``, ``upper`` of the expected value; ``sd_new``, ``lower_new``,
        ``upper_new`` of a new observation, whose mean is the same; on request ``cov``, ``cov_new`` (row, row_col) and
        ``draws``, ``draws_new`` (chain, draw, row). With ``given`` the attributes ``n_given`` and, of a posterior,
        ``pareto_k`` and ``given_ess``: how many of the draws those chosen by the weights are worth. At an estimate or
        solution ``mean`` is the best linear (unbiased) prediction and ``sd`` the standard deviation of its error,
        with the uncertainty of beta and b, the variances taken as known; draws carry the uncertainty of the variances
        too. Of ordered categories, on the scale of the response, ``mean``, ``sd``, ``lower`` and ``upper`` of the
        probability of each (row, category), on request ``draws`` of it (chain, draw, row, category) and, of new
        observations, ``draws_new``, their categories counted from zero; at an estimate the errors of the thresholds
        are part of them.

    Raises
    ------
    DataError, ModelError
        If columns, labels or matrices are missing or do not fit, or `at` belongs to another model.
    SamplingError
        If given rows move the posterior too far for its draws to be weighted: Pareto k above 0.7.

    See Also
    --------
    means : Averages of predictions.
    comparisons : Differences of predictions.
    posterior_predictive : Replicates of the rows that were observed.
    datagrid : Tables of rows to predict.

    References
    ----------
    Goldberger (1962), Journal of the American Statistical Association 57, 369-375; Robinson (1991), Statistical
    Science 6(1), 15-32; of weighted draws Vehtari et al. (2024), Journal of Machine Learning Research 25(72), 1-58.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> rows = {"Days": [10, 10], "Subject": ["308", "new"]}
    >>> print(hr.predict(model, rows, at=model.estimate(), level="new group"))
    REML estimate; normal 95 % intervals, the variances taken as known
    <BLANKLINE>
    row  Subject   mean    sd  2.5 %  97.5 %  sd new  2.5 %  97.5 %
      0      308  450.3  15.9  419.3   481.4    30.1  391.3   509.3
      1      new  356.1  67.6  223.6   488.5    72.3  214.4   497.7

    The same, once the new person was observed on the first day:

    >>> first = {"Days": [0], "Subject": ["new"], "Reaction": [310.0]}
    >>> known = hr.predict(model, rows, at=model.estimate(), given=first)
    >>> known.to_pandas()[["group", "mean", "sd"]].round(1)
      group   mean    sd
    0   308  450.0  15.8
    1   new  389.1  64.4
    """
    prob = check_prob(ci_prob)
    own, at = model_and_result(model, at, "hr.predict(tree, newdata)")
    found = any_problem_of(own)
    check_choice(scale, ("response", "link"), argument="scale", error=ModelError)
    if isinstance(found, FamilyProblem):
        if given is not None:
            raise ModelError(
                f"given with family={found.family}: what given rows say of new ones is not in closed form. Put them "
                "into the data, and fit again."
            )
        matrices = {"cross_cov": cross_cov, "new_cov": new_cov}
        return _of_family(found, newdata, at, level, prob, matrices, (scale, observation, covariance, draws), seed)
    problem = gaussian(found, "hr.predict")
    _check_normal(problem, at)
    each = levels_of(level, problem.labels.factor_names)
    if is_given(given):
        known = given_rows(problem, newdata, given, each, cross_cov=cross_cov, new_cov=new_cov)
        return _of_normal(problem, known.new, at, prob, (observation, covariance, draws), seed, known)
    rows = new_rows(problem, newdata, each, observation=observation, cross_cov=cross_cov, new_cov=new_cov)
    return _of_normal(problem, rows, at, prob, (observation, covariance, draws), seed)


def expected_values(  # noqa: PLR0913  # what expected values depend on
    problem: Problem | FamilyProblem,
    newdata: Any,
    at: xr.DataTree | Coefficients,
    *,
    level: Mapping[str, str],
    scale: str,
    ci_prob: float,
    draws: bool = False,
) -> Predictions | CategoryPredictions:
    """Return what `predict` does of the lines of a model: x beta + z b, whatever was observed of the rows' units.

    Residuals of observed rows, of which correlated errors make predictions of their neighbours, are left out: newdata
    may name units (a subject is a group and a unit) at any time. Arguments are as in `predict`.

    Raises
    ------
    DataError, ModelError
        As `predict`.
    """
    if isinstance(problem, FamilyProblem):
        return _of_family(problem, newdata, at, level, ci_prob, {}, (scale, False, False, draws), None)
    _check_normal(problem, at)
    rows = new_rows(problem, newdata, level, observation=False, residuals=False)
    return _of_normal(problem, rows, at, ci_prob, (False, False, draws), None)


def _check_normal(problem: Problem, at: Any) -> None:
    """Raise unless a result is one of a model of normal responses that predictions can be made from."""
    if isinstance(at, Coefficients | EffectsEstimate):
        refuse(problem, "predict at an estimate")
    if isinstance(at, EffectsEstimate):
        raise refusal("predict at an estimate", at.effects)
    if isinstance(at, Coefficients):
        _check_same(at, problem)
    else:
        _check_tree(at, problem)


def _of_normal(  # noqa: PLR0913, PLR0917  # what `predict` was asked for
    problem: Problem,
    rows: NewRows,
    at: Any,
    prob: float,
    how: tuple[bool, bool, bool],
    seed: int | None,
    given: GivenRows | None = None,
) -> Predictions:
    """Return predictions of rows where the response is normal."""
    observation, covariance, draws = how
    attrs: dict[str, Any] = {"ci_prob": prob, "factors": factors_attribute(problem.labels)}
    if isinstance(at, Coefficients):
        values = at_point(problem, given or rows, at, prob, observation=observation, covariance=covariance)
        name = f"{at.method.upper()} estimate" if isinstance(at, Estimate) else "Solution at the given covariances"
        attrs["heading"] = f"{name}; normal {percent(prob)} intervals, the variances taken as known"
    else:
        values, weighed = from_draws(problem, given or rows, at, prob, observation=observation, seed=seed)
        attrs["heading"] = f"{read(at).heading}; equal-tailed {percent(prob)} intervals"
        attrs |= weighed
    if given is not None:
        attrs["n_given"] = len(given.y)
        attrs["heading"] += _said_of_given(attrs)
    return _report(values, rows, attrs, covariance=covariance, draws=draws)


def _said_of_given(attrs: Mapping[str, Any]) -> str:
    n = attrs["n_given"]
    text = f"; given {n} further {'row' if n == 1 else 'rows'}"
    if "given_ess" not in attrs:
        return text
    k = f"Pareto k {attrs['pareto_k']:.2f}, " if np.isfinite(attrs["pareto_k"]) else ""
    return f"{text} ({k}as good as {attrs['given_ess']:.0f} of the draws)"


def _of_family(  # noqa: PLR0913, PLR0917  # the arguments of `predict`
    problem: FamilyProblem,
    newdata: Any,
    at: Any,
    level: str | Mapping[str, str],
    prob: float,
    errors: Mapping[str, Any],
    how: tuple[str, bool, bool, bool],
    seed: int | None,
) -> Predictions | CategoryPredictions:
    """Return predictions where the response is not normal."""
    from hierreg.linear.prediction import family

    scale, observation, covariance, draws = how
    for name, value in errors.items():
        if value is not None:
            raise ModelError(f"{name} with family={problem.family}: it belongs to errors of known covariance.")
    of_categories = scale == "response" and not problem.family.has_level
    if of_categories:
        check_asked(problem, covariance=covariance)
    _check_family(problem, at)
    new = family.family_rows(problem, newdata, levels_of(level, problem.labels.factor_names))
    attrs = {"ci_prob": prob, "factors": factors_attribute(problem.labels)}
    where = "responses" if scale == "response" else "linear predictors"
    if of_categories:
        where = "probabilities of categories"
    if isinstance(at, Coefficients):
        method = METHOD_NAMES[at.method] if isinstance(at, Estimate) else "Solution"
        attrs["heading"] = f"{method} estimate, {where}; {percent(prob)} intervals, the variances taken as known"
        if of_categories:
            return report_of_categories(problem, probabilities_at(problem, new, at, prob), new, attrs, draws=False)
        values = family.at_point(problem, new, at, prob, scale=scale, covariance=covariance)
    else:
        check_seed(seed)
        attrs["heading"] = f"{read(at).heading}; {where}, equal-tailed {percent(prob)} intervals"
        if of_categories:
            found = probabilities_of_draws(problem, new, at, prob, observation=observation, seed=seed)
            return report_of_categories(problem, found, new, attrs, draws=draws)
        values = family.from_draws(problem, new, at, prob, scale=scale, observation=observation, seed=seed)
    return _report(values, new.rows, attrs, covariance=covariance, draws=draws)


def check_result(at: Any, problem: Problem | FamilyProblem, scale: str) -> None:
    """Raise unless a result is one from which expected values of the model can be made.

    Raises
    ------
    ModelError
        If it is of another model, or of group effects that are not normal and no draws; or the family has no expected
        response.
    """
    if isinstance(problem, FamilyProblem):
        if scale == "response" and not problem.family.has_level:
            raise ModelError(
                f"scale='response' with family={problem.family}: ordered categories have probabilities, which "
                "hr.predict returns, and no expected value. Use scale='link'."
            )
        _check_family(problem, at)
    else:
        _check_normal(problem, at)


def _check_family(problem: FamilyProblem, at: Any) -> None:
    """Raise unless a result is one of the model, whose response is not normal."""
    if isinstance(at, Coefficients):
        _check_labels(at, problem.labels)
    else:
        _check_tree(at, problem)


def _check_tree(at: Any, problem: Problem | FamilyProblem) -> None:
    if not isinstance(at, xr.DataTree):
        raise ModelError(
            f"at has type {type(at).__name__}; a DataTree from Model.sample, an Estimate from Model.estimate or "
            "Coefficients from Model.solve is required."
        )
    check_match(at, problem)


def _check_same(at: Coefficients, problem: Problem) -> None:
    """Raise unless a point result has the coefficients and groups of the model."""
    _check_labels(at, problem.labels)
    within = problem.parameters.within_units
    if len(at.solution.error_cov) != (len(within.component_size) or len(problem.layout.labels)):
        raise ModelError(_OTHER_MODEL)


def _check_labels(at: Coefficients, labels: Labels) -> None:
    """Raise unless a point result has the coefficients and groups of the model."""
    same = [str(c) for c in at.beta["coef"].values] == list(labels.coef)
    same = same and list(at.b) == list(labels.factor_names)
    for factor in labels.factors if same else ():
        b = at.b[factor.name]
        same = same and np.array_equal(b[factor.dim].values, factor.levels)
        same = same and [str(c) for c in b[factor.coef_dim].values] == list(factor.coef)
    if not same:
        raise ModelError(_OTHER_MODEL)


def _report(
    values: dict[str, Array], rows: NewRows, attrs: dict[str, Any], *, covariance: bool, draws: bool
) -> Predictions:
    dims = {1: ("row",), 2: ("row", "row_col"), 3: ("chain", "draw", "row")}
    M = len(rows.X)
    for name in [name for name in values if name.startswith("draws")]:
        if covariance:
            flat = values[name].reshape(-1, M)
            values[name.replace("draws", "cov")] = np.cov(flat, rowvar=False).reshape(M, M)
        if not draws:
            del values[name]
    coords: dict[str, Any] = {"row": np.arange(M)}
    for name, new in zip(group_coords([new.factor for new in rows.groups]), rows.groups, strict=True):
        coords[name] = (("row",), new.labels)
    return Predictions({name: (dims[v.ndim], v) for name, v in values.items()}, coords=coords, attrs=attrs)
