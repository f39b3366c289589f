"""The workflow of sleepstudy beside the same by refits of bambi with nutpie: processor seconds and memory, in one run.

    python -m tests.benchmarks.workflow [--fits 5]

Leave-one-group-out, fits under 50 priors and simulation-based calibration by refits take bambi as many fits as there
are groups, priors and replications; a few are made, and multiplied (bambi fits no correlation of intercept and slope).
Posterior predictive statistics of 1,000 replicates are those of its `predict(kind="response")`, with all replicates
kept. A first fit of each, which compiles, is not counted.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from typing import TYPE_CHECKING, Any

import hierreg as hr
from tests.benchmarks.measure import cpu_clock, peak_memory
from tests.benchmarks.table import text_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

FORMULA = "Reaction ~ Days + (Days | Subject)"
GROUPS, PRIORS, REPLICATIONS = 18, 50, 200


def timed(function: Callable[[], Any]) -> tuple[float, float]:
    """Return processor seconds, and MiB above what there was."""
    with peak_memory() as memory:
        begin = cpu_clock()
        function()
        seconds = cpu_clock() - begin
    return seconds, memory["above"]


def ours(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return what each task takes hierreg."""
    model = hr.Model(FORMULA, table)
    tree = model.sample(seed=1, progress=False)
    quiet: dict[str, Any] = {"seed": 1, "progress": False}
    tasks = {
        "posterior predictive statistics": lambda: hr.predictive_check(tree, "Subject", draws=250, seed=1),
        "leave one group out": lambda: hr.loo(tree, by="Subject"),
        "50 priors": lambda: hr.sensitivity(model, scales=[0.1 * 1.1**i for i in range(PRIORS - 1)], seed=1),
        "200 replications of calibration": lambda: hr.calibrate(model, REPLICATIONS, cores=1, **quiet),
        "checks": lambda: hr.check(tree),
    }
    hr.calibrate(model, 2, cores=1, **quiet)
    return {name: timed(task) for name, task in tasks.items()}


def theirs(table: pd.DataFrame, fits: int) -> dict[str, tuple[float, float]]:
    """Return what each takes bambi: measured where it is one fit or none, otherwise of so many."""
    import bambi as bmb

    options = {"chains": 4, "draws": 1000, "inference_method": "nutpie", "random_seed": 1, "progressbar": False}

    def fit() -> tuple[Any, Any]:
        model = bmb.Model(FORMULA, table)
        return model, model.fit(**options)

    model, tree = fit()
    one, memory = timed(lambda: [fit() for _ in range(fits)])
    predicted = timed(lambda: model.predict(tree, kind="response", inplace=False))
    counts = {"leave one group out": GROUPS, "50 priors": PRIORS, "200 replications of calibration": REPLICATIONS}
    return {"posterior predictive statistics": predicted} | {
        name: (one / fits * count, memory) for name, count in counts.items()
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=5)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    table = hr.load_dataset("sleepstudy")
    begin = time.perf_counter()
    mine, other = ours(table), theirs(table, asked.fits)
    rows = []
    for name, (seconds, memory) in mine.items():
        beside, their_memory = other.get(name, (float("nan"), float("nan")))
        own, others = (f"{seconds:.2f}", f"{memory:.0f}"), (f"{beside:.1f}", f"{their_memory:.0f}")
        rows.append([name, *own, *others, f"{beside / seconds:.0f}"])
    print(text_table(["task", "hierreg, CPU s", "MiB", "bambi, CPU s", "MiB", "ratio"], rows))
    print(f"{time.perf_counter() - begin:.0f} s in all")


if __name__ == "__main__":
    main()
