"""Starts for searches over small tables, spread over the space and screened by one evaluation each.

Few rows can have a maximum anywhere: groups that differ much more than errors in one place, errors of one data set
that nearly vanish in another. Evaluations of small tables cost next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.gram import Gram

    Array = NDArray[np.float64]
    Objective = Callable[[Array], tuple[float, Array]]

# Rows up to which, and parameters up to which, it is done.
_MOST_ROWS, _MOST_PARAMETERS = 60, 12
_POINTS, _POINTS_PER_PARAMETER = 24, 8
# Log sds, and other parameters, from the centre (standard deviation).
SPREAD = 1.5
_CHOSEN, _APART = 8, 1.0
# Information, as of a log sd with standard error 0.4, below which a maximum is not so sharp that there can hardly be
# another; and that of 0.03: thousands of groups.
LITTLE_INFORMATION, PLENTY = 6.0, 1000.0
# An sd beside that of a maximum; how far the criterion has to fall over the first step to either side; and sds at most,
# since a search from another start takes as long as some ten values for each of two.
ALONG = np.array([0.0, *np.exp([-2.0, -1.0, 1.0, 2.0])])
_LEAST_FALL, _MOST_LINES = 1.0, 4
# Logarithms of sizes along a line.
SIZES = np.linspace(-12.0, 12.0, 33)


def is_small(n_rows: float, n_free: int) -> bool:
    """Return whether a table is so small that more starts cost little."""
    return n_rows <= _MOST_ROWS and 0 < n_free <= _MOST_PARAMETERS


def directions(n_free: int) -> Array:
    """Return standard normal points (K, n_free), the same at each call."""
    return np.random.default_rng(0).normal(size=(_POINTS + _POINTS_PER_PARAMETER * n_free, n_free))


def screened(function: Objective, points: Array, places: Array, taken: Array) -> list[Array]:
    """Return the best few points that are apart from each other and from maxima that are known.

    Parameters
    ----------
    function : callable
        x -> (value, gradient).
    points : array (K, n)
    places : array (K, m)
        Where they are, in units in which one is a small distance.
    taken : array (L, m)
        Where maxima are known.
    """
    values = np.array([function(x)[0] for x in points])
    out: list[Array] = []
    used = list(taken)
    for i in np.argsort(-values):
        if len(out) == _CHOSEN or not np.isfinite(values[i]):
            break
        if all(float(np.linalg.norm(places[i] - other)) > _APART for other in used):
            out.append(points[i])
            used.append(places[i])
    return out


def peaks(function: Objective, points: Array) -> list[Array]:
    """Return the points (K, n) of a line where values are higher than on either side, the highest first.

    On a line of sizes of all group coefficients, `SIZES`: groups whose errors are known, and differ by orders of
    magnitude, can have a mode for each of those.
    """
    values = np.array([-np.inf, *(function(x)[0] for x in points), -np.inf])
    here = values[1:-1]
    places = np.flatnonzero((here > values[:-2]) & (here >= values[2:]))
    return [points[i] for i in places[np.argsort(-here[places])][:_CHOSEN]]


def weakly_known(information: Array, is_sd: NDArray[np.bool_], enough: float) -> NDArray[np.intp] | None:
    """Return the sds along which `falls_away` says whether a maximum is the only one; None where that says too little.

    Parameters
    ----------
    information : array (n, n)
        Minus the Hessian there, in units of log sds and correlations.
    is_sd : bool array (n,)
    enough : float
        Least information in any direction.
    """
    if not np.isfinite(information).all() or np.linalg.eigvalsh(information)[0] < enough:
        return None
    weak = np.diagonal(np.linalg.inv(information)) > 1.0 / PLENTY
    return None if weak.sum() > _MOST_LINES or np.any(weak & ~is_sd) else np.flatnonzero(weak)


def falls_away(values: Callable[[Array], Array], lines: Array, top: float) -> bool:
    """Return whether a criterion falls from a maximum to both sides along lines.

    Along the logarithm of one sd, the others held, the criterion of normal models is a sum of terms -(log(1 + a s^2) +
    c / (1 + a s^2)) / 2, each of which changes over about one unit, so that points one unit apart see every hill.

    Parameters
    ----------
    values : callable
        Points (K, n) -> the criterion (K,).
    lines : array (k, K, n)
        Of an sd that is a maximum times `ALONG`, the others held; where there are none, it falls.
    top : float
        The criterion at the maximum.
    """
    if not lines.size:
        return True
    n_below = int(np.sum(ALONG[-lines.shape[1] :] < 1.0))
    found = values(lines.reshape(-1, lines.shape[2])).reshape(lines.shape[:2])
    change = np.diff(np.insert(found, n_below, top, axis=1), axis=1)
    falls = np.all(change[:, :n_below] > 0) and np.all(change[:, n_below:] < 0)
    return bool(falls and np.all(np.abs(change[:, [n_below - 1, n_below]]) > _LEAST_FALL))


def is_worth_a_line(gram: Gram, n_free: int) -> bool:
    """Return whether maxima are looked for on a line: the table is small, or errors are known."""
    return bool(gram.factors) and (is_small(gram.n, n_free) or not gram.terms.n_sd)
