"""Where searches begin: least squares and moments, and where rows may be far out a robust fit too.

Densities with heavy tails have no single mode. A search from least squares may end where outlying rows have pulled it;
one from medians begins where they have not. Given the parameters, the effects of a group may have several modes as
well: searches from quantiles of its residuals find those that count, and the highest is kept (`best_effects`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate.of_families import FamilyStart
from hierreg.estimate.starting_values import starting_point
from hierreg.problem.family import MEDIAN_OF_NORMAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.integrated import IntegratedLikelihood
    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]

# Degrees of freedom to begin with, beside least squares and beside medians.
_LIGHT, _HEAVY = 30.0, 4.0
# Of the unit of the response, below which no robust scale is one.
_LEAST_SCALE = 1e-3
_STEPS = 40
_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
# Standardised effects that are farther from each other are two modes.
_APART = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondModes:
    """Modes of the standardised effects of the groups of one factor.

    Attributes
    ----------
    part : array (J,)
        How high the density is at the second mode, in parts of the first; zero where there is none.
    first, second : arrays (J, q)
    phi, Lambda : arrays (p,), (q, q)
        Where they were looked for.
    """

    part: Array
    first: Array
    second: Array
    phi: Array
    Lambda: Array


def starts_of(problem: FamilyProblem) -> list[FamilyStart]:
    """Return where searches begin: phi by weighted least squares, sds by moments, and further parameters."""
    X, held = problem.X[:, problem.free], problem.X @ problem.held
    _, information = problem.family.working(problem.observed)
    root = np.sqrt(information * problem.weights)
    phi, *_ = np.linalg.lstsq(root[:, None] * X, root * (problem.design.y - held), rcond=None)
    residual = problem.design.y - held - X @ phi
    sds = _sds(problem)
    first = FamilyStart(phi=np.asarray(phi), Lambda=np.diag(sds), auxiliary=_auxiliary_start(problem, residual))
    return [_robust(problem, sds), first] if problem.family.has_heavy_tails else [first]


def _sds(problem: FamilyProblem) -> Array:
    """Return standard deviations of effects (q,) by moments."""
    parameters = problem.parameters
    q = parameters.n_factor
    u = starting_point(problem.gram, parameters)
    sds: Array = parameters.sd_parameters[:q, 0].copy()
    free = parameters.sd_is_free[:q]
    # Moments of one response each say little of the size of effects.
    sds[free] = np.clip(np.exp(u[: int(free.sum())]), 0.05, 2.0) if problem.family.unit else np.exp(u[: free.sum()])
    return sds


def _auxiliary_start(problem: FamilyProblem, residual: Array, nu: float = _LIGHT) -> Array:
    """Return further parameters (T, m) to begin with."""
    auxiliary, observed = problem.auxiliary, problem.observed
    if auxiliary.has_order:
        shares = np.cumsum(np.bincount(observed.y.astype(np.int64))) / len(observed.y)
        return problem.family.link_function.forward(shares[:-1])[None]
    variance = max(float(np.var(residual)), 1e-12 if problem.family.unit else 1e-24 * problem.unit**2)
    start = {
        "dispersion": 0.3,
        "shape": 1.0 / variance,
        "precision": 4.0 / variance,
        "error_sd": variance**0.5,
        "error_scale": variance**0.5,
        "nu": nu,
    }
    out = np.array([[start[name] for name in auxiliary.names] for _ in auxiliary.strata]).reshape(auxiliary.shape)
    fixed = auxiliary.natural(np.zeros(auxiliary.n))
    is_fixed = auxiliary.is_constant.reshape(out.shape)
    return np.where(is_fixed, fixed, out)


def _robust(problem: FamilyProblem, sds: Array) -> FamilyStart:
    """Return a start that no few rows move: medians of rows, of groups, and of absolute residuals."""
    X, held = problem.X[:, problem.free], problem.X @ problem.held
    y = problem.design.y - held
    phi = least_absolute(X, y, problem.weights)
    rest, sizes, effects = y - X @ phi, sds.copy(), []
    for factor, mine in zip(problem.design.factors, problem.parameters.factor_slices, strict=True):
        of_groups = _by_group(rest, factor.index, len(factor.levels), 0.5)
        z = problem.Z[:, mine.start]
        if np.ptp(z) == 0 and z[0] != 0:
            rest = rest - of_groups[factor.index]
            spread = max(
                float(np.median(np.abs(of_groups - np.median(of_groups)))) / MEDIAN_OF_NORMAL, 1e-2 * problem.unit
            )
            if problem.parameters.sd_is_free[mine.start]:
                sizes[mine] *= spread / abs(z[0]) / sds[mine.start] if sds[mine.start] > 0 else 1.0
        else:
            of_groups = np.zeros(len(factor.levels))
        effects.append(of_groups / (z[0] or 1.0))
    Lambda = np.diag(sizes)
    scale = max(float(np.median(np.abs(rest))) / MEDIAN_OF_NORMAL, _LEAST_SCALE * problem.unit)
    auxiliary = _auxiliary_start(problem, rest, _HEAVY)
    is_scale = np.array([name == "error_scale" for name in problem.auxiliary.names])
    is_free = ~problem.auxiliary.is_constant.reshape(auxiliary.shape)
    return FamilyStart(
        phi=phi,
        Lambda=Lambda,
        auxiliary=np.where(is_scale & is_free, scale, auxiliary),
        effects=_standardised(problem, Lambda, effects),
    )


def least_absolute(X: Array, y: Array, weights: Array) -> Array:
    """Return coefficients (p,) of least absolute residuals, nearly, by reweighted least squares."""
    phi, *_ = np.linalg.lstsq(np.sqrt(weights)[:, None] * X, np.sqrt(weights) * y, rcond=None)
    size = float(np.median(np.abs(y - X @ phi)))
    for step in range(_STEPS):
        r = np.abs(y - X @ phi)
        root = np.sqrt(weights / np.maximum(r, max(size * 0.5**step, 1e-10 * size, np.finfo(float).tiny)))
        phi, *_ = np.linalg.lstsq(root[:, None] * X, root * y, rcond=None)
    return np.asarray(phi)


def _by_group(values: Array, index: NDArray[np.intp], n_groups: int, prob: float) -> Array:
    """Return a quantile of the values of each group (J,), an order statistic."""
    order = np.lexsort((values, index))
    count = np.bincount(index, minlength=n_groups)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    place = first + np.minimum((prob * count).astype(np.intp), np.maximum(count - 1, 0))
    out = np.zeros(n_groups)
    out[count > 0] = values[order][place[count > 0]]
    return out


def _standardised(problem: FamilyProblem, Lambda: Array, first: list[Array]) -> tuple[Array, ...]:
    """Return standardised effects (J, q) of each factor whose first coefficients (J,) are given, the others zero."""
    out = []
    for mine, values in zip(problem.parameters.factor_slices, first, strict=True):
        b = np.zeros((len(values), mine.stop - mine.start))
        b[:, 0] = values
        out.append(b @ np.linalg.pinv(Lambda[mine, mine]).T)
    return tuple(out)


def best_effects(
    problem: FamilyProblem, likelihood: IntegratedLikelihood, phi: Array, Lambda: Array, auxiliary: Array
) -> tuple[Array, ...] | None:
    """Return the highest mode of the standardised effects (J, q) of each factor that searches from several starts find.

    Of one factor, each group's own. None where no search ends in a mode, or there are no effects.
    """
    if not problem.design.factors:
        return None
    modes, heights = _modes(problem, likelihood, phi, Lambda, auxiliary)
    if len(problem.design.factors) > 1:
        best = int(np.argmax(heights.sum(axis=1)))
        return modes[best] if np.isfinite(heights[best].sum()) else None
    chosen = np.argmax(heights, axis=0)
    groups = np.arange(heights.shape[1])
    if not np.all(np.isfinite(heights[chosen, groups])):
        return None
    return (np.stack([one[0] for one in modes])[chosen, groups],)


def second_modes(
    problem: FamilyProblem, likelihood: IntegratedLikelihood, phi: Array, Lambda: Array, auxiliary: Array
) -> SecondModes | None:
    """Return the two highest modes of the effects of each group; None of several factors, or where there is none."""
    if len(problem.design.factors) != 1:
        return None
    modes, heights = _modes(problem, likelihood, phi, Lambda, auxiliary)
    v = np.stack([one[0] for one in modes])
    groups = np.arange(heights.shape[1])
    first = np.argmax(heights, axis=0)
    top = heights[first, groups]
    if not np.all(np.isfinite(top)):
        return None
    is_other = np.linalg.norm(v - v[first, groups], axis=2) > _APART
    others = np.where(is_other & np.isfinite(heights), heights, -np.inf)
    second = np.argmax(others, axis=0)
    return SecondModes(
        part=np.exp(others[second, groups] - top),
        first=v[first, groups],
        second=v[second, groups],
        phi=phi,
        Lambda=Lambda,
    )


def _modes(
    problem: FamilyProblem, likelihood: IntegratedLikelihood, phi: Array, Lambda: Array, auxiliary: Array
) -> tuple[list[tuple[Array, ...]], Array]:
    """Return where searches from several starts end, and the log densities of groups of the first factor there."""
    factors, slices = problem.design.factors, problem.parameters.factor_slices
    base = problem.offset + problem.X @ problem.held + problem.X[:, problem.free] @ phi
    residual = problem.observed.y - base
    starts = [likelihood.standardised(), tuple(np.zeros_like(one) for one in likelihood.standardised())]
    for prob in _QUANTILES:
        parts = []
        for factor, mine in zip(factors, slices, strict=True):
            z = problem.Z[:, mine.start]
            of_groups = _by_group(residual, factor.index, len(factor.levels), prob)
            parts.append(of_groups / z[0] if np.ptp(z) == 0 and z[0] != 0 else np.zeros(len(factor.levels)))
        starts.append(_standardised(problem, Lambda, parts))
    modes = [likelihood.beginning_at(start).with_modes(phi, Lambda, auxiliary).standardised() for start in starts]
    return modes, np.stack([_heights(problem, likelihood, base, Lambda, auxiliary, one) for one in modes])


def _heights(  # what a density depends on
    problem: FamilyProblem,
    likelihood: IntegratedLikelihood,
    base: Array,
    Lambda: Array,
    auxiliary: Array,
    effects: tuple[Array, ...],
) -> Array:
    """Return the log density of the effects of each group of the first factor (J,), without constants."""
    eta = base.copy()
    for factor, mine, v in zip(problem.design.factors, problem.parameters.factor_slices, effects, strict=True):
        eta += np.einsum("nq,nq->n", problem.Z[:, mine], (v @ Lambda[mine, mine].T)[factor.index])
    first = problem.design.factors[0]
    out = np.bincount(first.index, likelihood.row_densities(eta, auxiliary), minlength=len(first.levels))
    out[: len(effects[0])] -= 0.5 * np.sum(effects[0] ** 2, axis=1)
    out[0] -= 0.5 * sum(float(np.sum(v**2)) for v in effects[1:])
    return np.asarray(out)
