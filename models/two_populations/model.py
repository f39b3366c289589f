"""Patients of whom some respond to a treatment and the others do not, simulated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import hierreg as hr

FORMULA = "score ~ week + (week | patient)"
WEEKS = np.arange(9)
# Share that responds, score at the beginning, change a week of both kinds, sd of errors.
TRUTH = {"share": 0.35, "level": 24.0, "responders": -1.8, "others": -0.2, "error_sd": 2.5}
# Of level and change a week within a kind.
SD = (3.0, 0.5)
SEED, PATIENTS = 20_264, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A simulated table, and which patients (J,) respond."""

    table: pd.DataFrame
    responds: np.ndarray


@cache
def trial(*, two: bool = True) -> Trial:
    """Return scores of 60 patients in nine weeks.

    Parameters
    ----------
    two : bool
        False: one normal population, whose changes a week have the mean and sd that those of the two have together.
    """
    rng = np.random.default_rng(SEED)
    responds = rng.random(PATIENTS) < TRUTH["share"]
    b = rng.standard_normal((PATIENTS, 2)) * SD
    change = np.where(responds, TRUTH["responders"], TRUTH["others"])
    if not two:
        b[:, 1] *= np.sqrt(1 + change.var() / SD[1] ** 2)
        change = np.full(PATIENTS, change.mean())
    score = TRUTH["level"] + b[:, :1] + (change + b[:, 1])[:, None] * WEEKS
    score += TRUTH["error_sd"] * rng.standard_normal(score.shape)
    names = [f"p{j:02}" for j in range(1, PATIENTS + 1)]
    table = pd.DataFrame(
        {
            "score": score.ravel().round(1),
            "week": np.tile(WEEKS, PATIENTS),
            "patient": np.repeat(names, len(WEEKS)),
        }
    )
    return Trial(table=table, responds=responds)


def data() -> Any:
    """Return 540 scores: 60 patients in nine weeks."""
    return trial().table


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return straight lines of patients from two populations."""
    table = trial().table if data is None else data
    return hr.Model(FORMULA, table, priors=priors, effects={"patient": hr.Mixture(2)})


def one_population(data: Any = None) -> hr.Model:
    """Return straight lines of patients from one normal population."""
    return hr.Model(FORMULA, trial().table if data is None else data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """Maximum likelihood of two populations of lines.

    Attributes
    ----------
    weight : array (2,)
    mean : array (2, 2)
        Level and change a week, by component.
    cov : array (2, 2)
        Within a component, without the errors of the lines.
    error_sd, criterion : float
    probability : array (J, 2)
    """

    weight: np.ndarray
    mean: np.ndarray
    cov: np.ndarray
    error_sd: float
    criterion: float
    probability: np.ndarray


def by_em() -> Mixed:
    """Return the maximum of the likelihood by expectation and maximisation, in its simplest form.

    All patients were seen in the same weeks. So each patient's own line c_j and what is left around it are all that
    there is: c_j ~ sum_k w_k N(m_k, S) with S = Sigma + error_sd^2 (Z'Z)^-1, and the rest is chi-square.
    """
    y = data()["score"].to_numpy().reshape(PATIENTS, len(WEEKS))
    Z = np.column_stack([np.ones(len(WEEKS)), WEEKS])
    ZtZ = Z.T @ Z
    line = y @ np.linalg.pinv(Z).T
    rest, n = float(np.sum((y - line @ Z.T) ** 2)), y.size - line.size
    steep = line[:, 1] < np.median(line[:, 1])
    p = np.column_stack([steep, ~steep]).astype(float)
    value, before = -np.inf, -np.inf
    while not value - before < 1e-12:
        before = value
        weight = p.mean(axis=0)
        mean = (p.T @ line) / p.sum(axis=0)[:, None]
        about = line[:, None] - mean  # (patient, component, 2)
        S = np.einsum("jk,jka,jkb->ab", p, about, about) / PATIENTS
        log_p = np.log(weight) - 0.5 * np.einsum("jka,ab,jkb->jk", about, np.linalg.inv(S), about)
        each = np.logaddexp.reduce(log_p, axis=1)
        value = float(each.sum()) - 0.5 * PATIENTS * np.linalg.slogdet(2 * np.pi * S)[1]
        p = np.exp(log_p - each[:, None])
    variance = rest / n
    value += -0.5 * n * np.log(2 * np.pi * variance) - 0.5 * n - 0.5 * PATIENTS * np.linalg.slogdet(ZtZ)[1]
    cov = S - variance * np.linalg.inv(ZtZ)
    return Mixed(weight=weight, mean=mean, cov=cov, error_sd=variance**0.5, criterion=-2 * float(value), probability=p)
