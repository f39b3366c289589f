"""Few rows, or few units: where the likelihood of ML has no bound, because an error variance can go to zero by itself.

Let n rows have an error variance of their own, and let it go to zero.
Their density given the population coefficients is that of the effects of their groups, of rank r, and of n - r
contrasts that these leave. The density of the contrasts grows as sd^-(n - r) if they vanish, and ML chooses population
coefficients such that they do, for whatever response, where

    rank [X, Z] = n > rank Z                                                                                     (1)

in these rows. Groups may also be left out of (1), as if their variance were zero: without groups it is rank X = n, as
many population coefficients as rows. The density of all other rows stays what it is at those coefficients, so that the
likelihood has no maximum, whichever maximum between others a search ends at. REML integrates over the coefficients: the
factor rank [X, Z] - rank Z of the growth is gone, and a bound remains.

Exchangeable errors are independent along components (`within_units`), of which two can lose their variance while
all others keep theirs: contrasts within units as the correlation goes to one, and the means of the largest units as it
goes to its lower bound. (1) in place of rows holds for these. One unit larger than all others has a mean that an
intercept fits, so that the latter is nothing unusual, and far from any correlation that a user has in mind: a maximum
inside is then an answer, with that said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from hierreg.errors.within_units import WITHIN
from hierreg.likelihood.least_squares import least_squares
from hierreg.likelihood.population import hold_fixed
from hierreg.priors import Fixed
from hierreg.problem.exact_fit import between_neighbours, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.gram import ErrorTerms, Gram
    from hierreg.problem.problem import Problem

# Rows that columns may be as many as: beyond it their rank is not looked for.
_MOST_ROWS, _MOST_NAMED, _MOST_FACTORS = 3000, 6, 4
# Beside its lower bound.
_AT_LOWEST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbounded:
    """Why ML has no maximum.

    Attributes
    ----------
    text : str
    is_far : bool
        Whether it grows only where correlations within units go to their lower bounds, so that a maximum inside is an
        answer.
    """

    text: str
    is_far: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """Rows, or contrasts of rows, whose variance can go to zero while others keep theirs.

    Attributes
    ----------
    terms : bool array (K,), or array (K,)
        Their terms of the error precision, or what these count.
    n : int
        How many they are.
    what : str
        In words.
    goes : str
        What goes where.
    is_far : bool
        As for `Unbounded`.
    """

    terms: NDArray[np.bool_] | NDArray[np.float64]
    n: int
    what: str
    goes: str = "the error sd there can go to zero"
    is_far: bool = False


def without_bound(problem: Problem) -> Unbounded | None:
    """Return why ML has no maximum; None where no stratum or component of errors can lose its variance."""
    limits = [limit for limit in _LIMITS[problem.gram.terms.kind](problem) if 0 < limit.n <= _MOST_ROWS]
    if not limits:
        return None
    gram = hold_fixed(problem.gram, problem.fixed)
    everything = replace(
        problem.fixed,
        is_fixed=np.ones_like(problem.fixed.is_fixed),
        value=np.where(problem.fixed.is_fixed, problem.fixed.value, 0.0),
    )
    alone = hold_fixed(problem.gram, everything)
    sets = _sets_of_factors(problem)
    found = [limit for limit in limits if any(_vanishes(gram, alone, limit, chosen) for chosen in sets)]
    near = [limit for limit in found if not limit.is_far] or found
    return Unbounded(text=_in_words(problem, near), is_far=near[0].is_far) if near else None


def is_at_lowest(problem: Problem, rho: NDArray[np.float64]) -> bool:
    """Return whether an unknown correlation of errors within units (strata,) is at its lower bound."""
    within = problem.parameters.within_units
    return bool(np.any(within.is_free & (rho - within.lowest < _AT_LOWEST)))


def _vanishes(gram: Gram, alone: Gram, limit: _Limit, chosen: tuple[int, ...]) -> bool:
    """Whether (1) holds, with the groups of the factors chosen; `alone` has no population coefficients."""
    both = least_squares(gram, limit.terms, chosen)
    if both is None or both.rank != limit.n:
        return False
    groups = least_squares(alone, limit.terms, chosen) if chosen else None
    return groups.rank < limit.n if groups is not None else not chosen


def _limits_of_rows(problem: Problem) -> list[_Limit]:
    return [
        _Limit(terms=part.terms, n=int(part.n), what=f"{_counted(part.n, 'row')}{_of(part.label)}")
        for part in parts_of(problem)
        if part.has_rows
    ]


def _limits_within_units(problem: Problem) -> list[_Limit]:
    terms, parameters = problem.gram.terms, problem.parameters
    components, within = terms.components, parameters.within_units
    assert components is not None
    free_sd = parameters.sd_is_free[parameters.n_factor :]
    several = len(components.strata) > 1
    found = []
    for s, name in enumerate(components.strata):
        mine, of = components.stratum == s, _of(name) if several else ""
        if within.is_free[s]:
            kind, largest = mine & (components.size == WITHIN), int(components.largest[s])
            n = int(terms.counts[kind].sum())
            what = f"{_counted(n, 'contrast')} within units{of}"
            found.append(_Limit(terms=kind, n=n, what=what, goes="the correlation of errors there can go to one"))
            kind = mine & (components.size == largest)
            n = int(terms.counts[kind].sum())
            what = f"the {'means' if n > 1 else 'mean'} of the {n} largest {_plural('unit', n)}{of}, of {largest} rows,"
            goes = f"the correlation of errors there can go to its lower bound {within.lowest[s]:.4g}"
            found.append(_Limit(terms=kind, n=n, what=what, goes=goes, is_far=True))
        if not components.common_sd and free_sd[s]:
            found.append(_rows_of(terms, mine, of))
    if components.common_sd and free_sd[0]:
        found.append(_rows_of(terms, np.ones(len(components.stratum), dtype=bool), ""))
    return found


def _limits_of_neighbours(problem: Problem) -> list[_Limit]:
    """Return what AR(1) errors can lose: all rows, or what neighbours leave of each other with rho one or minus one."""
    terms, within = problem.gram.terms, problem.parameters.within_units
    found = _limits_of_rows(problem)
    if not within.is_free[0]:
        return found
    n = int(terms.counts[terms.gaps > 0].sum())
    for end, word, what in ((1.0, "one", "all differences"), (-1.0, "minus one", "all sums or differences")):
        what = f"{what} of neighbours in time ({n})"  # noqa: PLW2901
        goes = f"their correlation can go to {word}"
        found.append(_Limit(terms=between_neighbours(terms, end), n=n, what=what, goes=goes))
    return found


# By error structure.
_LIMITS: dict[str, Callable[[Problem], list[_Limit]]] = {
    "independent": _limits_of_rows,
    "by": _limits_of_rows,
    "correlated": _limits_of_rows,
    "exchangeable": _limits_within_units,
    "ar1": _limits_of_neighbours,
    "known_se": _limits_of_rows,
    "known_cov": _limits_of_rows,
}


def _rows_of(terms: ErrorTerms, mine: NDArray[np.bool_], of: str) -> _Limit:
    n = int(terms.counts[mine].sum())
    return _Limit(terms=mine, n=n, what=f"{_counted(n, 'row')}{of}")


def _of(label: str) -> str:
    return f" of {label!r}" if label else ""


def _counted(n: float, what: str) -> str:
    return f"{int(n)} {_plural(what, int(n))}"


def _plural(what: str, n: int) -> str:
    return f"{what}s" if n > 1 else what


def _sets_of_factors(problem: Problem) -> list[tuple[int, ...]]:
    """Return the factors that (1) may count: those of known variance always, and none that is known to have none."""
    sds = [problem.priors.sd[factor.name] for factor in problem.labels.factors]
    known = [[float(prior.array) for prior in own if isinstance(prior, Fixed)] for own in sds]
    allowed = [f for f, values in enumerate(known) if all(values)][:_MOST_FACTORS]
    needed = {f for f, values in enumerate(known) if any(values)}
    sets = [chosen for size in range(len(allowed) + 1) for chosen in combinations(allowed, size)]
    return [chosen for chosen in sets if needed <= set(chosen)]


def _in_words(problem: Problem, found: list[_Limit]) -> str:
    first = found[0].goes
    what = [limit.what for limit in found if limit.goes == first]
    shown = ", ".join(what[:_MOST_NAMED]) + (f" and {len(what) - _MOST_NAMED} more" if len(what) > _MOST_NAMED else "")
    groups = " and groups" if problem.labels.factors else ""
    return (
        f"{shown} can be fitted exactly by population coefficients{groups}, which are as many, so that {first} and the "
        "likelihood grows without bound: ML has no maximum. Use method='reml', more rows or fewer columns, join a "
        "stratum with another, or sample."
    )
