"""Seconds of REML and of the posterior against rows and against groups, beside lme4, statsmodels and bambi.

python -m tests.benchmarks.sizes [--most-rows 100_000_000] [--most-groups 1_000_000] [--limit 60] [--without lme4,bambi]
    [--out sizes.csv] [--figure sizes.png] [--only-figure]

The model is `y ~ x + (x | g)`; bambi's is without the correlation, which it has not. One sweep has more and more rows
in 100 groups (fewer where there are not ten rows for each), the other more and more groups of 20 rows. Each engine has
a process of its own for each table, fits a small table first, and is timed from formula and table in memory to the
estimate, or to the draws: the median of three to nine runs, of one where that takes long. An engine that needs more
than ``--limit`` seconds gets no larger table. Tables of more than ten million rows are Parquet files, which
`hierreg.Gram.scan` reads: the time holds the reading. The figure shows processor time, which other work on the machine
changes least; the table of ``--out`` has elapsed time too.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tests.benchmarks.worker import ROOT, EngineError, available_cores, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FORMULA = "y ~ x + (x | g)"
FILE_ROWS, IN_MEMORY = 1_000_000, 10_000_000
_ENOUGH, _MOST_RUNS, _LONG = 0.5, 9, 10.0
_LME4 = Path(__file__).with_name("lme4_fit.R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one engine took for one table; `load` is the machine's, in processes that wait, before it began."""

    sweep: str
    engine: str
    task: str
    rows: int
    groups: int
    seconds: float
    cpu: float
    load: float


def table(rows: int, groups: int, seed: int = 1) -> pd.DataFrame:
    """Return rows of groups with intercepts and slopes."""
    effects = np.random.default_rng(0).standard_normal((groups, 2)) * [1.0, 0.5]
    rng = np.random.default_rng([seed, rows])
    g = rng.permutation(np.arange(rows) % groups)
    x = rng.standard_normal(rows)
    y = 1.0 + 0.5 * x + effects[g, 0] + effects[g, 1] * x + rng.standard_normal(rows)
    return pd.DataFrame({"y": y, "x": x, "g": g})


def write_files(folder: Path, rows: int, groups: int) -> None:
    """Write a table as Parquet, in files of a million rows."""
    for i, first in enumerate(range(0, rows, FILE_ROWS)):
        part = table(min(FILE_ROWS, rows - first), groups, seed=2 + i)
        part.to_parquet(folder / f"part{i:05d}.parquet", index=False)


def hierreg_reml(data: Any) -> None:
    import hierreg as hr

    hr.Model(FORMULA, data).estimate("reml")


def hierreg_posterior(data: Any) -> None:
    import hierreg as hr

    hr.Model(FORMULA, data).sample(seed=1, progress=False)


def hierreg_files_reml(folder: Any) -> None:
    import hierreg as hr

    hr.Model.from_gram(hr.Gram.scan(f"{folder}/*.parquet", FORMULA, progress=False)).estimate("reml")


def hierreg_files_posterior(folder: Any) -> None:
    import hierreg as hr

    gram = hr.Gram.scan(f"{folder}/*.parquet", FORMULA, progress=False)
    hr.Model.from_gram(gram).sample(seed=1, progress=False)


def statsmodels_reml(data: Any) -> None:
    import statsmodels.formula.api as smf

    smf.mixedlm("y ~ x", data, groups=data["g"], re_formula="~x").fit(reml=True)


def bambi_posterior(data: Any) -> None:
    import bambi

    bambi.Model(FORMULA, data).fit(
        draws=1000, chains=4, cores=available_cores(), inference_method="nutpie", random_seed=1, progressbar=False
    )


FITS: dict[tuple[str, str], Callable[[Any], None]] = {
    ("hierreg", "REML"): hierreg_reml,
    ("hierreg", "posterior"): hierreg_posterior,
    ("statsmodels", "REML"): statsmodels_reml,
    ("bambi", "posterior"): bambi_posterior,
}
FROM_FILES = {"REML": hierreg_files_reml, "posterior": hierreg_files_posterior}


def work(engine: str, task: str, where: str) -> dict[str, float]:
    """Return medians of elapsed and of processor seconds, in a process that has fitted a small table before."""
    path = Path(where)
    fit = FROM_FILES[task] if path.is_dir() else FITS[engine, task]
    data: Any = where if path.is_dir() else pd.read_parquet(path)
    if path.is_dir():
        with tempfile.TemporaryDirectory() as small:
            write_files(Path(small), 2_000, 20)
            fit(small)
    else:
        fit(table(500, 10))
    taken: list[float] = []
    cpu: list[float] = []
    # At least three, unless they take long: the first of a size may compile what smaller tables do without.
    while not taken or (len(taken) < 3 and sum(taken) < _LONG) or (sum(taken) < _ENOUGH and len(taken) < _MOST_RUNS):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        fit(data)
        taken.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - begin_cpu)
    return {"seconds": median(taken), "cpu": median(cpu)}


