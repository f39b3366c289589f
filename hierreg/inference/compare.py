"""`compare_fits`: likelihoods of several fits, information criteria, and likelihood-ratio tests of nested ones."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.checks import listed
from hierreg.display import Column
from hierreg.exceptions import ModelError
from hierreg.inference.nesting import null_distribution
from hierreg.reports.table import Report
from hierreg.results.effects import EffectsEstimate
from hierreg.results.point import METHOD_NAMES, Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A larger model cannot have a lower likelihood, but for where its search ended.
_WORSE = 1e-5
_EQUAL = 1e-7


@final
class Comparison(Report):
    """What `compare_fits` returns; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"fit": 1, "aic": 1, "statistic": 1, "p_value": 1}

    has_every_row: ClassVar[bool] = True

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column(key="n_parameters", head="parameters", form="count"),
            Column(key="log_likelihood", head="log lik.", form="fixed", digits=2),
            Column(key="aic", head="AIC", form="fixed", digits=2),
            Column(key="bic", head="BIC", form="fixed", digits=2, fold=3),
            Column(key="weight", head="weight", form="fixed", fold=4),
            Column(key="statistic", head="ratio", form="fixed", fold=2),
            Column(key="df", head="df", form="count", fold=1),
            Column(key="p_value", head="p", form="significant"),
        )


def compare_fits(*fits: Estimate | Mapping[str, Estimate]) -> Comparison:
    """Return a table of fits to the same rows, with likelihood-ratio tests of each against the one before.

    What lme4 calls `anova`. A fit is tested against the one before it, by number of parameters, if that is a special
    case of it: its population columns in the span of the other's, its group terms among the other's, its errors equal
    or plainer. A standard deviation of zero is at the end of its range; where the larger model has one more of them the
    ratio has half chi-square(df - 1) and half chi-square(df), where it has several, p is an upper bound.

    Parameters
    ----------
    *fits : Estimate, or one dict name -> Estimate
        From ``Model.estimate("ml")`` or, of models that differ in groups or errors only, ``"reml"``; with a family
        "laplace" or "quadrature". Without names they are called by their formulas.

    Returns
    -------
    Dataset
        Over ``fit``, by number of parameters: ``n_parameters``, ``log_likelihood``, ``aic``, ``bic``, ``weight``
        (Akaike's, exp(-AIC / 2) normalised), ``statistic`` (twice the difference of the log likelihoods to the fit
        before), ``df``, ``p_value``; coordinate ``distribution``, what the ratio is compared with, or why it is not.

    Raises
    ------
    ModelError
        If fits are not comparable: of other rows or responses, by different methods, by REML with different
        population columns (the restricted likelihood is that of other data then), MAP estimates.

    See Also
    --------
    summary : One fit.
    r2 : What each explains.

    References
    ----------
    Stram and Lee (1994), Biometrics 50(4), 1171-1177; Self and Liang (1987), Journal of the American Statistical
    Association 82, 605-610; Vaida and Blanchard (2005), Biometrika 92(2), 351-370 (AIC of populations).

    Examples
    --------
    >>> import hierreg as hr
    >>> data = hr.load_dataset("sleepstudy")
    >>> one, other = (hr.Model(f"Reaction ~ Days + {term}", data) for term in ("(1 | Subject)", "(Days | Subject)"))
    >>> print(hr.compare_fits({"intercepts": one.estimate("ml"), "slopes": other.estimate("ml")}))
    ML fits to 180 rows
    <BLANKLINE>
                  parameters  log lik.      AIC      BIC  weight   ratio  df         p
      intercepts           4   -897.04  1802.08  1814.85   0.000
      slopes               6   -875.97  1763.94  1783.10   1.000  42.139   2  3.96e-10
    <BLANKLINE>
    slopes: half chi-square(1), half chi-square(2)
    """
    named = _named(fits)
    _check_comparable(named)
    order = sorted(named, key=lambda name: named[name].n_parameters)
    ordered = [named[name] for name in order]
    tests = [(np.nan, np.nan, np.nan, "")] + [_tested(a, b) for a, b in pairwise(ordered)]
    aic = np.array([est.aic for est in ordered])
    weight = np.exp(-0.5 * (aic - aic.min()))
    columns: dict[str, Any] = {
        "n_parameters": np.array([est.n_parameters for est in ordered]),
        "log_likelihood": np.array([est.log_likelihood for est in ordered]),
        "aic": aic,
        "bic": np.array([est.bic for est in ordered]),
        "weight": weight / weight.sum(),
        "statistic": np.array([test[0] for test in tests]),
        "df": np.array([test[1] for test in tests]),
        "p_value": np.array([test[2] for test in tests]),
    }
    notes = [f"{name}: {test[3]}" for name, test in zip(order, tests, strict=True) if test[3]]
    notes += [f"{name}: {est.message}" for name, est in named.items() if not est.converged]
    heading = f"{METHOD_NAMES[ordered[0].method]} fits to {ordered[0].n_rows} rows"
    return Comparison(
        {name: (("fit",), column) for name, column in columns.items()},
        coords={"fit": order, "distribution": (("fit",), [test[3] for test in tests])},
        attrs={"heading": heading, "note": "\n".join(notes)},
    )


