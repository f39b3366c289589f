"""hierreg: REML and the posterior, timed in a process of its own."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.benchmarks.data import WARM_UP
from tests.benchmarks.worker import Task, serve

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from tests.benchmarks.data import Case
    from tests.benchmarks.measure import Measured

SEED = 1


def parameters(case: Case) -> list[str]:
    """Return the names of the population coefficients and variance parameters in the tree."""
    return ["beta", f"sd_{case.group}", f"corr_{case.group}", "error_sd"]


def fit_and_print(task: Task, case: Case, table: pd.DataFrame) -> xr.DataTree:
    """Do what is timed: from formula and table to the printed summary."""
    import hierreg as hr

    model = hr.Model(case.formula, table)
    # A version without importance sampling does not know the argument.
    method = {"method": task.variant} if task.variant else {}
    tree = model.sample(
        draws=task.draws, chains=4, seed=SEED, progress=False, group_effects=case.group_effects, **method
    )
    print(hr.summary(tree))
    return tree


def warm(task: Task, case: Case) -> Measured:
    """Time REML and the posterior with everything loaded and compiled."""
    import pandas as pd

    import hierreg as hr
    from tests.benchmarks.measure import Measured, convergence, cpu_clock, peak_memory, scalar_draws

    small = pd.read_csv(task.warm_up_csv)
    hr.Model(WARM_UP.formula, small).estimate("reml")
    fit_and_print(replace(task, draws=50), WARM_UP, small)

    table = pd.read_csv(task.csv)
    estimate_seconds = []
    for repeat in range(task.repeats):
        with peak_memory() as memory:
            begin = time.perf_counter()
            reml = hr.Model(case.formula, table).estimate("reml")
            estimate_seconds.append(time.perf_counter() - begin)
        if repeat == 0:
            estimate_peak = memory["above"]
    del reml
    seconds, cpu_seconds = [], []
    for repeat in range(task.repeats):
        with peak_memory() as memory:
            begin, cpu = time.perf_counter(), cpu_clock()
            tree = fit_and_print(task, case, table)
            seconds.append(time.perf_counter() - begin)
            cpu_seconds.append(cpu_clock() - cpu)
        if repeat == 0:
            # Later repeats reuse memory that Python has kept, and would look smaller.
            posterior_peak = memory["above"]
    found = convergence(scalar_draws(tree["posterior"].dataset, parameters(case)))
    return Measured(
        engine="hierreg",
        variant=task.variant,
        case=case.name,
        estimate_seconds=median(estimate_seconds),
        total_seconds=median(seconds),
        compile_seconds=0.0,
        cpu_seconds=median(cpu_seconds),
        peak_mib=posterior_peak,
        estimate_peak_mib=estimate_peak,
        gradient_ms=gradient_milliseconds(hr.Model(case.formula, table)),
        repeats=task.repeats,
        **(found | sampler_statistics(tree["sample_stats"].dataset, found["min_ess"])),
    )


def sampler_statistics(stats: xr.Dataset, min_ess: float) -> dict[str, Any]:
    """Return the fields of `Measured` that a sampler reports of itself.

    The effective sample size of draws by importance sampling is at most what the sampler says that they are worth.
    """
    if "pareto_k" in stats.attrs:
        note = f"Pareto k {stats.attrs['pareto_k']:.2f}, {stats.attrs['n_proposals']} proposals"
        return {"min_ess": min(min_ess, stats.attrs["resampled_ess"]), "note": note}
    kept = int(stats["n_steps"].sum())
    return {
        "divergences": int(stats["diverging"].sum()),
        "gradients": kept + int(stats.attrs["warmup_steps"]),
        "gradients_kept": kept,
    }


def gradient_milliseconds(model: Any, *, at_least_seconds: float = 0.5) -> float:
    """Return milliseconds per value and gradient of the log posterior density, near its mode, one thread.

    The smallest of several batches: other work on the machine only ever adds.
    """
    from hierreg.estimate.starting_values import starting_point
    from hierreg.likelihood.crossed.blas_threads import blas_threads_for
    from hierreg.likelihood.posterior import Target

    problem = model.problem
    target = Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))
    u = starting_point(target.likelihood.gram, target.parameters)
    batch, times, begin = 1, [], time.perf_counter()
    with blas_threads_for(problem.gram):
        target(u)
        while time.perf_counter() - begin < at_least_seconds or len(times) < 3:
            start = time.perf_counter()
            for _ in range(batch):
                target(u)
            elapsed = time.perf_counter() - start
            times.append(elapsed / batch)
            if elapsed < 0.02:
                batch *= 2
    return 1000.0 * min(times)


if __name__ == "__main__":
    serve(imports=("pandas", "hierreg"), fit_and_print=fit_and_print, warm=warm)
