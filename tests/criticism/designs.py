"""Designs of which right and wrong data are simulated: what the model is, and how one thing in the data is not it.

Each makes a table from a generator of random numbers and the name of a fault, and the model that is fitted to it, which
has no fault where the name is "none".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import hierreg as hr

type Rng = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A design.

    Attributes
    ----------
    make : function
        (generator, fault) -> table, and arguments of the model.
    faults : dict
        The check that is to see each fault.
    options : dict
        Arguments of `hierreg.check`.
    has_estimate : bool
        Whether an estimate is looked at too, or a posterior alone.
    """

    make: Callable[[Rng, str], tuple[pd.DataFrame, dict[str, object]]]
    faults: dict[str, str]
    options: dict[str, str]
    has_estimate: bool = True


def errors(rng: Rng, series: np.ndarray, stratum: np.ndarray, fault: str) -> np.ndarray:
    """Return errors of standard deviation one, or with a fault; rows of a series follow each other in time."""
    n = len(series)
    e = rng.standard_normal(n)
    if fault == "heavy tails":
        return rng.standard_t(3, n) / np.sqrt(3.0)
    if fault == "unequal variances":
        return e * np.where(stratum == "b", 2.0, 1.0)
    if fault == "dependence in time":
        for i in range(1, n):
            if series[i] == series[i - 1]:
                e[i] = 0.5 * e[i - 1] + np.sqrt(0.75) * e[i]
    return e


