"""How time and memory grow with rows, groups, columns of Z and the columns that cross the largest factor.

python -m tests.benchmarks.growth [--quick] [--figure growth.png]

One of the four grows at a time. The slope is that of the logarithms, over the upper half of the sizes.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import hierreg as hr
from tests.benchmarks.hierreg_engine import gradient_milliseconds
from tests.benchmarks.measure import peak_memory
from tests.benchmarks.scaling import DESIGNS, slope, table_of
from tests.benchmarks.table import number, text_table

if TYPE_CHECKING:
    from collections.abc import Callable

SWEEPS = {
    "rows (1,000 groups)": (10_000, 100_000, 1_000_000, 10_000_000),
    "groups, all different": (100, 1_000, 10_000, 100_000, 1_000_000),
    "groups, all alike": (100, 1_000, 10_000, 100_000, 1_000_000),
    "columns of Z (1,000 groups)": (1, 2, 4, 8, 16),
    "crossed levels (4,000 groups)": (10, 30, 100, 300, 1_000, 3_000),
}
COLUMNS = {"model_s": "Model s", "gradient_ms": "ms per gradient", "reml_s": "REML s", "peak_mib": "peak MiB"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size of one sweep: time of `Model`, of one value and gradient, of REML, and memory above the table."""

    size: int
    model_s: float
    gradient_ms: float
    reml_s: float
    peak_mib: float


def many_rows(rows: int) -> tuple[str, pd.DataFrame]:
    """Return random slopes of 1,000 groups in so many rows."""
    rng = np.random.default_rng(rows)
    index, x = rng.integers(0, 1_000, rows), rng.standard_normal(rows)
    b = rng.standard_normal((1_000, 2))
    return "y ~ x + (x | g)", pd.DataFrame(
        {"y": b[index, 0] + b[index, 1] * x + rng.standard_normal(rows), "x": x, "g": index}
    )


def many_columns(columns: int) -> tuple[str, pd.DataFrame]:
    """Return 1,000 groups of 40 rows with so many correlated columns, the intercept among them."""
    rng = np.random.default_rng(columns)
    index = np.repeat(np.arange(1_000), 40)
    x = {f"x{i}": rng.standard_normal(len(index)) for i in range(1, columns)}
    b = 0.5 * rng.standard_normal((1_000, columns))
    y = b[index, 0] + sum(b[index, i] * x[f"x{i}"] for i in range(1, columns)) + rng.standard_normal(len(index))
    terms = " + ".join(["1", *x])
    return f"y ~ {terms} + ({terms} | g)", pd.DataFrame({"y": y, "g": index, **x})


def many_crossed(levels: int) -> tuple[str, pd.DataFrame]:
    """Return 80,000 rows of 4,000 groups crossed with so many levels."""
    rng = np.random.default_rng(levels)
    g, h = rng.integers(0, 4_000, 80_000), rng.integers(0, levels, 80_000)
    y = rng.standard_normal(4_000)[g] + rng.standard_normal(levels)[h] + rng.standard_normal(80_000)
    return "y ~ 1 + (1 | g) + (1 | h)", pd.DataFrame({"y": y, "g": g, "h": h})


def case_of(sweep: str, size: int) -> tuple[str, pd.DataFrame]:
    """Return formula and table of one size."""
    makers: dict[str, Callable[[int], tuple[str, pd.DataFrame]]] = {
        "rows": many_rows,
        "columns": many_columns,
        "crossed": many_crossed,
    }
    kind = sweep.split(" ", maxsplit=1)[0]
    if kind in makers:
        return makers[kind](size)
    design = "balanced" if sweep.endswith("alike") else "all different"
    return DESIGNS[design], table_of(design, size, seed=size)


def measure(sweep: str, size: int) -> Point:
    """Return what one size costs."""
    formula, table = case_of(sweep, size)
    with peak_memory() as memory:
        begin = time.perf_counter()
        model = hr.Model(formula, table)
        middle = time.perf_counter()
        model.estimate("reml")
        end = time.perf_counter()
    return Point(
        size=size,
        model_s=middle - begin,
        gradient_ms=gradient_milliseconds(model),
        reml_s=end - middle,
        peak_mib=memory["above"],
    )


def slopes(points: list[Point]) -> dict[str, float | None]:
    """Return the slope of each column over the upper half of the sizes."""
    upper = points[len(points) // 2 :]
    return {name: slope([p.size for p in upper], [max(getattr(p, name), 1e-9) for p in upper]) for name in COLUMNS}


def text_of(results: dict[str, list[Point]]) -> str:
    """Return all sweeps as one table of text."""
    lines = []
    for sweep, points in results.items():
        lines += [[sweep, f"{p.size:,}", *(number(getattr(p, name)) for name in COLUMNS)] for p in points]
        lines.append(["  slope", "", *(number(value, 2) for value in slopes(points).values())])
    return text_table(["what grows", "size", *COLUMNS.values()], lines)


def draw(results: dict[str, list[Point]], path: Path) -> None:
    """Draw time per gradient, REML and memory against size, one panel each, both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, 3)
    titles = {
        "gradient_ms": "one value and gradient (ms)",
        "reml_s": "REML (s)",
        "peak_mib": "memory above the table (MiB)",
    }
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        for sweep, points in results.items():
            sizes, values = [p.size for p in points], [getattr(p, name) for p in points]
            (line,) = axes.loglog(sizes, values, "o-", ms=3.5, lw=1.2, label=sweep)
            at = {"xy": (sizes[-1], values[-1]), "xytext": (5, 0), "textcoords": "offset points"}
            axes.annotate(f"{slopes(points)[name] or 0.0:.1f}", **at, color=line.get_color(), va="center", fontsize=8)
        axes.set(xlabel="size of what grows (numbers: slope)", title=title)
        axes.margins(x=0.12)
        axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(results), fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the table, and draw it where asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth")
    parser.add_argument("--quick", action="store_true", help="three sizes of each sweep: tries the script only")
    parser.add_argument("--figure", type=Path, help="write a figure to this file")
    options = parser.parse_args()
    results = {}
    for sweep, sizes in SWEEPS.items():
        measure(sweep, sizes[0])  # kernels loaded, libraries imported
        results[sweep] = [measure(sweep, size) for size in (sizes[:3] if options.quick else sizes)]
    print(text_of(results))
    if options.figure:
        draw(results, options.figure)


if __name__ == "__main__":
    main()
