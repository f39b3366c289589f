"""Ratings of many items by many users: REML and the posterior where two factors cross each other at random.

python -m tests.benchmarks.ratings [--rows 1_000_000] [--users 50_000] [--items 5_000] [--draws 110] [--only reml]
python -m tests.benchmarks.ratings --accuracy

Time, processor seconds of all threads, and memory of the whole process. With ``--accuracy``, on 60,000 rows of 4,000 x
600 levels: the posterior from an interpolated density, with effects drawn near its mode, beside that of a density
evaluated at every proposal.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

TRUTH = {"u": 0.5, "i": 0.4, "error": 1.0}


def ratings(rows: int, users: int, items: int, seed: int = 1) -> pd.DataFrame:
    """Return ratings y of items i, some of them more often, by users u."""
    rng = np.random.default_rng(seed)
    u, i = rng.integers(0, users, rows), (items * rng.random(rows) ** 1.5).astype(np.int64)
    effects = TRUTH["u"] * rng.standard_normal(users)[u] + TRUTH["i"] * rng.standard_normal(items)[i]
    return pd.DataFrame({"y": 3.5 + effects + TRUTH["error"] * rng.standard_normal(rows), "u": u, "i": i})


def main() -> None:
    """Run what the command line asks for and print a line for each step."""
    import hierreg as hr

    options = _options()
    if options.accuracy:
        _accuracy()
        return
    table = ratings(options.rows, options.users, options.items)
    model = _timed("model", lambda: hr.Model("y ~ 1 + (1 | u) + (1 | i)", table))
    if options.only != "psis":
        est = _timed("reml", model.estimate)
        print(f"  {est.message}; sd {est.sd['u'].item():.4f}, {est.sd['i'].item():.4f}, {est.error_sd.item():.4f}")
    if options.only != "reml":
        tree = _timed("psis", lambda: model.sample(options.draws, seed=1, progress=False))
        stats = tree["sample_stats"].attrs
        kept = ("pareto_k", "resampled_ess", "n_proposals", "interpolation_error", "n_evaluations")
        print("  " + ", ".join(f"{name} {stats[name]:.4g}" for name in kept if name in stats))


def _accuracy() -> None:
    import hierreg as hr
    from hierreg.likelihood.crossed import plan

    model = hr.Model("y ~ 1 + (1 | u) + (1 | i)", ratings(60_000, 4_000, 600, seed=3))
    exact = _timed("evaluated at every proposal", lambda: model.sample(seed=1, method="psis", progress=False))
    with mock.patch.object(plan, "_ALL_THREADS", 100):
        other = _timed("interpolated", lambda: model.sample(seed=1, method="psis", progress=False))
    stats = other["sample_stats"].attrs
    print(f"  {stats['n_evaluations']} evaluations, error {stats['interpolation_error']:.2g}")
    for name in ("sd_u", "sd_i", "error_sd", "beta", "b_u", "b_i"):
        one, two = (tree["posterior"][name].to_numpy().reshape(4000, -1) for tree in (exact, other))
        z = (one.mean(axis=0) - two.mean(axis=0)) / one.std(axis=0)
        ratio = two.std(axis=0) / one.std(axis=0)
        print(
            f"  {name:>9}: means differ by {np.sqrt(np.mean(z**2)):.4f} sds (0.022 by chance), sds by {ratio.std():.4f}"
        )


def _timed(name: str, run: Callable[[], Any]) -> Any:
    begin, cpu = time.perf_counter(), time.process_time()
    result = run()
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{name}: {wall:.1f} s, {cpu:.1f} CPU s, {gib:.2f} GiB in all", flush=True)
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ratings", description=__doc__)
    for name, default in (("rows", 1_000_000), ("users", 50_000), ("items", 5_000), ("draws", 110)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", choices=("reml", "psis"))
    parser.add_argument("--accuracy", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
