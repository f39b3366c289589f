"""What `comparisons`, `slopes` and `means` return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.display import Column
from hierreg.exceptions import ModelError
from hierreg.likelihood import solution as joint
from hierreg.linear.effects.averages import AtPoint, OfDraws, stacked
from hierreg.linear.effects.hypothesis import weights_of_hypothesis
from hierreg.linear.quantity import quantity
from hierreg.reports.draws import mcse_mean, moments
from hierreg.reports.reading import read
from hierreg.reports.table import Report, percent, section
from hierreg.results.point import METHOD_NAMES, Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.display import Section
    from hierreg.linear.effects.averages import Average, Request

    Array = NDArray[np.float64]

# Effects up to this many have a covariance.
_MOST_WITH_COV = 1000
_OWN = {"effect", "effect_col", "mean", "sd", "lower", "upper", "cov", "prob_positive", "mcse", "draws", "statistic"}
_OWN |= {"p_value", "variable", "contrast", "chain", "draw"}


@final
class Effects(Report):
    """What `comparisons`, `slopes` and `means` return; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"effect": 1, "mean": 1, "sd": 1, "upper": 1}

    def _columns(self) -> tuple[Column, ...]:
        is_point = "draws" not in self
        last = (
            (
                Column(key="statistic", head="z", form="fixed", digits=2, fold=2),
                Column(key="p_value", head="p", form="significant", digits=2, fold=1),
            )
            if is_point
            else (
                Column(key="prob_positive", head="P(>0)", form="fixed", fold=1),
                Column(key="mcse", head="mcse", form="significant", digits=2, fold=2),
            )
        )
        return (
            *(Column(key=name, head=name, form="text") for name in self._labels[1:]),
            Column(key="mean", head="estimate" if is_point else "mean"),
            Column(key="sd", head="se" if is_point else "sd"),
            *self._interval(),
            *last,
        )

    def _sections(self, most: int | None) -> tuple[Section, ...]:
        return (section(self._labels[0], self, most, self._labels[:1]),)

    @property
    def _labels(self) -> list[str]:
        """The coordinates that say what each effect is; the first names the rows."""
        return self.attrs["columns"].split("\n") if self.attrs["columns"] else ["effect"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """Effects of one change, one for each cell.

    Attributes
    ----------
    variable, contrast : str
    cells : dict column -> labels
        What each cell is called; empty where there is one.
    average : Average
    """

    variable: str
    contrast: str
    cells: dict[str, list[Any]]
    average: Average


def effects_of(  # what a report says
    request: Request, found: Sequence[Found], prob: float, hypothesis: Any, n_rows: int, kind: str
) -> Effects:
    """Return the report of effects, which are each a "difference", a "ratio", a "slope" or a "mean"."""
    names, columns = _names_of(found)
    weights = None
    if hypothesis is not None:
        names, weights = weights_of_hypothesis(hypothesis, names)
        columns = {"hypothesis": names}
    if request.is_tree:
        values, how = _values_of_draws(request, found, prob, weights)
    else:
        values, how = _values_at_point(request, found, prob, weights)
    scale = f"; scale {request.scale}" if hasattr(request.problem, "family") else ""
    levels = ", ".join(dict.fromkeys(request.level.values()))
    groups = f"; level {levels}" if levels else ""
    dims = {1: ("effect",), 2: ("effect", "effect_col"), 3: ("chain", "draw", "effect")}
    out = Effects(
        {name: (dims[value.ndim], value) for name, value in values.items()},
        coords={"effect": names} | {name: (("effect",), own) for name, own in columns.items()},
        attrs={
            "heading": how,
            "note": f"Averages over {n_rows} {'row' if n_rows == 1 else 'rows'}{groups}{scale}.",
            "ci_prob": prob,
            "columns": "\n".join(columns),
        }
        | _axis(quantity(request.problem, request.scale), kind, is_compared=hypothesis is not None),
    )
    if "cov" in values:
        out = out.assign_coords(effect_col=names)
    if request.is_tree:
        posterior = read(request.at).posterior
        out = out.assign_coords({name: posterior[name].values for name in ("chain", "draw")})
    return out


def _axis(what: str, kind: str, *, is_compared: bool) -> dict[str, Any]:
    """Return what effects are of, and the value that is no effect where there is one."""
    of = {
        "difference": f"difference of {what}",
        "ratio": f"ratio of {what}",
        "slope": f"change of {what} per unit",
        "mean": what,
    }[kind]
    if is_compared:
        return {"of": of if kind == "difference" else f"difference of {of}", "null": 0.0}
    return {"of": of} | ({} if kind == "mean" else {"null": float(kind == "ratio")})


def _names_of(found: Sequence[Found]) -> tuple[list[str], dict[str, list[Any]]]:
    """Return what each effect is called, and the columns that say what it is."""
    names: list[str] = []
    columns: dict[str, list[Any]] = {}
    for one in found:
        n = len(next(iter(one.cells.values()))) if one.cells else 1
        of_change = {"variable": [one.variable] * n, "contrast": [one.contrast] * n} if one.variable else {}
        for name, own in (of_change | {_free(name): own for name, own in one.cells.items()}).items():
            columns.setdefault(name, []).extend(own)
        lead = f"{one.variable} {one.contrast}".strip()
        for i in range(n):
            cell = ", ".join(f"{name} = {own[i]}" for name, own in one.cells.items())
            names.append(", ".join(part for part in (lead, cell) if part))
    return names, columns


def _free(name: str) -> str:
    """Return the name of a coordinate that is none of the report's own."""
    while name in _OWN:
        name += "_"
    return name


def _values_of_draws(
    request: Request, found: Sequence[Found], prob: float, weights: Array | None
) -> tuple[dict[str, Array], str]:
    fit = read(request.at)
    draws = np.concatenate([one.average.draws for one in found if isinstance(one.average, OfDraws)], axis=1)
    if weights is not None:
        draws = draws @ weights.T
    shaped = draws.reshape(*fit.n_draws, -1)
    values = moments(shaped, prob) | {
        "prob_positive": np.mean(draws > 0, axis=0),
        "mcse": mcse_mean(shaped),
        "draws": shaped,
    }
    R = draws.shape[1]
    if R <= _MOST_WITH_COV and len(draws) > 1:
        values["cov"] = np.cov(draws, rowvar=False).reshape(R, R)
    return values, f"{fit.heading}; equal-tailed {percent(prob)} intervals"


def _values_at_point(
    request: Request, found: Sequence[Found], prob: float, weights: Array | None
) -> tuple[dict[str, Array], str]:
    from scipy.special import ndtr, ndtri

    at: Any = request.at
    averages = [one.average for one in found if isinstance(one.average, AtPoint)]
    mean = np.concatenate([one.value for one in averages])
    functions = stacked([one.functions for one in averages])
    values: dict[str, Array] = {}
    if len(mean) <= _MOST_WITH_COV:
        cov = joint.covariance(functions, at.solution)
        if weights is not None:
            mean, cov = weights @ mean, weights @ cov @ weights.T
        values["cov"], variance = cov, np.diagonal(cov)
    elif weights is not None:
        raise ModelError(f"hypothesis compares effects, and {len(mean)} of them are too many; average more, by=...")
    else:
        variance = joint.variances(functions, at.solution)
    sd = np.sqrt(np.maximum(variance, 0.0))
    half = float(ndtri((1 + prob) / 2)) * sd
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = mean / sd
    values |= {"mean": mean, "sd": sd, "lower": mean - half, "upper": mean + half, "statistic": statistic}
    values["p_value"] = 2.0 * ndtr(-np.abs(statistic))
    how = f"{METHOD_NAMES[at.method]} estimate" if isinstance(at, Estimate) else "solution at the given covariances"
    return values, f"{request.problem.formula}, {how}; normal {percent(prob)} intervals, the variances taken as known"
