"""How the cost of one value and gradient, and of reading the table, grows with the number of groups.

python -m tests.benchmarks.scaling [--most 1000000] [--out scaling.csv]

Three designs: every group has the same x (balanced), groups of unequal size with an intercept alone, and groups of
unequal size with x of their own, where no two groups are alike. `equal_groups` counts the blocks that the likelihood
evaluates, see `hierreg.likelihood.groups.equal_groups`. The last line of each design is the slope of each column
against groups on
log axes, from 10^4 groups on where there are as many.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import hierreg as hr
from tests.benchmarks.hierreg_engine import gradient_milliseconds
from tests.benchmarks.measure import peak_memory
from tests.benchmarks.table import number, text_table

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS = (100, 1_000, 10_000, 100_000, 1_000_000)
ROWS_PER_GROUP = 6
DESIGNS = {
    "balanced": "y ~ x + (x | g)",
    "unequal sizes": "y ~ x + (1 | g)",
    "all different": "y ~ x + (x | g)",
}
_SLOPES_FROM = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One design at one size.

    Attributes
    ----------
    design : str
    rows, groups : int
    distinct : int
        Blocks that the likelihood evaluates.
    gradient_ms : float
        One value and gradient on one thread.
    collection_s : float
        The cross-products alone.
    blocks_s : float
        Groups alike found and merged, and all put in the order of the kernels.
    model_s : float
        `Model`: table, design, cross-products, blocks.
    reml_s : float
        `Model.estimate`.
    peak_mib : float
        Largest resident memory of model and estimate above the table.
    """

    design: str
    rows: int
    groups: int
    distinct: int
    gradient_ms: float
    collection_s: float
    blocks_s: float
    model_s: float
    reml_s: float
    peak_mib: float


_MEASURED = ("gradient_ms", "collection_s", "blocks_s", "model_s", "reml_s", "peak_mib")


def table_of(design: str, groups: int, seed: int) -> pd.DataFrame:
    """Return a table of so many groups, of six rows each or on average."""
    rng = np.random.default_rng(seed)
    if design == "balanced":
        sizes, x = np.full(groups, ROWS_PER_GROUP), np.tile(np.arange(float(ROWS_PER_GROUP)), groups)
    else:
        sizes = 2 + rng.poisson(ROWS_PER_GROUP - 2, groups)
        x = rng.standard_normal(sizes.sum())
    index = np.repeat(np.arange(groups), sizes)
    b = rng.standard_normal((groups, 2)) * np.array([1.0, 0.5])
    y = 2.0 - 0.7 * x + b[index, 0] + b[index, 1] * x + 1.5 * rng.standard_normal(len(index))
    return pd.DataFrame({"y": y, "x": x, "g": index})


def measure(design: str, groups: int) -> Row:
    """Return what a design costs at a size."""
    from hierreg.gram import collect
    from hierreg.likelihood.engines import blocks_of

    table = table_of(design, groups, seed=groups)
    with peak_memory() as memory:
        model, model_s = _clocked(lambda: hr.Model(DESIGNS[design], table))
        _, reml_s = _clocked(lambda: model.estimate("reml"))
    problem = model.problem
    return Row(
        design=design,
        rows=len(table),
        groups=groups,
        distinct=_used(problem.blocks.distinct),
        gradient_ms=gradient_milliseconds(model),
        collection_s=_clocked(lambda: collect(problem.design, problem.layout))[1],
        blocks_s=_clocked(lambda: blocks_of(problem.gram, problem.fixed))[1],
        model_s=model_s,
        reml_s=reml_s,
        peak_mib=memory["above"],
    )


def _clocked(function: Any) -> tuple[Any, float]:
    begin = time.perf_counter()
    result = function()
    return result, time.perf_counter() - begin


def _used(tiles: Any) -> int:
    """Return the number of blocks of tiles; lanes to spare are zero."""
    first = tiles.ZtZ[tiles.indptr[:-1][np.diff(tiles.indptr) > 0]]
    return int(np.any(first != 0, axis=(1, 2)).sum())


def slope(groups: Sequence[float], values: Sequence[float]) -> float | None:
    """Return the least-squares slope of log values against log groups, or None for fewer than two sizes."""
    if len(groups) < 2:
        return None
    return float(np.polyfit(np.log(groups), np.log(values), 1)[0])


def slopes(rows: Sequence[Row]) -> dict[str, float | None]:
    """Return the slope of each measured column of one design."""
    large = [row for row in rows if row.groups >= _SLOPES_FROM]
    used = large if len(large) > 1 else rows
    return {name: slope([r.groups for r in used], [getattr(r, name) for r in used]) for name in _MEASURED}


def table(rows: Sequence[Row]) -> str:
    """Return all rows as text, with the slopes of each design under it."""
    header = ["design", "rows", "groups", "distinct", "ms per gradient", "collection s", "blocks s", "Model s"]
    header += ["REML s", "peak MiB"]
    lines = []
    for design in DESIGNS:
        own = [row for row in rows if row.design == design]
        lines += [
            [design, f"{r.rows:,}", f"{r.groups:,}", f"{r.distinct:,}", *(number(getattr(r, n)) for n in _MEASURED)]
            for r in own
        ]
        lines.append(["  slope", "", "", "", *(number(value, 2) for value in slopes(own).values())])
    return text_table(header, lines)


def save(rows: Sequence[Row], path: Path) -> None:
    """Write rows as JSON (with the slopes) or CSV, as the name ends."""
    values = [asdict(row) for row in rows]
    if path.suffix == ".json":
        by_design = {design: slopes([row for row in rows if row.design == design]) for design in DESIGNS}
        path.write_text(json.dumps({"rows": values, "slopes": by_design}, indent=1), encoding="utf-8")
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(values[0]))
        writer.writeheader()
        writer.writerows(values)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scaling")
    parser.add_argument("--most", type=int, default=max(GROUPS), help="leave out larger numbers of groups")
    parser.add_argument("--out", type=Path, help="write the table to this .csv or .json file")
    options = parser.parse_args()
    for design in DESIGNS:  # kernels loaded, libraries imported
        measure(design, 20)
    rows = [measure(design, n) for design in DESIGNS for n in GROUPS if n <= options.most]
    print(table(rows))
    if options.out:
        save(rows, options.out)


if __name__ == "__main__":
    main()
