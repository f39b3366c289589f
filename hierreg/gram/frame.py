"""Internal coordinates of columns, and how those of two tables become one.

Columns A (N, m) are stored as ``A_internal = (A - 1 centre') basis``. The centre is kept apart from the basis, and is
subtracted from the rows: with an offset of 1e9 the product ``centre' basis`` would hold its ninth digit and no more,
while the difference of two centres is exact. Two tables are joined at the centre of both, so that each moves away from
its own mean, which adds and never cancels (Chan, Golub and LeVeque).

References
----------
Chan, Golub and LeVeque (1983), The American Statistician 37, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.design_matrices.collinear import Measured
from hierreg.design_matrices.moments import moments_of
from hierreg.gram.columns import Coordinates, take_off_exactly
from hierreg.linalg import semidefinite_factor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# What a column adds to those before it, squared and relative to its own size, below which it adds nothing.
_NOTHING_NEW = 1e-12
_NOTHING_NEW_TO_ROWS = 1e-7  # of the rows themselves, not squared; the tolerance of R's lm
_ILL_CONDITIONED = 1e10
_FAR_LARGER = 1e3  # what the predictors explain of a response, over what they leave of it
_ROUNDING_OF_FIT = 1e-14  # what may be left of a fit, over what the fit leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Internal coordinates of m columns of n rows, and the plain cross-products of the rows in them.

    Attributes
    ----------
    n : int
        Number of rows.
    n_predictors : int
        The columns that are orthonormal; the response, where it is the last column, is left in its units.
    constant : int or None
        The first column that has one value other than zero, `value`.
    value : float
    centre : array (m,)
        Zero for the constant column, and for all where there is none.
    basis : array (m, m)
        Upper triangular.
    products : array (m, m)
        A_internal' A_internal, all rows with weight one.
    mean, squares : arrays (m,)
        Mean of each column, and the sum of its squared deviations from it.
    """

    n: int
    n_predictors: int
    constant: int | None
    value: float
    centre: Array
    basis: Array
    products: Array
    mean: Array
    squares: Array

    @property
    def sd(self) -> Array:
        """Standard deviation of each column (m,)."""
        return np.asarray(np.sqrt(self.squares / self.n))

    @property
    def rms(self) -> Array:
        """Root mean square of each column (m,)."""
        return np.asarray(np.sqrt(self.mean**2 + self.squares / self.n))

    @property
    def is_constant(self) -> NDArray[np.bool_]:
        """Whether each column has one value other than zero (m,)."""
        return np.asarray((self.squares == 0) & (self.mean != 0))

    @property
    def map(self) -> Array:
        """A_internal = A @ map (m, m), where an offset costs the digits that it has."""
        out = self.basis.copy()
        if self.constant is not None:
            out[self.constant] -= self.centre @ self.basis / self.value
        return out

    @property
    def predictors(self) -> Frame:
        """The frame of the columns without the response."""
        k = self.n_predictors
        return replace(
            self,
            centre=self.centre[:k],
            basis=self.basis[:k, :k],
            products=self.products[:k, :k],
            mean=self.mean[:k],
            squares=self.squares[:k],
        )

    def to(self, centre: Array, basis: Array) -> Array:
        """Return M (m, m) with ``(A - 1 centre') basis = A_internal M``."""
        target = basis.copy()
        if self.constant is not None:
            # 1 = (A - 1 centre') e / value, with e the constant column
            target[self.constant] += (self.centre - centre) @ basis / self.value
        return np.asarray(np.linalg.solve(self.basis, target)) if len(basis) else target


