"""bambi: the posterior as its users get it, with PyMC's sampler and with nutpie, in a process of its own."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.benchmarks.data import WARM_UP
from tests.benchmarks.worker import Task, available_cores, serve

if TYPE_CHECKING:
    import pandas as pd

    from tests.benchmarks.data import Case
    from tests.benchmarks.measure import Measured

SEED = 1


def parameters(case: Case) -> list[str]:
    """Return bambi's names of population coefficients and variance parameters; it fits no correlation."""
    return ["Intercept", case.slope, f"1|{case.group}_sigma", f"{case.slope}|{case.group}_sigma", "sigma"]


def fit_and_print(task: Task, case: Case, table: pd.DataFrame) -> Any:
    """Do what is timed: from formula and table to the printed summary."""
    import arviz_stats
    import bambi as bmb

    begin = time.perf_counter()
    model = bmb.Model(case.formula, table)
    tree = model.fit(
        draws=task.draws,
        chains=4,
        # PyMC counts half of the cores by default, taking them for hardware threads; hierreg takes all.
        cores=available_cores(),
        inference_method=task.variant,
        random_seed=SEED,
        progressbar=False,
    )
    # PyMC's clock of the sampler alone starts after it has compiled.
    sampling = float(tree["posterior"].attrs["sampling_time"])
    tree.attrs["outside_sampler"] = time.perf_counter() - begin - sampling
    print(arviz_stats.summary(tree, var_names=parameters(case)))
    return tree


def warm(task: Task, case: Case) -> Measured:
    """Time the posterior with everything loaded and the compiler's caches filled by a small model."""
    import pandas as pd

    from tests.benchmarks.measure import Measured, convergence, cpu_clock, peak_memory, scalar_draws

    fit_and_print(replace(task, draws=50), WARM_UP, pd.read_csv(task.warm_up_csv))
    table = pd.read_csv(task.csv)
    with peak_memory() as memory:
        begin, cpu = time.perf_counter(), cpu_clock()
        tree = fit_and_print(task, case, table)
        seconds, cpu_seconds = time.perf_counter() - begin, cpu_clock() - cpu
    stats = tree["sample_stats"].dataset
    return Measured(
        engine="bambi",
        variant=task.variant,
        case=case.name,
        note="no correlation of group coefficients",
        total_seconds=seconds,
        compile_seconds=float(tree.attrs["outside_sampler"]),
        cpu_seconds=cpu_seconds,
        divergences=int(stats["diverging"].sum()),
        peak_mib=memory["above"],
        gradients_kept=int(stats["n_steps"].sum()) if "n_steps" in stats else None,
        **convergence(scalar_draws(tree["posterior"].dataset, parameters(case))),
    )


if __name__ == "__main__":
    serve(imports=("pandas", "bambi"), fit_and_print=fit_and_print, warm=warm)
