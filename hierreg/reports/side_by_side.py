"""`table`: several fits side by side, as papers show them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import xarray as xr

from hierreg.checks import listed, suggestion
from hierreg.display import Column, Row, Section, Table
from hierreg.exceptions import ModelError
from hierreg.reports.reading import read
from hierreg.reports.summary import parameters
from hierreg.reports.table import Report
from hierreg.results.effects import EffectsEstimate
from hierreg.results.point import Coefficients
from hierreg.results.text import TITLES

if TYPE_CHECKING:
    import pandas as pd

    # Kind and name of a quantity -> value and standard error, NaN where there is none.
    type Values = dict[tuple[str, str], tuple[float, float]]

_TITLES = TITLES | {"size": "Rows and groups", "more": "Fit"}
_LOO = "elpd, leaving one out"


@final
class SideBySide(Report):
    """What `table` returns; prints as a table with a column for each fit."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"value": 2, "sd": 2, "kind": 1}

    def to_pandas(self, *, draws: bool = False) -> pd.DataFrame:
        """Return a data frame with a row for each quantity of each fit that has it."""
        frame = super().to_pandas(draws=draws)
        return frame.dropna(subset="value").reset_index(drop=True) if self.is_whole else frame

    def _table(self, most: int | None = None) -> Table:  # noqa: ARG002  # every quantity is shown
        fits = [str(name) for name in self["fit"].values]
        value, sd, kinds = self["value"].to_numpy(), self["sd"].to_numpy(), self["kind"].values
        names = [str(name) for name in self["quantity"].values]
        parts = []
        for kind, title in _TITLES.items():
            rows = []
            for i in np.flatnonzero(kinds == kind).tolist():
                cells: dict[str, float | str] = {}
                for f, fit in enumerate(fits):
                    is_count = kind == "size" and np.isfinite(value[i, f])
                    cells[fit] = f"{value[i, f]:,.0f}" if is_count else float(value[i, f])
                    cells[f"{fit}\n"] = float(sd[i, f])
                name = names[i].removeprefix("beta[").removesuffix("]") if kind == "beta" else names[i]
                rows.append(Row(name=name, values=cells))
            parts.append(Section(title=title, rows=rows))
        return Table(
            columns=tuple(Column(key=fit, head=fit, form="bracketed", scale=f"{fit}\n") for fit in fits),
            sections=tuple(parts),
            notes=tuple(self.attrs["notes"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What the table has of one fit."""

    values: Values
    formula: str
    is_posterior: bool
    notes: list[str] = field(default_factory=list)


def table(
    fits: Mapping[str, xr.DataTree | Coefficients | EffectsEstimate],
    *,
    more: Mapping[str, Mapping[str, float | tuple[float, float]]] | None = None,
) -> SideBySide:
    """Return fits side by side: estimates with standard errors, posterior means with standard deviations.

    Population coefficients, standard deviations and correlations of groups, and errors; numbers of rows and groups;
    where a posterior has the group ``log_likelihood``, ArviZ's estimate of the expected log density of new rows,
    leaving one out (elpd).

    Parameters
    ----------
    fits : dict name -> DataTree, Estimate or Coefficients
        From `Model.sample` (or `hierreg.load`), `Model.estimate` and `Model.solve`.
    more : dict name -> dict fit -> number or (number, standard error), optional
        Further rows, as in ``more={"R2": {"REML": 0.71, "Bayes": (0.70, 0.03)}}``.

    Returns
    -------
    Dataset
        Over (quantity, fit): ``value`` and ``sd``, NaN where a fit does not have it; coordinate ``kind``. Printing it
        gives a table; ``to_latex``, ``to_markdown``, ``to_html`` and ``to_great_table`` write it for a paper.

    Raises
    ------
    ModelError
        If `fits` is empty or holds something else, or `more` names another fit.
    DataError
        If a tree is not from hierreg.

    See Also
    --------
    compare_fits : Likelihoods, information criteria and tests.
    summary : One fit.

    Examples
    --------
    >>> import hierreg as hr
    >>> sleep = hr.load_dataset("sleepstudy")
    >>> levels = hr.Model("Reaction ~ Days + (1 | Subject)", sleep).estimate()
    >>> slopes = hr.Model("Reaction ~ Days + (Days | Subject)", sleep).estimate()
    >>> print(hr.table({"levels": levels, "slopes": slopes}).to_markdown(digits=2))
    |  | levels | slopes |
    | :-- | --: | --: |
    | **Population coefficients** |  |  |
    | Intercept | 251.4 (9.7) | 251.4 (6.8) |
    | Days | 10.47 (0.80) | 10.5 (1.5) |
    | **Standard deviations between groups** |  |  |
    | sd_Subject[Intercept] | 37.1 (6.8) | 24.7 (5.8) |
    | sd_Subject[Days] |  | 5.9 (1.2) |
    | **Correlations of group coefficients** |  |  |
    | corr_Subject[Days, Intercept] |  | 0.07 (0.33) |
    | **Standard deviations of errors** |  |  |
    | error_sd | 31.0 (1.7) | 25.6 (1.5) |
    | **Rows and groups** |  |  |
    | rows | 180 | 180 |
    | groups of Subject | 18 | 18 |
    """
    if not isinstance(fits, Mapping) or not fits:
        raise ModelError(
            f"fits={fits!r:.60} does not say what to show: give a dictionary of names and results, such as "
            "{'REML': model.estimate(), 'Bayes': tree}."
        )
    found = {str(name): _read(str(name), fit) for name, fit in fits.items()}
    _add(found, more or {})
    keys = list(dict.fromkeys(key for one in found.values() for key in one.values))
    keys.sort(key=lambda key: list(_TITLES).index(key[0]))
    missing = (np.nan, np.nan)
    numbers = np.array([[one.values.get(key, missing) for one in found.values()] for key in keys])
    return SideBySide(
        {"value": (("quantity", "fit"), numbers[..., 0]), "sd": (("quantity", "fit"), numbers[..., 1])},
        coords={
            "quantity": [name for _, name in keys],
            "kind": (("quantity",), [kind for kind, _ in keys]),
            "fit": list(found),
        },
        attrs={"notes": _notes(found)},
    )


def _read(name: str, fit: Any) -> _Read:
    if isinstance(fit, xr.DataTree):
        return _of_tree(name, fit)
    if isinstance(fit, Coefficients | EffectsEstimate):
        return _of_point(fit)
    raise ModelError(
        f"fits[{name!r}] has type {type(fit).__name__}; a DataTree from Model.sample, an Estimate from Model.estimate "
        "or Coefficients from Model.solve is required."
    )


def _of_point(fit: Coefficients | EffectsEstimate) -> _Read:
    values: Values = {}
    frame = fit.to_pandas()
    for row in frame.itertuples():
        values[str(row.kind), str(row.name)] = (float(row.estimate), float(row.se))
    n_rows = getattr(fit, "n_rows", 0)
    groups = {factor: b.sizes[b.dims[0]] for factor, b in fit.b.items()}
    return _Read(values=values | _sizes(n_rows, groups), formula=getattr(fit, "formula", ""), is_posterior=False)


def _of_tree(name: str, tree: xr.DataTree) -> _Read:
    fit = read(tree)
    values: Values = {}
    for one in parameters(fit):
        flat = one.draws.ravel()
        sd = float(flat.std(ddof=1)) if len(flat) > 1 and np.ptp(flat) > 0 else np.nan
        values[one.kind, one.name] = (float(flat.mean()), sd)
    groups = {factor.name: len(factor.groups) for factor in fit.by_factor}
    loo, notes = _leaving_one_out(name, tree) if "log_likelihood" in tree.children else ({}, [])
    values |= _sizes(int(fit.attrs["n_rows"]), groups) | loo
    return _Read(values=values, formula=str(fit.attrs["formula"]), is_posterior=True, notes=notes)


def _sizes(n_rows: int, groups: Mapping[str, int]) -> Values:
    sizes = ({"rows": n_rows} if n_rows else {}) | {f"groups of {factor}": n for factor, n in groups.items()}
    return {("size", name): (float(n), np.nan) for name, n in sizes.items()}


def _leaving_one_out(name: str, tree: xr.DataTree) -> tuple[Values, list[str]]:
    """Return elpd with its standard error, and what is to be said where importance sampling does not reach a row."""
    from arviz_stats import loo  # type: ignore[attr-defined]  # of a package without a list of its names

    with warnings.catch_warnings():
        # Said below, with the name of the fit.
        warnings.simplefilter("ignore", UserWarning)
        found = loo(tree, pointwise=True)
    n_bad = int(np.sum(found.pareto_k.to_numpy() > found.good_k))
    words = f"{_LOO}, of {name!r}: {n_bad} rows have a Pareto k above {found.good_k:.2f}, so it is not reliable."
    return {("more", _LOO): (float(found.elpd), float(found.se))}, [words] if n_bad else []


def _add(found: dict[str, _Read], more: Mapping[str, Mapping[str, float | tuple[float, float]]]) -> None:
    """Add rows that a user gives."""
    for name, by_fit in more.items():
        if not isinstance(by_fit, Mapping):
            raise ModelError(f"more[{name!r}]={by_fit!r} must be a dictionary of fits and numbers.")
        for fit, given in by_fit.items():
            if fit not in found:
                raise ModelError(
                    f"more[{name!r}] names {fit!r}, which is none of the fits {listed(found)}.{suggestion(fit, found)}"
                )
            try:
                value, sd = (float(number) for number in (given if isinstance(given, tuple) else (given, np.nan)))
            except (TypeError, ValueError):
                raise ModelError(
                    f"more[{name!r}][{fit!r}]={given!r} must be a number, or a tuple of one and its standard error."
                ) from None
            found[fit].values["more", str(name)] = (value, sd)


def _notes(found: dict[str, _Read]) -> list[str]:
    kinds = {one.is_posterior for one in found.values()}
    words = {False: "standard errors of estimates", True: "standard deviations of the posterior"}
    notes = [f"In brackets: {', '.join(words[kind] for kind in sorted(kinds))}."]
    formulas = {name: one.formula for name, one in found.items() if one.formula}
    if len(set(formulas.values())) > 1:
        notes.append("\n".join(f"{name}: {formula}" for name, formula in formulas.items()))
    return notes + [note for one in found.values() for note in one.notes]
