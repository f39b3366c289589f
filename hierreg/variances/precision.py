"""The weights of the terms of R^-1, from an error covariance: what a likelihood is a function of, beside Lambda."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import ErrorTerms

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPrecision:
    """The map from the covariance (D, D) of a unit's errors to the weights (2 K + 2,) of `precision_kernels`.

    That of AR(1) errors is of two rows one step of time apart, of which S[0, 0] and S[0, 1] are read.

    Attributes
    ----------
    terms : ErrorTerms
    """

    terms: ErrorTerms
    _label: NDArray[np.intp] = field(init=False, repr=False, compare=False)
    _is_diagonal: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        is_diagonal = bool(np.all(self.terms.patterns.sum(axis=1) == 1)) and not self.terms.gaps.any()
        object.__setattr__(self, "_is_diagonal", is_diagonal)
        object.__setattr__(self, "_label", self.terms.patterns.argmax(axis=1))

    @property
    def is_diagonal(self) -> bool:
        """Whether each pattern has one data set, so that R is diagonal."""
        return self._is_diagonal

    @property
    def columns(self) -> NDArray[np.intp]:
        """The first data set of each pattern (M,)."""
        return self._label

    @property
    def n_terms(self) -> int:
        """Number K of terms."""
        return self.terms.n_terms

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What the kernels read."""
        return self.terms.gaps, self.terms.patterns, self.terms.counts

    def weights(self, error_cov: Array) -> Array:
        """Return the weights at an error covariance (D, D); log|R| is NaN where it is not positive definite.

        Raises
        ------
        ValueError
            If it has another shape.
        """
        D = self.terms.n_labels
        if np.shape(error_cov) != (D, D):
            raise ValueError(f"the error covariance has shape {np.shape(error_cov)}; expected {(D, D)}")
        weights: Array = self.weights_of_draws(np.asarray(error_cov)[None])[0]
        return weights

    def weights_of_draws(self, error_cov: Array) -> Array:
        """Return the weights (S, 2 K + 2) at S error covariances (S, D, D)."""
        S = np.ascontiguousarray(error_cov, dtype=float)
        if self._is_diagonal:
            return self._diagonal_weights(S)
        from hierreg.variances.precision_kernels import weights_or_gradient

        weights = np.empty((len(S), 2 * self.n_terms + 2))
        weights_or_gradient(S, self.arrays, np.empty(0), weights, np.empty((0, 0)))
        return weights

    def gradient(self, error_cov: Array, g_omega: Array) -> Array:
        """Return d/dS (D, D), symmetric, of a function with gradient g_omega (K,), minus half of d log|R| / dS."""
        S = np.ascontiguousarray(error_cov, dtype=float)
        if self._is_diagonal:
            variance = S[self._label, self._label]
            slopes = (g_omega / variance + 0.5 * self.terms.counts) / variance
            return -np.diag(np.bincount(self._label, slopes, minlength=len(S)))
        from hierreg.variances.precision_kernels import weights_or_gradient

        weights, out = np.empty((1, 2 * self.n_terms + 2)), np.empty_like(S)
        weights_or_gradient(S[None], self.arrays, np.ascontiguousarray(g_omega), weights, out)
        return out

    def _diagonal_weights(self, S: Array) -> Array:
        """Return the weights where each pattern has one data set: the most usual one, and not worth a compilation."""
        variance, K = S[:, self._label, self._label], self.n_terms
        out = np.ones((len(S), 2 * K + 2))
        with np.errstate(invalid="ignore", divide="ignore"):
            # Below the smallest normal number there is no inverse.
            out[:, :K] = 1.0 / np.where(variance >= np.finfo(float).tiny, variance, np.nan)
            out[:, 2 * K] = -np.log(out[:, :K]) @ self.terms.counts
        out[:, K : 2 * K] = np.sqrt(out[:, :K])
        return out
