"""Responses that are not normal: error and cost of quadrature by nodes, and effective draws per CPU second.

python -m tests.benchmarks.families [--nodes] [--draws 1000] [--bambi] [--large]

Tables: like the contraception survey of R's mlmRev (1,934 women in 102 districts; generated, with its sizes), with
intercepts, and with slopes of urban; 20,000 yes/no rows in 500 groups with slopes; counts in 118 broods; 2,000 rows in
100 groups with Student t errors, whose effects NUTS samples and importance sampling integrates out. *Error* is the
sd of the difference to a rule of 6 more nodes on each axis, over 24 draws of the normal approximation at the posterior
mode: a constant changes nothing. ``--bambi`` fits the same formulas with bambi, noncentered, by nutpie's sampler and by
PyMC's, in this environment (the extra ``bench``). CPU seconds are those of all threads; kernels are loaded.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import hierreg as hr
from tests.benchmarks.table import text_table


def contraception() -> pd.DataFrame:
    """Return yes/no answers of women by district, age, children and urban."""
    rng = np.random.default_rng(5)
    sizes = rng.multinomial(1934 - 2 * 102, rng.dirichlet(np.full(102, 1.5))) + 2
    district = np.repeat(np.arange(102), sizes)
    urban = (rng.random(1934) < 0.3).astype(float)
    age, kids = rng.normal(0, 9, 1934), rng.integers(0, 4, 1934)
    b = rng.multivariate_normal([0, 0], [[0.38, -0.4], [-0.4, 0.65]], 102)
    eta = -1.7 + 0.8 * urban - 0.027 * age + 1.1 * (kids > 0) + b[district, 0] + b[district, 1] * urban
    use = rng.random(1934) < 1 / (1 + np.exp(-eta))
    kids_text = np.array(["none", "one", "two", "three"])[kids]
    return pd.DataFrame({"use": use.astype(int), "urban": urban, "age": age, "kids": kids_text, "district": district})


def many(rows: int, groups: int) -> pd.DataFrame:
    """Return yes/no rows of groups with intercepts and slopes."""
    rng = np.random.default_rng(6)
    g, x = np.sort(rng.integers(0, groups, rows)), rng.standard_normal(rows)
    b = rng.standard_normal((groups, 2)) * [1.0, 0.5]
    eta = -0.5 + 0.7 * x + b[g, 0] + b[g, 1] * x
    return pd.DataFrame({"y": (rng.random(rows) < 1 / (1 + np.exp(-eta))).astype(int), "x": x, "g": g})


def broods() -> pd.DataFrame:
    """Return counts of ticks like those of lme4's grouseticks: 403 chicks of 118 broods."""
    rng = np.random.default_rng(7)
    brood = np.sort(np.concatenate([np.arange(118), rng.integers(0, 118, 403 - 118)]))
    height = rng.standard_normal(118)[brood]
    eta = 0.4 - 0.85 * height + 0.95 * rng.standard_normal(118)[brood]
    return pd.DataFrame({"ticks": rng.poisson(np.exp(eta)), "height": height, "brood": brood})


def far_out() -> pd.DataFrame:
    """Return 2,000 rows of 100 groups with intercepts and slopes, and Student t errors of three degrees of freedom."""
    rng = np.random.default_rng(8)
    g, x = np.repeat(np.arange(100), 20), rng.standard_normal(2000)
    b = rng.standard_normal((100, 2)) * [0.8, 0.3]
    y = 1.0 + 0.5 * x + b[g, 0] + b[g, 1] * x + 0.7 * rng.standard_t(3, 2000)
    return pd.DataFrame({"y": y, "x": x, "g": g})


CASES: dict[str, tuple[str, Any, Any]] = {
    "contraception, intercepts": ("use ~ age + urban + kids + (1 | district)", hr.Bernoulli(), contraception),
    "contraception, slopes": ("use ~ age + urban + kids + (1 + urban | district)", hr.Bernoulli(), contraception),
    "ticks by brood": ("ticks ~ height + (1 | brood)", hr.Poisson(), broods),
    "Student t, intercepts": ("y ~ x + (1 | g)", hr.StudentT(), far_out),
    "Student t, slopes": ("y ~ x + (1 + x | g)", hr.StudentT(), far_out),
    "20,000 rows, 500 groups": ("y ~ x + (1 + x | g)", hr.Bernoulli(), lambda: many(20_000, 500)),
}
_BAMBI = {"Bernoulli": "bernoulli", "Poisson": "poisson", "StudentT": "t"}


