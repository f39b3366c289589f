"""`prior_check`: what the priors of a model say before any response is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import xarray as xr

from hierreg.checks import check_whole
from hierreg.display import Column
from hierreg.hints import PROB, SEED, understands
from hierreg.linear.alone import model_of
from hierreg.predictive.of_model import any_problem_of, check_has_rows
from hierreg.predictive_checks.prior_quantities import prior_quantities, with_names
from hierreg.predictive_checks.prior_verdict import Scale, verdicts
from hierreg.problem.family import FamilyProblem
from hierreg.reports.reading import check_prob
from hierreg.reports.table import Report, percent
from hierreg.response import Bernoulli

if TYPE_CHECKING:
    from hierreg.predictive.of_model import ModelLike
    from hierreg.problem.problem import Problem

_DRAWS, _SIZE = 1000, 10


@final
class PriorCheck(Report):
    """What `prior_check` returns; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"median": 1, "lower": 1, "upper": 1, "kind": 1}
    titles: ClassVar[dict[str, str]] = {
        "corr": "Correlation",
        "intraclass": "Intraclass correlation",
        "weight": "Weight of a group's own rows",
        "link": "Linear predictor",
        "line": "Expected value",
        "response": "Response",
    }
    has_every_row: ClassVar[bool] = True

    def _columns(self) -> tuple[Column, ...]:
        lower, upper = self._ends
        return (
            Column(key="lower", head=lower, form="significant"),
            Column(key="median", head="median", form="significant"),
            Column(key="upper", head=upper, form="significant"),
            Column(key="observed", head="observed", form="significant", digits=4, fold=1),
        )


@understands("hr.prior_check", same=SEED, instead=PROB)
def prior_check(
    model: ModelLike | xr.DataTree,
    draws: int = _DRAWS,
    seed: int | None = None,
    *,
    size: int = _SIZE,
    ci_prob: float = 0.9,
) -> PriorCheck:
    """Return what the priors of a model say of things that people have an idea of, and what of it is absurd.

    Few have an idea of a standard deviation of slopes. Of the shares and weights that follow from it many have one:

    - correlations of coefficients and of errors, and intraclass correlations at the means of the group columns;
    - the *weight* of a group's own rows: how much of the variance between groups is known once `size` rows of a group
      were seen, rows like those of the table, whose errors are taken as independent. Zero is complete pooling, one
      none; it is the weight of `shrinkage`, at the means of the group columns and of each slope;
    - smallest and largest expected value of the rows of the table, with its groups, and of a linear predictor where
      the response is not normal;
    - mean, standard deviation, smallest and largest response, beside those observed.

    Below the table stands what is absurd in most draws, or where the data are not at all expected: which prior makes it
    so, and what to write instead. A prior that looks wide for each parameter can say that groups are not shrunk, or
    that nearly all probabilities are zero or one.

    Parameters
    ----------
    model : Model or DataTree
        A model, or a result that carries one.
    draws : int
    seed : int, optional
        Determines every draw; 0 where none is given, so that the same model has the same report.
    size : int
        Rows of a group, of which the weight is.
    ci_prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    Dataset
        Over ``quantity``: ``lower``, ``median``, ``upper``, ``observed`` (NaN where data do not have it), ``verdict``
        (text, empty where there is nothing to say) and ``draws`` (draw, quantity); coordinate ``kind``.

    Raises
    ------
    PriorError
        If a prior is flat: it cannot be drawn from.
    ModelError
        If the model was made of statistics alone, or an argument is impossible.

    See Also
    --------
    prior_predictive : The draws themselves.
    plots.prior_check, plots.prior_lines : The figures.
    predictive_check : After the responses were seen.

    References
    ----------
    Gabry, J., Simpson, D., Vehtari, A., Betancourt, M. and Gelman, A. (2019). Visualization in Bayesian workflow.
    Journal of the Royal Statistical Society A 182(2), 389-402.

    Examples
    --------
    >>> import hierreg as hr
    >>> sleep = hr.load_dataset("sleepstudy")
    >>> wide = hr.Priors(sd={"Subject": hr.HalfNormal(1e5)}, error_sd=hr.HalfNormal(50))
    >>> report = hr.prior_check(hr.Model("Reaction ~ 1 + (1 | Subject)", sleep, priors=wide), size=5)
    >>> round(float(report["median"].sel(quantity="Subject[Intercept], weight")), 4)
    1.0
    >>> print(report.attrs["note"].splitlines()[0][:70])
    Subject[Intercept], weight: a group of 5 rows keeps more than 0.999 of
    """
    prob = check_prob(ci_prob)
    check_whole("draws", draws, least=100)
    check_whole("size", size, least=1)
    check_whole("seed", 0 if seed is None else seed, least=0)
    problem = any_problem_of(model_of(model))
    check_has_rows(problem, "hr.prior_check")  # type: ignore[arg-type]  # of either class
    drawn = prior_quantities(problem, draws, int(seed or 0), size)
    quantities = with_names(drawn.quantities)
    found = verdicts(type(drawn)(quantities=quantities, columns=drawn.columns, notes=[]), size, _scale(problem))
    words = {one.name: one.words for one in found}
    values = np.stack([one.draws for one in quantities], axis=1)
    lower, median, upper = _quantiles(values, prob)
    heading = f"{problem.formula}: {draws} draws from the prior, equal-tailed {percent(prob)} intervals"
    return PriorCheck(
        {
            "lower": ("quantity", lower),
            "median": ("quantity", median),
            "upper": ("quantity", upper),
            "observed": ("quantity", [one.observed for one in quantities]),
            "verdict": ("quantity", [words.get(one.name, "") for one in quantities]),
            "draws": (("draw", "quantity"), values),
        },
        coords={
            "quantity": [one.name for one in quantities],
            "kind": ("quantity", [one.kind for one in quantities]),
        },
        attrs={
            "heading": heading,
            "ci_prob": prob,
            "size": size,
            "seed": int(seed or 0),
            "note": "\n".join([*(one.words for one in found), *_notes(problem, size), *drawn.notes]),
            "n_absurd": len(found),
        },
    )


def _quantiles(values: Any, prob: float) -> Any:
    """Return quantiles over draws; infinite responses of a very wide prior are larger than all others."""
    with np.errstate(invalid="ignore"):
        return np.quantile(values, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=0, method="nearest")


def _notes(problem: Problem | FamilyProblem, size: int) -> list[str]:
    if not problem.labels.factors:
        return []
    return [f"Weights are those of a group of {size} rows like those of the table; for others, size=..."]


def _scale(problem: Problem | FamilyProblem) -> Scale:
    """Return where the response lies and how it varies; of a family, one unit of the linear predictor."""
    names = problem.labels.coef
    intercept = "Intercept" if "Intercept" in names else None
    defaults = frozenset(row.parameter for row in problem.priors.rows if row.origin == "default")
    if isinstance(problem, FamilyProblem):
        return Scale(
            centre=float(problem.design.y.mean()) if problem.family.has_level else 0.0,
            sd=float(problem.unit),
            is_link=True,
            intercept=intercept,
            is_binary=isinstance(problem.family, Bernoulli),
            defaults=defaults,
        )
    y = problem.design.y
    return Scale(
        centre=float(y.mean()), sd=float(y.std()) or 1.0, is_link=False, intercept=intercept, defaults=defaults
    )
