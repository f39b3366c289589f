"""From a target to draws of every parameter, and warnings that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import ConvergenceWarning
from hierreg.warning import warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_RHAT_LIMIT = 1.01
_ESS_PER_CHAIN = 100
_BFMI_LIMIT = 0.3
_COPIES_LIMIT = 0.8
_FEWEST_DRAWS = 20


def stats_group(stats: Mapping[str, NDArray[Any]], shape: tuple[int, int]) -> xr.Dataset:
    """Return the ``sample_stats`` group.

    Parameters
    ----------
    stats : dict of arrays (chains, draws)
    shape : (int, int)
        Chains and draws.
    """
    import xarray as xr

    coords = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    return xr.Dataset({name: (("chain", "draw"), values) for name, values in stats.items()}, coords=coords)


def warn_about(names: tuple[str, ...], u: Array, stats: xr.Dataset) -> list[str]:
    """Warn of draws that may not represent the posterior; return the messages.

    Parameters
    ----------
    names : tuple of str (n,)
        Public names of the sampled parameters.
    u : array (chains, draws, n)
    stats : Dataset
        The ``sample_stats`` group.
    """
    messages = [*_different_modes(names, u, stats), *_divergences(stats), *_slow_mixing(names, u), *_low_energy(stats)]
    for message in messages:
        warn(message, ConvergenceWarning)
    return messages


def warn_about_copies(stats: xr.Dataset) -> None:
    """Warn where draws by importance sampling are worth far fewer independent ones.

    Parameters
    ----------
    stats : Dataset
        The ``sample_stats`` group.
    """
    S, worth = stats["lp"].size, stats.attrs["resampled_ess"]
    if worth < _COPIES_LIMIT * S:
        warn(
            f"the {S} draws are worth {worth:.0f} independent ones: {stats.attrs['n_proposals']} proposals with very "
            f"unequal weights gave {stats.attrs['n_distinct']} distinct draws. Effective sample sizes computed from "
            "the draws are too large. Use method='nuts', which suits this posterior better.",
            ConvergenceWarning,
        )


def _different_modes(names: tuple[str, ...], u: Array, stats: xr.Dataset) -> list[str]:
    """Say which chains stay where the density is much lower than where another one is: in another mode.

    The log densities of two chains in one mode overlap. Chains apart are those whose upper tenth is below the lowest
    tenth of the best chain's, and below it by more than a spread of the latter.
    """
    if "lp" not in stats or u.shape[0] < 2 or u.shape[1] < _FEWEST_DRAWS:
        return []
    lp = stats["lp"].to_numpy()
    medians = np.median(lp, axis=1)
    best = int(np.argmax(medians))
    low, high = np.quantile(lp[best], [0.1, 0.9])
    apart = np.flatnonzero(np.quantile(lp, 0.9, axis=1) < low - (high - low))
    if not len(apart):
        return []
    within = np.sqrt(np.mean(np.var(u, axis=1), axis=0))
    change = np.abs(u[apart].mean(axis=(0, 1)) - u[best].mean(axis=0)) / np.maximum(within, np.finfo(float).tiny)
    message = (
        f"chains {apart.tolist()} ended in another mode than chain {best}: their log density is about "
        f"{medians[apart].max():.1f}, that of chain {best} {medians[best]:.1f}, and they differ most in "
        f"{names[int(np.argmax(change))]}. Draws of all chains together represent neither. Use the chains of the "
        "higher mode only where the difference is large, compare method='psis', or give priors that rule one mode out."
    )
    return [message]


def _divergences(stats: xr.Dataset) -> list[str]:
    n = int(stats["diverging"].sum()) if "diverging" in stats else 0
    if n == 0:
        return []
    message = (
        f"{n} of {stats['diverging'].size} draws diverged: part of the posterior is too curved for the step size. "
        "Usual causes: a standard deviation near zero with few groups, or a correlation near one. Sample with smaller "
        "steps (target_accept=0.95), give the sd a prior that is informative on the scale of the data, or drop the "
        "group column."
    )
    return [message]


def _slow_mixing(names: tuple[str, ...], u: Array) -> list[str]:
    from arviz_stats.base.array import array_stats

    chains, draws = u.shape[:2]
    if draws < 4:
        return [f"draws={draws} is too few for convergence diagnostics; use at least a few hundred."]
    messages = []
    # Chains that never move have no variance within, and no effective sample size.
    with np.errstate(divide="ignore", invalid="ignore"):
        ess = np.array([float(array_stats.ess(u[:, :, i], chain_axis=0, draw_axis=1)) for i in range(len(names))])
    short = [f"{name} ({e:.0f})" for name, e in zip(names, ess, strict=True) if e < _ESS_PER_CHAIN * chains]
    if chains > 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            rhat = [float(array_stats.rhat(u[:, :, i], chain_axis=0, draw_axis=1)) for i in range(len(names))]
        bad = [f"{name} ({r:.3f})" for name, r in zip(names, rhat, strict=True) if r > _RHAT_LIMIT]
        if bad:
            messages.append(
                f"R-hat above {_RHAT_LIMIT} for {', '.join(bad)}: the chains do not agree. Use more tune and draws; "
                "if it stays, the data do not determine these parameters under their priors."
            )
    if short:
        messages.append(
            f"effective sample size below {_ESS_PER_CHAIN} per chain for {', '.join(short)}: use more draws."
        )
    return messages


def _low_energy(stats: xr.Dataset) -> list[str]:
    if "energy" not in stats:
        return []
    energy = stats["energy"].to_numpy()
    spread = np.var(energy, axis=1)
    bfmi = np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.where(spread > 0, spread, np.nan)
    low = np.flatnonzero(bfmi < _BFMI_LIMIT)
    if len(low) == 0:
        return []
    message = (
        f"E-BFMI below {_BFMI_LIMIT} in chains {low.tolist()}: the tails of the posterior are heavy, most often those "
        "of a standard deviation with few groups. Use a lighter prior for it (HalfNormal) or more draws."
    )
    return [message]
