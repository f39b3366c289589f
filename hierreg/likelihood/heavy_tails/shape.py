"""The parameters that shape the distribution of group effects, beside their covariance: names, places and meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.effects import Mixture, StudentT
from hierreg.effects.student_t import LOWEST_NU
from hierreg.priors.above import log_mass_above
from hierreg.priors.families import GAMMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Effects = StudentT | Mixture


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What shapes the effects of one grouping factor.

    Attributes
    ----------
    effects : StudentT or Mixture
    factor : str
        Name of the grouping factor, for names of parameters.
    coef : tuple of str (q,)
        Its columns.
    tau : array (q,)
        Prior sd of the means of components; ones for Student t.
    to_raw : array (q, q)
        Deviation of a component = to_raw @ that in the frame of its prior.
    internal : array (q, q)
        The same in internal coordinates of the columns.
    """

    effects: Effects
    factor: str
    coef: tuple[str, ...]
    tau: Array
    to_raw: Array
    internal: Array

    @property
    def n_components(self) -> int:
        """Number of components; one of Student t."""
        return self.effects.components if isinstance(self.effects, Mixture) else 1

    @property
    def n_covariances(self) -> int:
        """Number of covariances of the effects."""
        return self.n_components if isinstance(self.effects, Mixture) and not self.effects.common else 1

    @property
    def n_shape(self) -> int:
        """Number of parameters."""
        if isinstance(self.effects, StudentT):
            return int(self.effects.prior is not None)
        return (self.n_components - 1) * (1 + len(self.coef))

    @property
    def names(self) -> tuple[str, ...]:
        """Public name of what is behind each parameter."""
        if isinstance(self.effects, StudentT):
            return (f"nu_{self.factor}",) * self.n_shape
        later = range(1, self.n_components)
        return (
            *(f"component_weight_{self.factor}[{k}]" for k in later),
            *(f"component_mean_{self.factor}[{k}, {self.coef[0]}]" for k in later),
            *(f"component_mean_{self.factor}[{k}, {name}]" for k in later for name in self.coef[1:]),
        )

    @property
    def student(self) -> Array:
        """What kernels read of nu: its value, its lower bound, and code, parameters and log mass of its prior."""
        if not isinstance(self.effects, StudentT):
            return np.array([1.0, LOWEST_NU, GAMMA, 2.0, 0.1, 0.0])
        prior = self.effects.prior
        if prior is None:
            assert isinstance(self.effects.nu, float)
            return np.array([self.effects.nu, LOWEST_NU, GAMMA, 2.0, 0.1, 0.0])
        return np.array([np.nan, LOWEST_NU, prior.code, *prior.parameters, log_mass_above(prior, LOWEST_NU)])

    def nu(self, shape: Array) -> Array:
        """Return degrees of freedom (S,) at S points shape (S, n_shape)."""
        assert isinstance(self.effects, StudentT)
        if not self.n_shape:
            return np.full(len(shape), float(self.effects.nu))  # type: ignore[arg-type]  # a number, as none is free
        return np.asarray(LOWEST_NU + np.exp(shape[:, 0]))

    def components(self, shape: Array) -> tuple[Array, Array]:
        """Return weights (S, c) and means (S, c, q), those of columns as they stand, at S points shape (S, n_shape)."""
        c, q, S = self.n_components, len(self.coef), len(shape)
        n = c - 1
        logits = np.concatenate([np.zeros((S, 1)), shape[:, :n]], axis=1)
        weight = np.exp(logits - logits.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        delta = np.zeros((S, c, q))
        delta[:, 1:, 0] = np.cumsum(np.exp(shape[:, n : 2 * n]), axis=1)
        delta[:, 1:, 1:] = shape[:, 2 * n :].reshape(S, n, q - 1)
        means = self.tau * (delta - np.einsum("sk,ska->sa", weight, delta)[:, None])
        return weight, means @ self.to_raw.T

    def at(self, weight: Array, delta: Array) -> Array:
        """Return the parameters (n_shape,) of weights (c,) and differences (c, q) of means, in units tau, in order."""
        increments = np.maximum(np.diff(delta[:, 0]), 1e-3)
        return np.concatenate([np.log(weight[1:] / weight[0]), np.log(increments), delta[1:, 1:].ravel()])
