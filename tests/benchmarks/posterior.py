"""What the posterior of sleepstudy takes, from formula to tree: processor time, and effective draws for it.

python -m tests.benchmarks.posterior [--seeds 24] [--repeats 3] [--against COMMIT]

Medians over seeds, 4 x 1,000 draws, kernels compiled; ESS is the smallest bulk ESS of population coefficients, standard
deviations and correlations. ``--against`` makes a work tree of another commit, whose processes take turns with those of
this one; the least of each is shown.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from tests.benchmarks.cold import process, trees
from tests.benchmarks.table import text_table

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """
import json, sys, time
from statistics import median
import arviz_stats
import numpy as np
import hierreg as hr

sleep = hr.load_dataset("sleepstudy")
names = ["beta", "sd_Subject", "corr_Subject", "error_sd"]

def fit(seed):
    begin = time.process_time()
    tree = hr.Model("Reaction ~ Days + (Days | Subject)", sleep).sample(seed=seed, progress=False)
    return time.process_time() - begin, tree

def least(tree):
    found = []
    for name in names:
        values = tree["posterior"][name].to_numpy()
        flat = values.reshape(*values.shape[:2], -1)
        # Not the diagonal of a correlation matrix.
        found += [float(arviz_stats.ess(flat[..., i])) for i in range(flat.shape[2]) if np.ptp(flat[..., i]) > 0]
    return min(found)

for seed in range(3):
    fit(seed)
fits = [fit(seed) for seed in range({seeds})]
seconds = median(cpu for cpu, _ in fits)
print(json.dumps([seconds, median(least(tree) for _, tree in fits)]), file=sys.stderr)
"""


def measured(tree: Path, seeds: int) -> tuple[float, float]:
    """Return processor seconds of one fit, and its ESS, with the package of a tree."""
    seconds, ess = json.loads(process(tree, _PROGRAM.replace("{seeds}", str(seeds)))[1].splitlines()[-1])
    return seconds, ess


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.posterior")
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3, help="processes of each (%(default)s)")
    parser.add_argument("--against", help="commit to compare with")
    options = parser.parse_args()
    with trees(options.against) as folders:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in folders}
        for _ in range(options.repeats):
            for name, tree in folders.items():
                found[name].append(measured(tree, options.seeds))
    rows = []
    for name, fits in found.items():
        seconds, ess = min(fits)
        rows.append([name[:8], f"{1e3 * seconds:.1f}", f"{ess:,.0f}", f"{ess / seconds:,.0f}"])
    print(text_table(["tree", "CPU ms", "ESS", "ESS a CPU second"], rows))


if __name__ == "__main__":
    main()
