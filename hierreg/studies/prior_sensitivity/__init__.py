"""How much of a posterior is its prior: powers of priors and likelihood, other priors, and verdicts in words."""

from hierreg.studies.prior_sensitivity.public import sensitivity

__all__ = ["sensitivity"]
