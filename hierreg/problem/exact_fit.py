"""Responses that the columns fit exactly: no error variance is left to estimate, and no posterior is proper.

As the standard deviation of errors goes to zero, the density of n rows that r < n columns (groups included) fit exactly
grows without bound, under every prior that does not exclude zero. The search for a mode then ends wherever arithmetic
ends, with a message about matrices. Errors that are known have no such limit, and such rows are as good as any.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from hierreg.errors.within_units import WITHIN
from hierreg.exceptions import DataError
from hierreg.gram.frame import frame_of
from hierreg.likelihood.engines import left_by_effects
from hierreg.likelihood.least_squares import LeastSquares, is_too_large, least_squares
from hierreg.likelihood.population import hold_fixed
from hierreg.priors import Fixed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.gram import ErrorTerms, Gram
    from hierreg.gram.frame import Frame
    from hierreg.priors import Priors
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_SUSPECT = 1e-12  # of the sum of squares, which cross-products hold to about 1e-15
# Standard deviations of the response that no exact fit is taken to need in a group effect, and the share of the
# response that is left beside the penalty of such effects where there is none.
_LARGEST_EFFECT, _MUCH_LEFT = 1e3, 0.1
_EXACT = 1e-9  # of the standard deviation, in the rows themselves
_IF_KNOWN = (
    "If the errors are known, say so with hr.known_se or hr.known_cov, or fix their standard deviation with "
    "hr.Priors(error_sd=hr.Fixed(...))."
)
_MOST_COMPARED = 30  # data sets
_ROUNDING = 4 * np.finfo(float).eps


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows (or contrasts of rows) whose errors have one variance, that may go to zero alone.

    Attributes
    ----------
    terms : bool array (K,), or array (K,)
        Its terms of the error precision, or what these count.
    n : float
        Number of rows.
    label : str
        Data set or stratum, or "" for all rows.
    stratum : int or None
        The rows, by their stratum; None for all rows, or where contrasts are meant.
    has_rows : bool
        Whether its rows are rows of the table.
    """

    terms: Mask | Array
    n: float
    label: str
    stratum: int | None
    has_rows: bool


def check_response_varies(gram: Gram, design: Design, layout: ErrorLayout, priors: Priors | None) -> None:
    """Raise where the response is a constant that an intercept fits, before defaults are scaled to its variation.

    Raises
    ------
    DataError
    """
    frame = gram.frame
    assert frame is not None
    p = frame.n_predictors
    is_fitted = frame.mean[p] == 0 or frame.is_constant[:p].any()
    if _is_constant(frame) and is_fitted and not _has_known_errors(layout, priors):
        raise _constant(design.response_name, float(frame.mean[p]))


def _has_known_errors(layout: ErrorLayout, priors: Priors | None) -> bool:
    return layout.spec.is_known or (priors is not None and priors.error_sd is not None)


def _is_constant(frame: Frame) -> bool:
    p = frame.n_predictors
    return bool(frame.squares[p] <= frame.n * (_ROUNDING * frame.mean[p]) ** 2)


def check_exact_fit(problem: Problem) -> None:
    """Raise where rows with an unknown error variance are fitted exactly, so that it is zero and nothing has a limit.

    Raises
    ------
    DataError
        If the response does not vary, or the columns, those of groups included, fit it exactly.
    """
    n, p = problem.gram.n, int((~problem.fixed.is_fixed).sum())
    if n <= p and problem.parameters.n_free:
        raise DataError(
            f"{n} rows and {p} population coefficients: every row is fitted exactly and nothing is left to estimate "
            f"variances from. More rows or fewer terms are required. {_IF_KNOWN}"
        )
    parts = parts_of(problem)
    if not parts:
        return
    _check_pairs(problem)
    frame, gram = problem.gram.frame, hold_fixed(problem.gram, problem.fixed)
    assert frame is not None
    mean, squares = (float(one[frame.n_predictors]) for one in (frame.mean, frame.squares))
    least = max((0.01 * _EXACT) ** 2 * squares, frame.n * (_ROUNDING * mean) ** 2)
    factors = _factors(problem)
    for part in parts:
        fit = least_squares(gram, part.terms, ())
        by_groups = bool(factors) and not _is_exact(fit, part, least)
        if by_groups and (is_too_large(gram, factors) or _leave_much(problem, part, fit)):
            continue
        if by_groups:
            fit = least_squares(gram, part.terms, factors)
        if not _is_exact(fit, part, least):
            continue
        # Cross-products know the rest to half of its digits.
        has_rows = part.has_rows and len(problem.design.y) > 0
        if not has_rows or _is_exact_in_rows(problem, part, factors if by_groups else ()):
            raise _error(problem, part, by_groups=by_groups)


