"""Coordinates in which strong pseudo-observations of the population coefficients stand on axes of their own.

A row that outweighs the data by many orders swamps what they say of all coefficients that it is a statement about. So
rows K = L D U, eliminated with complete pivoting, and the coordinates are U beta: L and U are well conditioned whatever
the units of rows and columns are, and K'K = D L'L D has nothing beside it that it could swamp. Axes that the groups fit
by themselves are pivoted first, and span the same columns afterwards: U is block triangular.

References
----------
Demmel, J., Gu, M., Eisenstat, S., Slapničar, I., Veselić, K. and Drmač, Z. (1999). Computing the singular value
decomposition with high relative accuracy. Linear Algebra and its Applications 299, 21-80.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Squared pivots, in units of the weight of all rows, that are light even beside what the data say between groups.
_LIGHT = 1e-6


def on_axes_of_their_own(
    K: Array, target: Array, at: tuple[Array, Array], n_first: int, weight: float
) -> tuple[Array, Array, Array]:
    """Return the coordinates, the pseudo-observations in them, and how far their origin is moved.

    Parameters
    ----------
    K : array (r, p)
        The rows, divided by their sds.
    target : array (r,)
        What they say K beta is.
    at : tuple of two arrays (p,)
        Least squares, which the response is counted from, as a sum that is not to be rounded.
    n_first : int
        Axes, the first ones, that span the same columns in the new coordinates.
    weight : float
        Of all rows of data, about the precision of a coefficient.

    Returns
    -------
    U : array (p, p)
        The new coordinates are U (beta - at - move).
    rows : array (r, p + 1)
        [X y] in them. What is left of y cannot cancel: the origin is the mode of the rows and of least squares.
    move : array (p,)
    """
    # The heaviest statement of all is the first that the origin follows, whatever axes come first.
    U, turned, pivots = _eliminated(K, 0, weight)
    here, left = U @ (at[0] + at[1]), target.copy()
    place = here.copy()
    rest = np.ones(len(K), dtype=bool)
    for i, c in pivots:
        pivot = turned[i, c]
        light = weight / (pivot * pivot + weight)
        from_least_squares = left[i] / pivot - here[c]
        place[c] = left[i] / pivot - light * from_least_squares
        rest[i] = False
        left[i] = pivot * light * from_least_squares
        left[rest] -= turned[rest, c] * place[c]
    others = np.setdiff1d(np.arange(len(U)), [c for _, c in pivots])
    left -= turned[:, others] @ place[others]
    move = np.linalg.solve(U, place) - at[0] - at[1] if pivots else np.zeros(len(U))
    if n_first:
        U, turned, _ = _eliminated(K, n_first, weight)
    return U, np.column_stack([turned, left]), move


def _eliminated(K: Array, n_first: int, weight: float) -> tuple[Array, Array, list[tuple[int, int]]]:
    """Return U (p, p), K U^-1 (r, p), and the row and column of each pivot.

    No coordinate of the others has a part of the first ones, so that those span what they did.
    """
    p, K = K.shape[1], K.copy()
    U, free, left, pivots = np.eye(p), np.arange(len(K)), np.ones(p, dtype=bool), []
    is_first = np.arange(p) < n_first

    def replace_axis(i: int, c: int, others: NDArray[np.bool_]) -> None:
        """Let a coordinate be what a row says of it and of others."""
        others = others & left
        others[c] = False
        ratio = K[i, others] / K[i, c]
        U[c] += ratio @ U[others]
        K[:, others] -= np.outer(K[:, c], ratio)
        K[i, others] = 0.0

    while len(free) and left.any():
        columns = np.flatnonzero(left)
        size = np.abs(K[np.ix_(free, columns)])
        at, place = np.unravel_index(int(np.argmax(size)), size.shape)
        i, c = int(free[at]), int(columns[place])
        if not size[at, place] ** 2 > _LIGHT * weight:
            break
        if not is_first[c]:
            # Other columns first: one of them alone is to hold a large part of the groups' own, and that only where
            # the row outweighs the data in it; several, in models of many columns, would be all but collinear.
            replace_axis(i, c, ~is_first)
            own = np.where(is_first & left, np.abs(K[i]), 0.0)
            if own.max() ** 2 > weight:
                c = int(np.argmax(own))
        replace_axis(i, c, np.ones(p, dtype=bool) if is_first[c] else ~is_first)
        left[c] = False
        free = np.delete(free, at)
        pivots.append((i, c))
    return U, K, pivots
