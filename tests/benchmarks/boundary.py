"""NUTS where a variance may be zero: signed standard deviations against their logarithms.

`python -m tests.benchmarks.boundary [name ...]` prints, for each data set, with log sds and with the coordinates that
`Model.sample` chooses: the number of signed sds, smallest bulk effective size, largest R-hat, divergences, gradients
per draw, and the largest difference of a mean of log sds and partial correlations from that of importance sampling, in
Monte-Carlo errors.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pandas as pd
from arviz_stats.base.array import array_stats

import hierreg as hr
from hierreg.exceptions import HierregWarning, SamplingError
from hierreg.likelihood.posterior import Target
from hierreg.sampling import importance, nuts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.sampling.approximation import Mode

    Array = NDArray[np.float64]

DRAWS, CHAINS = 1000, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one way of sampling gives for one data set."""

    signed: int
    ess: float
    rhat: float
    divergences: int
    steps: float
    gap: float


def two_rows(seed: int, groups: int, slope_sd: float, error_sd: float) -> pd.DataFrame:
    """Return two rows a group, before and after: groups can fit all their rows."""
    rng = np.random.default_rng(seed)
    g, t = np.repeat(np.arange(groups), 2), np.tile([0.0, 1.0], groups)
    b = rng.normal(size=(groups, 2)) * [1.0, slope_sd]
    return pd.DataFrame(
        {"g": g, "t": t, "y": 1 + b[g, 0] + (0.5 + b[g, 1]) * t + error_sd * rng.normal(size=2 * groups)}
    )


def meta_analysis(seed: int, studies: int) -> pd.DataFrame:
    """Return effects within studies, with known standard errors and no variance between effects of a study."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), rng.integers(1, 5, studies))
    n = len(study)
    se = rng.uniform(0.1, 0.3, n)
    y = 0.3 + 0.15 * rng.normal(size=studies)[study] + se * rng.normal(size=n)
    return pd.DataFrame({"study": study, "effect": np.arange(n), "se": se, "y": y})


def few_groups(seed: int, groups: int, sd: float) -> pd.DataFrame:
    """Return six rows in each of a few groups."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), 6)
    return pd.DataFrame({"g": g, "y": sd * rng.normal(size=groups)[g] + rng.normal(size=len(g))})


def crossed(seed: int) -> pd.DataFrame:
    """Return two crossed factors, one without variance."""
    rng = np.random.default_rng(seed)
    a, b = (np.repeat(x, 2) for x in np.divmod(np.arange(48), 8))
    return pd.DataFrame({"a": a, "b": b, "y": 0.8 * rng.normal(size=8)[b] + rng.normal(size=len(a))})


def strata(seed: int) -> pd.DataFrame:
    """Return eight groups, the first of which is alone in its stratum."""
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(8), 4), rng.normal(size=32)
    s = np.where(g == 0, "one", "more")
    y = 1 + x + 0.2 * rng.normal(size=8)[g] + np.where(g == 0, 0.3, 1.0) * rng.normal(size=32)
    return pd.DataFrame({"g": g, "s": s, "x": x, "y": y})


def paired(seed: int) -> pd.DataFrame:
    """Return two data sets of twelve paired rows with correlated errors and equal coefficients."""
    rng = np.random.default_rng(seed)
    e = rng.normal(size=(12, 2)) @ np.linalg.cholesky([[1, 0.8], [0.8, 1]]).T
    x = rng.normal(size=24)
    return pd.DataFrame(
        {"u": np.tile(np.arange(12), 2), "d": np.repeat(["a", "b"], 12), "x": x, "y": 1 + x + e.T.ravel()}
    )


