"""Linear functions of all coefficients, and their joint covariance given the variances.

The (p + J q) x (p + J q) covariance of beta and all b is never formed: with u one standard normal per population
coefficient, ``beta = beta_hat + F u`` and ``b_j = b_hat_j + G_j u + e_j``, where e_j and e_k are independent unless
correlated errors link the groups. So two groups that share no errors are correlated through beta_hat alone.

References
----------
Henderson, C. R. (1975). Best linear unbiased estimation and prediction under a selection model.
Biometrics 31(2), 423-447.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.marginal.equations import Solution

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearFunctions:
    """s linear functions of the population coefficients and of those of some groups.

    Attributes
    ----------
    beta : array (s, p)
        Weights of the population coefficients.
    row, level : int arrays (E,)
        Function and group of each entry; entries of one function and group add.
    b : array (E, q)
        Weights of the group's coefficients.
    """

    beta: Array
    row: Index
    level: Index
    b: Array


def values(functions: LinearFunctions, beta: Array, b: Array | None) -> Array:
    """Return the functions (S, s) at S values of beta (S, p) and b (S, J, q); b may be None without entries."""
    out = np.asarray(beta @ functions.beta.T)
    if len(functions.row):
        assert b is not None
        levels, weights = _weights_of_levels(functions)
        out += (weights @ b[:, levels].reshape(len(b), -1).T).T
    return out


def means(functions: LinearFunctions, solution: Solution) -> Array:
    """Return the means (s,) of the functions."""
    out: Array = values(functions, solution.beta[None], solution.b[None])[0]
    return out


def covariance(functions: LinearFunctions, solution: Solution) -> Array:
    """Return the covariance (s, s) of the functions, that of beta included."""
    factor = _population_factor(functions, solution)
    out = factor @ factor.T
    if len(functions.row):
        levels, weights = _weights_of_levels(functions)
        out = out + (weights @ _conditional_covariance(solution, levels) @ weights.T).toarray()
    return 0.5 * (out + out.T)


def variances(functions: LinearFunctions, solution: Solution) -> Array:
    """Return the variances (s,) of the functions: the diagonal of `covariance`, in less memory."""
    out: Array = np.sum(_population_factor(functions, solution) ** 2, axis=1)
    if len(functions.row):
        levels, weights = _weights_of_levels(functions)
        product = weights @ _conditional_covariance(solution, levels)
        out = out + np.asarray(product.multiply(weights).sum(axis=1)).ravel()
    return out


def _population_factor(functions: LinearFunctions, solution: Solution) -> Array:
    """Return the weights (s, r) of u. Not through beta_cov, which loses the digits that an offset cancels."""
    factor: Array = functions.beta @ solution.beta_factor
    np.add.at(factor, functions.row, np.einsum("eq,eqr->er", functions.b, solution.b_factor[functions.level]))
    return factor


def _weights_of_levels(functions: LinearFunctions) -> tuple[Index, Any]:
    """Return the k groups that occur, and the weights as a sparse matrix (s, k q)."""
    from scipy.sparse import coo_array

    s, q = len(functions.beta), functions.b.shape[1]
    levels, place = np.unique(functions.level, return_inverse=True)
    columns = place[:, None] * q + np.arange(q)
    entries = (functions.b.ravel(), (np.repeat(functions.row, q), columns.ravel()))
    return levels, coo_array(entries, shape=(s, len(levels) * q)).tocsr()


def _conditional_covariance(solution: Solution, levels: Index) -> Any:
    """Return the covariance of e_j, sparse (k q, k q), of k groups."""
    from scipy.sparse import coo_array

    k, q = len(levels), solution.b.shape[1]
    block_of = np.full(len(solution.b), -1, dtype=np.intp)
    slot_of = np.zeros(len(solution.b), dtype=np.intp)
    block, slot = np.nonzero(solution.linked_levels >= 0)
    block_of[solution.linked_levels[block, slot]] = block
    slot_of[solution.linked_levels[block, slot]] = slot
    alone = np.flatnonzero(block_of[levels] < 0)
    rows, cols = [_columns(alone, q)[:, :, None].repeat(q, 2)], [_columns(alone, q)[:, None, :].repeat(q, 1)]
    parts = [solution.b_cond_cov[levels[alone]]]
    for one in np.unique(block_of[levels][block_of[levels] >= 0]):
        members = np.flatnonzero(block_of[levels] == one)
        inside, outside = _columns(slot_of[levels[members]], q).ravel(), _columns(members, q).ravel()
        rows.append(np.repeat(outside, len(outside)))
        cols.append(np.tile(outside, len(outside)))
        parts.append(solution.linked_cond_cov[one][np.ix_(inside, inside)])
    data, row, col = (np.concatenate([part.ravel() for part in what]) for what in (parts, rows, cols))
    return coo_array((data, (row, col)), shape=(k * q, k * q)).tocsr()


def _columns(places: Index, q: int) -> Index:
    """Return the q columns of each group at its place (n, q)."""
    columns: Index = places[:, None] * q + np.arange(q)
    return columns
