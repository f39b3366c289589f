"""Errors with heavy tails, or skew: standardised fourth and third moments of residuals of errors alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.values import Finding, NotMade, Test
from hierreg.response import Bernoulli, Cumulative

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined
    from hierreg.criticism.residuals import Residuals
    from hierreg.criticism.values import Array, Outcome, Sample

_FEWEST = 20
# Standardised residuals beyond this are named.
_FAR = 3.5
_LABELS = ("heavy tails", "skew")


def tails(x: Examined) -> Test | NotMade:
    """Compare the kurtosis and the skewness of the errors with those of normal ones."""
    assert x.residuals is not None
    rows, family = x.residuals, getattr(x.problem, "family", None)
    if isinstance(family, (Bernoulli, Cumulative)):
        return NotMade(reason=f"family={family} has no tails of its own")
    n = int(rows.has_residual.sum())
    if n < _FEWEST:
        return NotMade(reason=f"{n} rows have a residual of their own; {_FEWEST} are needed")

    def scores(sample: Sample) -> Array:
        z = sample.errors[rows.has_residual]
        # Products, since powers of whole arrays take many times as long.
        square = z * z
        size = np.mean(square, axis=0)
        fourth, third = np.mean(square * square, axis=0) / size**2, np.mean(square * z, axis=0) / size**1.5
        return np.stack([np.log(fourth), np.abs(third)])

    return Test(labels=_LABELS, scores=scores, conclude=lambda o: _conclude(rows, o, family))


def _conclude(rows: Residuals, o: Outcome, family: object) -> Finding:
    z = o.data.errors[:, 0]
    own = z[rows.has_residual]
    own = own / np.sqrt(np.mean(own**2))
    kurtosis, skew = float(np.mean(own**4)), float(np.mean(own**3))
    far = np.flatnonzero(np.abs(z) > _FAR)
    order = far[np.argsort(-np.abs(z[far]))][:3]
    named = ", ".join(f"{i} ({z[i]:+.1f})" for i in order)
    is_heavy = o.worst == 0
    return Finding(
        found=f"kurtosis {kurtosis:.2f}" if is_heavy else f"skewness {skew:+.2f}",
        evidence=f"Kurtosis of the errors {kurtosis:.2f}, where normal ones have 3, skewness {skew:+.2f}."
        + (f" Farthest: rows {named}, in standard deviations; {len(far)} beyond {_FAR}." if len(far) else ""),
        remedy=_remedy(family, is_heavy=is_heavy),
        statistic=kurtosis if is_heavy else skew,
    )


def _remedy(family: object, *, is_heavy: bool) -> str:
    if family is not None:
        return "a look at the rows that are named, then another family: of counts hr.NegativeBinomial(), or one of brms"
    if is_heavy:
        return "family=hr.StudentT(), after a look at the rows that are named"
    return "a transformation of the response, log(y) say, or family=hr.LogNormal() or hr.Gamma() where it is positive"
