"""Statistics of Parquet files by Dask on one machine, beside a scan of the same files on one thread.

python -m tests.benchmarks.cluster [--rows 100_000_000] [--groups 100_000] [--workers 1 2 4] [--repeats 3]
    [--folder FOLDER]

Workers are processes of one thread, which have read a file before. All turns are taken `--repeats` times; shown are the
smallest seconds. Processor seconds are those of the workers and of this process, in which the scheduler and the client
are too, and where statistics are joined. Efficiency is the time of the scan over that of all workers: of processors,
and on the clock, which says something while there are cores for all workers.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hierreg as hr
from tests.benchmarks.rows import FORMULA, make_files
from tests.benchmarks.table import text_table

if TYPE_CHECKING:
    from collections.abc import Sequence


def peak() -> float:
    """Return the largest resident memory of this process in MiB; what `getrusage` says holds that of its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def warmed(folder: Path) -> None:
    """Do in a process what costs once: imports, and loading the kernels that many rows take."""
    import dask.dataframe as dd
    import pandas as pd

    first = min(folder.iterdir())
    hr.Gram.from_batches([pd.read_parquet(first)[: 1 << 19]] * 2, FORMULA)
    hr.Gram.scan(first, FORMULA, progress=False)
    dd.read_parquet(str(first)).head(10)


def scanned(folder: Path) -> dict[str, float]:
    """Return what a scan on one thread takes."""
    from hierreg.threads import one_thread

    wall, cpu = time.perf_counter(), time.process_time()
    with one_thread():
        hr.Gram.scan(folder, FORMULA, progress=False)
    return {"wall": time.perf_counter() - wall, "workers": time.process_time() - cpu, "here": 0.0, "memory": peak()}


def by_workers(folder: Path, n: int) -> dict[str, float]:
    """Return what Dask takes with so many processes."""
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    options: dict[str, Any] = {"n_workers": n, "threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": 0}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        client.run(warmed, folder)
        before = sum(client.run(time.process_time).values())
        wall, cpu = time.perf_counter(), time.process_time()
        hr.Gram.from_dask(dd.read_parquet(str(folder)), FORMULA, client=client)
        return {
            "wall": time.perf_counter() - wall,
            "here": time.process_time() - cpu,
            "workers": sum(client.run(time.process_time).values()) - before,
            "memory": max(client.run(peak).values()),
        }


def report(folder: Path, workers: Sequence[int], repeats: int) -> str:
    """Return the table."""
    found: dict[int, list[dict[str, float]]] = {n: [] for n in (0, *workers)}
    for _ in range(repeats):
        for n, runs in found.items():
            runs.append(by_workers(folder, n) if n else scanned(folder))
    least = {n: {key: min(run[key] for run in runs) for key in runs[0]} for n, runs in found.items()}
    rows = []
    for n, one in least.items():
        cpu, scan = one["workers"] + one["here"], least[0]
        cells = [f"{one[key]:.1f}" for key in ("wall", "workers", "here")]
        cells += [f"{scan['workers'] / cpu:.0%}", f"{scan['wall'] / (max(n, 1) * one['wall']):.0%}"]
        rows.append([f"{n} workers" if n else "scan, one thread", *cells, f"{one['memory']:,.0f}"])
    header = ["", "wall s", "CPU s, workers", "here", "CPU efficiency", "wall efficiency", "MiB, one process"]
    return text_table(header, rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cluster")
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--groups", type=int, default=100_000)
    parser.add_argument("--part", type=int, default=1_000_000, help="rows of a file")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    options.text = False
    with tempfile.TemporaryDirectory(prefix="hierreg-cluster-") as scratch:
        folder = options.folder or Path(scratch)
        make_files(folder, options)
        warmed(folder)
        print(report(folder, options.workers, options.repeats), flush=True)


if __name__ == "__main__":
    main()
