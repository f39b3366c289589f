"""The search for a mode over the unconstrained variance parameters: from several starts, the best one kept.

A posterior density may have several modes (years as they stand under a prior made for centred ones; few groups), and
what starts in the wrong one, chains or a proposal, does not notice: R-hat, divergences and Pareto k are those of that
mode. The usual starts are moments and, where it is at hand, the REML estimate; where a prior is far from both, its
likeliest sds. A search ends early in the bowl of a mode that is known; where evaluations take long that of moments is
not made if the density falls to both sides of the mode that the estimate leads to, along every log sd that the data
know less well (`screening.falls_away`). Where the modes differ, or one is near a zero
variance, searches from groups that differ more or less than the errors follow.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate.optimise import Counter, Optimum, maximise
from hierreg.estimate.screening import (
    ALONG,
    LITTLE_INFORMATION,
    SIZES,
    SPREAD,
    directions,
    falls_away,
    is_small,
    is_worth_a_line,
    peaks,
    screened,
    weakly_known,
)
from hierreg.estimate.starting_values import expected_curvature, starting_point
from hierreg.likelihood.engines import log_curvature
from hierreg.priors import SdPrior
from hierreg.variances.parameters import covariances, partial_correlations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hierreg.likelihood.posterior import Target
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]
    Objective = Callable[[Array], tuple[float, Array]]

SAME_MODE = 1e-4
# Change of log sds of groups at further starts.
_FURTHER = (-2.0, 2.0)
_FAR_DOWN = 3.0
# Log sds beside those of moments: how far the likeliest under a prior is looked for, and from where it is a start.
_SEARCHED, _FAR_FROM_PRIOR = 12.0, 2.5
# Of log sds, in which a log prior is differenced twice: to six digits.
_STEP_OF_PRIOR = 1e-3
# An estimate as a start is moved off boundaries: log sd beside that of moments, and partial correlation.
_MOST_CHANGE, _LARGEST_CORRELATION = 5.0, 0.95


def best_mode(
    target: Target,
    *,
    objective: Objective | None = None,
    starts: Sequence[Array] = (),
    tolerance: float = 1e-10,
    with_hessian: bool = False,
) -> tuple[Optimum, tuple[Optimum, ...]]:
    """Return the best maximum that searches from several starts find, and the lower ones, best first.

    Parameters
    ----------
    target : Target
    objective : callable, optional
        What is maximised; the target by default.
    starts : sequence of arrays (n_free,)
        Beside the moments'.
    tolerance, with_hessian
        As for `maximise`.
    """
    function, parameters = Counter(objective or target), target.parameters
    costly = target.likelihood.is_costly
    exact = partial(_hessian, target) if costly and objective is None and _has_sds_alone(target) else None
    gram, threads = target.likelihood.gram, target.likelihood.side_by_side
    moments, curvature = starting_point(gram, parameters), expected_curvature(gram, parameters)
    found: list[Optimum] = []

    def search(start: Array, *, again: bool = True) -> int:
        if found and not np.isfinite(function(start)[0]):
            return 1
        one = maximise(
            function,
            start,
            curvature=curvature,
            tolerance=tolerance,
            threads=threads,
            with_hessian=with_hessian,
            costly=costly,
            exact=exact,
            known=found if again else (),
        )
        found.append(one)
        return one.n_evaluations

    groups = _of_groups(parameters)
    ways = [*starts, moments] if costly and starts else [moments, *(starts or [moments + groups])]
    n = search(ways.pop(0))
    if exact is not None and starts:
        is_only, n_values = _is_only_one(target, found[0])
        ways, n = [] if is_only else ways, n + n_values
    if parameters.n_free:
        n += sum(search(start) for start in ways)
        n += sum(search(start) for start in (_at_priors(parameters, moments) if target.prior_on else ()))
        sunk = np.any((found[0].x - moments)[groups > 0] < -_FAR_DOWN)
        # Where nothing is finite, the values are the same: minus infinity, which has no differences.
        highest = max(one.value for one in found)
        if sunk or not all(one.converged and one.value >= highest - SAME_MODE for one in found):
            n += sum(search(moments + change * groups) for change in _FURTHER)
        more, n_evaluations = ([], 0) if target.prior_on else _of_cheap_evaluations(target, function, moments, found)
        n += n_evaluations + sum(search(start) for start in more)
        promising = max(found, key=lambda one: one.value)
        if not promising.converged and len(found) > 1:
            n += search(promising.x, again=False)
    best = max(found, key=lambda one: (one.converged, one.value))
    lower = sorted((one for one in found if one.converged), key=lambda one: -one.value)
    others: list[Optimum] = []
    for one in lower:
        if one.value < (others[-1].value if others else best.value) - SAME_MODE:
            others.append(one)
    return replace(best, n_evaluations=n), tuple(others)


def _has_sds_alone(target: Target) -> bool:
    """Return whether u are the log sds of one column of each factor and that of the errors."""
    parameters = target.parameters
    n = parameters.n_factor + 1
    are_all = parameters.n_free == n == parameters.n_columns and bool(parameters.sd_is_free.all())
    return target.sd_unit is None and are_all


def _hessian(target: Target, u: Array, gradient: Array) -> Array | None:  # noqa: ARG001  # the arguments of `maximise`
    """Return the Hessian of a log density of log sds: that of the likelihood exactly, of the prior by differences."""
    parameters = target.parameters
    at = covariances(parameters, u[None])
    H = log_curvature(target.likelihood, at.Lambda[0], at.error_cov[0])
    if H is None or not target.prior_on:
        return H
    steps = _STEP_OF_PRIOR * np.arange(-1.0, 2.0)
    for i, prior in enumerate(_priors_of_sds(parameters)):
        low, here, high = prior.log_density(np.exp(u[i] + steps))
        H[i, i] += (low - 2.0 * here + high) / _STEP_OF_PRIOR**2
    return H


def _priors_of_sds(parameters: VarianceParameters) -> list[SdPrior]:
    """Return the priors of the free sds."""
    families = {family.code: family for family in SdPrior.__subclasses__()}
    free = np.flatnonzero(parameters.sd_is_free)
    out = []
    for code, values in zip(parameters.sd_code[free], parameters.sd_parameters[free], strict=True):
        family = families[int(code)]
        out.append(family(*values[: len(fields(family))]))  # type: ignore[arg-type]  # every final class is a dataclass
    return out


def _is_only_one(target: Target, first: Optimum) -> tuple[bool, int]:
    """Return whether values along a few lines say that moments lead to the same mode, and how many were taken.

    Of a density of log sds whose evaluations take long, from whose estimate the search began.
    """
    if not first.converged:
        return False, 0
    weak = weakly_known(-first.hessian, np.ones(len(first.x), dtype=bool), LITTLE_INFORMATION)
    if weak is None:
        return False, 0
    # As an sd goes to zero the density of its logarithm does.
    steps = np.log(ALONG[1:])
    lines = np.tile(first.x, (len(weak), len(steps), 1))
    lines[np.arange(len(weak)), :, weak] += steps
    threads = target.likelihood.side_by_side
    return falls_away(partial(target.values, threads=threads), lines, first.value), len(weak) * len(steps)


def _of_groups(parameters: VarianceParameters) -> Array:
    """Return ones (n_free,) where log sds of group coefficients are, and zeros."""
    groups = np.zeros(parameters.n_free)
    groups[: int(parameters.sd_is_free[: parameters.n_factor].sum())] = 1.0
    return groups


def _of_cheap_evaluations(
    target: Target, function: Objective, moments: Array, found: list[Optimum]
) -> tuple[list[Array], int]:
    """Return starts that are found by evaluations alone, and how many those were: of small tables, of known errors."""
    gram, n_free = target.likelihood.gram, target.parameters.n_free
    starts, n = [], 0
    if is_small(gram.n, n_free):
        points, taken = moments + SPREAD * directions(n_free), np.array([one.x for one in found if one.converged])
        starts += screened(function, points, points, taken.reshape(-1, n_free))
        n += len(points)
    if is_worth_a_line(gram, n_free):
        line = moments + SIZES[:, None] * _of_groups(target.parameters)
        starts += peaks(function, line)
        n += len(line)
    return starts, n


def _at_priors(parameters: VarianceParameters, moments: Array) -> list[Array]:
    """Return where the sds are likeliest under their priors, if that is far from the moments: a prior may be a mode."""
    steps = np.linspace(-_SEARCHED, _SEARCHED, 49)
    start = moments.copy()
    n_sd = int(parameters.sd_is_free.sum())
    for i, prior in enumerate(_priors_of_sds(parameters)):
        log_sd = moments[i] + steps
        start[i] = log_sd[int(np.argmax(prior.log_density(np.exp(log_sd)) + log_sd))]
    start[n_sd:] = 0.0
    return [start] if np.any(np.abs(start - moments)[:n_sd] > _FAR_FROM_PRIOR) else []


def start_at(parameters: VarianceParameters, moments: Array, cov: Array, errors: tuple[Array, Array | None]) -> Array:
    """Return u (n_free,) near an estimate, off the boundary.

    Parameters
    ----------
    parameters : VarianceParameters
    moments : array (n_free,)
        Of which no log sd is further than a factor e^5.
    cov : array (q, q)
        Covariance of the coefficients of all groups, user scale.
    errors : arrays (D,) and (D, D) or (T,)
        Standard deviations and correlations of the errors.
    """
    error_sd, error_corr = errors
    q, n_sd = parameters.n_factor, int(parameters.sd_is_free.sum())
    from_raw = parameters.from_raw
    frame = from_raw @ cov @ from_raw.T
    sd = np.sqrt(np.maximum(np.diagonal(frame), 0.0))
    sds = np.concatenate([sd, error_sd if len(error_sd) else np.ones(1)])[parameters.sd_is_free]
    with np.errstate(divide="ignore"):
        u = [np.clip(np.log(sds), moments[:n_sd] - _MOST_CHANGE, moments[:n_sd] + _MOST_CHANGE)]
    for start, size, free in zip(parameters.block_starts, parameters.block_sizes, parameters.corr_is_free, strict=True):
        if free and start < q:
            mine = slice(start, start + size)
            length = np.where(sd[mine] > 0, sd[mine], 1.0)
            corr = frame[mine, mine] / length[:, None] / length
            u.append(_partial(corr))
        elif free and error_corr is not None:
            u.append(_partial(error_corr))
    within = parameters.within_units
    if within.strata and error_corr is not None:
        u.append(within.unconstrained(error_corr))
    out = np.concatenate(u)
    limit = np.arctanh(_LARGEST_CORRELATION)
    out[n_sd:] = np.clip(np.nan_to_num(out[n_sd:]), -limit, limit)
    return out if len(out) == len(moments) else moments


def _partial(corr: Array) -> Array:
    corr = _LARGEST_CORRELATION * np.clip(corr, -1.0, 1.0)
    np.fill_diagonal(corr, 1.0)
    return partial_correlations(corr)


def names_of_difference(parameters: VarianceParameters, first: Array, second: Array) -> str:
    """Return the parameters in which two points differ most, with the values of both, in words."""
    change = np.abs(first - second)
    chosen = np.flatnonzero(change >= 0.5 * change.max())[:3]
    points = [covariances(parameters, u[None]) for u in (first, second)]
    sds = [np.concatenate([at.sd[0], at.error_sd[0]]) for at in points]
    place = np.flatnonzero(parameters.sd_is_free)
    out = []
    for i in chosen:
        name = parameters.free_names[i]
        if i < len(place):
            out.append(f"{name} ({sds[0][place[i]]:.3g} and {sds[1][place[i]]:.3g})")
        else:
            out.append(name)
    return ", ".join(out)
