"""Averages of expected values over rows, from draws and at estimates, and what is made of two of them.

A linear predictor averaged over rows is a linear function of the coefficients, and so is its difference between two
tables: nothing is approximated, and one product per draw is enough. On the scale of a response that is not normal
averages are taken draw by draw; at an estimate they have the covariance of their derivatives (the delta method).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from hierreg.likelihood import solution as joint
from hierreg.likelihood.solution import GroupWeights, LinearFunctions
from hierreg.linear.prediction.rows import new_rows
from hierreg.predictive.rows import chunks
from hierreg.problem.family import FamilyProblem
from hierreg.reports.reading import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.linear.prediction.family import FamilyRows
    from hierreg.linear.prediction.rows import NewRows
    from hierreg.predictive.of_model import ModelLike
    from hierreg.results.point import Coefficients

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Relative step of derivatives of expected responses.
_STEP = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Which rows are averaged: the cell of each of M rows, its weight in it, and the number of cells R."""

    cell: Index
    weight: Array
    n: int

    def sum(self, columns: Array) -> Array:
        """Return the weighted sums (R, m) over the rows of each cell of columns (M, m)."""
        out = np.zeros((self.n, columns.shape[1]))
        np.add.at(out, self.cell, self.weight[:, None] * columns)
        return out


