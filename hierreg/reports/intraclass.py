"""Intraclass correlations: the share of a row's variance that is between the groups of a factor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import check_choice, listed, suggestion
from hierreg.display.numbers import number
from hierreg.exceptions import ModelError
from hierreg.reports.observation_level import (
    APPROXIMATIONS,
    depends_on_the_mean,
    family_name,
    has_variance,
    is_of_logarithm,
    note_of_family,
    population_means,
    stratum_dim,
    within_groups,
)

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


def intraclass_correlations(
    fit: Fit, at: Mapping[str, float] | None, observation: str = "lognormal"
) -> IntraclassCorrelations:
    """Return the intraclass correlations of every factor and stratum.

    None where known errors differ from row to row.

    Parameters
    ----------
    fit : Fit
    at : mapping group column -> number, or None
        Values of group columns in place of their means.
    observation : {"lognormal", "trigamma", "delta"}
        The variance of the logarithm of a count, or of a gamma response; see `observation_level`.

    Raises
    ------
    ModelError
        If `at` names what is no group column, or leaves out one that depends on the same predictor, or `observation`
        is asked of other responses.
    """
    check_choice(observation, APPROXIMATIONS, argument="observation", error=ModelError)
    if observation != APPROXIMATIONS[0] and not is_of_logarithm(fit):
        raise ModelError(
            f"observation={observation!r} belongs to counts and gamma responses with a log link; leave it out here."
        )
    values = _checked(at, fit)
    if not fit.factors or str(fit.attrs["errors"]).startswith("known"):
        return IntraclassCorrelations(found=(), notes=())
    if not all(of.has_covariance for of in fit.by_factor):
        note = "Intraclass correlations are left out: with at most 2 degrees of freedom group effects have no variance."
        return IntraclassCorrelations(found=(), notes=(note,))
    if not has_variance(fit):
        return IntraclassCorrelations(found=(), notes=_why_not(fit))
    dim = stratum_dim(fit)
    strata = [""] if dim is None else [str(v) for v in fit.posterior[dim].values]
    by_stratum = dim is not None and dim == fit.error_dim
    columns = {of.name: _columns(of, values, len(strata), by_stratum=by_stratum) for of in fit.by_factor}
    variances = {of.name: _variances(of, columns[of.name]) for of in fit.by_factor}
    between = (
        np.sum([draws for draws, _ in variances.values()], axis=0),
        np.sum([reml for _, reml in variances.values()], axis=0),
    )
    within = within_groups(fit, between, values, observation)
    total, reml_total = between[0] + within.draws, between[1] + within.reml
    found, lost, where = [], False, _where(fit, values)
    for of in fit.by_factor:
        draws, reml = variances[of.name]
        for d, stratum in enumerate(strata):
            share = draws[..., d] / total[..., d]
            lost |= not np.all(np.isfinite(share))
            if np.all(np.isfinite(share)) and np.ptp(share) > 0:
                found.append(
                    Intraclass(
                        name=f"{of.name}[{where}]" + (f", {dim}[{stratum}]" if stratum else ""),
                        where=where,
                        stratum=stratum,
                        at=_text(fit, {name: z[d] for name, z in columns.items()}, values),
                        draws=share,
                        reml=float(reml[d] / reml_total[d]),
                    )
                )
    return IntraclassCorrelations(found=tuple(found), notes=_notes(fit, found, observation, lost=lost))


def _why_not(fit: Fit) -> tuple[str, ...]:
    """Return why a family of responses has no intraclass correlations."""
    name = family_name(fit)
    if not name:
        return ()
    if "nu" in fit.posterior:
        return ("Intraclass correlations are left out: with at most 2 degrees of freedom errors have no variance.",)
    note = f"Intraclass correlations of family {name} are left out: no latent scale has an agreed variance there."
    if depends_on_the_mean(fit):
        note = (
            "Intraclass correlations are left out: this result, of an earlier version, has no means of the predictors. "
            "Sample again for them."
        )
    return (note,)


def _checked(at: Any, fit: Fit) -> dict[str, float]:
    if at is None:
        return {}
    if not isinstance(at, Mapping):
        raise ModelError(f"at={at!r} is not a dictionary of values of group columns, such as {{'Days': 5}}.")
    columns = list(dict.fromkeys(c for of in fit.by_factor for c in of.coefs if c != "Intercept"))
    what = "group column"
    if depends_on_the_mean(fit):
        # The mean response, and with it the variance within groups, depends on the others too.
        columns = list(dict.fromkeys([*columns, *_population_columns(fit)]))
        what = "column of the model"
    for name, value in at.items():
        if name not in columns:
            known = f"they are {listed(columns)}" if columns else "there are none beside the intercept"
            raise ModelError(f"at names {name!r}, which is no {what}; {known}.{suggestion(name, columns)}")
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
            raise ModelError(f"at[{name!r}]={value!r} must be a finite number.")
    mine = {name: _names(name) for name in at}
    for column in columns:
        shared = [name for name, own in mine.items() if own & _names(column)]
        if column not in at and shared:
            raise ModelError(
                f"at gives a value of {shared[0]!r}, but the {what} {column!r} is made of the same predictor: "
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
        z = np.array(np.broadcast_to(of.fit.constant[name].to_numpy(), (n, q)))
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
    of_mean = depends_on_the_mean(fit) and bool(_population_columns(fit))
    if all(of.coefs == ["Intercept"] for of in fit.by_factor) and not of_mean:
        return "Intercept"
    asked = ", ".join(f"{name} = {number(value)}" for name, value in values.items())
    return f"at {asked}" if asked else "at the means"


def _population_columns(fit: Fit) -> list[str]:
    return [str(name) for name in fit.posterior["coef"].values if str(name) != "Intercept"]


def _text(fit: Fit, z: Mapping[str, Array], values: Mapping[str, float]) -> str:
    named = {
        column: value
        for of in fit.by_factor
        for column, value in zip(of.coefs, z[of.name].tolist(), strict=True)
        if column != "Intercept"
    }
    if depends_on_the_mean(fit):
        means = dict(zip(fit.posterior["coef"].values.astype(str), population_means(fit, values).tolist(), strict=True))
        named |= {column: means[column] for column in _population_columns(fit)}
    return ", ".join(f"{column} = {number(value)}" for column, value in named.items())


def _notes(fit: Fit, found: list[Intraclass], observation: str, *, lost: bool) -> tuple[str, ...]:
    notes = []
    by_stratum = any(own.stratum for own in found) and stratum_dim(fit) == fit.error_dim
    if found and found[0].where == "at the means":
        whose = " of each stratum's rows" if by_stratum else ""
        named = f" ({found[0].at})" if not by_stratum and found[0].at.count(",") < _MOST_NAMED else ""
        what = "predictors" if depends_on_the_mean(fit) else "group columns"
        notes.append(f"Intraclass correlations are at the means of the {what}{whose}{named}; for others, at={{...}}.")
    if found and "weights=" in fit.attrs["errors"]:
        notes.append("Intraclass correlations are those of rows of weight one.")
    if found and (note := note_of_family(fit, observation)):
        notes.append(note)
    if lost:
        notes.append(
            "Some intraclass correlations are left out: means of group columns are not known, or so far from zero that "
            "rounding hides the variance there. Centre these predictors, or ask for values near zero, at={...}."
        )
    return tuple(notes)
