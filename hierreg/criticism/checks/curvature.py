"""Curvature that the predictors of the population lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.rows import Rows
from hierreg.criticism.values import Finding, NotMade, Test

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hierreg.criticism.examined import Examined
    from hierreg.criticism.values import Array, Outcome, Sample

_FITTED = "the fitted value"


def curvature(x: Examined) -> Test | NotMade:
    """Ask of the square of each predictor, and of the fitted value, whether it belongs into the model.

    Each is a score test: the square times P y. Under the model that is normal with the known variance h'P h, whatever
    was estimated of beta. The square of the fitted value is that of Tukey (1949) and Ramsey (1969).

    References
    ----------
    Tukey (1949), Biometrics 5(3), 232-242; Ramsey (1969), Journal of the Royal Statistical Society B 31(2), 350-371.
    """
    assert x.residuals is not None
    columns = {name: h for name, h in x.varying().items() if len(np.unique(h)) > 2}
    if len(columns) > 1:
        columns[_FITTED] = x.residuals.predicted
    squares = {name: ((h - h.mean()) / h.std()) ** 2 for name, h in columns.items() if h.std() > 0}
    added = directions(x, squares)
    if not added:
        return NotMade(
            reason="no predictor has more than two values" if not squares else "the model has the squares already"
        )

    def conclude(o: Outcome) -> Finding:
        name = list(added)[o.worst]
        z = float(signed(x, added, o.data)[o.worst, 0])
        return Finding(
            found=f"{name}, z = {z:+.1f}",
            evidence=f"Residuals follow the square of {name}, z = {z:+.2f}: they bend {'up' if z > 0 else 'down'} "
            "at both ends.",
            remedy=(
                "a transformation of the response, or squares and interactions of predictors"
                if name == _FITTED
                else f"poly({name}, 2), bs({name}, df=4) or log({name}) in place of {name}"
            ),
            statistic=z,
        )

    return Test(
        labels=tuple(added),
        scores=lambda sample: np.abs(signed(x, added, sample)),
        conclude=conclude,
    )


def directions(x: Examined, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return what takes residuals to the score of each further column (N,); not of those that the model has.

    They are of the whole model where its group effects are normal, and else of errors alone.
    """
    is_of_model = isinstance(x.residuals, Rows) and x.has_normal_effects
    out = {}
    for name, h in columns.items():
        assert x.residuals is not None
        found = x.rows.direction_in_model(h) if is_of_model and x.rows is not None else x.residuals.direction(h)
        if found is not None:
            out[name] = found
    return out


def signed(x: Examined, added: Mapping[str, Array], sample: Sample) -> Array:
    """Return the scores of further columns, (k, b)."""
    is_of_model = isinstance(x.residuals, Rows) and x.has_normal_effects
    return np.asarray(np.stack(list(added.values())) @ (sample.marginal if is_of_model else sample.errors))