class Average(abc.ABC):
    """R averages, with what is known of their errors."""

    __slots__ = ()

    @abc.abstractmethod
    def minus(self, other: Any) -> Any:
        """Return the differences."""

    @abc.abstractmethod
    def over(self, other: Any) -> Any:
        """Return the ratios."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfDraws(Average):
    """Averages of S draws: array (S, R)."""

    draws: Array

    def minus(self, other: OfDraws) -> OfDraws:
        """Return the differences."""
        return OfDraws(draws=self.draws - other.draws)

    def over(self, other: OfDraws) -> OfDraws:
        """Return the ratios."""
        return OfDraws(draws=self.draws / other.draws)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AtPoint(Average):
    """Averages at an estimate: values (R,), and their derivatives in all coefficients."""

    value: Array
    functions: LinearFunctions

    def minus(self, other: AtPoint) -> AtPoint:
        """Return the differences."""
        one = np.ones(len(self.value))
        return AtPoint(value=self.value - other.value, functions=_sum(self.functions, one, other.functions, -one))

    def over(self, other: AtPoint) -> AtPoint:
        """Return the ratios."""
        ratio = self.value / other.value
        functions = _sum(self.functions, 1.0 / other.value, other.functions, -ratio / other.value)
        return AtPoint(value=ratio, functions=functions)


def _sum(a: LinearFunctions, by_a: Array, b: LinearFunctions, by_b: Array) -> LinearFunctions:
    """Return the sums of functions, each times a number (R,)."""
    groups = tuple(
        GroupWeights(
            row=np.concatenate([one.row, other.row]),
            level=np.concatenate([one.level, other.level]),
            b=np.concatenate([one.b * by_a[one.row, None], other.b * by_b[other.row, None]]),
        )
        for one, other in zip(a.groups, b.groups, strict=True)
    )
    return LinearFunctions(beta=a.beta * by_a[:, None] + b.beta * by_b[:, None], groups=groups)


def stacked(functions: Sequence[LinearFunctions]) -> LinearFunctions:
    """Return the functions of all, one below the other."""
    starts = np.cumsum([0, *(len(one.beta) for one in functions[:-1])])
    return LinearFunctions(
        beta=np.concatenate([one.beta for one in functions]),
        groups=tuple(
            GroupWeights(
                row=np.concatenate([own.row + start for own, start in zip(each, starts, strict=True)]),
                level=np.concatenate([own.level for own in each]),
                b=np.concatenate([own.b for own in each]),
            )
            for each in zip(*(one.groups for one in functions), strict=True)
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """What effects are made of.

    Attributes
    ----------
    model : Model
    problem : Problem or FamilyProblem
    at : DataTree, Estimate or Coefficients
    level : dict factor -> str
    scale : str
        "response" or "link".
    """

    model: ModelLike
    problem: Any
    at: xr.DataTree | Coefficients
    level: Mapping[str, str]
    scale: str

    @property
    def is_linear(self) -> bool:
        """Whether what is averaged is the linear predictor."""
        return not isinstance(self.problem, FamilyProblem) or self.scale == "link"

    @property
    def is_tree(self) -> bool:
        """Whether there are draws."""
        return not hasattr(self.at, "solution")

    def average(self, frame: pd.DataFrame, cells: Cells) -> Any:
        """Return the averages of expected values over the cells of a table."""
        own = self._needed(frame)
        if not self.is_tree:
            return self._at_point(own, cells)
        if self.is_linear:
            rows, offset, _ = self._rows(own)
            fit = read(self.at)
            functions = _functions(rows, cells)
            beta = fit.draws("beta")
            b = [
                fit.draws(f"b_{of.name}").reshape(-1, len(of.groups), len(of.coefs))
                if len(weights.row)
                else np.empty((0, 0, 0))
                for of, weights in zip(fit.by_factor, functions.groups, strict=True)
            ]
            draws = joint.values(functions, beta.reshape(beta.shape[0] * beta.shape[1], beta.shape[2]), b)
            return OfDraws(draws=draws + cells.sum(offset[:, None])[:, 0])
        return self._of_responses(own, cells)

    def _needed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the columns that expected values depend on; not units of errors, whose residuals would count."""
        state, problem = self.problem.state, self.problem
        names = [name for fitted in state.expressions.values() for name in fitted.expression.column_names]
        for factor in state.factors:
            names += factor.columns if self.level[factor.name] != "population" else ()
        if isinstance(problem, FamilyProblem):
            names += [name for name in (problem.offset_name, problem.family.by) if name is not None]
        return frame[[name for name in dict.fromkeys(names) if name in frame.columns]]

    def _rows(self, frame: pd.DataFrame) -> tuple[NewRows, Array, FamilyRows | None]:
        """Return new rows, the offset of each, and what else a family reads of them."""
        if not isinstance(self.problem, FamilyProblem):
            rows = new_rows(self.problem, frame, self.level, observation=False, residuals=False)
            return rows, np.zeros(len(frame)), None
        from hierreg.linear.prediction.family import family_rows

        found = family_rows(self.problem, frame, self.level)
        return found.rows, found.offset, found

    def _at_point(self, frame: pd.DataFrame, cells: Cells) -> AtPoint:
        at: Any = self.at
        rows, offset, of_family = self._rows(frame)
        if self.is_linear or of_family is None:
            functions = _functions(rows, cells)
            value = joint.means(functions, at.solution) + cells.sum(offset[:, None])[:, 0]
            return AtPoint(value=value, functions=functions)
        from hierreg.linear.prediction.family import expected_response

        each = Cells(cell=np.arange(len(frame)), weight=np.ones(len(frame)), n=len(frame))
        eta = joint.means(_functions(rows, each), at.solution) + offset
        response = expected_response(self.problem, of_family, at)
        h = _STEP * np.maximum(1.0, np.abs(eta))
        slope = (response(eta + h) - response(eta - h)) / (2.0 * h)
        own = replace(cells, weight=cells.weight * slope)
        return AtPoint(value=cells.sum(response(eta)[:, None])[:, 0], functions=_functions(rows, own))

    def _of_responses(self, frame: pd.DataFrame, cells: Cells) -> OfDraws:
        from hierreg.linear.prediction import predict

        tree: Any = self.at
        posterior = tree["posterior"]
        S = posterior.sizes["chain"] * posterior.sizes["draw"]
        out = np.zeros((S, cells.n))
        for part in chunks(len(frame), S):
            found = predict(
                self.model, frame.iloc[part], tree, level=self.level, scale="response", observation=False, draws=True
            )
            draws = found["draws"].transpose("chain", "draw", "row").to_numpy().reshape(S, -1)
            np.add.at(out.T, cells.cell[part], (draws * cells.weight[part]).T)
        return OfDraws(draws=out)


def _functions(rows: NewRows, cells: Cells) -> LinearFunctions:
    """Return the averages of the linear predictor as functions of the coefficients."""
    groups = []
    for new in rows.groups:
        known = np.flatnonzero(new.group >= 0)
        groups.append(
            GroupWeights(row=cells.cell[known], level=new.group[known], b=cells.weight[known, None] * new.Z[known])
        )
    return LinearFunctions(beta=cells.sum(rows.X), groups=tuple(groups))
