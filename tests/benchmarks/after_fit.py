"""Seconds of everything that is asked of a fit, written as text where it is a report, with few and with many groups.

python -m tests.benchmarks.after_fit [--groups 160 20000] [--draws 1000] [--repeats 3]

160 groups are the schools of the High School and Beyond survey (7,185 rows, `MathAch ~ SES * Sector + (SES | School)`);
other numbers a table of ten rows a group with the same formula. The smallest of the repeats, one process, kernels
compiled. What needs the draws of all coefficients is blank where there are only their summaries.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd

import hierreg as hr
from hierreg.exceptions import HierregError
from tests.benchmarks.table import text_table

if TYPE_CHECKING:
    from collections.abc import Callable

FORMULA = "MathAch ~ SES * Sector + (SES | School)"
SCHOOLS = 160
# Groups for which a likelihood without each of them is evaluated.
_MOST_LEFT_OUT = 1000


def students(groups: int) -> pd.DataFrame:
    """Return the survey, or a table of that many groups."""
    if groups == SCHOOLS:
        return hr.load_dataset("math_achieve")
    rng = np.random.default_rng(groups)
    school = np.repeat(np.arange(groups), 10)
    ses, public = rng.standard_normal(len(school)), (np.arange(groups) % 2 == 0)[school]
    b = rng.standard_normal((2, groups))[:, school] * [[2.5], [0.5]]
    score = 13 - 2.5 * public + (2.8 - 1.3 * public) * ses + b[0] + b[1] * ses + 6 * rng.standard_normal(len(school))
    return pd.DataFrame(
        {"MathAch": score, "SES": ses, "Sector": np.where(public, "Public", "Catholic"), "School": school}
    )


def asked(model: hr.Model, tree: Any, estimate: Any, data: pd.DataFrame, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return what is timed, by name."""
    some = data.iloc[:: max(1, len(data) // 1000)]
    new = some.assign(School="another")
    out: dict[str, Callable[[], Any]] = {
        "summary(tree)": lambda: str(hr.summary(tree)),
        "summary(estimate)": lambda: str(hr.summary(estimate)),
        "correlations(tree)": lambda: str(hr.correlations(tree)),
        "shrinkage(tree)": lambda: str(hr.shrinkage(tree)),
        "ranks(tree)": lambda: str(hr.ranks(tree, k=16)),
        "r2(tree)": lambda: str(hr.r2(tree)),
        "table({...})": lambda: str(hr.table({"REML": estimate, "Bayes": tree})),
        "contrasts(tree, ...)": lambda: str(hr.contrasts(tree, {"at 1": {"Intercept": 1, "SES": 1}})),
        "predict, 1,000 rows, draws": lambda: hr.predict(model, some, at=tree),
        "predict, 1,000 rows, closed form": lambda: hr.predict(model, some, at=estimate),
        "predict, population": lambda: hr.predict(model, some, at=tree, level="population"),
        "predict, a new group": lambda: hr.predict(model, new, at=estimate, level="new group"),
        "comparisons(tree, ...)": lambda: str(hr.comparisons(model, tree, "Sector")),
        "slopes(tree, ...)": lambda: str(hr.slopes(model, tree, "SES", by="Sector")),
        "means(tree, ...)": lambda: str(hr.means(model, tree, "Sector")),
        "t_tests(estimate), Satterthwaite": lambda: str(hr.t_tests(estimate)),
        "intervals(estimate), profile": lambda: str(hr.intervals(estimate)),
        "residuals(estimate)": lambda: hr.residuals(estimate),
        "save and load": lambda: hr.load(hr.save(tree, folder / "tree.nc")),
        "plots.shrinkage": lambda: drawn(hr.plots.shrinkage(tree)),
        "plots.caterpillar": lambda: drawn(hr.plots.caterpillar(tree, coef="SES")),
        "plots.ranks": lambda: drawn(hr.plots.ranks(tree, "SES")),
        "plots.lines": lambda: drawn(hr.plots.lines(tree, "SES", by="Sector", groups=False)),
        "report": lambda: hr.report(tree, folder / "page.html"),
    }
    if len(model.problem.labels.factors[0].levels) <= _MOST_LEFT_OUT:
        out["loo(tree, by='School')"] = lambda: hr.loo(tree, by="School")
    return out


def drawn(figure: Any) -> None:
    """Draw a figure, and forget it."""
    import matplotlib.pyplot as plt

    figure.canvas.draw()
    plt.close(figure)


def seconds(groups: int, draws: int, repeats: int) -> tuple[float, dict[str, float]]:
    """Return what the posterior takes, and everything that is asked of it."""
    data = students(groups)
    model = hr.Model(FORMULA, data)
    estimate = model.estimate()
    begin = time.perf_counter()
    tree = model.sample(draws=draws, seed=1, progress=False)
    sampled, found = time.perf_counter() - begin, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, ask in asked(model, tree, estimate, data, Path(folder)).items():
            times = []
            with suppress(HierregError):
                for _ in range(repeats):
                    begin = time.perf_counter()
                    ask()
                    times.append(time.perf_counter() - begin)
                found[name] = min(times)
    return sampled, found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.after_fit")
    parser.add_argument("--groups", type=int, nargs="*", default=[SCHOOLS, 20_000])
    parser.add_argument("--draws", type=int, default=1000, help="of each of four chains")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    mpl.use("Agg")
    warnings.simplefilter("ignore")
    found = [seconds(groups, options.draws, options.repeats) for groups in options.groups]
    names = list(dict.fromkeys(name for _, times in found for name in times))
    rows = [[f"sample, 4 x {options.draws} draws", *(f"{sampled:.2f}" for sampled, _ in found)]]
    rows += [[name, *(f"{times[name]:.3f}" if name in times else "" for _, times in found)] for name in names]
    print(text_table(["asked", *(f"{groups:,} groups, s" for groups in options.groups)], rows))


if __name__ == "__main__":
    main()
