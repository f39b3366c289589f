"""`Report`: a Dataset that prints as the table a reader wants.

A report has to be three things at once: data with names (selected, plotted, saved, turned into a data
frame), a readable table in a terminal, and the same in a notebook and in a paper. xarray's own text shows the first few
numbers of each variable, not a table; a value that only wraps a Dataset would need `.data` in front of
everything that xarray and ArviZ offer. So a report *is* a Dataset, in a subclass that adds no state
(``__slots__ = ()``) and changes only how it prints, and `to_pandas`. A part of a report, such as
``report.sel(Subject="308")``, prints as xarray prints it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from hierreg.display import Column, Row, Section, Shown, Table
from hierreg.display.numbers import percent
from hierreg.display.text import sections
from hierreg.exceptions import ModelError
from hierreg.results.text import TITLES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Report", "percent", "sections"]

# Columns that are written with the decimals of a standard error, of whatever report.
_BESIDE = {"mean", "median", "estimate", "value", "sd", "se", "lower", "upper"}
_SHORT = 40


class Report(Shown, xr.Dataset):  # type: ignore[no-untyped-call]  # of __init_subclass__, by xarray
    """What the reports share: a table where the Dataset is whole, xarray's own text otherwise.

    `whole` names the variables that the table needs, with their number of dimensions, the first of which are over the
    quantities that are reported; `diagonal` those of which a table has the diagonal.
    """

    __slots__ = ()
    whole: ClassVar[dict[str, int]]
    diagonal: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)  # type: ignore[no-untyped-call]  # xarray's has no types

    @property
    def is_whole(self) -> bool:
        """Whether nothing that the table needs has been selected away."""
        return all(name in self.variables and self[name].ndim == n for name, n in self.whole.items())

    def __repr__(self) -> str:
        if not self.is_whole:
            return xr.Dataset.__repr__(self)
        if type(self).text is Report.text:
            return super().__repr__()
        lines = self.text().splitlines()
        if len(lines) > _SHORT:
            lines = [*lines[: _SHORT - 1], f"... {len(lines) - _SHORT + 1} more lines; print it, or .to_pandas()."]
        return "\n".join(lines)

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

    @property
    def _over(self) -> tuple[str, ...]:
        """Dimensions of the quantities that are reported."""
        name = next((name for name in self.whole if name in self.data_vars), next(iter(self.data_vars)))
        return tuple(str(dim) for dim in self[name].dims)

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
        dims, shape = self._over, tuple(self.sizes[dim] for dim in self._over)
        columns: dict[str, Any] = {}
        for name, values in (self.coords | self.data_vars).items():
            for key, one in self._as_columns(str(name), values, dims).items():
                columns[key] = one.broadcast_like(xr.DataArray(np.empty(shape), dims=dims)).transpose(*dims)
        return pd.DataFrame({key: one.to_numpy().ravel() for key, one in columns.items()})

    def _as_columns(self, name: str, values: xr.DataArray, dims: tuple[str, ...]) -> dict[str, xr.DataArray]:
        """Return a variable as columns of a data frame; none where it has more dimensions than the quantities."""
        plain = values.drop_vars(values.coords)
        others = [str(dim) for dim in values.dims if dim not in dims]
        if not others:
            return {name: plain} if values.ndim else {}
        if name in self.diagonal:
            square = plain.transpose(..., others[0].removesuffix("_col"), others[0]).to_numpy()
            return {name: xr.DataArray(np.diagonal(square, axis1=-2, axis2=-1), dims=dims)}
        if len(others) == 1 and len(values.dims) > 1 and not others[0].endswith("_col"):
            return {f"{name}[{label}]": plain.isel({others[0]: i}) for i, label in enumerate(self[others[0]].values)}
        return {}

    def _table(self, most: int | None = None) -> Table:
        """Return the table of a report that has none of its own: every number over the quantities, by kind."""
        frame, dims = self.to_pandas(), self._over
        scale = next((name for name in ("sd", "se") if name in frame), "")
        numbers = [str(key) for key in frame.select_dtypes("number") if key not in dims]
        prob = self.attrs.get("ci_prob")
        ends = {} if prob is None else {"lower": percent((1 - prob) / 2), "upper": percent((1 + prob) / 2)}
        columns = tuple(
            Column(
                key=key,
                head=ends.get(key, key.replace("_", " ")),
                form="beside" if key in _BESIDE and scale else "significant",
                scale=scale,
                fold=0 if key in _BESIDE else place,
            )
            for place, key in enumerate(numbers)
        )
        parts = []
        for kind, own in frame.groupby("kind" if "kind" in frame else [""] * len(frame), sort=False):
            shown = own if most is None else own.head(most)
            rows = [
                Row(name=", ".join(str(row[dim]) for dim in dims), values={key: float(row[key]) for key in numbers})
                for row in shown.to_dict("records")
            ]
            parts.append(Section(title=TITLES.get(str(kind), str(kind)), rows=rows, more=len(own) - len(rows)))
        return Table(
            columns=columns,
            sections=tuple(parts),
            heading=str(self.attrs.get("heading", "")),
            notes=(str(self.attrs["note"]),) if self.attrs.get("note") else (),
        )
