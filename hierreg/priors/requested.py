"""`Priors`: what a user asks for, checked by role where it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from hierreg.display import Column, Row, Section, Table
from hierreg.display.html import as_html
from hierreg.exceptions import PriorError
from hierreg.priors.correlation import LKJ, Fixed
from hierreg.priors.families import SD_FAMILY_NAMES, Flat, Normal, SdPrior

type BetaChoice = Normal | Flat | Fixed
type SdChoice = SdPrior | Fixed
type CorrChoice = LKJ | Fixed

SD_CHOICES = f"{', '.join(SD_FAMILY_NAMES)} or Fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """Priors for some or all parameters of a model; what is left out gets its default (see `hierreg.priors`).

    Parameters
    ----------
    beta : Normal, Flat, Fixed, or {coefficient: one of these}
        Population coefficients. A prior given for the intercept is for the intercept itself, at x = 0.
    sd : an sd family, Fixed, {factor: family}, or {factor: {coefficient: family}}
        Standard deviations of the group coefficients.
    corr : LKJ, Fixed, or {factor: LKJ, Fixed or a tuple with one entry per bar term}
        Correlations of the group coefficients; None in a tuple for a term without correlations.
    error_sd : an sd family, Fixed, or {stratum or data set: family}
        Standard deviations of the errors, or the factor on known errors.
    error_corr : LKJ or Fixed, or {stratum: LKJ or Fixed}
        Correlations of the errors across data sets. For exchangeable errors the correlation within units, in all
        strata or by stratum: LKJ(eta) has density proportional to ((rho - lowest) (1 - rho))^(eta - 1) over its
        interval, Fixed takes a number. For AR(1) errors the correlation of rows one step of time apart, lowest = -1.

    Raises
    ------
    PriorError
        If a family does not suit the parameter.

    See Also
    --------
    Model.priors : What a model makes of them, with its defaults.
    Normal : Of population coefficients; also `Flat`.
    HalfStudentT : Of standard deviations; also `HalfNormal`, `HalfCauchy`, `Exponential`, `Gamma`, `InverseGamma` and
        `LogNormal`.
    LKJ : Of correlations.
    Fixed : What is known.

    Examples
    --------
    >>> from hierreg.priors import HalfNormal
    >>> Priors(beta={"Days": Normal(0, 5)}, sd={"Subject": HalfNormal(50)})
    Priors(beta={'Days': Normal(mu=0.0, sigma=5.0)}, sd={'Subject': HalfNormal(sigma=50.0)})
    """

    beta: BetaChoice | Mapping[str, BetaChoice] | None = None
    sd: SdChoice | Mapping[str, SdChoice | Mapping[str, SdChoice]] | None = None
    corr: CorrChoice | Mapping[str, CorrChoice | tuple[CorrChoice | None, ...]] | None = None
    error_sd: SdChoice | Mapping[str, SdChoice] | None = None
    error_corr: CorrChoice | Mapping[str, CorrChoice] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            # own copies: a dictionary changed later by its owner must not change a frozen value
            object.__setattr__(self, field.name, _copied(getattr(self, field.name)))
        _each(self.beta, "beta", 1, _check_beta)
        _each(self.sd, "sd", 2, _check_sd)
        _each(self.corr, "corr", 1, _check_corr_entry)
        _each(self.error_sd, "error_sd", 1, _check_error_sd)
        _each(self.error_corr, "error_corr", 1, _check_error_corr)

    def __repr__(self) -> str:
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return f"Priors({', '.join(f'{name}={value!r}' for name, value in given if value is not None)})"

    def _repr_html_(self) -> str:
        rows = [Row(name=name, values={"prior": text}) for name, text in _lines(self)]
        sections = (Section(title="given; all others have defaults", rows=rows),) if rows else ()
        heading = "" if rows else "Priors(): all are defaults."
        return as_html(
            Table(columns=(Column(key="prior", head="prior", form="text"),), sections=sections, heading=heading)
        )


def _lines(priors: Priors) -> Iterator[tuple[str, str]]:
    """Yield what is given, by argument and keys."""

    def inside(name: str, value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, Mapping):
            for key, entry in value.items():
                yield from inside(f"{name}[{key}]", entry)
        else:
            yield name, str(value)

    for field in fields(priors):
        value = getattr(priors, field.name)
        if value is not None:
            yield from inside(field.name, value)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(entry) for key, entry in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _each(value: Any, name: str, depth: int, check: Any) -> None:
    """Check one choice, or every choice of a dictionary nested at most `depth` deep."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        check(value, name)
    elif depth == 0:
        raise PriorError(f"{name} = {value!r}: no further dictionary is possible here; give one prior")
    else:
        for key, entry in value.items():
            _each_entry(entry, f"{name}[{key!r}]", depth - 1, check)


def _each_entry(value: Any, name: str, depth: int, check: Any) -> None:
    if value is None:
        raise PriorError(f"{name} = None: leave the entry out for the default")
    _each(value, name, depth, check)


def _check_beta(value: object, name: str) -> None:
    if not isinstance(value, Normal | Flat | Fixed):
        raise PriorError(f"{name} = {value!r}: a population coefficient takes Normal, Flat or Fixed")
    _check_scalar(value, name)


def _check_sd(value: object, name: str) -> None:
    if not isinstance(value, SdPrior | Fixed):
        raise PriorError(f"{name} = {value!r}: a standard deviation takes {SD_CHOICES}")
    _check_scalar(value, name)
    if isinstance(value, Fixed) and value.parameters[0] < 0:
        raise PriorError(f"{name} = {value}: a standard deviation cannot be negative")


def _check_error_sd(value: object, name: str) -> None:
    _check_sd(value, name)
    if isinstance(value, Fixed) and value.parameters[0] == 0:
        raise PriorError(f"{name} = {value}: an error standard deviation must be positive")


def _check_corr_entry(value: object, name: str) -> None:
    for index, entry in enumerate(value) if isinstance(value, tuple) else ():
        if entry is not None:
            _check_corr(entry, f"{name}[{index}]")
    if not isinstance(value, tuple):
        _check_corr(value, name)


def _check_error_corr(value: object, name: str) -> None:
    # Whether a number or a matrix can be fixed depends on the error structure.
    if not isinstance(value, LKJ | Fixed):
        raise PriorError(f"{name} = {value!r}: a correlation takes LKJ(eta) or Fixed(matrix)")


def _check_corr(value: object, name: str) -> None:
    _check_error_corr(value, name)
    if isinstance(value, Fixed) and not value.is_matrix:
        raise PriorError(
            f"{name} = {value}: a correlation is fixed with a matrix, for example Fixed([[1, 0.5], [0.5, 1]])"
        )


def _check_scalar(value: object, name: str) -> None:
    if isinstance(value, Fixed) and value.is_matrix:
        raise PriorError(f"{name} = {value}: must be one number here; a matrix fixes a correlation")
