"""Many groups in many files: what joining their statistics costs, beside one table of the same rows.

python -m tests.benchmarks.joining [--rows 20_000_000] [--groups 1_000_000] [--repeats 3] [--against COMMIT]
    [--ways table files file batches]

Files of a million rows, each with all groups (or as many as it has rows), in an order of its own. They are read into
one table of which a model is made; scanned, as they are and as one file; and taken by `Gram.from_batches`, file by
file. Reading is part of the time. Each is done once in a process of its own, which does the same with small files
before; ways and commits take turns. Shown are the smallest and the median seconds, and the largest resident memory of
the process.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.cold import process, trees
from tests.benchmarks.sizes import FORMULA, write_files
from tests.benchmarks.table import text_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WAYS = {
    "table": "hr.Model(FORMULA, pa.concat_tables(map(pq.read_table, files))).gram",
    "files": "hr.Gram.scan(files, FORMULA, progress=False)",
    "file": "hr.Gram.scan(one, FORMULA, progress=False)",
    "batches": "hr.Gram.from_batches((pq.read_table(file) for file in files), FORMULA)",
}
_PROGRAM = """
import json, resource, sys, time
from pathlib import Path
import pyarrow as pa
import pyarrow.parquet as pq
import hierreg as hr

FORMULA = {formula!r}
for folder in {folders!r}:
    files, one = sorted((Path(folder) / "many").iterdir()), Path(folder) / "one.parquet"
    wall, cpu = time.perf_counter(), time.process_time()
    n = {way}.n
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([wall, cpu, peak]), file=sys.stderr)
"""


def make(folder: Path, rows: int, groups: int) -> None:
    """Write the files, and the one file of the same rows."""
    import pyarrow.parquet as pq

    (folder / "many").mkdir(parents=True)
    write_files(folder / "many", rows, groups)
    files = sorted((folder / "many").iterdir())
    with pq.ParquetWriter(folder / "one.parquet", pq.read_schema(files[0])) as writer:
        for file in files:
            writer.write_table(pq.read_table(file))


def report(folders: Sequence[str], ways: Sequence[str], repeats: int, against: str | None) -> Iterator[str]:
    """Yield the lines of the table."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    with trees(against) as places:
        for _ in range(repeats):
            for way in ways:
                for name, tree in places.items():
                    program = _PROGRAM.format(folders=list(folders), formula=FORMULA, way=WAYS[way])
                    found.setdefault((way, name), []).append(json.loads(process(tree, program)[1].splitlines()[-1]))
    rows, least = [], {key: min(cpu for _, cpu, _ in each) for key, each in found.items()}
    for (way, name), each in found.items():
        wall, cpu, peak = ([one[i] for one in each] for i in range(3))
        times = f"{least[way, name] / least['table', 'here']:.2f}" if ("table", "here") in least else "-"
        cells = [f"{min(cpu):.1f}", f"{median(cpu):.1f}", f"{min(wall):.1f}", f"{median(wall):.1f}"]
        rows.append([f"{way}, {name[:8]}", *cells, f"{max(peak):,.0f}", times])
    yield text_table(["", "CPU s, least", "median", "wall s, least", "median", "peak, MiB", "times table, CPU"], rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.joining")
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--groups", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--against")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hierreg-joining-") as folder:
        # Rows enough that all kernels are compiled.
        folders = [str(Path(folder) / name) for name in ("small", "large")]
        for path, rows in zip(folders, (2_000_000, options.rows), strict=True):
            make(Path(path), rows, min(options.groups, rows // 20))
        for line in report(folders, options.ways, options.repeats, options.against):
            print(line, flush=True)


if __name__ == "__main__":
    main()