def seconds_of(engine: str, task: str, where: Path, limit: float) -> tuple[float, float]:
    """Return elapsed and processor seconds of an engine on a table; infinity beyond the limit, or where it fails."""
    out = where.parent / "out.json"
    out.unlink(missing_ok=True)
    if engine == "lme4":
        table_csv = where.with_suffix(".csv")
        if not table_csv.exists():
            data = pd.read_parquet(where)
            data.assign(g=data["g"].map("g{}".format)).to_csv(table_csv, index=False)
        command = [
            shutil.which("Rscript") or "Rscript",
            "--vanilla",
            str(_LME4),
            str(table_csv),
            FORMULA,
            "g",
            str(out),
        ]
    else:
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "tests.benchmarks.sizes",
            "--work",
            engine,
            task,
            str(where),
            str(out),
        ]
    try:
        # Starting, reading the table and the small fit before are not what is limited.
        run(command, timeout=3 * limit + 60)
    except (EngineError, FileNotFoundError) as error:
        print(f"    {engine}, {task}: {error}", file=sys.stderr, flush=True)
        return float("inf"), float("inf")
    answer = json.loads(out.read_text(encoding="utf-8"))
    return float(answer["seconds"]), float(answer["cpu"])


def sweeps(options: argparse.Namespace) -> Iterator[tuple[str, int, int]]:
    """Yield sweep, rows and groups of each table."""
    for power in range(2, 9):
        rows = 10**power
        if rows <= options.most_rows:
            yield "rows", rows, min(100, rows // 10)
    for power in range(1, 7):
        groups = 10**power
        if groups <= options.most_groups:
            yield "groups", 20 * groups, groups


def measured(options: argparse.Namespace) -> list[Point]:
    """Return what all engines took; each is left out of a sweep once it has been too slow."""
    engines = [("hierreg", "REML"), ("hierreg", "posterior"), ("lme4", "REML"), ("statsmodels", "REML")]
    engines.append(("bambi", "posterior"))
    engines = [one for one in engines if one[0] not in options.without.split(",")]
    points: list[Point] = []
    slow: set[tuple[str, str, str]] = set()
    for sweep, rows, groups in sweeps(options):
        with tempfile.TemporaryDirectory(prefix="hierreg-benchmark-") as folder:
            where = Path(folder) / "table.parquet"
            if rows > IN_MEMORY:
                where = Path(folder) / "files"
                where.mkdir()
                write_files(where, rows, groups)
            else:
                table(rows, groups).to_parquet(where, index=False)
            for engine, task in engines:
                if (sweep, engine, task) in slow or (rows > IN_MEMORY and engine != "hierreg"):
                    continue
                load = os.getloadavg()[0]
                found, cpu = seconds_of(engine, task, where, options.limit)
                if found > options.limit:
                    slow.add((sweep, engine, task))
                if np.isfinite(found):
                    points.append(
                        Point(
                            sweep=sweep,
                            engine=engine,
                            task=task,
                            rows=rows,
                            groups=groups,
                            seconds=found,
                            cpu=cpu,
                            load=load,
                        )
                    )
                    print(points[-1], file=sys.stderr, flush=True)
                write(options.out, points)
    return points


def write(path: Path, points: list[Point]) -> None:
    """Write the points as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Point)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            [
                {**asdict(one), "seconds": f"{one.seconds:.4g}", "cpu": f"{one.cpu:.4g}", "load": f"{one.load:.1f}"}
                for one in points
            ]
        )


def figure(path: Path, found: pd.DataFrame) -> None:
    """Draw processor seconds against rows and against groups, on logarithmic axes."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    colours = {"hierreg": "#1f77b4", "lme4": "#d62728", "statsmodels": "#9467bd", "bambi": "#ff7f0e"}
    fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    for axis, (sweep, label) in zip(
        axes, {"rows": "rows (at most 100 groups)", "groups": "groups of 20 rows"}.items(), strict=True
    ):
        for (engine, task), lines in found[found["sweep"] == sweep].groupby(["engine", "task"], sort=False):
            style = "-" if task == "posterior" else "--"
            x = lines["rows" if sweep == "rows" else "groups"]
            name = "bambi with nutpie" if engine == "bambi" else engine
            axis.plot(x, lines["cpu"], style, marker="o", ms=4, color=colours[engine], label=f"{name}, {task}")
        axis.set(xscale="log", yscale="log", xlabel=label)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("processor time (s)")
    axes[0].legend(frameon=False)
    fig.savefig(path, dpi=130)


def main() -> None:
    """Measure, write the numbers and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most-rows", type=int, default=10**8)
    parser.add_argument("--most-groups", type=int, default=10**6)
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--without", default="")
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "benchmarks" / "sizes.csv")
    parser.add_argument("--figure", type=Path, default=ROOT / "tests" / "benchmarks" / "sizes.png")
    parser.add_argument("--only-figure", action="store_true", help="draw what --out holds")
    parser.add_argument("--work", nargs=4, metavar=("ENGINE", "TASK", "TABLE", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        engine, task, where, out = options.work
        Path(out).write_text(json.dumps(work(engine, task, where)), encoding="utf-8")
        return
    if not options.only_figure:
        measured(options)
    found = pd.read_csv(options.out)
    shape = found.pivot_table(index=["sweep", "rows", "groups"], columns=["engine", "task"], values="cpu", sort=False)
    print(shape.to_string(float_format="{:.3g}".format, na_rep=""))
    figure(options.figure, found)


if __name__ == "__main__":
    main()
