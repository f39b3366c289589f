"""`contrasts`: linear functions of coefficients, from draws, from an estimate and from the mixed-model equations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import xarray as xr

from hierreg.display import Column
from hierreg.display.numbers import percent
from hierreg.exceptions import ModelError
from hierreg.hints import PROB, understands
from hierreg.likelihood import solution as joint
from hierreg.linear.given import GroupNames, Names, read_weights
from hierreg.problem.effects import refusal
from hierreg.reports.draws import mcse_mean, moments
from hierreg.reports.reading import check_prob, read
from hierreg.reports.table import Report
from hierreg.results.effects import EffectsEstimate
from hierreg.results.point import Coefficients, Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.solution import LinearFunctions

    Array = NDArray[np.float64]


@final
class Contrasts(Report):
    """What `contrasts` returns; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"contrast": 1, "mean": 1, "sd": 1, "cov": 2}

    def _columns(self) -> tuple[Column, ...]:
        is_point = "draws" not in self
        of_draws = (
            Column(key="prob_positive", head="P(>0)", form="fixed"),
            Column(key="mcse", head="mcse", form="significant", digits=2, fold=1),
        )
        return (
            Column(key="mean", head="estimate" if is_point else "mean"),
            Column(key="sd", head="se" if is_point else "sd"),
            *self._interval(),
            *(() if is_point else of_draws),
        )


@understands("hr.contrasts", instead=PROB)
def contrasts(x: xr.DataTree | Coefficients, what: Any, ci_prob: float = 0.95) -> Contrasts:
    """Return linear functions phi = B beta of the coefficients, with their joint covariance.

    One function for every kind of result: draws of a posterior, a REML, ML or MAP estimate (plain least squares is
    that of a model without groups), and a solution of the mixed-model equations.

    Parameters
    ----------
    x : DataTree, Estimate or Coefficients
        From `Model.sample` (or `hierreg.load`), `Model.estimate` or `Model.solve`.
    what : dict or matrix
        ``{name: {key: weight}}``, where a key is the name of a population coefficient, ``(group, coefficient)`` for
        theta = beta + b of a group (b alone where the column has no population coefficient), or
        ``("b", group, coefficient)`` for the group's deviation; in a model with several grouping factors
        ``(factor, group, coefficient)`` and ``("b", factor, group, coefficient)``. Or a matrix B (s, p): a data
        frame whose index has the names of the functions and whose columns are population coefficients, a DataArray with
        the dimension ``coef`` (coefficients left out have weight zero), or an array in the order of the population
        coefficients.
    ci_prob : float
        Probability of the intervals: equal-tailed for draws, normal for the others.

    Returns
    -------
    Dataset
        Over ``contrast``: ``mean``, ``sd``, ``lower``, ``upper``, and ``cov`` (contrast, contrast_col). For draws
        also ``prob_positive``, ``mcse`` (Monte-Carlo standard error of the mean) and ``draws``. For an estimate or a
        solution ``mean`` is phi_hat and ``sd`` its standard error (for b and theta the prediction error, with the
        uncertainty of beta); both take the variances as known, which only draws do not. Printing it gives a table.

    Raises
    ------
    ModelError
        If `what` names something that the model does not have, or its shape does not fit; or only summaries of the
        group coefficients were kept.
    DataError
        If a tree is not from hierreg.

    See Also
    --------
    t_tests : With the degrees of freedom of few groups.
    comparisons : Of expected responses, also where they are not linear.
    predict : Expected values of rows.
    ranks : All groups beside each other.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> slopes = {(308, "Days"): 1, (309, "Days"): -1}
    >>> print(hr.contrasts(model.estimate("reml"), {"day 5": {"Intercept": 1, "Days": 5}, "308 - 309": slopes}))
    REML estimate; normal 95 % intervals, the variances taken as known
    <BLANKLINE>
                 estimate    se   2.5 %  97.5 %
      day 5        303.74  9.58  284.96  322.52
      308 - 309     17.82  3.26   11.43   24.21
    """
    prob = check_prob(ci_prob)
    if isinstance(x, Coefficients):
        return _of_point(x, what, prob)
    if isinstance(x, EffectsEstimate):
        raise refusal("contrasts of an estimate", x.effects)
    if not isinstance(x, xr.DataTree):
        raise ModelError(
            f"x has type {type(x).__name__}; a DataTree from Model.sample, an Estimate from Model.estimate or "
            "Coefficients from Model.solve is required."
        )
    return _of_draws(x, what, prob)


