"""The ratios that hierreg is held to, worked out from what was measured in one run."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.fresh import faster_bambi
from tests.benchmarks.table import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.fresh import Fresh
    from tests.benchmarks.measure import Measured


def targets_of(case: str, measured: Sequence[Measured]) -> list[Target]:
    """Return the targets of a case."""
    own = next((one for one in measured if one.engine == "hierreg" and not one.variant), None)
    if own is None:
        return []
    both = [one for one in measured if one.engine == "hierreg"]
    bambi = [one for one in measured if one.engine == "bambi"]
    if case == "a":
        return _against_bambi(both, bambi, 50.0)
    if case == "b":
        return _against_bambi(both, bambi, 500.0)
    lme4 = next((one.estimate_seconds for one in measured if one.engine == "lme4"), None)
    return [
        Target(
            what="REML: time / lme4's",
            value=_ratio(own.estimate_seconds, lme4),
            bound=1.0 / 40.0,
            at_least=False,
        ),
        Target(
            what="posterior: time / lme4's REML",
            value=_ratio(own.total_seconds, lme4),
            bound=1.0 / 3.0,
            at_least=False,
        ),
        Target(what="posterior: min bulk ESS", value=own.min_ess, bound=1000.0, at_least=True),
        Target(what="posterior: MiB above the table", value=own.peak_mib, bound=1024.0, at_least=False),
    ]


def _against_bambi(both: Sequence[Measured], bambi: Sequence[Measured], bound: float) -> list[Target]:
    """Return the ratios of each sampler of hierreg to each of bambi; one without a value where bambi was not run."""
    if not bambi:
        return [Target(what="ESS/s: hierreg / bambi", value=None, bound=bound, at_least=True)]
    return [
        Target(
            what=f"ESS/s: {own.label} / {other.label}",
            value=_ratio(own.ess_per_second, other.ess_per_second),
            bound=bound,
            at_least=True,
        )
        for own in both
        for other in bambi
    ]


def fresh_targets(results: Sequence[Fresh]) -> list[Target]:
    """Return the ratios of fresh processes of hierreg to bambi's faster sampler, medians of processes in turn."""
    best = faster_bambi(results)
    return [
        Target(
            what=f"fresh process: {one.label} / bambi's faster one",
            value=_ratio(median(one.seconds), best),
            bound=1.0 / 3.0,
            at_least=False,
        )
        for one in results
        if one.engine == "hierreg"
    ]


def _ratio(a: float | None, b: float | None) -> float | None:
    return a / b if a is not None and b else None
