"""The frame that default priors are stated in: columns made orthogonal one after the other.

A default prior must not depend on where a predictor has its zero, on its unit, or on whether a quadratic is written
``x + I(x**2)`` or ``poly(x, 2)``. Coefficients of the columns as they stand do. What does not are the coefficients
``phi = T c`` of columns of which each is taken less its fit on those before it: with A = Q R (R'R = A'A / n) and
T = diag(R)^-1 R, unit upper triangular, ``A c = (Q diag(R)) phi``. Powers, products, zeros and units change A to A S
with S upper triangular, which leaves every Q diag(R) as it is, up to its unit.

A constant column stands first, so that its phi is the level at the means of the others. Columns with a prior of their
own stand last, and keep the coefficient of the column as it stands: the priors that are given are literal, and the
defaults are those of what the other columns explain by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Squared length of what is left of 1 (rms 1) beside columns that hold it.
_NOTHING_LEFT = 1e-10
# Entries of T, in units of what they are added to, that are rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Second moments of m columns A of n rows, in coordinates in which they are well conditioned.

    Attributes
    ----------
    root : array (m, m)
        Upper triangular, with root'root = A_internal'A_internal / n.
    inverse : array (m, m)
        A - 1 centre' = A_internal @ inverse.
    centre : array (m,)
        Zero for the constant column, and for all where there is none.
    constant : int or None
        The column that has one value other than zero, `value`.
    value : float
    mean : array (m,)
        Of each column.
    """

    root: Array
    inverse: Array
    centre: Array
    constant: int | None
    value: float
    mean: Array

    @property
    def size(self) -> int:
        """Number of columns m."""
        return len(self.mean)

    def subset(self, columns: Sequence[int]) -> Columns:
        """Return some of the columns, in coordinates of their own."""
        kept = list(columns)
        if self.constant is not None and self.constant not in kept:
            # Without the constant there is nothing to take the centre off from.
            return _of_root(self.root @ self.full_inverse()[:, kept], self.mean[kept])
        if self.constant is None:
            return _of_root(self.root @ self.inverse[:, kept], self.mean[kept])
        place = kept.index(self.constant)
        inner = _of_root(self.root @ self.inverse[:, kept], self.mean[kept])
        return Columns(
            root=inner.root,
            inverse=inner.inverse,
            centre=self.centre[kept],
            constant=place,
            value=self.value,
            mean=self.mean[kept],
        )

    def ones(self) -> Array | None:
        """Return t (m,) with A t = 1, or None where the columns do not hold a constant."""
        if self.constant is not None:
            t = np.zeros(self.size)
            t[self.constant] = 1.0 / self.value
            return t
        if not self.size:
            return None
        whole = self.root @ self.inverse
        z = np.linalg.solve(whole.T, self.mean)
        return np.linalg.solve(whole, z) if abs(1.0 - z @ z) < _NOTHING_LEFT else None

    def constant_column(self, t: Array) -> Array:
        """Return A t = 1, t from `ones`, in internal coordinates (m,)."""
        return self.inverse @ t if self.constant is None else self._unit() / self.value

    def full_inverse(self) -> Array:
        """Return M (m, m) with A = A_internal M."""
        if self.constant is None:
            return self.inverse.copy()
        return self.inverse + np.outer(self._unit(), self.centre / self.value)

    def _unit(self) -> Array:
        """Return the constant column in internal coordinates (m,)."""
        assert self.constant is not None
        return self.inverse[:, self.constant]