def _of_point(result: Coefficients, what: Any, prob: float) -> Contrasts:
    from scipy.special import ndtri

    groups = [
        GroupNames(factor=factor, levels=b[b.dims[0]].values.tolist(), coef=[str(c) for c in b[b.dims[1]].values])
        for factor, b in result.b.items()
    ]
    names, functions = read_weights(what, Names(coef=[str(c) for c in result.beta["coef"].values], groups=groups))
    mean, cov = joint.means(functions, result.solution), joint.covariance(functions, result.solution)
    sd = np.sqrt(np.diagonal(cov))
    half = float(ndtri((1 + prob) / 2)) * sd
    how = f"{result.method.upper()} estimate" if isinstance(result, Estimate) else "Solution at the given covariances"
    note = f"{how}; normal {percent(prob)} intervals, the variances taken as known"
    values = {"mean": mean, "sd": sd, "lower": mean - half, "upper": mean + half}
    return _report(names, values, cov, {"heading": note, "ci_prob": prob})


def _of_draws(tree: xr.DataTree, what: Any, prob: float) -> Contrasts:
    fit = read(tree)
    groups = [
        GroupNames(factor=factor.name, levels=factor.groups.tolist(), coef=factor.coefs) for factor in fit.by_factor
    ]
    names, functions = read_weights(what, Names(coef=[str(c) for c in fit.posterior["coef"].values], groups=groups))
    b = []
    for factor, weights in zip(fit.factors, functions.groups, strict=True):
        if len(weights.row) and f"b_{factor}" not in fit.posterior:
            raise ModelError(
                f"what has coefficients of groups of {factor}, but only summaries of them were kept: sample with "
                "group_effects='draws'."
            )
        b.append(fit.draws(f"b_{factor}") if len(weights.row) else np.empty((*fit.n_draws, 0, 0)))
    s = len(names)
    draws = _values(functions, fit.draws("beta"), b)
    flat = draws.reshape(-1, s)
    # One draw has no covariance.
    cov = np.cov(flat, rowvar=False).reshape(s, s) if len(flat) > 1 else np.full((s, s), np.nan)
    values = moments(draws, prob) | {
        "prob_positive": np.mean(flat > 0, axis=0),
        "mcse": mcse_mean(draws),
    }
    attrs = {"heading": f"{fit.heading}; equal-tailed {percent(prob)} intervals", "ci_prob": prob}
    out = _report(names, values, cov, attrs).assign(draws=(("chain", "draw", "contrast"), draws))
    return out.assign_coords({name: fit.posterior[name].values for name in ("chain", "draw")})


def _values(functions: LinearFunctions, beta: Array, b: list[Array]) -> Array:
    chains, draws = beta.shape[:2]
    flat = [own.reshape(chains * draws, *own.shape[2:]) for own in b]
    return joint.values(functions, beta.reshape(chains * draws, beta.shape[2]), flat).reshape(chains, draws, -1)


def _report(names: list[str], values: dict[str, Array], cov: Array, attrs: dict[str, Any]) -> Contrasts:
    return Contrasts(
        {name: (("contrast",), value) for name, value in values.items()} | {"cov": (("contrast", "contrast_col"), cov)},
        coords={"contrast": names, "contrast_col": names},
        attrs=attrs,
    )
