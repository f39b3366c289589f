"""Inference: NUTS or importance sampling of the variance parameters.

`nuts` samples the variance parameters with hierreg's own kernel, `pymc_chains` the same model through PyMC;
`importance` draws them by importance sampling, from a `mixture`, and gives them equal weights by `resampling`;
`warnings_of_draws` holds diagnostics.
"""
