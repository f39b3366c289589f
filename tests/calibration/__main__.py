"""Calibration of every structure, engine and method, as a Markdown table.

    python -m tests.calibration --n 1000
    python -m tests.calibration --n 100 --only ar1 --method psis

Finished replications are kept in a folder, from which the same command goes on, also with a larger ``--n``.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np

import hierreg as hr
from hierreg.reports.calibration import Calibration
from tests.calibration.cases import CASES, Case

HEADS = ("structure", "model", "engine", "method", "n", "in 50 %", "in 80 %", "in 95 %", "smallest p(ECDF)", "p, all")
SEED = 20


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.calibration", description="calibration of every structure")
    parser.add_argument("--n", type=int, default=1000, help="replications of each (1000)")
    parser.add_argument("--only", default="", help="part of the names of models")
    parser.add_argument("--method", choices=("nuts", "psis"), help="one of the two")
    parser.add_argument("--cores", type=int, default=None)
    parser.add_argument("--folder", type=Path, default=Path("build/calibration"), help="where what is finished is kept")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    print("| " + " | ".join((*HEADS, "CPU s per 1,000")) + " |")
    print("|" + "---|" * (len(HEADS) + 1))
    for case in CASES.values():
        if given.only in case.name:
            for method in (given.method,) if given.method else ("nuts", "psis"):
                print(row(case, method, given), flush=True)


def row(case: Case, method: str, given: argparse.Namespace) -> str:
    """Return the line of a model and a method."""
    model = case.model()
    path = given.folder / f"{case.name.replace(' ', '_').replace(',', '')}-{method}.npz"
    before, known = cpu_seconds(), path.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
        try:
            found = hr.calibrate(model, given.n, method=method, seed=SEED, cores=given.cores, progress=False, path=path)
        except hr.exceptions.ModelError as error:
            reason = str(error).partition("the first: ModelError: ")[2].partition(". ")[0]
            return line([case.structure, case.name, engine_of(model), method, f"refused: {reason}", *[""] * 6])
    spent = "" if known else f"{1000 * (cpu_seconds() - before) / given.n:.0f}"
    cells = [case.structure, case.name, engine_of(model), method, said_of(found)]
    return line([*cells, *covered(found), *probabilities(found), spent])


def line(cells: list[str]) -> str:
    """Return cells as a line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def said_of(found: Calibration) -> str:
    """Return the number of posteriors, and of replications without one."""
    status = found["status"].to_numpy().tolist()
    counts = [f"{status.count(one)} {one}" for one in ("refused", "failed") if one in status]
    return ", ".join([str(found.attrs["n"]), *counts])


def covered(found: Calibration) -> list[str]:
    """Return the coverages, least and largest of all quantities, with the band of each of them."""
    out = []
    for level in found["level"].to_numpy():
        own = found["coverage"].sel(level=level).to_numpy()
        low, high = (float(found[f"coverage_{end}"].sel(level=level)) for end in ("lower", "upper"))
        out.append(f"{own.min():.3f} to {own.max():.3f} ({low:.3f}, {high:.3f})")
    return out


def probabilities(found: Calibration) -> list[str]:
    """Return the smallest probability of a distribution function, and that of everything together."""
    smallest, together = float(found["ecdf_p"].min()), float(found["p_value"].min())
    worst = found.isel(quantity=int(np.argmin(found["p_value"].to_numpy())))
    verdict = f" ({worst['quantity'].item()} {worst['verdict'].item()})" if worst["verdict"].item() else ""
    return [f"{smallest:.2g} of {found.sizes['quantity']}", f"{together:.2g}{verdict}"]


def engine_of(model: hr.Model) -> str:
    """Return what the description of a model calls its engine."""
    lines = [line.strip() for line in str(model.describe()).splitlines()]
    engine = next((line.removeprefix("engine: ") for line in lines if line.startswith("engine: ")), "")
    return engine.partition(" (")[0]


def cpu_seconds() -> float:
    """Return the processor time of this process and of those that it has ended."""
    import resource

    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


if __name__ == "__main__":
    begin = time.monotonic()
    main(sys.argv[1:])
    print(f"\n{time.monotonic() - begin:.0f} s", file=sys.stderr)
