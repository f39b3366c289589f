"""A table of the size of lme4's InstEval, that of the worked model ``lecturers``, with short names of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.lecturers.model import SEED, SIZES, TRUTH, simulate
from tests.benchmarks.data import Case

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["INSTEVAL", "TRUTH", "evaluations", "insteval_like"]

NAMES = {"rating": "y", "student": "s", "lecturer": "d", "department": "dept"}

INSTEVAL = Case(
    name="d",
    description="crossed, of the size of InstEval",
    formula="y ~ service + (1 | s) + (1 | d) + (1 | dept)",
    group="s",
    slope="service",
    rows=SIZES[0],
    groups=SIZES[1],
    seed=SEED,
    draws=150,
)


def evaluations(rows: int, students: int, lecturers: int, departments: int, seed: int) -> pd.DataFrame:
    """Return ratings y of lecturers d by students s in departments dept."""
    return simulate((rows, students, lecturers, departments), seed).table.rename(columns=NAMES)


def insteval_like() -> pd.DataFrame:
    """Return the table of the benchmark: 73,421 rows, 2,972 x 1,128 x 14 levels."""
    return evaluations(*SIZES, SEED)
