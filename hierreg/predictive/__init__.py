"""What draws say of rows: replicates of the response, densities, and draws from the prior.

`public` holds the functions for users that add groups to a result, or make them of a model alone; they are made by
`groups` out of `prior_draws`, `rows` and `densities`; `of_model` says what they read of a model. `left_out` has the
densities of rows and groups that are left out, which `leave_out` labels.
"""

from hierreg.predictive.public import log_likelihood, log_prior, posterior_predictive, prior_predictive
from hierreg.predictive.recovered import group_effects

__all__ = ["group_effects", "log_likelihood", "log_prior", "posterior_predictive", "prior_predictive"]
