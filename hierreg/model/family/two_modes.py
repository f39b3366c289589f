"""Effects with two modes, of groups whose rows say two things: neither quadrature nor chains may see both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import counted
from hierreg.exceptions import ConvergenceWarning, SamplingError
from hierreg.model.family.starts import second_modes
from hierreg.warning import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.model.family.starts import SecondModes
    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]

# Height of a second mode in parts of the first: what may be left out.
_LEFT_OUT = 0.01
# Moves of a chain from one mode to another, below which its share of each is that of its beginning; and those of draws
# that are nearly independent, in parts.
_FEWEST_MOVES, _SHARE = 10, 0.2
# R-hat of effects that is said, of how few draws it is not asked for, and of how many effects.
_RHAT, _FEWEST_DRAWS, _MOST_COMPARED = 1.05, 100, 2000


def check_one_mode(problem: FamilyProblem, found: SecondModes | None) -> None:
    """Raise where effects have a second mode, which no rule about the first one sees, and no finer one either.

    Raises
    ------
    SamplingError
    """
    if found is not None and found.part.max() > _LEFT_OUT:
        raise SamplingError(
            f"quadrature does not represent the likelihood of {_named(problem, found)}: its effects have two modes, "
            f"the second {found.part.max():.2g} times as high as the first. Use method='nuts', which samples the "
            "effects."
        )


def warn_of_two_modes(problem: FamilyProblem, found: SecondModes | None) -> None:
    """Warn where an estimate by quadrature leaves a second mode out."""
    if found is not None and found.part.max() > _LEFT_OUT:
        warn(
            f"the effects of {_named(problem, found)} have two modes, the second {found.part.max():.2g} times as high "
            "as the first, and quadrature sees one: the criterion is not that of the likelihood. Model.sample() "
            "samples the effects.",
            ConvergenceWarning,
        )


def warn_of_effects_that_stay(
    problem: FamilyProblem,
    found: SecondModes | None,
    effects: tuple[Array, ...],
    chains: int,
    predictors: Callable[[int, Array], tuple[Array, Array]],
) -> None:
    """Warn where chains hardly move between two modes of the effects of a group, whose shares they do not know then.

    Parameters
    ----------
    found : SecondModes or None
        At the mode of the parameters.
    effects : tuple of arrays (chains x draws, J, q)
        Standardised.
    chains : int
    predictors : function
        Group of the only factor, standardised effects (2, q) at the parameters of ``found`` -> linear predictors of
        its rows at all draws (chains x draws, n) and there (2, n).
    """
    from arviz_stats.base.array import array_stats

    apart: list[tuple[float, str]] = []
    for factor, one in zip(problem.labels.factors, effects, strict=True):
        v = one.reshape(chains, -1, *one.shape[1:])
        if chains > 1 and v.shape[1] >= _FEWEST_DRAWS and one[0].size <= _MOST_COMPARED:
            with np.errstate(divide="ignore", invalid="ignore"):
                rhat = array_stats.rhat(v.reshape(*v.shape[:2], -1), chain_axis=0, draw_axis=1).reshape(v.shape[2:])
            worst = int(np.argmax(np.nan_to_num(rhat).max(axis=1)))
            apart.append((float(np.nan_to_num(rhat)[worst].max()), f"{factor.name} {factor.levels[worst]}"))
    if apart and max(apart)[0] > _RHAT:
        warn(
            f"chains disagree about the effects of {max(apart)[1]} (R-hat {max(apart)[0]:.2f}): its rows may say two "
            "things. Use more tune and draws; if it stays, more degrees of freedom, nu=..., or two groups of it.",
            ConvergenceWarning,
        )
    elif found is not None:
        _warn_where_none_moves(problem, found, chains, predictors)


def _warn_where_none_moves(
    problem: FamilyProblem,
    found: SecondModes,
    chains: int,
    predictors: Callable[[int, Array], tuple[Array, Array]],
) -> None:
    """Warn where all chains stay in one of two modes.

    A draw is in the one whose linear predictors of the rows are nearer: standardised effects also move with the
    parameters, where the modes are at other places.
    """
    suspect = np.flatnonzero(found.part > _LEFT_OUT)
    for j in suspect[np.argsort(-found.part[suspect])]:
        eta, modes = predictors(int(j), np.stack([found.first[j], found.second[j]]))
        far = [np.sum((eta - mode) ** 2, axis=1).reshape(chains, -1) for mode in modes]
        is_second, draws = far[1] < far[0], far[0].shape[1]
        moves = int(np.sum(is_second[:, 1:] != is_second[:, :-1]))
        if moves < chains * min(_FEWEST_MOVES, _SHARE * found.part[j] * draws):
            factor = problem.labels.factors[0]
            warn(
                f"rows of {factor.name} {factor.levels[j]} say two things, and its effects have two modes, the second "
                f"{found.part[j]:.2g} times as high as the first; all chains together move between them "
                f"{counted(moves, 'time')}, so that the draws do not know how likely each is, of this group and "
                "others like it. Is it two groups? More degrees of freedom, nu=..., join the modes.",
                ConvergenceWarning,
            )
            return


def modes_at(problem: FamilyProblem, target: QuadratureTarget, psi: Array) -> SecondModes | None:
    """Return the two highest modes of the effects of each group at psi (n,)."""
    u, phi, w = target.split(psi)
    return second_modes(problem, target.likelihood, phi, target.factor(u), target.auxiliary.natural(w))


def _named(problem: FamilyProblem, found: SecondModes) -> str:
    factor = problem.labels.factors[0]
    return f"{factor.name} {factor.levels[int(np.argmax(found.part))]}"
