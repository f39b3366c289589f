"""The mode of the posterior where the response is not normal: in units of the response, from one start or several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate.optimise import hessian, maximise
from hierreg.estimate.units import InUnits
from hierreg.exceptions import SamplingError
from hierreg.model.family.starts import best_effects
from hierreg.sampling.approximation import Mode, scale_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.estimate.optimise import Optimum
    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]

# How often effects are moved to higher modes, each time with a search from there, and what is no change of a maximum.
_MOST_MOVES, _SAME = 4, 1e-4
# Of steps to a mode that is near: how many, how much shorter each has to be than the last (in half squares of their
# length, in sds), and at which that ends. It is the centre of proposals: a hundredth of an sd is nothing.
_MOST_STEPS, _SHORTER, _DECREMENT = 10, 0.5, 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainStart:
    """Where a search for the mode of psi begins, and those for the modes of effects.

    Attributes
    ----------
    psi : array (n,)
    effects : tuple of arrays (J, q) or None
        Standardised, of each factor; None where they have one mode from wherever it is looked for.
    """

    psi: Array
    effects: tuple[Array, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Highest:
    """The best maximum that was found.

    Attributes
    ----------
    target : QuadratureTarget
        Whose searches for modes of effects begin at the best that are known.
    psi : array (n,)
    mode : Mode or None
        With the scale, where the Hessian was asked for.
    hessian : array (n, n)
        In the units of the search, to four digits where no mode was asked for.
    """

    target: QuadratureTarget
    psi: Array
    mode: Mode | None
    hessian: Array


def highest(
    problem: FamilyProblem,
    target: QuadratureTarget,
    starts: Sequence[ChainStart],
    *,
    tolerance: float,
    with_hessian: bool = False,
) -> Highest:
    """Return the best of the maxima of log p(psi | y) that searches from several starts find.

    Raises
    ------
    SamplingError
        If the density is finite at none of them.
    """
    found: list[tuple[Optimum, InUnits, QuadratureTarget]] = []
    for start in starts:
        own = _beginning_at(target, start.effects)
        f = _coordinates(problem, own, starts[0].psi)
        x = f.x(start.psi)
        if start is starts[0] or np.isfinite(f(x)[0]):
            found.append((maximise(f, x, tolerance=tolerance, with_hessian=with_hessian), f, own))
    best, f, own = max(found, key=lambda one: one[0].value if np.isfinite(one[0].value) else -np.inf)
    if not np.isfinite(best.value):
        raise SamplingError(
            f"the posterior density of {problem.formula!r} is not finite where its search begins: check that the "
            "priors allow values of the size of the data."
        )
    for _ in range(_MOST_MOVES if problem.family.has_heavy_tails else 0):
        before, (u, phi, w) = best.value, own.split(f.psi(best.x))
        effects = best_effects(problem, own.likelihood, phi, own.factor(u), own.auxiliary.natural(w))
        if effects is None:
            break
        own = _beginning_at(target, effects)
        f = replace(f, function=own)
        best = maximise(f, best.x, tolerance=tolerance, with_hessian=with_hessian)
        if abs(best.value - before) < _SAME:
            break
    psi = f.psi(best.x)
    mode = _mode(f, best.x, best.value, best.hessian, best.converged) if with_hessian else None
    return Highest(target=own, psi=psi, mode=mode, hessian=best.hessian)


def nearby(problem: FamilyProblem, target: QuadratureTarget, found: Highest) -> Mode | None:
    """Return the mode by another rule, near the maximum that was found by one; None where steps do not get shorter.

    It is where the gradient is zero: with few nodes that is nearer to the maximum of the integral than the highest
    value of the rule, and values, whose slope it is not, would lead a search nowhere. Steps by one Hessian get there.
    """
    f = _coordinates(problem, target, found.psi)
    x, before, C = f.x(found.psi), np.inf, scale_of(found.hessian)
    for _ in range(_MOST_STEPS):
        value, gradient = f(x)
        in_sds = C.T @ gradient
        decrement = 0.5 * float(in_sds @ in_sds)
        if not (np.isfinite(value) and decrement < _SHORTER * before):
            return None
        if decrement < _DECREMENT:
            return _mode(f, x, value, hessian(f, x, 1, gradient), converged=True)
        x, before = x + C @ in_sds, decrement
    return None


def _mode(f: InUnits, x: Array, value: float, H: Array, converged: bool) -> Mode:
    scale = f.unit[:, None] * scale_of(H) if len(x) else H
    return Mode(u=f.psi(x), scale=scale, log_density=value, converged=converged)


def _beginning_at(target: QuadratureTarget, effects: tuple[Array, ...] | None) -> QuadratureTarget:
    return target if effects is None else replace(target, likelihood=target.likelihood.beginning_at(effects))


def _coordinates(problem: FamilyProblem, target: QuadratureTarget, at: Array) -> InUnits:
    """Return the density in coordinates in which a phi that has the unit of the response has none, and is near zero."""
    centre, unit = np.zeros(target.n), np.ones(target.n)
    if problem.family.unit is None:
        n, p = target.parameters.n_free, len(target.population.mean)
        centre[n : n + p], unit[n : n + p] = at[n : n + p], problem.unit
    return InUnits(function=target, centre=centre, unit=unit)
