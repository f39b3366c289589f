"""`shrinkage`: each group alone, pulled towards the population: by the plug-in limit and by the posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.display import Column
from hierreg.display.numbers import percent
from hierreg.exceptions import ModelError
from hierreg.hints import PROB, understands
from hierreg.reports.draws import mcse_mean, moments
from hierreg.reports.effects import group_probabilities, group_weights
from hierreg.reports.reading import FactorFit, Fit, check_prob, need_factor, read
from hierreg.reports.shrinkage_at_point import OfGroups, ShrinkageAtPoint, limits, shrinkage_at_point
from hierreg.reports.weights import pooling_factor, pooling_factor_of_summaries, weights
from hierreg.results.effects import EffectsEstimate
from hierreg.results.point import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@final
class Shrinkage(OfGroups):
    """What `shrinkage` returns; prints as one table per coefficient."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {
        "no_pooling": 2,
        "plug_in": 2,
        "mean": 2,
        "weight": 3,
        "pooling_factor": 1,
        "population": 1,
    }

    spread: ClassVar[str] = "sd"
    of_population: ClassVar[dict[str, str]] = {"plug_in": "population_plug_in", "mean": "population"}

    def _values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        own = super()._values(values)
        if "probability" in self.data_vars:
            chance = [float(value) for key, value in values.items() if key.startswith("probability[")]
            own |= {"component": float(np.argmax(chance)), "probability": max(chance)}
        return own

    def _columns(self) -> tuple[Column, ...]:
        own = []
        # Of heavy tails or mixtures.
        if "group_weight" in self.data_vars:
            own = [Column(key="group_weight", head="1/s", form="fixed", digits=2, fold=2)]
        if "probability" in self.data_vars:
            own += [
                Column(key="component", head="component", form="count", fold=2),
                Column(key="probability", head="prob", form="fixed", digits=2, fold=2),
            ]
        return (
            Column(key="no_pooling", head="alone", scale="scale"),
            Column(key="no_pooling_se", head="se", scale="scale", fold=4),
            Column(key="plug_in", head="plug-in", scale="scale"),
            Column(key="plug_in_sd", head="sd", scale="scale", fold=7),
            Column(key="mean", head="posterior", scale="scale"),
            Column(key="sd", head="sd", scale="scale"),
            *self._interval(scale="scale", fold=1),
            Column(key="weight", head="weight", form="fixed", digits=2, fold=3),
            Column(key="sd_ratio", head="sd ratio", form="fixed", digits=2, fold=6),
            Column(key="gap_in_sd", head="gap/sd", form="fixed", digits=2, fold=5),
            Column(key="gap_in_mcse", head="gap/mcse", form="fixed", digits=1, fold=8),
            *own,
        )


