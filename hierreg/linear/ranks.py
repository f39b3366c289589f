"""`ranks`: where groups stand among each other, with the uncertainty that a league table leaves out.

In each draw of the posterior the J groups are put in order. What is reported are summaries of these ranks: the order of
posterior means, or of estimates, is one of many orders that the data allow, and says nothing of how many.

References
----------
Goldstein and Spiegelhalter (1996), Journal of the Royal Statistical Society A 159(3), 385-443; Lin, Louis, Paddock and
Ridgeway (2006), Bayesian Analysis 1(4), 915-946.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
import xarray as xr

from hierreg.checks import check_choice, check_whole, listed, suggestion
from hierreg.display import Column
from hierreg.exceptions import DataError, ModelError
from hierreg.likelihood import solution as joint
from hierreg.likelihood.solution import GroupWeights, LinearFunctions, no_weights
from hierreg.predictive.of_model import any_problem_of, check_has_rows, check_match
from hierreg.reports.draws import mcse_mean, moments
from hierreg.reports.reading import FactorFit, check_prob, need_factor, read
from hierreg.reports.table import Report, percent, section

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.display import Section
    from hierreg.predictive.of_model import ModelLike

    Array = NDArray[np.float64]

# Pairs of groups times draws that are compared in about ten seconds.
_MOST_PAIRS = 20_000_000_000
# Of the groups, where nobody says how many are the best.
_SHARE = 10


@final
class Ranks(Report):
    """What `ranks` returns; prints as a table, the best first."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"expected_rank": 1, "lower": 1, "upper": 1, "mean": 1}

    def _columns(self) -> tuple[Column, ...]:
        # Ties have the mean of their ranks.
        has_halves = bool(np.any(self["lower"] % 1) or np.any(self["upper"] % 1))
        return (
            Column(key="mean", head=self.attrs["of"]),
            Column(key="sd", head="sd", fold=1),
            Column(key="expected_rank", head="expected rank", form="fixed", digits=1),
            *self._interval(form="fixed" if has_halves else "count", digits=1),
            Column(key="prob_best", head=f"P(best {self.attrs['k']})", form="fixed", digits=2),
            Column(key="mcse", head="mcse", form="significant", digits=2, fold=2),
        )

    def _sections(self, most: int | None) -> tuple[Section, ...]:
        dim = self.attrs["dim"]
        order = np.argsort(self["expected_rank"].to_numpy(), kind="stable")
        return (section(dim, self.isel({dim: order}), most),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranked:
    """What is put in order.

    Attributes
    ----------
    draws : array (chain, draw, J)
    labels : array (J,)
        Of the groups, or of whatever else is ranked.
    dim : str
        What they are called together.
    of : str
        The quantity, in a word.
    heading, note : str
        What is said above and below.
    coords : dict
        Of chains and draws.
    """

    draws: Array
    labels: NDArray[Any]
    dim: str
    of: str
    heading: str
    note: str


def ranks(  # noqa: PLR0913  # every argument after the first has a default
    x: xr.DataTree | xr.Dataset,
    coef: str = "Intercept",
    *,
    model: ModelLike | None = None,
    factor: str | None = None,
    best: Literal["highest", "lowest"] = "highest",
    k: int | None = None,
    ci_prob: float = 0.95,
    pairwise: bool | Sequence[Any] = False,
) -> Ranks:
    """Return the ranks of groups over the draws of the posterior; the best has rank 1.

    Three quantities can be ranked:

    - *coefficients* of the groups, theta_j = beta + b_j (or b_j where the column has no population coefficient). A
      predictor that describes groups is not in them: with one, groups are compared as if all were at its zero or
      reference level, which the report says.
    - *expected values* at each group's own predictors, the means over its rows: x_j beta + z_j b_j, where `model` is
      given. Of responses that are not normal it is the linear predictor, without an offset.
    - anything else that has draws: give `predict(..., draws=True)` for chosen rows, as for schools at one SES and their
      own sector, or `contrasts`, in place of the tree.

    Parameters
    ----------
    x : DataTree, or Dataset with ``draws``
        From `Model.sample` or `hierreg.load`; or what `predict` or `contrasts` returned, with draws.
    coef : str
        Group column, of a tree without `model`.
    model : Model, optional
        That the tree is of, with its rows: rank expected values instead.
    factor : str, optional
        Grouping factor; needed where the model has several. The effects of others are zero.
    best : {"highest", "lowest"}
        What has rank 1.
    k : int, optional
        The best k, of which the report gives the probability to be one; by default a tenth of the groups.
    ci_prob : float
        Probability of the equal-tailed intervals, whose ends are ranks, so that they hold at least as much.
    pairwise : bool or sequence of labels
        Return P(A above B) too, of all groups or of those named.

    Returns
    -------
    Dataset
        Over the groups: ``expected_rank`` (its Monte-Carlo standard error ``mcse``), ``rank_sd``, ``lower``, ``upper``;
        ``prob_best``, the probability of a rank of at most k; ``integer_rank``, the rank of the expected rank, which is
        the list of smallest expected squared error if one order must be given; ``percentile``, 100 (1 - (expected rank
        - 1/2) / J); and ``mean``, ``sd`` of the quantity itself. With `pairwise`, ``prob_above`` (<dim>_first,
        <dim>_second): the probability that the first is the better of the two; 1/2 with itself. Ties share their mean
        rank.

    Raises
    ------
    ModelError
        If only summaries of the group coefficients were kept: the joint distribution is needed. If there is no such
        group column, factor or group, or the tree is not of the model.
    DataError
        If `x` has no draws.

    See Also
    --------
    shrinkage : The coefficients themselves, beside the groups alone.
    predict : Expected values of rows, as ``hr.ranks(hr.predict(model, rows, at=tree, draws=True))``.
    contrasts : The difference of two groups.
    plots.ranks : The figure.

    References
    ----------
    Goldstein and Spiegelhalter (1996), Journal of the Royal Statistical Society A 159(3), 385-443; Lin, Louis, Paddock
    and Ridgeway (2006), Bayesian Analysis 1(4), 915-946.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> tree = model.sample(seed=1, progress=False)
    >>> report = hr.ranks(tree, k=1, pairwise=True)
    >>> report["integer_rank"].to_series().to_dict()
    {'A': 4, 'B': 3, 'C': 2, 'D': 5, 'E': 1, 'F': 6}
    >>> f"{float(report['prob_above'].sel(Batch_first='E', Batch_second='C')):.1f}"
    '0.8'
    """
    prob = check_prob(ci_prob)
    check_choice(best, ("highest", "lowest"), argument="best", error=ModelError)
    what = _of_tree(x, coef, model, factor) if isinstance(x, xr.DataTree) else _of_report(x)
    J = len(what.labels)
    if J < 2:
        raise ModelError(f"x has a single {what.dim}, {what.labels[0]!r}; ranks need at least two.")
    if k is None:
        k = -(-J // _SHARE)
    check_whole("k", k, least=1)
    if k > J:
        raise ModelError(f"k={k} of the best are asked for, but there are {J}: {listed(what.labels.tolist())}.")
    places = None if pairwise is False else _places(what, pairwise)
    values = _summaries(what.draws, prob, int(k), sign=-1.0 if best == "highest" else 1.0)
    variables: dict[str, Any] = {name: ((what.dim,), value) for name, value in values.items()}
    coords: dict[str, Any] = {what.dim: what.labels}
    if places is not None:
        first, second = f"{what.dim}_first", f"{what.dim}_second"
        flat = what.draws[:, :, places].reshape(-1, len(places))
        variables["prob_above"] = ((first, second), _above(flat if best == "highest" else -flat))
        coords |= {first: what.labels[places], second: what.labels[places]}
    note = f"Rank 1: the {best}. Intervals hold at least {percent(prob)}."
    return Ranks(
        variables,
        coords=coords,
        attrs={
            "heading": f"{what.heading}; equal-tailed {percent(prob)} intervals",
            "ci_prob": prob,
            "dim": what.dim,
            "of": what.of,
            "best": best,
            "k": int(k),
            "note": f"{note}\n{what.note}" if what.note else note,
        },
    )


def _of_tree(tree: xr.DataTree, coef: str, model: ModelLike | None, factor: str | None) -> Ranked:
    fit = read(tree)
    of = need_factor(fit, "ranks", factor)
    if of.draws is None:
        raise ModelError(
            f"only summaries of the coefficients of {of.name} were kept, and ranks need their joint distribution: "
            "sample with group_effects='draws', with fewer draws where memory is short."
        )
    if model is not None:
        return _expected_values(tree, of, model)
    if coef not in of.coefs:
        raise ModelError(
            f"coef={coef!r} is not a group coefficient of {of.name!r}; these are {listed(of.coefs)}."
            f"{suggestion(coef, of.coefs)}"
        )
    at, note = of.reference.get(coef), ""
    if at:
        note = (
            f"All groups are compared at {at}: predictors that are no group columns are left out of {coef}. For "
            "expected values at their own, give model=."
        )
    return Ranked(
        draws=of.draws[..., of.coefs.index(coef)],
        labels=of.groups,
        dim=of.dim,
        of=coef,
        heading=f"{fit.heading}",
        note=note,
    )


def _expected_values(tree: xr.DataTree, of: FactorFit, model: ModelLike) -> Ranked:
    """Return the expected value of each group, at the means of the columns over its rows."""
    problem, fit = any_problem_of(model), of.fit
    check_match(tree, problem)
    check_has_rows(problem, "ranks of expected values")  # type: ignore[arg-type]  # any problem has a design
    X = problem.design.X[:, getattr(problem, "kept_coefficients", slice(None))]
    place = fit.factors.index(of.name)
    groups, J = problem.design.factors[place], len(of.groups)
    each = np.arange(J)
    weights = [no_weights(len(other.coefs)) for other in fit.by_factor]
    weights[place] = GroupWeights(row=each, level=each, b=_group_means(groups.Z, groups.index, J))
    functions = LinearFunctions(beta=_group_means(X, groups.index, J), groups=tuple(weights))
    beta, b = fit.draws("beta"), fit.draws(f"b_{of.name}")
    own = [
        b.reshape(b.shape[0] * b.shape[1], *b.shape[2:]) if f == place else np.empty((0, 0, 0))
        for f in range(len(fit.factors))
    ]
    draws = joint.values(functions, beta.reshape(beta.shape[0] * beta.shape[1], beta.shape[2]), own)
    others = [name for name in fit.factors if name != of.name]
    note = f"Expected values at the means of the predictors over the rows of each {of.name}"
    return Ranked(
        draws=draws.reshape(*fit.n_draws, J),
        labels=of.groups,
        dim=of.dim,
        of="expected value",
        heading=fit.heading,
        note=f"{note}{f'; effects of {listed(others)} are zero' if others else ''}.",
    )


def _group_means(columns: Array, index: NDArray[np.intp], J: int) -> Array:
    """Return the means (J, m) of columns (N, m) over the rows of each group."""
    # Of differences from a first row: an offset takes no digits from them.
    total = np.zeros((J, columns.shape[1]))
    np.add.at(total, index, columns - columns[0])
    return np.asarray(columns[0] + total / np.bincount(index, minlength=J)[:, None])


def _of_report(x: Any) -> Ranked:
    draws = x["draws"] if isinstance(x, xr.Dataset) and "draws" in x else None
    if draws is None or draws.ndim != 3 or not {"chain", "draw"} <= set(draws.dims):
        raise DataError(
            f"x of type {type(x).__name__} has no draws; ranks need a DataTree from Model.sample, or a report with "
            "draws: hr.predict(model, rows, at=tree, draws=True) or hr.contrasts(tree, ...)."
        )
    draws = draws.transpose("chain", "draw", ...)
    dim = str(draws.dims[-1])
    # Rows of predictions are known by their groups, where each has one row.
    named = [
        str(n) for n, c in x.coords.items() if c.dims == (dim,) and n != dim and len(set(c.values)) == x.sizes[dim]
    ]
    labels = x[named[0]].values if named else x[dim].values
    heading = str(x.attrs.get("heading", "")).partition("; equal-tailed")[0]
    return Ranked(
        draws=draws.to_numpy(), labels=labels, dim=named[0] if named else dim, of="mean", heading=heading, note=""
    )


def _summaries(draws: Array, prob: float, k: int, *, sign: float) -> dict[str, Array]:
    """Return what is said of each of J quantities, from their draws (chain, draw, J); rank 1 is the smallest x sign."""
    from scipy.stats import rankdata

    place = rankdata(sign * draws, axis=2)
    own = moments(draws, prob)
    flat = place.reshape(-1, draws.shape[2])
    lower, upper = np.quantile(flat, [(1 - prob) / 2, (1 + prob) / 2], axis=0, method="inverted_cdf")
    expected, J = flat.mean(axis=0), draws.shape[2]
    return {
        "expected_rank": expected,
        "mcse": mcse_mean(place),
        "rank_sd": flat.std(axis=0, ddof=1) if len(flat) > 1 else np.full(J, np.nan),
        "lower": lower,
        "upper": upper,
        "prob_best": np.mean(flat <= k, axis=0),
        "integer_rank": rankdata(expected, method="ordinal").astype(np.intp),
        "percentile": 100.0 * (1.0 - (expected - 0.5) / J),
        "mean": own["mean"],
        "sd": own["sd"],
    }


def _places(what: Ranked, pairwise: Any) -> NDArray[np.intp]:
    """Return the places of the groups that are compared pair by pair."""
    labels = what.labels.tolist()
    if pairwise is True:
        places = list(range(len(labels)))
    else:
        if isinstance(pairwise, str) or not isinstance(pairwise, Sequence) or not len(pairwise):
            raise ModelError(f"pairwise={pairwise!r} must be True, False or a sequence of labels of {what.dim}.")
        places = []
        for label in pairwise:
            found = [i for i, own in enumerate(labels) if own == label or str(own) == str(label)]
            if not found:
                raise ModelError(
                    f"pairwise names {label!r}, which is none of {listed(labels)}.{suggestion(label, labels)}"
                )
            places.append(found[0])
    n_draws = what.draws.shape[0] * what.draws.shape[1]
    if len(places) ** 2 * n_draws > _MOST_PAIRS:
        raise ModelError(
            f"pairwise: all pairs of {len(places)} groups in {n_draws} draws are too many; name the groups that are to "
            "be compared, pairwise=[...]."
        )
    return np.array(places, dtype=np.intp)


def _above(flat: Array) -> Array:
    """Return P(first > second) (m, m) of draws (S, m); ties count half."""
    out = np.empty((flat.shape[1],) * 2)
    for j, own in enumerate(flat.T):
        is_above, is_tied = own[:, None] > flat, own[:, None] == flat
        out[j] = is_above.mean(axis=0) + 0.5 * is_tied.mean(axis=0)
    return out
