"""Heavy tails and mixtures of group effects: milliseconds per gradient, and effective draws per CPU second.

python -m tests.benchmarks.heavy_tails [--rows 20000] [--groups 500] [--draws 1000] [--cold] [--pymc]

The table is generated with a tenth of the groups far out. The smallest bulk ESS over population coefficients and
variance parameters is divided by the CPU seconds of `Model.sample`, all threads, kernels loaded; ``--cold`` measures in
a process of its own, with nothing compiled, what the first evaluation takes, and counts it once. ``--pymc`` samples the
model with Student t effects that `Model.to_pymc` returns, by nutpie and by PyMC, 2 x 300 draws (bambi has no such
effects).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings

import numpy as np
import pandas as pd

import hierreg as hr
from tests.benchmarks.cold import process
from tests.benchmarks.table import text_table
from tests.benchmarks.worker import ROOT

_FORMULA = "y ~ x + (x | g)"
EFFECTS = {"normal": None, "Student t": hr.StudentT(), "mixture of two": hr.Mixture(2)}
_FIRST = """
import sys
from tests.benchmarks.heavy_tails import first_evaluation
print(first_evaluation({name!r}), file=sys.stderr)
"""


def table_of(rows: int, groups: int) -> pd.DataFrame:
    """Return rows of groups of about equal size, a tenth of which are far out."""
    rng = np.random.default_rng(1)
    g = np.sort(rng.integers(0, groups, rows))
    x, far = rng.standard_normal(rows), rng.random(groups) < 0.1
    b = rng.standard_normal((groups, 2)) * [1.0, 0.5] + far[:, None] * [4.0, -1.5]
    y = 2.0 - 0.7 * x + b[g, 0] + b[g, 1] * x + 1.5 * rng.standard_normal(rows)
    return pd.DataFrame({"y": y, "x": x, "g": g})


def model_of(name: str, table: pd.DataFrame) -> hr.Model:
    """Return the model of a table with effects by name."""
    effects = EFFECTS[name]
    return hr.Model(_FORMULA, table, effects=None if effects is None else {"g": effects})


def first_evaluation(name: str) -> float:
    """Return the CPU seconds that the first evaluation takes more than the second."""
    model = model_of(name, table_of(200, 10))
    begin = time.process_time()
    model.describe(time=True)
    first = time.process_time() - begin
    begin = time.process_time()
    model.describe(time=True)
    return first - (time.process_time() - begin)


def compiling_seconds(name: str) -> float:
    """Return what `first_evaluation` does, of a process for which nothing is compiled."""
    with tempfile.TemporaryDirectory(prefix="hierreg-cold-") as folder:
        said = process(ROOT, _FIRST.format(name=name), NUMBA_CACHE_DIR=folder)[1]
    return float(said.splitlines()[-1])


def ess_per_cpu_second(model: hr.Model, method: str, draws: int) -> tuple[float, float, float]:
    """Return the smallest bulk ESS, the CPU seconds that it took, and the wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = model.sample(draws=draws, seed=1, progress=False, method=method, group_effects="summary")
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return float(hr.summary(tree)["ess_bulk"].min()), cpu, wall


def report(rows: int, groups: int, draws: int, *, cold: bool) -> str:
    """Return the table."""
    data, lines, normal = table_of(rows, groups), [], None
    for name in EFFECTS:
        model = model_of(name, data)
        ms = model.describe(time=True).milliseconds
        assert ms is not None
        normal = normal or ms
        compiling = compiling_seconds(name) if cold else 0.0
        line = [name, f"{ms:.3f}", f"{ms / normal:.1f}", f"{compiling:.1f}" if cold else ""]
        for method in ("nuts", "psis"):
            ess_per_cpu_second(model, method, 20 if method == "nuts" else 250)  # loads what is compiled
            ess, cpu, wall = ess_per_cpu_second(model, method, draws)
            line += [f"{ess:.0f}", f"{cpu:.1f}", f"{wall:.1f}", f"{ess / cpu:.0f}", f"{ess / (cpu + compiling):.0f}"]
        lines.append(line)
    per_method = ["ESS", "CPU s", "wall s", "ESS / CPU s", "with compiling"]
    header = ["effects", "ms", "ratio", "compiling", *(f"{m} {what}" for m in ("nuts", "psis") for what in per_method)]
    return text_table(header, lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--groups", type=int, default=500)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--pymc", action="store_true")
    options = parser.parse_args()
    if options.pymc:
        from tests.benchmarks.bambi_families import student_t
        from tests.benchmarks.families import HEADER

        data = table_of(options.rows, options.groups)
        sys.stdout.write(text_table(HEADER, [student_t(data, sampler) for sampler in ("nutpie", "pymc")]) + "\n")
        return
    sys.stdout.write(report(options.rows, options.groups, options.draws, cold=options.cold) + "\n")


if __name__ == "__main__":
    main()
