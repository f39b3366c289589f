"""statsmodels' MixedLM: REML, timed in a process of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.benchmarks.data import WARM_UP
from tests.benchmarks.worker import Task, serve

if TYPE_CHECKING:
    import pandas as pd

    from tests.benchmarks.data import Case
    from tests.benchmarks.measure import Measured


def fit_and_print(task: Task, case: Case, table: pd.DataFrame) -> Any:
    """Do what is timed: from formula and table to the printed summary."""
    import statsmodels.formula.api as smf

    population = case.formula.split(" + (")[0]
    model = smf.mixedlm(population, table, groups=table[case.group], re_formula=f"~{case.slope}")
    result = model.fit(reml=True)
    print(result.summary())
    return result


def warm(task: Task, case: Case) -> Measured:
    """Time REML with everything loaded."""
    import pandas as pd

    from tests.benchmarks.measure import Measured, cpu_clock, peak_memory

    fit_and_print(task, WARM_UP, pd.read_csv(task.warm_up_csv))
    table = pd.read_csv(task.csv)
    with peak_memory() as memory:
        begin, cpu = time.perf_counter(), cpu_clock()
        result = fit_and_print(task, case, table)
        seconds, cpu_seconds = time.perf_counter() - begin, cpu_clock() - cpu
    covariance = result.cov_re.to_numpy()
    return Measured(
        engine="statsmodels",
        case=case.name,
        note="" if result.converged else "did not converge",
        estimate_seconds=seconds,
        cpu_seconds=cpu_seconds,
        estimate_peak_mib=memory["above"],
        values={
            "beta[0]": float(result.fe_params.iloc[0]),
            "beta[1]": float(result.fe_params.iloc[1]),
            "sd[0]": float(covariance[0, 0] ** 0.5),
            "sd[1]": float(covariance[1, 1] ** 0.5),
            "error_sd": float(result.scale**0.5),
        },
    )


if __name__ == "__main__":
    serve(imports=("pandas", "statsmodels.formula.api"), fit_and_print=fit_and_print, warm=warm)
