"""`correlations`: every correlation of a model, and of its posterior."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np

from hierreg.display import Column
from hierreg.display.numbers import percent
from hierreg.hints import PROB, understands
from hierreg.reports.draws import correlation, mcse_mean, moments
from hierreg.reports.intraclass import Intraclass, intraclass_correlations
from hierreg.reports.reading import FactorFit, Fit, check_prob, read
from hierreg.reports.summary import Parameter, parameters
from hierreg.reports.table import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Groups up to this many are few enough to be compared with each other pair by pair.
MOST_GROUPS = 8


@final
class Correlations(Report):
    """What `correlations` returns; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"correlation": 1, "mean": 1, "reml": 1, "kind": 1}

    titles: ClassVar[dict[str, str]] = {
        "group": "Of coefficients across groups",
        "error": "Of errors, across data sets or within units",
        "intraclass": "Intraclass: share of the variance that is between groups",
        "population": "Posterior, of population coefficients",
        "between groups": "Posterior, of one coefficient in two groups",
    }

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column(key="mean", head="mean", form="fixed"),
            Column(key="sd", head="sd", form="fixed"),
            *self._interval(form="fixed"),
            Column(key="prob_positive", head="P(>0)", form="fixed", fold=1),
            Column(key="mcse", head="mcse", form="fixed", digits=4, fold=3),
            Column(key="reml", head=self.attrs["plug_in"], form="fixed", fold=2),
        )

    def _notes(self) -> tuple[str, ...]:
        none = () if self.sizes["correlation"] else ("The model has no correlations.",)
        return *none, *self.attrs["note"].splitlines()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Row:
    kind: str
    first: str
    second: str
    where: str
    name: str
    values: dict[str, float]
    at: str = ""


@understands("hr.correlations", instead=PROB)
def correlations(
    tree: xr.DataTree,
    ci_prob: float = 0.95,
    *,
    at: Mapping[str, float] | None = None,
    observation: Literal["lognormal", "trigamma", "delta"] = "lognormal",
) -> Correlations:
    """Return every correlation of the model and of its posterior.

    Five kinds: ``group`` (coefficients across the groups of a factor), ``error`` (errors across data sets, or of
    exchangeable and AR(1) errors within units), ``intraclass`` (the share of the variance that is between the groups of
    a factor, z'Sigma z / (sum of z'Sigma z over grouping factors + error_sd^2); for nested factors that of each level
    alone, so that the correlation of two rows of one inner group is the sum of both), ``population`` (posterior
    correlation of two population coefficients) and ``between groups`` (posterior correlation of one coefficient in two
    groups, where there are at most eight groups or the groups are the data sets). The first three are parameters, with
    a posterior; the last two describe the posterior, so they are one number, with a Monte-Carlo error.

    With a random slope the intraclass correlation depends on the predictors. It is reported at the means of the group
    columns z; where errors have strata or data sets, at those of the stratum's own rows with its own error variance. So
    it does not depend on where a predictor has its zero, nor on how a stratum is coded. `at` asks for other values.

    With a family of responses it is on the scale of the linear predictor, where the variance within groups is that of
    the link (of binomial and ordered responses), error_sd^2 (log-normal), or the variance of the logarithm of an
    observation (Poisson, negative binomial and gamma), by one of three approximations. Of counts that depends on the
    mean response, and so on all predictors, which `at` may name then.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample` or `hierreg.load`.
    ci_prob : float
        Probability of the equal-tailed intervals.
    at : dict group column -> number, optional
        Where intraclass correlations are wanted, as in ``at={"Days": 5}``; columns left out are at their means.
    observation : {"lognormal", "trigamma", "delta"}
        Of Poisson, negative binomial and gamma responses, the variance of the logarithm of an observation whose squared
        coefficient of variation is c: ln(1 + c), trigamma(1 / c) or c. With lambda the mean response at the means of
        the predictors, averaged over groups, c is 1 / lambda, 1 / lambda + dispersion and 1 / shape.

    Returns
    -------
    Dataset
        Over ``correlation``: ``mean`` (the correlation itself for the last two kinds), ``sd``, ``lower``,
        ``upper``, ``prob_positive`` (of the first two kinds), ``mcse`` (Monte-Carlo standard error of
        ``mean``) and ``reml`` (the value at the restricted maximum likelihood estimate; for ``population``
        that of the standard errors); coordinates ``kind``, ``first``, ``second``, ``where``, and ``at``
        (the group columns of an intraclass correlation). NaN where a column does not apply.

    Raises
    ------
    DataError
        If the tree is not from hierreg.
    ModelError
        If `at` names what is no group column, or leaves out one that depends on the same predictor, or `observation`
        is asked of other responses.

    See Also
    --------
    plots.correlations : The figure.
    correlation_matrices : Draws of whole matrices.
    r2 : Shares of the variance.
    summary : Standard deviations and coefficients.

    References
    ----------
    Raudenbush and Bryk (2002), Hierarchical Linear Models, 2nd edition, chapter 2 (intraclass correlation); Goldstein,
    Browne and Rasbash (2002), Understanding Statistics 1(4), 223-231 (with random slopes); Nakagawa, Johnson and
    Schielzeth (2017), Journal of the Royal Society Interface 14, 20170213 (families of responses).

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> tree = model.sample(draws=200, seed=1, method="psis")
    >>> report = hr.correlations(tree)
    >>> report["correlation"].values.tolist()
    ['corr_Subject[Days, Intercept]', 'Subject[at the means]', 'beta[Days, Intercept]']
    """
    prob = check_prob(ci_prob)
    fit = read(tree)
    intraclass = intraclass_correlations(fit, at, observation)
    pairs, notes = [], list(intraclass.notes)
    for factor in fit.by_factor:
        own, note = _between_groups(factor)
        pairs += own
        notes += [note] if note else []
    rows = _parameters(fit, prob) + [_of_intraclass(own, prob) for own in intraclass.found]
    rows += _population(fit) + pairs
    names = ("mean", "sd", "lower", "upper", "prob_positive", "mcse", "reml")
    return Correlations(
        {name: (("correlation",), np.array([row.values.get(name, np.nan) for row in rows])) for name in names},
        coords={"correlation": [row.name for row in rows]}
        | {
            what: (("correlation",), [getattr(row, what) for row in rows])
            for what in ("kind", "first", "second", "where", "at")
        },
        attrs={
            "plug_in": fit.plug_in,
            "heading": f"{fit.heading}; equal-tailed {percent(prob)} intervals",
            "ci_prob": prob,
            "note": "\n".join(notes),
        },
    )


