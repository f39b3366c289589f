"""Seconds that ``import hierreg`` takes in fresh processes: `python -m tests.benchmarks.imports`."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from tests.benchmarks.table import Target, target_table, text_table
from tests.benchmarks.worker import ROOT

# The clock starts inside the process: Python's own start belongs to every program.
_PROGRAM = "import time; begin = time.perf_counter(); {statement}; print(time.perf_counter() - begin)"
STATEMENTS = ("import hierreg", "import hierreg; hierreg.Model")
RUNS = 9


def import_seconds(statement: str, runs: int = RUNS) -> list[float]:
    """Return the seconds that a statement took in fresh processes, after one that is not counted."""
    command = [sys.executable, "-c", _PROGRAM.format(statement=statement)]
    seconds = [
        float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        for _ in range(runs + 1)
    ]
    return seconds[1:]


def report() -> str:
    """Return the table of import times, with the target."""
    seconds = {statement: import_seconds(statement) for statement in STATEMENTS}
    rows = [[s, f"{min(t):.3f}", f"{median(t):.3f}", str(len(t))] for s, t in seconds.items()]
    target = Target(what="import hierreg, median s", value=median(seconds[STATEMENTS[0]]), bound=0.5, at_least=False)
    return "\n\n".join([text_table(["statement", "min s", "median s", "runs"], rows), target_table([target])])


if __name__ == "__main__":
    print(report())
