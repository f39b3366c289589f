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

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Report", "percent", "sections"]

_BESIDE_SD = {"mean", "sd", "lower", "upper", "median"}


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

    @property
    def _over(self) -> tuple[str, ...]:
        """Dimensions of the quantities that are reported."""
        name = next(name for name in self.whole if name in self.data_vars)
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
        """Return the table of a report that has none of its own: every number over the quantities."""
        frame, dims = self.to_pandas(), self._over
        shown = frame if most is None else frame.head(most)
        columns = tuple(
            Column(key=key, head=key, form="beside" if key in _BESIDE_SD and "sd" in frame else "significant", fold=i)
            for i, key in enumerate(frame.columns)
            if key not in dims and np.issubdtype(frame[key].dtype, np.number)
        )
        rows = [
            Row(name=", ".join(str(row[dim]) for dim in dims), values={c.key: float(row[c.key]) for c in columns})
            for row in shown.to_dict("records")
        ]
        return Table(
            columns=columns,
            sections=(Section(title=", ".join(dims), rows=rows, more=len(frame) - len(rows)),),
            heading=str(self.attrs.get("heading", "")),
            notes=tuple(str(self.attrs[name]) for name in ("note",) if self.attrs.get(name)),
        )
