"""A model with one of its parameters held at a value, all others free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.priors import Fixed, Priors, measure_scales, resolve_priors
from hierreg.problem.problem import of_parts

if TYPE_CHECKING:
    from hierreg.problem.problem import Problem
    from hierreg.reports.of_estimate import PointParameter
    from hierreg.results.point import Estimate

# Of its estimate, an sd that stands for zero: the criterion is quadratic there, and solvable with several factors too.
_NEARLY_ZERO = 1e-4
# And of a correlation, from an end of its range.
_FROM_ONE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A parameter that can be held.

    Attributes
    ----------
    priors : function
        Value -> Priors that hold it there.
    est : Estimate
    lowest, highest : float
        Ends of its range.
    unit : float
        Its size.
    """

    priors: Callable[[float], Priors]
    est: Estimate
    lowest: float
    highest: float
    unit: float

    def problem(self, value: float) -> Problem:
        """Return the problem of the model with the parameter held at a value."""
        of = self.est.problem
        resolved = resolve_priors(self.priors(value), measure_scales(of.gram, of.design, of.layout))
        return of_parts(of.formula, of.design, of.state, of.layout, of.gram, resolved)

    def at_edge(self, edge: float) -> float | None:
        """Return a value that stands for an end of the range; None where the range has no such end."""
        if not np.isfinite(edge):
            return None
        return _NEARLY_ZERO * self.unit if edge == 0 else edge * (1.0 - _FROM_ONE)


def held_at(est: Estimate, one: PointParameter) -> Held | str:
    """Return a parameter as one that can be held; or in words why it cannot."""
    why_not = _why_not(est, one)
    if why_not:
        return why_not
    if one.kind == "beta":
        coef = one.name.removeprefix("beta[").removesuffix("]")
        return _held(est, one, lambda v: Priors(beta={coef: Fixed(v)}), -np.inf, np.inf)
    if one.kind == "sd":
        factor, coef = _place_of_sd(est, one.name)
        return _held(est, one, lambda v: Priors(sd={factor: {coef: Fixed(v)}}), 0.0, np.inf)
    if one.kind == "error_sd":
        return _error_sd(est, one)
    return _correlation(est, one)


def _why_not(est: Estimate, one: PointParameter) -> str:
    """Return why no parameter of this kind can be held; nothing where it can."""
    if not _default_free(est.problem):
        return "other parameters are held fixed by priors"
    if one.kind == "beta" and est.method == "reml":
        return "the restricted likelihood has no population coefficients; use estimate('ml'), or hr.t_tests"
    return "" if np.isfinite(one.value) else "not determined: a standard deviation is zero"


def _error_sd(est: Estimate, one: PointParameter) -> Held:
    # Zero is no value to be tried: with errors of zero there is no likelihood, unless the estimate itself is there.
    lowest = 0.0 if one.value == 0 else -np.inf
    if one.name == "error_sd":
        return _held(est, one, lambda v: Priors(error_sd=Fixed(v)), lowest, np.inf)
    label = one.name.removeprefix("error_sd[").removesuffix("]")
    return _held(est, one, lambda v: Priors(error_sd={label: Fixed(v)}), lowest, np.inf)


def _held(est: Estimate, one: PointParameter, priors: Any, lowest: float, highest: float) -> Held:
    sd = float(np.sqrt(est.problem.gram.frame.squares[-1] / est.problem.n_rows))
    unit = abs(one.value) if one.value else sd
    return Held(priors=priors, est=est, lowest=lowest, highest=highest, unit=unit)


def _place_of_sd(est: Estimate, name: str) -> tuple[str, str]:
    for factor, sd in est.sd.items():
        for coef in sd[sd.dims[0]].values:
            if name == f"sd_{factor}[{coef}]":
                return factor, str(coef)
    raise AssertionError(name)


def _correlation(est: Estimate, one: PointParameter) -> Held | str:
    problem = est.problem
    own = [factor for factor in problem.design.factors if one.name.startswith(f"corr_{factor.name}[")]
    if one.kind == "corr" and own:
        name = own[0].name
        if own[0].term_sizes != (2,):
            return "of more than two columns"
        return _held(est, one, lambda v: Priors(corr={name: Fixed(_two(v))}), -1.0, 1.0)
    if one.name == "error_corr" and problem.labels.has_corr_by_stratum:
        lowest = float(problem.parameters.within_units.lowest[0])
        return _held(est, one, lambda v: Priors(error_corr=Fixed(v)), lowest, 1.0)
    if len(problem.layout.labels) == 2 and not problem.labels.has_corr_by_stratum:
        return _held(est, one, lambda v: Priors(error_corr=Fixed(_two(v))), -1.0, 1.0)
    return "of more than two data sets or strata"


def _two(rho: float) -> np.ndarray:
    return np.array([[1.0, rho], [rho, 1.0]])


def _default_free(problem: Problem) -> bool:
    """Return whether no parameter is held fixed."""
    parameters = problem.parameters
    return bool(np.all(parameters.sd_is_free)) and not bool(np.any(problem.fixed.is_fixed))
