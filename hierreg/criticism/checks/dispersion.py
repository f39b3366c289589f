"""Responses that are not normal and spread more, or less, than their family says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.values import Finding, NotMade, Test
from hierreg.response import Bernoulli, Binomial, Cumulative, Poisson

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined
    from hierreg.criticism.values import Array, Outcome, Sample


def dispersion(x: Examined) -> Test | NotMade:
    """Compare the mean square of quantile residuals with that of replicates."""
    family = getattr(x.problem, "family", None)
    if family is None:
        return NotMade(reason="the error variance of normal responses is estimated, or known")
    if isinstance(family, (Bernoulli, Cumulative)):
        return NotMade(reason=f"family={family} has no spread of its own")

    def scores(sample: Sample) -> Array:
        size = np.log(np.mean(sample.errors**2, axis=0))
        return np.stack([size, -size])

    def conclude(o: Outcome) -> Finding:
        ratio = float(np.exp(o.observed[0] - o.expected[0]))
        return Finding(
            found=f"variance x {ratio:.2f}",
            evidence=f"The variance of the residuals is {ratio:.2f} times that of the family {family}.",
            remedy=_remedy(family, is_more=ratio > 1),
            statistic=ratio,
        )

    return Test(labels=("more", "less"), scores=scores, conclude=conclude)


def _remedy(family: object, *, is_more: bool) -> str:
    if not is_more:
        return "a look at how the responses came about, since counts that spread too little are not independent"
    if isinstance(family, Poisson):
        return "family=hr.NegativeBinomial(), an effect of each row, (1 | row), or a zero-inflated family of brms"
    if isinstance(family, Binomial):
        return "an effect of each row, (1 | row), or beta_binomial of brms"
    return "a further parameter by strata, errors=hr.by(column), or further predictors"
