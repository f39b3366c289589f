"""The ratios that hierreg is held to, worked out from what was measured in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.table import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.measure import Measured


def targets_of(case: str, measured: Sequence[Measured]) -> list[Target]:
    """Return the targets of a case."""
    own = next((one for one in measured if one.engine == "hierreg" and not one.variant), None)
    if own is None:
        return []
    bambi = [one for one in measured if one.engine == "bambi"]
    if case == "a":
        return [_against_bambi(own, bambi, 50.0), _first_result(own, bambi)]
    if case == "b":
        return [_against_bambi(own, bambi, 500.0)]
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


def _against_bambi(own: Measured, bambi: Sequence[Measured], bound: float) -> Target:
    best = max((one.ess_per_second or 0.0 for one in bambi), default=0.0)
    return Target(what="ESS/s / bambi's better one", value=_ratio(own.ess_per_second, best), bound=bound, at_least=True)


def _first_result(own: Measured, bambi: Sequence[Measured]) -> Target:
    best = min((one.fresh_seconds for one in bambi if one.fresh_seconds), default=None)
    return Target(
        what="fresh process: time / bambi's faster one",
        value=_ratio(own.fresh_seconds, best),
        bound=1.0 / 3.0,
        at_least=False,
    )


def _ratio(a: float | None, b: float | None) -> float | None:
    return a / b if a is not None and b else None
