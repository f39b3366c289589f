"""The shrinkage of a point estimate: each group alone, and its prediction at the estimate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.display import Column, Row
from hierreg.display.numbers import number
from hierreg.reports.reading import need_factor, read
from hierreg.reports.table import Report, percent, section
from hierreg.reports.weights import pooling_factor_of_summaries, weights
from hierreg.results.at_estimate import tree_of_estimate
from hierreg.results.point import METHOD_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hierreg.display import Section
    from hierreg.reports.reading import FactorFit
    from hierreg.results.point import Estimate

    Array = NDArray[np.float64]


class OfGroups(Report):
    """A table for each group coefficient: the population, and the groups.

    `spread` is the variable whose digits decide those of all in a row; `of_population` has the variables with the
    values of the population, by the column in which they stand.
    """

    __slots__ = ()
    diagonal: ClassVar[tuple[str, ...]] = ("weight", "weight_sd")
    spread: ClassVar[str]
    of_population: ClassVar[dict[str, str]]

    def _values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a row has of a group."""
        return {**values, "scale": values[self.spread]}

    def _sections(self, most: int | None) -> tuple[Section, ...]:
        factor, coefs = self.attrs["factor"], f"{self.attrs['factor']}_coef"
        found = []
        for k, at in enumerate(self.attrs["theta_at"]):
            own = self.isel({coefs: [k], f"{coefs}_col": [k]})
            coef = str(own[coefs].values[0])
            groups = section(f"{coef} at {at}" if at else coef, own, most, [factor])
            values = {key: float(own[name][0]) for key, name in self.of_population.items()}
            values["scale"] = float(own[self.spread].mean())
            rows = [replace(row, values=self._values(row.values)) for row in groups.rows]
            found.append(replace(groups, rows=[Row(name="population", values=values), *rows]))
        return tuple(found)

    def _notes(self) -> tuple[str, ...]:
        factors = zip(self[f"{self.attrs['factor']}_coef"].values, self["pooling_factor"].values, strict=True)
        each = ", ".join(f"{coef} {number(float(value))}" for coef, value in factors)
        return (f"Pooling factor (0: groups alone, 1: one value for all): {each}\n{self.attrs['note']}",)


@final
class ShrinkageAtPoint(OfGroups):
    """What `shrinkage` returns of an estimate; prints as one table per coefficient."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"no_pooling": 2, "plug_in": 2, "weight": 3, "pooling_factor": 1}
    spread: ClassVar[str] = "plug_in_sd"
    of_population: ClassVar[dict[str, str]] = {"plug_in": "population_plug_in"}

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column(key="no_pooling", head="alone", scale="scale"),
            Column(key="no_pooling_se", head="se", scale="scale", fold=2),
            Column(key="plug_in", head="estimate", scale="scale"),
            Column(key="plug_in_sd", head="sd", scale="scale"),
            *self._interval(scale="scale"),
            Column(key="weight", head="weight", form="fixed", digits=2, fold=1),
        )


def limits(of: FactorFit) -> dict[str, Array]:
    """Return each group alone and at the plug-in, with standard errors (J, q)."""
    limit, name = of.fit.limit, of.variable
    cov = limit[f"{name.removesuffix(f'_{of.name}')}_cov_{of.name}"].to_numpy()
    own_cov = limit[f"no_pooling_cov_{of.name}"].to_numpy()
    return {
        "no_pooling": limit[f"no_pooling_{of.name}"].to_numpy(),
        "no_pooling_se": np.sqrt(np.diagonal(own_cov, axis1=1, axis2=2)),
        "plug_in": limit[name].to_numpy(),
        "plug_in_sd": np.sqrt(np.diagonal(cov, axis1=1, axis2=2)),
    }


def limits_with_ends(of: FactorFit, prob: float) -> dict[str, Array]:
    """Return the same with the normal intervals of the plug-in, the variances taken as known."""
    from scipy.special import ndtri

    found = limits(of)
    half = float(ndtri((1 + prob) / 2)) * found["plug_in_sd"]
    return found | {"lower": found["plug_in"] - half, "upper": found["plug_in"] + half}


def shrinkage_at_point(est: Estimate, prob: float, factor: str | None) -> ShrinkageAtPoint:
    """Return the shrinkage of an estimate; see `shrinkage`."""
    fit = read(tree_of_estimate(est, "shrinkage"))
    of = need_factor(fit, "shrinkage", factor)
    groups = limits_with_ends(of, prob)
    square = (of.dim, of.coef_dim, f"{of.coef_dim}_col")
    variables: dict[str, Any] = {name: (square[:2], value) for name, value in groups.items()}
    b_sd = np.sqrt(np.diagonal(fit.limit[f"b_cov_{of.name}"].to_numpy(), axis1=1, axis2=2))
    b = fit.limit[f"b_{of.name}"].to_numpy()
    variables |= {
        "weight": (square, weights(of).mean),
        "population_plug_in": (square[1:2], of.population(fit.limit["beta"])),
        "pooling_factor": (square[1:2], pooling_factor_of_summaries(b, b_sd, of.covariance())),
    }
    how = f"{METHOD_NAMES[est.method]} estimate; normal {percent(prob)} intervals, the variances taken as known"
    note = ["alone: the group's own rows; estimate: mixed-model equations; weight: diagonal of S_j."]
    if of.reference:
        note.append(
            "A group's coefficients leave out predictors that are no group columns, so they are at the values said;\n"
            "for expected values at its own: hr.predict."
        )
    if len(fit.factors) > 1:
        note.append("Alone, predictions of the other grouping factors are taken off the rows.")
    return ShrinkageAtPoint(
        variables,
        coords={of.dim: fit.limit[of.dim], square[1]: of.coefs, square[2]: of.coefs},
        attrs={
            "heading": f"{fit.attrs['formula']}, errors {fit.attrs['errors']}, {how}",
            "ci_prob": prob,
            "factor": of.dim,
            "note": "\n".join(note),
            "theta_at": [of.reference.get(coef, "") for coef in of.coefs],
        },
    )