def _summarised(x: Array, prob: float, reml: float) -> dict[str, float]:
    values = {name: float(value) for name, value in moments(x, prob).items()}
    return values | {"mcse": float(mcse_mean(x)), "reml": reml}


def _parameters(fit: Fit, prob: float) -> list[_Row]:
    """Return the correlations that are parameters and not held fixed."""
    kinds = {"corr": "group", "error_corr": "error"}
    rows = []
    for parameter in parameters(fit):
        if parameter.kind not in kinds or np.ptp(parameter.draws) == 0:
            continue
        first, second = _columns(fit.posterior[parameter.variable], parameter)
        positive = {"prob_positive": float(np.mean(parameter.draws > 0))}
        rows.append(
            _Row(
                kind=kinds[parameter.kind],
                first=first,
                second=second,
                where=parameter.variable.removeprefix("corr_") if parameter.kind == "corr" else fit.error_dim or "",
                name=parameter.name,
                values=_summarised(parameter.draws, prob, parameter.reml) | positive,
            )
        )
    return rows


def _columns(variable: xr.DataArray, parameter: Parameter) -> tuple[str, str]:
    """Return what is correlated: two columns or data sets, or two rows of a unit of one stratum."""
    if len(parameter.index) == 1:
        dims = [dim for dim in variable.dims if dim not in {"chain", "draw"}]
        stratum = str(variable[dims[0]].values[parameter.index[0]]) if dims else ""
        return stratum, stratum
    labels = variable[variable.dims[-2]].values
    first, second = (str(labels[i]) for i in parameter.index)
    return first, second


def _of_intraclass(own: Intraclass, prob: float) -> _Row:
    return _Row(
        kind="intraclass",
        first=own.where,
        second=own.where,
        where=own.stratum,
        name=own.name,
        values=_summarised(own.draws, prob, own.reml),
        at=own.at,
    )


def _population(fit: Fit) -> list[_Row]:
    beta, cov = fit.draws("beta"), fit.limit["beta_cov"].to_numpy()
    names = [str(c) for c in fit.posterior["coef"].values]
    free = np.flatnonzero(np.ptp(beta, axis=(0, 1)) > 0)
    pairs = [(i, j) for j, i in combinations(free.tolist(), 2)]
    if not pairs:
        return []
    first, second = np.array(pairs).T
    r, mcse = correlation(beta[..., first], beta[..., second])
    with np.errstate(invalid="ignore", divide="ignore"):
        reml = cov[first, second] / np.sqrt(cov[first, first] * cov[second, second])
    return [
        _Row(
            kind="population",
            first=names[i],
            second=names[j],
            where="",
            name=f"beta[{names[i]}, {names[j]}]",
            values={"mean": float(r[k]), "mcse": float(mcse[k]), "reml": float(reml[k])},
        )
        for k, (i, j) in enumerate(pairs)
    ]


def _between_groups(factor: FactorFit) -> tuple[list[_Row], str]:
    """Return the correlations of one coefficient in two groups, and what to say where there are none."""
    groups, J = factor.groups, len(factor.groups)
    if J > MOST_GROUPS and factor.dim != factor.fit.error_dim:
        return (
            [],
            f"Posterior correlations between groups are left out: {factor.name} has {J}, over {MOST_GROUPS}.",
        )
    draws = factor.draws
    if draws is None:
        return [], (
            f"Posterior correlations between groups of {factor.name} need draws of the group coefficients: "
            "sample with group_effects='draws'."
        )
    pairs = [(i, j) for j, i in combinations(range(J), 2)]
    first, second = np.array(pairs).T
    rows = []
    for k, coef in enumerate(factor.coefs):
        r, mcse = correlation(draws[:, :, first, k], draws[:, :, second, k])
        rows += [
            _Row(
                kind="between groups",
                first=str(groups[i]),
                second=str(groups[j]),
                where=coef,
                name=f"{factor.variable}[{groups[i]}, {groups[j]}; {coef}]",
                values={"mean": float(r[n]), "mcse": float(mcse[n])},
            )
            for n, (i, j) in enumerate(pairs)
        ]
    return rows, ""
