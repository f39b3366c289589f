"""`intervals`: Wald and profile-likelihood intervals of every parameter of an estimate."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np

from hierreg.checks import check_choice, listed, suggestion
from hierreg.display import Column
from hierreg.exceptions import HierregWarning, ModelError
from hierreg.inference.held import Held, held_at
from hierreg.model.estimation import estimate
from hierreg.reports.of_estimate import PointParameter, point_parameters, wald_interval
from hierreg.reports.reading import check_prob
from hierreg.reports.table import Report, percent, section
from hierreg.results.point import METHOD_NAMES, Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.display import Section

    Array = NDArray[np.float64]

# The ends of an interval are found to this part of its half.
_CLOSE = 1e-6
_MOST_STEPS = 40
# Of an sd or a correlation without a standard error, where a search begins.
_FIRST_STEP = 0.3
# A profile below the estimate itself: the search for the estimate had not ended.
_BELOW = 1e-4
_EDGE = 1e-6


@final
class Intervals(Report):
    """What `intervals` returns; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"parameter": 1, "estimate": 1, "lower": 1, "upper": 1}

    titles: ClassVar[dict[str, str]] = {}
    has_every_row: ClassVar[bool] = True

    def _columns(self) -> tuple[Column, ...]:
        return Column(key="estimate", head="estimate", scale="scale"), *self._interval(scale="scale")

    def _sections(self, most: int | None) -> tuple[Section, ...]:
        # About a standard error.
        return (section("", self.assign(scale=(self["upper"] - self["lower"]) / 4), most),)


def intervals(
    est: Estimate,
    parameters: str | Sequence[str] | None = None,
    method: Literal["profile", "wald"] = "profile",
    ci_prob: float = 0.95,
) -> Intervals:
    """Return intervals of the parameters of an estimate, by the profile of its likelihood or by Wald's formula.

    A profile interval holds the values that a likelihood-ratio test would not reject: for each value all other
    parameters are estimated anew. It needs no symmetry, and ends at zero where a standard deviation may be zero.
    Wald's takes a quadratic likelihood, of standard deviations on the scale of the logarithm and of correlations on
    Fisher's; near a boundary it is wrong.

    Parameters
    ----------
    est : Estimate
        From ``Model.estimate("ml")``; or from "reml", of the standard deviations and correlations alone, by the
        restricted likelihood (R's `confint` profiles the likelihood instead, whatever the fit). Normal responses.
    parameters : str or sequence of str, optional
        Names as in `summary`; by default all that can be profiled: not correlations of more than two columns, which are
        fixed one by one with difficulty.
    method : {"profile", "wald"}
    ci_prob : float

    Returns
    -------
    Dataset
        Over ``parameter``: ``estimate``, ``lower``, ``upper``.

    Raises
    ------
    ModelError
        If a name is not one of the parameters, or it cannot be profiled; or a profile lies below the estimate, whose
        search then had not ended.

    See Also
    --------
    summary : Wald intervals beside standard errors.
    t_tests : Of population coefficients, with degrees of freedom.
    compare_fits : The tests that profile intervals invert.

    References
    ----------
    Bates, Mächler, Bolker and Walker (2015), Journal of Statistical Software 67(1); Pinheiro and Bates
    (2000), Mixed-Effects Models in S and S-PLUS, section 2.4.3.

    Examples
    --------
    >>> import hierreg as hr
    >>> est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")).estimate("ml")
    >>> print(hr.intervals(est))
    Yield ~ 1 + (1 | Batch), ML estimate; profile 95 % intervals
    <BLANKLINE>
                           estimate   2.5 %  97.5 %
      beta[Intercept]        1527.5  1486.5  1568.5
      sd_Batch[Intercept]      37.3    12.2    84.1
      error_sd                49.51   38.23   67.66
    """
    prob = check_prob(ci_prob)
    check_choice(method, ("profile", "wald"), argument="method", error=ModelError)
    if not isinstance(est, Estimate) or est.problem is None:
        raise ModelError(f"est has type {type(est).__name__}; an Estimate from Model.estimate is required.")
    found = {one.name: one for one in point_parameters(est)}
    chosen = _chosen(parameters, found)
    if method == "wald":
        from scipy.special import ndtri

        half = float(ndtri((1 + prob) / 2))
        ends = [wald_interval(one, half) for one in chosen]
        return _report(est, chosen, ends, prob, method, "")
    if est.family or est.method not in {"ml", "reml"}:
        raise ModelError(
            f"profiles are those of ML and REML estimates with normal responses; this is a {METHOD_NAMES[est.method]} "
            "estimate. Use method='wald', or the posterior."
        )
    can = [(one, held_at(est, one)) for one in chosen]
    why_not = {one.name: held for one, held in can if isinstance(held, str)}
    if why_not and parameters is not None:
        name, why = next(iter(why_not.items()))
        raise ModelError(f"parameters={name!r} has no profile here: {why}.")
    profiled = [(one, held) for one, held in can if not isinstance(held, str)]
    ends = [_profile(est, one, held, prob) for one, held in profiled]
    names_by_reason: dict[str, list[str]] = {}
    for name, why in why_not.items():
        names_by_reason.setdefault(why, []).append(name)
    note = "\n".join(f"Not profiled: {', '.join(names)} ({why})." for why, names in names_by_reason.items())
    return _report(est, [one for one, _ in profiled], ends, prob, method, note)


