"""`r2`: how much of the variance of the response the predictors explain, and how much the groups.

The variance of a row that is taken at random from the table has three sources: the predictors of the population, the
coefficients of groups, and errors::

    V_population = Var over rows of x'beta                  (divided by rows less one, as in R)
    V_factor     = mean over rows of z'Sigma z                  (Johnson 2014), for each grouping factor
    V_error      = mean over rows of the error variance

    marginal R2    = V_population / total
    conditional R2 = (V_population + sum of V_factor) / total

They are functions of the parameters, so each has a posterior. None is a difference between data and fit: a conditional
R2 counts what groups as such explain, of groups to come as of these. `bayesian` is another question, that of the groups
and rows at hand: Var over rows of x'beta + z'b, over itself plus V_error.

References
----------
Nakagawa and Schielzeth (2013), Methods in Ecology and Evolution 4(2), 133-142; Johnson (2014), Methods in Ecology and
Evolution 5(9), 944-946; Nakagawa, Johnson and Schielzeth (2017), Journal of the Royal Society Interface 14, 20170213;
Gelman, Goodrich, Gabry and Vehtari (2019), The American Statistician 73(3), 307-309.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.design_matrices.predictors import linear_predictors
from hierreg.display import Column
from hierreg.exceptions import DataError, ModelError
from hierreg.gram.row_moments import RowMoments
from hierreg.problem.row_moments import moments_of
from hierreg.reports.draws import mcse_mean, moments
from hierreg.reports.reading import check_prob, read
from hierreg.reports.sources import variance_sources
from hierreg.reports.table import Report, percent
from hierreg.results.effects import EffectsEstimate
from hierreg.results.point import METHOD_NAMES, Coefficients, Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.reports.reading import Fit
    from hierreg.reports.sources import Sources

    Array = NDArray[np.float64]

_CHUNK = 2_000_000


@final
class R2(Report):
    """What `r2` returns; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"mean": 1, "sd": 1, "reml": 1, "kind": 1}

    titles: ClassVar[dict[str, str]] = {"r2": "R2", "share": "Share of the variance", "variance": "Variance"}
    has_every_row: ClassVar[bool] = True

    def _columns(self) -> tuple[Column, ...]:
        if self.attrs["is_point"]:
            return (Column(key="mean", head=self.attrs["plug_in"]),)
        return (
            Column(key="mean", head="mean"),
            Column(key="sd", head="sd"),
            *self._interval(),
            Column(key="mcse", head="mcse", form="significant", digits=2, fold=2),
            Column(key="reml", head=self.attrs["plug_in"], fold=1),
        )


def r2(x: xr.DataTree | Estimate, model: Any = None, ci_prob: float = 0.95) -> R2:
    """Return the marginal and conditional R2, and the variance of the response by source.

    *Marginal* is what the predictors of the population explain, *conditional* what they and the groups explain
    together. With a random slope the variance between groups depends on its predictor: it is the mean over the rows.
    With several error variances (strata, weights, known standard errors) that of the errors is the mean over the rows
    too; with strata or data sets R2 is also given within each, by its own rows and error variance, which is the one to
    read where data sets have different units or means. Errors that are correlated within units count as errors, whole.

    Of responses that are not normal with a latent response (`hr.Bernoulli`, `hr.Binomial`, `hr.Cumulative`) it is that
    of the latent response, whose error has the variance of the link.

    Parameters
    ----------
    x : DataTree or Estimate
        From `Model.sample` (or `hierreg.load`), or `Model.estimate`.
    model : Model, optional
        That a tree was sampled from, with its rows: adds the Bayesian R2 of Gelman et al. (2019), Var(mu) / (Var(mu) +
        V_error) over the rows, where mu has the coefficients of the groups at hand.
    ci_prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    Dataset
        Over ``quantity``: ``mean``, ``sd``, ``lower``, ``upper``, ``mcse`` and ``reml`` (at the plug-in estimate); of
        an estimate ``mean`` is the value at it, and the rest is NaN. Coordinates ``kind`` ("r2", "share" or "variance";
        variances in squared units of the response), ``source`` ("marginal", "conditional", "bayesian"; "population",
        grouping factors, "error") and ``where`` (data set or stratum; empty for all rows).

    Raises
    ------
    DataError, ModelError
        If `x` is neither, the response is not normal and has no latent one, group effects have no variance, or the
        rows are gone and their statistics do not say what is needed.

    See Also
    --------
    correlations : Intraclass correlations: the share of one grouping factor, at chosen predictors.
    shrinkage : How much is pooled, coefficient by coefficient.
    summary : The parameters themselves.

    References
    ----------
    Nakagawa and Schielzeth (2013), Methods in Ecology and Evolution 4(2), 133-142; Johnson (2014), ibid. 5(9), 944-946;
    Nakagawa, Johnson and Schielzeth (2017), J. R. Soc. Interface 14, 20170213; Gelman, Goodrich, Gabry and Vehtari
    (2019), The American Statistician 73(3), 307-309.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> print(hr.r2(model.estimate()))
    Reaction ~ Days + (Days | Subject), REML estimate
    <BLANKLINE>
    R2                      REML
      marginal             0.279
      conditional          0.799
    <BLANKLINE>
    Share of the variance   REML
      population           0.279
      Subject              0.521
      error                0.201
    <BLANKLINE>
    Variance                REML
      population             909
      Subject               1698
      error                654.9
    <BLANKLINE>
    Means over the rows of the table; of error variances too.
    """
    prob = check_prob(ci_prob)
    if isinstance(x, EffectsEstimate):
        raise ModelError(f"r2 of an estimate with effects={x.effects} is not made; sample, and give the tree.")
    if isinstance(x, Coefficients):
        if not isinstance(x, Estimate) or x.problem is None:
            raise ModelError("r2 needs an Estimate from Model.estimate, or a DataTree from Model.sample.")
        return _of_estimate(x, prob)
    return _of_tree(x, model, prob)


