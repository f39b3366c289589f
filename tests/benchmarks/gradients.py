"""Milliseconds per value and gradient by number of groups and of group columns.

python -m tests.benchmarks.gradients [--most 100000]
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

import hierreg as hr
from tests.benchmarks.hierreg_engine import gradient_milliseconds
from tests.benchmarks.table import number, text_table

GROUPS = (10, 100, 1_000, 10_000, 100_000)
FORMULAS = {1: "y ~ x + (1 | g)", 2: "y ~ x + (x | g)", 3: "y ~ x + z + (x + z | g)"}
ROWS_PER_GROUP = 6


def table_of(groups: int, seed: int) -> pd.DataFrame:
    """Return a table with so many groups of six rows; the cost of a gradient does not depend on the rows."""
    rng = np.random.default_rng(seed)
    index = np.repeat(np.arange(groups), ROWS_PER_GROUP)
    x, z, noise = rng.standard_normal((3, len(index)))
    b = rng.standard_normal((groups, 3)) * np.array([1.0, 0.5, 0.3])
    y = 2.0 - 0.7 * x + 0.4 * z + b[index, 0] + b[index, 1] * x + b[index, 2] * z + 1.5 * noise
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": np.char.add("g", index.astype(str))})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gradients")
    parser.add_argument("--most", type=int, default=max(GROUPS), help="leave out larger numbers of groups")
    most = parser.parse_args().most
    rows = []
    for groups in (n for n in GROUPS if n <= most):
        table = table_of(groups, seed=groups)
        ms = [gradient_milliseconds(hr.Model(formula, table)) for formula in FORMULAS.values()]
        rows.append([f"{groups:,}", *map(number, ms), *(number(1000.0 * t / groups) for t in ms)])
    header = [
        "groups",
        *(f"q = {q}, ms" for q in FORMULAS),
        *(f"q = {q}, us per group" for q in FORMULAS),
    ]
    print(text_table(header, rows))


if __name__ == "__main__":
    main()
