"""Errors with heavy tails, or skew: standardised fourth and third moments of residuals of errors alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.values import Finding, NotMade, Test

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined
    from hierreg.criticism.rows import Rows
    from hierreg.criticism.values import Array, Outcome, Sample

_FEWEST = 20
# Standardised residuals beyond this are named.
_FAR = 3.5
_LABELS = ("heavy tails", "skew")


def tails(x: Examined) -> Test | NotMade:
    """Compare the kurtosis and the skewness of the errors with those of normal ones."""
    assert x.rows is not None
    rows = x.rows
    n = int(rows.has_residual.sum())
    if n < _FEWEST:
        return NotMade(reason=f"{n} rows have a residual of their own; {_FEWEST} are needed")

    def scores(sample: Sample) -> Array:
        z = sample.errors[rows.has_residual]
        return np.stack([np.log(np.mean(z**4, axis=0)), np.abs(np.mean(z**3, axis=0))])

    return Test(labels=_LABELS, scores=scores, conclude=lambda o: _conclude(rows, o))


def _conclude(rows: Rows, o: Outcome) -> Finding:
    z = o.data.errors[:, 0]
    own = z[rows.has_residual]
    kurtosis, skew = float(np.mean(own**4)), float(np.mean(own**3))
    far = np.flatnonzero(np.abs(z) > _FAR)
    order = far[np.argsort(-np.abs(z[far]))][:3]
    named = ", ".join(f"{i} ({z[i]:+.1f})" for i in order)
    is_heavy = o.worst == 0
    return Finding(
        found=f"kurtosis {kurtosis:.2f}" if is_heavy else f"skewness {skew:+.2f}",
        evidence=f"Kurtosis of the errors {kurtosis:.2f}, where normal ones have 3, skewness {skew:+.2f}."
        + (f" Farthest: rows {named}, in standard deviations; {len(far)} beyond {_FAR}." if len(far) else ""),
        remedy=(
            "family=hr.StudentT(), after a look at the rows that are named"
            if is_heavy
            else "a transformation of the response, log(y) say, or family=hr.LogNormal() or hr.Gamma() where it is "
            "positive"
        ),
        statistic=kurtosis if is_heavy else skew,
    )