def parts_of(problem: Problem) -> list[Part]:
    """Return the parts of the rows whose error variance is unknown."""
    terms = problem.gram.terms
    return _PARTS[terms.kind](problem) if terms.n_sd else []


def _parts_of_strata(problem: Problem) -> list[Part]:
    """Return the rows of each data set or stratum."""
    terms, parameters = problem.gram.terms, problem.parameters
    table = terms.table
    is_free, single = parameters.sd_is_free[parameters.n_factor :], len(terms.labels) == 1
    out = []
    for d, label in enumerate(terms.labels):
        own = (table[:, 1] == table[:, 2]) & (table[:, 1] == d)
        n = float(terms.counts[table[own, 0]].sum())
        if is_free[d] and n:
            out.append(
                Part(terms=own, n=n, label="" if single else label, stratum=None if single else d, has_rows=True)
            )
    return out


def _parts_within_units(problem: Problem) -> list[Part]:
    """Return contrasts within units, and means of the largest units, of each stratum of exchangeable errors."""
    terms, parameters = problem.gram.terms, problem.parameters
    components, within = terms.components, parameters.within_units
    assert components is not None
    is_free = parameters.sd_is_free[parameters.n_factor :]
    out = []
    for s, label in enumerate(components.strata):
        mine = components.stratum == s
        kinds = (components.size == WITHIN, components.size == components.size[mine].max())
        kinds = tuple(mine & kind for kind in kinds) if within.is_free[s] else (mine,)
        for own in kinds:
            n = float(terms.counts[own].sum())
            if (within.is_free[s] or is_free[0 if components.common_sd else s]) and n:
                shown = label if len(components.strata) > 1 else ""
                out.append(Part(terms=own, n=n, label=shown, stratum=s, has_rows=False))
    return out


def _parts_in_time(problem: Problem) -> list[Part]:
    """Return all rows with AR(1) errors, and what neighbours leave of each other as rho goes to one or minus one."""
    terms, parameters = problem.gram.terms, problem.parameters
    out = []
    if parameters.sd_is_free[parameters.n_factor]:
        out.append(Part(terms=terms.each_row, n=problem.gram.n, label="", stratum=None, has_rows=True))
    if parameters.within_units.is_free[0]:
        n = float(terms.counts[terms.gaps > 0].sum())
        both = (between_neighbours(terms, end) for end in (1.0, -1.0))
        out += [Part(terms=weights, n=n, label="", stratum=None, has_rows=False) for weights in both]
    return out


# By error structure.
_PARTS: dict[str, Callable[[Problem], list[Part]]] = {
    "independent": _parts_of_strata,
    "by": _parts_of_strata,
    "correlated": _parts_of_strata,
    "exchangeable": _parts_within_units,
    "ar1": _parts_in_time,
    "known_se": _parts_of_strata,
    "known_cov": _parts_of_strata,
}


def between_neighbours(terms: ErrorTerms, rho: float) -> Array:
    """Return what each term (K,) counts in the sum of (e_t - rho^gap e_s)^2 over neighbours in time."""
    pattern, d, e = terms.table.T
    gap = terms.gaps[pattern]
    weights = np.where(d == e, np.where(d == 0, rho ** (2 * gap), 1.0), -(rho**gap))
    return np.where(gap > 0, weights, 0.0)


def _factors(problem: Problem) -> tuple[int, ...]:
    """Return the places of the grouping factors whose effects are not all known to be zero."""
    sds = [problem.priors.sd[factor.name] for factor in problem.labels.factors]
    return tuple(
        f for f, own in enumerate(sds) if not all(isinstance(prior, Fixed) and not np.any(prior.array) for prior in own)
    )


def _leave_much(problem: Problem, part: Part, fit: LeastSquares | None) -> bool:
    """Return whether groups leave much of the response, as far as that is known without least squares."""
    if fit is None or not fit.before > 0:
        return False
    variance = fit.before / part.n
    terms, sd = np.asarray(part.terms, dtype=float) / variance, _LARGEST_EFFECT * np.sqrt(variance)
    left = left_by_effects(problem.likelihood("reml"), terms, float(sd))
    return left is not None and left > _MUCH_LEFT * part.n


def _is_exact(fit: LeastSquares | None, part: Part, least: float) -> bool:
    """Whether a fit leaves nothing though it could, as far as cross-products can tell."""
    if fit is None or part.n <= fit.rank:
        return False
    return fit.after <= max(_SUSPECT * fit.before, least)


