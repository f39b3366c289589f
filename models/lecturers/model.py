"""Ratings of lecturers by students in departments: three crossed factors, many levels, simulated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import hierreg as hr

FORMULA = "rating ~ service + (1 | student) + (1 | lecturer) + (1 | department)"
TRUTH = {
    "Intercept": 3.2,
    "service": -0.07,
    "student": 0.33,
    "lecturer": 0.52,
    "department": 0.10,
    "error_sd": 1.18,
}
SEED = 20_263
# Those of the table InstEval of lme4: rows, students, lecturers, departments.
SIZES = (73_421, 2_972, 1_128, 14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """A simulated table and the effects that made it: (levels,) by factor and level."""

    table: pd.DataFrame
    effects: dict[str, pd.Series]


def simulate(sizes: tuple[int, int, int, int] = SIZES, seed: int = SEED) -> Ratings:
    """Return ratings of lecturers by students, with the department that a course was given in.

    Lecturers are rated unequally often (gamma shares), six of ten times by students of their own department. Two of
    ten courses are given in any department instead of the lecturer's own.
    """
    rows, students, lecturers, departments = sizes
    rng = np.random.default_rng(seed)
    home_of_lecturer = rng.integers(0, departments, lecturers)
    home_of_student = rng.integers(0, departments, students)
    share = rng.gamma(0.7, 1.0, lecturers) + 1e-3
    student = np.concatenate([np.arange(students), rng.integers(0, students, rows - students)])
    lecturer = rng.choice(lecturers, rows, p=share / share.sum())
    at_home = rng.random(rows) < 0.6
    for k in range(departments):
        own = np.flatnonzero(home_of_lecturer == k)
        here = np.flatnonzero(at_home & (home_of_student[student] == k))
        if len(own):
            lecturer[here] = rng.choice(own, len(here), p=share[own] / share[own].sum())
    lecturer[:lecturers] = np.arange(lecturers)
    department = np.where(rng.random(rows) < 0.8, home_of_lecturer[lecturer], rng.integers(0, departments, rows))
    service = rng.integers(0, 2, rows)
    rating = TRUTH["Intercept"] + TRUTH["service"] * service + TRUTH["error_sd"] * rng.standard_normal(rows)
    columns, effects = {}, {}
    for name, prefix, index, n in (
        ("student", "s", student, students),
        ("lecturer", "d", lecturer, lecturers),
        ("department", "dept", department, departments),
    ):
        b = TRUTH[name] * rng.standard_normal(n)
        rating += b[index]
        columns[name] = np.char.add(prefix, index.astype(str))
        effects[name] = pd.Series(b, index=np.char.add(prefix, np.arange(n).astype(str)))
    return Ratings(table=pd.DataFrame({"rating": rating, "service": service, **columns}), effects=effects)


@cache
def simulated() -> Ratings:
    """Return the table of this model and its true effects."""
    return simulate()


def data() -> Any:
    """Return 73,421 ratings of 1,128 lecturers by 2,972 students in 14 departments."""
    return simulated().table


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return ``rating ~ service + (1 | student) + (1 | lecturer) + (1 | department)``."""
    return hr.Model(FORMULA, simulated().table if data is None else data, priors=priors)


def number_of_ratings() -> pd.Series:
    """Return how often each lecturer was rated, in the order of the true effects."""
    return data()["lecturer"].value_counts().reindex(simulated().effects["lecturer"].index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Equations:
    """Henderson's mixed-model equations: a sparse matrix, a right-hand side, and the place of each unknown."""

    C: Any
    rhs: np.ndarray
    places: dict[tuple[str, str], int]

    def solve(self, rhs: np.ndarray | None = None) -> np.ndarray:
        """Return the solution by conjugate gradients, to rounding."""
        from scipy.sparse import diags_array
        from scipy.sparse.linalg import cg

        x, failed = cg(self.C, self.rhs if rhs is None else rhs, rtol=1e-13, M=diags_array(1 / self.C.diagonal()))
        if failed:
            raise ArithmeticError(f"conjugate gradients did not converge in {failed} steps")
        return x

    def error_variance(self, factor: str, level: str) -> float:
        """Return the variance of the prediction error of one effect: a diagonal entry of the inverse."""
        unit = np.zeros(len(self.rhs))
        unit[self.places[factor, level]] = 1.0
        return float(self.solve(unit) @ unit)


def equations(sds: dict[str, float], error_sd: float) -> Equations:
    """Return the mixed-model equations of all 4,116 coefficients, entry by entry.

    References
    ----------
    Henderson (1975), Biometrics 31, section 5.
    """
    from scipy.sparse import csr_array, diags_array, hstack

    table = data()
    n = len(table)
    blocks: list[Any] = [csr_array(np.column_stack([np.ones(n), table["service"]]))]
    places = {("beta", "Intercept"): 0, ("beta", "service"): 1}
    precision = [0.0, 0.0]
    for name, sd in sds.items():
        code, levels = pd.factorize(table[name])
        blocks.append(csr_array((np.ones(n), (np.arange(n), code)), shape=(n, len(levels))))
        places |= {(name, str(level)): len(precision) + k for k, level in enumerate(levels)}
        precision += [sd**-2] * len(levels)
    W = hstack(blocks, format="csr")
    C = (W.T @ W) / error_sd**2 + diags_array(np.array(precision))
    return Equations(C=C, rhs=W.T @ table["rating"].to_numpy() / error_sd**2, places=places)
