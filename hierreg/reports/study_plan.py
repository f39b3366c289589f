"""The report of a plan: how precise and how likely to decide studies of several sizes are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from hierreg.display import Column
from hierreg.reports.table import Report, section

if TYPE_CHECKING:
    from hierreg.display import Section


@final
class StudyPlan(Report):
    """What `design` returns; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"power": 2, "sd": 2, "groups": 1, "rows": 1}
    has_every_row: ClassVar[bool] = True

    def _columns(self) -> tuple[Column, ...]:
        reliable = tuple(
            Column(key=f"reliability[{label}]", head=f"rel. {label}", form="fixed", digits=2, fold=1)
            for label in (self["effect"].to_numpy().tolist() if "effect" in self.dims else ())
        )
        return (
            Column(key="sd", head="sd" if self.attrs["is_posterior"] else "se", form="significant"),
            Column(key="sd_mcse", head="mcse", form="significant", digits=2, fold=3),
            Column(key="power", head="without 0", form="fixed"),
            Column(key="power_mcse", head="mcse", form="significant", digits=2, fold=2),
            Column(key="coverage", head="coverage", form="fixed", fold=4),
            Column(key="wrong_sign", head="wrong sign", form="fixed", fold=5),
            Column(key="exaggeration", head="exaggeration", form="fixed", digits=2, fold=5),
            *reliable,
        )

    def _sections(self, most: int | None) -> tuple[Section, ...]:
        names = self["contrast"].to_numpy().tolist()
        return tuple(section(name, self.isel(contrast=[i]), most, ("study",)) for i, name in enumerate(names))