def frame_of(X: Array, y: Array | None = None) -> tuple[Array, Frame]:
    """Return columns in internal coordinates (N, m) with their frame; y, if given, is the last column.

    Predictors have nearly orthonormal columns (times sqrt(N)); columns that others determine are scaled only. The
    least-squares fit on them is taken off y.
    """
    n, p = X.shape
    X, y = np.ascontiguousarray(X), None if y is None else np.ascontiguousarray(y)
    moments = moments_of(X, y)
    m, constant = len(moments.mean), moments.constant_before(p)
    centre, basis, coef = np.zeros(m), np.eye(m), np.zeros(p)
    if constant is not None:
        centre = moments.mean.copy()
        centre[constant] = 0.0
    G = moments.about(centre)
    basis[:p, :p] = T = _orthogonaliser(X, centre[:p], G[:p, :p] / n)
    if y is not None:
        coef = _fit(T.T @ G[:p, :p] @ T, T.T @ G[:p, p])
    out = np.empty((n, m))
    products = Coordinates(centre=centre, basis=T, coef=coef).write(X, y, out)
    if y is not None:
        more, products = _take_off_rest(out, products, (X, y), (centre, T, coef))
        basis[:p, p] = -more
    frame = Frame(
        n=n,
        n_predictors=p,
        constant=constant,
        value=float(X[0, constant]) if constant is not None else 1.0,
        centre=centre,
        basis=basis,
        products=products,
        mean=moments.mean,
        squares=np.diagonal(moments.about_mean).copy(),
    )
    return out, frame


def _fit(products: Array, with_y: Array) -> Array:
    """Return the fit (p,) to columns that are orthonormal, or repeat others up to rounding, which is not fitted."""
    return np.asarray(np.linalg.lstsq(products, with_y, rcond=_NOTHING_NEW)[0])