@understands("hr.shrinkage", instead=PROB)
def shrinkage(
    tree: xr.DataTree | Estimate, ci_prob: float = 0.95, *, factor: str | None = None
) -> Shrinkage | ShrinkageAtPoint:
    """Return, per group and coefficient, how the group alone, the plug-in limit and the posterior differ.

    Of a point estimate: how the group alone and its prediction at the estimate differ.

    Coefficients are those of the group, theta_j = beta + b_j, where a group column is also a population
    column, and deviations b_j otherwise. Population columns that are no group columns, such as predictors of groups,
    are left out: the coefficients of every group are then those at their zero or reference level, and the tables and
    figures say at which (attribute ``theta_at``). `hierreg.predict` gives expected values at a group's own predictors.

    With several grouping factors the others stay in the model: a group *alone* is then its own rows, less the REML
    plug-in predictions of the coefficients of all other factors; and its weight is that given their coefficients. Both
    take these as known, so the standard error of a group alone is too small where the others are not, above all for
    nested factors.

    Parameters
    ----------
    tree : DataTree or Estimate
        From `Model.sample` or `hierreg.load`; or from `Model.estimate`, of normal responses.
    ci_prob : float
        Probability of the equal-tailed intervals; 0.95 or 0.5 where only summaries of the groups were kept. Of an
        estimate normal intervals, the variances taken as known.
    factor : str, optional
        Grouping factor; needed where the model has several.

    Returns
    -------
    Dataset
        Over (<factor>, <factor>_coef): ``no_pooling``, ``no_pooling_se`` (generalised least squares on the
        group's rows alone at the REML error covariance; NaN where they do not determine it); ``plug_in``,
        ``plug_in_sd`` (mixed-model equations at the REML estimate, with prediction-error sd); ``mean``,
        ``sd``, ``lower``, ``upper``, ``mcse`` (posterior); ``sd_ratio`` (posterior sd over plug-in sd: how
        much the plug-in understates), ``gap_in_sd`` and ``gap_in_mcse`` (posterior mean minus plug-in value,
        in posterior sds and in Monte-Carlo standard errors). With a second <factor>_coef_col: ``weight`` and
        ``weight_sd``, posterior mean and sd of the weight matrix S_j = I - (V_j^-1 + Sigma^-1)^-1 Sigma^-1.
        Over <factor>_coef: ``population`` (posterior mean), ``population_plug_in`` (REML) and
        ``pooling_factor``, which is one less the reliability of the groups' coefficients: the share of their variance
        that the data of a group tell. With `hr.StudentT` effects over <factor> ``group_weight``, the posterior mean of
        1 / s_j: near zero where a group is far out, and hardly pulled in; with `hr.Mixture` over (<factor>,
        <factor>_component) ``probability``. ``weight`` is then given the group's scale or component. Where only
        summaries of the groups were kept, ``mcse`` and ``gap_in_mcse`` are NaN. Of an estimate ``no_pooling`` and its
        standard error, ``plug_in``, ``plug_in_sd``, ``lower``, ``upper``, ``weight``, ``population_plug_in`` and
        ``pooling_factor``.

    Raises
    ------
    DataError
        If the tree is not from hierreg.
    ModelError
        If the model has no grouping factor, or several and none of them is named.

    See Also
    --------
    plots.shrinkage : The figure.
    ranks : Where groups stand among each other.
    predict : Expected values of groups at their own predictors.

    References
    ----------
    Robinson (1991), Statistical Science 6(1), section 5; Gelman and Pardoe (2006), Technometrics 48(2),
    241-251.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> print(hr.shrinkage(model.estimate()))
    Yield ~ 1 + (1 | Batch), errors independent(), REML estimate; normal 95 % intervals, the variances taken as known
    <BLANKLINE>
    Intercept      alone    se  estimate    sd   2.5 %  97.5 %  weight
      population                  1527.5
      A           1505.0  22.1    1509.9  20.0  1470.6  1549.2    0.78
      B           1528.0  22.1    1527.9  20.0  1488.6  1567.2    0.78
      C           1564.0  22.1    1556.1  20.0  1516.8  1595.3    0.78
      D           1498.0  22.1    1504.4  20.0  1465.1  1543.7    0.78
      E           1600.0  22.1    1584.2  20.0  1545.0  1623.5    0.78
      F           1470.0  22.1    1482.5  20.0  1443.2  1521.8    0.78
    <BLANKLINE>
    Pooling factor (0: groups alone, 1: one value for all): Intercept 0.2175
    alone: the group's own rows; estimate: mixed-model equations; weight: diagonal of S_j.
    """
    prob = check_prob(ci_prob)
    if isinstance(tree, Estimate):
        return shrinkage_at_point(tree, prob, factor)
    if isinstance(tree, EffectsEstimate):
        raise ModelError(
            f"shrinkage of an estimate with effects={tree.effects} is not made; sample, and give the tree."
        )
    fit = read(tree)
    of = need_factor(fit, "shrinkage", factor)
    groups = group_moments(fit, of.variable, prob) | limits(of)
    draws = of.draws
    groups["mcse"] = np.full(groups["mean"].shape, np.nan) if draws is None else mcse_mean(draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = groups["mean"] - groups["plug_in"]
        groups["sd_ratio"] = groups["sd"] / groups["plug_in_sd"]
        groups["gap_in_sd"], groups["gap_in_mcse"] = gap / groups["sd"], gap / groups["mcse"]
    S = weights(of)
    square = (of.dim, of.coef_dim, f"{of.coef_dim}_col")
    columns = {
        "population": of.population(fit.posterior["beta"].mean(("chain", "draw"))),
        "population_plug_in": of.population(fit.limit["beta"]),
        "pooling_factor": _pooling(of),
    }
    variables: dict[str, Any] = {name: (square[:2], value) for name, value in groups.items()}
    variables |= {"weight": (square, S.mean), "weight_sd": (square, S.sd)}
    tails, chance = group_weights(of), group_probabilities(of)
    if tails is not None:
        variables["group_weight"] = (square[:1], tails)
    if chance is not None:
        variables["probability"] = ((of.dim, f"{of.dim}_component"), chance)
    variables |= {name: (square[1:2], value) for name, value in columns.items()}
    return Shrinkage(
        variables,
        coords={of.dim: fit.limit[of.dim], square[1]: of.coefs, square[2]: of.coefs},
        attrs={
            "heading": f"{fit.heading}; equal-tailed {percent(prob)} intervals",
            "ci_prob": prob,
            "factor": of.dim,
            "weight_draws": S.n_draws,
            "note": _note(of, S.n_draws),
            "theta_at": [of.reference.get(coef, "") for coef in of.coefs],
        },
    )


def group_moments(fit: Fit, name: str, prob: float) -> dict[str, Array]:
    """Return mean, sd, lower and upper (J, q) of ``b_<factor>`` or ``theta_<factor>``."""
    if name in fit.posterior:
        return moments(fit.draws(name), prob)
    if fit.effects is None:
        raise ModelError(
            f"the tree has nothing of the group coefficients {name} (group_effects='none'): add their summaries with "
            "tree = hr.group_effects(tree), or sample with group_effects='draws'."
        )
    lower, upper = (_kept_quantile(fit.effects, name, p, prob) for p in ((1 - prob) / 2, (1 + prob) / 2))
    mean, sd = (fit.effects[f"{name}_{what}"].to_numpy() for what in ("mean", "sd"))
    return {"mean": mean, "sd": sd, "lower": lower, "upper": upper}


def _kept_quantile(effects: xr.Dataset, name: str, p: float, prob: float) -> Array:
    kept = effects["quantile"].to_numpy()
    place = np.flatnonzero(np.isclose(kept, p))
    if not len(place):
        usable = [f"{q:g}" for q in sorted({round(abs(1 - 2 * k), 10) for k in kept.tolist()}) if q > 0]
        raise ModelError(
            f"ci_prob={prob} is not available: of the group coefficients only summaries were kept, with the "
            f"quantiles for ci_prob {' or '.join(usable)}. Use one of these, or sample with "
            "group_effects='draws'."
        )
    return np.asarray(effects[f"{name}_quantiles"].transpose("quantile", ...).to_numpy()[place[0]])


def _pooling(of: FactorFit) -> Array:
    draws, effects = of.draws, of.fit.effects
    if draws is not None:
        return pooling_factor(draws)
    assert effects is not None
    if not of.has_covariance:
        return np.full(len(of.coefs), np.nan)
    mean, sd = (effects[f"b_{of.name}_{what}"].to_numpy() for what in ("mean", "sd"))
    return pooling_factor_of_summaries(mean, sd, of.covariance())


def _note(of: FactorFit, n_draws: int) -> str:
    chains, draws = of.fit.n_draws
    gaps = "sd ratio: posterior over plug-in; gap: posterior mean minus plug-in."
    lines = [f"alone: the group's own rows; plug-in: mixed-model equations at REML; weight: diagonal of S_j; {gaps}"]
    if of.fit.plug_in != "REML":
        lines[0] = (
            f"alone: the group's own rows, by the working model at the plug-in; plug-in: {of.fit.plug_in}; "
            f"weight: diagonal of S_j, by the same model; {gaps}"
        )
    if group_weights(of) is not None:
        lines.append(
            "plug-in is that of normal effects. 1/s: weight of a group under the t distribution; near 1 it is pulled "
            "in as under a normal one with the same scale, near 0 it is far out, and hardly pulled in."
        )
    if group_probabilities(of) is not None:
        lines.append(
            "plug-in is that of normal effects. Groups are pulled to their component; prob: that of the likeliest."
        )
    if len(of.fit.factors) > 1:
        lines.append("Alone, plug-in predictions of the other grouping factors are taken off the rows.")
    if n_draws < chains * draws:
        lines.append(f"Weights are averages over {n_draws} of the {chains * draws} draws, evenly spaced.")
    if of.reference:
        lines.append(
            "A group's coefficients leave out predictors that are no group columns, so they are at the values said; "
            "for expected values at its own: hr.predict."
        )
    if of.draws is None:
        lines.append("Only summaries of the groups were kept, so gaps in Monte-Carlo standard errors are unknown.")
    return "\n".join(lines)
