"""`Report`: a Dataset that prints as the table a reader wants.

A report has to be three things at once: data with names (selected, plotted, saved, turned into a data
frame), a readable table in a terminal, and the same in a notebook and in a paper. xarray's own text shows the first few
numbers of each variable, not a table; a value that only wraps a Dataset would need `.data` in front of
everything that xarray and ArviZ offer. So a report *is* a Dataset, in a subclass that adds no state
(``__slots__ = ()``) and changes only how it prints, and `to_pandas`. A part of a report, such as
``report.sel(Subject="308")``, prints as xarray prints it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from hierreg.display import Column, Row, Section, Shown, Table
from hierreg.display.numbers import percent
from hierreg.exceptions import ModelError
from hierreg.results.text import TITLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["Report", "dims_of", "percent", "section"]

# Columns that are written with the decimals of a standard error, of whatever report.
_BESIDE = {"mean", "median", "estimate", "value", "sd", "se", "lower", "upper"}


class Report(Shown, xr.Dataset):  # type: ignore[no-untyped-call]  # of __init_subclass__, by xarray
    """What the reports share: a table where the Dataset is whole, xarray's own text otherwise.

    A subclass says what is shown: by `_columns`, by `_notes`, and by `_sections` where its rows are not simply its
    quantities, by kind. `whole` names the variables that the table needs, with their number of dimensions, the first of
    which are over the quantities that are reported; `diagonal` those of which a table has the diagonal. `titles` are
    those of the kinds of quantities, in their order, or empty where kinds are not told apart; `has_every_row` is for
    reports that print all their rows.
    """

    __slots__ = ()
    whole: ClassVar[dict[str, int]]
    diagonal: ClassVar[tuple[str, ...]] = ()
    titles: ClassVar[dict[str, str]] = TITLES
    has_every_row: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)  # type: ignore[no-untyped-call]  # xarray's has no types

    @property
    def is_whole(self) -> bool:
        """Whether nothing that the table needs has been selected away."""
        return all(name in self.variables and self[name].ndim == n for name, n in self.whole.items())

    def __repr__(self) -> str:
        return super().__repr__() if self.is_whole else xr.Dataset.__repr__(self)

    def __str__(self) -> str:
        return self.text() if self.is_whole else repr(self)

    def _repr_html_(self) -> str:
        return super()._repr_html_() if self.is_whole else xr.Dataset._repr_html_(self)

    def _details(self) -> str:
        names = ", ".join(f"{name} ({', '.join(map(str, v.dims))})" for name, v in self.data_vars.items())
        return (
            f"An xarray Dataset: {names}.\n"
            ".to_pandas() is a data frame; .to_latex(), .to_markdown() and .to_html() take columns= and digits=."
        )

    def to_pandas(self, *, draws: bool = False) -> pd.DataFrame:
        """Return a data frame with a row for each quantity; its names are columns, not the index.

        Parameters
        ----------
        draws : bool
            A row for each draw of each quantity instead, where the report has draws.

        Raises
        ------
        ModelError
            If there are no draws.
        """
        import pandas as pd

        if not self.is_whole:
            return xr.Dataset.to_pandas(self)
        if draws:
            if "draws" not in self:
                raise ModelError(
                    "draws=True, but this report has no draws: hr.contrasts of a posterior has them, and "
                    "hr.predict(..., draws=True)."
                )
            return self["draws"].to_series().rename("value").reset_index()
        dims = dims_of(self)
        sizes = {dim: self.sizes[dim] for dim in dims}
        columns: dict[str, Any] = {}
        for name, values in (self.coords | self.data_vars).items():
            for key, one in self._as_columns(str(name), values, dims).items():
                whole = one.set_dims(sizes)  # type: ignore[no-untyped-call]  # xarray gives no types
                columns[key] = whole.transpose(*dims).to_numpy().ravel()
        return pd.DataFrame(columns)

    def _as_columns(self, name: str, values: xr.DataArray, dims: tuple[str, ...]) -> dict[str, xr.Variable]:
        """Return a variable as columns of a data frame; none where it has more dimensions than the quantities."""
        plain = values.variable
        others = [str(dim) for dim in values.dims if dim not in dims]
        if not others:
            return {name: plain} if values.ndim else {}
        if name in self.diagonal:
            square = plain.transpose(..., others[0].removesuffix("_col"), others[0]).to_numpy()
            return {name: xr.Variable(dims, np.diagonal(square, axis1=-2, axis2=-1))}
        if len(others) == 1 and len(values.dims) > 1 and not others[0].endswith("_col"):
            return {f"{name}[{label}]": plain.isel({others[0]: i}) for i, label in enumerate(self[others[0]].values)}
        return {}

    def _table(self, most: int | None = None) -> Table:
        return Table(
            columns=self._columns(),
            sections=self._sections(None if self.has_every_row else most),
            heading=str(self.attrs.get("heading", "")),
            notes=self._notes(),
        )

    def _columns(self) -> tuple[Column, ...]:
        """Return the columns: every number over the quantities, where a report does not say better."""
        frame, over = self.to_pandas(), dims_of(self)
        numbers = [str(name) for name in frame.select_dtypes("number") if name not in over]
        scale = next((name for name in ("sd", "se") if name in frame), "")
        ends = dict(zip(("lower", "upper"), self._ends, strict=True)) if "ci_prob" in self.attrs else {}
        return tuple(
            Column(
                key=key,
                head=ends.get(key, key.replace("_", " ")),
                form="beside" if key in _BESIDE and scale else "significant",
                scale=scale,
                fold=0 if key in _BESIDE else place,
            )
            for place, key in enumerate(numbers)
        )

    @property
    def _ends(self) -> tuple[str, str]:
        """What the ends of the intervals are called."""
        prob = self.attrs["ci_prob"]
        return percent((1 - prob) / 2), percent((1 + prob) / 2)

    def _interval(self, **how: Any) -> tuple[Column, Column]:
        """Return the columns of the ends of the intervals."""
        lower, upper = self._ends
        return Column(key="lower", head=lower, **how), Column(key="upper", head=upper, **how)

    def _sections(self, most: int | None) -> tuple[Section, ...]:
        """Return the rows, those of each kind under its title where they have one; the first of each."""
        if "kind" not in self.coords or not self.titles:
            return (section("", self, most),)
        dim, kinds = dims_of(self)[0], self["kind"].to_numpy()
        places = {kind: np.flatnonzero(kinds == kind) for kind in dict.fromkeys((*self.titles, *kinds.tolist()))}
        return tuple(
            section(self.titles.get(kind, kind), self.isel({dim: own}), most)
            for kind, own in places.items()
            if len(own)
        )

    def _notes(self) -> tuple[str, ...]:
        """Return the paragraphs below the table."""
        return (str(self.attrs["note"]),) if self.attrs.get("note") else ()


def dims_of(report: Report) -> tuple[str, ...]:
    """Return the dimensions of the quantities that are reported."""
    name = next((name for name in report.whole if name in report.data_vars), next(iter(report.data_vars)))
    return tuple(str(dim) for dim in report[name].dims)


def section(title: str, report: Report, most: int | None = None, names: Sequence[str] = ()) -> Section:
    """Return the quantities of a report as rows under a title.

    Parameters
    ----------
    title : str
    report : Report
        It, or a part with the same dimensions.
    most : int, optional
        Of the first dimension, so many are shown.
    names : sequence of str, optional
        Coordinates that say what a row is called; by default the dimensions.
    """
    over = dims_of(report)
    shown = report.isel({over[0]: slice(most)}).to_pandas()
    rows = [
        Row(name=", ".join(str(values[name]) for name in names or over), values=values)
        for values in shown.to_dict("records")
    ]
    return Section(title=title, rows=rows, more=math.prod(report.sizes[dim] for dim in over) - len(rows))
