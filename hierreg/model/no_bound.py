"""Strata of few rows: where the likelihood of ML has no bound, because an error variance can go to zero by itself.

Let n rows have an error variance of their own, and let it go to zero.
Their density given the population coefficients is that of the effects of their groups, of rank r, and of n - r
contrasts that these leave. The density of the contrasts grows as sd^-(n - r) if they vanish, and ML chooses population
coefficients such that they do, for whatever response, where

    rank [X, Z] = n > rank Z                                                                                     (1)

in these rows. Groups may also be left out of (1), as if their variance were zero: without groups it is rank X = n, as
many population coefficients as rows. The density of all other rows stays what it is at those coefficients, so that the
likelihood has no maximum, whichever maximum between others a search ends at. REML integrates over the coefficients: the
factor rank [X, Z] - rank Z of the growth is gone, and a bound remains.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from hierreg.marginal.least_squares import least_squares
from hierreg.marginal.population import hold_fixed
from hierreg.model.exact_fit import parts_of
from hierreg.priors import Fixed

if TYPE_CHECKING:
    from hierreg.model.assemble import Problem

# Rows that columns may be as many as: beyond it their rank is not looked for.
_MOST_ROWS, _MOST_NAMED, _MOST_FACTORS = 3000, 6, 4


def without_bound(problem: Problem) -> str | None:
    """Return, in words, why ML has no maximum; None where no stratum of errors can lose its variance."""
    parts = [part for part in parts_of(problem) if part.n <= _MOST_ROWS and part.has_rows]
    if not parts:
        return None
    gram = hold_fixed(problem.gram, problem.fixed)
    everything = replace(
        problem.fixed,
        is_fixed=np.ones_like(problem.fixed.is_fixed),
        value=np.where(problem.fixed.is_fixed, problem.fixed.value, 0.0),
    )
    alone = hold_fixed(problem.gram, everything)
    sets = _sets_of_factors(problem)
    found: dict[str, int] = {}
    for part in parts:
        for chosen in sets:
            both = least_squares(gram, part.terms, chosen)
            if both is None or both.rank != part.n:
                continue
            groups = least_squares(alone, part.terms, chosen) if chosen else None
            if groups is None and chosen:
                continue
            if groups is None or groups.rank < part.n:
                found[part.label] = int(part.n)
                break
    return _in_words(problem, found) if found else None


def _sets_of_factors(problem: Problem) -> list[tuple[int, ...]]:
    """Return the factors that (1) may count: those of known variance always, and none that is known to have none."""
    sds = [problem.priors.sd[factor.name] for factor in problem.labels.factors]
    known = [[float(prior.array) for prior in own if isinstance(prior, Fixed)] for own in sds]
    allowed = [f for f, values in enumerate(known) if all(values)][:_MOST_FACTORS]
    needed = {f for f, values in enumerate(known) if any(values)}
    sets = [chosen for size in range(len(allowed) + 1) for chosen in combinations(allowed, size)]
    return [chosen for chosen in sets if needed <= set(chosen)]


def _in_words(problem: Problem, found: dict[str, int]) -> str:
    what = [f"{n} row{'s' if n > 1 else ''}{f' of {label!r}' if label else ''}" for label, n in found.items()]
    shown = ", ".join(what[:_MOST_NAMED]) + (f" and {len(what) - _MOST_NAMED} more" if len(what) > _MOST_NAMED else "")
    groups = " and groups" if problem.labels.factors else ""
    return (
        f"{shown} can be fitted exactly by population coefficients{groups}, which are as many, so that the error sd "
        "there can go to zero and the likelihood grows without bound: ML has no maximum. Use method='reml', more rows "
        "or fewer columns, join a stratum with another, or sample."
    )
