"""The search for the REML or ML estimate: from several starts, because a criterion may have several maxima.

Two starts are usual. The second search ends as soon as it comes into the bowl of the first one's maximum, which takes
a few evaluations. Where that does not settle it (a factor near the boundary, maxima that differ, little information,
errors of several strata, several grouping factors) more starts follow: groups that differ more or less than the errors,
and each stratum of errors small by itself. In small tables the best of a few dozen points that are spread over the
space are starts as well.

Where evaluations take long (`is_costly` of an engine) the second search is made only where nothing else settles it: a
maximum that is sharp, but for sds of uncorrelated columns from which the criterion falls to both sides
(`screening.falls_away`), is taken for the only one after five values for each such sd. The last steps and standard
errors then share one Hessian, exact where the engine has it.

A zero variance is not a place of no return: over a factor of Sigma the criterion is even there, its second derivative
is the slope with respect to the variance, and `optimise.maximise` leaves a stationary point that curves upwards. Near a
covariance of low rank the rows of the triangular factor are put in the order of pivots
(`FactorCoordinates.pivoted_at`), so that its zero columns are the last ones: in any other order searches crawl.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate.optimise import Counter, Optimum, maximise, with_signs
from hierreg.estimate.screening import (
    ALONG,
    LITTLE_INFORMATION,
    PLENTY,
    falls_away,
    is_small,
    is_worth_a_line,
    peaks,
    screened,
    weakly_known,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.estimate.coordinates import FactorCoordinates

    Array = NDArray[np.float64]

# Maxima nearer than this are one.
SAME_MAXIMUM = 1e-6
_LARGEST_CHANGE_OF_SCALE = 30.0
# Information, as of a log sd with standard error 0.2, that is little with several strata of errors.
_LITTLE_INFORMATION_OF_STRATA = 25.0
# Parameters beyond which one search has to do: a Hessian takes two gradients for each.
_MANY = 60
# Smallest singular value of the factor, where groups matter as much as errors, below which pivots are worth an order.
_ALMOST_SINGULAR = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best maximum of several searches.

    Attributes
    ----------
    coordinates : FactorCoordinates
        The space in which it was found.
    optimum : Optimum
        With the evaluations of all searches.
    others : tuple of Optimum
        Converged maxima that are lower, best first.
    """

    coordinates: FactorCoordinates
    optimum: Optimum
    others: tuple[Optimum, ...]


def search(coordinates: FactorCoordinates, *, has_maximum: bool = True) -> Found:
    """Return the best maximum of the criterion; where it is known to have none, where one search ends."""
    threads, costly = coordinates.likelihood.side_by_side, coordinates.likelihood.is_costly
    start, curvature = coordinates.start()
    is_wide = len(start) > _MANY
    coordinates, first = _first(coordinates, start, curvature, newton=has_maximum or not is_wide)
    if not has_maximum:
        return Found(coordinates=coordinates, optimum=first, others=())
    found = [with_signs(first, coordinates.signs(first.x))]
    n = first.n_evaluations
    if len(start) and not is_wide and not _is_sharp(coordinates, first):
        is_only, n_values = _is_only_one(coordinates, first)
        n += n_values + (0 if is_only else _search_again(coordinates, found))
    best = max(found, key=lambda one: (one.converged, one.value))
    rescaled, start, change = coordinates.rescaled_at(best.x)
    if change > _LARGEST_CHANGE_OF_SCALE or not best.converged:
        # Standard deviations far from what the errors suggested: once more, on their own scales.
        exact = rescaled.hessian if costly else None
        again = maximise(rescaled, start, threads=threads, exact=exact, costly=costly, with_hessian=costly)
        n += again.n_evaluations
        if again.value >= best.value or (again.converged and not best.converged):
            coordinates, best = rescaled, again
    lower = sorted((one for one in found if one.converged), key=lambda one: -one.value)
    others: list[Optimum] = []
    for one in lower:
        above = others[-1].value if others else best.value
        if one.value < above - SAME_MAXIMUM:
            others.append(one)
    return Found(coordinates=coordinates, optimum=replace(best, n_evaluations=n), others=tuple(others))


