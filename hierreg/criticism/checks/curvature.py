"""Curvature that the predictors of the population lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.values import Finding, NotMade, Test

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hierreg.criticism.examined import Examined
    from hierreg.criticism.rows import Rows
    from hierreg.criticism.values import Array, Outcome, Sample

_FITTED = "the fitted value"
# Of a column, what the model has to leave of it.
_IN_SPAN = 1e-6


def curvature(x: Examined) -> Test | NotMade:
    """Ask of the square of each predictor, and of the fitted value, whether it belongs into the model.

    Each is a score test: the square times P y. Under the model that is normal with the known variance h'P h, whatever
    was estimated of beta. The square of the fitted value is that of Tukey (1949) and Ramsey (1969).

    References
    ----------
    Tukey (1949), Biometrics 5(3), 232-242; Ramsey (1969), Journal of the Royal Statistical Society B 31(2), 350-371.
    """
    assert x.rows is not None
    columns = {name: h for name, h in x.varying().items() if len(np.unique(h)) > 2}
    if len(columns) > 1:
        columns[_FITTED] = x.rows.fitted
    squares = {name: ((h - h.mean()) / h.std()) ** 2 for name, h in columns.items() if h.std() > 0}
    added = directions(x.rows, squares, free=not x.has_normal_effects)
    if not added:
        return NotMade(
            reason="no predictor has more than two values" if not squares else "the model has the squares already"
        )

    def conclude(o: Outcome) -> Finding:
        name = list(added)[o.worst]
        z = float(_signed(added, o.data, free=not x.has_normal_effects)[o.worst, 0])
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
        scores=lambda sample: np.abs(_signed(added, sample, free=not x.has_normal_effects)),
        conclude=conclude,
    )


def directions(rows: Rows, columns: Mapping[str, Array], *, free: bool = False) -> dict[str, Array]:
    """Return columns, whitened and over their standard deviation under the model; not those that the model has.

    Parameters
    ----------
    rows : Rows
    columns : dict of arrays (N,)
    free : bool
        With the coefficients of groups free: what holds whatever their distribution.
    """
    out = {}
    for name, h in columns.items():
        white = np.asarray(rows.whiten @ (h - h.mean()))
        left = (rows.alone if free else rows.model)(white[:, None])[:, 0]
        variance, whole = float(white @ left), float(np.sum((white - rows.X @ _fit(rows.X, white)) ** 2))
        if variance > _IN_SPAN * float(white @ white) and whole > _IN_SPAN * float(white @ white):
            out[name] = (rows.sd if free else 1.0) * white / np.sqrt(variance)
    return out


def _fit(X: Array, y: Array) -> Array:
    return np.asarray(np.linalg.lstsq(X, y, rcond=None)[0]) if X.shape[1] else np.empty(0)


def _signed(added: Mapping[str, Array], sample: Sample, *, free: bool) -> Array:
    """Return z of each direction, (k, b)."""
    return np.stack(list(added.values())) @ (sample.errors if free else sample.marginal)
