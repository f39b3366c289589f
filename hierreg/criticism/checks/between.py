"""Effects between groups that differ from those within them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.checks.curvature import directions
from hierreg.criticism.values import Finding, NotMade, Test

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined
    from hierreg.criticism.values import Array, Outcome, Sample

_CONSTANT = 1e-8


def between(x: Examined) -> Test | NotMade:
    """Ask of the group means of each predictor whether they belong into the model (Mundlak's contextual effect).

    References
    ----------
    Mundlak (1978), Econometrica 46(1), 69-85; Hausman (1978), Econometrica 46(6), 1251-1271.
    """
    assert x.rows is not None
    rows = x.rows
    if not rows.factors:
        return NotMade(reason="the model has no groups")
    means, of = {}, {}
    for factor in rows.factors:
        counts = np.maximum(np.bincount(factor.index, minlength=len(factor.levels)), 1)
        for name, h in x.varying().items():
            mean = (np.bincount(factor.index, h, minlength=len(counts)) / counts)[factor.index]
            if np.var(h - mean) > _CONSTANT * np.var(h) and np.var(mean) > _CONSTANT * np.var(h):
                key = f"{name} by {factor.name}"
                means[key], of[key] = mean, (name, factor.name)
    added = directions(x, means)
    if not added:
        return NotMade(reason="no predictor varies both within and between groups")
    H = np.stack(list(added.values()))

    def conclude(o: Outcome) -> Finding:
        name, factor = of[list(added)[o.worst]]
        z = float(H[o.worst] @ o.data.marginal[:, 0])
        return Finding(
            found=f"{name} by {factor}, z = {z:+.1f}",
            evidence=f"The effect of {name} between groups of {factor} differs from that within, z = {z:+.2f}.",
            remedy=f"a column of the mean of {name} in each {factor} beside {name}: the coefficient of {name} is then "
            "that within groups",
            statistic=z,
        )

    def scores(sample: Sample) -> Array:
        return np.abs(H @ sample.marginal)

    return Test(labels=tuple(added), scores=scores, conclude=conclude)
