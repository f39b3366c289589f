"""Point estimates of the variance parameters."""

from hierreg.estimate.estimate import VarianceEstimate, maximise_likelihood, maximise_posterior

__all__ = ["VarianceEstimate", "maximise_likelihood", "maximise_posterior"]
