"""Errors that spread more in some groups than in others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.checks.spread import between_levels
from hierreg.criticism.examined import named_groups
from hierreg.criticism.values import Finding, NotMade, Test

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined
    from hierreg.criticism.values import Array, Outcome, Sample

# Groups are compared that have so many rows with a residual.
_FEWEST_ROWS, _FEWEST_GROUPS = 3, 3


def spread_by_group(x: Examined) -> Test | NotMade:
    """Compare absolute residuals of errors alone between groups."""
    assert x.residuals is not None
    rows = x.residuals
    if not rows.factors:
        return NotMade(reason="the model has no groups")
    which = {}
    for factor in rows.factors:
        counts = np.bincount(factor.index[rows.has_residual], minlength=len(factor.levels))
        kept = rows.has_residual & (counts[factor.index] >= _FEWEST_ROWS)
        if np.sum(counts >= _FEWEST_ROWS) >= _FEWEST_GROUPS:
            which[factor.name] = (factor, kept)
    if not which:
        return NotMade(reason=f"fewer than {_FEWEST_GROUPS} groups have {_FEWEST_ROWS} rows or more")

    def scores(sample: Sample) -> Array:
        out = []
        for factor, kept in which.values():
            size = np.abs(sample.errors[kept])
            size = size - size.mean(axis=0)
            out.append(between_levels(size, np.sqrt(np.sum(size**2, axis=0)), factor.index[kept]))
        return np.stack(out)

    def conclude(o: Outcome) -> Finding:
        factor, kept = list(which.values())[o.worst]
        n = np.maximum(np.bincount(factor.index[kept], minlength=len(factor.levels)), 1)
        square = np.bincount(factor.index[kept], o.data.errors[kept, 0] ** 2, minlength=len(factor.levels)) / n
        order = np.argsort(-square)
        high, low = np.sqrt(square[order[0]]), np.sqrt(np.min(square[n >= _FEWEST_ROWS]))
        return Finding(
            found=f"{factor.name}, largest {high:.1f}",
            evidence=f"Errors in groups of {factor.name} spread from {low:.2f} to {high:.2f} times the common standard "
            f"deviation; most in {named_groups(factor.levels, order)}.",
            remedy=f"errors=hr.by({factor.name!r}) where groups are few; a distributional model of brms, "
            f"sigma ~ (1 | {factor.name}), where they are many; or family=hr.StudentT() if a few rows make it",
            statistic=float(high),
        )

    return Test(labels=tuple(which), scores=scores, conclude=conclude)
