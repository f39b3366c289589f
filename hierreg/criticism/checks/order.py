"""Errors that depend on their neighbours in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.values import Finding, NotMade, Test

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.criticism.examined import Examined
    from hierreg.criticism.values import Array, Outcome, Sample

    Index = NDArray[np.intp]

_FEWEST = 10


def order(x: Examined) -> Test | NotMade:
    """Correlate residuals of neighbours in time, within each series.

    Series are the units of exchangeable and AR(1) errors, the data sets of correlated ones, and else the groups of the
    factor with most of them, in each stratum.
    """
    assert x.residuals is not None
    times = x.times()
    if times is None:
        return NotMade(reason="no order of rows is known: name a column, hr.check(..., time='...')")
    time, name = times
    series, of = _series(x)
    first, second = neighbours(time, series, x.residuals.has_residual)
    if len(first) < _FEWEST:
        return NotMade(reason=f"{len(first)} pairs of neighbours in {name}; {_FEWEST} are needed")

    def scores(sample: Sample) -> Array:
        z = sample.errors
        r = np.sum(z[first] * z[second], axis=0) / np.sqrt(len(first))
        # Coefficients that draws of a posterior took from the data make residuals alternate.
        return np.stack([r, -r] if x.rows is not None else [r])

    def conclude(o: Outcome) -> Finding:
        z = o.data.errors[:, 0]
        r = float(np.mean(z[first] * z[second]))
        # what estimated coefficients make of independent errors
        expected = float(o.expected[0] / np.sqrt(len(first)))
        in_model = x.problem.layout.spec.is_in_time
        return Finding(
            found=f"{name}, {r:+.2f} for {expected:+.2f}",
            evidence=f"Residuals of neighbours in {name}, within {of}, have the correlation {r:+.2f}, where those "
            f"of the model have {expected:+.2f}" + (", after that of its errors was taken out." if in_model else "."),
            remedy=(
                "another structure in time: nlme's corARMA, or a known covariance, hr.known_cov"
                if in_model
                else f"errors=hr.ar1({name!r}, unit=...), or a curve or slope of {name} that the formula lacks"
            ),
            statistic=r - expected,
        )

    return Test(
        labels=("follows", "alternates") if x.rows is not None else ("follows",), scores=scores, conclude=conclude
    )


def _series(x: Examined) -> tuple[Index, str]:
    """Return the series of each row, and what they are called."""
    layout, factors = x.problem.layout, x.problem.design.factors
    if x.problem.labels.has_corr_by_stratum:
        return layout.unit, f"each {layout.spec.columns.unit}"
    strata = [layout.dim] if len(layout.labels) > 1 else []
    if layout.unit is not None or not factors:
        return layout.stratum, f"each {layout.dim}" if strata else "the table"
    most = max(factors, key=lambda factor: len(factor.levels))
    J = len(most.levels)
    return layout.stratum * J + most.index, "each " + " and ".join([most.name, *(s for s in strata if s != most.name)])


def neighbours(time: Array, series: Index, usable: NDArray[np.bool_]) -> tuple[Index, Index]:
    """Return the places of pairs of rows that follow each other in time within a series; not those at one time.

    Examples
    --------
    >>> first, second = neighbours(np.array([2.0, 1.0, 1.0, 3.0]), np.array([0, 0, 1, 1]), np.ones(4, dtype=bool))
    >>> first.tolist(), second.tolist()
    ([1, 2], [0, 3])
    """
    places = np.flatnonzero(usable)
    ordered = places[np.lexsort((time[places], series[places]))]
    one, other = ordered[:-1], ordered[1:]
    pairs = (series[one] == series[other]) & (time[one] < time[other])
    return one[pairs], other[pairs]
