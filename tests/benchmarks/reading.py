"""Rows per second of a million rows and more, beside what pyarrow takes to read the same columns.

python -m tests.benchmarks.reading [--rows 10_000_000] [--groups 20_000] [--repeats 3] [--against COMMIT] [--ways text]

A process reads and collects in turn, three times after a first time that is not counted; with ``--against`` processes
of another commit take turns with those of this one. Seconds are the smallest of all. Those of the processor count all
threads: on a machine that does other work too, they are what two idle cores would share. CSV has a fifth of the rows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.cold import process, trees
from tests.benchmarks.rows import make_files
from tests.benchmarks.table import number, text_table

if TYPE_CHECKING:
    from collections.abc import Sequence

_SLOPES = "y ~ x + (x | g)"
# Files, formula, and how they are collected: by a scan, or as a model of a table in memory.
WAYS = {
    "numbers": ("numbers", _SLOPES, "scan"),
    "text": ("text", _SLOPES, "scan"),
    "(1 | g)": ("numbers", "y ~ x + (1 | g)", "scan"),
    "no factor": ("numbers", "y ~ x", "scan"),
    "CSV": ("csv", _SLOPES, "scan"),
    "pandas": ("numbers", _SLOPES, "pandas"),
    "polars": ("numbers", _SLOPES, "polars"),
    "Arrow": ("numbers", _SLOPES, "arrow"),
    "pandas, text": ("text", _SLOPES, "pandas"),
    "polars, text": ("text", _SLOPES, "polars"),
    "Arrow, text": ("text", _SLOPES, "arrow"),
}
_PROGRAM = """
import json, sys, time
from pathlib import Path
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
import hierreg as hr

folder, formula, way = {folder!r}, {formula!r}, {way!r}
files = sorted(Path(folder).iterdir())
names = ["y", "x", *(["g"] if "g" in formula else [])]

def read():
    if folder.endswith("csv"):
        options = csv.ConvertOptions(include_columns=names)
        return pa.concat_tables([csv.read_csv(file, convert_options=options) for file in files])
    return pa.concat_tables([pq.read_table(file, columns=names) for file in files])

table = read()
if way == "pandas":
    table = table.to_pandas()
elif way == "polars":
    import polars
    table = polars.from_arrow(table)

def collect():
    if way == "scan":
        return hr.Gram.scan(files, formula, progress=False).n
    return hr.Model(formula, table).gram.n

def timed(function):
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu

n = collect()
pairs = [[timed(read), timed(collect)] for _ in range(3)]
print(json.dumps([n, pairs]), file=sys.stderr)
"""


def files_of(folder: Path, rows: int, groups: int) -> None:
    """Make the files, four of each kind."""
    import pyarrow.parquet as pq
    from pyarrow import csv

    for kind in ("numbers", "text"):
        options = argparse.Namespace(rows=rows, groups=groups, text=kind == "text", part=-(-rows // 4))
        make_files(folder / kind, options)
    (folder / "csv").mkdir()
    for file in sorted((folder / "numbers").iterdir()):
        table = pq.read_table(file)
        csv.write_csv(table.slice(0, len(table) // 5), folder / "csv" / f"{file.stem}.csv")


def least(tree: Path, folder: Path, way: str) -> tuple[int, list[tuple[float, float]]]:
    """Return the number of rows, and the smallest wall and processor seconds of reading and of collecting."""
    kind, formula, how = WAYS[way]
    program = _PROGRAM.format(folder=str(folder / kind), formula=formula, way=how)
    n, pairs = json.loads(process(tree, program)[1].splitlines()[-1])
    return n, [(min(one[k][0] for one in pairs), min(one[k][1] for one in pairs)) for k in range(2)]


def report(ways: Sequence[str], folder: Path, repeats: int, against: str | None) -> str:
    """Return the table."""
    rows = []
    with trees(against) as folders:
        for way in ways:
            found: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in folders}
            for _ in range(repeats):
                for name, tree in folders.items():
                    n, times = least(tree, folder, way)
                    found[name].append(times)
            best = {
                name: [tuple(min(one[k][c] for one in mine) for c in range(2)) for k in range(2)]
                for name, mine in found.items()
            }
            (read_wall, read_cpu), (wall, cpu) = best["here"]
            is_scan = WAYS[way][2] == "scan"
            cells = [number(read_wall), number(read_cpu)] if is_scan else ["-", "-"]
            cells += [number(wall), number(cpu), f"{n / wall / 1e6:.1f}", f"{n / cpu / 1e6:.1f}"]
            cells += [f"{wall / read_wall:.1f}"] if is_scan else ["-"]
            for name in list(folders)[1:]:
                cells += [f"{n / best[name][1][0] / 1e6:.1f}", f"{best[name][1][0] / wall:.1f}"]
                cells += [f"{best[name][1][1] / cpu:.1f}"]
            rows.append([way, *cells])
    header = ["", "read, s", "CPU", "collect, s", "CPU", "10^6 rows/s", "a CPU s", "times reading"]
    others = [] if against is None else [f"{against[:8]}, 10^6 rows/s", "faster", "in CPU s"]
    return text_table([*header, *others], rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.reading")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--groups", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--against")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hierreg-reading-") as folder:
        files_of(Path(folder), options.rows, options.groups)
        print(report(options.ways, Path(folder), options.repeats, options.against))


if __name__ == "__main__":
    main()
