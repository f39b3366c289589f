"""Whether draws represent the posterior: R-hat, effective sample sizes, divergences, Pareto k, by ArviZ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.values import Finding, NotMade
from hierreg.reports.summary import summary

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined

# Vehtari and others (2021), and (2024) for k.
_R_HAT, _ESS_PER_CHAIN, _PARETO_K = 1.01, 100, 0.7


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
    table = summary(x.tree)
    names = table["quantity"].values if "quantity" in table.coords else table[table["mean"].dims[0]].values
    faults, worst = [], 1.0
    k = float("nan") if stats is None else float(stats.attrs.get("pareto_k", np.nan))
    if np.isfinite(k):
        if k > _PARETO_K:
            faults.append(f"Pareto k of importance sampling {k:.2f}, above {_PARETO_K}")
    else:
        chains = x.tree["posterior"].sizes["chain"]
        r_hat, ess = table["r_hat"].to_numpy(), table["ess_bulk"].to_numpy()
        ess = np.fmin(ess, table["ess_tail"].to_numpy())
        worst = float(np.nanmax(r_hat, initial=1.0))
        if worst > _R_HAT:
            faults.append(f"R-hat of {names[int(np.nanargmax(r_hat))]} {worst:.3f}, above {_R_HAT}")
        if np.nanmin(ess, initial=np.inf) < _ESS_PER_CHAIN * chains:
            faults.append(
                f"effective sample size of {names[int(np.nanargmin(ess))]} {np.nanmin(ess):.0f}, below "
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