def _cases() -> dict[str, Callable[[], hr.Model]]:
    load, model = hr.load_dataset, hr.Model
    nested = "y ~ 1 + (1 | study) + (1 | effect)"
    return {
        "dyestuff2": lambda: model("Yield ~ 1 + (1 | Batch)", load("dyestuff2")),
        "two rows a group": lambda: model("y ~ t + (t | g)", two_rows(1, 30, 0.5, 0.5)),
        "two rows, equal slopes": lambda: model("y ~ t + (t | g)", two_rows(3, 20, 0.0, 1.0)),
        "two rows, 100 groups": lambda: model("y ~ t + (t | g)", two_rows(4, 100, 0.5, 0.5)),
        "three-level meta-analysis": lambda: model(nested, meta_analysis(2, 12), errors=hr.known_se("se")),
        "the same, 40 studies": lambda: model(nested, meta_analysis(5, 40), errors=hr.known_se("se")),
        "pastes": lambda: model("strength ~ 1 + (1 | batch) + (1 | sample)", load("pastes")),
        "3 groups": lambda: model("y ~ 1 + (1 | g)", few_groups(11, 3, 0.5)),
        "4 groups, none varies": lambda: model("y ~ 1 + (1 | g)", few_groups(12, 4, 0.0)),
        "5 groups": lambda: model("y ~ 1 + (1 | g)", few_groups(13, 5, 1.0)),
        "eight schools": lambda: model("effect ~ 1 + (1 | school)", load("eight_schools"), errors=hr.known_se("se")),
        "crossed, one zero": lambda: model("y ~ 1 + (1 | a) + (1 | b)", crossed(5)),
        "penicillin": lambda: model("diameter ~ 1 + (1 | plate) + (1 | sample)", load("penicillin")),
        "stratum of one group": lambda: model("y ~ x + (x | g)", strata(6), errors=hr.by("s")),
        "correlated errors": lambda: model("y ~ x + (x | d)", paired(7), errors=hr.correlated("d", unit="u")),
        "exchangeable errors": lambda: model("y ~ x + (x | d)", paired(7), errors=hr.exchangeable("u")),
        "orthodont, q = 3": lambda: model("distance ~ age + (age + I(age**2) | Subject)", load("orthodont")),
        "sleepstudy": lambda: model("Reaction ~ Days + (Days | Subject)", load("sleepstudy")),
    }


def measured(target: Target, mode: Mode, reference: tuple[Array, float] | None, *, is_signed: bool) -> Row:
    """Return a row of the table.

    Parameters
    ----------
    target, mode : Target, Mode
        Of log sds.
    reference : (array (n_free,), float) or None
        Means by importance sampling, and how many independent draws they are of.
    is_signed : bool
        Whether sds may be signed.
    """
    chosen: list[Any] = []
    choose = nuts.coordinates

    def remember(*arguments: Any) -> Any:
        chosen.append(choose(*arguments) if is_signed else None)
        return chosen[-1]

    settings = nuts.Settings(draws=DRAWS, tune=None, chains=CHAINS, seed=1, cores=1, progress=False)
    with mock.patch.object(nuts, "coordinates", remember):
        chains = nuts.sample_chains(target, mode, settings)
    u = chains.u
    ess = np.atleast_1d(array_stats.ess(u, chain_axis=0, draw_axis=1))
    gap = np.nan
    if reference is not None:
        error = u.std(axis=(0, 1)) * np.sqrt(1 / ess + 1 / reference[1])
        gap = float(np.abs((u.mean(axis=(0, 1)) - reference[0]) / error).max())
    return Row(
        signed=int(chosen[0].is_signed.sum()) if chosen[0] is not None else 0,
        ess=float(ess.min()),
        rhat=float(np.max(array_stats.rhat(u, chain_axis=0, draw_axis=1))),
        divergences=int(chains.stats["diverging"].sum()),
        steps=float(chains.stats["n_steps"].mean()),
        gap=gap,
    )


def rows_of(model: hr.Model) -> tuple[Row, Row]:
    """Return what log sds and chosen coordinates give."""
    problem = model.problem
    target = Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))
    mode = nuts.find_mode(target)
    settings = importance.Settings(draws=4 * DRAWS, chains=CHAINS, seed=3, cores=1)
    try:
        draws = importance.sample_by_importance(target, mode, settings)
        reference = draws.u.mean(axis=(0, 1)), min(draws.importance_ess, draws.resampled_ess)
    except SamplingError:
        reference = None
    before, after = (measured(target, mode, reference, is_signed=signed) for signed in (False, True))
    return before, after


def main(names: list[str]) -> None:
    """Print the table of the data sets whose names contain one of the names given, or of all."""
    print(f"{'':26s} sds  signed   ESS   R-hat  div.  gradients/draw  gap/MCSE")
    for name, make in _cases().items():
        if names and not any(part in name for part in names):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HierregWarning)
            both = rows_of(make())
        for label, row in zip((name, ""), both, strict=True):
            kind = "log" if label else "own"
            print(
                f"{label:26s} {kind:4s} {row.signed:5d} {row.ess:6.0f} {row.rhat:7.3f} {row.divergences:5d} "
                f"{row.steps:11.1f} {row.gap:13.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
