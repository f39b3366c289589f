"""lme4's lmer: REML, through Rscript."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.benchmarks.data import Case
from tests.benchmarks.measure import Measured
from tests.benchmarks.worker import EngineError, run

SCRIPT = Path(__file__).with_name("lme4_fit.R")


def measure(case: Case, csv: Path, scratch: Path, *, timeout: float) -> Measured:
    """Return lme4's REML on a case; the time is lmer's own, without starting R and reading the table."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise EngineError("Rscript is not on the path")
    out = scratch / f"lme4-{case.name}.json"
    whole = run([rscript, "--vanilla", str(SCRIPT), str(csv), case.formula, case.group, str(out)], timeout=timeout)
    answer = json.loads(out.read_text(encoding="utf-8"))
    *group_sds, error_sd = answer["sd"]
    note = f"lme4 {answer['version']}, R {answer['r']}, BLAS {answer['blas']}"
    return Measured(
        engine="lme4",
        case=case.name,
        note="; ".join(filter(None, [note, answer["message"]])),
        estimate_seconds=answer["seconds"],
        cpu_seconds=answer["cpu"],
        fresh_seconds=whole,
        values={
            **{f"beta[{i}]": value for i, value in enumerate(answer["beta"])},
            **{f"sd[{i}]": value for i, value in enumerate(group_sds)},
            "error_sd": error_sd,
            "criterion": answer["criterion"],
        },
    )