def sleepstudy_like(rng: Rng, fault: str) -> tuple[pd.DataFrame, dict[str, object]]:
    """18 subjects of 10 days, lines that differ; 180 rows."""
    J, n = 18, 10
    subject, day = np.repeat(np.arange(J), n), np.tile(np.arange(n), J)
    stratum = np.where(rng.permuted(np.tile(["a", "b"], J * n // 2)) == "a", "a", "b")
    b = rng.standard_normal((J, 2)) * [25.0, 6.0]
    if fault == "an outlying group":
        b[4] += [120.0, -30.0]
    y = 250 + 10 * day + b[subject, 0] + b[subject, 1] * day + 25 * errors(rng, subject, stratum, fault)
    if fault == "curvature":
        y = y + 1.2 * (day - 4.5) ** 2
    table = pd.DataFrame({"y": y, "day": day, "stratum": stratum, "subject": [f"s{j:02d}" for j in subject]})
    formula = "y ~ day + (1 | subject)" if fault == "a missed slope" else "y ~ day + (day | subject)"
    return table, {"formula": formula}


def schools_like(rng: Rng, fault: str) -> tuple[pd.DataFrame, dict[str, object]]:
    """160 schools of 8 to 24 pupils, with a predictor of pupils and one of schools; about 2,560 rows."""
    J = 160
    school = np.repeat(np.arange(J), rng.integers(8, 25, J))
    n = len(school)
    ses = rng.standard_normal(n) + 0.5 * rng.standard_normal(J)[school]
    sector = np.where(np.arange(J) % 3 == 0, "x", "z")[school]
    stratum = np.where(rng.random(n) < 0.5, "a", "b")
    b = rng.standard_normal((J, 2)) * [2.0, 0.0]
    if fault == "a missed slope":
        b[:, 1] = 1.2 * rng.standard_normal(J)
    if fault == "an outlying group":
        b[7, 0] += 12.0
    if fault == "heavy tails of groups":
        b[:, 0] = 2.0 * rng.standard_t(3, J) / np.sqrt(3.0)
    y = 12 + 2 * ses + b[school, 0] + b[school, 1] * ses + 1.5 * (sector == "x")
    y = y + 6 * errors(rng, school, stratum, fault)
    if fault == "curvature":
        y = y + 0.5 * ses**2
    if fault == "another effect between groups":
        y = y + 2.0 * (np.bincount(school, ses) / np.bincount(school))[school]
    columns = {"y": y, "ses": ses, "sector": sector, "stratum": stratum, "time": np.arange(n)}
    table = pd.DataFrame(columns | {"school": [f"s{j:03d}" for j in school]})
    return table, {"formula": "y ~ ses + sector + (1 | school)"}


def penicillin_like(rng: Rng, fault: str) -> tuple[pd.DataFrame, dict[str, object]]:
    """24 plates crossed with 6 samples, with a predictor; 144 rows."""
    plate, sample = np.repeat(np.arange(24), 6), np.tile(np.arange(6), 24)
    x, stratum = rng.standard_normal(144), np.where(rng.permuted(np.tile(["a", "b"], 72)) == "a", "a", "b")
    of_plate, of_sample = 0.8 * rng.standard_normal(24), 1.9 * rng.standard_normal(6)
    slope = 0.5 * rng.standard_normal(24) if fault == "a missed slope" else np.zeros(24)
    if fault == "an outlying group":
        of_plate[3] += 5.0
    y = 23 + 0.5 * x + of_plate[plate] + of_sample[sample] + slope[plate] * x
    y = y + 0.55 * errors(rng, plate, stratum, fault)
    if fault == "curvature":
        y = y + 0.2 * x**2
    columns = {"y": y, "x": x, "stratum": stratum, "place": sample}
    table = pd.DataFrame(columns | {"plate": plate.astype(str), "sample": list(map("abcdef".__getitem__, sample))})
    return table, {"formula": "y ~ x + (1 | plate) + (1 | sample)"}


def two_data_sets_like(rng: Rng, fault: str) -> tuple[pd.DataFrame, dict[str, object]]:
    """Two data sets over 90 units, errors correlated, 20 groups of units; some units lack one: about 170 rows."""
    U = 90
    unit, which = np.repeat(np.arange(U), 2), np.tile(np.arange(2), U)
    group = (unit * 20) // U
    x, stratum = rng.standard_normal(2 * U), np.where(rng.random(2 * U) < 0.5, "a", "b")
    tails = rng.standard_t(3, (U, 2)) / np.sqrt(3.0) if fault == "heavy tails" else rng.standard_normal((U, 2))
    e = (tails @ np.array([[1.0, 0.7], [0.0, np.sqrt(0.51)]])).ravel() * np.array([1.0, 1.5])[which]
    if fault == "unequal variances":
        e = e * np.where(stratum == "b", 2.0, 1.0)
    if fault == "dependence in time":
        for i in range(2, 2 * U):
            e[i] = 0.5 * e[i - 2] + np.sqrt(0.75) * e[i]
    b = rng.standard_normal(20)
    slope = 0.9 * rng.standard_normal(20) if fault == "a missed slope" else np.zeros(20)
    if fault == "an outlying group":
        b[5] += 6.0
    y = which + (1 + slope[group]) * x + b[group] + e
    if fault == "curvature":
        y = y + 0.4 * x**2
    names = np.where(which == 0, "one", "two")
    table = pd.DataFrame(
        {"y": y, "x": x, "stratum": stratum, "set": names, "unit": unit, "group": [f"g{j:02d}" for j in group]}
    )
    table = table[rng.random(2 * U) > 0.06]
    structure = hr.by("set") if fault == "missed correlation" else hr.correlated("set", unit="unit")
    return table, {"formula": "y ~ set + x + (1 | group)", "errors": structure}


def counts_like(rng: Rng, fault: str) -> tuple[pd.DataFrame, dict[str, object]]:
    """Counts of 25 groups of 12 rows: Poisson, of mean three."""
    group = np.repeat(np.arange(25), 12)
    x, b = rng.standard_normal(300), rng.standard_normal((25, 2)) * [0.5, 0.0]
    if fault == "a missed slope":
        b[:, 1] = 0.4 * rng.standard_normal(25)
    if fault == "an outlying group":
        b[3, 0] += 3.0
    eta = 1 + b[group, 0] + (0.4 + b[group, 1]) * x + (0.25 * x**2 if fault == "curvature" else 0.0)
    mean = np.exp(eta) * (rng.gamma(2.0, 0.5, 300) if fault == "more spread than the family" else 1.0)
    table = pd.DataFrame({"y": rng.poisson(mean), "x": x, "group": group.astype(str), "time": np.arange(300)})
    return table, {"formula": "y ~ x + (1 | group)", "family": hr.Poisson()}


_USUAL = {
    "heavy tails": "tails",
    "unequal variances": "spread",
    "dependence in time": "order",
    "an outlying group": "outlying_groups",
    "a missed slope": "slopes",
    "curvature": "curvature",
}
DESIGNS = {
    "sleepstudy": Design(make=sleepstudy_like, faults=_USUAL, options={"time": "day"}),
    "160 schools": Design(
        make=schools_like,
        faults=_USUAL | {"heavy tails of groups": "group_tails", "another effect between groups": "between"},
        options={"time": "time"},
    ),
    "penicillin": Design(make=penicillin_like, faults=_USUAL, options={"time": "place"}),
    "two data sets": Design(
        make=two_data_sets_like, faults=_USUAL | {"missed correlation": "units"}, options={"time": "unit"}
    ),
    "counts": Design(
        make=counts_like,
        faults={
            "more spread than the family": "dispersion",
            "an outlying group": "outlying_groups",
            "a missed slope": "slopes",
            "curvature": "curvature",
        },
        options={"time": "time"},
        has_estimate=False,
    ),
}


def checked(name: str, fault: str, seed: int, *, replicates: int = 499, posterior: bool = False) -> pd.DataFrame:
    """Return what is said of one simulated table."""
    design = DESIGNS[name]
    table, arguments = design.make(np.random.default_rng([seed, 77]), fault)
    model = hr.Model(data=table, **arguments)
    options = {"unit": "unit"} if fault == "missed correlation" else design.options
    is_estimate = design.has_estimate and not posterior
    result = model.estimate() if is_estimate else model.sample(draws=250, seed=seed, method="psis", progress=False)
    return hr.check(result, model, replicates=replicates, seed=seed, **options).to_pandas().set_index("check")