def by_nodes(name: str) -> list[list[str]]:
    """Return a row for each number of nodes: error, and milliseconds of CPU for a value and gradient."""
    from hierreg.model.family.estimation import limit, starts_of_chains
    from hierreg.model.family.posterior import at_mode
    from hierreg.problem.family import with_quadrature

    formula, family, table = CASES[name]
    problem = with_quadrature(hr.Model(formula, table(), family=family).problem)
    _, found = limit(problem)
    target, mode = at_mode(problem, starts_of_chains(problem, found), 1)
    rng = np.random.default_rng(1)
    points = mode.u + rng.standard_normal((24, len(mode.u))) @ mode.scale.T
    rows = []
    for n in (1, 3, 5, 7, 9):
        one = target.with_nodes(n)
        error = np.std(one.values(points) - target.with_nodes(n + 6).values(points))
        begin, count = time.process_time(), 0
        while count < 3 or time.process_time() - begin < 0.5:
            one(mode.u)
            count += 1
        milliseconds = 1e3 * (time.process_time() - begin) / count
        rows.append([name, str(n), f"{error:.1e}", f"{milliseconds:.3g}"])
    return rows


def ours(name: str, method: str, draws: int) -> list[str]:
    """Return what a posterior takes."""
    formula, family, table = CASES[name]
    data = table()
    begin = time.process_time(), time.perf_counter()
    tree = hr.Model(formula, data, family=family).sample(draws=draws, seed=1, progress=False, method=method)
    cpu, wall = time.process_time() - begin[0], time.perf_counter() - begin[1]
    ess = float(np.nanmin(hr.summary(tree)["ess_bulk"]))
    stats = tree["sample_stats"]
    divergences = int(stats["diverging"].sum()) if "diverging" in stats else 0
    nodes = stats.attrs.get("quadrature_nodes")
    rule = "sampled" if nodes is None else f"{nodes}, error {stats.attrs['quadrature_error']:.1e}"
    return [
        name,
        f"hierreg, {method}",
        f"{cpu:.1f}",
        f"{wall:.1f}",
        f"{ess:.0f}",
        f"{ess / cpu:.0f}",
        f"{divergences}",
        rule,
    ]


def bambis(name: str, sampler: str, draws: int) -> list[str]:
    """Return what the same posterior takes bambi, compilation included."""
    import arviz_stats
    import bambi

    formula, family, table = CASES[name]
    data = table()
    begin = time.process_time(), time.perf_counter()
    model = bambi.Model(formula, data, family=_BAMBI[type(family).__name__])
    method = "nutpie" if sampler == "nutpie" else "mcmc"
    options = {} if method == "mcmc" else {"inference_method": "nutpie"}
    tree = model.fit(draws=draws, chains=4, random_seed=1, progressbar=False, **options)
    cpu, wall = time.process_time() - begin[0], time.perf_counter() - begin[1]
    posterior = tree["posterior"].to_dataset()
    kept = [v for v in posterior.data_vars if "|" not in v or v.endswith("_sigma")]
    ess = min(float(arviz_stats.ess(posterior[[v]]).to_array().min()) for v in kept)
    divergences = int(tree["sample_stats"]["diverging"].sum())
    return [
        name,
        f"bambi, {sampler}",
        f"{cpu:.1f}",
        f"{wall:.1f}",
        f"{ess:.0f}",
        f"{ess / cpu:.1f}",
        f"{divergences}",
        "",
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", action="store_true", help="error and cost by number of nodes")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--bambi", action="store_true")
    parser.add_argument("--large", action="store_true", help="also 20,000 rows with bambi")
    parser.add_argument("--case", action="append", choices=list(CASES))
    options = parser.parse_args()
    names = options.case or list(CASES)
    warnings.simplefilter("ignore")
    if options.nodes:
        rows = [row for name in names for row in by_nodes(name)]
        print(text_table(["table", "nodes on each axis", "error (sd)", "ms a gradient"], rows))
    for name in names:
        hr.Model(CASES[name][0], CASES[name][2](), family=CASES[name][1]).sample(draws=50, seed=1, progress=False)
    jobs: list[Any] = [partial(ours, name, method, options.draws) for name in names for method in ("nuts", "psis")]
    if options.bambi:
        peers = [name for name in names if options.large or not name.startswith("20,000")]
        jobs += [partial(bambis, name, sampler, options.draws) for name in peers for sampler in ("nutpie", "pymc")]
    out = []
    for job in jobs:
        out.append(job())
        print("  ".join(out[-1]), file=sys.stderr, flush=True)
    print(text_table(["table", "by", "CPU s", "s", "ESS", "ESS / CPU s", "divergences", "nodes"], out))


if __name__ == "__main__":
    main()
