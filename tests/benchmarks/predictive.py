"""What predictive checks and leave-one-out take: processor time, and memory beside that of the model.

python -m tests.benchmarks.predictive                   # both
python -m tests.benchmarks.predictive --rows 10_000_000 --groups 100_000 --draws 100
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings

import numpy as np
import pandas as pd

import hierreg as hr


def table(rows: int, groups: int) -> pd.DataFrame:
    """Return rows of groups that have lines of their own."""
    rng = np.random.default_rng(1)
    g, x = rng.integers(0, groups, rows), rng.normal(0, 1, rows)
    b = rng.normal(0, 1, (2, groups)) * [[1.0], [0.5]]
    return pd.DataFrame({"y": 1 + b[0, g] + (0.5 + b[1, g]) * x + rng.normal(0, 1, rows), "x": x, "g": g})


def peak() -> float:
    """Return the largest resident memory of the process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(what: str, call: object) -> None:
    """Print processor time of a call, and what it adds to the largest memory so far."""
    assert callable(call)
    before, begin = peak(), time.process_time()
    call()
    print(f"{what:55s} {time.process_time() - begin:8.2f} CPU s   peak {before:7.0f} -> {peak():7.0f} MiB", flush=True)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--groups", type=int, default=100_000)
    parser.add_argument("--draws", type=int, default=100)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.rows is None:
        leave_out()
    checks(options.rows or 1_000_000, options.groups if options.rows else 10_000, options.draws)


def leave_out() -> None:
    """Leave rows and groups out of fits of several sizes, with 4,000 draws."""
    sleep = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    assay = hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin"))
    wide = hr.Model("y ~ x + (x | g)", table(20_000, 500))
    for name, model, by in (("sleepstudy", sleep, "Subject"), ("penicillin", assay, "sample"), ("20,000", wide, "g")):
        tree = model.sample(seed=1, progress=False)
        hr.loo(tree, model=model, draws=10)
        timed(f"{name}: rows, 4,000 draws", lambda tree=tree, model=model: hr.loo(tree, model=model))
        timed(f"{name}: {by}, 4,000 draws", lambda tree=tree, model=model, by=by: hr.loo(tree, by, model))


def checks(rows: int, groups: int, draws: int) -> None:
    """Check replicates of a large table."""
    model = hr.Model("y ~ x + (x | g)", table(rows, groups))
    tree = model.sample(draws=draws, chains=2, seed=1, progress=False, group_effects="summary")
    print(f"{rows:,} rows, {groups:,} groups; one table is {rows * 8 / 2**20:.0f} MiB", flush=True)
    for level in ("group", "new group"):
        timed(
            f"{draws} replicates, level={level!r}",
            lambda level=level: hr.predictive_check(tree, model=model, draws=draws, level=level),
        )


if __name__ == "__main__":
    main()
