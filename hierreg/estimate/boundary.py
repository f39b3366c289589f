"""Which variance parameters are on the boundary of their space.

Of group coefficients that is decided in a basis of orthogonalised columns, in which coefficients of size one matter as
much as the errors: a correlation of 0.9999999 between a slope and the level at a year zero is no boundary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate.standard_errors import TermFactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.errors.within_units import WithinUnits
    from hierreg.gram import Gram
    from hierreg.variances.parameters import Covariances, VarianceParameters

    Array = NDArray[np.float64]
    Terms = list[NDArray[np.intp]]

# An sd this small beside the errors, or a correlation this close to one, counts as the boundary.
SINGULAR = 1e-4
_SINGULAR_CORRELATION = 1e-6
# An error sd may be zero from this share of the response's; and it is, where an eighth of it changes the log density by
# no more.
_SMALL, _NO_WORSE = 1e-3, 1e-2


def is_negligible(Lambda: Array, basis: Array) -> NDArray[np.bool_]:
    """Return which standard deviations (q,) count as zero.

    Parameters
    ----------
    Lambda, basis : arrays (q, q)
        ``Lambda = basis @ factor``, the basis upper triangular within terms: its diagonal is the sd of each coefficient
        that matters as much as the errors.
    """
    return np.asarray(np.linalg.norm(Lambda, axis=1) < SINGULAR * np.abs(np.diagonal(basis)))


def term_factors(inner: Array, terms: Terms) -> list[TermFactor]:
    """Return the factor (q, q) in the basis, term by term, each with as many columns as its covariance has rank."""
    out = []
    for columns in terms:
        rows = inner[columns]
        length = np.linalg.norm(rows, axis=1)
        kept = length >= SINGULAR
        unit = rows / np.where(kept, length, np.inf)[:, None]
        values, vectors = np.linalg.eigh(unit @ unit.T)
        chosen = values > _SINGULAR_CORRELATION
        factor = length[:, None] * vectors[:, chosen] * np.sqrt(values[chosen])
        out.append(TermFactor(columns=columns, values=np.where(kept[:, None], factor, 0.0)))
    return out


def boundary(
    parameters: VarianceParameters, zero: NDArray[np.bool_], terms: list[TermFactor], errors: Covariances
) -> list[str]:
    """Say which free parameters are on the boundary of their space.

    Parameters
    ----------
    parameters : VarianceParameters
    zero : bool array (q,)
        Standard deviations that count as zero.
    terms : list of TermFactor
    errors : Covariances
        One (S = 1).
    """
    q, columns = parameters.n_factor, parameters.group_columns
    found = [
        f"the variance of {columns[i][1]} between groups of {columns[i][0]} is zero: "
        "the groups differ no more than their errors explain"
        for i in np.flatnonzero(zero & parameters.sd_is_free[:q])
    ]
    for term in terms:
        kept = term.columns[~zero[term.columns]]
        if len(term.columns) > 1 and 0 < term.values.shape[1] < len(kept):
            names = ", ".join(columns[i][1] for i in kept)
            found.append(_singular(f"group coefficients {names} of {columns[kept[0]][0]}"))
    if parameters.corr_is_free[-1] and np.linalg.eigvalsh(errors.error_corr[0])[0] < _SINGULAR_CORRELATION:
        found.append(_singular(f"errors of {', '.join(parameters.error_labels)}"))
    return found + _boundary_within_units(parameters.within_units, errors)


def errors_at_zero(
    parameters: VarianceParameters, gram: Gram, u: Array, value: float, at: Callable[[Array], float]
) -> list[str]:
    """Say which error standard deviations are at zero: where smaller ones are no worse.

    Parameters
    ----------
    parameters : VarianceParameters
        Those that u are of: of all, or of errors alone.
    gram : Gram
    u : array (n,)
        The estimate; standard deviations first.
    value : float
        The criterion there.
    at : function of u (n,)
        The criterion.
    """
    q, response = parameters.n_factor, gram.response
    if response is None or gram.terms.structure.is_known:
        return []
    free = np.flatnonzero(parameters.sd_is_free)
    mean = float(response.n @ response.mean) / gram.n
    spread = np.sqrt(float(np.sum(response.squares + response.n * (response.mean - mean) ** 2)) / gram.n)
    found = []
    for place, column in enumerate(free):
        if column < q or not np.exp(u[place]) < _SMALL * spread:
            continue
        smaller = u.copy()
        smaller[place] -= np.log(8.0)
        if at(smaller) > value - _NO_WORSE:
            name = parameters.error_labels[column - q]
            where = f" of {name}" if len(parameters.error_labels) > 1 else ""
            found.append(
                f"the error sd{where} is zero: groups and population coefficients fit the rows there, and smaller "
                "values fit no worse"
            )
    return found


def _singular(what: str) -> str:
    return f"the correlation matrix of the {what} is singular (a correlation of one in some direction)"


def _boundary_of_chain(rho: float) -> list[str]:
    """Say whether the correlation of AR(1) errors is on its boundary."""
    if 1.0 - abs(rho) >= SINGULAR**2:
        return []
    if rho > 0:
        return [
            "the correlation of errors one step of time apart is one: rows of a unit do not differ but for the columns"
        ]
    return ["the correlation of errors one step of time apart is minus one: errors of a unit only change their sign"]


def _boundary_within_units(units: WithinUnits, errors: Covariances) -> list[str]:
    found = []
    for label, free, rho, lowest in zip(
        units.strata, units.is_free, errors.error_corr[0] if units.strata else (), units.lowest, strict=True
    ):
        where = f"of {label} " if len(units.strata) > 1 else ""
        if units.is_in_time:
            found += _boundary_of_chain(rho) if free else []
            continue
        if free and 1.0 - rho < SINGULAR**2:
            found.append(f"the correlation of errors {where}within units is one: rows of a unit do not differ")
        elif free and rho - lowest < SINGULAR**2:
            found.append(
                f"the correlation of errors {where}within units is at its lower bound {lowest:.4g}: the largest units "
                "have no variance between them"
            )
    return found
