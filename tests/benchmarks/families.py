"""Responses that are not normal: error and cost of quadrature by nodes, and effective draws per CPU second.

python -m tests.benchmarks.families [--case NAME] [--draws 1000] [--seeds 1] [--adaptive] [--cold]
python -m tests.benchmarks.families --nodes          # adaptive quadrature by number of nodes
python -m tests.benchmarks.families --tables         # fixed nodes by groups and their rows
python -m tests.benchmarks.families --bambi [--case NAME]   # bambi beside, in this environment (extra ``bench``)
python -m tests.benchmarks.families --million        # 10^6 rows in 10^4 groups, seconds and memory

Tables: like the contraception survey of R's mlmRev (1,934 women in 102 districts; generated, with its sizes), with
intercepts, and with slopes of urban; 20,000 yes/no rows in 500 groups with slopes; counts in 118 broods; 2,000 rows in
100 groups with Student t errors, whose effects NUTS samples and importance sampling integrates out; the answers of
verbal aggression, persons and items crossed; the 403 counts of grouseticks with all its factors. *Error* is the sd of
the difference to a rule of 6 more nodes on each axis, over 24 draws of the normal approximation at the posterior mode:
a constant changes nothing. ``--adaptive`` does without tables at fixed nodes. CPU seconds are those of all threads;
kernels are loaded, and what compiling them takes, once per installation, is measured with ``--cold`` in processes of
their own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from contextlib import nullcontext
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

import hierreg as hr
from tests.benchmarks.cold import process
from tests.benchmarks.measure import peak_memory
from tests.benchmarks.table import text_table
from tests.benchmarks.worker import ROOT


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


def chicks() -> pd.DataFrame:
    """Return lme4's grouseticks: 403 counts of ticks by chick, brood and location."""
    table = hr.load_dataset("grouseticks").rename(columns=str.lower)
    height = (table["height"] - table["height"].mean()) / table["height"].std(ddof=0)
    return table.assign(height=height, year=table["year"].map("year {}".format))


def answers() -> pd.DataFrame:
    """Return 7,584 answers of 316 persons to 24 items, y = 1 for yes and perhaps."""
    table = hr.load_dataset("verbagg")
    return table.assign(y=(table["r2"] == "Y").astype(int))


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
    "ticks, nested": ("ticks ~ year + height + (1 | brood) + (1 | location) + (1 | index)", hr.Poisson(), chicks),
    "Student t, intercepts": ("y ~ x + (1 | g)", hr.StudentT(), far_out),
    "Student t, slopes": ("y ~ x + (1 + x | g)", hr.StudentT(), far_out),
    "20,000 rows, 500 groups": ("y ~ x + (1 + x | g)", hr.Bernoulli(), lambda: many(20_000, 500)),
    "verbal aggression, crossed": ("y ~ btype + situ + mode + (1 | id) + (1 | item)", hr.Bernoulli(), answers),
}
# Of several factors, which no quadrature takes.
_SEVERAL = "verbal aggression, crossed", "ticks, nested"
HEADER = ["table", "by", "compile s", "CPU s", "ESS", "ESS / CPU s", "compiling counted", "divergences", "how"]
_FIRST = """
import time
import hierreg as hr
from tests.benchmarks.families import CASES, many
formula, family, table = CASES[{name!r}]
model = hr.Model(formula, table() if "rows" not in {name!r} else many(4000, 100), family=family)
begin = time.process_time()
model.sample(draws=20, tune=20, seed=1, progress=False, method={method!r})
first = time.process_time() - begin
begin = time.process_time()
model.sample(draws=20, tune=20, seed=1, progress=False, method={method!r})
import sys
print(first - (time.process_time() - begin), file=sys.stderr)
"""


def by_nodes(name: str) -> list[list[str]]:
    """Return a row for each number of nodes: error, and milliseconds of CPU for a value and gradient."""
    from hierreg.model.family.estimation import limit, starts_of_chains
    from hierreg.model.family.rules import at_mode
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
        rows.append([name, str(n), f"{error:.1e}", f"{_milliseconds(one, mode.u):.3g}"])
    return rows


