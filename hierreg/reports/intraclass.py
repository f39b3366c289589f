"""Intraclass correlations: the share of a row's variance that is between the groups of a factor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.results.text import number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.reports.reading import FactorFit, Fit

    Array = NDArray[np.float64]

# Relative error of z'Sigma z from rounding of the standard deviations and correlations, above which it says nothing.
_MOST_ROUNDING = 1e-4
# Columns of which the values are named in a line of text.
_MOST_NAMED = 4
_NAME = re.compile(r"[^\W\d]\w*(?!\w*[(.=])")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intraclass:
    """One intraclass correlation.

    Attributes
    ----------
    name : str
        Of the row of the report.
    where : str
        "Intercept" where it is the same for every row, "at the means", or what was asked for.
    stratum : str
        Stratum or data set of the errors; empty where they have one standard deviation.
    at : str
        The values of the group columns.
    draws : array (chain, draw)
    reml : float
    """

    name: str
    where: str
    stratum: str
    at: str
    draws: Array
    reml: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntraclassCorrelations:
    """All of a model, with what is to be said of them."""

    found: tuple[Intraclass, ...]
    notes: tuple[str, ...]


def intraclass_correlations(fit: Fit, at: Mapping[str, float] | None) -> IntraclassCorrelations:
    """Return the intraclass correlations of every factor and stratum.

    None where known errors differ from row to row.

    Parameters
    ----------
    fit : Fit
    at : mapping group column -> number, or None
        Values of group columns in place of their means.

    Raises
    ------
    ModelError
        If `at` names what is no group column, or leaves out one that depends on the same predictor.
    """
    values = _checked(at, fit)
    if not fit.factors or str(fit.attrs["errors"]).startswith("known"):
        return IntraclassCorrelations(found=(), notes=())
    if not all(of.has_covariance for of in fit.by_factor):
        note = "Intraclass correlations are left out: with at most 2 degrees of freedom group effects have no variance."
        return IntraclassCorrelations(found=(), notes=(note,))
    errors = _error_variances(fit)
    if errors is None:
        return IntraclassCorrelations(found=(), notes=())
    dims = fit.posterior["error_sd"].dims if "error_sd" in fit.posterior else ()
    strata = [str(v) for v in fit.posterior[fit.error_dim].values] if fit.error_dim in dims else [""]
    columns = {of.name: _columns(of, values, len(strata), by_stratum=strata != [""]) for of in fit.by_factor}
    variances = {of.name: _variances(of, columns[of.name]) for of in fit.by_factor}
    error, reml_error = errors
    total = error + sum(draws for draws, _ in variances.values())
    reml_total = reml_error + sum(reml for _, reml in variances.values())
    found, lost, where = [], False, _where(fit, values)
    for of in fit.by_factor:
        draws, reml = variances[of.name]
        for d, stratum in enumerate(strata):
            share = draws[..., d] / total[..., d]
            lost |= not np.all(np.isfinite(share))
            if np.all(np.isfinite(share)) and np.ptp(share) > 0:
                found.append(
                    Intraclass(
                        name=f"{of.name}[{where}]" + (f", {fit.error_dim}[{stratum}]" if stratum else ""),
                        where=where,
                        stratum=stratum,
                        at=_text(fit, {name: z[d] for name, z in columns.items()}),
                        draws=share,
                        reml=float(reml[d] / reml_total[d]),
                    )
                )
    return IntraclassCorrelations(found=tuple(found), notes=_notes(fit, found, lost=lost))


def _error_variances(fit: Fit) -> tuple[Array, Array] | None:
    """Return error variances (chain, draw, T) and those of the plug-in (T,); None where rows have none in common."""
    latent = float(fit.attrs.get("latent_variance", 0.0))
    if latent:
        return np.full((*fit.n_draws, 1), latent), np.array([latent])
    name = "error_scale" if "error_scale" in fit.posterior else "error_sd"
    if name not in fit.posterior or "stratum" in fit.posterior[name].dims:
        return None
    draws = fit.draws(name).reshape(*fit.n_draws, -1) ** 2
    reml = np.atleast_1d(fit.limit[name].to_numpy()) ** 2
    if name == "error_sd":
        return draws, reml
    # Student t errors have a variance where they have more than two degrees of freedom.
    nu, nu_reml = fit.draws("nu")[..., None], float(fit.limit["nu"])
    if np.any(nu <= 2.0):
        return None
    return draws * nu / (nu - 2.0), reml * nu_reml / max(nu_reml - 2.0, float(np.finfo(float).tiny))


def _checked(at: Any, fit: Fit) -> dict[str, float]:
    if at is None:
        return {}
    if not isinstance(at, Mapping):
        raise ModelError(f"at={at!r} is not a dictionary of values of group columns, such as {{'Days': 5}}.")
    columns = list(dict.fromkeys(c for of in fit.by_factor for c in of.coefs if c != "Intercept"))
    for name, value in at.items():
        if name not in columns:
            known = f"they are {listed(columns)}" if columns else "there are none beside the intercept"
            raise ModelError(f"at names {name!r}, which is no group column; {known}.{suggestion(name, columns)}")
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
            raise ModelError(f"at[{name!r}]={value!r} must be a finite number.")
    mine = {name: _names(name) for name in at}
    for column in columns:
        shared = [name for name, own in mine.items() if own & _names(column)]
        if column not in at and shared:
            raise ModelError(
                f"at gives a value of {shared[0]!r}, but the group column {column!r} is made of the same predictor: "
                f"give its value too, at={{..., {column!r}: ...}}."
            )
    return {str(name): float(value) for name, value in at.items()}


def _names(column: str) -> set[str]:
    """Return the columns of the table that a group column is made of."""
    return set(_NAME.findall(re.sub(r"\[[^\]]*\]", "", column)))


def _columns(of: FactorFit, values: Mapping[str, float], n: int, *, by_stratum: bool) -> Array:
    """Return z (strata, q): the means of the group columns, or what was asked for; NaN where they are not known."""
    name = f"column_means_by_error_{of.name}" if by_stratum else f"column_means_{of.name}"
    q = len(of.coefs)
    z = np.full((n, q), np.nan)
    if name in of.fit.constant:
        z = np.array(of.fit.constant[name].to_numpy().reshape(n, q))
    for k, column in enumerate(of.coefs):
        if column in values or column == "Intercept":
            z[:, k] = values.get(column, 1.0)
    return z


def _variances(of: FactorFit, z: Array) -> tuple[Array, Array]:
    """Return z'Sigma z of each stratum, draws (chain, draw, strata) and at REML (strata,).

    NaN where rounding of the standard deviations and correlations, which are those of the raw columns, hides it: of
    columns that are very far from zero.
    """
    Sigma, limit = of.covariance(), of.fit.limit[f"cov_{of.name}"].to_numpy()
    draws, lost = _quadratic_form(z, Sigma)
    draws[:, np.median(lost, axis=0) > 0] = np.nan
    reml, lost = _quadratic_form(z, limit[None])
    return draws.reshape(*of.fit.n_draws, -1), np.where(lost, np.nan, reml)[0]


def _quadratic_form(z: Array, Sigma: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return z'Sigma z (S, strata), and where rounding of Sigma (S, q, q) hides it."""
    value = np.einsum("di,sij,dj->sd", z, Sigma, z, optimize=True)
    size = np.einsum("di,sij,dj->sd", np.abs(z), np.abs(Sigma), np.abs(z), optimize=True)
    return np.maximum(value, 0.0), np.finfo(float).eps * size > _MOST_ROUNDING * np.abs(value)


