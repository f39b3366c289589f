"""Inference: NUTS or importance sampling of the variance parameters, and draws from prior and predictive distributions.

`nuts` samples the variance parameters with hierreg's own kernel, `pymc_chains` the same model through PyMC;
`importance` draws them by importance sampling, from a `mixture`, and gives them equal weights by `resampling`;
`run` holds diagnostics. `on_request` holds the public functions for groups of the DataTree that come when
asked for, made by `groups` out of `prior_draws`, `rows` and `densities`; `problem` says what they read of a
model.
"""

from hierreg.sampling.on_request import log_likelihood, log_prior, posterior_predictive, prior_predictive

__all__ = ["log_likelihood", "log_prior", "posterior_predictive", "prior_predictive"]
