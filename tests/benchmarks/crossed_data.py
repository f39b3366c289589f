"""A table of the size of lme4's InstEval: students rate lecturers, who belong to departments; all three crossed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.data import Case

if TYPE_CHECKING:
    import pandas as pd

TRUTH = {"Intercept": 3.2, "service": -0.07, "s": 0.33, "d": 0.52, "dept": 0.10, "error_sd": 1.18}

INSTEVAL = Case(
    name="d",
    description="crossed, of the size of InstEval",
    formula="y ~ service + (1 | s) + (1 | d) + (1 | dept)",
    group="s",
    slope="service",
    rows=73_421,
    groups=2_972,
    seed=20_263,
    draws=150,
)


def evaluations(rows: int, students: int, lecturers: int, departments: int, seed: int) -> pd.DataFrame:
    """Return ratings y of lecturers d by students s in departments dept.

    Lecturers are rated unequally often (gamma shares), six of ten times by students of their own department; service
    courses belong to other departments than the lecturer's now and then.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    home_of_lecturer = rng.integers(0, departments, lecturers)
    home_of_student = rng.integers(0, departments, students)
    share = rng.gamma(0.7, 1.0, lecturers) + 1e-3
    s = np.concatenate([np.arange(students), rng.integers(0, students, rows - students)])
    d = rng.choice(lecturers, rows, p=share / share.sum())
    at_home = rng.random(rows) < 0.6
    for k in range(departments):
        own = np.flatnonzero(home_of_lecturer == k)
        here = np.flatnonzero(at_home & (home_of_student[s] == k))
        if len(own):
            d[here] = rng.choice(own, len(here), p=share[own] / share[own].sum())
    d[:lecturers] = np.arange(lecturers)
    dept = np.where(rng.random(rows) < 0.8, home_of_lecturer[d], rng.integers(0, departments, rows))
    service = rng.integers(0, 2, rows)
    y = TRUTH["Intercept"] + TRUTH["service"] * service + TRUTH["error_sd"] * rng.standard_normal(rows)
    for name, index, n in (("s", s, students), ("d", d, lecturers), ("dept", dept, departments)):
        y += TRUTH[name] * rng.standard_normal(n)[index]
    text = {name: np.char.add(name, index.astype(str)) for name, index in (("s", s), ("d", d), ("dept", dept))}
    return pd.DataFrame({"y": y, "service": service, **text})


def insteval_like() -> pd.DataFrame:
    """Return the table of the benchmark: 73,421 rows, 2,972 x 1,128 x 14 levels."""
    return evaluations(INSTEVAL.rows, 2_972, 1_128, 14, INSTEVAL.seed)
