"""Responses that are not normal with effects of several factors: effective draws per CPU second, all effects sampled.

python -m tests.benchmarks.joint [--draws 1000] [--only ticks,verbal_aggression]
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

MODELS = ("ticks", "verbal_aggression")


def main() -> None:
    """Print a line for each model: the point fit, one gradient, and what a posterior is worth."""
    from models.catalogue import part

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--draws", type=int, default=1000)
    options.add_argument("--only", default=",".join(MODELS))
    given = options.parse_args()
    print(f"4 x {given.draws} draws on one core; kernels compiled before; times are of the CPU, everything included\n")
    for name in given.only.split(","):
        model = part(name, "model").build()
        model.sample(draws=20, tune=20, chains=1, seed=1, progress=False, cores=1)
        print(_line(name, model, given.draws), flush=True)


def _line(name: str, model: Any, draws: int) -> str:
    begin = time.process_time()
    model.estimate()
    fitted = time.process_time()
    tree = model.sample(draws=draws, seed=1, progress=False, cores=1)
    seconds = time.process_time() - fitted
    stats = tree["sample_stats"]
    of_parameters = _least(tree, lambda variable: not variable.startswith(("b_", "theta_")))
    of_effects = _least(tree, lambda variable: variable.startswith("b_"))
    gradients = int(stats["n_steps"].sum()) + int(stats.attrs["warmup_steps"])
    return (
        f"{name}: Laplace {fitted - begin:.2f} s; {model.describe(time=True).milliseconds:.2f} ms a gradient, "
        f"{gradients:,} gradients in {seconds:.1f} s; least bulk ESS {of_parameters:.0f} of parameters, "
        f"{of_effects:.0f} of effects; {of_parameters / seconds:.0f} a CPU second; "
        f"{int(stats['diverging'].sum())} divergences"
    )


def _least(tree: xr.DataTree, wanted: Any) -> float:
    import arviz_stats

    out = []
    for variable, values in tree["posterior"].data_vars.items():
        if wanted(str(variable)) and np.ptp(values.to_numpy()) > 0:
            flat = values.to_numpy().reshape(*values.shape[:2], -1)
            out += [float(arviz_stats.ess(flat[..., i])) for i in range(flat.shape[2]) if np.ptp(flat[..., i]) > 0]
    return min(out)


if __name__ == "__main__":
    main()
