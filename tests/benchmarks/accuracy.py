"""Errors of quadrature by number of nodes, of shipped tables and a hard case: the table of notebooks/engines.md.

python -m tests.benchmarks.accuracy [--case herds]

*Error* is the sd of the difference of the log density to a rule of 6 more nodes on each axis, over 24 draws of the
normal approximation at the posterior mode: a constant changes nothing. The other columns are differences of maximum
likelihood to that with 41 nodes: of minus twice the log likelihood, of standard deviations (relative, the largest), and
of coefficients (in their standard errors, the largest). Searches with too few nodes do not end, and count where they
stop.
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import hierreg as hr
from tests.benchmarks.table import text_table

NODES, EXACT = (1, 3, 5, 7, 9, 15), 41


def pairs() -> pd.DataFrame:
    """Return two yes/no answers of each of 300 persons who differ much: the hardest case of Laplace's approximation."""
    rng = np.random.default_rng(8)
    g, x = np.repeat(np.arange(300), 2), np.tile([0.0, 1.0], 300)
    eta = -0.5 + x + 3.0 * rng.standard_normal(300)[g]
    return pd.DataFrame({"y": (rng.random(600) < 1 / (1 + np.exp(-eta))).astype(int), "x": x, "g": g})


CASES: dict[str, tuple[str, Any, Any]] = {
    "herds": (
        "cbind(incidence, size - incidence) ~ period + (1 | herd)",
        hr.Binomial(),
        partial(hr.load_dataset, "cbpp"),
    ),
    "women": (
        "use ~ age + I(age**2) + livch + urban + (1 + urban | district)",
        hr.Bernoulli(),
        partial(hr.load_dataset, "contraception"),
    ),
    "ticks": ("TICKS ~ YEAR + (1 | BROOD)", hr.Poisson(), partial(hr.load_dataset, "grouseticks")),
    "pairs": ("y ~ x + (1 | g)", hr.Bernoulli(), pairs),
}


def over_the_posterior(model: hr.Model) -> list[float]:
    """Return the error of the log density for each number of nodes."""
    from hierreg.model.family.estimation import limit, starts_of_chains
    from hierreg.model.family.rules import at_mode

    problem: Any = model.problem
    _, found = limit(problem)
    target, mode = at_mode(problem, starts_of_chains(problem, found), 1)
    rng = np.random.default_rng(1)
    points = mode.u + rng.standard_normal((24, len(mode.u))) @ mode.scale.T
    return [float(np.std(target.with_nodes(n).values(points) - target.with_nodes(n + 6).values(points))) for n in NODES]


def rows(name: str) -> list[list[str]]:
    """Return a row for each number of nodes."""
    formula, family, table = CASES[name]
    model = hr.Model(formula, table(), family=family)
    exact = model.estimate("quadrature", nodes=EXACT)
    (factor,) = exact.sd
    out = []
    for n, error in zip(NODES, over_the_posterior(model), strict=True):
        e = model.estimate("quadrature", nodes=n)
        sd = float(np.max(np.abs(e.sd[factor] / exact.sd[factor] - 1)))
        beta = float(np.max(np.abs(e.beta - exact.beta) / exact.beta_se))
        out.append([name, str(n), f"{error:.1e}", f"{e.criterion - exact.criterion:.1e}", f"{sd:.1e}", f"{beta:.1e}"])
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=list(CASES))
    warnings.simplefilter("ignore")
    header = ["table", "nodes on each axis", "error (sd)", "criterion", "sd, relative", "beta, in se"]
    print(text_table(header, [row for name in parser.parse_args().case or CASES for row in rows(name)]))


if __name__ == "__main__":
    main()