def _of_estimate(est: Estimate, prob: float) -> R2:
    problem = est.problem
    found = moments_of(problem)
    if found is None:
        raise _unknown_rows()
    latent = _latent_of_problem(problem)
    error_sd = np.ones((1, 1)) if latent else np.atleast_1d(est.error_sd.to_numpy())[None]
    sources = variance_sources(
        est.beta.to_numpy()[None],
        {name: cov.to_numpy()[None] for name, cov in est.cov.items()},
        latent**0.5 * error_sd if latent else error_sd,
        found,
    )
    values = {key: {"mean": float(value[0])} for key, value in _quantities(sources, _labels_of(problem)).items()}
    name = METHOD_NAMES[est.method]
    return _report(
        values,
        {"heading": f"{problem.formula}, {name} estimate", "ci_prob": prob, "plug_in": name, "is_point": 1},
        _note(latent=latent > 0, has_units=not latent and problem.layout.spec.has_units),
    )


def _of_tree(tree: Any, model: Any, prob: float) -> R2:
    fit = read(tree)
    latent = float(fit.attrs.get("latent_variance", 0.0))
    if "family" in fit.attrs and not latent:
        raise _no_latent(fit.attrs["family"])
    rows = _moments_of_tree(fit)
    error_sd, beta = _error_sd(fit, latent), fit.draws("beta")
    sources = variance_sources(
        beta.reshape(beta.shape[0] * beta.shape[1], beta.shape[2]),
        {of.name: of.covariance() for of in fit.by_factor},
        error_sd,
        rows,
    )
    limit = fit.limit
    plug_in_sd = np.atleast_1d(limit["error_sd"].to_numpy())[None] if not latent and "error_sd" in fit.posterior else 0
    at_plug_in = variance_sources(
        limit["beta"].to_numpy()[None],
        {of.name: limit[f"cov_{of.name}"].to_numpy()[None] for of in fit.by_factor},
        error_sd[:1] if isinstance(plug_in_sd, int) else plug_in_sd,
        rows,
    )
    labels = [str(v) for v in fit.posterior[fit.error_dim].values] if fit.error_dim and len(rows.n) > 1 else [""]
    quantities = _quantities(sources, labels)
    reml = {key: float(value[0]) for key, value in _quantities(at_plug_in, labels).items()}
    if model is not None:
        quantities = _with_bayesian(quantities, _bayesian(fit, model, sources.overall()["error"]))
    values = {
        key: {n: float(v) for n, v in moments(draws.reshape(fit.n_draws), prob).items()}
        | {"mcse": float(mcse_mean(draws.reshape(fit.n_draws))), "reml": reml.get(key, np.nan)}
        for key, draws in quantities.items()
    }
    heading = f"{fit.heading}; equal-tailed {percent(prob)} intervals"
    attrs = {"heading": heading, "ci_prob": prob, "plug_in": fit.plug_in, "is_point": 0}
    has_units = "error_corr" in fit.posterior
    return _report(values, attrs, _note(latent=latent > 0, has_units=has_units, has_mu=model is not None))


def _error_sd(fit: Fit, latent: float) -> Array:
    """Return the error standard deviations (S, D or 1)."""
    S = int(np.prod(fit.n_draws))
    if latent:
        return np.full((S, 1), latent**0.5)
    if "error_sd" not in fit.posterior:
        return np.ones((S, 1))
    return fit.draws("error_sd").reshape(S, -1)


type _Key = tuple[str, str, str]


def _quantities(sources: Sources, labels: Sequence[str]) -> dict[_Key, Array]:
    """Return R2, shares and variances (S,), by kind, source and where."""
    overall = sources.overall()
    out = _r2(overall, "")
    for d, label in enumerate(labels if len(labels) > 1 else ()):
        out |= _r2(sources.of_label(d), label)
    total = sum(overall.values())
    out |= {("share", name, ""): value / total for name, value in overall.items()}
    out |= {("variance", name, ""): value for name, value in overall.items()}
    return out


def _r2(of: dict[str, Array], where: str) -> dict[_Key, Array]:
    total = np.asarray(sum(of.values()))
    return {
        ("r2", "marginal", where): of["population"] / total,
        ("r2", "conditional", where): (total - of["error"]) / total,
    }


