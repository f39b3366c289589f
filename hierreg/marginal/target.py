"""The log posterior density of the unconstrained variance parameters as a Python function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.marginal.crossed import CrossedLikelihood

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.covariance import VarianceParameters
    from hierreg.marginal.likelihood import Likelihood

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """log p(u | y) up to the evidence, for u as `covariance.VarianceParameters` defines it.

    Attributes
    ----------
    parameters : VarianceParameters
    likelihood : MarginalLikelihood or CrossedLikelihood
    prior_on : bool
        Add the log prior of the variance parameters.
    natural : bool
        Density of sds and correlations themselves rather than of u: its maximum is the MAP estimate.
    """

    parameters: VarianceParameters
    likelihood: Likelihood
    prior_on: bool = True
    natural: bool = False

    def __call__(self, u: Array) -> tuple[float, Array]:
        """Return the log density of u (n_free,) and its gradient (n_free,)."""
        gradient, u = np.empty(len(u)), np.ascontiguousarray(u, dtype=float)
        if isinstance(self.likelihood, CrossedLikelihood):
            from hierreg.marginal import crossed_target_kernels

            value = crossed_target_kernels.log_posterior(u, *self.kernel_arguments(), True, gradient)
        else:
            from hierreg.marginal.target_kernels import log_posterior

            value = log_posterior(u, *self.kernel_arguments(), gradient)
        return float(value), gradient

    def kernel_arguments(self) -> tuple[Any, ...]:
        """Return the arguments of `target_kernels.log_posterior` between u and the gradient."""
        v = self.parameters
        variances = (
            v.n_factor,
            v.block_sizes,
            v.sd_code,
            v.sd_parameters,
            v.corr_is_free,
            v.eta,
            v.fixed_corr_factor,
            v.within_units.arrays,
        )
        return variances, self.likelihood.kernel_arguments(), self.prior_on, self.natural
