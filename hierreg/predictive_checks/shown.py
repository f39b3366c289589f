"""Some replicates of some rows, as ArviZ takes them: a variable for the rows of each set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.predictive.replicated import replicated
from hierreg.predictive.rows import check_size
from hierreg.predictive_checks.posterior import observed_responses, thinned_draws
from hierreg.reports.draws import evenly
from hierreg.results.carried import draws_in

if TYPE_CHECKING:
    import xarray as xr

    from hierreg.predictive.replicated import Replication
    from hierreg.predictive_checks.sets import CheckSets


def shown_replicates(
    tree: xr.DataTree, what: Replication, sets: CheckSets, draws: tuple[int, bool], most_rows: int, seed: int
) -> xr.DataTree:
    """Return the groups ``posterior_predictive`` and ``observed_data``, whose variables are the sets of rows.

    Parameters
    ----------
    tree : DataTree
    what : Replication
    sets : CheckSets
    draws : (int, bool)
        Replicates, and whether there must be so many: else there are as many as draws, if these are fewer.
    most_rows : int
        Of all sets together; more are thinned evenly.
    seed : int
    """
    import xarray as xr

    posterior = draws_in(tree)
    available = posterior.sizes["chain"] * posterior.sizes["draw"]
    n = draws[0] if draws[1] else min(draws[0], available)
    some = thinned_draws(posterior, n, len(what.rows))
    each = max(1, most_rows // len(sets.labels))
    places = [a + evenly(size, each) for a, size in zip(sets.starts, sets.sizes, strict=True)]
    kept = [np.sort(sets.order[own]) for own in places]
    check_size(n, sum(map(len, kept)), "plots.predictive", "Use fewer draws.")
    made = [np.empty((n, len(own))) for own in kept]
    for part, y in replicated(what, some, seed):
        for out, own in zip(made, kept, strict=True):
            out[part] = y[:, own]
    observed = observed_responses(what.problem)[what.rows]
    groups: dict[str, dict[str, Any]] = {"posterior_predictive": {}, "observed_data": {}}
    for k, (values, own) in enumerate(zip(made, kept, strict=True)):
        groups["posterior_predictive"][f"set {k}"] = (("chain", "draw", f"obs_{k}"), values[None])
        groups["observed_data"][f"set {k}"] = ((f"obs_{k}",), observed[own])
    return xr.DataTree.from_dict({name: xr.Dataset(group) for name, group in groups.items()})
