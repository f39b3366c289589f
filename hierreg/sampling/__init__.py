"""Inference: NUTS over the variance parameters, and draws from prior and predictive distributions."""
