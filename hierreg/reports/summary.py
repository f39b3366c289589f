"""`summary`: every population coefficient and variance parameter, beside its REML value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.checks import listed
from hierreg.display import Column
from hierreg.display.numbers import number, percent
from hierreg.exceptions import ModelError
from hierreg.hints import PROB, understands
from hierreg.reports.draws import diagnostics, moments
from hierreg.reports.effects import shape_parameters
from hierreg.reports.of_estimate import EstimateSummary, summary_of_estimate
from hierreg.reports.reading import Fit, check_prob, read
from hierreg.reports.table import Report
from hierreg.results.effects import EffectsEstimate
from hierreg.results.point import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@final
class Summary(Report):
    """What `summary` returns; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"parameter": 1, "mean": 1, "reml": 1, "kind": 1}

    has_every_row: ClassVar[bool] = True

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column(key="mean", head="mean"),
            Column(key="sd", head="sd"),
            *self._interval(),
            Column(key="mcse_mean", head="mcse", form="significant", digits=2, fold=4),
            Column(key="ess_bulk", head="ess bulk", form="count", fold=1),
            Column(key="ess_tail", head="ess tail", form="count", fold=5),
            Column(key="r_hat", head="R-hat", form="fixed"),
            Column(key="reml", head=self.attrs["plug_in"], fold=2),
            Column(key="reml_se", head="se", fold=3),
        )

    def _notes(self) -> tuple[str, ...]:
        held = (f"Held fixed: {self.attrs['fixed']}",) if self.attrs["fixed"] else ()
        return *held, *(self.attrs[name] for name in ("importance", "interrupted") if self.attrs[name])


@understands(
    "hr.summary", instead=PROB | {"var_names": "hr.summary(tree).sel(parameter=[...]) takes some of the parameters"}
)
def summary(tree: xr.DataTree | Estimate, ci_prob: float = 0.95) -> Summary | EstimateSummary:
    """Return summaries of the population coefficients and all variance parameters, of a posterior or an estimate.

    Parameters
    ----------
    tree : DataTree or Estimate
        From `Model.sample` or `hierreg.load`; or from `Model.estimate`.
    ci_prob : float
        Probability of the intervals: equal-tailed for draws, Wald's for an estimate.

    Returns
    -------
    Dataset
        Over ``parameter``: ``mean``, ``sd``, ``lower``, ``upper``; ``mcse_mean`` (Monte-Carlo standard error
        of the mean), ``ess_bulk``, ``ess_tail``, ``r_hat``; ``reml`` (the restricted maximum likelihood value, or
        where the response is not normal that of Laplace's approximation) and, for population coefficients,
        ``reml_se`` (its standard error). Correlations once, below
        the diagonal; what is held fixed only in the attribute ``fixed``. The attribute ``importance`` says what
        draws by importance sampling are worth, ``interrupted`` what is missing where a user interrupted. Printing it
        gives a table; ``to_pandas``, ``to_markdown``, ``to_latex`` and ``to_html`` write it. Of an estimate:
        ``estimate``, ``se``, ``lower``, ``upper``, and of population coefficients ``statistic`` (estimate over se) and
        ``p_value``, normal and with the variances taken as known. Intervals of standard deviations are made on the
        scale of their logarithm, of correlations on that of Fisher's z; a parameter on its boundary has no standard
        error. The likelihood, AIC and BIC stand above.

    Raises
    ------
    DataError
        If the tree is not from hierreg.
    ModelError
        If an estimate is of group effects that are not normal.

    See Also
    --------
    correlations : Every correlation, with those of the posterior.
    shrinkage : The coefficients of the groups.
    contrasts : Functions of coefficients.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis 16(2), sections 3 and 4; Pinheiro and
    Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.4.3 (intervals of an estimate).

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> print(hr.summary(model.estimate("ml")))
    Yield ~ 1 + (1 | Batch), errors independent()
    30 rows, 6 groups of Batch
    ML estimate, log likelihood -163.66 with 3 parameters, AIC 333.33, BIC 337.53
    <BLANKLINE>
    Population coefficients             estimate    se    2.5 %   97.5 %      z  p
      beta[Intercept]                     1527.5  17.7   1492.8   1562.2  86.33  0
    <BLANKLINE>
    Standard deviations between groups  estimate    se    2.5 %   97.5 %      z  p
      sd_Batch[Intercept]                   37.3  14.7     17.2     80.6
    <BLANKLINE>
    Standard deviations of errors       estimate    se    2.5 %   97.5 %      z  p
      error_sd                             49.51  7.15    37.31    65.70
    <BLANKLINE>
    Wald 95 % intervals; z and p take the variances as known.
    """
    prob = check_prob(ci_prob)
    if isinstance(tree, EffectsEstimate):
        raise ModelError(f"summary of an estimate with effects={tree.effects} is not made; print the estimate.")
    if isinstance(tree, Estimate):
        return summary_of_estimate(tree, prob)
    fit = read(tree)
    cells = parameters(fit)
    varies = np.array([np.ptp(cell.draws) > 0 for cell in cells], dtype=bool)
    free = [cell for cell, v in zip(cells, varies, strict=True) if v]
    fixed = [f"{cell.name} = {number(float(cell.draws[0, 0]))}" for cell, v in zip(cells, varies, strict=True) if not v]
    chains, draws = fit.n_draws
    x = np.stack([cell.draws for cell in free], axis=2) if free else np.empty((chains, draws, 0))
    values = moments(x, prob) | diagnostics(x)
    values |= {"reml": np.array([c.reml for c in free]), "reml_se": np.array([c.reml_se for c in free])}
    return Summary(
        {name: (("parameter",), value) for name, value in values.items()},
        coords={
            "parameter": [cell.name for cell in free],
            "kind": (("parameter",), [cell.kind for cell in free]),
        },
        attrs={
            "heading": f"{fit.heading}; equal-tailed {percent(prob)} intervals",
            "ci_prob": prob,
            "plug_in": fit.plug_in,
            "fixed": listed_plain(fixed),
            "importance": _importance_note(tree["sample_stats"].attrs) if "sample_stats" in tree.children else "",
            "interrupted": tree.attrs.get("interrupted", ""),
        },
    )