def by_tables(groups: int, rows: int) -> list[list[str]]:
    """Return a row for each number of fixed nodes: error, and milliseconds beside those of adaptive quadrature."""
    from hierreg.likelihood.node_tables.density import NodeTableTarget
    from hierreg.likelihood.node_tables.error import edge_of, error_of
    from hierreg.likelihood.node_tables.table import maps_of_groups, places_of_nodes, tabulated
    from hierreg.likelihood.quadrature.engine import QuadratureLikelihood
    from hierreg.model.family.estimation import limit, starts_of_chains
    from hierreg.model.family.rules import at_mode
    from hierreg.sampling.signed import coordinates

    problem = hr.Model("y ~ x + (1 + x | g)", many(rows * groups, groups), family=hr.Bernoulli()).problem
    target, mode = at_mode(problem, starts_of_chains(problem, limit(problem)[1]), 1)
    rng = np.random.default_rng(1)
    points = mode.u + rng.standard_normal((24, len(mode.u))) @ mode.scale.T
    finer, likelihood = target.with_nodes(9), target.likelihood
    assert isinstance(likelihood, QuadratureLikelihood)
    among, far = ((one, finer.values(one)) for one in (points, edge_of(mode.u, mode.scale)))
    maps = maps_of_groups(likelihood)
    assert maps is not None
    places = places_of_nodes(target, maps, mode.u, points)
    assert places is not None
    by_three = _milliseconds(target, mode.u)
    zero = "yes" if coordinates(target, mode) is not None else "no"
    out = []
    for n in (5, 6, 7, 9, 11, 15):
        one = NodeTableTarget(
            parameters=target.parameters, population=target.population, table=tabulated(likelihood, maps, *places, n)
        )
        error, took = error_of(one, among, far, threads=1), _milliseconds(one, mode.u)
        shown = [f"{groups} x {rows}", zero, str(n), f"{error.sd:.1e}", f"{error.far:.1e}"]
        out.append([*shown, f"{took:.3g}", f"{by_three / took:.0f}"])
    return out


def _milliseconds(target: Any, at: Any) -> float:
    target(at)
    begin, count = time.process_time(), 0
    while count < 3 or time.process_time() - begin < 0.2:
        target(at)
        count += 1
    return 1e3 * (time.process_time() - begin) / count


def compiling_seconds(name: str) -> float:
    """Return the CPU seconds that the first posterior takes more than the second, with nothing compiled."""
    with tempfile.TemporaryDirectory(prefix="hierreg-cold-") as folder:
        said = process(ROOT, _FIRST.format(name=name, method="nuts"), NUMBA_CACHE_DIR=folder)[1]
    return float(said.splitlines()[-1])


def ours(  # what is measured, and how
    name: str, method: str, draws: int, *, adaptive: bool = False, compiling: float = float("nan"), seed: int = 1
) -> list[str]:
    """Return what a posterior takes."""
    formula, family, table = CASES[name]
    data = table()
    begin = time.process_time()
    with mock.patch("hierreg.model.family.rules.tables_of", _no_tables) if adaptive else nullcontext():
        tree = hr.Model(formula, data, family=family).sample(draws=draws, seed=seed, progress=False, method=method)
    cpu = time.process_time() - begin
    ess = float(np.nanmin(hr.summary(tree)["ess_bulk"]))
    stats, how = tree["sample_stats"], tree.attrs["engine"]
    divergences = int(stats["diverging"].sum()) if "diverging" in stats else 0
    if "quadrature_error" in stats.attrs:
        how += f", {stats.attrs['quadrature_nodes']} nodes, error {stats.attrs['quadrature_error']:.1e}"
    return line(name, f"hierreg, {method}", compiling, cpu, ess, divergences, how)


def line(  # the columns
    name: str, by: str, compiling: float, cpu: float, ess: float, divergences: int, how: str
) -> list[str]:
    """Return a row of the table; cpu without compiling."""
    together = ess / (cpu + compiling)
    numbers = [f"{compiling:.1f}", f"{cpu:.1f}", f"{ess:.0f}", f"{ess / cpu:.3g}", f"{together:.3g}", f"{divergences}"]
    return [name, by, *numbers, how]