def _with_bayesian(quantities: dict[_Key, Array], bayesian: Array) -> dict[_Key, Array]:
    """Return the quantities with the Bayesian R2 after the conditional one."""
    out: dict[_Key, Array] = {}
    for key, value in quantities.items():
        out[key] = value
        if key == ("r2", "conditional", ""):
            out["r2", "bayesian", ""] = bayesian
    return out


def _bayesian(fit: Fit, model: Any, error: Array) -> Array:
    """Return Var(mu) / (Var(mu) + V_error) of each draw (S,), over the rows of the model."""
    problem = getattr(model, "problem", None)
    if problem is None or not len(problem.design.y):
        raise ModelError("model must be the hr.Model that the tree was sampled from, with its rows.")
    if str(problem.formula) != fit.attrs["formula"] or problem.n_rows != int(fit.attrs["n_rows"]):
        raise ModelError(
            f"model has the formula {problem.formula!r} and {problem.n_rows} rows, the tree {fit.attrs['formula']!r} "
            f"and {fit.attrs['n_rows']}. Give the model that the tree was sampled from."
        )
    missing = [name for name in fit.factors if f"b_{name}" not in fit.posterior]
    if missing:
        raise ModelError(
            f"model= asks for the Bayesian R2, which needs draws of the coefficients of {missing[0]}, but only "
            "summaries were kept: sample with group_effects='draws', or leave model out."
        )
    columns = getattr(problem, "kept_coefficients", slice(None))
    beta, *effects = (
        own.reshape(own.shape[0] * own.shape[1], *own.shape[2:])
        for own in (fit.draws("beta"), *(fit.draws(f"b_{name}") for name in fit.factors))
    )
    spread = np.empty(len(beta))
    step = max(1, _CHUNK // problem.n_rows)
    for start in range(0, len(beta), step):
        part = slice(start, start + step)
        mu = linear_predictors(problem.design, beta[part], [own[part] for own in effects], columns=columns)
        spread[part] = mu.var(axis=1, ddof=1)
    return np.asarray(spread / (spread + error))


def _moments_of_tree(fit: Fit) -> RowMoments:
    if "rows_cov" not in fit.constant:
        raise _unknown_rows()
    constant = fit.constant
    return RowMoments(
        n=constant["rows"].to_numpy(),
        mean=constant["rows_mean"].to_numpy(),
        cov=constant["rows_cov"].to_numpy(),
        second=tuple(constant[f"rows_second_{name}"].to_numpy() for name in fit.factors),
        error=constant["rows_error"].to_numpy(),
    )


def _unknown_rows() -> DataError:
    return DataError(
        "what R2 needs of the rows is not known: the result is that of an earlier version, or of statistics alone "
        "(Model.from_gram) with strata, weights or known errors. Use hr.Model(formula, table) with the rows."
    )


def _no_latent(family: object) -> ModelError:
    return ModelError(
        f"r2 with family={family}: the variance of such a response is not one number beside that of its mean. It is "
        "made of normal responses, and of the latent responses of hr.Bernoulli, hr.Binomial and hr.Cumulative."
    )


def _latent_of_problem(problem: Any) -> float:
    """Return the variance of the error of a latent response; zero for normal ones."""
    family = getattr(problem, "family", None)
    if family is None:
        return 0.0
    if not family.is_latent:
        raise _no_latent(family)
    return float(family.link_function.variance)


def _labels_of(problem: Any) -> list[str]:
    labels = getattr(problem, "layout", None)
    return [str(label) for label in labels.labels] if labels is not None and labels.dim is not None else [""]


def _note(*, latent: bool, has_units: bool, has_mu: bool = False) -> str:
    if latent:
        lines = [
            "Of the latent response, whose error has the variance of the link (Nakagawa, Johnson and Schielzeth 2017)."
        ]
    else:
        lines = ["Means over the rows of the table; of error variances too."]
    if has_units:
        lines.append("Errors that are correlated with each other count as errors, whole.")
    if has_mu:
        lines.append("bayesian: of the rows and groups at hand (Gelman et al. 2019).")
    return "\n".join(lines)


def _report(values: dict[_Key, dict[str, float]], attrs: dict[str, Any], note: str) -> R2:
    names = ("mean", "sd", "lower", "upper", "mcse", "reml")
    keys = list(values)
    if any(np.isnan(one["mean"]) for one in values.values()):
        note += "\nBlank: rounding hides the variance of a group column that is so far from zero; centre its predictor."
    return R2(
        {name: (("quantity",), np.array([values[key].get(name, np.nan) for key in keys])) for name in names},
        coords={
            "quantity": [f"{source}, {where}" if where else source for _, source, where in keys],
            "kind": (("quantity",), [kind for kind, _, _ in keys]),
            "source": (("quantity",), [source for _, source, _ in keys]),
            "where": (("quantity",), [where for _, _, where in keys]),
        },
        attrs=attrs | {"note": note},
    )
