"""Errors of rows of one unit that are correlated, across data sets say, in a model in which they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.sums import sums_by
from hierreg.criticism.values import Finding, NotMade, Test

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined
    from hierreg.criticism.values import Array, Outcome, Sample

_FEWEST = 10


def units(x: Examined) -> Test | NotMade:
    """Compare sums of the residuals of each unit with what independent errors make."""
    assert x.residuals is not None
    rows, spec = x.residuals, x.problem.layout.spec
    if spec.has_units and x.unit is None:
        return NotMade(reason=f"correlations within units are in the model, errors={spec}")
    found = x.units()
    if found is None:
        return NotMade(reason="no units are known: name a column, hr.check(..., unit='...')")
    unit, name = found
    counts = np.bincount(unit[rows.has_residual], minlength=int(unit.max(initial=-1)) + 1)
    n_pairs = float(np.sum(counts * (counts - 1) / 2))
    if n_pairs < _FEWEST:
        return NotMade(reason=f"units of {name} have {n_pairs:.0f} pairs of rows; {_FEWEST} are needed")

    def product(sample: Sample) -> Array:
        sums = sums_by(unit, sample.errors, len(counts))
        return np.asarray(np.sum(sums**2, axis=0) - np.sum(sample.errors**2, axis=0)) / 2.0

    def scores(sample: Sample) -> Array:
        r = product(sample) / np.sqrt(n_pairs)
        # Coefficients that draws of a posterior took from the data make residuals alternate.
        return np.stack([r, -r] if x.rows is not None else [r])

    def conclude(o: Outcome) -> Finding:
        r, expected = float(product(o.data)[0] / n_pairs), float(o.expected[0] / np.sqrt(n_pairs))
        return Finding(
            found=f"{name}, {r:+.2f} for {expected:+.2f}",
            evidence=f"Residuals of rows of one {name} have the correlation {r:+.2f}, where those of the model have "
            f"{expected:+.2f}.",
            remedy=f"errors=hr.correlated(data set, unit={name!r}) with several data sets, else "
            f"hr.exchangeable({name!r})",
            statistic=r - expected,
        )

    return Test(labels=("together", "apart") if x.rows is not None else ("together",), scores=scores, conclude=conclude)
