"""The three tables that every engine fits, from seeded generators with known parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Parameters of a generated table: y = beta[0] + beta[1] x + b[g, 0] + b[g, 1] x + e.

    Attributes
    ----------
    beta : (float, float)
        Population intercept and slope.
    sd : (float, float)
        Standard deviations of b between groups.
    corr : float
        Correlation of b[:, 0] and b[:, 1].
    error_sd : float
    """

    beta: tuple[float, float]
    sd: tuple[float, float]
    corr: float
    error_sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One table and the model that is fitted to it.

    Attributes
    ----------
    name : str
    description : str
    formula : str
        In lme4's notation, which bambi and brms read too.
    group : str
        Column of the groups.
    slope : str
        Column whose slope varies between groups.
    rows, groups : int
    truth : Truth or None
        None for real data.
    seed : int
    draws : int
        Kept draws per chain of hierreg.
    group_effects : str
        What hierreg keeps of the group coefficients, see `Model.sample`.
    """

    name: str
    description: str
    formula: str
    group: str
    slope: str
    rows: int
    groups: int
    truth: Truth | None = None
    seed: int = 0
    draws: int = 1000
    group_effects: str = "auto"


_TRUTH = Truth(beta=(2.0, -0.7), sd=(1.0, 0.5), corr=0.3, error_sd=1.5)

CASES = {
    "a": Case(
        name="a",
        description="sleepstudy",
        formula="Reaction ~ Days + (Days | Subject)",
        group="Subject",
        slope="Days",
        rows=180,
        groups=18,
    ),
    "b": Case(
        name="b",
        description="random slopes, unbalanced",
        formula="y ~ x + (x | g)",
        group="g",
        slope="x",
        rows=20_000,
        groups=500,
        truth=_TRUTH,
        seed=20_260,
    ),
    "c": Case(
        name="c",
        description="random slopes, unbalanced",
        formula="y ~ x + (x | g)",
        group="g",
        slope="x",
        rows=1_000_000,
        groups=10_000,
        truth=_TRUTH,
        seed=20_261,
        draws=300,
        group_effects="summary",
    ),
}

# Same shape as (b) and (c) but small: what every engine runs first, so that its kernels and caches are warm.
WARM_UP = Case(
    name="warm-up",
    description="random slopes, small",
    formula="y ~ x + (x | g)",
    group="g",
    slope="x",
    rows=200,
    groups=10,
    truth=_TRUTH,
    seed=20_262,
)


def group_sizes(rng: np.random.Generator, rows: int, groups: int) -> np.ndarray:
    """Return sizes (groups,) that sum to `rows`: two each, the others shared out in gamma(2) proportions."""
    weights = rng.gamma(2.0, size=groups)
    return 2 + rng.multinomial(rows - 2 * groups, weights / weights.sum())


def random_slopes(rows: int, groups: int, truth: Truth, seed: int) -> pd.DataFrame:
    """Return a table of y, x and g in random row order; x differs between groups in mean too."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    index = rng.permutation(np.repeat(np.arange(groups), group_sizes(rng, rows, groups)))
    x = rng.standard_normal(rows) + 0.5 * rng.standard_normal(groups)[index]
    Sigma = np.diag(truth.sd) @ np.array([[1.0, truth.corr], [truth.corr, 1.0]]) @ np.diag(truth.sd)
    b = rng.standard_normal((groups, 2)) @ np.linalg.cholesky(Sigma).T
    theta = np.asarray(truth.beta) + b
    y = theta[index, 0] + theta[index, 1] * x + truth.error_sd * rng.standard_normal(rows)
    # Labels are text: no engine may take the groups for a number.
    return pd.DataFrame({"y": y, "x": x, "g": np.char.add("g", index.astype(str))})


def table_of(case: Case) -> pd.DataFrame:
    """Return the table of a case."""
    if case.truth is None:
        import hierreg as hr

        return hr.load_dataset(case.description).assign(Subject=lambda t: "s" + t["Subject"].astype(str))
    return random_slopes(case.rows, case.groups, case.truth, case.seed)


def write_csv(case: Case, folder: Path) -> Path:
    """Write the table of a case as CSV with full precision, once, and return its path."""
    path = folder / f"{case.name}.csv"
    if not path.exists():
        table_of(case).to_csv(path, index=False)
    return path
