"""Mixtures of multivariate Student t distributions: draws, log densities, and a fit to weighted points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_ITERATIONS = 20
# A component is narrower than the whole; it grows again where that is wrong.
_FIRST_WIDTH = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """A mixture of K multivariate Student t distributions in n dimensions.

    Attributes
    ----------
    weight : array (K,)
        Sums to one.
    location : array (K, n)
    factor : array (K, n, n)
        Lower factors of the scale matrices.
    df : array (K,)
        Degrees of freedom.
    """

    weight: Array
    location: Array
    factor: Array
    df: Array

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        """Return independent draws (size, n), those of one component after those of another."""
        n = self.location.shape[1]
        parts = []
        for k, count in enumerate(rng.multinomial(size, self.weight)):
            stretch = np.sqrt(self.df[k] / rng.chisquare(self.df[k], (count, 1)))
            parts.append(self.location[k] + stretch * rng.standard_normal((count, n)) @ self.factor[k].T)
        return np.concatenate(parts)

    def log_density(self, x: Array) -> Array:
        """Return the log density at points x (S, n)."""
        from scipy.special import logsumexp

        terms = _log_densities(x, self) + np.log(self.weight)[:, None]
        return np.asarray(logsumexp(terms, axis=0))


def student_t(location: Array, scale: Array, df: float) -> Mixture:
    """Return one Student t distribution with a location (n,) and a scale matrix (n, n)."""
    return Mixture(
        weight=np.ones(1), location=location[None], factor=np.linalg.cholesky(scale)[None], df=np.array([df])
    )


def joined(first: Mixture, second: Mixture, share: float) -> Mixture:
    """Return the mixture of two mixtures, the second with a share of the weight."""
    return Mixture(
        weight=np.concatenate([(1.0 - share) * first.weight, share * second.weight]),
        location=np.concatenate([first.location, second.location]),
        factor=np.concatenate([first.factor, second.factor]),
        df=np.concatenate([first.df, second.df]),
    )


def fit_mixture(
    x: Array, weight: Array, *, components: int, df: float, prior_scale: Array, rng: np.random.Generator
) -> Mixture:
    """Return a mixture of t distributions fitted to weighted points by maximum likelihood (EM).

    The scale matrices are shrunk to that of all points together, and that to ``prior_scale``, with the weight of
    n + 2 effective points.

    Parameters
    ----------
    x : array (S, n)
    weight : array (S,)
        Sums to one.
    components : int
        K.
    df : float
        Degrees of freedom of every component, not fitted.
    prior_scale : array (n, n)
        A scale matrix that holds where the points are few.
    rng : Generator
        Chooses where the components start.

    References
    ----------
    Peel, D. and McLachlan, G. J. (2000). Robust mixture modelling using the t distribution. Statistics and
    Computing 10, 339-348.

    Cappé, O., Douc, R., Guillin, A., Marin, J.-M. and Robert, C. P. (2008). Adaptive importance sampling in general
    mixture classes. Statistics and Computing 18, 447-459.
    """
    n = x.shape[1]
    ridge = (n + 2.0) * float(weight @ weight)
    mean = weight @ x
    centred = x - mean
    pooled = (np.einsum("s,si,sj->ij", weight, centred, centred) + ridge * prior_scale) / (1.0 + ridge)
    start = x[rng.choice(len(x), components, p=weight)]
    fit = Mixture(
        weight=np.full(components, 1.0 / components),
        location=mean + _FIRST_WIDTH * (start - mean) if components > 1 else mean[None],
        factor=np.repeat((_FIRST_WIDTH if components > 1 else 1.0) * np.linalg.cholesky(pooled)[None], components, 0),
        df=np.full(components, df),
    )
    for _ in range(_ITERATIONS):
        fit = _em_step(x, weight, fit, pooled, ridge)
    return fit


def _em_step(x: Array, weight: Array, fit: Mixture, pooled: Array, ridge: float) -> Mixture:
    n = x.shape[1]
    squares = _squared_distances(x, fit)
    log_part = _log_densities(x, fit, squares) + np.log(fit.weight)[:, None]
    part = np.exp(log_part - log_part.max(axis=0))
    part *= weight / part.sum(axis=0)
    total = part.sum(axis=1)
    # Points far out count less: the t distribution as a normal one with a random scale.
    near = part * (fit.df[:, None] + n) / (fit.df[:, None] + squares)
    location = (near @ x) / np.maximum(near.sum(axis=1), np.finfo(float).tiny)[:, None]
    scale = np.empty_like(fit.factor)
    for k in range(len(total)):
        centred = x - location[k]
        scale[k] = ((near[k][:, None] * centred).T @ centred + ridge * pooled) / (total[k] + ridge)
    # No component dies out.
    share = total + 0.25 * ridge / len(total)
    return Mixture(weight=share / share.sum(), location=location, factor=np.linalg.cholesky(scale), df=fit.df)


def _squared_distances(x: Array, mixture: Mixture) -> Array:
    """Return squared distances (K, S) of points from the components, in their own scales."""
    inverse = np.linalg.inv(mixture.factor)
    z = inverse @ x.T - np.einsum("kij,kj->ki", inverse, mixture.location)[:, :, None]
    return np.asarray(np.einsum("kis,kis->ks", z, z))


def _log_densities(x: Array, mixture: Mixture, squares: Array | None = None) -> Array:
    """Return log densities (K, S) of the components."""
    from scipy.special import gammaln

    n, df = x.shape[1], mixture.df
    if squares is None:
        squares = _squared_distances(x, mixture)
    log_det = np.log(np.diagonal(mixture.factor, axis1=1, axis2=2)).sum(axis=1)
    constant = gammaln(0.5 * (df + n)) - gammaln(0.5 * df) - 0.5 * n * np.log(df * np.pi) - log_det
    return np.asarray(constant[:, None] - 0.5 * (df + n)[:, None] * np.log1p(squares / df[:, None]))
