"""The log posterior density of the unconstrained variance parameters as a Python function."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.marginal.crossed import CrossedLikelihood

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from hierreg.covariance import VarianceParameters
    from hierreg.marginal.likelihood import Likelihood, MarginalLikelihood

    Array = NDArray[np.float64]

# Parts of a batch per thread: enough that a thread that is held up does not keep the others waiting.
_PARTS = 4


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
        if not isinstance(self.likelihood, CrossedLikelihood) and self.likelihood.is_large:
            return self._in_chunks(self.likelihood, u, gradient), gradient
        value = self._kernels().log_posterior(u, *self.kernel_arguments(), gradient)
        return float(value), gradient

    def values(self, points: Array, *, threads: int = 1) -> Array:
        """Return the log densities (n,) of many points (n, n_free), without gradients.

        Parameters
        ----------
        points : array (n, n_free)
        threads : int
            Each value is found by itself, so that the number of threads changes none.
        """
        log_posterior_values = self._kernels().log_posterior_values
        points = np.ascontiguousarray(points, dtype=float)
        out = np.empty(len(points))

        def fill(part: slice) -> None:
            log_posterior_values(points[part], *self.kernel_arguments(), out[part])

        edges = np.linspace(0, len(points), max(1, min(threads * _PARTS, len(points))) + 1).astype(int)
        with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
            list(pool.map(fill, map(slice, edges[:-1], edges[1:])))
        return out

    def _kernels(self) -> ModuleType:
        """Return the module with the density of one likelihood or the other."""
        name = "crossed_target_kernels" if isinstance(self.likelihood, CrossedLikelihood) else "target_kernels"
        return import_module(f"hierreg.marginal.{name}")

    def _in_chunks(self, likelihood: MarginalLikelihood, u: Array, gradient: Array) -> float:
        """Return what the kernel does, with the likelihood on several threads."""
        from hierreg.marginal import target_kernels as kernels

        variances, (z_map_inverse, *_), prior_on, natural = self.kernel_arguments()
        gradient[:] = 0.0
        point = kernels.room_for_covariances(u, variances)
        value, first = kernels.covariances_at(u, variances, z_map_inverse, prior_on, natural, point, gradient)
        Lambda, S = point[3:]
        g_Lambda, g_S = np.empty_like(Lambda), np.empty_like(S)
        value += likelihood.evaluate(Lambda, S, g_Lambda, g_S)
        if not np.isfinite(value):
            gradient[:] = 0.0
            return -np.inf
        kernels.add_gradient_of_covariances(u, variances, z_map_inverse, point, first, g_Lambda, g_S, gradient)
        return float(value)

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
