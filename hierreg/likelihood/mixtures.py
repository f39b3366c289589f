"""Quantiles of mixtures of normals that have the same weight, and what it costs that they are so few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Newton steps below this, in standard deviations, leave an error of their square.
_SMALL_STEP = 1e-3
_MOST_STEPS = 60
# Standard deviations of components are at least this, in those of the mixture.
_NARROWEST = 1e-9


def quantiles_of_mixture(mean: Array, sd: Array, probs: Sequence[float]) -> tuple[Array, Array]:
    """Return the quantiles (P, ...) of mixtures of S normals each, and the Monte-Carlo error (...) of their number.

    Newton steps on the distribution function from the Cornish-Fisher expansion, between the least and the greatest
    quantile of a component, where the quantile of the mixture is. The error is the largest of those of the mean and of
    the quantiles, in standard deviations of the mixture, as of independent draws of the components: of a quantile the
    standard deviation of what components have below it, by the density there and the root of S.

    Parameters
    ----------
    mean, sd : arrays (..., S)
        Of the components.
    probs : sequence of float

    References
    ----------
    Cornish, E. A. and Fisher, R. A. (1938). Moments and cumulants in the specification of distributions. Revue de
    l'Institut international de statistique 5(4), 307-320.
    """
    from scipy.special import ndtri

    centre, z, r, spread = _standardised(mean, sd)
    r = np.maximum(r, _NARROWEST)
    # Products: a power of an array takes ten times as long.
    of_z, of_r = z * z, r * r
    error = np.sqrt(np.mean(of_z, axis=-1))
    skew = np.mean(z * (of_z + 3.0 * of_r), axis=-1)
    excess = np.mean(of_z * (of_z + 6.0 * of_r) + 3.0 * of_r * of_r, axis=-1) - 3.0
    out = np.empty((len(probs), *centre.shape))
    for k, prob in enumerate(probs):
        w = float(ndtri(prob))
        cubic = excess / 24.0 * (w**3 - 3.0 * w) - skew**2 / 36.0 * (2.0 * w**3 - 5.0 * w)
        x, of_quantile = _root(z, r, prob, w, w + skew / 6.0 * (w * w - 1.0) + cubic)
        out[k], error = centre + spread * x, np.maximum(error, of_quantile)
    return out, np.where(spread > 0.0, error, 0.0) / np.sqrt(mean.shape[-1])


def _standardised(mean: Array, sd: Array) -> tuple[Array, Array, Array, Array]:
    """Return the mean (...), standardised means and sds (..., S) of components, and the sd (...) of the mixture."""
    centre = mean.mean(axis=-1)
    deviation = mean - centre[..., None]
    spread = np.sqrt(np.mean(sd * sd + deviation * deviation, axis=-1))
    unit = 1.0 / np.where(spread > 0.0, spread, 1.0)[..., None]
    return centre, deviation * unit, sd * unit, spread


def _root(z: Array, r: Array, prob: float, w: float, start: Array) -> tuple[Array, Array]:
    """Return x (...) with distribution function prob, of standardised components z, r (..., S), and its error.

    That of one component, by those that there are.
    """
    from scipy.special import ndtr

    ends = z + w * r
    low, high = ends.min(axis=-1), ends.max(axis=-1)
    x, precision = np.clip(start, low, high), 1.0 / r
    for _ in range(_MOST_STEPS):
        t = (x[..., None] - z) * precision
        below = ndtr(t)
        above = below.mean(axis=-1) - prob
        slope = np.mean(np.exp(-0.5 * t * t) * precision, axis=-1) / np.sqrt(2.0 * np.pi)
        low, high = np.where(above < 0.0, x, low), np.where(above > 0.0, x, high)
        new = x - above / np.maximum(slope, np.finfo(float).tiny)
        new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        change = np.abs(new - x).max(initial=0.0)
        x = new
        if change < _SMALL_STEP:
            break
    below -= below.mean(axis=-1, keepdims=True)
    return x, np.sqrt(np.mean(below * below, axis=-1)) / np.maximum(slope, np.finfo(float).tiny)
