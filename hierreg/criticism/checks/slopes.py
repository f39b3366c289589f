"""Slopes that differ between groups, in a model in which they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from hierreg.criticism.rows import covariance_of_errors, group_columns
from hierreg.criticism.values import Finding, NotMade, Test

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined
    from hierreg.criticism.rows import Rows
    from hierreg.criticism.values import Array, Outcome, Sample
    from hierreg.design_matrices import FactorDesign

_CONSTANT = 1e-8
_FEWEST_GROUPS = 4


def slopes(x: Examined) -> Test | NotMade:
    """Ask of each predictor whether its slope differs between groups: the score test of one more variance.

    The score is sum over groups of (x_j'(P y)_j)^2, with x less what the group columns of the model explain of it
    within each group, made orthogonal to the scores of all variances that were estimated. Of responses that are not
    normal quantile residuals stand for P y.

    References
    ----------
    Lin (1997), Biometrika 84(2), 309-326; Verbeke and Molenberghs (2003), Biometrics 59(2), 254-262.
    """
    assert x.residuals is not None
    factors, rows = x.problem.design.factors, x.rows
    if not factors:
        return NotMade(reason="the model has no groups")
    tried: dict[tuple[str, str], Any] = {}
    for factor in factors:
        if len(factor.levels) < _FEWEST_GROUPS:
            continue
        for name, h in x.varying().items():
            left = _within(factor, h)
            if name not in factor.coef_names and np.var(left) > _CONSTANT * np.var(h):
                column = group_columns(factor, left[:, None])
                column = column if rows is None else sparse.csr_array(rows.whiten @ column)
                tried[name, factor.name] = column / np.sqrt(column.multiply(column).sum() / column.shape[1])
    if not tried:
        return NotMade(reason="each predictor that varies within groups has a slope by group already")

    def scores(sample: Sample) -> Array:
        # Of responses that are not normal both are the quantile residuals, given the groups' other coefficients.
        return np.stack([np.sum((column.T @ sample.marginal) ** 2, axis=0) for column in tried.values()])

    def conclude(o: Outcome) -> Finding:
        name, factor = list(tried)[o.worst]
        z = float(o.z[o.worst])
        return Finding(
            found=f"{name} by {factor}, z = {z:+.1f}",
            evidence=f"Slopes of {name} differ between groups of {factor} more than errors make them: the score is "
            f"{z:.1f} standard deviations above its mean under the model.",
            remedy=f"a slope by group, ({name} | {factor})",
            statistic=z,
        )

    return Test(
        labels=tuple(f"{name} by {factor}" for name, factor in tried),
        scores=scores,
        conclude=conclude,
        forms=None if rows is None else variance_forms(rows),
    )


def _within(factor: FactorDesign, h: Array) -> Array:
    """Return a column less what the group columns explain of it in each group."""
    Z = group_columns(factor)
    q = factor.Z.shape[1]
    A = np.zeros((len(factor.levels), q, q))
    np.add.at(A, factor.index, factor.Z[:, :, None] * factor.Z[:, None, :])
    b = np.asarray(Z.T @ h).reshape(-1, q)
    fit = np.linalg.pinv(A, rcond=1e-10, hermitian=True) @ b[:, :, None]
    return np.asarray(h - Z @ fit.ravel())


def variance_forms(rows: Rows) -> Any:
    """Return the function Sample -> (m, b): quadratic forms of P y that are the scores of all variances."""
    derivatives = _error_derivatives(rows)

    def forms(sample: Sample) -> Array:
        out = []
        for Z, factor in zip(rows.Z, rows.factors, strict=True):
            q = factor.Z.shape[1]
            u = np.asarray(Z.T @ sample.marginal).reshape(len(factor.levels), q, -1)
            out += [np.sum(u[:, i] * u[:, j], axis=0) for i in range(q) for j in range(i + 1)]
        out += [np.sum(sample.marginal * (D @ sample.marginal), axis=0) for D in derivatives]
        return np.stack(out) if out else np.zeros((1, sample.marginal.shape[1]))

    return forms


def _error_derivatives(rows: Rows) -> list[Any]:
    """Return the derivative of R with respect to each of its parameters, whitened."""
    out = []
    for above, below, distance in rows.point.steps():
        D = (covariance_of_errors(above) - covariance_of_errors(below)) / distance
        out.append(sparse.csr_array(rows.whiten @ D @ rows.whiten.T))
    return out
