"""`check`: everything that the data say against a model, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import check_choice, check_whole, listed
from hierreg.criticism.quantiles import FEWEST
from hierreg.criticism.reading import examined_of
from hierreg.criticism.report import report
from hierreg.criticism.table import CHECKS
from hierreg.criticism.values import Finding, NotMade, Test, orthogonal, outcome
from hierreg.exceptions import ModelError
from hierreg.hints import SEED, understands

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.criticism.examined import Examined
    from hierreg.predictive.of_model import ModelLike
    from hierreg.reports.checks import Checks
    from hierreg.results.point import Estimate

    Array = NDArray[np.float64]


@understands("hr.check", same=SEED)
def check(  # noqa: PLR0913  # the public signature: every argument has a default
    x: xr.DataTree | Estimate,
    model: ModelLike | None = None,
    *,
    checks: Sequence[str] | str | None = None,
    level: float = 0.05,
    time: str | None = None,
    unit: str | None = None,
    replicates: int = 999,
    seed: int = 1,
) -> Checks:
    """Return what the data say against a model: what was looked at, the evidence, a verdict, and a remedy.

    Each check compares a statistic of the residuals with the same statistic of responses that the model makes, at the
    estimate, or at the medians of the posterior: p is the share of them, the data included, that is as large. Errors
    are looked at by residuals in which group effects have no part, scaled: with independent errors these do not depend
    on any parameter, and p is exact. Scores of further variances are made orthogonal to those of the variances that
    were estimated (Neyman's C(alpha)), so that it matters little that they were; group effects are standardised by
    their exact marginal covariances, and by their own covariance over the groups, so that shrinkage, unequal groups and
    a wrong scale do not matter. Of several candidates (columns, factors) the worst is compared with the worst of each
    replicate. An alarm is a p-value that is below `level` after Holm's adjustment for the number of checks: a model
    that is right has any with about that probability. A check that is not made is listed, with the reason.

    Parameters
    ----------
    x : DataTree or Estimate
        From `Model.sample` (or `load`), or `Model.estimate`. Of responses that are not normal, a DataTree: its rows are
        looked at by randomised quantile residuals (Dunn and Smyth 1996) from replicates of the posterior, which has
        seen the data, so that p is conservative; groups of fewer than 9 rows on average are new ones in these.
    model : Model, optional
        That it comes from, with its table: other columns than those that the model reads are then known. By default the
        model that the result carries.
    checks : sequence of str, optional
        Some of "tails", "dispersion", "spread", "spread_by_group", "order", "units", "curvature", "between", "slopes",
        "outlying_groups", "group_tails", "influence", "variance_influence", "prior", "boundary", "sampler"; all by
        default.
    level : float
        Probability that a right model has an alarm.
    time : str, optional
        Column of numbers or dates by which rows are in order, within units, or else groups.
    unit : str, optional
        Column of labels of rows whose errors may be correlated, across data sets say.
    replicates : int
        Responses that are made; no p-value is below 1 / (replicates + 1).
    seed : int

    Returns
    -------
    Dataset
        Over ``check``: ``statistic``, ``p``, ``p_adjusted`` (Holm), ``verdict`` ("alarm", "note", "clear", "not made"),
        ``found``, ``evidence`` and ``remedy``; facts, such as a variance at zero, have no p. For figures ``residual``
        and ``fitted`` of each row, ``distance_<factor>``, ``cook_<factor>`` and ``step_<factor>`` of each group.

    Raises
    ------
    ModelError, DataError
        If `x` is no result, an argument is malformed, or a column is not known.

    See Also
    --------
    plots.check : Figures of this.
    posterior_predictive : Replicated responses, for checks of one's own, of any family.
    loo : How well rows and groups are predicted that were left out.
    residuals : The residuals of an estimate.

    References
    ----------
    Hilden-Minton (1995), Multilevel Diagnostics for Mixed and Hierarchical Linear Models, University of California, Los
    Angeles; Lange and Ryan (1989), The Annals of Statistics 17(2), 624-642; Barnard (1963), Journal of the Royal
    Statistical Society B 25(2), 294; Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70.

    Examples
    --------
    >>> import hierreg as hr
    >>> est = hr.Model("Reaction ~ Days + (1 | Subject)", hr.load_dataset("sleepstudy")).estimate()
    >>> found = hr.check(est, checks=["slopes", "curvature"])
    >>> found["verdict"].to_series().to_dict()
    {'curvature': 'clear', 'slopes': 'alarm'}
    >>> found["remedy"].sel(check="slopes").item()
    'a slope by group, (Days | Subject)'
    """
    names = _chosen(checks)
    _check_level(level)
    check_whole("replicates", replicates, least=FEWEST)
    check_whole("seed", seed, least=0)
    how = {"time": time, "unit": unit, "replicates": replicates, "seed": seed}
    examined, where = examined_of(x, model, how)
    asked = {name: _ask(name, examined) for name in names}
    tests = {name: one for name, one in asked.items() if isinstance(one, Test)}
    found = _compared(tests, examined, replicates, seed)
    answers = {name: found[name] if isinstance(one, Test) else one for name, one in asked.items()}
    figures = _of_rows(examined)
    attrs = {
        "heading": f"Checks of {examined.problem.formula}, errors {_errors(examined)}\n"
        f"{examined.problem.n_rows} rows, at {where}; {len(tests)} tests against {replicates} replicates",
        "formula": str(examined.problem.formula),
        "replicates": replicates,
        "seed": seed,
    }
    if examined.rows is not None and not examined.rows.is_alone:
        attrs["note"] = (
            "Coefficients of groups leave the errors too few degrees of freedom: residuals are those of the whole "
            "model, of which faults of groups are a part."
        )
    out: Any = report({name: (CHECKS[name].title, one) for name, one in answers.items()}, level, attrs)
    return out.assign(figures) if figures else out  # type: ignore[no-any-return]  # xarray keeps the class


def _errors(x: Examined) -> str:
    family = getattr(x.problem, "family", None)
    return str(x.problem.layout.spec) if family is None else f"of family {family}"


def _chosen(checks: Sequence[str] | str | None) -> list[str]:
    if checks is None:
        return list(CHECKS)
    names = [checks] if isinstance(checks, str) else list(checks)
    for name in names:
        check_choice(name, CHECKS, argument="checks", error=ModelError)
    if not names:
        raise ModelError(f"checks is empty; name some of {listed(CHECKS, most=20)}, or leave it out for all.")
    return [name for name in CHECKS if name in names]


def _check_level(level: object) -> None:
    is_number = isinstance(level, (int, float, np.floating)) and not isinstance(level, bool)
    if not is_number or not 0 < float(level) < 1:  # type: ignore[arg-type]  # a number by the check before
        raise ModelError(f"level={level!r} must be a probability between 0 and 1, such as 0.05.")


def _ask(name: str, x: Examined) -> Test | Finding | NotMade:
    one = CHECKS[name]
    if one.needs_rows and x.residuals is None:
        return NotMade(reason=x.no_rows)
    if one.needs_normal_responses and x.rows is None:
        return NotMade(reason="made of normal responses; for others refit with the term, or without the group")
    if one.needs_normal_effects and not x.has_normal_effects:
        return NotMade(reason="group effects of this model are not normal")
    return one.make(x)


def _compared(tests: Mapping[str, Test], x: Examined, n: int, seed: int) -> dict[str, Finding]:
    """Return what tests find, all of them against the same replicates."""
    if not tests:
        return {}
    assert x.residuals is not None
    data = x.residuals.data()
    scores: dict[str, list[Array]] = {name: [] for name in tests}
    forms: dict[str, list[Array]] = {name: [] for name in tests}
    for sample in x.residuals.replicates(n, seed):
        for name, test in tests.items():
            scores[name].append(test.scores(sample))
            if test.forms is not None:
                forms[name].append(test.forms(sample))
    found = {}
    for name, test in tests.items():
        replicated, observed = np.concatenate(scores[name], axis=1), test.scores(data)[:, 0]
        if test.forms is not None:
            own = (observed, test.forms(data)[:, 0])
            replicated, observed = orthogonal(replicated, np.concatenate(forms[name], axis=1), own)
        o = outcome(data, observed, replicated)
        found[name] = replace(test.conclude(o), p=o.p)
    return found


def _of_rows(x: Examined) -> dict[str, Any]:
    """Return the residuals of errors alone, and the fitted values, for figures."""
    if x.residuals is None:
        return {}
    z = x.residuals.data().errors[:, 0]
    return {
        "residual": ("obs", np.where(x.residuals.has_residual, z, np.nan)),
        "fitted": ("obs", x.residuals.predicted),
    }
