"""What a model says of data, before and after they are seen: prior and posterior predictive checks.

`prior_check` is made of `prior_quantities` (what is drawn), `prior_sources` (which prior a width comes from) and
`prior_verdict` (what is absurd, in words); `predictive_check` of `statistics` and `replicated` rows, block by block.
"""

from hierreg.predictive_checks.prior import prior_check

__all__ = ["prior_check"]
