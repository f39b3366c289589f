"""Where the nodes of each group lie, and what is tabulated there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hierreg.compiled.lanes import NODE_STRIP
from hierreg.likelihood.quadrature.engine import QuadratureLikelihood
from hierreg.likelihood.quadrature.nodes import product_rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.quadrature.density import QuadratureTarget

    Array = NDArray[np.float64]

# What may be left of a column, of its largest value, where the groups' columns fit it.
_ROUNDING = 1e-9
# Singular values of a group's columns, of the largest, below which they say nothing of a column.
_NO_DIRECTION = 1e-8
# Nodes on each axis with which moments are found that others are laid by, and how often.
_NODES_OF_MOMENTS, _ROUNDS = 9, 2
# Bytes of a table at most.
_MOST_BYTES = 2**29


@dataclass(frozen=True, kw_only=True)
class NodeTable:
    """The log-likelihood l_j(theta) of each group at nodes theta_jk = m_j + L_j t_k.

    Attributes
    ----------
    n_nodes : int
        On each axis.
    maps : array (J, q, p)
        A_j, the mean of theta_j is A_j beta.
    place : array (J, q)
        m_j.
    root : array (J, q, q)
        L_j, lower triangular.
    log_likelihood : array (J, K)
        l_jk, without what does not depend on theta.
    constant : array (J,)
        What does not.
    """

    n_nodes: int
    maps: Array
    place: Array
    root: Array
    log_likelihood: Array
    constant: Array

    @property
    def nodes(self) -> Array:
        """The nodes t (K, q)."""
        return product_rule(self.n_nodes, self.place.shape[1])[0]

    @cached_property
    def logs(self) -> Array:
        """Log weights (J, K): l_jk + log w_k + t_k't_k / 2 + log|L_j|, constants included."""
        log_weights = product_rule(self.n_nodes, self.place.shape[1])[1]
        log_det = np.log(np.einsum("jii->ji", self.root)).sum(axis=1)
        return np.asarray(self.log_likelihood + log_weights + (self.constant + log_det)[:, None])

    @cached_property
    def features(self) -> Array:
        """The elements of t and of the lower triangle of t t' (K, q + q (q + 1) / 2)."""
        t, q = self.nodes, self.place.shape[1]
        squares = [t[:, i] * t[:, k] for i in range(q) for k in range(i + 1)]
        return np.ascontiguousarray(np.column_stack([t, *squares]))

    @cached_property
    def strips(self) -> Array:
        """What kernels read of the groups (blocks, rows x NODE_STRIP)."""
        J = len(self.place)
        rows = np.concatenate([one.reshape(J, -1) for one in (self.place, self.root, self.maps, self.logs)], axis=1)
        n = -(-J // NODE_STRIP)
        out = np.zeros((n * NODE_STRIP, rows.shape[1]))
        out[:J] = rows
        return np.asarray(out.reshape(n, NODE_STRIP, -1).transpose(0, 2, 1).reshape(n, -1))

    def moments(self, phi: Array, Lambda: Array) -> tuple[Array, Array]:
        """Return mean (J, q) and covariance (J, q, q) of theta over S values of the parameters, and over p(theta | y).

        Parameters
        ----------
        phi, Lambda : arrays (S, p), (S, q, q)
        """
        (J, q), S = self.place.shape, len(phi)
        theta = self.place[:, None] + np.einsum("jik,nk->jni", self.root, self.nodes)
        first, second = np.zeros((J, q)), np.zeros((J, q, q))
        for s in range(S):
            u = theta - (self.maps @ phi[s])[:, None]
            z = np.linalg.solve(Lambda[s], u.reshape(-1, q).T).reshape(q, J, -1)
            f = self.logs - 0.5 * np.sum(z * z, axis=0)
            weight = np.exp(f - f.max(axis=1, keepdims=True))
            weight /= weight.sum(axis=1, keepdims=True)
            v = theta - self.place[:, None]
            first += np.einsum("jn,jni->ji", weight, v) / S
            second += np.swapaxes(v, 1, 2) @ (weight[:, :, None] * v) / S
        return self.place + first, second - first[:, :, None] * first[:, None, :]


def maps_of_groups(likelihood: QuadratureLikelihood) -> Array | None:
    """Return A (J, q, p) with x_r = z_r A_j in all rows r of group j; None where there are none.

    One matrix for all groups where there is one: in directions of which the rows of a group say nothing, any does.
    """
    X, Z, starts = likelihood.rows[0], likelihood.rows[1], likelihood.rows[9]
    J, q, p = likelihood.n_groups, likelihood.n_effects, X.shape[1]
    if not q:
        return None
    unit = np.maximum(np.max(np.abs(X), axis=0, initial=0.0), np.finfo(float).tiny)
    common = np.linalg.lstsq(Z, X, rcond=_NO_DIRECTION)[0]
    if np.all(np.abs(X - Z @ common) <= _ROUNDING * unit):
        return np.broadcast_to(common, (J, q, p)).copy()
    maps = np.empty((J, q, p))
    for j in range(J):
        mine = slice(int(starts[j]), int(starts[j + 1]))
        left = X[mine] - Z[mine] @ common
        maps[j] = common + np.linalg.lstsq(Z[mine], left, rcond=_NO_DIRECTION)[0]
        if np.any(np.abs(X[mine] - Z[mine] @ maps[j]) > _ROUNDING * unit):
            return None
    return maps


def is_small_enough(n_groups: int, n_effects: int, n_nodes: int) -> bool:
    """Return whether there is memory for a table."""
    size: int = 8 * n_groups * n_nodes**n_effects
    return size <= _MOST_BYTES


def tabulated(likelihood: QuadratureLikelihood, maps: Array, place: Array, root: Array, n_nodes: int) -> NodeTable:
    """Return the table of nodes with these centres m (J, q) and roots L (J, q, q)."""
    from hierreg.likelihood.node_tables.kernels import tabulate

    t, _ = product_rule(n_nodes, likelihood.n_effects)
    found, constant = np.empty((len(place), len(t))), np.empty(len(place))
    points = np.ascontiguousarray(place[:, None] + np.einsum("jik,nk->jni", root, t))
    tabulate(likelihood.rows, points, found, constant)
    return NodeTable(n_nodes=n_nodes, maps=maps, place=place, root=root, log_likelihood=found, constant=constant)


def places_of_nodes(target: QuadratureTarget, maps: Array, psi: Array, points: Array) -> tuple[Array, Array] | None:
    """Return centres (J, q) and roots (J, q, q) by the moments of theta_j over the posterior; None where it has none.

    Parameters
    ----------
    target : QuadratureTarget
    maps : array (J, q, p)
    psi : array (n,)
        The mode of the posterior.
    points : array (S, n)
        Draws of its normal approximation.
    """
    likelihood = target.likelihood
    assert isinstance(likelihood, QuadratureLikelihood)
    u, phi, w = target.split(psi)
    Lambda = target.factor(u)
    found = likelihood.effects(phi, Lambda, target.auxiliary.natural(w))
    if found is None:
        return None
    v, inverse = found
    place, cov = maps @ phi + v @ Lambda.T, Lambda @ inverse @ Lambda.T
    of_points = target.split(points)
    factors = np.stack([target.factor(one) for one in of_points[0]])
    for _ in range(_ROUNDS):
        root = _root(cov)
        if root is None:
            return None
        table = tabulated(likelihood, maps, place, root, _NODES_OF_MOMENTS)
        place, cov = table.moments(of_points[1], factors)
    root = _root(cov)
    return None if root is None else (place, root)


def _root(cov: Array) -> Array | None:
    try:
        root = np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        return None
    return root if np.all(np.isfinite(root)) else None
