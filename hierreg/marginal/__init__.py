"""The exact layer: the marginal likelihood, its gradient, the mixed-model equations and recovery of coefficients."""
