"""Rows per second and memory of a scan of Parquet files, then REML and the posterior, from the statistics alone.

    python -m tests.benchmarks.rows --rows 10_000_000 --groups 100_000
    python -m tests.benchmarks.rows --rows 10_000_000 --groups 100_000 --workers 2

Files are made in parts of a million rows in a folder that is kept (``--folder``) or deleted at the end. Memory is the
largest resident set of this process, less that before the scan; of Dask workers that of each.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

import hierreg as hr

PART = 1_000_000
FORMULA = "y ~ x + (x | g)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--groups", type=int, default=100_000)
    parser.add_argument("--text", action="store_true", help="labels of groups are text, not numbers")
    parser.add_argument("--workers", type=int, default=0, help="Dask processes; 0 for one process without Dask")
    parser.add_argument("--batch-rows", type=int, default=1 << 20)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--part", type=int, default=PART, help="rows of a file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        make_files(folder, options)
        warm_up(folder)
        gram = with_dask(folder, options) if options.workers else without(folder, options)
        fit(gram, options.draws)


def make_files(folder: Path, options: argparse.Namespace) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    effects = rng.multivariate_normal([0, 0], [[1.0, 0.3], [0.3, 0.5]], options.groups)
    labels = pa.array([f"group {i:07d}" for i in range(options.groups)]) if options.text else None
    for i, start in enumerate(range(0, options.rows, options.part)):
        path = folder / f"part{i:05d}.parquet"
        if path.exists():
            continue
        rng = np.random.default_rng([2, i])
        n = min(options.part, options.rows - start)
        g, x = rng.integers(0, options.groups, n), rng.normal(size=n)
        y = 1.0 + 2.0 * x + effects[g, 0] + effects[g, 1] * x + rng.normal(size=n)
        pq.write_table(pa.table({"y": y, "x": x, "g": g if labels is None else labels.take(pa.array(g))}), path)
    print(f"{options.rows:,} rows, {options.groups:,} groups, {size_of(folder) / 2**20:,.0f} MiB of Parquet")


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def warm_up(folder: Path) -> None:
    """Compile the kernels."""
    import pyarrow.parquet as pq

    first = next(pq.ParquetFile(next(iter(sorted(folder.iterdir())))).iter_batches(2000))
    hr.Gram.from_batches([first.to_pydict() | {"g": [i % 7 for i in range(len(first))]}] * 2, FORMULA)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(rows: int, seconds: float) -> None:
    print(f"statistics: {seconds:.1f} s, {rows / seconds:,.0f} rows/s")


def without(folder: Path, options: argparse.Namespace) -> hr.Gram:
    before, begin = peak(), time.perf_counter()
    gram = hr.Gram.scan(folder, FORMULA, batch_rows=options.batch_rows, progress=False)
    report(gram.n, time.perf_counter() - begin)
    print(f"memory: {peak() - before:,.0f} MiB more than before the scan, {peak():,.0f} MiB in all")
    return gram


def with_dask(folder: Path, options: argparse.Namespace) -> hr.Gram:
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=options.workers, threads_per_worker=1, dashboard_address=":0", memory_limit=0
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(warm_up, folder)
        begin = time.perf_counter()
        gram = hr.Gram.from_dask(dd.read_parquet(str(folder)), FORMULA, client=client)
        report(gram.n, time.perf_counter() - begin)
        memory = ", ".join(f"{one:,.0f}" for one in client.run(peak).values())
        print(f"memory: workers {memory} MiB; this process {peak():,.0f} MiB")
    return gram


def fit(gram: hr.Gram, draws: int) -> None:
    begin = time.perf_counter()
    model = hr.Model.from_gram(gram)
    estimate = model.estimate("reml")
    print(f"REML: {time.perf_counter() - begin:.1f} s; beta {estimate.beta.values.round(4)}")
    begin = time.perf_counter()
    tree = model.sample(draws=draws, seed=1, progress=False, group_effects="summary")
    print(f"posterior: {time.perf_counter() - begin:.1f} s, {tree['posterior'].sizes['draw']} draws per chain")
    print(f"memory at the end: {peak():,.0f} MiB")


if __name__ == "__main__":
    main()