def _first(
    coordinates: FactorCoordinates, start: Array, curvature: Array, *, newton: bool
) -> tuple[FactorCoordinates, Optimum]:
    """Return where the first search ended, and the coordinates in which it did.

    Near a singular covariance its rows are put in order before the Newton steps.
    """
    threads, costly = coordinates.likelihood.side_by_side, coordinates.likelihood.is_costly
    function = Counter(coordinates)
    near = maximise(function, start, curvature=curvature, threads=threads, newton=False, costly=costly)
    if not newton:
        return coordinates, near
    x = near.x
    if coordinates.least_singular_value(x) < _ALMOST_SINGULAR:
        pivoted, x = coordinates.pivoted_at(x)
        if not (np.array_equal(pivoted.pivot, coordinates.pivot) and np.array_equal(x, near.x)):
            coordinates, function = pivoted, Counter(pivoted)
    exact = coordinates.hessian if costly else None
    # Where evaluations take long, one precise Hessian serves the last steps and standard errors.
    found = maximise(function, x, threads=threads, line_searches=False, exact=exact, costly=costly, with_hessian=costly)
    return coordinates, replace(found, n_evaluations=near.n_evaluations + found.n_evaluations)


def _search_again(coordinates: FactorCoordinates, found: list[Optimum]) -> int:
    """Add what further searches find, and return how many evaluations they took."""
    threads = coordinates.likelihood.side_by_side
    n = _search_from(coordinates, [coordinates.neutral_start()], found)
    if not _is_settled(coordinates, found):
        n += _search_from(coordinates, coordinates.further_starts(), found)
    if is_small(coordinates.likelihood.gram.n, len(found[0].x)):
        points, places, taken = coordinates.spread_points([one.x for one in found if one.converged])
        n += len(points) + _search_from(coordinates, screened(coordinates, points, places, taken), found)
    if is_worth_a_line(coordinates.likelihood.gram, len(found[0].x)):
        line = coordinates.line_of_sizes()
        n += len(line) + _search_from(coordinates, peaks(coordinates, line), found)
    promising = max(found, key=lambda one: one.value)
    if not promising.converged:
        found.append(maximise(coordinates, promising.x, threads=threads))
        n += found[-1].n_evaluations
    return n


def _search_from(coordinates: FactorCoordinates, starts: list[Array], found: list[Optimum]) -> int:
    n = 0
    for x in starts:
        curvature, threads = coordinates.curvature_at(x), coordinates.likelihood.side_by_side
        one = maximise(coordinates, x, curvature=curvature, threads=threads, known=found, signs=coordinates.signs)
        found.append(with_signs(one, coordinates.signs(one.x)))
        n += found[-1].n_evaluations
    return n


def _is_sharp(coordinates: FactorCoordinates, first: Optimum) -> bool:
    """Return whether data are so many that one search is enough: every variance is known to a few hundredths."""
    return first.converged and least_information(first.hessian, coordinates.sizes(first.x)) > PLENTY


def _is_only_one(coordinates: FactorCoordinates, first: Optimum) -> tuple[bool, int]:
    """Return whether values along a few lines say that there is no other maximum, and how many were taken.

    Where an evaluation takes long, that is asked in place of a second search: if all that the data do not know to a few
    hundredths are sds of uncorrelated columns, and not many.
    """
    if not (coordinates.likelihood.is_costly and first.converged) or coordinates.is_nearly_singular(first.x):
        return False, 0
    sizes = coordinates.sizes(first.x)
    weak = weakly_known(-first.hessian * sizes[:, None] * sizes, coordinates.is_alone(), _enough(coordinates))
    if weak is None:
        return False, 0
    lines = np.tile(first.x, (len(weak), len(ALONG), 1))
    lines[np.arange(len(weak)), :, weak] *= ALONG
    return falls_away(coordinates.values, lines, first.value), len(weak) * len(ALONG)


def _is_settled(coordinates: FactorCoordinates, found: list[Optimum]) -> bool:
    """Return whether two searches that ended together are enough."""
    first, second = found
    if not (first.converged and second.converged) or abs(first.value - second.value) > SAME_MAXIMUM:
        return False
    if coordinates.is_nearly_singular(first.x):
        return False
    return least_information(first.hessian, coordinates.sizes(first.x)) > _enough(coordinates)


def _enough(coordinates: FactorCoordinates) -> float:
    return LITTLE_INFORMATION if len(coordinates.errors.error_labels) == 1 else _LITTLE_INFORMATION_OF_STRATA


def least_information(hessian: Array, sizes: Array) -> float:
    """Return the least curvature at a maximum in any direction, in units of log sds and correlations."""
    if not len(hessian):
        return np.inf
    values = np.linalg.eigvalsh(-hessian * sizes[:, None] * sizes)
    return float(values[0]) if np.isfinite(values[0]) else 0.0
