"""Milliseconds per value and gradient of the log posterior density, by model and number of groups.

python -m tests.benchmarks.gradients [--most 10000] [--models "q = 2" crossed] [--repeats 3] [--against COMMIT]

Each figure is the smallest of a few processes. ``--against`` makes a work tree of another commit, whose processes take
turns with those of this one, and adds the ratio.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tests.benchmarks.cold import process, trees
from tests.benchmarks.table import number, text_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GROUPS = (18, 500, 10_000, 1_000_000)
_NAMES = ("x", "z", "v", "w")
# Formula and errors; of all tables six rows a group.
MODELS = {
    **{f"q = {q}": (f"y ~ x + ({' + '.join(('1', *_NAMES[: q - 1]))} | g)", "None") for q in (1, 2, 3, 5)},
    "linked": ("y ~ 0 + d + d:x + (1 | gd)", 'hr.correlated("d", unit="u")'),
    "crossed": ("y ~ x + (1 | g) + (1 | h)", "None"),
}
# A million groups that errors link in pairs, or that cross 50 others, have no room here.
_MOST = {"linked": 10_000, "crossed": 10_000}
# The cost of a gradient does not depend on the rows of a group.
_PROGRAM = """
import sys
import numpy as np
import pandas as pd
import hierreg as hr
from tests.benchmarks.hierreg_engine import gradient_milliseconds

groups = {groups}
rng = np.random.default_rng(groups)
g = np.repeat(np.arange(groups), 6)
columns = rng.standard_normal((4, len(g)))
b = rng.standard_normal((5, groups))[:, g] * np.array([[1.0], [0.5], [0.3], [0.2], [0.1]])
y = 2.0 - 0.7 * columns[0] + b[0] + (b[1:] * columns).sum(axis=0) + 1.5 * rng.standard_normal(len(g))
table = pd.DataFrame(dict(zip("xzvw", columns)) | {{"y": y, "g": g, "h": rng.integers(0, 50, len(g))}})
# Two data sets with a row of each unit; errors link the groups of one with those of the other.
table["d"] = np.where(np.arange(len(g)) % 2 == 0, "a", "b")
table["u"] = np.arange(len(g)) // 2
table["gd"] = table["d"] + (table["g"] // 2).astype(str)
model = hr.Model({formula!r}, table, {errors})
print(gradient_milliseconds(model), file=sys.stderr)
"""


def milliseconds(tree: Path, model: str, groups: int) -> float:
    """Return what one gradient takes in a process with the package of a tree."""
    formula, errors = MODELS[model]
    return float(process(tree, _PROGRAM.format(groups=groups, formula=formula, errors=errors))[1].splitlines()[-1])


def report(models: Sequence[str], most: int, repeats: int, against: str | None) -> str:
    """Return the table."""
    rows = []
    with trees(against) as folders:
        for model in models:
            for groups in (n for n in GROUPS if n <= min(most, _MOST.get(model, n))):
                found: dict[str, list[float]] = {name: [] for name in folders}
                for _ in range(repeats):
                    for name, tree in folders.items():
                        found[name].append(milliseconds(tree, model, groups))
                least = [min(times) for times in found.values()]
                ratio = [] if against is None else [f"{least[0] / least[1]:.2f}"]
                rows.append([model, f"{groups:,}", *(number(ms) for ms in least), *ratio])
        header = ["model", "groups", *(f"{name[:8]}, ms" for name in folders)]
    return text_table(header + ([] if against is None else ["ratio"]), rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gradients")
    parser.add_argument("--most", type=int, default=max(GROUPS), help="leave out larger numbers of groups")
    parser.add_argument("--models", nargs="*", choices=tuple(MODELS), default=tuple(MODELS))
    parser.add_argument("--repeats", type=int, default=3, help="processes of each (%(default)s)")
    parser.add_argument("--against", help="commit to compare with")
    arguments = parser.parse_args()
    print(report(arguments.models, arguments.most, arguments.repeats, arguments.against))


if __name__ == "__main__":
    main()
