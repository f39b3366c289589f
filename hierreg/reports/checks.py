"""`Checks`: what `hierreg.check` returns, as a table with words below it."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from hierreg.display import Column
from hierreg.reports.table import Report

ALARM, NOTE, CLEAR, NOT_MADE = "alarm", "note", "clear", "not made"


@final
class Checks(Report):
    """What `check` returns; prints as a table, with what to do about each alarm below it."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"p": 1, "p_adjusted": 1, "verdict": 1}
    titles: ClassVar[dict[str, str]] = {
        ALARM: "Alarms",
        NOTE: "To know",
        CLEAR: "Nothing seen",
        NOT_MADE: "Not looked at",
    }
    has_every_row: ClassVar[bool] = True

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column(key="p", head="p", form="fixed"),
            Column(key="p_adjusted", head="Holm", form="fixed", fold=1),
            Column(key="found", head="found", form="text", fold=2),
        )

    def _notes(self) -> tuple[str, ...]:
        names, verdicts = self["check"].to_numpy(), self["verdict"].to_numpy()
        evidence, remedy = self["evidence"].to_numpy(), self["remedy"].to_numpy()
        told = [
            f"{names[i]}: {evidence[i]} Remedy: {remedy[i]}."
            for kind in (ALARM, NOTE)
            for i in np.flatnonzero(verdicts == kind)
        ]
        reasons: dict[str, list[str]] = {}
        for i in np.flatnonzero(verdicts == NOT_MADE):
            reasons.setdefault(str(evidence[i]), []).append(str(names[i]))
        if reasons:
            said = "; ".join(f"{', '.join(which)}: {reason}" for reason, which in reasons.items())
            told.append(f"Not looked at. {said}.")
        return (*told, *super()._notes())
