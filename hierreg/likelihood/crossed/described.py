"""How several grouping factors are laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierreg.likelihood.crossed.plan import is_plain
from hierreg.likelihood.described import Described, Part

if TYPE_CHECKING:
    from hierreg.gram import Gram
    from hierreg.likelihood.crossed.plan import Plan


def described_plan(plan: Plan, gram: Gram, n_bytes: int) -> Described:
    """Return the layout of several grouping factors; ``n_bytes`` is what plan, sources and workspace take."""
    parts = [_staged_or_tail(f, plan, gram) for f in (*plan.staged, *plan.tail)]
    return Described(
        engine="crossed", parts=tuple(parts), tail=plan.n_tail, n_bytes=n_bytes, sampling=_sampling(plan, gram)
    )


def _sampling(plan: Plan, gram: Gram) -> str:
    if plan.takes_all_threads or (plan.is_costly and is_plain(plan, gram)):
        return (
            "by importance sampling unless method='nuts', of the density interpolated about its mode; sample_stats "
            "has the error, interpolation_error"
        )
    return "by importance sampling unless method='nuts': a gradient takes long" if plan.is_costly else ""


def _staged_or_tail(f: int, plan: Plan, gram: Gram) -> Part:
    factor, is_staged = gram.factors[f], f in plan.staged
    return Part(
        factor=factor.name,
        how="level by level" if is_staged else "in the dense tail",
        groups=factor.n_levels,
        blocks=factor.n_levels if is_staged else 1,
        coefficients=factor.n_coef * (1 if is_staged else factor.n_levels),
        at_once=1,
    )