def _take_off_rest(
    W: Array, products: Array, rows: tuple[Array, Array], taken: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    """Take off the last column of W what a first fit left of the columns before it.

    These are rounded: where the fit is far larger than what it leaves, so is what rounding adds. It is then taken off
    in the units of X, in twice the digits, and what that leaves is fitted.

    Parameters
    ----------
    W : array (N, p + 1)
        Overwritten.
    products : array (p + 1, p + 1)
        Of W.
    rows : tuple of arrays (N, p), (N,)
        X and y.
    taken : tuple of arrays (p + 1,), (p, p), (p,)
        Centre, basis, and the coefficients of the first fit.

    Returns
    -------
    fit : array (p,)
        Coefficients of (X - centre).
    products : array (p + 1, p + 1)
        Of what W holds now.
    """
    (X, y), (centre, basis, coef) = rows, taken
    p = len(coef)
    more = _fit(products[:p, :p], products[:p, p])
    if more @ products[:p, :p] @ more > (_ROUNDING_OF_FIT**2) * products[p, p]:
        coef = coef + more
        products = Coordinates(centre=centre, basis=basis, coef=coef).write(X, y, W)
    fit = basis @ coef
    if coef @ products[:p, :p] @ coef <= _FAR_LARGER**2 * products[p, p]:
        return fit, products
    take_off_exactly(X, centre[:p], fit, y, float(centre[p]), W[:, p])
    products = moments_of(W).about(np.zeros(p + 1))
    more = _fit(products[:p, :p], products[:p, p])
    W[:, p] -= W[:, :p] @ more
    return fit + basis @ more, moments_of(W).about(np.zeros(p + 1))


def _orthogonaliser(X: Array, centre: Array, G: Array) -> Array:
    """Return T (p, p), upper triangular, so that X - 1 centre' times T is orthonormal times sqrt(N).

    Columns that others determine are scaled only. G are the products of X - 1 centre', divided by N.
    """
    n, p = X.shape
    scale = np.sqrt(np.diagonal(G))
    used = np.flatnonzero(scale > 0)
    scale = np.where(scale > 0, scale, 1.0)
    G = (G / scale / scale[:, None])[np.ix_(used, used)]
    R = np.eye(p)
    if len(used) and np.linalg.cond(G) < _ILL_CONDITIONED:
        R[np.ix_(used, used)] = np.linalg.cholesky(G).T
    elif len(used):
        rounding = 2 * np.finfo(float).eps * np.abs(centre[used]) / scale[used]
        tolerance = np.maximum(_NOTHING_NEW_TO_ROWS, rounding)
        R[np.ix_(used, used)] = _triangle_of_rows((X - centre)[:, used] / scale[used] / np.sqrt(n), tolerance)
    return np.asarray(np.linalg.inv(R) / scale[:, None])


def _triangle_of_rows(A: Array, tolerance: Array) -> Array:
    """Return R (m, m) of the QR decomposition; columns that others determine get length one and no products."""
    R = np.linalg.qr(A, mode="r")
    R = np.vstack([R, np.zeros((max(A.shape[1] - len(R), 0), A.shape[1]))])
    R *= np.where(np.diagonal(R) < 0, -1.0, 1.0)[:, None]
    for j in np.flatnonzero(np.diagonal(R) < tolerance):
        R[j], R[:, j] = 0.0, 0.0
        R[j, j] = 1.0
    return np.asarray(R)


def triangle(G: Array, n_predictors: int, *, keep_all: bool = False) -> tuple[Array, list[int]]:
    """Return R (m, m), upper triangular, with R'R = G but for the response and columns that others determine.

    The latter, which are not among the columns returned, get their own length and no others, unless `keep_all`. The
    response gets length one, and keeps its products with the predictors.
    """
    m = len(G)
    R = np.zeros((m, m))
    live: list[int] = []
    for j in range(m):
        for i, k in enumerate(live):
            R[k, j] = (G[k, j] - R[live[:i], k] @ R[live[:i], j]) / R[k, k]
        if j >= n_predictors:
            R[j, j] = 1.0
            continue
        pivot = G[j, j] - R[:, j] @ R[:, j]
        if pivot > _NOTHING_NEW * G[j, j]:
            R[j, j] = np.sqrt(pivot)
            live.append(j)
        elif not keep_all:
            R[:, j] = 0.0
            R[j, j] = np.sqrt(G[j, j]) or 1.0
    return R, live


def unite(a: Frame, b: Frame) -> tuple[Frame, Array, Array]:
    """Return the frame of the rows of both, and the maps (m, m) from the coordinates of each to it.

    Those are found from roots of the products, never from products of products: where a column of one table is 1e9 of
    its spreads from that of the other, columns that are orthogonal in one table are all but collinear in both.
    """
    if a.constant != b.constant or a.value != b.value:
        a, b = _uncentred(a), _uncentred(b)
    n, p = a.n + b.n, a.n_predictors
    centre = a.centre + (b.centre - a.centre) * (b.n / n)
    mean = a.mean + (b.mean - a.mean) * (b.n / n)
    squares = a.squares + b.squares + (b.mean - a.mean) ** 2 * (a.n * b.n / n)
    roots = [semidefinite_factor(one.products / n).T for one in (a, b)]

    def rows_in(basis: Array) -> Array:
        return np.vstack([root @ one.to(centre, basis) for root, one in zip(roots, (a, b), strict=True)])

    # Columns in the coordinates of either, or as they stand; the response less either's fit, or as it stands.
    plain = np.eye(len(centre))
    plain[:p, :p] /= np.where(squares > 0, np.sqrt(squares / n), 1.0)[:p]
    candidates = [(basis, rows_in(basis)) for basis in (a.basis, b.basis, plain)]
    of_columns = min(candidates, key=lambda one: _condition(one[1][:, :p]))
    of_response = min(candidates, key=lambda one: float(np.linalg.norm(one[1][:, p:])))
    basis, rows = (np.hstack([own[:, :p], other[:, p:]]) for own, other in zip(of_columns, of_response, strict=True))
    T = np.linalg.inv(_triangle_of_factor(rows, p))
    turned = rows @ T
    frame = replace(a, n=n, centre=centre, basis=basis @ T, products=turned.T @ turned * n, mean=mean, squares=squares)
    maps = [one.to(centre, basis) @ T for one in (a, b)]
    for M, root in zip(maps, roots, strict=True):
        M[:p, p:] = _seen(root[:, :p], M[:p, p:])
    return frame, maps[0], maps[1]


def unite_all(frames: Sequence[Frame]) -> tuple[Frame, list[Array]]:
    """Return the frame of the rows of all, and the maps (m, m) from the coordinates of each to it."""
    if len(frames) == 1:
        return frames[0], [np.eye(len(frames[0].basis))]
    half = len(frames) // 2
    (a, to_a), (b, to_b) = unite_all(frames[:half]), unite_all(frames[half:])
    both, from_a, from_b = unite(a, b)
    return both, [M @ from_a for M in to_a] + [M @ from_b for M in to_b]


def _seen(root: Array, coef: Array) -> Array:
    """Return coefficients (p, r) without what the rows, whose columns have a root (k, p), do not see of them.

    What a table cannot tell, the other one does: of a response far from zero a coefficient as large as the response may
    be taken off, whose rounding the products would square, and the rows have none of it.
    """
    _, sizes, axes = np.linalg.svd(root)
    seen = axes[: len(sizes)][sizes > _NOTHING_NEW_TO_ROWS * sizes.max(initial=0.0)]
    return np.asarray(seen.T @ (seen @ coef))


def _condition(A: Array) -> float:
    """Return the condition number of columns scaled to length one; those that are zero aside."""
    length = np.linalg.norm(A, axis=0)
    used = length > 0
    return float(np.linalg.cond(A[:, used] / length[used])) if used.any() else 1.0


def _triangle_of_factor(A: Array, n_predictors: int) -> Array:
    """Return what `triangle` does of A'A, from A (k, m), by orthogonalisation, twice."""
    m = A.shape[1]
    R, Q = np.zeros((m, m)), np.zeros_like(A)
    for j in range(m):
        left = A[:, j].copy()
        for _ in range(2):
            along = Q.T @ left
            left -= Q @ along
            R[:, j] += along
        length, whole = float(np.linalg.norm(left)), float(np.linalg.norm(A[:, j]))
        if j >= n_predictors:
            R[j, j] = 1.0
        elif length > _NOTHING_NEW_TO_ROWS * whole:
            R[j, j], Q[:, j] = length, left / length
        else:
            R[:, j] = 0.0
            R[j, j] = whole or 1.0
    return R


def _uncentred(frame: Frame) -> Frame:
    return replace(frame, constant=None, value=1.0, centre=np.zeros_like(frame.centre), basis=frame.map)


def measured_frame(frame: Frame, names: Sequence[str]) -> Measured:
    """Return what is measured of the predictors of a frame, to be judged as those of rows are."""
    p = frame.n_predictors
    R, live = triangle(frame.products[:p, :p] / frame.n, p, keep_all=True)
    R[np.setdiff1d(np.arange(p), live)] = 0.0
    # In the units of the columns: what each adds to those before it, relative to its own size.
    R = R @ np.linalg.inv(frame.basis[:p, :p]) if p else R
    mean, squares = frame.mean[:p], frame.squares[:p]
    constant = frame.constant
    if constant is None and frame.is_constant[:p].any():
        # Parts had other constants, and were not centred: what is orthogonal to the constant is centred.
        constant = int(np.flatnonzero(frame.is_constant[:p])[0])
        direction = R[:, constant] / np.linalg.norm(R[:, constant])
        R -= np.outer(direction, direction @ R)
    return Measured(
        names=tuple(names),
        R=R,
        unit=np.ones(p),
        mean=mean,
        is_zero=(mean == 0) & (squares == 0),
        is_constant=(mean != 0) & (squares <= frame.n * (np.finfo(float).eps * mean) ** 2),
        constant=constant,
        n=int(frame.n),
    )


def without_columns(frame: Frame, kept: Sequence[int]) -> tuple[Frame, Array]:
    """Return the frame of some of the predictors (and the response, if it has one), and the map (m, m') to it.

    Parameters
    ----------
    frame : Frame
    kept : sequence of int
        Places of the predictors that stay; they are linearly independent.
    """
    p, m, k = frame.n_predictors, len(frame.basis), len(kept)
    columns = [*kept, *range(p, m)]
    # The columns that stay, in the coordinates of all: (A - 1 centre')[:, columns] = A_internal S.
    S = np.linalg.inv(frame.basis)[:, columns]
    Q, R = np.linalg.qr(S[:, :k])
    T = np.linalg.inv(triangle(Q.T @ frame.products @ Q / frame.n, k)[0]) if k else np.zeros((0, 0))
    M = np.hstack([Q @ T, S[:, k:]])
    basis = np.eye(len(columns))
    basis[:k, :k] = np.linalg.solve(R, T) if k else T
    if m > p:
        # the least-squares fit on what stays is taken off the response, as it was with all
        coef = np.linalg.solve(M[:, :k].T @ frame.products @ M[:, :k], M[:, :k].T @ frame.products @ M[:, k])
        M[:, k] -= M[:, :k] @ coef
        basis[:k, k] = -(basis[:k, :k] @ coef)
    constant = None if frame.constant is None else list(kept).index(frame.constant)
    smaller = replace(
        frame,
        n_predictors=k,
        constant=constant,
        centre=frame.centre[columns],
        basis=basis,
        products=M.T @ frame.products @ M,
        mean=frame.mean[columns],
        squares=frame.squares[columns],
    )
    return smaller, M