def _of_root(whole: Array, mean: Array) -> Columns:
    """Return the columns whose second moments are whole'whole; what they are in is their own R."""
    R = np.linalg.qr(whole, mode="r")
    return Columns(root=np.eye(len(mean)), inverse=R, centre=np.zeros(len(mean)), constant=None, value=1.0, mean=mean)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequential:
    """Coefficients phi = T c that default priors are priors of.

    Attributes
    ----------
    T : array (m, m)
        |det T| = 1; the rows of columns with a prior of their own are those of the identity.
    scale : array (m,)
        Root mean square of what each column adds to those before it; one where the prior is given.
    level : array (m,)
        phi of a fit that is 1 in every row; zero where the columns with default priors hold no constant.
    inner : array (m, m)
        phi = inner @ c_internal, without the cancellation that T @ c has where columns are far from zero.
    centred : array (m, m) or None
        phi of columns less their centres is centred @ c, where the constant column has a default prior.
    is_level : bool array (m,)
        The constant column, where its prior is a default one.
    has_level : bool
        Whether the columns with default priors hold a constant.
    """

    T: Array
    scale: Array
    level: Array
    inner: Array
    centred: Array | None
    is_level: NDArray[np.bool_]
    has_level: bool

    @property
    def is_plain(self) -> NDArray[np.bool_]:
        """Whether phi is the coefficient of the column as it stands (m,)."""
        weights = np.abs(self.T) * self.scale[:, None] / np.maximum(self.scale, np.finfo(float).tiny)
        np.fill_diagonal(weights, 0.0)
        return np.asarray(weights.max(axis=1, initial=0.0) < _ROUNDING)


def sequential(columns: Columns, given: NDArray[np.bool_]) -> Sequential:
    """Return the frame of default priors.

    Parameters
    ----------
    columns : Columns
        The m columns, linearly independent.
    given : bool array (m,)
        Those with a prior of their own.
    """
    m, c = columns.size, columns.constant
    default = [k for k in range(m) if not given[k]]
    literal = np.flatnonzero(given)
    default.sort(key=lambda k: k != c)
    own = columns.subset(default).ones() if default else None
    whole = columns.ones()
    lead = np.empty((m, 0))
    if own is None and whole is not None and default:
        # A level with a prior of its own, or one that is held by given columns only: it takes the means off the others.
        lead = columns.constant_column(whole)[:, None]
    order = [*default, *literal]
    A = np.hstack([lead, columns.inverse[:, order]])
    Q, R = np.linalg.qr(columns.root @ A)
    sign = np.where(np.diagonal(R) < 0, -1.0, 1.0)
    Q, R = Q * sign, R * sign[:, None]
    first, size = lead.shape[1], len(default)
    T, inner, scale = np.eye(m), _literal_rows(columns), np.ones(m)
    rows = slice(first, first + size)
    scale[default] = np.diagonal(R)[rows]
    T[np.ix_(default, order)] = R[rows, first : first + m] / scale[default, None]
    inner[default] = (Q[:, rows].T @ columns.root) / scale[default, None]
    is_level, centred = np.zeros(m, dtype=bool), None
    if c is not None and not given[c]:
        is_level[c], centred = True, T.copy()
        T[c] += columns.centre / columns.value
    level = np.zeros(m)
    if own is not None:
        t = np.zeros(m)
        t[default] = own
        level = T @ t
        # In a fit of one everywhere; what is rounding would be printed as a mean of 1e-16.
        level[given | (np.abs(level) * scale < _ROUNDING)] = 0.0
    return Sequential(
        T=T, scale=scale, level=level, inner=inner, centred=centred, is_level=is_level, has_level=own is not None
    )


def internal_of(columns: Columns, mine: NDArray[np.intp], frame: Sequential) -> Array:
    """Return P (m, k) with c_internal = P phi, phi in the frame of k of the columns."""
    if frame.centred is not None:
        # The centres are taken off on both sides, and need not cancel.
        return np.asarray(np.linalg.solve(frame.centred.T, columns.inverse[:, mine].T).T)
    return np.asarray(np.linalg.solve(frame.T.T, columns.full_inverse()[:, mine].T).T)


def _literal_rows(columns: Columns) -> Array:
    """Return the map (m, m) from internal coordinates to the coefficients of the columns as they stand."""
    inverse = np.linalg.inv(columns.inverse) if columns.size else np.empty((0, 0))
    if columns.constant is not None:
        inverse[columns.constant] -= columns.centre @ inverse / columns.value
    return inverse
