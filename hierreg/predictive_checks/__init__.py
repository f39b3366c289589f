"""What a model says of data, before and after they are seen: prior and posterior predictive checks.

`prior_check` is made of `prior_quantities` (what is drawn), `prior_sources` (which prior a width comes from) and
`prior_verdict` (what is absurd, in words); `predictive_check` of `statistics` by `sets` of
replicated rows, some draws at a time.
"""

from hierreg.predictive_checks.posterior import predictive_check
from hierreg.predictive_checks.prior import prior_check

__all__ = ["predictive_check", "prior_check"]
