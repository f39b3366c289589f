"""What bambi takes for the same models, and PyMC for Student t effects, which bambi has not.

`tests.benchmarks.families --bambi` and `tests.benchmarks.heavy_tails --pymc` call these. Bambi's default priors,
noncentered as its default is. *Compile* is what the same with one chain of two draws takes, the model built from its
formula, done a second time.
"""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.benchmarks import families

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

# Chains, draws and warm-up.
SHORT = (2, 300, 300)
_FAMILIES = {"Bernoulli": "bernoulli", "Poisson": "poisson", "StudentT": "t"}


def cpu_seconds() -> float:
    """Return CPU seconds of this process and of children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def bambis(name: str, sampler: str, length: tuple[int, int, int] = SHORT) -> list[str]:
    """Return what a posterior takes bambi, with "nutpie" or "pymc"."""
    import bambi

    formula, family, table = families.CASES[name]
    data = table()
    for column in ("g", "district", "brood", "location", "index", "id", "item"):
        if column in data:
            data[column] = data[column].map("level {}".format)

    def fit(chains: int, draws: int, tune: int) -> Any:
        model = bambi.Model(formula, data, family=_FAMILIES[type(family).__name__])
        method = {"inference_method": "nutpie"} if sampler == "nutpie" else {"cores": 1}
        return model.fit(draws=draws, tune=tune, chains=chains, random_seed=1, progressbar=False, **method)

    def is_parameter(variable: str) -> bool:
        return variable != "p" and ("|" not in variable or variable.endswith("_sigma"))

    return measured(name, f"bambi, {sampler}", fit, is_parameter, length)


def student_t(data: pd.DataFrame, sampler: str, length: tuple[int, int, int] = SHORT) -> list[str]:
    """Return what Student t effects of groups take PyMC: the same model as hierreg's, noncentered, with its priors."""
    import hierreg as hr

    def fit(chains: int, draws: int, tune: int) -> Any:
        import pymc as pm

        model = hr.Model("y ~ x + (x | g)", data, effects={"g": hr.StudentT()}).to_pymc("noncentered")
        options: dict[str, Any] = {"nuts_sampler": sampler} | ({} if sampler == "nutpie" else {"cores": 1})
        with model:
            return pm.sample(draws=draws, tune=tune, chains=chains, random_seed=1, progressbar=False, **options)

    def is_parameter(variable: str) -> bool:
        return variable in {"beta", "scale_g", "corr_g", "nu_g", "error_sd"}

    return measured("Student t effects", f"PyMC, {sampler}", fit, is_parameter, length)


def measured(
    name: str,
    by: str,
    fit: Callable[[int, int, int], Any],
    is_parameter: Callable[[str], bool],
    length: tuple[int, int, int],
) -> list[str]:
    """Return a row of the table: compiling, and what a short run takes beyond it."""
    import arviz_stats

    fit(1, 2, 2)  # fills caches of compilers
    begin = cpu_seconds()
    fit(1, 2, 2)
    compiling = cpu_seconds() - begin
    begin = cpu_seconds()
    tree = fit(*length)
    cpu = max(cpu_seconds() - begin - compiling, 1e-3)
    posterior = tree["posterior"].to_dataset()
    values = [posterior[v] for v in posterior.data_vars if is_parameter(str(v))]
    flat = [one.to_numpy().reshape(*one.shape[:2], -1) for one in values]
    ess = min(float(arviz_stats.ess(one[..., i])) for one in flat for i in range(one.shape[2]) if np.ptp(one[..., i]))
    divergences = int(tree["sample_stats"]["diverging"].sum())
    return families.line(name, by, compiling, cpu, ess, divergences, "{} x {} draws after {}".format(*length))
