"""Errors that are AR(1) within units: rows as pairs of neighbours in time.

With times t1 < t2 < ... in a unit, v = sd^2 and r = rho^(t - s) between neighbours s and t, the errors are a Markov
chain: e_1 ~ N(0, v), and given e_s alone e_t ~ N(r e_s, v (1 - r^2)). So::

    e'R^-1 e = e_1^2 / v + sum over neighbours of (e_t - r e_s)^2 / (v (1 - r^2))
    log|R|   = n log v + sum over neighbours of log(1 - r^2)

A unit's first row stands alone, each later one forms a pair with the row before it, and all pairs with the same gap
t - s have the same three weights: r^2, -r and 1, times 1 / (v (1 - r^2)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.errors.structures import ErrorLayout

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The rows of a table as units' first rows and pairs of neighbours.

    Attributes
    ----------
    first : int array (U,)
        First row of each unit that has rows.
    before, now : int arrays (P,)
        Rows of each pair of neighbours, the later one is ``now``; U + P = N.
    gap : int array (P,)
        Steps of time between them.
    step : int array (P,)
        How many rows of the unit are earlier than ``now``.
    """

    first: Index
    before: Index
    now: Index
    gap: Index
    step: Index


def chain_of(layout: ErrorLayout) -> Chain:
    """Return the neighbours in time of AR(1) errors."""
    assert layout.unit is not None
    assert layout.time is not None
    order = np.lexsort((layout.time, layout.unit))
    unit, time = layout.unit[order], layout.time[order]
    goes_on = unit[1:] == unit[:-1]
    starts = np.flatnonzero(np.concatenate([[True], ~goes_on])[: len(unit)])
    later = np.flatnonzero(goes_on) + 1
    return Chain(
        first=order[starts],
        before=order[later - 1],
        now=order[later],
        gap=time[later] - time[later - 1],
        step=later - starts[np.searchsorted(starts, later, side="right") - 1],
    )


def over_gaps(rho: Array, gap: Index) -> tuple[Array, Array]:
    """Return r = rho^gap and 1 - r^2, the latter with all digits that rho has near one; rho and gap broadcast."""
    r = rho**gap
    with np.errstate(divide="ignore"):
        return r, -np.expm1(2.0 * gap * np.log(np.abs(rho)))


def errors_of(chain: Chain, sd: Array, rho: Array, z: Array) -> Array:
    """Return errors (S, N) from standard normal numbers (S, N), sds (S,) and correlations (S,)."""
    out = sd[:, None] * z
    for step in range(1, int(chain.step.max(initial=0)) + 1):
        mine = np.flatnonzero(chain.step == step)
        r, left = over_gaps(rho[:, None], chain.gap[mine])
        out[:, chain.now[mine]] = r * out[:, chain.before[mine]] + np.sqrt(left) * out[:, chain.now[mine]]
    return out


def innovations(chain: Chain, sd: Array, rho: Array, residual: Array) -> tuple[Array, Array]:
    """Return what the row before leaves of each residual (S, N), and its standard deviation (S, N)."""
    e, width = residual.copy(), np.repeat(sd[:, None], residual.shape[1], axis=1)
    r, left = over_gaps(rho[:, None], chain.gap)
    e[:, chain.now] -= r * residual[:, chain.before]
    width[:, chain.now] *= np.sqrt(left)
    return e, width


def given_neighbours(chain: Chain, sd: Array, rho: Array, residual: Array) -> tuple[Array, Array]:
    """Return each residual (S, N) less its mean given the neighbours', and the standard deviation (S, N) of that.

    With P the precision of the errors these are (P e)_i / P_ii and P_ii^(-1/2).
    """
    precision, Pe = np.zeros_like(residual), np.zeros_like(residual)
    # In units of the variance of a row.
    precision[:, chain.first], Pe[:, chain.first] = 1.0, residual[:, chain.first]
    r, left = over_gaps(rho[:, None], chain.gap)
    e = (residual[:, chain.now] - r * residual[:, chain.before]) / left
    # A row is the later one of at most one pair, and the earlier one of at most one.
    precision[:, chain.now] += 1.0 / left
    Pe[:, chain.now] += e
    precision[:, chain.before] += r * r / left
    Pe[:, chain.before] -= r * e
    return Pe / precision, sd[:, None] / np.sqrt(precision)
