"""Refits of sleepstudy under other priors: hr.sensitivity beside as many fits of bambi.

    python -m tests.benchmarks.sensitivity                       # 50 fits of hierreg
    python -m tests.benchmarks.sensitivity --bambi 5             # and 5 of bambi with nutpie, whose time is per fit too

Each fit is a posterior of 4 x 1,000 draws under half-normal priors of the group standard deviations whose scales are a
factor of 0.1 to 9.5 times 50 and 25. hierreg fits the correlation of intercepts and slopes too, which bambi has not.
A first fit of each, which compiles or loads kernels, is not counted.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.measure import cpu_clock

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

INTERCEPT, SLOPE = 50.0, 25.0
DRAWS = 1000


def timed(function: Callable[[], float]) -> tuple[float, float, float]:
    """Return seconds, processor seconds, and what a function returns."""
    begin, cpu = time.perf_counter(), cpu_clock()
    found = function()
    return time.perf_counter() - begin, cpu_clock() - cpu, found


def of_hierreg(table: pd.DataFrame, factors: list[float], method: str) -> float:
    """Return the last mean of the sd of intercepts, of a grid of fits."""
    import hierreg as hr

    priors = hr.Priors(sd={"Subject": {"Intercept": hr.HalfNormal(INTERCEPT), "Days": hr.HalfNormal(SLOPE)}})
    model = hr.Model("Reaction ~ Days + (Days | Subject)", table, priors=priors)
    grid = hr.sensitivity(model, scales={"sd_Subject": factors}, draws=DRAWS, seed=1, method=method)
    return float(grid["mean"].sel(quantity="sd_Subject[Intercept]")[-1])


def of_bambi(table: pd.DataFrame, factors: list[float]) -> float:
    """Return the last mean of the sd of intercepts, of as many fits."""
    import bambi as bmb

    mean = float("nan")
    for factor in factors:
        priors = {
            name: bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=factor * scale))
            for name, scale in (("1|Subject", INTERCEPT), ("Days|Subject", SLOPE))
        }
        model = bmb.Model("Reaction ~ Days + (Days | Subject)", table, priors=priors)
        tree = model.fit(draws=DRAWS, chains=4, cores=2, inference_method="nutpie", random_seed=1, progressbar=False)
        mean = float(tree["posterior"]["1|Subject_sigma"].mean())
    return mean


def main() -> None:
    """Time the fits, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=50)
    parser.add_argument("--bambi", type=int, default=0, help="fits of bambi")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import hierreg as hr

    table = hr.load_dataset("sleepstudy")

    def factors(n: int) -> list[float]:
        # The fit as given, factor one, is the first of a grid.
        return np.geomspace(0.1, 9.5, n).tolist()

    print(f"{'':24}{'fits':>6}{'wall s':>9}{'CPU s':>9}{'CPU s / fit':>13}{'last mean':>11}")
    for method in ("psis", "nuts"):
        of_hierreg(table, [0.5], method)
        line(f"hierreg, {method}", asked.fits, timed(lambda m=method: of_hierreg(table, factors(asked.fits - 1), m)))
    if asked.bambi:
        of_bambi(table, [1.0])
        line("bambi, nutpie", asked.bambi, timed(lambda: of_bambi(table, factors(asked.bambi))))


def line(name: str, fits: int, found: tuple[float, float, float]) -> None:
    """Print a line of the table."""
    wall, cpu, mean = found
    print(f"{name:24}{fits:6}{wall:9.2f}{cpu:9.2f}{cpu / fits:13.3f}{mean:11.2f}", flush=True)


if __name__ == "__main__":
    main()
