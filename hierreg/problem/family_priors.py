"""Priors of the further parameters of a family of responses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hierreg.effects.student_t import DEFAULT_NU, LOWEST_GIVEN
from hierreg.exceptions import PriorError
from hierreg.likelihood.quadrature.auxiliary import Auxiliary
from hierreg.priors import Exponential, Fixed, Gamma, HalfStudentT, Normal
from hierreg.priors.families import SdPrior
from hierreg.priors.resolved import PriorRow

if TYPE_CHECKING:
    from hierreg.priors import Priors, ResolvedPriors
    from hierreg.priors.scales import PriorScales
    from hierreg.response import Family, Observed

_THRESHOLD = Normal(0.0, 5.0)


def auxiliary_of(family: Family, observed: Observed, scales: PriorScales) -> Auxiliary:
    """Return the further parameters of a family with their priors, defaults included."""
    if not family.auxiliary:
        return Auxiliary(names=(), strata=observed.strata, priors=((),) * len(observed.strata))
    if not family.has_level:
        thresholds = (_THRESHOLD,) * (len(observed.categories) - 1)
        return Auxiliary(names=family.auxiliary, strata=("",), priors=(thresholds,), has_order=True)
    row = tuple(_prior(family, name, scales) for name in family.auxiliary)
    return Auxiliary(
        names=family.auxiliary,
        strata=observed.strata,
        priors=(row,) * len(observed.strata),
        common=family.common,
        lowest=family.lowest,
    )


def check_no_errors(family: Family, priors: Priors | None) -> None:
    """Raise where priors are given for errors, which these responses do not have.

    Raises
    ------
    PriorError
    """
    for name in ("error_sd", "error_corr"):
        given = None if priors is None else getattr(priors, name)
        if given is None:
            continue
        what = type(family).__name__.removesuffix("Response")
        own = ", ".join(f"hr.{what}({one}=...)" for one in family.auxiliary if family.has_level)
        has_none = f"family={family} has no {name}, which belongs to normal responses"
        if name in family.auxiliary:
            has_none = f"with family={family} it is a parameter of the family"
        raise PriorError(
            f"{name} = {given} was given as a prior, but {has_none}. Leave it out"
            + (f"; priors of further parameters are arguments of the family, {own}." if own else ".")
        )


def _prior(family: Family, name: str, scales: PriorScales) -> SdPrior | Fixed:
    given = family.prior_of(name)
    if given is None:
        return {
            "dispersion": Exponential(1.0),
            "shape": Gamma(2.0, 0.1),
            "precision": Gamma(1.0, 0.05),
            "error_sd": HalfStudentT(3.0, scales.y_sd or 1.0),
            "error_scale": HalfStudentT(3.0, scales.y_sd or 1.0),
            "nu": DEFAULT_NU,
        }[name]
    value = Fixed(float(given)) if isinstance(given, (int, float)) and not isinstance(given, bool) else given
    least = LOWEST_GIVEN if name == "nu" else 0.0
    if isinstance(value, Fixed) and not value.is_matrix and float(value.array) > least:
        return value
    if isinstance(given, SdPrior):
        return given
    number = f"number above {least:g}" if least else "positive number"
    raise PriorError(
        f"{name}={given!r} of family={type(family).__name__.removesuffix('Response')}: a prior of a positive number, "
        f"such as hr.HalfNormal(1) or hr.Gamma(2, 0.1), or a {number} is required."
    )


def with_auxiliary_rows(resolved: ResolvedPriors, family: Family, auxiliary: Auxiliary) -> ResolvedPriors:
    """Return priors whose table has those of the further parameters too."""
    rows: list[PriorRow] = []
    own = resolved.rows
    if auxiliary.has_order:
        # The intercept is in the thresholds.
        own = tuple(row for row in own if row.parameter != "beta[Intercept]")
    for t, (stratum, priors) in enumerate(zip(auxiliary.strata, auxiliary.priors, strict=True)):
        if auxiliary.has_order:
            rows.append(PriorRow(parameter="thresholds", prior=f"{priors[0]}, increasing", origin="default"))
            continue
        for name, prior in zip(auxiliary.names, priors, strict=True):
            if t and name in auxiliary.common:
                continue
            parameter = f"{name}[{stratum}]" if auxiliary.has_strata(name) else name
            origin = "default" if family.prior_of(name) is None else "given"
            is_bounded = name in auxiliary.lowest and not isinstance(prior, Fixed)
            bound = f", {name} > {auxiliary.lowest[name]:g}" if is_bounded else ""
            rows.append(PriorRow(parameter=parameter, prior=f"{prior}{bound}", origin=origin))
    return replace(resolved, rows=(*own, *rows))
