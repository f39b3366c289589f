"""What `loo` returns: ArviZ's container, with what is known besides."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, final

import numpy as np
from arviz_stats.utils import ELPDDataLOO

if TYPE_CHECKING:
    import xarray as xr


@final
@dataclass(kw_only=True, repr=False)
class LeaveOneOut(ELPDDataLOO):
    """Expected log predictive density of rows or groups that are left out; ArviZ's `ELPDDataLOO`.

    Attributes
    ----------
    pit : DataArray or None
        Of rows of a model with normal responses and effects: P(y_new <= y_r | all other rows), where y_new is a new
        value of row r. Uniform where the model is right. NaN where too few digits are known, and of rows of large
        tables that were left out by a refit.
    refitted : tuple
        Labels of what was left out by a refit, not by weights; their Pareto k is zero.
    left_out : str
        "row", or the column whose groups were left out.
    """

    pit: xr.DataArray | None = None
    refitted: tuple[Any, ...] = ()
    left_out: str = "row"

    def __str__(self) -> str:
        """Return ArviZ's text, with the number of refits."""
        text = str(super().__str__())  # type: ignore[no-untyped-call]  # of a package without types
        if not self.refitted:
            return text
        n = len(self.refitted)
        return f"{text}\n\n{n} of {self.n_data_points} left out by a refit without {'it' if n == 1 else 'each'}."

    def __repr__(self) -> str:
        """Return what `str` does, as ArviZ does."""
        return str(self)


def result_of(found: Any, left_out: str) -> LeaveOneOut:
    """Return what ArviZ's `loo` found, as a `LeaveOneOut`."""
    return LeaveOneOut(**{field.name: getattr(found, field.name) for field in fields(found)}, left_out=left_out)


def with_values(found: LeaveOneOut, values: dict[int, tuple[float, float]], labels: list[Any]) -> LeaveOneOut:
    """Return the same with exact values and probabilities in some places, and the totals that follow."""
    elpd_i, k = found.elpd_i.copy(deep=True), found.pareto_k.copy(deep=True)
    pit = None if found.pit is None else found.pit.copy(deep=True)
    for place, (value, probability) in values.items():
        elpd_i[place], k[place] = value, 0.0
        if pit is not None:
            pit[place] = probability
    p = found.p + found.elpd - float(elpd_i.sum())
    changed = {
        "elpd_i": elpd_i,
        "pareto_k": k,
        "pit": pit,
        "elpd": float(elpd_i.sum()),
        "se": float(np.sqrt(len(elpd_i) * np.var(elpd_i.to_numpy()))),
        "p": p,
        "warning": bool((k > found.good_k).any()),
        "refitted": tuple(labels[place] for place in values),
    }
    return LeaveOneOut(**{field.name: getattr(found, field.name) for field in fields(found)} | changed)
