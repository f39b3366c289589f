"""`predictive_check`: whether a model makes data like those observed, by test statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.checks import check_whole
from hierreg.display import Column
from hierreg.exceptions import ModelError
from hierreg.hints import PROB, SEED, understands
from hierreg.predictive import of_family
from hierreg.predictive.left_out.sets import problem_and_data
from hierreg.predictive.replicated import one_chain, replicated, replication
from hierreg.predictive.rows import check_size
from hierreg.predictive_checks.sets import check_sets
from hierreg.predictive_checks.statistics import named_statistics
from hierreg.problem.family import FamilyProblem
from hierreg.reports.draws import evenly
from hierreg.reports.reading import check_prob
from hierreg.reports.table import Report, percent
from hierreg.response import NegativeBinomial, Poisson
from hierreg.results.carried import draws_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.predictive.of_model import ModelLike
    from hierreg.predictive.replicated import Replication
    from hierreg.predictive_checks.sets import CheckSets
    from hierreg.predictive_checks.statistics import Named

    Array = NDArray[np.float64]

_DEFAULT = ("mean", "sd", "skewness", "min", "max")
# Replicates in all where nobody says how many, and values of them that take about a minute; never fewer than some.
_DRAWS, _MOST_VALUES, _FEWEST = 1000, 1_000_000_000, 100
_EXTREME = 0.025


@final
class PredictiveCheck(Report):
    """What `predictive_check` returns; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"observed": 1, "p": 1, "mean": 1, "statistic": 1}
    titles: ClassVar[dict[str, str]] = {}

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column(key="observed", head="observed"),
            Column(key="mean", head="replicated"),
            *self._interval(),
            Column(key="p", head="p", form="fixed", digits=3),
        )


@understands("hr.predictive_check", same=SEED | {"stats": "statistics", "group": "by"}, instead=PROB)
def predictive_check(  # noqa: PLR0913  # every argument after the first has a default
    tree: xr.DataTree,
    by: str | None = None,
    statistics: str | float | Mapping[str, Any] | Sequence[Any] | None = None,
    *,
    level: str | Mapping[str, str] = "group",
    given: Any = None,
    model: ModelLike | None = None,
    draws: int | None = None,
    bins: int = 5,
    ci_prob: float = 0.95,
    seed: int | None = None,
) -> PredictiveCheck:
    """Return whether the model makes data like those observed: test statistics of replicated and of observed rows.

    Each draw of the posterior makes the rows of the table once more, and statistics are taken of each such table, so
    that memory is that of a few tables, whatever their number. ``p`` is the share of replicates above what was
    observed, of those equal to it a half (mid-p): near 0 or 1 the model does not make such data.

    Which replicates, `level` says:

    - "group": the same groups, with their coefficients, and new errors. The coefficients have seen the data that they
      are compared with, so that the check is mild: p crowds about one half, means of groups above all.
    - "new group": groups whose coefficients are drawn anew from N(0, Sigma), or the model's other distribution of
      them. That checks what the model says of groups: by a grouping factor there are then also statistics of the means
      of groups.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample`, or one from `load`.
    by : str, optional
        A grouping factor, data set, stratum or any other column of the table: statistics of the rows of each of its
        groups. A number with more than 12 values is cut into ranges with about as many rows each.
    statistics : str, float, dict name -> function, or sequence of these, optional
        "mean", "sd", "skewness", "min", "max", "zeros" (the share of zeros), a number between 0 and 1 (a quantile), or
        functions of an array of responses. By default the first five, of counts "zeros" too.
    level : str or dict factor -> str
        "group" or "new group", of all grouping factors or of those named.
    given : label or sequence of labels, optional
        Data sets of correlated errors that are as observed: rows of the others are replicated given what was observed
        of their units, and the check is of these alone.
    model : Model, optional
        The model that it was sampled from; by default the one that the tree carries.
    draws : int, optional
        Replicates in all, evenly spaced over the draws; by default 1,000, fewer (at least 100) of large tables.
    bins : int
        Ranges that numbers of `by` are cut into.
    ci_prob : float
        Probability of the equal-tailed intervals of replicated statistics.
    seed : int, optional
        By default that of the tree.

    Returns
    -------
    Dataset
        Over ``check``: ``observed``, and of replicates ``mean``, ``sd``, ``lower``, ``upper``; ``p``; coordinates
        ``statistic`` and ``set`` (of which rows; "means" for statistics of the means of groups). NaN where a statistic
        does not exist, such as the sd of one row.

    Raises
    ------
    DataError, ModelError
        If there is no such column, statistic or data set, the rows are not known, or there are not so many draws.

    See Also
    --------
    posterior_predictive : The replicates themselves.
    plots.predictive : The figures.
    loo : Predictions of rows that were not seen.
    prior_check : Before any response is seen.

    References
    ----------
    Gelman, A., Meng, X.-L. and Stern, H. (1996). Posterior predictive assessment of model fitness via realized
    discrepancies. Statistica Sinica 6, 733-807.
    Bayarri, M. J. and Castellanos, M. E. (2007). Bayesian checking of the second levels of hierarchical models.
    Statistical Science 22(3), 322-343.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> tree = model.sample(draws=250, seed=1, method="psis")
    >>> report = hr.predictive_check(tree, by="Subject", statistics="sd", level="new group")
    >>> report["check"].values[:4].tolist()
    ['sd of the means', 'min of the means', 'max of the means', 'sd, 308']
    """
    prob = check_prob(ci_prob)
    problem, table = problem_and_data(tree, model)
    what = replication(problem, level, given)
    default = (*_DEFAULT, "zeros") if _has_counts(problem) else _DEFAULT
    asked = named_statistics(statistics, default)
    sets = check_sets(problem, table, by, bins, what.rows)
    posterior = thinned_draws(draws_in(tree), draws, len(what.rows))
    check_whole("seed", 0 if seed is None else seed, least=0)
    chosen = int(tree.attrs.get("seed", 0)) if seed is None else int(seed)
    of_means = any(by == name for name in what.new)
    labels = _labels(asked, sets, of_means=of_means)
    n = posterior.sizes["chain"] * posterior.sizes["draw"]
    check_size(n, len(labels), "hr.predictive_check", "Use fewer statistics, or draws=...")
    made = np.empty((n, len(labels)))
    for part, y in replicated(what, posterior, chosen):
        made[part] = _values(y[:, sets.order], asked, sets, of_means=of_means)
    seen = observed_responses(problem)[what.rows][sets.order]
    observed = _values(seen[None], asked, sets, of_means=of_means)[0]
    attrs = {"ci_prob": prob, "heading": _heading(problem, what, n, prob), "seed": chosen, "n_replicates": n}
    return _report(labels, observed, made, prob, attrs, mild=not what.new and given is None)


