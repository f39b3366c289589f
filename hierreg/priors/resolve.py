"""Turn what a user asked for into one prior per parameter, with defaults scaled to the data."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import PriorError
from hierreg.priors.correlation import LKJ, Fixed
from hierreg.priors.families import FloatArray, HalfStudentT, Normal, SdPrior
from hierreg.priors.frames import Sequential, sequential
from hierreg.priors.group_frames import FrameOfGroups, frame_of_groups
from hierreg.priors.requested import BetaChoice, CorrChoice, Priors, SdChoice
from hierreg.priors.resolved import GroupFrame, PriorRow, ResolvedPriors
from hierreg.priors.scales import FactorScales, PriorScales

_DEFAULT_NU = 3.0
_DEFAULT_WIDTH = 2.5
_AT_MEANS = " at the predictors' means"
_IN_SEQUENCE = ", in sequence"
_NOTES = {
    _AT_MEANS: "At the predictors' means: the prior of the level there, not of the coefficient where predictors are "
    "zero.",
    _IN_SEQUENCE: "In sequence: the prior of the coefficient in a regression on this column and those above it, so "
    "that fits and predictions have the same prior whatever the zero, unit or coding of the predictors.",
}


def resolve_priors(priors: Priors | None, scales: PriorScales) -> ResolvedPriors:
    """One prior for every parameter of the model that `scales` describes.

    Parameters
    ----------
    priors : Priors or None
        What the user asked for; None for defaults throughout.
    scales : PriorScales

    Returns
    -------
    ResolvedPriors

    Raises
    ------
    PriorError
        If a name is not in the model, a matrix has the wrong size, a prior is given for a parameter that
        the model does not have, or a default is needed for a response or predictor without variation.
    """
    priors = Priors() if priors is None else priors
    rows: list[PriorRow] = []
    beta, frame = _resolve_beta(priors.beta, scales, rows)
    sd, corr, frames = _resolve_factors(priors, scales, rows)
    words = [row.prior for row in rows]
    return ResolvedPriors(
        beta=beta,
        beta_basis=_read_only(frame.T),
        beta_inner=_read_only(frame.inner),
        frames=frames,
        sd=sd,
        corr=corr,
        error_sd=_resolve_error_sd(priors.error_sd, scales, rows),
        error_corr=_resolve_error_corr(priors.error_corr, scales, rows),
        rows=tuple(rows),
        notes=tuple(note for word, note in _NOTES.items() if any(word in text for text in words)),
    )


def _read_only(array: FloatArray) -> FloatArray:
    array.flags.writeable = False
    return array


def _resolve_beta(
    given: BetaChoice | Mapping[str, BetaChoice] | None, scales: PriorScales, rows: list[PriorRow]
) -> tuple[tuple[BetaChoice, ...], Sequential]:
    names = scales.coef_names
    by_name = _by_name(given, names, "beta", "coefficient")
    frame = sequential(scales.columns, np.array([name in by_name for name in names], dtype=bool))
    holds_level = scales.columns.ones() is not None
    y_scale = scales.y_sd if holds_level else scales.y_rms
    y_level = scales.y_mean if frame.has_level else 0.0
    plain = frame.is_plain
    beta: list[BetaChoice] = []
    for index, name in enumerate(names):
        if name in by_name:
            beta.append(by_name[name])
        else:
            width = _DEFAULT_WIDTH * _usable_scale(y_scale, "the response", f"beta[{name!r}]")
            beta.append(Normal(y_level * float(frame.level[index]) + 0.0, width / float(frame.scale[index])))
        words = str(beta[index])
        if name not in by_name:
            words += _meaning(is_level=bool(frame.is_level[index]) and len(names) > 1, is_plain=bool(plain[index]))
        rows.append(PriorRow(parameter=f"beta[{name}]", prior=words, origin=_origin(name in by_name)))
    return tuple(beta), frame


def _meaning(*, is_level: bool, is_plain: bool) -> str:
    """Return what a default prior is a prior of, where that is not the coefficient as it stands."""
    if is_level:
        return _AT_MEANS
    return "" if is_plain else _IN_SEQUENCE


def _resolve_factors(
    priors: Priors, scales: PriorScales, rows: list[PriorRow]
) -> tuple[dict[str, tuple[SdChoice, ...]], dict[str, tuple[CorrChoice | None, ...]], dict[str, GroupFrame]]:
    names = tuple(scales.factors)
    if priors.sd is not None and not names:
        raise PriorError(f"sd = {priors.sd!r} was given, but the model has no group coefficients: leave sd out")
    has_corr = any(size is not None for factor in scales.factors.values() for size in factor.corr_sizes)
    if priors.corr is not None and not has_corr:
        raise PriorError(f"corr = {priors.corr!r} was given, but no group coefficients are correlated: leave corr out")
    sd_by_factor = _by_name(priors.sd, names, "sd", "grouping factor")
    corr_by_factor = _by_name(priors.corr, names, "corr", "grouping factor")
    sd: dict[str, tuple[SdChoice, ...]] = {}
    corr: dict[str, tuple[CorrChoice | None, ...]] = {}
    frames: dict[str, GroupFrame] = {}
    for name, factor in scales.factors.items():
        entries = _corr_entries(corr_by_factor.get(name), name, factor, strict=isinstance(priors.corr, Mapping))
        by_name = _by_name(sd_by_factor.get(name), factor.coef_names, f"sd[{name!r}]", "coefficient")
        given = np.array([coef in by_name for coef in factor.coef_names], dtype=bool)
        frame = frame_of_groups(factor, given, [entry is not None for entry in entries])
        frames[name] = frame.group
        sd[name] = _resolve_sd(by_name, name, factor, (scales.y_sd, frame), rows)
        corr[name] = _resolve_corr(entries, name, factor, frame, rows)
    return sd, corr, frames


def _resolve_sd(
    by_name: Mapping[str, SdChoice],
    name: str,
    factor: FactorScales,
    scale: tuple[float, FrameOfGroups],
    rows: list[PriorRow],
) -> tuple[SdChoice, ...]:
    y_scale, frame = scale
    resolved: list[SdChoice] = []
    for index, coef in enumerate(factor.coef_names):
        prior = by_name.get(coef) or _default_sd(y_scale, float(frame.width[index]), f"sd[{name!r}][{coef!r}]")
        resolved.append(prior)
        words = str(prior)
        if coef not in by_name:
            words += _meaning(is_level=bool(frame.is_level[index]), is_plain=bool(frame.is_plain[index]))
        rows.append(PriorRow(parameter=f"sd_{name}[{coef}]", prior=words, origin=_origin(coef in by_name)))
    return tuple(resolved)


def _default_sd(y_scale: float, width: float, name: str) -> SdPrior:
    return HalfStudentT(_DEFAULT_NU, _usable_scale(y_scale, "the response", name) * width)


def _corr_entries(
    given: CorrChoice | tuple[CorrChoice | None, ...] | None, name: str, factor: FactorScales, *, strict: bool
) -> tuple[CorrChoice | None, ...]:
    """Return what was asked for of the correlations of each bar term; None where nothing was."""
    sizes = factor.corr_sizes
    if isinstance(given, tuple):
        _check_corr_tuple(given, name, sizes)
        entries = given
    else:
        if given is not None and strict and not any(sizes):
            raise PriorError(
                f"corr[{name!r}] = {given}: this factor has no correlated coefficients; leave the entry out"
            )
        entries = tuple(given if size is not None else None for size in sizes)
    for entry, size in zip(entries, sizes, strict=True):
        if size is not None:
            _check_corr_size(entry, size, f"corr[{name!r}]")
    return entries


def _resolve_corr(
    entries: Sequence[CorrChoice | None],
    name: str,
    factor: FactorScales,
    frame: FrameOfGroups,
    rows: list[PriorRow],
) -> tuple[CorrChoice | None, ...]:
    resolved: list[CorrChoice | None] = []
    place = 0
    for term, (entry, size) in enumerate(zip(entries, factor.corr_sizes, strict=True)):
        resolved.append(None if size is None else entry or LKJ(2.0))
        if size is not None:
            label = f"corr_{name}" if len(entries) == 1 else f"corr_{name}[term {term + 1}]"
            mine = slice(place, place + size)
            words = str(resolved[-1])
            if entry is None:
                at_means = bool(frame.is_level[mine].any())
                words += _meaning(is_level=at_means, is_plain=bool(frame.is_plain[mine].all()))
            rows.append(PriorRow(parameter=label, prior=words, origin=_origin(entry is not None)))
        place += factor.term_sizes[term]
    return tuple(resolved)


def _check_corr_tuple(given: tuple[CorrChoice | None, ...], name: str, sizes: Sequence[int | None]) -> None:
    if len(given) != len(sizes):
        raise PriorError(
            f"corr[{name!r}] has {len(given)} entries, but the factor has {len(sizes)} bar terms: one each"
        )
    for term, (entry, size) in enumerate(zip(given, sizes, strict=True)):
        if entry is not None and size is None:
            raise PriorError(f"corr[{name!r}][{term}] = {entry}: this term has no correlations; write None")


def _resolve_error_sd(
    given: SdChoice | Mapping[str, SdChoice] | None, scales: PriorScales, rows: list[PriorRow]
) -> tuple[SdChoice, ...]:
    if scales.n_error_sd == 0:
        if given is not None:
            raise PriorError(
                f"error_sd = {given!r} was given, but the errors are known: leave it out, or set scale=True"
            )
        return ()
    labels = (
        scales.error_labels[: scales.n_error_sd] if scales.n_error_sd > 1 else scales.error_labels[:1] or ("error",)
    )
    by_name = _by_name(given, labels, "error_sd", "stratum or data set")
    resolved: list[SdChoice] = []
    for index, label in enumerate(labels):
        prior = by_name.get(label) or _default_error_sd(index, label, scales)
        resolved.append(prior)
        parameter = "error_sd" if len(labels) == 1 else f"error_sd[{label}]"
        rows.append(PriorRow(parameter=parameter, prior=str(prior), origin=_origin(label in by_name)))
    return tuple(resolved)


def _default_error_sd(index: int, label: str, scales: PriorScales) -> SdPrior:
    if scales.error_factor is not None:
        what = "the response in units of the known errors"
        return HalfStudentT(_DEFAULT_NU, _usable_scale(scales.error_factor, what, f"error_sd[{label!r}]"))
    within = float(scales.y_sd_by_label[index])
    # a stratum of one row, or of equal values, has no scale of its own
    return _default_sd(within if math.isfinite(within) and within > 0 else scales.y_sd, 1.0, f"error_sd[{label!r}]")


def _resolve_error_corr(
    given: CorrChoice | Mapping[str, CorrChoice] | None, scales: PriorScales, rows: list[PriorRow]
) -> CorrChoice | tuple[CorrChoice, ...] | None:
    if not scales.has_error_corr:
        if given is not None:
            raise PriorError(f"error_corr = {given} was given, but the errors are not correlated: leave it out")
        return None
    if scales.error_corr_labels:
        return _resolve_within_units(given, scales, rows)
    if isinstance(given, Mapping):
        raise PriorError(
            f"error_corr = {given!r}: the correlations of the data sets are one matrix, with one prior: LKJ(eta)"
        )
    if isinstance(given, Fixed) and not given.is_matrix:
        raise PriorError(
            f"error_corr = {given}: a correlation is fixed with a matrix, for example Fixed([[1, 0.5], [0.5, 1]])"
        )
    _check_corr_size(given, len(scales.error_labels), "error_corr")
    if isinstance(given, Fixed) and (smallest := float(np.linalg.eigvalsh(given.array)[0])) <= 0:
        raise PriorError(
            f"error_corr = {given}: must be positive definite, but its smallest eigenvalue is {smallest:.6g}"
        )
    prior = given or LKJ(1.0)
    rows.append(PriorRow(parameter="error_corr", prior=str(prior), origin=_origin(given is not None)))
    return prior


def _resolve_within_units(
    given: CorrChoice | Mapping[str, CorrChoice] | None, scales: PriorScales, rows: list[PriorRow]
) -> tuple[CorrChoice, ...]:
    labels = scales.error_corr_labels
    by_name = _by_name(given, labels, "error_corr", "stratum")
    resolved: list[CorrChoice] = []
    for label, lowest, what in zip(labels, scales.error_corr_lowest, scales.error_corr_ranges, strict=True):
        parameter = "error_corr" if len(labels) == 1 else f"error_corr[{label}]"
        prior = by_name.get(label) or LKJ(1.0)
        if isinstance(prior, Fixed) and (prior.is_matrix or not lowest < float(prior.array) < 1):
            raise PriorError(f"{parameter} = {prior}: {what}")
        resolved.append(prior)
        words = f"{prior} on ({lowest:.3g}, 1)" if isinstance(prior, LKJ) else str(prior)
        rows.append(PriorRow(parameter=parameter, prior=words, origin=_origin(label in by_name)))
    return tuple(resolved)


def _by_name(given: Any, names: Sequence[str], argument: str, kind: str) -> dict[str, Any]:
    """Return the given priors by name; one prior for all is repeated."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, given)
    for name in given:
        if name not in names:
            hint = suggestion(name, names) + (f" Valid names: {listed(names)}." if names else "")
            raise PriorError(f"{argument} names {name!r}, but the model has no such {kind}.{hint}")
    return dict(given)


def _check_corr_size(prior: CorrChoice | None, size: int, argument: str) -> None:
    if isinstance(prior, Fixed) and len(prior.array) != size:
        raise PriorError(f"{argument} is fixed to a matrix of size {len(prior.array)}, but size {size} is needed")


def _usable_scale(scale: float, what: str, parameter: str) -> float:
    if not (math.isfinite(scale) and scale > 0):
        raise PriorError(
            f"the default prior of {parameter} is scaled by the variation of {what}, which is {scale:.6g}:"
            f" give this prior explicitly with hr.Priors(...)"
        )
    return scale


def _origin(is_given: bool) -> str:
    return "given" if is_given else "default"
