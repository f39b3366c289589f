"""What the first posterior costs: fresh processes whose kernel cache is empty, against such that find all compiled.

python -m tests.benchmarks.cold [--kinds sleepstudy crossed] [--repeats 3] [--against COMMIT] [--top 20]

Processor seconds count all threads and children; the smallest of the repeats is shown. ``--against`` makes a work tree
of another commit and lets it take turns. The last line is a process that finds no bytecode of any package, as the first
one after an installation.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.table import text_table
from tests.benchmarks.worker import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SLEEPSTUDY = 'hr.Model("Reaction ~ Days + ({bar} Subject)", hr.load_dataset("sleepstudy"))'
_PAIR = """
firms = hr.load_dataset("grunfeld")
pair = {"GE": "General Electric", "W": "Westinghouse"}
pair = {name: firms[firms["firm"] == firm].drop(columns="firm") for name, firm in pair.items()}
model = hr.Model(
    "invest ~ 0 + dataset + dataset:value + dataset:capital",
    hr.stack(pair, unit="year"),
    errors=hr.correlated("dataset", unit="year"),
)
"""
_WIDE = """
import numpy as np
rng = np.random.default_rng(1)
group, x = np.arange(240) % 24, rng.standard_normal((4, 240))
b = 0.5 * rng.standard_normal((5, 24))
y = 1 + x.sum(0) + b[0, group] + (b[1:, group] * x).sum(0) + rng.standard_normal(240)
table = {"y": y, "g": np.char.add("g", group.astype(str)), **dict(zip("abcd", x))}
model = hr.Model("y ~ a + b + c + d + (a + b + c + d | g)", table)
"""
# What makes the model of each kind.
KINDS = {
    "sleepstudy": "model = " + _SLEEPSTUDY.format(bar="Days |"),
    "||": "model = " + _SLEEPSTUDY.format(bar="Days ||"),
    "crossed": 'model = hr.Model("diameter ~ (1 | plate) + (1 | sample)", hr.load_dataset("penicillin"))',
    "correlated": _PAIR,
    "wide": _WIDE,
}
_FIT = "import hierreg as hr\n{model}\nprint(hr.summary(model.sample(seed=1)))\n"
# Compilations of every function and the processor seconds of each, without those of what it calls.
_WATCH = """
import json, sys, time
from collections import defaultdict
from numba.core.event import Listener, register

class Clock(Listener):
    def __init__(self):
        self.open, self.seconds = [], defaultdict(list)
    def on_start(self, event):
        self.open.append([time.thread_time(), 0.0])
    def on_end(self, event):
        begin, inside = self.open.pop()
        took = time.thread_time() - begin
        if self.open:
            self.open[-1][1] += took
        function = event.data["dispatcher"].py_func
        self.seconds[f"{function.__module__}.{function.__qualname__}"].append(took - inside)

clock = Clock()
register("numba:compile", clock)
"""
_TELL = "print(json.dumps(clock.seconds), file=sys.stderr)\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds of a process: of processors, and on the clock."""

    cpu: float
    wall: float

    @staticmethod
    def least(costs: Sequence[Cost]) -> Cost:
        """Return the smallest of each."""
        return Cost(cpu=min(c.cpu for c in costs), wall=min(c.wall for c in costs))