def thinned_draws(posterior: xr.Dataset, draws: int | None, n_rows: int) -> xr.Dataset:
    """Return evenly spaced draws of all chains, as one chain."""
    available = posterior.sizes["chain"] * posterior.sizes["draw"]
    if draws is None:
        draws = min(available, max(_FEWEST, min(_DRAWS, _MOST_VALUES // max(1, n_rows))))
    check_whole("draws", draws, least=1)
    if draws > available:
        raise ModelError(f"draws={draws} replicates were asked for, but the tree has {available} draws in all.")
    return one_chain(posterior, evenly(available, draws))


def _has_counts(problem: Any) -> bool:
    return isinstance(problem, FamilyProblem) and isinstance(problem.family, Poisson | NegativeBinomial)


def observed_responses(problem: Any) -> Array:
    """Return the responses (N,) that replicates are compared with."""
    values = of_family.observed_values(problem) if isinstance(problem, FamilyProblem) else problem.design.y
    return np.asarray(values, dtype=float)


_OF_MEANS = ("sd", "min", "max")


def _labels(asked: list[Named], sets: CheckSets, *, of_means: bool) -> list[tuple[str, str]]:
    """Return statistic and set of each check: those of the means of groups, then one statistic after the other."""
    of = [(f"{name} of the means", "means") for name in (_OF_MEANS if of_means else ())]
    return of + [(one.name, label) for one in asked for label in sets.labels]


def _values(y: Array, asked: list[Named], sets: CheckSets, *, of_means: bool) -> Array:
    """Return the checks (B, C) of sorted rows (B, n)."""
    with np.errstate(over="ignore", invalid="ignore"):
        parts = [one.of(y, sets) for one in asked]
        if of_means:
            means = np.add.reduceat(y, sets.starts, axis=1) / sets.sizes
            spread = means.std(axis=1, ddof=1) if means.shape[1] > 1 else np.full(len(y), np.nan)
            parts.insert(0, np.stack([spread, means.min(axis=1), means.max(axis=1)], axis=1))
    return np.concatenate(parts, axis=1)


def _heading(problem: Any, what: Replication, n: int, prob: float) -> str:
    which = f"new groups of {', '.join(sorted(what.new))}" if what.new else "the same groups"
    which = "the same rows" if not problem.labels.factors else which
    if what.given is not None:
        labels = [str(label) for label, known in zip(problem.layout.labels, what.given, strict=True) if known]
        which += f", given {', '.join(labels)}"
    return f"{problem.formula}: {n} replicates of {which}, equal-tailed {percent(prob)} intervals"


def _report(
    labels: list[tuple[str, str]], observed: Array, made: Array, prob: float, attrs: dict[str, Any], *, mild: bool
) -> PredictiveCheck:
    names = [name if not label or label == "means" else f"{name}, {label}" for name, label in labels]
    exists = np.isfinite(observed) & np.isfinite(made).all(axis=0)
    p = np.mean(made > observed, axis=0) + 0.5 * np.mean(made == observed, axis=0)
    p = np.where(exists, p, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        lower, upper = np.quantile(made, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
        mean, sd = made.mean(axis=0), made.std(axis=0)
    values = {"observed": observed, "mean": mean, "sd": sd, "lower": lower, "upper": upper, "p": p}
    extreme = np.flatnonzero((p < _EXTREME) | (p > 1 - _EXTREME))
    return PredictiveCheck(
        {name: ("check", np.asarray(value, dtype=float)) for name, value in values.items()},
        coords={
            "check": names,
            "statistic": ("check", [name for name, _ in labels]),
            "set": ("check", [label for _, label in labels]),
        },
        attrs=attrs | {"note": "\n".join(_notes(p, names, extreme, mild=mild)), "n_extreme": len(extreme)},
    )


def _notes(p: Array, names: list[str], extreme: Any, *, mild: bool) -> list[str]:
    n = int(np.isfinite(p).sum())
    out = ["p: share of replicates above what was observed, of those equal to it a half."]
    if n > 1 or len(extreme):
        worst = sorted(extreme.tolist(), key=lambda k: min(p[k], 1 - p[k]))[:3]
        named = f": {', '.join(names[k] for k in worst)}{' ...' if len(extreme) > len(worst) else ''}" if worst else ""
        out.append(
            f"{len(extreme)} of {n} lie below {_EXTREME} or above {1 - _EXTREME} (of a right model at most about "
            f"{2 * _EXTREME * n:.1f}){named}."
        )
    if mild:
        out.append(
            "Mild: the parameters have seen the rows that they are compared with, so that p crowds about one half. "
            "level='new group' checks what the model says of groups, hr.loo rows and groups that were not seen."
        )
    return out
