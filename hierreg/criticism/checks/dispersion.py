"""Responses that spread more, or less, than their family says, or than known errors say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.values import Finding, NotMade, Test
from hierreg.response import Bernoulli, Binomial, Cumulative, Poisson

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined
    from hierreg.criticism.values import Array, Outcome, Sample


def dispersion(x: Examined) -> Test | NotMade:
    """Compare the mean square of residuals with that of replicates: of quantile residuals, or with known errors."""
    family = getattr(x.problem, "family", None)
    if family is None and x.problem.labels.n_error_sd:
        return NotMade(reason="the error variance is estimated")
    if isinstance(family, (Bernoulli, Cumulative)):
        return NotMade(reason=f"family={family} has no spread of its own")

    def scores(sample: Sample) -> Array:
        size = np.log(sample.size)
        # Draws of a posterior are nearer to the data than replicates are: too little spread cannot be told from that.
        return np.stack([size, -size] if family is None else [size])

    def conclude(o: Outcome) -> Finding:
        ratio = float(np.exp(o.observed[0] - o.expected[0]))
        return Finding(
            found=f"variance x {ratio:.2f}",
            evidence=f"The variance of the residuals is {ratio:.2f} times "
            + ("that of known errors." if family is None else f"that of the family {family}."),
            remedy=_remedy(family),
            statistic=ratio,
        )

    return Test(labels=("more", "less") if family is None else ("more",), scores=scores, conclude=conclude)


def _remedy(family: object) -> str:
    if family is None:
        return "scale=True of hr.known_se or hr.known_cov, an unknown factor; or an effect of each row"
    if isinstance(family, Poisson):
        return "family=hr.NegativeBinomial(), an effect of each row, (1 | row), or a zero-inflated family of brms"
    if isinstance(family, Binomial):
        return "an effect of each row, (1 | row), or beta_binomial of brms"
    return "a further parameter by strata, errors=hr.by(column), or further predictors"
