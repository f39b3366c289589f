"""The weights of the terms of R^-1, from an error covariance: what a likelihood is a function of, beside Lambda.

`precision_kernels` has the same for compiled densities, one covariance at a time; here by NumPy, since compiling it for
Python takes longer than all that Python asks of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        weights: Array = self.weights_of_draws(np.asarray(error_cov, dtype=float)[None])[0]
        return weights

    def weights_of_draws(self, error_cov: Array) -> Array:
        """Return the weights (S, 2 K + 2) at S error covariances (S, D, D)."""
        omega, roots, log_det, growth = [], [], np.zeros(len(error_cov)), np.ones(len(error_cov))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            for gap, place, count in self._patterns():
                own = np.asarray(error_cov, dtype=float)[:, place[:, None], place]
                root = _root_over_gap(own, gap) if gap else _root_of_inverse(own)
                precision = np.swapaxes(root, 1, 2) @ root
                d, e = np.triu_indices(len(place))
                omega.append(precision[:, d, e])
                roots.append(root[:, e, d])
                # Of neighbours in time the first is given.
                pivots = np.diagonal(root, axis1=1, axis2=2)[:, 1 if gap else 0 :]
                log_det -= 2.0 * count * np.sum(np.log(pivots), axis=1)
                inflation = np.diagonal(precision, axis1=1, axis2=2) * np.diagonal(own, axis1=1, axis2=2)
                inflation = np.sum(inflation, axis=1, keepdims=True) if gap else inflation
                growth = np.fmax(growth, inflation.max(axis=1, initial=1.0))
        return np.ascontiguousarray(np.hstack([*omega, *roots, log_det[:, None], growth[:, None]]))

    def gradient(self, error_cov: Array, g_omega: Array) -> Array:
        """Return d/dS (D, D), symmetric, of a function with gradient g_omega (K,), minus half of d log|R| / dS."""
        S, first = np.asarray(error_cov, dtype=float), 0
        out = np.zeros_like(S)
        for gap, place, count in self._patterns():
            d, e = np.triu_indices(len(place))
            mine = g_omega[first : first + len(d)]
            first += len(d)
            if gap:
                out += _gradient_over_gap(S, gap, count, mine)
                continue
            root = _root_of_inverse(S[None][:, place[:, None], place])[0]
            precision, along = root.T @ root, np.zeros((len(place),) * 2)
            np.add.at(along, (np.r_[d, e], np.r_[e, d]), 0.5 * np.r_[mine, mine])
            out[np.ix_(place, place)] -= precision @ along @ precision + 0.5 * count * precision
        return out

    def _patterns(self) -> Iterator[tuple[int, NDArray[np.intp], float]]:
        """Yield the gap, the places and the number of units of each pattern."""
        for gap, pattern, count in zip(self.terms.gaps, self.terms.patterns, self.terms.counts, strict=True):
            yield int(gap), np.flatnonzero(pattern), float(count)


def _root_of_inverse(S: Array) -> Array:
    """Return T (S, n, n), lower triangular, T'T = S^-1; NaN where S is not positive definite."""
    L, T = np.zeros_like(S), np.zeros_like(S)
    for j in range(S.shape[1]):
        column = S[:, j:, j] - np.einsum("sik,sk->si", L[:, j:, :j], L[:, j, :j])
        L[:, j:, j] = column / np.sqrt(np.where(column[:, :1] > 0.0, column[:, :1], np.nan))
        T[:, j, j] = 1.0 / L[:, j, j]
        T[:, j, :j] = -np.einsum("sk,ski->si", L[:, j, :j], T[:, :j, :j]) * T[:, j, j, None]
    return T


def _over_gap(S: Array, gap: int) -> tuple[Array, Array]:
    """Return r = rho^gap of AR(1) errors, and 1 - r^2 with the digits of S[0, 0] - |S[0, 1]|; NaN where |rho| > 1."""
    v, c = S[..., 0, 0], S[..., 0, 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.where(v > np.abs(c), (v - np.abs(c)) / v, np.nan)
        return (c / v) ** gap, -np.expm1(2.0 * gap * np.log1p(-distance))


def _root_over_gap(S: Array, gap: int) -> Array:
    """Return T (S, 2, 2), T'T the precision of what the first of two neighbours leaves of the second."""
    r, left = _over_gap(S, gap)
    T = np.zeros_like(S)
    T[:, 1, 1] = 1.0 / np.sqrt(S[:, 0, 0] * left)
    T[:, 1, 0] = -r * T[:, 1, 1]
    return T


def _gradient_over_gap(S: Array, gap: int, count: float, g_omega: Array) -> Array:
    """Return what one pattern with a gap adds to the gradient (2, 2)."""
    v, rho = S[0, 0], S[0, 1] / S[0, 0]
    r, left = _over_gap(S, gap)
    a = 1.0 / (v * left)
    g_v = -(r * r * g_omega[0] - r * g_omega[1] + g_omega[2]) * a / v - 0.5 * count / v
    g_r = (2.0 * r * (g_omega[0] + g_omega[2]) - (1.0 + r * r) * g_omega[1]) * a / left + count * r / left
    g_rho = g_r * gap * rho ** (gap - 1)
    return np.array([[g_v - g_rho * rho / v, 0.5 * g_rho / v], [0.5 * g_rho / v, 0.0]])
