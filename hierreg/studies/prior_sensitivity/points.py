"""The priors of a grid: which they are, what they are called, and the problem with each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.design_matrices.kept import table_of
from hierreg.exceptions import ModelError, PriorError
from hierreg.priors import LKJ, Fixed, Flat, Priors, SdPrior, measure_scales, resolve_priors
from hierreg.priors.changed import changed, median_of, priors_by_name, rescaled, to_power, with_median
from hierreg.priors.families import Exponential, HalfCauchy, HalfNormal, HalfStudentT
from hierreg.problem.effects import EffectsProblem, with_effects
from hierreg.problem.family import FamilyProblem
from hierreg.problem.given import Given
from hierreg.problem.labels import variable_name
from hierreg.problem.problem import of_parts
from hierreg.variances.parameters import variance_parameters

if TYPE_CHECKING:
    from hierreg.priors import ResolvedPriors
    from hierreg.problem.problem import Problem

    type AnyProblem = Problem | FamilyProblem
    type Change = Callable[[str, Any], Any]

AS_GIVEN = "as given"
# Variables of standard deviations.
_SDS = ("sd_", "error_sd")
# The shapes of families that have none of their own.
_UNITS: dict[type[SdPrior], SdPrior] = {
    HalfNormal: HalfNormal(1.0),
    HalfStudentT: HalfStudentT(3.0, 1.0),
    HalfCauchy: HalfCauchy(1.0),
    Exponential: Exponential(1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One set of priors.

    Attributes
    ----------
    name : str
    kind : str
        "as given", "scale", "eta", "family", "power" or "priors".
    level : float
        Of a scale, eta or power; NaN otherwise.
    of : str
        The variable whose prior differs; empty where that of several does.
    make : function
        Problem -> problem with these priors.
    """

    name: str
    kind: str
    level: float
    of: str
    make: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The arguments of a grid."""

    priors: Mapping[str, Priors] | None = None
    scales: Any = None
    eta: Any = None
    families: Any = None
    powers: Any = None

    @property
    def is_empty(self) -> bool:
        """Whether no other priors were asked for."""
        return all(one is None for one in (self.priors, self.scales, self.eta, self.families, self.powers))


def points_of(problem: AnyProblem, asked: Asked, data: Any) -> list[Point]:
    """Return the priors that are asked for, those of the model first.

    Raises
    ------
    ModelError, PriorError
        If an argument is malformed or names what the model does not have.
    """
    out = [Point(name=AS_GIVEN, kind=AS_GIVEN, level=1.0, of="", make=_same)]
    for of, factor in _levels("scales", asked.scales, problem, _has_scale, _positive):
        name = f"{of or 'all scales'} x {factor:g}"
        out.append(_point(name, "scale", factor, of, partial(_scaled, factor=factor)))
    for of, eta in _levels("eta", asked.eta, problem, _is_lkj, _positive):
        out.append(_point(f"{of or 'LKJ'}, eta {eta:g}", "eta", eta, of, partial(_with_eta, eta=eta)))
    for of, family in _levels("families", asked.families, problem, _is_sd, _family):
        name = f"{of + ', ' if of else ''}{_called(family)}"
        out.append(_point(name, "family", np.nan, of, partial(_in_family, family=family)))
    for of, alpha in _levels("powers", asked.powers, problem, _has_power, _positive):
        name = f"{of or 'all'} to the power {alpha:g}"
        out.append(_point(name, "power", alpha, of, partial(_to_power, alpha=alpha)))
    out += _of_priors(asked.priors, data)
    names = [point.name for point in out]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ModelError(f"the grid has priors of the same name: {listed(twice)}. Give each once, by another name.")
    return out


def _same(problem: AnyProblem) -> AnyProblem:
    return problem


def _point(name: str, kind: str, level: float, of: str, change: Change) -> Point:
    """Return a point at which the priors of one variable, or of all, are changed."""

    def one(variable: str, prior: Any) -> Any:
        return change(variable, prior) if of in {"", variable_name(variable)} else prior

    def make(problem: AnyProblem) -> AnyProblem:
        return with_priors(problem, changed(problem.priors, one))

    return Point(name=name, kind=kind, level=level, of=of, make=make)


def _scaled(_: str, prior: Any, *, factor: float) -> Any:
    return rescaled(prior, factor)


def _with_eta(_: str, prior: Any, *, eta: float) -> Any:
    return LKJ(eta) if isinstance(prior, LKJ) else prior


def _to_power(_: str, prior: Any, *, alpha: float) -> Any:
    return to_power(prior, alpha)


def _in_family(variable: str, prior: Any, *, family: SdPrior) -> Any:
    return with_median(family, median_of(prior)) if isinstance(prior, SdPrior) and variable.startswith(_SDS) else prior


def _has_scale(prior: object) -> bool:
    return not isinstance(prior, Fixed | Flat | LKJ)


def _has_power(prior: object) -> bool:
    return not isinstance(prior, Fixed | Flat)


def _is_lkj(prior: object) -> bool:
    return isinstance(prior, LKJ)


def _is_sd(prior: object) -> bool:
    return isinstance(prior, SdPrior)


def _levels(
    argument: str, given: Any, problem: AnyProblem, suits: Callable[[object], bool], check: Callable[[str, Any], Any]
) -> list[tuple[str, Any]]:
    """Return variable and level of each point, the variable empty where all are meant."""
    if given is None:
        return []
    # As variables of the posterior are called.
    every = {variable_name(name): own for name, own in priors_by_name(problem.priors).items()}
    by_name = {name: own for name, own in every.items() if any(map(suits, own))}
    each = given if isinstance(given, Mapping) else {"": given}
    out = []
    for name, values in each.items():
        if (name and name not in by_name) or not by_name:
            hint = suggestion(str(name), list(by_name))
            raise ModelError(
                f"{argument} names {name!r}: the model has such priors of {listed(list(by_name)) or 'nothing'}.{hint}"
                if name
                else f"{argument}={given!r:.60}: the model has no prior that it could change."
            )
        if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray) or not len(values):
            raise ModelError(f"{argument}={given!r:.60}: a list is required, or {{variable: list}}, such as [0.5, 2].")
        out += [(name, check(argument, value)) for value in values if not (argument != "eta" and _is_one(value))]
    return out


def _is_one(value: Any) -> bool:
    """Return whether a factor or a power changes nothing: it is the fit as given."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 1