def _is_exact_in_rows(problem: Problem, part: Part, factors: tuple[int, ...]) -> bool:
    """Whether the rows themselves are fitted exactly, which cross-products know to half their digits."""
    from scipy.sparse import csr_array, hstack
    from scipy.sparse.linalg import lsmr

    design, fixed = problem.design, problem.fixed
    rows = np.arange(len(design.y)) if part.stratum is None else np.flatnonzero(problem.layout.stratum == part.stratum)
    y = design.y - design.X[:, fixed.is_fixed] @ fixed.value[fixed.is_fixed]
    W = frame_of(np.ascontiguousarray(design.X[:, ~fixed.is_fixed]), y)[0][rows]
    columns = [csr_array(W[:, :-1])]
    for f in factors:
        factor = design.factors[f]
        Z = frame_of(factor.Z)[0][rows]
        q = Z.shape[1]
        index = factor.index[rows, None] * q + np.arange(q)
        where = (np.repeat(np.arange(len(rows)), q), index.ravel())
        columns.append(csr_array((Z.ravel(), where), shape=(len(rows), len(factor.levels) * q)))
    A = hstack(columns).tocsr()
    norm = np.sqrt(A.power(2).sum(axis=0))
    A = A @ csr_array((1.0 / np.where(norm > 0, norm, 1.0), (np.arange(len(norm)),) * 2), shape=(len(norm),) * 2)
    rest = W[:, -1]
    for _ in range(2):  # the second removes what rounding left
        rest = rest - A @ lsmr(A, rest, atol=1e-14, btol=1e-14, maxiter=1000)[0]
    left = np.sqrt(np.mean(rest**2))
    return bool(left <= _EXACT * float(y.std()) + _ROUNDING * float(np.abs(y[rows]).max()))


def _check_pairs(problem: Problem) -> None:
    """Raise where the responses of two data sets determine each other: their errors have the correlation one."""
    design, layout = problem.design, problem.layout
    if not problem.gram.terms.has_corr_of_sets or not problem.parameters.corr_is_free[-1] or not len(design.y):
        return
    assert layout.unit is not None
    row_of = np.full((len(layout.labels), int(layout.unit.max()) + 1), -1, dtype=np.intp)
    row_of[layout.stratum, layout.unit] = np.arange(len(design.y))
    sd = float(design.y.std()) or 1.0
    y = (design.y - design.y.mean()) / sd
    least = _EXACT + _ROUNDING * float(np.abs(design.y).max()) / sd
    X = frame_of(np.ascontiguousarray(design.X))[0]
    for d, e in combinations(range(min(len(row_of), _MOST_COMPARED)), 2):
        rows, others = row_of[:, (row_of[d] >= 0) & (row_of[e] >= 0)][[d, e]]
        A = np.column_stack([y[others], X[rows], X[others]])
        coef, _, rank, _ = np.linalg.lstsq(A, y[rows], rcond=None)
        if (
            rank < len(rows)
            and coef[0]
            and np.sqrt(np.mean((y[rows] - A @ coef) ** 2)) <= least * np.hypot(1.0, coef[0])
        ):
            one, other = layout.labels[d], layout.labels[e]
            raise DataError(
                f"the responses of {one!r} and {other!r} ({layout.dim!r}) determine each other exactly in the "
                f"{len(rows)} units that have both: the correlation of their errors is one, and the posterior is "
                "improper. One of them is a copy or a function of the other: leave it out, or fix the correlation with "
                "hr.Priors(error_corr=hr.Fixed(...))."
            )


def _constant(response: str, value: float) -> DataError:
    return DataError(
        f"the response {response!r} is constant ({value:g} in every row): it has no variation, and no error variance "
        f"can be estimated. Give the column that was meant. {_IF_KNOWN}"
    )


def _error(problem: Problem, part: Part, *, by_groups: bool) -> DataError:
    """Return the error, which says what fits exactly and what to do."""
    frame, labels = problem.gram.frame, problem.labels
    assert frame is not None
    p = frame.n_predictors
    where = f" of {part.label!r}" if part.label else ""
    if _is_constant(frame):
        return _constant(labels.response, float(frame.mean[p]))
    if part.has_rows:
        what = f"the response {labels.response!r} in the rows{where}" if where else f"the response {labels.response!r}"
    else:
        what = f"within or between units{where}, the response {labels.response!r}"
    columns = f"the columns {', '.join(map(repr, labels.coef[:8]))}" if labels.coef else "nothing"
    groups = f" and the groups of {', '.join(map(repr, labels.factor_names))}" if by_groups else ""
    return DataError(
        f"{what} is fitted exactly by {columns}{groups}: no variation is left, the error variance is estimated as zero "
        "and the posterior is improper. Such a response is constant there, or was computed from these columns (or "
        f"they from it): look for rounded, copied or aggregated values, leave the terms out that repeat it"
        f"{', or join this stratum with another' if part.label else ''}. {_IF_KNOWN}"
    )
