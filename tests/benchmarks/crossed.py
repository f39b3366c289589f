"""Three crossed factors of the size of InstEval: lme4's REML, then hierreg's, and its posterior by NUTS and by PSIS.

python -m tests.benchmarks.crossed [--without nuts,psis,default,lme4] [--repeats 1] [--against COMMIT] [--quick]

Beside each time stand processor seconds, of all threads: on a machine with other work take the ratios of those. REML is
repeated in turn with lme4's, and with that of another commit in processes of its own; least and median are printed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks import lme4_engine
from tests.benchmarks.cold import process, trees
from tests.benchmarks.crossed_data import INSTEVAL, TRUTH, evaluations, insteval_like
from tests.benchmarks.measure import peak_memory
from tests.benchmarks.table import Target, target_table
from tests.benchmarks.worker import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

SEED = 1
# Draws that are worth 400 independent ones; warm-up is short because chains start at the mode, scaled by its Hessian.
NUTS = {"draws": 150, "tune": 100, "chains": 4}
PSIS = {"draws": 160, "chains": 4, "method": "psis"}
_REML = """
import json, sys, time
import hierreg as hr
from tests.benchmarks.crossed_data import INSTEVAL, insteval_like
table = insteval_like()
for _ in range(2):
    begin = time.process_time()
    hr.Model(INSTEVAL.formula, table).estimate("reml")
    seconds = time.process_time() - begin
print(json.dumps(seconds), file=sys.stderr)
"""
MOST = {"reml": 1 / 6, "nuts": 40.0, "psis": 2.0, "default": 20.0}


def main() -> None:
    """Run what the command line asks for and print a table of times, memory and effective samples."""
    import hierreg as hr

    options = _options()
    table = evaluations(4_000, 300, 60, 5, INSTEVAL.seed) if options.quick else insteval_like()
    levels = " x ".join(f"{table[name].nunique():,}" for name in ("s", "d", "dept"))
    print(f"{INSTEVAL.formula}: {len(table):,} rows, {levels} levels, seed {INSTEVAL.seed}, truth {TRUTH}\n")
    small = hr.Model(INSTEVAL.formula, evaluations(400, 40, 12, 3, 1))
    for arguments in ({"tune": 200}, {"method": "psis"}):  # compiles or loads all kernels
        small.sample(seed=1, progress=False, **arguments)
    model, lme4s, rows, others = hr.Model(INSTEVAL.formula, table), [], [], []
    with trees(options.against) as folders:
        for _ in range(options.repeats):
            lme4s += [] if "lme4" in options.without else [_lme4(table)]
            rows.append(_timed("reml", lambda: hr.Model(INSTEVAL.formula, table).estimate("reml")))
            others += (
                [json.loads(process(folders[options.against], _REML)[1].splitlines()[-1])] if options.against else []
            )
    lme4 = min((one for one in lme4s if one), key=lambda one: one["cpu"], default=None)
    for name, kept in (("lme4", [one["cpu"] for one in lme4s if one]), ("reml", [row["cpu"] for row in rows])):
        print(f"{name:>7} {_least_and_median(kept)}")
    if others:
        print(f"   reml {_least_and_median(others)} of {options.against}\n")
    targets = _report(min(rows, key=lambda row: row["cpu"]), lme4)
    for name, arguments in (("psis", PSIS), ("default", {}), ("nuts", NUTS)):
        if name not in options.without:
            row = _timed(name, lambda arguments=arguments: model.sample(seed=SEED, progress=False, **arguments))
            targets += _report(row, lme4)
    print(f"\n{target_table(targets)}")


def _least_and_median(seconds: list[float]) -> str:
    return f"least {min(seconds):.2f}, median {sorted(seconds)[len(seconds) // 2]:.2f} CPU s" if seconds else "not run"


def _report(row: dict[str, Any], lme4: dict[str, float] | None) -> list[Target]:
    """Print one line and return what it is held to."""
    ess, what = (None, row["result"].message) if row["name"] == "reml" else _effective(row["result"])
    times = f"{row['seconds']:8.1f} s {row['cpu']:8.1f} CPU s"
    print(f"{row['name']:>7} {times}  {row['mib']:6.0f} MiB above the table  {what}", flush=True)
    ratios = [(what, row[what] / lme4[what] if lme4 else None) for what in ("seconds", "cpu")]
    targets = [
        Target(what=f"{row['name']}: {what} / lme4's REML", value=ratio, bound=MOST[row["name"]], at_least=False)
        for what, ratio in ratios
    ]
    targets += [
        Target(what=f"{row['name']}: MiB", value=row["mib"], bound=2048.0, at_least=False),
    ]
    if ess is not None:
        targets.append(Target(what=f"{row['name']}: min bulk ESS", value=ess, bound=400.0, at_least=True))
    return targets


def _timed(name: str, run: Callable[[], Any]) -> dict[str, Any]:
    with peak_memory() as memory:
        begin, cpu = time.perf_counter(), time.process_time()
        result = run()
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    return {"name": name, "result": result, "seconds": seconds, "cpu": cpu, "mib": memory["above"]}


def _effective(tree: Any) -> tuple[float, str]:
    """Return the smallest bulk ESS of variance parameters and beta, at most what importance weights are worth."""
    import arviz_stats

    names = ["beta", "sd_s", "sd_d", "sd_dept", "error_sd"]
    table = arviz_stats.summary(tree, var_names=names, kind="diagnostics", round_to="none")
    ess, rhat = float(table["ess_bulk"].min()), float(table["r_hat"].max())
    stats = tree["sample_stats"].attrs
    if "resampled_ess" in stats:
        ess = min(ess, float(stats["resampled_ess"]))
        return ess, f"min ESS {ess:.0f}, Pareto k {float(stats['pareto_k']):.2f}, {stats['n_proposals']} proposals"
    steps = int(tree["sample_stats"]["n_steps"].sum())
    divergences = int(tree["sample_stats"]["diverging"].sum())
    return ess, (
        f"min ESS {ess:.0f}, R-hat {rhat:.3f}, {steps} gradients kept, {stats['warmup_steps']} in warm-up, "
        f"{divergences} divergences"
    )


def _lme4(table: pd.DataFrame) -> dict[str, float] | None:
    with tempfile.TemporaryDirectory(prefix="hierreg-benchmark-") as folder:
        csv = Path(folder) / "evaluations.csv"
        table.to_csv(csv, index=False)
        try:
            measured = lme4_engine.measure(replace(INSTEVAL, name="crossed"), csv, Path(folder), timeout=3600.0)
        except EngineError as error:
            print(f" lme4 no result: {error}")
            return None
    print(f" lme4 {measured.estimate_seconds:8.1f} s  {measured.values}; {measured.note}\n")
    return {"seconds": measured.estimate_seconds or 0.0, "cpu": measured.cpu_seconds or 0.0}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.crossed", description=__doc__)
    parser.add_argument("--without", default="", help="what to leave out: lme4, psis, default, nuts")
    parser.add_argument("--repeats", type=int, default=1, help="of REML")
    parser.add_argument("--against", help="commit whose REML is repeated beside this one's")
    parser.add_argument("--quick", action="store_true", help="a small table: tries the script only")
    options = parser.parse_args()
    options.without = options.without.split(",")
    return options


if __name__ == "__main__":
    main()
