"""Fresh processes, from start to end: import, read the CSV, fit, print.

python -m tests.benchmarks.fresh [--repeats 7] [--timeout 900]

Engines take turns, so that an hour in which the machine is busy slows all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.data import CASES, Case, write_csv
from tests.benchmarks.table import number, target_table, text_table
from tests.benchmarks.worker import EngineError, Task, run, run_python

if TYPE_CHECKING:
    from collections.abc import Sequence

# A script with `hr.Model(...).sample()`, and the command line `hierreg fit`.
VARIANTS = (("hierreg", ""), ("hierreg", "psis"), ("hierreg", "command"), ("bambi", "pymc"), ("bambi", "nutpie"))


@dataclass(slots=True, kw_only=True)
class Fresh:
    """Times of the processes of one engine.

    Attributes
    ----------
    engine, variant : str
    seconds : list of float
    parts : dict
        What the last process itself says about it.
    """

    engine: str
    variant: str
    seconds: list[float] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Engine and variant."""
        return f"{self.engine} {self.variant}".strip()


def take_turns(
    case: Case, scratch: Path, variants: Sequence[tuple[str, str]], *, repeats: int, timeout: float
) -> list[Fresh]:
    """Return the times of fresh processes, one of each in turn; a first turn that fills caches is not counted.

    Parameters
    ----------
    case : Case
    scratch : Path
        Folder for the CSV and results.
    variants : sequence of (engine, variant)
    repeats : int
        Turns that count.
    timeout : float
        Seconds per process.
    """
    csv = write_csv(case, scratch)
    results = [Fresh(engine=engine, variant=variant) for engine, variant in variants]
    for turn in range(repeats + 1):
        for one in results:
            seconds = _run(one, case, csv, scratch, timeout)
            if turn:
                one.seconds.append(seconds)
    return results


def _run(one: Fresh, case: Case, csv: Path, scratch: Path, timeout: float) -> float:
    if one.variant == "command":
        command = Path(sys.executable).with_name("hierreg")
        return run([str(command), "fit", str(csv), case.formula, "--seed", "1", "--quiet"], timeout=timeout)
    out = scratch / f"fresh-{one.engine}-{one.variant}.json"
    task = Task(
        mode="fresh",
        csv=str(csv),
        warm_up_csv="",
        case=case.name,
        variant=one.variant,
        draws=case.draws if one.engine == "hierreg" else 1000,
        repeats=1,
        out=str(out),
    )
    seconds = run_python(f"tests.benchmarks.{one.engine}_engine", task, timeout=timeout)
    one.parts = json.loads(out.read_text(encoding="utf-8"))
    return seconds


def faster_bambi(results: Sequence[Fresh]) -> float | None:
    """Return the median seconds of bambi's faster sampler; None where bambi was not run."""
    return min((median(one.seconds) for one in results if one.engine == "bambi"), default=None)


def table_of(results: Sequence[Fresh]) -> str:
    """Return seconds of each, and the ratio of their medians to that of bambi's faster sampler."""
    best = faster_bambi(results)
    rows = []
    for one in results:
        parts = ", ".join(f"{name} {number(seconds)}" for name, seconds in one.parts.items())
        ratio = "-" if best is None else f"{median(one.seconds) / best:.3f}"
        rows.append([one.label, number(min(one.seconds)), number(median(one.seconds)), ratio, parts])
    return text_table(["fresh process", "min s", "median s", "of bambi's faster", "parts of the last, s"], rows)


def main() -> None:
    """Time all variants on sleepstudy and print the table."""
    from tests.benchmarks.targets import fresh_targets

    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.fresh", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--repeats", type=int, default=7, help="processes of each that count (%(default)s)")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds per process (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hierreg-benchmark-") as folder:
        try:
            version("bambi")
            variants = VARIANTS
        except PackageNotFoundError:
            variants = tuple(one for one in VARIANTS if one[0] == "hierreg")
        try:
            results = take_turns(CASES["a"], Path(folder), variants, repeats=options.repeats, timeout=options.timeout)
        except EngineError as error:
            sys.exit(str(error))
    print(f"{table_of(results)}\n\n{target_table(fresh_targets(results))}")


if __name__ == "__main__":
    main()
