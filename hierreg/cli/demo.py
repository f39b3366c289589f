"""`hierreg demo`: two worked examples on real data."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hierreg.cli.report import print_tables, write_figures
from hierreg.datasets import load_dataset
from hierreg.design_matrices import stack
from hierreg.errors.structures import ErrorSpec, correlated
from hierreg.model import Model
from hierreg.results import save

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Example:
    name: str
    question: str
    formula: str
    data: Any
    errors: ErrorSpec | None


def demo(folder: Path, *, show_progress: bool) -> None:
    """Fit both examples, print their tables, and write figures and posteriors to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    print("The first run on a machine compiles the numerical kernels, once; later runs start in seconds.")
    for example in (_sleep(), _firms()):
        print(f"\n{'=' * 100}\n{example.question}\n\n  {example.formula}\n")
        model = Model(example.formula, example.data, errors=example.errors)
        begin = time.perf_counter()
        tree = model.sample(seed=1, progress=show_progress)
        print(f"4 chains of 1000 draws in {time.perf_counter() - begin:.1f} s")
        print_tables(tree)
        kept = save(tree, folder / f"{example.name}.nc")
        figures = write_figures(tree, folder, prefix=f"{example.name}-")
        print(f"\nWritten: {', '.join(str(path) for path in [kept, *figures])}")
    print(f"\nRead a posterior again with `hierreg report {kept}` or hr.load({str(kept)!r}).")


def _sleep() -> _Example:
    return _Example(
        name="sleepstudy",
        question="How much slower do people react per day without sleep, and how different are they?",
        formula="Reaction ~ Days + (Days | Subject)",
        data=load_dataset("sleepstudy"),
        errors=None,
    )


def _firms() -> _Example:
    firms = load_dataset("grunfeld")
    pair = {name: firms[firms["firm"] == name].drop(columns="firm") for name in ("General Electric", "Westinghouse")}
    return _Example(
        name="firms",
        question=(
            "Two data sets, paired by year, with correlated errors: how do General Electric and Westinghouse invest?"
        ),
        formula="invest ~ value + capital + (value + capital || dataset)",
        data=stack(pair, unit="year"),
        errors=correlated("dataset", unit="year"),
    )
