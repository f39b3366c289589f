"""Moments of the rows of a table: what the variance of the response is made of, at given parameters.

Rows count alike, whatever their weights are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout, ErrorSpec
    from hierreg.gram.basis import Gram

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowMoments:
    """Moments of the columns and errors, by data set or stratum of the errors (D of them).

    Attributes
    ----------
    n : array (D,)
        Rows.
    mean : array (D, p)
        Of the population columns.
    cov : array (D, p, p)
        Of the population columns about that mean, divided by n.
    second : tuple of arrays (D, q, q)
        Means of z z' of the group columns, by grouping factor.
    error : array (D,)
        Mean of the error variances, in units of the squared error standard deviation of the label.
    """

    n: Array
    mean: Array
    cov: Array
    second: tuple[Array, ...]
    error: Array


def row_moments(design: Design, layout: ErrorLayout) -> RowMoments:
    """Return the moments of the rows of a table."""
    labels = [np.flatnonzero(layout.stratum == label) for label in range(len(layout.labels))]
    variance = np.ones(len(design.y)) if layout.se is None else layout.se**2
    if layout.V is not None:
        variance = _diagonal(layout)
    return moments_of_parts(design.X, [factor.Z for factor in design.factors], variance, labels)


def moments_of_parts(X: Array, Zs: Sequence[Array], variance: Array, parts: Sequence[NDArray[np.intp]]) -> RowMoments:
    """Return the moments of columns X (N, p), Zs (N, q) and error variances (N,), by part of the rows."""
    own = [_centred(X[rows]) for rows in parts]
    return RowMoments(
        n=np.array([len(rows) for rows in parts], dtype=np.float64),
        mean=np.array([mean for mean, _ in own]),
        cov=np.array([cov for _, cov in own]),
        second=tuple(np.array([Z[rows].T @ Z[rows] / max(1, len(rows)) for rows in parts]) for Z in Zs),
        error=np.array([variance[rows].mean() if len(rows) else np.nan for rows in parts]),
    )


def _centred(X: Array) -> tuple[Array, Array]:
    """Return mean (p,) and covariance (p, p) of rows."""
    if not len(X):
        return np.full(X.shape[1], np.nan), np.full((X.shape[1],) * 2, np.nan)
    # Differences from a first row before anything is summed: an offset takes no digits from them.
    shifted = X - X[0]
    mean = shifted.mean(axis=0)
    shifted -= mean
    return X[0] + mean, shifted.T @ shifted / len(X)


def _diagonal(layout: ErrorLayout) -> Array:
    assert layout.V is not None
    out = np.empty(layout.V.n)
    for batch in layout.V.batches:
        out[batch.rows] = np.diagonal(batch.V, axis1=1, axis2=2)
    return out


def row_moments_of_gram(gram: Gram, spec: ErrorSpec) -> RowMoments | None:
    """Return the moments of all rows together from their statistics; None where these do not have them.

    They do not have those of each data set or stratum, nor error variances that differ from row to row.
    """
    frames = [gram.frame, *(factor.frame for factor in gram.factors)]
    if any(frame is None for frame in frames) or len(gram.terms.labels) > 1:
        return None
    if spec.is_known or spec.columns.number is not None:
        return None
    means, covs = [], []
    for frame, m in zip(frames, [len(gram.coef_names), *(factor.n_coef for factor in gram.factors)], strict=True):
        assert frame is not None
        basis, n = frame.basis[:m, :m], frame.n
        inner = (frame.mean[:m] - frame.centre[:m]) @ basis
        outward = np.linalg.inv(basis)
        means.append(frame.mean[:m])
        covs.append(outward.T @ (frame.products[:m, :m] / n - np.outer(inner, inner)) @ outward)
    return RowMoments(
        n=np.array([float(gram.n)]),
        mean=means[0][None],
        cov=covs[0][None],
        second=tuple((cov + np.outer(mean, mean))[None] for mean, cov in zip(means[1:], covs[1:], strict=True)),
        error=np.ones(1),
    )
