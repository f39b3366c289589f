"""Gradients for an effective draw: nutpie's own steps beside those that `hierreg.sampling.trajectories` chooses.

python -m tests.benchmarks.trajectories [name ...] [--seeds 12]

No timing. 4 x 1,000 draws of the variance parameters, medians over seeds: gradients of kept draws for each of them, and
of warm-up; the smallest bulk and tail effective size; gradients with and without warm-up for an effective draw of the
bulk; divergences in all. *Before* has an acceptance probability of 0.8, or 0.9 where standard deviations may be zero,
and 300 draws of warm-up.
"""

from __future__ import annotations

import argparse
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from arviz_stats.base.array import array_stats

import hierreg as hr
from hierreg.exceptions import HierregWarning
from hierreg.likelihood.posterior import Target
from hierreg.sampling import nuts
from tests.benchmarks.data import CASES, table_of
from tests.benchmarks.table import text_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from hierreg.sampling.approximation import Mode

DRAWS, CHAINS = 1000, 4
_WAYS = {"before": {"default_accept": (0.8, 0.9, 0.9), "tune": 300}, "now": {"tune": None}}


def groups(n: int, q: int) -> hr.Model:
    """Return a model of n groups of six rows with q coefficients each, no two groups alike."""
    rng = np.random.default_rng(n + q)
    g = np.repeat(np.arange(n), 6)
    columns = rng.standard_normal((2, len(g)))
    b = rng.standard_normal((q, n))[:, g] * np.array([1.0, 0.6, 0.5])[:q, None]
    y = 2.0 - 0.7 * columns[0] + b[0] + (b[1:] * columns[: q - 1]).sum(axis=0) + rng.standard_normal(len(g))
    table = pd.DataFrame({"x": columns[0], "z": columns[1], "g": g, "y": y})
    return hr.Model(f"y ~ x + ({' + '.join(['1', 'x', 'z'][:q])} | g)", table)


def firms(*names: str) -> hr.Model:
    """Return the investments of firms, each with coefficients of its own, whose errors are correlated."""
    table = hr.load_dataset("grunfeld")
    table = table[table["firm"].isin(names)] if names else table
    return hr.Model("invest ~ 0 + firm + firm:value + firm:capital", table, errors=hr.correlated("firm", unit="year"))


def _cases() -> dict[str, Callable[[], hr.Model]]:
    load, model = hr.load_dataset, hr.Model
    return {
        "sleepstudy": lambda: model("Reaction ~ Days + (Days | Subject)", load("sleepstudy")),
        "20,000 rows, 500 groups": lambda: model(CASES["b"].formula, table_of(CASES["b"])),
        "two firms": lambda: firms("General Electric", "Westinghouse"),
        "all firms": firms,
        "q = 1, 30 groups": lambda: groups(30, 1),
        "q = 2, 120 groups": lambda: groups(120, 2),
        "q = 3, 60 groups": lambda: groups(60, 3),
        "q = 3, 4,000 groups": lambda: groups(4000, 3),
        "orthodont, q = 3": lambda: model("distance ~ age + (age + I(age**2) | Subject)", load("orthodont")),
        "dyestuff": lambda: model("Yield ~ 1 + (1 | Batch)", load("dyestuff")),
        "eight schools": lambda: model("effect ~ 1 + (1 | school)", load("eight_schools"), errors=hr.known_se("se")),
        "160 schools": lambda: model("MathAch ~ SES * Sector + (SES | School)", load("math_achieve")),
    }


def measured(target: Target, mode: Mode, way: str, seeds: int) -> list[str]:
    """Return a row of the table."""
    found = []
    for seed in range(1, seeds + 1):
        settings = nuts.Settings(draws=DRAWS, chains=CHAINS, seed=seed, cores=1, progress=False, **_WAYS[way])
        chains = nuts.sample_chains(target, mode, settings)
        bulk = np.min(array_stats.ess(chains.u, chain_axis=0, draw_axis=1))
        tail = np.min(array_stats.ess(chains.u, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95)))
        kept, diverged = int(chains.stats["n_steps"].sum()), int(chains.stats["diverging"].sum())
        found.append((kept, chains.n_warmup_steps, bulk, tail, diverged))
    kept, warm_up, bulk, tail, _ = np.median(found, axis=0)
    figures = (f"{kept / (DRAWS * CHAINS):.2f}", f"{warm_up:,.0f}", f"{bulk:,.0f}", f"{tail:,.0f}")
    return [*figures, f"{kept / bulk:.2f}", f"{(kept + warm_up) / bulk:.2f}", str(sum(one[4] for one in found))]


def main() -> None:
    """Print the table of the models whose names contain one of the names given, or of all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.trajectories")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=12)
    options = parser.parse_args()
    rows = []
    for name, make in _cases().items():
        if options.names and not any(part in name for part in options.names):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HierregWarning)
            problem = make().problem
            target = Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))
            mode = nuts.find_mode(target)
        rows += [[name, way, *measured(target, mode, way, options.seeds)] for way in _WAYS]
    header = ["model", "", "gradients/draw", "warm-up", "bulk", "tail", "gradients/bulk", "with warm-up", "div."]
    print(text_table(header, rows))


if __name__ == "__main__":
    main()
