"""The mode of the posterior where the response is not normal: in units of the response, from one start or several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate.optimise import maximise
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
    """

    target: QuadratureTarget
    psi: Array
    mode: Mode | None


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
    if not with_hessian:
        return Highest(target=own, psi=psi, mode=None)
    scale = f.unit[:, None] * scale_of(best.hessian) if len(psi) else best.hessian
    mode = Mode(u=psi, scale=scale, log_density=best.value, converged=best.converged)
    return Highest(target=own, psi=psi, mode=mode)


def _beginning_at(target: QuadratureTarget, effects: tuple[Array, ...] | None) -> QuadratureTarget:
    return target if effects is None else replace(target, likelihood=target.likelihood.beginning_at(effects))


def _coordinates(problem: FamilyProblem, target: QuadratureTarget, at: Array) -> InUnits:
    """Return the density in coordinates in which a phi that has the unit of the response has none, and is near zero."""
    centre, unit = np.zeros(target.n), np.ones(target.n)
    if problem.family.unit is None:
        n, p = target.parameters.n_free, len(target.population.mean)
        centre[n : n + p], unit[n : n + p] = at[n : n + p], problem.unit
    return InUnits(function=target, centre=centre, unit=unit)