def _where(fit: Fit, values: Mapping[str, float]) -> str:
    """Return where a share is: that of one factor depends on the columns of all."""
    if all(of.coefs == ["Intercept"] for of in fit.by_factor):
        return "Intercept"
    asked = ", ".join(f"{name} = {number(value)}" for name, value in values.items())
    return f"at {asked}" if asked else "at the means"


def _text(fit: Fit, z: Mapping[str, Array]) -> str:
    named = {
        column: value
        for of in fit.by_factor
        for column, value in zip(of.coefs, z[of.name].tolist(), strict=True)
        if column != "Intercept"
    }
    return ", ".join(f"{column} = {number(value)}" for column, value in named.items())


def _notes(fit: Fit, found: list[Intraclass], *, lost: bool) -> tuple[str, ...]:
    notes, by_stratum = [], any(own.stratum for own in found)
    if found and found[0].where == "at the means":
        whose = " of each stratum's rows" if by_stratum else ""
        named = f" ({found[0].at})" if not by_stratum and found[0].at.count(",") < _MOST_NAMED else ""
        notes.append(
            f"Intraclass correlations are at the means of the group columns{whose}{named}; for others, at={{...}}."
        )
    if found and "weights=" in fit.attrs["errors"]:
        notes.append("Intraclass correlations are those of rows of weight one.")
    if found and fit.attrs.get("latent_variance", 0.0):
        notes.append(
            "Intraclass correlations are those of the latent response, whose error has the variance of the link "
            "(Nakagawa, Johnson and Schielzeth 2017)."
        )
    if lost:
        notes.append(
            "Some intraclass correlations are left out: means of group columns are not known, or so far from zero that "
            "rounding hides the variance there. Centre these predictors, or ask for values near zero, at={...}."
        )
    return tuple(notes)