def _chosen(parameters: Any, found: dict[str, PointParameter]) -> list[PointParameter]:
    if parameters is None:
        return list(found.values())
    names = [parameters] if isinstance(parameters, str) else list(parameters)
    for name in names:
        if name not in found:
            raise ModelError(
                f"parameters names {name!r}, which is none of {listed(found, most=20)}.{suggestion(name, found)}"
            )
    return [found[name] for name in names]


def _report(
    est: Estimate,
    chosen: Sequence[PointParameter],
    ends: Sequence[tuple[float, float]],
    prob: float,
    how: str,
    note: str,
) -> Intervals:
    both = np.array(ends, dtype=float).reshape(-1, 2)
    return Intervals(
        {
            "estimate": (("parameter",), np.array([one.value for one in chosen])),
            "lower": (("parameter",), both[:, 0]),
            "upper": (("parameter",), both[:, 1]),
        },
        coords={"parameter": [one.name for one in chosen], "kind": (("parameter",), [one.kind for one in chosen])},
        attrs={
            "heading": f"{est.problem.formula}, {METHOD_NAMES[est.method]} estimate; "
            f"{'Wald' if how == 'wald' else how} {percent(prob)} intervals",
            "ci_prob": prob,
            "method": how,
            "note": note,
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """The scale on which a profile is nearly a parabola: of sds the logarithm, of correlations Fisher's z."""

    to: Callable[[float], float]
    back: Callable[[float], float]


_PLAIN = _Scale(to=float, back=float)
_LOG = _Scale(to=lambda v: float(np.log(v)), back=lambda z: float(np.exp(z)))
_FISHER = _Scale(to=lambda v: float(np.arctanh(v)), back=lambda z: float(np.tanh(z)))


def _profile(est: Estimate, one: PointParameter, held: Held, prob: float) -> tuple[float, float]:
    """Return the ends of the profile interval of one parameter."""
    from scipy.special import ndtri

    cutoff = float(ndtri((1 + prob) / 2))

    def root(value: float) -> float:
        """Return the root of the likelihood ratio at a value."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HierregWarning)
            ratio = estimate(held.problem(value), est.method).criterion - est.criterion
        if ratio < -_BELOW:
            raise ModelError(
                f"{one.name}: with it held at {value:.6g} the criterion is lower than at the estimate, by "
                f"{-ratio:.2g}: the search for the estimate had not found the maximum. See its message; start it anew, "
                "or use the posterior."
            )
        return float(np.sqrt(max(ratio, 0.0)))

    return (_end(one, root, cutoff, held, -1.0), _end(one, root, cutoff, held, 1.0))


def _end(one: PointParameter, root: Callable[[float], float], cutoff: float, held: Held, side: float) -> float:
    """Return where the root of the ratio is the cutoff, on one side of the estimate; or the end of the range."""
    edge = held.lowest if side < 0 else held.highest
    if np.isfinite(edge) and abs(one.value - edge) < _EDGE * max(1.0, abs(edge)):
        return edge
    at_edge = held.at_edge(edge)
    if at_edge is not None and root(at_edge) < cutoff:
        return edge
    scale = {"beta": _PLAIN, "sd": _LOG, "error_sd": _LOG}.get(one.kind, _FISHER)
    start, (near, far) = one.value, wald_interval(one, cutoff)
    first = near if side < 0 else far
    if one.kind in {"sd", "error_sd"} and one.value <= held.unit * _EDGE:
        start, scale = 0.0, _PLAIN
    if scale is _FISHER and 1 - abs(one.value) < _EDGE:
        scale = _Scale(to=float, back=lambda z: float(np.clip(z, held.lowest + _EDGE, held.highest - _EDGE)))
        first = one.value + side * _FIRST_STEP
    if not np.isfinite(first):
        step = held.unit * _FIRST_STEP
        first = one.value + side * step if scale is _PLAIN else scale.back(scale.to(one.value) + side * _FIRST_STEP)
    return _searched(root, cutoff, scale, start, first)


def _searched(root: Callable[[float], float], cutoff: float, scale: _Scale, start: float, first: float) -> float:
    """Return where the root is the cutoff: it grows nearly in proportion to the distance from the estimate."""
    origin = scale.to(start)
    inner, inner_root = origin, 0.0
    outer, outer_root = np.nan, np.nan
    z = scale.to(first)
    for _ in range(_MOST_STEPS):
        value = root(scale.back(z))
        if abs(value - cutoff) < _CLOSE * cutoff:
            return scale.back(z)
        if value < cutoff:
            inner, inner_root = z, value
        else:
            outer, outer_root = z, value
        if np.isnan(outer):
            # Not far enough: as far again as a proportion says, at most three times.
            factor = min(3.0, 1.02 * cutoff / value) if value > 0 else 3.0
            z = origin + factor * (z - origin)
            continue
        z = inner + (cutoff - inner_root) / (outer_root - inner_root) * (outer - inner)
        if abs(outer - inner) < _CLOSE * abs(outer - origin):
            return scale.back(z)
        # A secant that stays on one side converges slowly: halve now and then.
        if (
            min(abs(z - inner), abs(z - outer)) < 0.01 * abs(outer - inner)
            and abs(outer_root - inner_root) > 0.01 * cutoff
        ):
            z = 0.5 * (inner + outer)
    return scale.back(z)