def _importance_note(stats: dict[Any, Any]) -> str:
    """Return what draws by importance sampling are worth; nothing for others, and where nothing was sampled."""
    if not np.isfinite(stats.get("pareto_k", np.nan)):
        return ""
    return (
        f"Importance sampling: Pareto k = {round(stats['pareto_k'], 2) + 0.0} (good below 0.5, refused above 0.7). "
        f"{stats['n_proposals']} proposals, worth {stats['importance_ess']:.0f} independent draws, "
        f"gave {stats['n_distinct']} distinct draws, worth {stats['resampled_ess']:.0f}; no ess above is more. "
        "R-hat cannot fail here."
    )


def listed_plain(texts: list[str]) -> str:
    """Return texts separated by commas."""
    return listed(texts, most=20).replace("'", "")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parameter:
    """One scalar parameter: variable and place in it, draws (chain, draw), REML value and standard error."""

    kind: str
    variable: str
    index: tuple[int, ...]
    name: str
    draws: Array
    reml: float
    reml_se: float = float("nan")


def parameters(fit: Fit) -> list[Parameter]:
    """Return every population coefficient and variance parameter, structural constants left out."""
    se = np.sqrt(np.diagonal(fit.limit["beta_cov"].to_numpy()))
    out = [
        Parameter(
            kind="beta",
            variable="beta",
            index=(i,),
            name=f"beta[{coef}]",
            draws=fit.draws("beta")[..., i],
            reml=float(fit.limit["beta"][i]),
            reml_se=float(se[i]),
        )
        for i, coef in enumerate(fit.limit["coef"].values)
    ]
    for factor in fit.factors:
        out += _sds(fit, "sd", f"sd_{factor}") + _correlations(fit, "corr", f"corr_{factor}")
        out += [
            Parameter(kind=kind, variable=variable, index=index, name=name, draws=draws, reml=float("nan"))
            for kind, variable, index, name, draws in shape_parameters(fit, factor)
        ]
    out += _sds(fit, "error_sd", "error_sd") + _correlations(fit, "error_corr", "error_corr")
    for name in fit.auxiliary:
        out += _sds(fit, "auxiliary", name) if name != "error_sd" else []
    return out


def _sds(fit: Fit, kind: str, variable: str) -> list[Parameter]:
    if variable not in fit.posterior:
        return []
    array, reml = fit.posterior[variable], np.atleast_1d(fit.limit[variable].to_numpy())
    labels = _labels(array)
    draws = fit.draws(variable).reshape(*fit.n_draws, -1)
    return [
        Parameter(
            kind=kind,
            variable=variable,
            index=(i,),
            name=variable if label is None else f"{variable}[{label}]",
            draws=draws[..., i],
            reml=float(reml[i]),
        )
        for i, label in enumerate(labels)
    ]


def _labels(array: xr.DataArray) -> list[Any]:
    dims = [dim for dim in array.dims if dim not in {"chain", "draw"}]
    return list(array[dims[0]].values) if dims else [None]


def _correlations(fit: Fit, kind: str, variable: str) -> list[Parameter]:
    """Return the correlations below the diagonal, without those that are zero by the formula."""
    if variable not in fit.posterior:
        return []
    draws, reml = fit.draws(variable), fit.limit[variable].to_numpy()
    if reml.ndim < 2:
        # Within units: one by itself, or one for each stratum.
        return _sds(fit, kind, variable)
    labels = _labels(fit.posterior[variable])
    return [
        Parameter(
            kind=kind,
            variable=variable,
            index=(i, j),
            name=f"{variable}[{labels[i]}, {labels[j]}]",
            draws=draws[..., i, j],
            reml=float(reml[i, j]),
        )
        for i in range(len(labels))
        for j in range(i)
        if np.any(draws[..., i, j] != 0)
    ]
