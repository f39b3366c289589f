"""From the answers of checks to the report of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.criticism.values import NotMade
from hierreg.reports.checks import ALARM, CLEAR, NOT_MADE, NOTE, Checks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hierreg.criticism.values import Finding


def report(answers: Mapping[str, tuple[str, Finding | NotMade]], level: float, attrs: Mapping[str, Any]) -> Checks:
    """Return the answers of checks, by name with a title, as a report."""
    out: dict[str, list[Any]] = {name: [] for name in ("statistic", "p", "verdict", "found", "evidence", "remedy")}
    figures: dict[str, Any] = {}
    made = [one for _, one in answers.values()]
    adjusted = holm(np.array([np.nan if isinstance(one, NotMade) else one.p for one in made]))
    for i, one in enumerate(made):
        if isinstance(one, NotMade):
            values: tuple[Any, ...] = (np.nan, np.nan, NOT_MADE, "", one.reason, "")
        else:
            is_alarm = bool(adjusted[i] < level) if one.is_alarm is None else one.is_alarm
            verdict = ALARM if is_alarm else NOTE if one.is_note else CLEAR
            values = (one.statistic, one.p, verdict, one.found, one.evidence, one.remedy)
            figures |= one.figure
        for name, value in zip(out, values, strict=True):
            out[name].append(value)
    coords: dict[str, Any] = {
        "check": ("check", list(answers)),
        "kind": ("check", out["verdict"]),
        "looked_at": ("check", [title for title, _ in answers.values()]),
    }
    data: dict[str, Any] = {"p": ("check", out["p"]), "p_adjusted": ("check", adjusted)}
    data |= {name: ("check", values) for name, values in out.items() if name != "p"}
    for name, (dims, values, *labels) in figures.items():
        data[name] = (dims, values)
        if labels:
            coords[dims[0]] = (dims, labels[0])
    return Checks(data, coords=coords, attrs={"level": level, **attrs})


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values adjusted for their number; NaN stay, and do not count.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70.

    Examples
    --------
    >>> holm(np.array([0.01, np.nan, 0.2, 0.03])).round(3)
    array([0.03,  nan, 0.2 , 0.06])
    """
    out = np.full(len(p), np.nan)
    places = np.flatnonzero(np.isfinite(p))
    order = places[np.argsort(p[places], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    return out
