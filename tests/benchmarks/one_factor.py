"""Responses that are not normal, one grouping factor: what `Model.sample` takes, and the same by quadrature alone.

python -m tests.benchmarks.one_factor [--draws 500] [--only herds,rare]

For each table: the error of Laplace's approximation (sd over the posterior of the log density), which decides whether
all effects are sampled with the parameters; smallest bulk ESS of parameters, R-hat, divergences, CPU seconds with the
model and its point fit, kernels loaded.
"""

from __future__ import annotations

import argparse
import time
import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pandas as pd

import hierreg as hr
from hierreg.exceptions import HierregError
from hierreg.model.family import rules
from hierreg.model.family.estimation import limit, starts_of_chains
from hierreg.threads import available_cores
from tests.benchmarks.families import contraception
from tests.benchmarks.table import text_table

if TYPE_CHECKING:
    from collections.abc import Callable

ONE, TWO = "y ~ x + (1 | g)", "y ~ x + I(x**2) + (x | g)"
HERDS = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
USE = "use ~ age + urban + kids + "


def generated(
    groups: int, rows: int, sd: float, *, at: float = 0.0, counts: bool = False, slopes: bool = False
) -> pd.DataFrame:
    """Return rows of groups whose intercepts, and half as much their slopes, vary with a standard deviation."""
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(groups), rows), rng.standard_normal(groups * rows)
    b = sd * rng.standard_normal((groups, 2))
    eta = at + 0.3 * x + b[g, 0] + (0.5 * x * b[g, 1] if slopes else 0.0)
    y = rng.poisson(np.exp(eta)) if counts else (rng.random(len(g)) < 1 / (1 + np.exp(-eta))).astype(int)
    return pd.DataFrame({"y": y, "x": x, "g": g})


CASES: dict[str, tuple[str, Any, Callable[[], pd.DataFrame]]] = {
    "herds: 56 proportions of 15": (HERDS, hr.Binomial(), lambda: hr.load_dataset("cbpp")),
    "contraception-like, intercepts": (USE + "(1 | district)", hr.Bernoulli(), contraception),
    "contraception-like, slopes": (USE + "(1 + urban | district)", hr.Bernoulli(), contraception),
    "yes/no, 50 groups of 5": (ONE, hr.Bernoulli(), lambda: generated(50, 5, 1.0)),
    "yes/no, 30 groups of 2": (ONE, hr.Bernoulli(), lambda: generated(30, 2, 1.0)),
    "yes/no, rare, 100 groups of 5": (ONE, hr.Bernoulli(), lambda: generated(100, 5, 1.0, at=-4.0)),
    "yes/no, 40 groups of 20, slopes": (TWO, hr.Bernoulli(), lambda: generated(40, 20, 1.0, slopes=True)),
    "yes/no, 100 groups of 6, slopes": (TWO, hr.Bernoulli(), lambda: generated(100, 6, 1.5, slopes=True)),
    "yes/no, 150 groups of 2, sd 3": (ONE, hr.Bernoulli(), lambda: generated(150, 2, 3.0)),
    "counts, 30 groups of 8": (ONE, hr.Poisson(), lambda: generated(30, 8, 0.7, counts=True)),
    "counts, rare, 30 groups of 2": (ONE, hr.Poisson(), lambda: generated(30, 2, 1.0, at=-3.0, counts=True)),
    "counts, 200 groups of 1": (ONE, hr.Poisson(), lambda: generated(200, 1, 1.0, counts=True)),
    "dispersed counts, 30 groups of 20": (ONE, hr.NegativeBinomial(), lambda: generated(30, 20, 0.7, counts=True)),
}
HEADER = (
    "table",
    "Laplace's error",
    "by",
    "ESS",
    "R-hat",
    "divergences",
    "CPU s",
    "ESS a CPU s",
    "by quadrature alone",
)


def laplace_error(model: hr.Model) -> float:
    """Return the error of Laplace's approximation, sd over the posterior of the log density."""
    problem: Any = model.problem
    starts = starts_of_chains(problem, limit(problem)[1])
    return rules.choice(problem, starts, 1, available_cores()).rule.laplace_error


def sampled(formula: str, family: Any, data: pd.DataFrame, draws: int, *, alone: bool) -> list[str]:
    """Return engine, ESS, R-hat, divergences, CPU seconds, and ESS a CPU second."""
    with mock.patch.object(rules, "_NEARLY_NORMAL", -1.0) if alone else nullcontext():
        hr.Model(formula, data, family=family).sample(draws=20, tune=50, chains=1, seed=1, progress=False)
        begin = time.process_time()
        tree = hr.Model(formula, data, family=family).sample(draws=draws, seed=1, progress=False)
        cpu = time.process_time() - begin
    found = hr.summary(tree)
    ess, r_hat = float(np.nanmin(found["ess_bulk"])), float(np.nanmax(found["r_hat"]))
    n = int(tree["sample_stats"]["diverging"].sum())
    nodes = tree["sample_stats"].attrs.get("quadrature_nodes")
    engine = tree.attrs["engine"] + ("" if nodes is None else f", {nodes} nodes")
    return [engine, f"{ess:.0f}", f"{r_hat:.3f}", str(n), f"{cpu:.2f}", f"{ess / cpu:.3g}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--only", default="", help="parts of names, with commas")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name, (formula, family, table) in CASES.items():
        if not any(part in name for part in options.only.split(",")):
            continue
        data = table()
        error = f"{laplace_error(hr.Model(formula, data, family=family)):.2g}"
        own = sampled(formula, family, data, options.draws, alone=False)
        try:
            alone = sampled(formula, family, data, options.draws, alone=True)[-1]
        except HierregError as refused:
            alone = type(refused).__name__
        rows.append([name, error, *own, alone])
        print("  ".join(rows[-1]), flush=True)
    print(f"\n4 chains of {options.draws} draws\n\n{text_table(HEADER, rows)}")


if __name__ == "__main__":
    main()
