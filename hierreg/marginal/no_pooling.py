"""Each group on its own: generalised least squares from the group's rows alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.linalg import semidefinite_factor
from hierreg.marginal.error_terms import terms_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.gram import Gram

    Array = NDArray[np.float64]

_RANK_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatistics:
    """Cross-products of each group's own rows, user scale; the entries that occur, F of them.

    Attributes
    ----------
    level, term : int arrays (F,)
        Group and error term of each entry.
    ZtZ : array (F, q, q)
    """

    level: NDArray[np.intp]
    term: NDArray[np.intp]
    ZtZ: Array


def group_statistics(own: Gram, factor: int) -> GroupStatistics:
    """Return the cross-products of each group of one factor, from a Gram basis in which no two groups are linked.

    Squares are carried to the user's scale as squares: of a column that is zero in a group nothing is left but the
    square of rounding, which is not negative.
    """
    groups = own.factors[factor]
    back = np.linalg.inv(groups.z_map)
    ZtZ = back.T @ groups.ZtZ @ back
    term = own.terms.table[groups.pair_term]
    squares = term[:, 1] == term[:, 2]
    roots = back.T @ semidefinite_factor(groups.ZtZ[squares])
    ZtZ[squares] = roots @ np.swapaxes(roots, 1, 2)
    return GroupStatistics(level=groups.pair_row, term=groups.pair_term, ZtZ=ZtZ)


def error_terms(own: Gram, error_cov: Array) -> Array:
    """Return omega (K,) at an error covariance (D, D)."""
    return np.asarray(terms_at(error_cov[None], own.terms.patterns)[0][0])


def no_pooling(
    own: Gram,
    factor: int,
    error_cov: Array,
    beta: Array,
    theta_columns: tuple[int | None, ...],
    b: Sequence[Array],
) -> tuple[Array, Array]:
    """Return generalised least-squares coefficients of each group of one factor alone, and their covariances.

    Population columns that are not group columns are taken off at their estimates, so the coefficients are those
    of theta_j (or of b_j in a column that has no population match). With several grouping factors the coefficients of
    all others are taken off as well, at their predictions: "alone" is then the group's own rows, each less what the
    plug-in solution says of the other factors. Their uncertainty is not part of the covariance.

    Parameters
    ----------
    own : Gram
        Statistics in which no two groups are linked.
    factor : int
        Place of the grouping factor.
    error_cov : array (D, D)
    beta : array (p,)
        Population coefficients.
    theta_columns : tuple of (int or None), length q
        Population column that each group column matches.
    b : sequence of arrays (J, q)
        Predictions of the coefficients of every factor, user scale; that of the factor itself is not read.

    Returns
    -------
    theta : array (J, q)
        NaN for a group whose rows do not determine all q coefficients.
    cov : array (J, q, q)
    """
    omega = error_terms(own, error_cov)
    groups = own.factors[factor]
    J, q, p = groups.n_levels, groups.n_coef, len(own.coef_names)
    A, C = np.zeros((J, q, q)), np.zeros((J, q, p + 1))
    np.add.at(A, groups.pair_row, omega[groups.pair_term, None, None] * groups.ZtZ)
    np.add.at(C, groups.level_index, omega[groups.level_term, None, None] * groups.ZtW)
    rest = np.array(beta, dtype=float)
    rest[[c for c in theta_columns if c is not None]] = 0.0
    rhs = C[:, :, p] + C[:, :, :p] @ np.linalg.solve(own.x_map, own.y_shift - rest) if p else C[:, :, p]
    rhs -= _of_other_factors(own, factor, omega, b)
    values, vectors = np.linalg.eigh(A)
    estimable = values[:, 0] > _RANK_TOLERANCE * values[:, -1]
    safe = np.where(estimable[:, None], values, 1.0)
    root = groups.z_map @ (vectors / np.sqrt(safe)[:, None, :])
    inverse = (vectors / safe[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    theta = (inverse @ rhs[:, :, None])[:, :, 0] @ groups.z_map.T
    cov = root @ np.swapaxes(root, 1, 2)
    theta[~estimable], cov[~estimable] = np.nan, np.nan
    return theta, cov


def _of_other_factors(own: Gram, factor: int, omega: Array, b: Sequence[Array]) -> Array:
    """Return Z'R^-1 Z_other b_other (J, q), internal scale, summed over the other factors."""
    groups = own.factors[factor]
    out = np.zeros((groups.n_levels, groups.n_coef))
    for pair in own.crossed:
        if factor not in {pair.first, pair.second}:
            continue
        is_first = pair.first == factor
        other = pair.second if is_first else pair.first
        inside = np.linalg.solve(own.factors[other].z_map, b[other].T).T
        mine, theirs = (pair.row, pair.col) if is_first else (pair.col, pair.row)
        ZtZ = pair.ZtZ if is_first else np.swapaxes(pair.ZtZ, 1, 2)
        np.add.at(out, mine, omega[pair.term, None] * np.einsum("eij,ej->ei", ZtZ, inside[theirs]))
    return out