def _positive(argument: str, value: Any) -> float:
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not np.isfinite(value) or value <= 0:
        raise ModelError(f"{argument} has {value!r}: positive numbers are required, such as [0.5, 1, 2].")
    return float(value)


def _family(_: str, value: Any) -> SdPrior:
    if isinstance(value, SdPrior):
        return value
    if isinstance(value, type) and value in _UNITS:
        return _UNITS[value]
    raise ModelError(
        f"families has {getattr(value, '__name__', value)!r}: {listed([one.__name__ for one in _UNITS])}, or a prior "
        "whose shape is taken, such as hr.Gamma(2, 1), are required. Its scale follows from the median of the prior "
        "that it stands for."
    )


def _called(family: SdPrior) -> str:
    """Return the name of a shape: its class, with the parameters that are no scale."""
    kind = type(family)
    return kind.__name__ if family == _UNITS.get(kind) else f"shape of {family}"


def _of_priors(given: Any, data: Any) -> list[Point]:
    if given is None:
        return []
    if not isinstance(given, Mapping) or not all(isinstance(one, Priors) for one in given.values()):
        raise PriorError(f"priors={given!r:.80}: {{name: hr.Priors(...)}} is required, a set of priors for each fit.")
    return [
        Point(name=str(name), kind="priors", level=np.nan, of="", make=partial(with_asked, priors=own, data=data))
        for name, own in given.items()
    ]


def with_priors(problem: AnyProblem, priors: ResolvedPriors) -> AnyProblem:
    """Return the problem under other priors, in the same frames."""
    factors = [(factor.name, factor.coef_names, factor.term_sizes) for factor in problem.design.factors]
    return replace(problem, priors=priors, parameters=variance_parameters(problem.gram.terms, priors, factors=factors))


def with_asked(problem: AnyProblem, priors: Priors, data: Any) -> AnyProblem:
    """Return the problem with the priors that a user gives.

    Parameters
    ----------
    problem : Problem or FamilyProblem
    priors : Priors
    data : table or None
        The rows, where they are at hand.

    Raises
    ------
    PriorError
        If they do not fit.
    ModelError
        If the rows are needed and are gone.
    """
    if isinstance(problem, FamilyProblem):
        kept = problem.kept
        if data is None and (kept is None or kept.columns is None):
            raise ModelError("priors= of a model with a family needs its rows: give the model, hr.Model(...).")
        assert kept is not None
        given = replace(Given.from_json(kept.arguments), priors=priors)
        return given.problem(table_of(kept.columns) if data is None and kept.columns is not None else data)
    resolved = resolve_priors(priors, measure_scales(problem.gram, problem.design, problem.layout))
    other = of_parts(problem.formula, problem.design, problem.state, problem.layout, problem.gram, resolved)
    if isinstance(problem, EffectsProblem):
        return with_effects(other, {problem.labels.factors[0].name: problem.effects})
    return other