def _no_tables(*_: Any) -> tuple[None, None]:
    return None, None


def million(rows: int = 10**6, groups: int = 10**4, draws: int = 250) -> str:
    """Return what the full posterior of a large table takes."""
    small = hr.Model("y ~ x + (1 + x | g)", many(4000, 100), family=hr.Bernoulli())
    small.sample(draws=20, seed=1, progress=False)
    table = many(rows, groups)
    out = []
    for what in ("laplace", "nuts"):
        begin = time.process_time(), time.perf_counter()
        with peak_memory() as memory:
            model = hr.Model("y ~ x + (1 + x | g)", table, family=hr.Bernoulli())
            found = (
                model.estimate("laplace") if what == "laplace" else model.sample(draws=draws, seed=1, progress=False)
            )
        cpu, wall = time.process_time() - begin[0], time.perf_counter() - begin[1]
        shown = f"{what}: {cpu:.1f} CPU s, {wall:.1f} s, {memory['above']:.0f} MiB above the table"
        if what == "nuts":
            stats = found["sample_stats"]
            shown += (
                f"; 4 x {draws} draws, least bulk ESS {float(np.nanmin(hr.summary(found)['ess_bulk'])):.0f}, "
                f"{found.attrs['engine']}, {stats.attrs['quadrature_nodes']} nodes, error "
                f"{stats.attrs['quadrature_error']:.1e}; until all draws of the parameters "
                f"{found.attrs['sampling_time']:.0f} s"
            )
        out.append(shown)
        print(shown, file=sys.stderr, flush=True)
    return "\n".join(out)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", action="store_true", help="error and cost by number of nodes")
    parser.add_argument("--tables", action="store_true", help="error and cost of fixed nodes by groups and their rows")
    parser.add_argument("--million", action="store_true", help="a million rows")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--methods", default="nuts,psis", help="of hierreg; '' for none")
    parser.add_argument("--seeds", type=int, default=1, help="posteriors of each method, of seeds from one on")
    parser.add_argument("--adaptive", action="store_true", help="without tables at fixed nodes")
    parser.add_argument("--cold", action="store_true", help="measure what compiling takes")
    parser.add_argument("--bambi", action="store_true", help="bambi too")
    parser.add_argument("--length", default="2,300,300", help="chains, draws and warm-up of bambi")
    parser.add_argument("--case", action="append", choices=list(CASES))
    options = parser.parse_args()
    names = options.case or list(CASES)
    warnings.simplefilter("ignore")
    if options.million:
        print(million())
        return
    if options.nodes:
        rows = [row for name in names if name not in _SEVERAL for row in by_nodes(name)]
        print(text_table(["table", "nodes on each axis", "error (sd)", "ms a gradient"], rows))
        return
    if options.tables:
        rows = [row for groups in (30, 100, 500) for n in (4, 12, 40) for row in by_tables(groups, n)]
        header = ["groups x rows", "sds may be zero", "nodes on each axis", "error (sd)", "3 sds away", "ms", "gain"]
        print(text_table(header, rows))
        return
    jobs: list[Any] = []
    for name in names:
        if options.methods:
            formula, family, table = CASES[name]
            hr.Model(formula, table(), family=family).sample(draws=50, seed=1, progress=False)
        cold = compiling_seconds(name) if options.cold else float("nan")
        methods = [one for one in options.methods.split(",") if one and (one == "nuts" or name not in _SEVERAL)]
        jobs += [
            partial(ours, name, one, options.draws, adaptive=options.adaptive, compiling=cold, seed=seed)
            for one in methods
            for seed in range(1, options.seeds + 1)
        ]
        if options.bambi:
            from tests.benchmarks.bambi_families import bambis

            length = tuple(int(number) for number in options.length.split(","))
            jobs += [partial(bambis, name, sampler, length) for sampler in ("nutpie", "pymc")]
    out = []
    for job in jobs:
        out.append(job())
        print("  ".join(out[-1]), file=sys.stderr, flush=True)
    print(text_table(HEADER, out))


if __name__ == "__main__":
    main()
