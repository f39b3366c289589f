"""Run hierreg and other software in turn on the same tables and print times, ESS, memory and ratios.

python -m tests.benchmarks.compare [--case a|b|c|all] [--engines hierreg,bambi,...] [--quick]
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks import brms_engine, fresh, imports, lme4_engine
from tests.benchmarks.data import CASES, WARM_UP, Case, write_csv
from tests.benchmarks.measure import Measured, load, save
from tests.benchmarks.table import details, main_table, target_table
from tests.benchmarks.targets import fresh_targets, targets_of
from tests.benchmarks.worker import EngineError, Task, available_cores, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ENGINES = ("hierreg", "bambi", "lme4", "brms", "statsmodels")
VARIANTS = {"hierreg": ("", "psis"), "bambi": ("pymc", "nutpie")}
QUICK_SIZES = {"b": (2_000, 50), "c": (50_000, 1_000)}
# What would take hours, or on (c) for statsmodels more memory and time than it is worth.
LEFT_OUT = {"bambi": "c", "brms": "bc", "statsmodels": "c"}
REPEATS = {"a": 5, "b": 5, "c": 3}
FRESH_REPEATS = {"a": 5, "b": 1, "c": 1}


def main() -> None:
    """Run what the command line asks for."""
    options = _options()
    print(_machine(), flush=True)
    results: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="hierreg-benchmark-") as folder:
        for name in "abc" if options.case == "all" else options.case:
            results += run_case(_case(name, quick=options.quick), options, Path(folder), results)
    if "hierreg" in options.engines:
        print(f"\nimport\n\n{imports.report()}")


def run_case(case: Case, options: argparse.Namespace, scratch: Path, earlier: Sequence[Measured]) -> list[Measured]:
    """Run one case through the engines in order, print its tables and return the results.

    Those of earlier cases are only saved again, beside the new ones.
    """
    print(f"\n({case.name}) {case.description}: {case.rows:,} rows, {case.groups:,} groups, {case.formula}")
    if case.truth is not None:
        print(f"    {case.truth}, seed {case.seed}")
    print(flush=True)
    measured = []
    for engine in options.engines:
        for one in run_engine(engine, case, scratch, options):
            print(f"    done: {one.label} {one.note}", flush=True)
            measured.append(one)
            if options.save:  # after every engine: a run takes long, and one may be stopped
                save([*earlier, *measured], options.save)
    measured, times = _with_fresh(measured, case, options, scratch)
    if options.save:
        save([*earlier, *measured], options.save)
    print(f"\n{main_table(measured)}\n\n{details(measured)}")
    if times:
        print(f"\n{fresh.table_of(times)}")
    targets = targets_of(case.name, measured) + (fresh_targets(times) if case.name == "a" else [])
    if targets and not options.quick:
        print(f"\n{target_table(targets)}", flush=True)
    return measured


def run_engine(engine: str, case: Case, scratch: Path, options: argparse.Namespace) -> Iterator[Measured]:
    """Yield the results of one engine on a case, one per variant; a failure is a result with a note."""
    for variant in VARIANTS.get(engine, ("",)):
        if case.name in LEFT_OUT.get(engine, "") and not options.quick:
            yield Measured(engine=engine, variant=variant, case=case.name, note="not run: takes too long")
            continue
        try:
            yield _run_variant(engine, variant, case, scratch, options)
        except EngineError as error:
            yield Measured(engine=engine, variant=variant, case=case.name, note=f"no result: {error}")


def _run_variant(engine: str, variant: str, case: Case, scratch: Path, options: argparse.Namespace) -> Measured:
    csv = write_csv(case, scratch)
    if engine == "lme4":
        return lme4_engine.measure(case, csv, scratch, timeout=options.timeout)
    if engine == "brms":
        return brms_engine.measure(case, csv, scratch, timeout=options.timeout)
    try:
        version(engine)
    except PackageNotFoundError:
        raise EngineError(f"{engine} is not installed") from None
    module = f"tests.benchmarks.{engine}_engine"
    task = Task(
        mode="warm",
        csv=str(csv),
        warm_up_csv=str(write_csv(WARM_UP, scratch)),
        case=case.name,
        variant=variant,
        draws=case.draws if engine == "hierreg" else 1000,
        repeats=1 if options.quick else REPEATS[case.name],
        out=str(scratch / f"{engine}-{variant}-{case.name}.json"),
    )
    run_python(module, task, timeout=options.timeout)
    return load(Path(task.out))[0]


def _with_fresh(
    measured: Sequence[Measured], case: Case, options: argparse.Namespace, scratch: Path
) -> tuple[list[Measured], list[fresh.Fresh]]:
    """Return what was measured with the times of fresh processes, those of all engines in turn.

    bambi takes as long again, and only (a) has a target.
    """
    known = [(one.engine, one.variant) for one in measured if one.total_seconds]
    engines = ("hierreg", "bambi") if case.name == "a" else ("hierreg",)
    variants = [one for one in fresh.VARIANTS if one in known and one[0] in engines]
    if ("hierreg", "") in variants:
        variants.append(("hierreg", "command"))
    repeats = 1 if options.quick else FRESH_REPEATS[case.name]
    times = fresh.take_turns(case, scratch, variants, repeats=repeats, timeout=options.timeout)
    by_variant = {(one.engine, one.variant): one for one in times}
    out = []
    for one in measured:
        mine = by_variant.get((one.engine, one.variant))
        known_now = {} if mine is None else {"fresh_seconds": median(mine.seconds), "fresh_parts": mine.parts}
        out.append(replace(one, **known_now))
    return out, times


def _case(name: str, *, quick: bool) -> Case:
    case = CASES[name]
    if quick and name in QUICK_SIZES:
        rows, groups = QUICK_SIZES[name]
        return replace(case, rows=rows, groups=groups)
    return case


def _machine() -> str:
    packages = []
    for name in ("hierreg", "numpy", "numba", "nutpie", "pymc", "bambi", "statsmodels"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} missing")
    return (
        f"{platform.platform()}, {available_cores()} cores, Python {platform.python_version()}\n{', '.join(packages)}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.compare",
        description="Time hierreg beside other software on the same tables; see tests/benchmarks/README.md.",
    )
    parser.add_argument("--case", choices=("a", "b", "c", "all"), default="all")
    parser.add_argument("--engines", default=",".join(ENGINES), help="in the order in which to run them")
    parser.add_argument("--quick", action="store_true", help="small tables, one run each: tries the script only")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds allowed to one run of an engine")
    parser.add_argument("--save", type=Path, help="also write every number to this JSON file")
    options = parser.parse_args()
    options.engines = options.engines.split(",")
    unknown = [name for name in options.engines if name not in ENGINES]
    if unknown:
        parser.error(f"--engines: unknown {', '.join(unknown)}; choose from {', '.join(ENGINES)}")
    return options


if __name__ == "__main__":
    main()
