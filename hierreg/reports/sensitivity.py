"""`Sensitivity` and `PriorGrid`: how much of a posterior is its prior, as tables. `hierreg.sensitivity` makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from hierreg.display import Column, Row, Section
from hierreg.reports.table import Report

if TYPE_CHECKING:
    import xarray as xr

# Quantities whose evidence is written out below the table.
_MOST_EVIDENCE = 2


@final
class Sensitivity(Report):
    """What `hierreg.sensitivity` returns of one fit; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"mean": 1, "sd": 1, "prior": 1, "likelihood": 1, "verdict": 1}

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column(key="mean", head="mean", fold=3),
            Column(key="sd", head="sd", fold=3),
            Column(key="prior", head="prior", form="fixed"),
            Column(key="likelihood", head="likelihood", form="fixed"),
            Column(key="contraction", head="contraction", form="fixed", digits=2, fold=1),
            Column(key="overlap", head="overlap", form="fixed", digits=2, fold=2),
            Column(key="verdict", head="verdict", form="text"),
        )

    def _notes(self) -> tuple[str, ...]:
        # Those that depend most on the priors first.
        order = self["prior"].to_numpy().argsort()[::-1]
        told = [str(text) for text in self["evidence"].to_numpy()[order] if text]
        more = [f"The evidence of {len(told) - _MOST_EVIDENCE} more is in ['evidence']."] * (len(told) > _MOST_EVIDENCE)
        return (*super()._notes(), *told[:_MOST_EVIDENCE], *more)


@final
class PriorGrid(Report):
    """What `hierreg.sensitivity` returns of several fits, a posterior for each prior; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"mean": 2, "sd": 2, "moved": 2}

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column(key="mean", head="mean"),
            Column(key="sd", head="sd"),
            *self._interval(),
            Column(key="moved", head="moved", form="fixed", digits=2),
            Column(key="mcse", head="mcse", form="significant", digits=2, fold=1),
        )

    def _sections(self, most: int | None) -> tuple[Section, ...]:
        shown = self.isel(quantity=slice(most))
        left_out = self.sizes["quantity"] - shown.sizes["quantity"]
        names = [str(name) for name in shown["quantity"].to_numpy()]
        return tuple(
            Section(
                title=name,
                rows=_rows(shown.isel(quantity=i)),
                more=left_out * self.sizes["prior"] if i == len(names) - 1 else 0,
                kind=name,
            )
            for i, name in enumerate(names)
        )


def _rows(one: xr.Dataset) -> list[Row]:
    """Return a row for each prior, of one quantity."""
    keys = ("mean", "sd", "lower", "upper", "moved", "mcse")
    return [
        Row(name=str(prior), values={key: float(one[key].to_numpy()[i]) for key in keys})
        for i, prior in enumerate(one["prior"].to_numpy())
    ]
