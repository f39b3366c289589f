"""The mixed-model equations with several grouping factors: BLUE, BLUP and their covariances at known variances.

The matrix of the equations is eliminated once (`crossed.kernels`). Prediction-error variances are entries of its
inverse on the places of the cross-products, found without the rest of it.

References
----------
Henderson, C. R. (1975). Best linear unbiased estimation and prediction under a selection model.
Biometrics 31(2), 423-447.
Takahashi, K., Fagan, J. and Chin, M.-S. (1973). Formation of a sparse bus impedance matrix and its application to short
circuit study. 8th PICA Conference Proceedings, 63-69.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from hierreg.compiled.lapack import addresses_of_lapack
from hierreg.exceptions import ModelError
from hierreg.likelihood.solution import JointCovariance, Solution
from hierreg.linalg import semidefinite_factor

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.likelihood.crossed.engine import CrossedLikelihood
    from hierreg.likelihood.solution import LinearFunctions

    Array = NDArray[np.float64]


FEW_DIGITS = (
    "several grouping factors: at these covariances the errors are so much smaller than the groups (or one standard "
    "deviation is so many orders of magnitude from the others) that fewer than eight digits would be left of what the "
    "equations say. Where that is what the data are like, and not a slip of units, a model with one of the factors as "
    "population columns (`+ C(factor)`) and one grouping factor has all its digits."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eliminated:
    """The equations after elimination, at one value of the variances.

    Attributes
    ----------
    likelihood : CrossedLikelihood
    Lambda : array (q, q)
        Internal scale.
    workspace : array
        Laid out as `Plan` says.
    tail : array (D, D)
        Its Cholesky factor in the lower triangle, y apart.
    """

    likelihood: CrossedLikelihood
    Lambda: Array
    workspace: Array
    tail: Array


def eliminate(likelihood: CrossedLikelihood, Lambda: Array, error_cov: Array) -> Eliminated:
    """Return the eliminated equations at Lambda (q, q), user scale, and an error covariance (D, D).

    Raises
    ------
    ModelError
        If a matrix is not positive definite, or fewer than eight digits would be left.
    """
    internal = np.ascontiguousarray(likelihood.z_map_inverse @ Lambda)
    value, workspace, tail = likelihood.eliminated(internal, likelihood.errors.weights(error_cov))
    if value == -np.inf:
        raise ModelError(FEW_DIGITS)
    return Eliminated(likelihood=likelihood, Lambda=internal, workspace=workspace.copy(), tail=tail.copy())


def cut_off_of_crossed(likelihood: CrossedLikelihood, Lambda: Array, error_cov: Array, smaller: Array) -> str | None:  # noqa: ARG001  # the arguments of every engine
    """Return why a mode may be an edge of the density, in words, or None; see `engines.check_not_cut_off`.

    Correlations of errors that a search leaves at one lose digits too, and a posterior need not come near them.
    """
    if likelihood.gram.terms.has_corr or likelihood.value(Lambda, smaller) > -np.inf:
        return None
    return FEW_DIGITS


def left_by_crossed(likelihood: CrossedLikelihood, terms: Array, sd: float) -> float | None:
    """Return the least residual sum of squares plus that of all b / sd, internal scale, over beta and b.

    Parameters
    ----------
    likelihood : CrossedLikelihood
        With a flat prior of beta.
    terms : array (K,)
        Weights of the terms: which rows count.
    sd : float

    Returns
    -------
    float or None
        None where it is not known to eight digits.
    """
    weights = np.zeros(2 * len(terms) + 2)
    weights[: len(terms)], weights[-1] = terms, 1.0
    value, _, tail = likelihood.eliminated(sd * np.eye(len(likelihood.z_map_inverse)), weights)
    row = tail[-1, :-1]
    return float(tail[-1, -1] - row @ row) if value > -np.inf else None


def _in_threads(run: Callable[[slice], None], n: int, threads: int) -> None:
    """Run over n draws, some of them in each thread."""
    edges = np.linspace(0, n, max(1, min(threads, n)) + 1).astype(int)
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        list(pool.map(run, map(slice, edges[:-1], edges[1:])))


def log_likelihoods_of_crossed(
    likelihood: CrossedLikelihood, Lambda: Array, error_cov: Array, threads: int = 1
) -> Array:
    """Return the log likelihoods (S,) at S draws; see `engines.log_likelihoods`.

    Raises
    ------
    ModelError
        If a matrix is not positive definite, or fewer than eight digits would be left.
    """
    internal = np.ascontiguousarray(likelihood.z_map_inverse @ Lambda)
    weights = likelihood.errors.weights_of_draws(error_cov)
    out = np.empty(len(internal))

    def run(some: slice) -> None:
        for s in range(*some.indices(len(out))):
            out[s] = likelihood.eliminated(internal[s], weights[s])[0]

    _in_threads(run, len(out), threads)
    if np.isneginf(out).any():
        raise ModelError(FEW_DIGITS)
    return out


def population_of_crossed(
    likelihood: CrossedLikelihood, Lambda: Array, error_cov: Array, threads: int = 1
) -> tuple[Array, Array]:
    """Return mean (S, p) and factor of the covariance (S, p, p) of beta at S draws; see `engines.population`.

    Raises
    ------
    ModelError
        If a matrix is not positive definite, or fewer than eight digits would be left.
    """
    from scipy.linalg import solve_triangular

    from hierreg.likelihood.crossed.moments_kernels import carry_back

    gram, plan = likelihood.gram, likelihood.plan
    T, p = plan.n_tail_b, len(gram.coef_names)
    mean, factor = np.empty((len(Lambda), p)), np.empty((len(Lambda), p, p))

    def run(some: slice) -> None:
        values, z = np.empty(plan.n_node_columns + plan.n_tail), np.zeros(plan.n_node_columns + plan.n_tail - 1)
        for s in range(*some.indices(len(Lambda))):
            at = eliminate(likelihood, Lambda[s], error_cov[s])
            carry_back(at.workspace, at.tail, at.Lambda, plan.nodes, plan.dense, z, values)
            mean[s] = split_coefficients(likelihood, values[None], Lambda[s][None])[0][0]
            root = solve_triangular(np.tril(at.tail[T:-1, T:-1]), np.eye(p), lower=True, trans=1)
            factor[s] = gram.x_map @ root

    _in_threads(run, len(Lambda), threads)
    return mean, factor


def split_coefficients(likelihood: CrossedLikelihood, values: Array, Lambda: Array) -> tuple[Array, tuple[Array, ...]]:
    """Return beta (S, p) and b, (S, J, q) per factor, user scale, from what `carry_back` writes.

    Parameters
    ----------
    likelihood : CrossedLikelihood
    values : array (S, n_node_columns + D)
    Lambda : array (S, q, q)
        User scale: b is zero wherever a row of it is.
    """
    gram, plan = likelihood.gram, likelihood.plan
    S, first = len(values), plan.n_node_columns + plan.n_tail_b
    b = []
    for at, factor, mine in zip(plan.first_column, gram.factors, gram.factor_slices, strict=True):
        own = values[:, at : at + factor.n_levels * factor.n_coef].reshape(S, factor.n_levels, factor.n_coef)
        b.append(own @ np.swapaxes(Lambda[:, mine, mine], 1, 2))
    beta = gram.y_shift + values[:, first : first + len(gram.coef_names)] @ gram.x_map.T
    return beta, tuple(b)


def solve_crossed(likelihood: CrossedLikelihood, Lambda: Array, error_cov: Array) -> Solution:
    """Return the solution of the mixed-model equations; see `engines.solve_equations`."""
    from scipy.linalg import solve_triangular

    from hierreg.likelihood.crossed.moments_kernels import carry_back

    at = eliminate(likelihood, Lambda, error_cov)
    gram, plan = likelihood.gram, likelihood.plan
    values = np.empty((1, plan.n_node_columns + plan.n_tail))
    z = np.zeros(values.shape[1] - 1)
    carry_back(at.workspace, at.tail, at.Lambda, plan.nodes, plan.dense, z, values[0])
    beta, b = split_coefficients(likelihood, values, Lambda[None])
    moments = _moments(at, plan.n_tail - 1, Lambda)
    T, p = plan.n_tail_b, len(gram.coef_names)
    # The last columns of the factor are those of beta: their inverse is a factor of its covariance.
    root = gram.x_map @ solve_triangular(np.tril(at.tail[T:-1, T:-1]), np.eye(p), lower=True, trans=1)
    return Solution(
        beta=beta[0],
        beta_cov=root @ root.T,
        b=tuple(values[0] for values in b),
        b_cov=tuple(cov for cov, _ in moments),
        b_cond_cov=tuple(cov for cov, _ in _moments(at, T, Lambda)),
        beta_b_cov=tuple(gram.x_map @ cross for _, cross in moments),
        joint=CrossedJoint(eliminated=at),
        Sigma=Lambda @ Lambda.T,
        error_cov=np.array(error_cov, dtype=float),
    )


def _moments(at: Eliminated, n: int, Lambda: Array) -> list[tuple[Array, Array]]:
    """Return, of each factor, Var(b_j) (J, q, q) and Cov(beta internal, b_j) (J, p, q).

    The leading n columns of the tail are unknown: all, or those of groups alone, beta known. Variances are
    (Lambda F)(Lambda F)' with the user's Lambda (q, q): no difference, and zero where a row of Lambda is.
    """
    from hierreg.likelihood.crossed.kernels import selected_inverse, turn_tail
    from hierreg.likelihood.crossed.large_kernels import invert_leading

    plan, gram = at.likelihood.plan, at.likelihood.gram
    # In place: of ten thousand columns a copy takes 800 MB.
    G, tail = np.empty(plan.tail_at), at.tail.copy()
    invert_leading(tail, n, addresses_of_lapack())
    own_of_tail = {}
    for f in plan.tail:
        J, q = gram.factors[f].n_levels, gram.factors[f].n_coef
        column = plan.first_column[f] - plan.n_node_columns + np.arange(J * q).reshape(J, q)
        own_of_tail[f] = column, tail[column[:, :, None], column[:, None, :]]
    turn_tail(tail, at.Lambda, plan.dense)
    standard = np.empty(int(np.sum(plan.node_q**2)))
    layout = plan.nodes, plan.dense, plan.rows
    selected_inverse(at.workspace, at.Lambda, layout, tail, G, np.zeros(at.Lambda.shape), standard)
    p, T = len(gram.coef_names), plan.n_tail_b
    out = []
    for f, (factor, mine) in enumerate(zip(gram.factors, gram.factor_slices, strict=True)):
        J, q, z_map = factor.n_levels, factor.n_coef, factor.z_map
        if f in plan.staged:
            own = standard[plan.diagonal_places(f, np.arange(J), q)]
            cross = G[plan.panel_rows(f, np.arange(J), q)[1] - p - 1 + np.arange(p)]
        else:
            column, own = own_of_tail[f]
            cross = tail[column, T : T + p]
        root = Lambda[mine, mine] @ semidefinite_factor(own)
        out.append((root @ np.swapaxes(root, 1, 2), np.swapaxes(z_map @ cross, 1, 2)))
    return out


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CrossedJoint(JointCovariance):
    """Several grouping factors: the weights of a function are carried through the elimination.

    Attributes
    ----------
    eliminated : Eliminated
    """

    eliminated: Eliminated

    def covariance(self, functions: LinearFunctions) -> Array:
        """Return the covariance (s, s)."""
        from scipy.sparse import csr_array

        levels, tail = self._carried(functions)
        rows = [np.flatnonzero(row) for row in levels]
        data = [row[places] for row, places in zip(levels, rows, strict=True)]
        indptr = np.concatenate([[0], np.cumsum([len(places) for places in rows])])
        matrix = csr_array((np.concatenate(data), np.concatenate(rows), indptr), shape=levels.shape)
        return np.asarray(tail.T @ tail + (matrix @ matrix.T).toarray())

    def variances(self, functions: LinearFunctions) -> Array:
        """Return the variances (s,)."""
        out = np.empty(len(functions.beta))
        step = max(1, _CARRIED_VALUES // self._n_columns())
        for first in range(0, len(out), step):
            levels, tail = self._carried(_some(functions, first, first + step))
            out[first : first + step] = np.sum(levels**2, axis=1) + np.sum(tail**2, axis=0)
        return out

    def _n_columns(self) -> int:
        plan = self.eliminated.likelihood.plan
        return plan.n_node_columns + plan.n_tail - 1

    def _carried(self, functions: LinearFunctions) -> tuple[Array, Array]:
        """Return h of the levels (s, n_node_columns) and of the tail (D - 1, s)."""
        from scipy.linalg import solve_triangular

        from hierreg.likelihood.crossed.moments_kernels import carry_forward

        at = self.eliminated
        plan, gram = at.likelihood.plan, at.likelihood.gram
        w = np.zeros((len(functions.beta), self._n_columns()))
        w[:, plan.n_node_columns + plan.n_tail_b :] = functions.beta @ gram.x_map
        for first, factor, weights in zip(plan.first_column, gram.factors, functions.groups, strict=True):
            columns = first + weights.level[:, None] * factor.n_coef + np.arange(factor.n_coef)
            np.add.at(w, (weights.row[:, None], columns), weights.b @ factor.z_map)
        for row in w:
            carry_forward(at.workspace, at.Lambda, plan.nodes, row)
        tail = _turned(w[:, plan.n_node_columns :], plan, at.Lambda)
        n = plan.n_tail - 1
        # The upper triangle is whatever was in memory, which the check for finite numbers would read.
        h: Array = solve_triangular(at.tail[:n, :n], tail.T, lower=True, check_finite=False)
        return w[:, : plan.n_node_columns], h


# Numbers held at once while variances of many functions are computed.
_CARRIED_VALUES = 2**24


def _turned(w: Array, plan: Any, Lambda: Array) -> Array:
    """Return w T for weights of the tail (s, D - 1)."""
    out = w.copy()
    for b in np.unique(plan.tail_lambda):
        mine = plan.tail_lambda == b
        q = int(plan.tail_q[mine][0])
        columns = plan.tail_start[mine][:, None] + np.arange(q)
        out[:, columns] = w[:, columns] @ Lambda[b : b + q, b : b + q]
    return out


def _some(functions: LinearFunctions, start: int, stop: int) -> LinearFunctions:
    """Return functions start to stop."""
    from dataclasses import replace

    groups = []
    for weights in functions.groups:
        mine = (weights.row >= start) & (weights.row < stop)
        groups.append(replace(weights, row=weights.row[mine] - start, level=weights.level[mine], b=weights.b[mine]))
    return replace(functions, beta=functions.beta[start:stop], groups=tuple(groups))
