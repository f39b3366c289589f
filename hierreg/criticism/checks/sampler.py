"""Whether draws represent the posterior: R-hat, effective sample sizes, divergences, Pareto k, by ArviZ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.values import Finding, NotMade
from hierreg.reports.draws import diagnostics

if TYPE_CHECKING:
    import xarray as xr

    from hierreg.criticism.examined import Examined
    from hierreg.criticism.values import Array

# Vehtari and others (2021), and (2024) for k.
_R_HAT, _ESS_PER_CHAIN, _PARETO_K = 1.01, 100, 0.7
# Of variables with a value for each group.
_OF_GROUPS = ("b_", "theta_", "probability_", "weight_", "mu")


def sampler(x: Examined) -> Finding | NotMade:
    """Look at the draws of population coefficients, standard deviations and correlations.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis 16(2), 667-718; Vehtari, Simpson, Gelman,
    Yao and Gabry (2024), Journal of Machine Learning Research 25(72).
    """
    if x.tree is None:
        return NotMade(reason="an estimate has no draws")
    stats = x.tree["sample_stats"].to_dataset() if "sample_stats" in x.tree.children else None
    names, found = _diagnosed(x.tree["posterior"].to_dataset())
    faults, worst = [], 1.0
    k = float("nan") if stats is None else float(stats.attrs.get("pareto_k", np.nan))
    if np.isfinite(k):
        if k > _PARETO_K:
            faults.append(f"Pareto k of importance sampling {k:.2f}, above {_PARETO_K}")
    else:
        chains = x.tree["posterior"].sizes["chain"]
        # Constants have neither.
        r_hat = np.where(np.isfinite(found["r_hat"]), found["r_hat"], 1.0)
        ess = np.fmin(found["ess_bulk"], found["ess_tail"])
        ess = np.where(np.isfinite(ess), ess, np.inf)
        worst = float(r_hat.max(initial=1.0))
        if worst > _R_HAT:
            faults.append(f"R-hat of {names[int(np.argmax(r_hat))]} {worst:.3f}, above {_R_HAT}")
        if ess.min(initial=np.inf) < _ESS_PER_CHAIN * chains:
            faults.append(
                f"effective sample size of {names[int(np.argmin(ess))]} {ess.min():.0f}, below "
                f"{_ESS_PER_CHAIN} per chain"
            )
    n = int(stats["diverging"].sum()) if stats is not None and "diverging" in stats else 0
    if n:
        faults.append(f"{n} draws diverged")
    shown = f"Pareto k {k:.2f}" if np.isfinite(k) else f"R-hat at most {worst:.3f}"
    return Finding(
        found=faults[0] if faults else shown,
        evidence=("; ".join(faults) if faults else f"{shown}, no divergences") + ".",
        remedy="more draws and tune; target_accept=0.95 for divergences; method='psis' beside it",
        statistic=k if np.isfinite(k) else worst,
        is_alarm=bool(faults),
    )


def _diagnosed(posterior: xr.Dataset) -> tuple[list[str], dict[str, Array]]:
    """Return the parameters other than coefficients of groups, and their diagnostics."""
    names: list[str] = []
    found: dict[str, list[Array]] = {name: [] for name in ("r_hat", "ess_bulk", "ess_tail")}
    for name, values in posterior.data_vars.items():
        if str(name).startswith(_OF_GROUPS):
            continue
        draws = values.transpose("chain", "draw", ...)
        labels = [f"[{', '.join(map(str, key))}]" for key in _keys(draws)] if draws.ndim > 2 else [""]
        names += [f"{name}{label}" for label in labels]
        diagnosed = diagnostics(draws.to_numpy())
        for key, parts in found.items():
            parts.append(np.ravel(diagnosed[key]))
    return names, {key: np.concatenate(parts) if parts else np.empty(0) for key, parts in found.items()}


def _keys(draws: xr.DataArray) -> list[tuple[object, ...]]:
    dims = draws.dims[2:]
    labels = [draws[dim].to_numpy() if dim in draws.coords else np.arange(draws.sizes[dim]) for dim in dims]
    return [tuple(own[i] for own, i in zip(labels, place, strict=True)) for place in np.ndindex(*draws.shape[2:])]
