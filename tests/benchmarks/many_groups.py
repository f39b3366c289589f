"""What a posterior of very many groups takes: seconds after the sampling, memory, the tree, its file.

python -m tests.benchmarks.many_groups [--rows 5_000_000] [--groups 1_000_000] [--draws 250 4000] [--keep summary none]

A process for each number of draws, of all four chains together, and for what is kept of the group effects. Memory is
the largest resident set above that with the table and the model, in MiB; of ``save`` and ``load`` above that before.
``--time`` prints processor seconds of what follows the sampling instead, beside those of drawing the random numbers
that draws of all effects need, at 10^4 groups.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hierreg as hr
from tests.benchmarks.data import CASES, WARM_UP, table_of
from tests.benchmarks.measure import peak_memory
from tests.benchmarks.table import text_table

FORMULA = "y ~ x + (x | g)"


def table(rows: int, groups: int) -> pd.DataFrame:
    """Return random slopes, groups of about equal size."""
    rng = np.random.default_rng(1)
    b = rng.multivariate_normal([0, 0], [[1.0, 0.3], [0.3, 0.5]], groups)
    g, x = rng.integers(0, groups, rows), rng.normal(size=rows)
    return pd.DataFrame({"y": 1 + 2 * x + b[g, 0] + b[g, 1] * x + rng.normal(size=rows), "x": x, "g": g})


def one(options: argparse.Namespace) -> dict[str, Any]:
    """Return what one posterior takes."""
    how = {"method": options.method, "seed": 1, "progress": False, "group_effects": options.keep[0]}
    hr.Model(FORMULA, table_of(WARM_UP)).sample(draws=50, **how)
    model = hr.Model(FORMULA, table(options.rows, options.groups))
    with peak_memory() as sampled:
        begin = time.perf_counter()
        tree = model.sample(draws=options.draws[0] // 4, **how)
        seconds = time.perf_counter() - begin
    out = {"sample s": seconds, "after sampling s": tree.attrs["recovery_time"], "sample MiB": sampled["above"]}
    out["tree MiB"] = sum(group.to_dataset().nbytes for group in tree.subtree) / 2**20
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tree.nc"
        for name, what in (("save", lambda: hr.save(tree, path)), ("load", lambda: hr.load(path))):
            with peak_memory() as used:
                begin = time.perf_counter()
                kept = what()
                out |= {f"{name} s": time.perf_counter() - begin}
            out[f"{name} MiB"] = used["above"]
        out["file MiB"] = path.stat().st_size / 2**20
        del kept
    return out


def after_sampling(repeats: int) -> str:
    """Return processor seconds of what follows the sampling of 4 x 1,000 draws of 10^6 rows in 10^4 groups."""
    import hierreg.model.posterior as recovery

    case, calls = CASES["c"], []
    model, original = hr.Model(case.formula, table_of(case)), recovery.recover

    def remembered(*args: Any, **options: Any) -> Any:
        calls.append((args, options))
        return original(*args, **options)

    recovery.recover = remembered
    sampling = []
    for _ in range(3):
        begin = time.process_time()
        tree = model.sample(draws=1000, seed=1, progress=False, group_effects="none")
        sampling.append(time.process_time() - begin)
    args, options = calls[-1]
    kept = {"none": (), "summary": (0.025, 0.25, 0.5, 0.75, 0.975), "draws": None}
    found: dict[str, list[float]] = {"sample, group_effects='none'": sampling}
    for name in [*kept, "two normals a group and draw"] * repeats:
        begin = time.process_time()
        if name in kept:
            original(*args, **options | {"probs": kept[name], "threads": 1})
        else:
            np.random.default_rng(1).standard_normal(2 * 4000 * case.groups)
        found.setdefault(name, []).append(time.process_time() - begin)
    del tree
    rows = [[name, f"{min(times):.3f}", f"{np.median(times):.3f}"] for name, times in found.items()]
    return text_table(["after the sampling", "least CPU s", "median"], rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.many_groups")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--groups", type=int, default=1_000_000)
    parser.add_argument("--draws", type=int, nargs="*", default=[250, 4000])
    parser.add_argument("--keep", nargs="*", default=["none", "summary"])
    parser.add_argument("--method", default="psis")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.time:
        print(after_sampling(5))
        return
    if options.one:
        print(json.dumps(one(options)))
        return
    rows = []
    for keep in options.keep:
        for draws in options.draws:
            size = ["--rows", str(options.rows), "--groups", str(options.groups), "--method", options.method]
            command = [sys.executable, "-m", "tests.benchmarks.many_groups", "--one", "--keep", keep, *size]
            found = subprocess.run(
                [*command, "--draws", str(draws)], capture_output=True, text=True, check=True, env=os.environ
            )
            measured = json.loads(found.stdout.splitlines()[-1])
            rows.append([keep, f"{draws:,}", *(f"{value:.1f}" for value in measured.values())])
    print(text_table(["kept", "draws", *measured], rows))


if __name__ == "__main__":
    main()
