"""Point fits by Laplace's approximation, with lme4's glmer (nAGQ = 1) and glmmTMB on the same tables: CPU seconds.

python -m tests.benchmarks.laplace [--case NAME] [--without lme4,glmmTMB] [--profile]

hierreg's time is from formula and table in memory to the estimate with its standard errors, kernels loaded, the least
of three; theirs is of the fit alone, of a table that R has read. CPU seconds of all threads. The log-likelihoods say
whether all found the same maximum.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import hierreg as hr
from tests.benchmarks.families import CASES
from tests.benchmarks.table import text_table

if TYPE_CHECKING:
    pass

_SCRIPT = Path(__file__).with_name("glmm_fit.R")
_FAMILIES = {"Bernoulli": "binomial", "Poisson": "poisson"}


def ours(name: str) -> tuple[float, float]:
    """Return CPU seconds and the log-likelihood."""
    formula, family, make = CASES[name]
    table, seconds = make(), []
    for _ in range(4):  # the first one loads kernels
        begin = time.process_time()
        found = hr.Model(formula, table, family=family).estimate("laplace")
        seconds.append(time.process_time() - begin)
    return min(seconds[1:]), -0.5 * found.criterion


def theirs(name: str, engine: str) -> tuple[float, float]:
    """Return the same of an R package; NaN where it does not run."""
    formula, family, make = CASES[name]
    table = make()
    with tempfile.TemporaryDirectory(prefix="hierreg-benchmark-") as folder:
        csv, out = Path(folder) / "table.csv", Path(folder) / "out.json"
        group_as_text = {
            column: table[column].map("g{}".format)
            for column in ("g", "district", "brood", "location", "index")
            if column in table
        }
        table.assign(**group_as_text).to_csv(csv, index=False)
        arguments = [str(csv), formula, _FAMILIES[type(family).__name__], engine, str(out)]
        done = subprocess.run(["Rscript", str(_SCRIPT), *arguments], capture_output=True, text=True, check=False)
        if not out.exists():
            sys.stderr.write(done.stderr)
            return float("nan"), float("nan")
        found = json.loads(out.read_text())
    return float(found["cpu"]), float(found["log_likelihood"])


def profile(name: str) -> None:
    """Print where hierreg's time goes."""
    import cProfile
    import pstats

    formula, family, make = CASES[name]
    table = make()
    hr.Model(formula, table, family=family).estimate("laplace")
    with cProfile.Profile(time.process_time) as found:
        hr.Model(formula, table, family=family).estimate("laplace")
    pstats.Stats(found).sort_stats("cumtime").print_stats(35)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--without", default="")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    lines = []
    for name in options.case or [name for name, (_, family, _) in CASES.items() if type(family).__name__ in _FAMILIES]:
        if options.profile:
            profile(name)
            continue
        mine = ours(name)
        line = [name, f"{mine[0]:.3f}"]
        values = [mine[1]]
        for engine in ("lme4", "glmmTMB"):
            found = (float("nan"),) * 2 if engine in options.without.split(",") else theirs(name, engine)
            line += [f"{found[0]:.2f}", f"{found[0] / mine[0]:.1f}"]
            values.append(found[1])
        lines.append([*line, ", ".join(f"{value:.3f}" for value in values)])
        print("  ".join(lines[-1]), file=sys.stderr, flush=True)
    header = ["table", "hierreg, CPU s", "lme4", "ratio", "glmmTMB", "ratio", "log-likelihoods"]
    print(text_table(header, lines))


if __name__ == "__main__":
    main()
