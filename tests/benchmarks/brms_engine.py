"""brms: the posterior by Stan, through Rscript."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.benchmarks.data import Case
from tests.benchmarks.measure import Measured, convergence
from tests.benchmarks.worker import EngineError, run

SCRIPT = Path(__file__).with_name("brms_fit.R")


def measure(case: Case, csv: Path, scratch: Path, *, timeout: float) -> Measured:
    """Return brms's posterior on a case, compilation apart."""
    import pandas as pd

    rscript = shutil.which("Rscript")
    if rscript is None:
        raise EngineError("Rscript is not on the path")
    probe = subprocess.run(
        [rscript, "-e", 'quit(status = !requireNamespace("brms", quietly = TRUE))'],
        capture_output=True,
        check=False,
    )
    if probe.returncode != 0:
        raise EngineError("brms is not installed in R")
    out, draws_csv = scratch / f"brms-{case.name}.json", scratch / f"brms-{case.name}-draws.csv"
    whole = run([rscript, "--vanilla", str(SCRIPT), str(csv), case.formula, str(out), str(draws_csv)], timeout=timeout)
    answer = json.loads(out.read_text(encoding="utf-8"))
    table = pd.read_csv(draws_csv)
    chains = table[".chain"].nunique()
    draws = {
        name: table.sort_values([".chain", ".draw"])[name].to_numpy().reshape(chains, -1)
        for name in table.columns
        if not name.startswith(".")
    }
    return Measured(
        engine="brms",
        case=case.name,
        note=f"brms {answer['version']}, rstan {answer['rstan']}",
        total_seconds=answer["compile"] + answer["sample"],
        compile_seconds=answer["compile"],
        cpu_seconds=answer["cpu"],
        fresh_seconds=whole,
        divergences=int(answer["divergences"]),
        gradients_kept=int(answer["steps"]),
        **convergence(draws),
    )
