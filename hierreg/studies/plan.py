"""`design`: what a study of so many groups and rows will tell, by simulation of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import check_choice, check_whole, listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.hints import PROB, SEED, understands
from hierreg.linear.given import Names, read_weights
from hierreg.model.model import Model
from hierreg.predictive.of_model import check_has_rows, check_match, gaussian
from hierreg.predictive.prior_draws import check_priors
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.resampled import check_resampled
from hierreg.reports.reading import check_prob
from hierreg.results.carried import draws_in
from hierreg.results.point import Estimate
from hierreg.sampling.interrupted import warn_interrupted
from hierreg.studies.counting import counting
from hierreg.studies.plan_report import report_of
from hierreg.studies.planned import Plan, Simulated, simulated
from hierreg.studies.truths import truth_given, truth_of_estimate, with_values
from hierreg.studies.workers import results_of
from hierreg.threads import available_cores

if TYPE_CHECKING:
    import xarray as xr

    from hierreg.problem.problem import Problem
    from hierreg.reports.study_plan import StudyPlan


@understands("hr.design", same=SEED, instead=PROB)
def design(  # noqa: PLR0913  # the public signature: every argument but the first two has a default
    model: Model,
    contrast: Any,
    *,
    groups: int | Sequence[int] | None = None,
    rows: int | Sequence[int] | None = None,
    factor: str | None = None,
    at: xr.DataTree | Estimate | Mapping[str, Any] | None = None,
    effects: Mapping[str, float] | None = None,
    n: int = 200,
    method: Literal["psis", "nuts", "reml"] = "psis",
    ci_prob: float = 0.95,
    seed: int | None = None,
    cores: int | None = None,
    progress: bool = True,
    client: Any = None,
) -> StudyPlan:
    """Return how precise a contrast will be, and how often its interval is without zero, for studies of several sizes.

    A simulated study has so many groups, each one of the model's with its predictors, drawn anew, and so many of its
    rows (each as often as any other but for one). Its group coefficients are new, its parameters those of `at`, and its
    response is analysed under the model's priors.

    Parameters
    ----------
    model : Model
        With normal responses and its rows; a pilot study, or a table of made-up responses with the predictors that are
        planned.
    contrast : dict or matrix
        Of population coefficients, as `contrasts` takes it: ``{"slope": {"Days": 1}}``.
    groups, rows : int or sequence of int, optional
        Numbers of groups, and of rows in each, that are crossed; left out, those of the model. A model without groups
        has rows alone.
    factor : str, optional
        The grouping factor whose groups are meant, where there are several. Groups of others within it are drawn with
        it, those that cross it stay the same.
    at : DataTree, Estimate or dict, optional
        Where studies are simulated: at draws of a posterior (so that power is averaged over what is not known), at an
        estimate, or at given values, ``{"beta": {...}, "sd": {factor: {...}}, "corr": {factor: matrix}, "error_sd":
        ...}`` and ``error_corr`` where there is one. By default at draws from the priors.
    effects : dict, optional
        Values of some population coefficients instead, such as the smallest that matters.
    n : int
        Simulated studies of each size.
    method : {"psis", "nuts", "reml"}
        How they are analysed: by the posterior, or by normal intervals at the REML estimate.
    ci_prob : float
        Probability of the intervals; one without zero is a posterior probability of a direction above (1 + ci_prob) /
        2.
    seed : int, optional
        Simulation i of a size depends on it, on the size and on i alone. A random one is chosen and recorded where none
        is given.
    cores : int, optional
        Processes; all cores by default. As for `calibrate`.
    progress : bool
    client : distributed.Client, optional

    Returns
    -------
    Dataset
        Over ``study`` (with ``groups`` and ``rows``) and ``contrast``: ``sd``, mean posterior sd (standard error with
        "reml"); ``power``, share of intervals without zero; both with Monte-Carlo standard errors ``sd_mcse`` and
        ``power_mcse``; ``coverage``, share of intervals with the true value; of the intervals without zero
        ``wrong_sign``, the share on the wrong side, and ``exaggeration``, the mean of estimate over truth, both
        without signs. ``reliability`` (study, effect): 1 - Var(b | y, beta) / Var(b), mean over groups: the weight of
        their own rows, where one coefficient varies. Printing it gives a table.

    Raises
    ------
    ModelError, PriorError
        If an argument is malformed, the response or group effects are not normal, or rows cannot be drawn anew.

    Warns
    -----
    InterruptedWarning
        Where a user interrupted: what is finished is returned.

    See Also
    --------
    hierreg.plots.design : Power and precision by size.
    calibrate : Whether posteriors of a model are what they say.
    contrasts : Of a study that is done.

    References
    ----------
    Green and MacLeod (2016), Methods in Ecology and Evolution 7(4), 493-498 (simulation of the power of mixed models);
    Gelman and Carlin (2014), Perspectives on Psychological Science 9(6), 641-651 (wrong signs and exaggeration).

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> options = {"n": 10, "seed": 1, "cores": 1, "progress": False, "method": "reml"}
    >>> plan = hr.design(model, {"slope": {"Days": 1}}, groups=[6, 24], at=model.estimate(), **options)
    >>> bool(plan["sd"][0, 0] > plan["sd"][1, 0])
    True
    """
    plan = _plan_of(model, contrast, (groups, rows, factor), (at, effects), (method, check_prob(ci_prob), seed))
    check_whole("n", n, least=2)
    cores = available_cores() if cores is None else cores
    check_whole("cores", cores, least=1)
    numbers = [place * n + i for i in range(n) for place in range(len(plan.sizes))]
    found: dict[int, Simulated] = {}
    begin, message = time.monotonic(), ""
    plan = plan.of_each(n)
    try:
        with counting(len(numbers), done=0, is_shown=progress, what="studies") as advance:
            for one in results_of(simulated, plan, numbers, cores=cores, client=client):
                found[one.number] = one
                advance()
    except KeyboardInterrupt:
        if len({number // n for number in found}) < len(plan.sizes):
            raise KeyboardInterrupt("interrupted before each size was simulated once") from None
        message = f"planning was interrupted: {len(found)} of {len(numbers)} studies are simulated"
    warn_interrupted(message)
    attrs = {"seed": plan.seed, "n": n, "interrupted": message, "seconds": time.monotonic() - begin}
    return report_of(plan, found, n, attrs)


def _plan_of(
    model: Model,
    contrast: Any,
    sizes: tuple[int | Sequence[int] | None, int | Sequence[int] | None, str | None],
    at: tuple[Any, Mapping[str, float] | None],
    how: tuple[str, float, int | None],
) -> Plan:
    """Return what all simulated studies have in common."""
    if not isinstance(model, Model):
        raise ModelError(f"model has type {type(model).__name__}; a hierreg Model is required.")
    problem = gaussian(model.problem, "hr.design")
    if isinstance(problem, EffectsProblem):
        raise ModelError("design is for normal group effects: use the model without effects=.")
    check_has_rows(problem, "design")
    method, prob, seed = how
    check_choice(method, ("psis", "nuts", "reml"), argument="method", error=ModelError)
    if seed is not None:
        check_whole("seed", seed, least=0)
    place = _place_of(problem, sizes[2])
    chosen = _sizes(place, *sizes[:2])
    check_resampled(problem, place, with_rows=sizes[1] is not None)
    if not problem.labels.coef:
        raise ModelError("the model has no population coefficients, of which contrast is: add '1' or predictors.")
    names, functions = read_weights(contrast, Names(coef=problem.labels.coef, groups=()))
    truth, draws = _truth_of(problem, *at)
    return Plan(
        problem=problem,
        factor=place,
        sizes=chosen,
        names=tuple(names),
        weights=functions.beta,
        truth=truth,
        draws=draws,
        effects=dict(at[1] or {}),
        method=method,
        prob=prob,
        seed=int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed),
        n=1,
    )


def _place_of(problem: Problem, factor: str | None) -> int | None:
    """Return the place of the factor whose groups are drawn."""
    names = list(problem.labels.factor_names)
    if factor is None:
        if len(names) > 1:
            raise ModelError(f"factor= is needed: groups of which of {listed(names)} are the study's?")
        return 0 if names else None
    if factor not in names:
        raise ModelError(f"factor={factor!r}; the grouping factors are {listed(names)}.{suggestion(factor, names)}")
    return names.index(factor)


def _sizes(place: int | None, groups: Any, rows: Any) -> tuple[tuple[int | None, int | None], ...]:
    if groups is not None and place is None:
        raise ModelError(f"groups={groups!r}, but the model has no grouping factor: give rows.")
    least = {"groups": 2, "rows": 1}
    lists: list[list[int | None]] = []
    for name, given in (("groups", groups), ("rows", rows)):
        values = [given] if given is None or np.ndim(given) == 0 else list(given)
        if not values:
            raise ModelError(f"{name} is empty: give a number, several, or leave it out.")
        for value in values:
            if value is not None:
                check_whole(name, value, least=least[name])
        lists.append([None if value is None else int(value) for value in values])
    return tuple((g, r) for g in lists[0] for r in lists[1])


def _truth_of(problem: Problem, at: Any, effects: Mapping[str, float] | None) -> tuple[Any, Any]:
    """Return the parameters of all studies, or draws that each takes one of; None for both: draws of the prior."""
    import xarray as xr

    if effects is not None and not isinstance(effects, Mapping):
        raise ModelError(f"effects={effects!r} is no dictionary; give values by population coefficient.")
    truth = draws = None
    if isinstance(at, xr.DataTree):
        check_match(at, problem)
        draws = draws_in(at)
    elif isinstance(at, Estimate):
        truth = truth_of_estimate(at, problem)
    elif isinstance(at, Mapping):
        truth = truth_given(at, problem)
    elif at is None:
        check_priors(problem, 1)
    else:
        raise ModelError(
            f"at has type {type(at).__name__}; a DataTree from Model.sample, an Estimate from Model.estimate, a "
            "dictionary of parameters, or nothing (draws from the priors) is required."
        )
    if truth is not None:
        truth = with_values(truth, effects or {}, problem)
    elif effects:
        unknown = [name for name in effects if name not in problem.labels.coef]
        if unknown:
            raise ModelError(
                f"effects has {listed(unknown)}; population coefficients are {listed(problem.labels.coef)}."
            )
    return truth, draws
