"""How a chain moves: nutpie's settings of trajectories, and draws of warm-up, from what is known of the density.

In x, whose mode is zero and whose curvature there is the identity, log p(x) = -|x|^2 / 2 + r(x). Three leapfrog steps
of size one turn half a circle of the first term, which ends a trajectory of NUTS.

Where r is nearly constant, as with many groups, one gradient a draw is enough. nutpie's ``exact_normal_trajectory``
turns position and momentum by the flow of the first term, which is a rotation, and lets r alone change the momentum. A
rotation by a right angle is then nearly always accepted, and what it gives owes nothing to the draw before. Where r is
not, rotations are refused in the tails, where chains stay, and NUTS is better. Maps that make the density more nearly
normal (skewed coordinates; means and scales that depend on the coordinates before, fitted to draws) do not change that:
of sleepstudy they raised what is accepted from 0.78 to 0.88, and some chains stayed in the tails the longer.

References
----------
Shahbaba, B., Lan, S., Johnson, W. O. and Neal, R. M. (2014). Split Hamiltonian Monte Carlo. Statistics and Computing
24, 339-349.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.sampling.extension import understands

if TYPE_CHECKING:
    from hierreg.sampling.approximation import Mode
    from hierreg.sampling.density import Density
    from hierreg.sampling.signed import Coordinates

# All numbers by trial (`tests/benchmarks/trajectories.py`): gradients for an effective draw, in bulk and tails, and
# divergences.
TARGET_ACCEPT = 0.8
# Where sds may be zero: several lie on thin rings where data tell only the sum of their squares.
TARGET_ACCEPT_SIGNED = 0.9
# Longer steps gain nothing and diverge in tails. As the step is known but for its last digits, few draws find them.
_STEPS: dict[str, Any] = {"max_step_size": 0.97, "step_size_jitter": 0.05}
# A single step. A bit more than a right angle: the sign of what is left of the last draw makes up for the rotations
# that are refused.
_ROTATIONS: dict[str, Any] = {"exact_normal_trajectory": True, "maxdepth": 1, "max_step_size": 1.75}
_TUNE, _TUNE_SIGNED, _TUNE_ROTATIONS = 150, 200, 100
# Of steps that somebody else chooses, which may be small.
_TUNE_OTHERS = 300
# Sd of r over the normal approximation below which more than 0.93 of the rotations are accepted, and effective sizes,
# of tails too, are no less than those of NUTS.
_MOST_REMAINDER = 0.1
_POINTS, _SEED = 200, 105


def trajectories(  # what decides
    target: Density,
    mode: Mode,
    signed: Coordinates | None,
    accept: tuple[float, float, float] | None,
    *,
    asked: float | None,
    threads: int,
) -> tuple[dict[str, Any], int]:
    """Return nutpie's settings of trajectories, and draws of warm-up.

    Parameters
    ----------
    target, mode : Density, Mode
        Of log sds.
    signed : Coordinates or None
    accept : (float, float, float) or None
        As `nuts.Settings.default_accept`.
    asked : float or None
        Acceptance probability that somebody asks for, with the steps of NUTS.
    threads : int
        The answer does not depend on it.
    """
    if asked is not None:
        return {"target_accept": asked}, _TUNE_OTHERS
    kind = 0 if signed is None else 2 if signed.extent.any() else 1
    if accept is not None:
        return {"target_accept": accept[kind]}, _TUNE_OTHERS
    if signed is not None:
        return {"target_accept": TARGET_ACCEPT_SIGNED}, _TUNE_SIGNED
    steps, tune = _STEPS, _TUNE
    if understands(_ROTATIONS) and is_nearly_normal(target, mode, threads):
        steps, tune = _ROTATIONS, _TUNE_ROTATIONS
    return {"target_accept": TARGET_ACCEPT} | (steps if understands(steps) else {}), tune


def is_nearly_normal(target: Density, mode: Mode, threads: int) -> bool:
    """Return whether a density differs so little from its normal approximation that rotations suffice.

    Parameters
    ----------
    target : Density
    mode : Mode
    threads : int
        The answer does not depend on it.
    """
    if len(mode.scale) < len(mode.u):
        return False  # the others have a scale that nobody has looked at
    x = np.random.default_rng(_SEED).standard_normal((_POINTS, len(mode.u)))
    remainder = target.values(mode.at(x), threads=threads) + 0.5 * np.sum(x * x, axis=1)
    return bool(np.isfinite(remainder).all() and np.std(remainder) < _MOST_REMAINDER)
