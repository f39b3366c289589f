"""Where the time of hierreg goes: the stages of `Model` and `Model.sample`, timed in one warm process.

python -m tests.benchmarks.stages [--case a|b|c] [--repeats 3]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import io
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.data import CASES, WARM_UP, Case, write_csv
from tests.benchmarks.hierreg_engine import fit_and_print
from tests.benchmarks.table import share, text_table
from tests.benchmarks.worker import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Functions, by the module that calls them, where the wrapper is put. Those that are gone are left out.
STAGES = (
    ("hierreg.problem.problem", "parse_formula"),
    ("hierreg.problem.problem", "build_design"),
    ("hierreg.problem.problem", "bind_errors"),
    ("hierreg.problem.problem", "measure_scales"),
    ("hierreg.problem.problem", "resolve_priors"),
    ("hierreg.problem.problem", "collect"),
    ("hierreg.likelihood.groups.engine", "split_into_blocks"),
    ("hierreg.model.estimation", "maximise_likelihood"),
    ("hierreg.model.estimation", "solve_equations"),
    ("hierreg.model.estimation", "no_pooling"),
    ("hierreg.model.posterior", "group_statistics"),
    ("hierreg.sampling.nuts", "find_mode"),
    ("hierreg.sampling.nuts", "sample_chains"),
    ("hierreg.sampling.warnings_of_draws", "warn_about"),
    ("hierreg.model.posterior", "covariances"),
    ("hierreg.model.posterior", "recover"),
    ("hierreg.results.build", "posterior"),
    ("hierreg.results.build", "effect_summaries"),
    ("hierreg.results.build", "limit_group"),
    ("hierreg.results.build", "constant_group"),
    ("hierreg.results.build", "observed_group"),
    ("hierreg.results.build", "versions"),
    ("hierreg.model.posterior", "sample"),
    ("arviz_stats", "summary"),
    ("hierreg", "summary"),
)


@contextlib.contextmanager
def clocks() -> Iterator[dict[str, float]]:
    """Time every call of a stage inside the block; seconds by stage."""
    seconds: dict[str, float] = defaultdict(float)
    replaced: list[tuple[Any, str, Any]] = []
    for module_name, name in STAGES:
        with contextlib.suppress(ImportError, AttributeError):
            module = importlib.import_module(module_name)
            original = getattr(module, name)
            replaced.append((module, name, original))
            setattr(module, name, _clocked(original, f"{module_name}.{name}", seconds))
    try:
        yield seconds
    finally:
        for module, name, original in replaced:
            setattr(module, name, original)


def _clocked(function: Callable[..., Any], name: str, seconds: dict[str, float]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        begin = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[name] += time.perf_counter() - begin

    return wrapper


def report(case: Case, repeats: int, folder: Path) -> str:
    """Return the table of a case: seconds of the repeat with the smallest total."""
    import pandas as pd

    task = Task(mode="warm", csv="", warm_up_csv="", case=case.name, variant="", draws=case.draws, repeats=1, out="")
    runs = []
    with contextlib.redirect_stdout(io.StringIO()):
        fit_and_print(task, WARM_UP, pd.read_csv(write_csv(WARM_UP, folder)))
        table = pd.read_csv(write_csv(case, folder))
        for _ in range(repeats):
            with clocks() as seconds:
                begin = time.perf_counter()
                fit_and_print(task, case, table)
                total = time.perf_counter() - begin
            runs.append((total, dict(seconds)))
    total, seconds = min(runs, key=lambda run: run[0])
    rows = [[name, f"{t:.4f}", share(t, total)] for name, t in seconds.items()]
    rows.append(["formula to printed summary", f"{total:.4f}", "100 %"])
    return text_table(["stage", "s", "share"], rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stages")
    parser.add_argument("--case", choices=("a", "b", "c", "all"), default="all")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hierreg-stages-") as folder:
        for name in "abc" if options.case == "all" else options.case:
            case = CASES[name]
            print(f"\n({name}) {case.rows:,} rows, {case.groups:,} groups; stages inside others count twice\n")
            print(report(case, options.repeats, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
