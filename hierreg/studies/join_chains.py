"""Chains that were run apart, as one result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.sampling.interrupted import kept, warn_interrupted
from hierreg.sampling.warnings_of_draws import warn_about

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

_VARIANCES = ("sd_", "corr_", "error_", "nu_", "component_weight_", "component_mean_")


def joined_chains(
    trees: Sequence[xr.DataTree], *, seed: int, chains: int | None = None, draws: int | None = None
) -> xr.DataTree:
    """Return the trees of single chains of one model as one tree, and warn of draws that may not be representative.

    Parameters
    ----------
    trees : sequence of DataTree
        From `Model.sample` with one chain each, group effects as draws. Groups without chains are the first one's.
    seed : int
        What is recorded as the seed of all.
    chains, draws : int or None
        What was asked for, where a user interrupted; what there is by default.
    """
    import xarray as xr

    finished = [tree["posterior"].sizes["draw"] for tree in trees]
    whole = kept(finished, chains=chains or len(trees), draws=draws or max(finished))
    trees = [trees[i] for i in whole.chains]
    groups: dict[str, Any] = {}
    for name, node in trees[0].children.items():
        group = node.to_dataset()
        if "chain" in group.dims and name not in {"prior", "prior_predictive"}:
            parts = [
                tree[name].to_dataset().isel(draw=slice(whole.draws)).assign_coords(chain=[i])
                for i, tree in enumerate(trees)
            ]
            group = xr.concat(parts, dim="chain", combine_attrs="override", join="exact")
            group = group.transpose("chain", "draw", ...).assign_attrs(group.attrs)
        groups[name] = group
    stats = groups["sample_stats"]
    if "warmup_steps" in stats.attrs:
        stats.attrs["warmup_steps"] = sum(int(tree["sample_stats"].attrs["warmup_steps"]) for tree in trees)
    if whole.message:
        stats.attrs["interrupted"] = whole.message
    out = xr.DataTree.from_dict(groups)
    out.attrs = trees[0].attrs | {"seed": seed} | ({"interrupted": whole.message} if whole.message else {})
    warn_interrupted(whole.message)
    names, values = _scalars(groups["posterior"])
    if names:
        warn_about(names, values, stats)
    return out


def _scalars(posterior: xr.Dataset) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return names and draws (chains, draws, n) of the variance parameters that vary."""
    names, columns = [], []
    for variable, array in posterior.data_vars.items():
        if not str(variable).startswith(_VARIANCES):
            continue
        draws = array.transpose("chain", "draw", ...).to_numpy()
        flat = draws.reshape(*draws.shape[:2], -1)
        for i in np.flatnonzero(np.ptp(flat, axis=(0, 1)) > 0):
            names.append(f"{variable}[{i}]" if flat.shape[2] > 1 else str(variable))
            columns.append(flat[:, :, i])
    return tuple(names), np.stack(columns, axis=2) if columns else np.empty((0, 0, 0))
