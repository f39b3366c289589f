"""Quantiles of mixtures of normals that have the same weight, and what it costs that they are so few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# The normal quantile at which the Monte-Carlo error is stated: the ends of 95 % intervals.
_AT = 1.96
# Newton steps below this, in standard deviations, leave an error of their square.
_SMALL_STEP = 1e-4
_MOST_STEPS = 60
# Standard deviations of components are at least this, in those of the mixture.
_NARROWEST = 1e-9


def error_of_mixture(mean: Array, sd: Array) -> Array:
    """Return the Monte-Carlo error (...) of mean and 95 % interval of a mixture, in its standard deviations.

    The larger one, as of independent draws of the components: the standard deviation of mean + k sd over draws, at
    k = 0 and 1.96 of either sign, by the root of their number.

    Parameters
    ----------
    mean, sd : arrays (..., S)
        Of the components.
    """
    z, r, spread = _standardised(mean, sd)[1:]
    r = r - r.mean(axis=-1, keepdims=True)
    variance = np.mean(z * z, axis=-1)
    at_ends = variance + _AT**2 * np.mean(r * r, axis=-1) + 2.0 * _AT * np.abs(np.mean(z * r, axis=-1))
    error: Array = np.where(spread > 0.0, np.sqrt(np.maximum(at_ends, variance) / mean.shape[-1]), 0.0)
    return error


def quantiles_of_mixture(mean: Array, sd: Array, probs: Sequence[float]) -> Array:
    """Return the quantiles (P, ...) of mixtures of S normals each.

    Newton steps on the distribution function from the Cornish-Fisher expansion, between the least and the greatest
    quantile of a component, where the quantile of the mixture is.

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
    skew = np.mean(z * (of_z + 3.0 * of_r), axis=-1)
    excess = np.mean(of_z * (of_z + 6.0 * of_r) + 3.0 * of_r * of_r, axis=-1) - 3.0
    out = np.empty((len(probs), *centre.shape))
    for k, prob in enumerate(probs):
        w = float(ndtri(prob))
        cubic = excess / 24.0 * (w**3 - 3.0 * w) - skew**2 / 36.0 * (2.0 * w**3 - 5.0 * w)
        out[k] = centre + spread * _root(z, r, prob, w, w + skew / 6.0 * (w * w - 1.0) + cubic)
    return out


def _standardised(mean: Array, sd: Array) -> tuple[Array, Array, Array, Array]:
    """Return the mean (...), standardised means and sds (..., S) of components, and the sd (...) of the mixture."""
    centre = mean.mean(axis=-1)
    deviation = mean - centre[..., None]
    spread = np.sqrt(np.mean(sd * sd + deviation * deviation, axis=-1))
    unit = 1.0 / np.where(spread > 0.0, spread, 1.0)[..., None]
    return centre, deviation * unit, sd * unit, spread


def _root(z: Array, r: Array, prob: float, w: float, start: Array) -> Array:
    """Return x (...) with distribution function prob, of standardised components z, r (..., S)."""
    from scipy.special import ndtr

    ends = z + w * r
    low, high = ends.min(axis=-1), ends.max(axis=-1)
    x, precision = np.clip(start, low, high), 1.0 / r
    for _ in range(_MOST_STEPS):
        t = (x[..., None] - z) * precision
        above = ndtr(t).mean(axis=-1) - prob
        slope = np.mean(np.exp(-0.5 * t * t) * precision, axis=-1) / np.sqrt(2.0 * np.pi)
        low, high = np.where(above < 0.0, x, low), np.where(above > 0.0, x, high)
        new = x - above / np.maximum(slope, np.finfo(float).tiny)
        new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        change = np.abs(new - x).max(initial=0.0)
        x = new
        if change < _SMALL_STEP:
            break
    return x