def process(tree: Path, program: str, **environment: str) -> tuple[Cost, str]:
    """Run a program with the package of a tree; return what it cost and what it wrote to stderr.

    Parameters
    ----------
    tree : Path
        Folder that has the package.
    program : str
        Python source.
    environment : str
        Variables of the process.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=tree,
        env={**inherited, "PYTHONPATH": str(tree), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu=cpu, wall=wall), run.stderr


def cold_and_warm(tree: Path, model: str) -> tuple[Cost, Cost]:
    """Return the cost of a fit where no kernel is compiled, and of the same again."""
    program = _FIT.format(model=model)
    with tempfile.TemporaryDirectory(prefix="hierreg-cold-") as folder:
        cold, _ = process(tree, program, NUMBA_CACHE_DIR=folder)
        warm, _ = process(tree, program, NUMBA_CACHE_DIR=folder)
    return cold, warm


def without_bytecode(tree: Path, cache: str) -> Cost:
    """Return the cost of a fit of sleepstudy where all kernels are compiled and no package has bytecode."""
    program = _FIT.format(model=KINDS["sleepstudy"])
    process(tree, program, NUMBA_CACHE_DIR=cache)
    with tempfile.TemporaryDirectory(prefix="hierreg-cold-") as folder:
        cost, _ = process(tree, program, NUMBA_CACHE_DIR=cache, PYTHONPYCACHEPREFIX=folder)
    return cost


def compilations(tree: Path, model: str) -> dict[str, list[float]]:
    """Return processor seconds of every compilation by function, without those of the functions that it calls."""
    with tempfile.TemporaryDirectory(prefix="hierreg-cold-") as folder:
        _, said = process(tree, _WATCH + _FIT.format(model=model) + _TELL, NUMBA_CACHE_DIR=folder)
    found: dict[str, list[float]] = json.loads(said.splitlines()[-1])
    return found


@contextmanager
def trees(against: str | None) -> Iterator[dict[str, Path]]:
    """Yield folders by name: this one, and a work tree of another commit, which is removed afterwards."""
    if against is None:
        yield {"here": ROOT}
        return
    with tempfile.TemporaryDirectory(prefix="hierreg-cold-") as folder:
        other = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "-q", "--detach", str(other), against], cwd=ROOT, check=True)
        try:
            yield {"here": ROOT, against: other}
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(other)], cwd=ROOT, check=True)


def _cells(costs: dict[str, Cost], against: str | None) -> list[str]:
    cells = [f"{part:.1f}" for cost in costs.values() for part in (cost.cpu, cost.wall)]
    if against is not None:
        here, there = costs["here"], costs[against]
        cells += [f"{here.cpu / there.cpu:.2f}", f"{here.wall / there.wall:.2f}"]
    return cells


def report(kinds: Sequence[str], repeats: int, against: str | None) -> str:
    """Return the table: cold less warm by kind, and a first process without bytecode."""
    rows = []
    with trees(against) as folders:
        for kind in kinds:
            runs = {name: [] for name in folders}  # type: dict[str, list[tuple[Cost, Cost]]]
            for _ in range(repeats):
                for name, tree in folders.items():
                    runs[name].append(cold_and_warm(tree, KINDS[kind]))
            cold = {name: Cost.least([c for c, _ in both]) for name, both in runs.items()}
            warm = {name: Cost.least([w for _, w in both]) for name, both in runs.items()}
            more = {n: Cost(cpu=cold[n].cpu - warm[n].cpu, wall=cold[n].wall - warm[n].wall) for n in folders}
            rows += [[f"{kind}, warm", *_cells(warm, against)], [f"{kind}, cold - warm", *_cells(more, against)]]
        bare: dict[str, list[Cost]] = {name: [] for name in folders}
        with tempfile.TemporaryDirectory(prefix="hierreg-cold-") as cache:
            for _ in range(repeats):
                for name, tree in folders.items():
                    bare[name].append(without_bytecode(tree, cache))
        rows.append(["no bytecode", *_cells({name: Cost.least(costs) for name, costs in bare.items()}, against)])
    header = ["process", *(f"{name[:8]}, {what} s" for name in folders for what in ("CPU", "wall"))]
    return text_table(header + ([] if against is None else ["CPU ratio", "wall ratio"]), rows)


def top(kinds: Sequence[str], most: int) -> str:
    """Return the functions whose compilation takes longest."""
    tables = []
    for kind in kinds:
        found = sorted(compilations(ROOT, KINDS[kind]).items(), key=lambda one: -sum(one[1]))
        rows = [[name, str(len(times)), f"{sum(times):.2f}"] for name, times in found]
        total = ["all", str(sum(len(t) for _, t in found)), f"{sum(sum(t) for _, t in found):.2f}"]
        tables.append(text_table([kind, "compilations", "CPU s"], [total, *rows[:most]]))
    return "\n\n".join(tables)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cold")
    parser.add_argument("--kinds", nargs="*", choices=tuple(KINDS), default=tuple(KINDS))
    parser.add_argument("--repeats", type=int, default=3, help="processes of each (%(default)s)")
    parser.add_argument("--against", help="commit to compare with")
    parser.add_argument("--top", type=int, default=0, help="print so many functions by the time of their compilation")
    options = parser.parse_args()
    print(top(options.kinds, options.top) if options.top else report(options.kinds, options.repeats, options.against))


if __name__ == "__main__":
    main()
