"""Summaries of draws: arrays with (chain, draw) first in, arrays without them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Fewer draws per chain than this have no autocorrelation to speak of.
_FEWEST = 4


def moments(x: Array, ci_prob: float) -> dict[str, Array]:
    """Return mean, sd and the ends of the equal-tailed interval, over (chain, draw)."""
    flat = x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])
    lower, upper = np.quantile(flat, [(1 - ci_prob) / 2, (1 + ci_prob) / 2], axis=0)
    return {"mean": flat.mean(axis=0), "sd": flat.std(axis=0, ddof=1), "lower": lower, "upper": upper}


def mcse_mean(x: Array) -> Array:
    """Return Monte-Carlo standard errors of the means."""
    return _diagnosed("mcse", x, method="mean")


def diagnostics(x: Array) -> dict[str, Array]:
    """Return Monte-Carlo standard errors, effective sample sizes and R-hat.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis 16(2), sections 3 and 4.
    """
    return {
        "mcse_mean": mcse_mean(x),
        "ess_bulk": _diagnosed("ess", x, method="bulk"),
        "ess_tail": _diagnosed("ess", x, method="tail", prob=(0.05, 0.95)),
        "r_hat": _diagnosed("rhat", x, method="rank"),
    }


def ess_bulk(x: Array) -> Array:
    """Return effective sample sizes for means and medians; NaN for constants."""
    return _diagnosed("ess", x, method="bulk")


def correlation(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the correlation of two quantities over the draws, and its Monte-Carlo standard error.

    The error is that of the mean of the influence function, z_x z_y - r (z_x^2 + z_y^2) / 2.

    Parameters
    ----------
    x, y : array (chain, draw, n)

    Returns
    -------
    r, mcse : array (n,)
    """
    z_x, z_y = ((v - v.mean(axis=(0, 1))) / np.where((sd := v.std(axis=(0, 1))) > 0, sd, np.nan) for v in (x, y))
    r = np.mean(z_x * z_y, axis=(0, 1))
    return r, mcse_mean(z_x * z_y - r * (z_x**2 + z_y**2) / 2)


def _diagnosed(name: str, x: Array, **options: object) -> Array:
    """Return a diagnostic of ArviZ; NaN for constants and where there are too few draws or chains."""
    chains, draws = x.shape[:2]
    flat = x.reshape(chains, draws, -1)
    out = np.full(flat.shape[2], np.nan)
    varies = np.ptp(flat, axis=(0, 1)) > 0
    if draws >= _FEWEST and varies.any() and not (name == "rhat" and chains < 2):
        from arviz_stats.base.array import array_stats

        function = getattr(array_stats, name)
        # Chains that never move, each at a place of its own, have no variance within.
        with np.errstate(divide="ignore", invalid="ignore"):
            out[varies] = function(flat[:, :, varies], chain_axis=0, draw_axis=1, **options)
    return out.reshape(x.shape[2:])


def evenly(n: int, most: int) -> NDArray[np.intp]:
    """Return the places of at most so many of n things, evenly spaced, the first and the last among them.

    Examples
    --------
    >>> evenly(3, 5).tolist(), evenly(9, 3).tolist()
    ([0, 1, 2], [0, 4, 8])
    """
    return np.linspace(0, n - 1, min(n, most)).round().astype(np.intp)