def _tested(small: Estimate, large: Estimate) -> tuple[float, float, float, str]:
    """Return statistic, degrees of freedom, p, and the distribution or why there is none."""
    null = null_distribution(small, large)
    if isinstance(null, str):
        return np.nan, np.nan, np.nan, f"not tested against the fit before: {null}"
    statistic = 2.0 * (large.log_likelihood - small.log_likelihood)
    if statistic < -_WORSE:
        return (
            statistic,
            float(null.df[-1]),
            np.nan,
            "the search for its maximum ended below that of its special case: no test; see its message",
        )
    # At the boundary both fits are the same, but for rounding; half of the ratios are zero there.
    statistic = statistic if statistic > _EQUAL else 0.0
    return statistic, float(null.df[-1]), null.tail(statistic), null.text


def _named(fits: tuple[Any, ...]) -> dict[str, Estimate]:
    if len(fits) == 1 and isinstance(fits[0], Mapping):
        named = {str(name): est for name, est in fits[0].items()}
    else:
        formulas = [str(getattr(getattr(est, "problem", None), "formula", "fit")) for est in fits]
        named = {
            formula if formulas.count(formula) == 1 else f"{formula} [{i + 1}]": est
            for i, (formula, est) in enumerate(zip(formulas, fits, strict=True))
        }
    for name, est in named.items():
        if isinstance(est, EffectsEstimate):
            raise ModelError(
                f"fit {name!r} has effects={est.effects}: fits of group effects that are not normal are not compared "
                "here; compare their posteriors, az.compare."
            )
        if not isinstance(est, Estimate) or est.problem is None:
            raise ModelError(
                f"fit {name!r} has type {type(est).__name__}; an Estimate from Model.estimate is required."
            )
    if len(named) < 2:
        raise ModelError(f"{len(named)} fit was given; a comparison needs at least two.")
    return named


def _check_comparable(named: Mapping[str, Estimate]) -> None:
    """Raise unless the likelihoods are of the same response, by the same method."""
    (first, reference), *others = named.items()
    for name, est in named.items():
        if est.method == "map":
            raise ModelError(
                f"fit {name!r} is a MAP estimate, whose criterion has the prior in it; use estimate('ml')."
            )
    for name, est in others:
        pair = f"fits {first!r} and {name!r}"
        if (est.method, est.n_nodes) != (reference.method, reference.n_nodes):
            how = [f"{e.method}{f' with {e.n_nodes} nodes' if e.n_nodes else ''}" for e in (reference, est)]
            raise ModelError(f"{pair} are made by different methods, {listed(how)}: use one for all.")
        if est.n_rows != reference.n_rows:
            raise ModelError(
                f"{pair} have {reference.n_rows} and {est.n_rows} rows: likelihoods of different rows cannot be "
                "compared."
            )
        if not _same_response(reference.problem, est.problem):
            raise ModelError(f"{pair} have different responses, or their rows in different orders.")
        if est.method == "reml" and not _same_columns(reference, est):
            raise ModelError(
                f"{pair} are REML fits with different population columns, whose restricted likelihoods are of "
                "different data: use estimate('ml') for all."
            )


def _same_response(one: Any, other: Any) -> bool:
    observed = getattr(one, "observed", None)
    if observed is not None:
        return bool(
            np.array_equal(observed.y, other.observed.y) and np.array_equal(observed.trials, other.observed.trials)
        )
    y, z = one.design.y, other.design.y
    if len(y) or len(z):
        return bool(np.array_equal(y, z))
    # Statistics alone: mean and spread of the response.
    moments = [_moments(problem) for problem in (one, other)]
    return bool(np.allclose(moments[0], moments[1], rtol=1e-9, atol=0))


def _moments(problem: Any) -> NDArray[np.float64]:
    frame = problem.gram.frame
    return np.array([frame.mean[-1], frame.squares[-1]])


def _same_columns(one: Estimate, other: Estimate) -> bool:
    names = [[str(c) for c in est.beta["coef"].values] for est in (one, other)]
    return names[0] == names[1] and bool(np.array_equal(one.problem.design.X, other.problem.design.X))
