"""The shrinkage of a point estimate: each group alone, and its prediction at the estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.reports.reading import need_factor, read
from hierreg.reports.table import Report, percent, sections
from hierreg.reports.weights import pooling_factor_of_summaries, weights
from hierreg.results.at_estimate import tree_of_estimate
from hierreg.results.point import METHOD_NAMES
from hierreg.results.text import beside, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.reports.reading import FactorFit
    from hierreg.results.point import Estimate

    Array = NDArray[np.float64]

_MOST_GROUPS = 20


@final
class ShrinkageAtPoint(Report):
    """What `shrinkage` returns of an estimate; prints as one table per coefficient."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"no_pooling": 2, "plug_in": 2, "weight": 3, "pooling_factor": 1}

    def text(self) -> str:
        """Return the tables as plain text, at most 20 groups of each."""
        attrs = self.attrs
        prob, J = attrs["ci_prob"], self.sizes[attrs["factor"]]
        header = ["", "alone", "se", "estimate", "sd", percent((1 - prob) / 2), percent((1 + prob) / 2), "weight"]
        parts, coefs = [], self[f"{attrs['factor']}_coef"].values
        for k, coef in enumerate(coefs):
            rows = [self._row(j, k) for j in range(min(J, _MOST_GROUPS))]
            value, sd = float(self["population_plug_in"][k]), float(self["plug_in_sd"][:, k].mean())
            rows.append(["  population", "", "", beside(value, sd), *[""] * 4])
            at = attrs["theta_at"][k]
            parts.append((f"{coef} at {at}" if at else str(coef), rows))
        factors = ", ".join(
            f"{c} {number(float(v))}" for c, v in zip(coefs, self["pooling_factor"].values, strict=True)
        )
        lines = [attrs["heading"], "", sections(header, parts), ""]
        if J > _MOST_GROUPS:
            lines.append(f"{_MOST_GROUPS} of {J} groups shown; .to_dataframe() has them all.")
        return "\n".join([*lines, f"Pooling factor (0: groups alone, 1: one value for all): {factors}", attrs["note"]])

    def _row(self, j: int, k: int) -> list[str]:
        sd = float(self["plug_in_sd"][j, k])
        names = ("no_pooling", "no_pooling_se", "plug_in", "plug_in_sd", "lower", "upper")
        return [
            f"  {self[self.attrs['factor']].values[j]}",
            *(beside(float(self[name][j, k]), sd) for name in names),
            f"{float(self['weight'][j, k, k]) + 0.0:.2f}",
        ]


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
