"""Kenward and Roger's covariance of the coefficients, and degrees of freedom.

The covariance V of the rows is linear in its parameters s_i, variances and covariances: V = sum_i s_i G_i. With
Phi = (X'V^-1 X)^-1, P_i = -X'V^-1 G_i V^-1 X, Q_ij = X'V^-1 G_i V^-1 G_j V^-1 X, and W the inverse of the expected
information of the parameters under REML,

    I_ij  = 1/2 (tr(V^-1 G_i V^-1 G_j) - 2 tr(Phi Q_ij) + tr(Phi P_i Phi P_j))
    Phi_A = Phi + 2 Phi (sum_ij W_ij (Q_ij - P_i Phi P_j)) Phi

which is less biased where groups are few; the degrees of freedom match two moments of an F. Dense in the rows.

References
----------
Kenward and Roger (1997), Biometrics 53(3), 983-997; Halekoh and Højsgaard (2014), Journal of Statistical Software
59(9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.inference.errors import error_blocks
from hierreg.priors import Fixed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hierreg.results.point import Estimate

    Array = NDArray[np.float64]

_MOST_ROWS = 3000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adjusted:
    """The adjusted covariance of beta, and what degrees of freedom need.

    Attributes
    ----------
    Phi, Phi_A : arrays (p, p)
        Covariance of beta, and the adjusted one.
    P : array (K, p, p)
    W : array (K, K)
        Covariance of the K parameters.
    """

    Phi: Array
    Phi_A: Array
    P: Array
    W: Array

    def f(self, L: Array) -> tuple[float, float]:
        """Return the degrees of freedom m and the scale of F of the functions L beta (l, p).

        F = scale (L beta)' (L Phi_A L')^-1 (L beta) / l is compared with F(l, m); for one function the scale is one.
        """
        n = len(L)
        Theta = L.T @ np.linalg.solve(L @ self.Phi @ L.T, L)
        T = np.array([Theta @ self.Phi @ P @ self.Phi for P in self.P])
        traces = np.einsum("kpp->k", T)
        A1 = float(traces @ self.W @ traces)
        A2 = float(np.einsum("kl,kpq,lqp->", self.W, T, T))
        if A2 <= 0:
            return float("inf"), 1.0
        B = (A1 + 6 * A2) / (2 * n)
        g = ((n + 1) * A1 - (n + 4) * A2) / ((n + 2) * A2)
        c1, c2, c3 = (c / (3 * n + 2 * (1 - g)) for c in (g, n - g, n + 2 - g))
        mean = 1 / (1 - A2 / n)
        variance = 2 / n * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
        rho = variance / (2 * mean**2)
        m = 4 + (n + 2) / (n * rho - 1)
        return float(m), float(m / (mean * (m - 2)))


def adjusted(est: Estimate) -> Adjusted:
    """Return the adjusted covariance at an estimate.

    Raises
    ------
    ModelError
        If the covariance is not linear in its parameters, some of them are fixed, or the rows are too many.
    """
    problem = est.problem
    _check(est)
    design = problem.design
    free = ~problem.fixed.is_fixed
    X, n = design.X[:, free], len(design.y)
    G = list(_derivatives(est))
    V = _between(est)
    for rows, block in error_blocks(est):
        V[np.ix_(rows, rows)] += np.diag(block) if block.ndim == 1 else block
    V_inv = np.linalg.inv(V)
    VX = V_inv @ X
    Phi = np.linalg.inv(X.T @ VX)
    VG = [V_inv @ own for own in G]
    P = np.array([-VX.T @ own @ VX for own in G])
    K, p = len(G), X.shape[1]
    info, inner = np.empty((K, K)), np.empty((K, K, p, p))
    for i in range(K):
        for j in range(i, K):
            Q = (VX.T @ G[i]) @ (VG[j] @ VX)
            inner[i, j] = Q - P[i] @ Phi @ P[j]
            inner[j, i] = inner[i, j].T
            trace = float(np.sum(VG[i] * VG[j].T))
            info[i, j] = info[j, i] = 0.5 * (trace - 2 * np.trace(Phi @ Q) + np.trace(Phi @ P[i] @ Phi @ P[j]))
    W = np.linalg.pinv(info, hermitian=True)
    Phi_A = Phi + 2 * Phi @ np.einsum("ij,ijpq->pq", W, inner) @ Phi
    places = np.flatnonzero(free)
    assert n == len(V)
    return Adjusted(
        Phi=_spread(Phi, places, len(free)),
        Phi_A=_spread(Phi_A, places, len(free)),
        P=np.array([_spread(own, places, len(free)) for own in P]).reshape(K, len(free), len(free)),
        W=W,
    )


def _spread(matrix: Array, places: NDArray[np.intp], p: int) -> Array:
    out = np.zeros((p, p))
    out[np.ix_(places, places)] = matrix
    return out


def _check(est: Estimate) -> None:
    problem = est.problem
    n = len(problem.design.y)
    if n > _MOST_ROWS:
        raise ModelError(
            f"Kenward and Roger's covariance is dense in the {n} rows; up to {_MOST_ROWS} are taken. With so many rows "
            "df='satterthwaite' differs little, unless groups are few."
        )
    if problem.layout.spec.is_in_time:
        raise ModelError(
            "the covariance of autoregressive errors is not linear in its parameters, as Kenward and Roger's "
            "adjustment needs it: use df='satterthwaite'."
        )
    if not _all_free(problem):
        raise ModelError(
            "some standard deviations or correlations are held fixed by priors; Kenward and Roger's adjustment is made "
            "of models with all of them free: use df='satterthwaite'."
        )


def _all_free(problem: Any) -> bool:
    """Return whether no standard deviation or correlation is held fixed, but for those that the formula leaves out."""
    error_corr = problem.priors.error_corr
    of_errors = error_corr if isinstance(error_corr, tuple) else (error_corr,)
    corrs = [prior for own in problem.priors.corr.values() for prior in own]
    is_fixed = any(isinstance(prior, Fixed) for prior in (*corrs, *of_errors))
    return bool(np.all(problem.parameters.sd_is_free)) and not is_fixed


def _between(est: Estimate) -> Array:
    """Return Z Sigma Z' (N, N)."""
    design = est.problem.design
    out = np.zeros((len(design.y),) * 2)
    for factor in design.factors:
        same = factor.index[:, None] == factor.index
        out += np.where(same, factor.Z @ est.cov[factor.name].to_numpy() @ factor.Z.T, 0.0)
    return out


def _derivatives(est: Estimate) -> Iterator[Array]:
    """Yield the derivative (N, N) of V in each of its variances and covariances."""
    design = est.problem.design
    for factor in design.factors:
        same = factor.index[:, None] == factor.index
        start = 0
        for size, correlated in zip(factor.term_sizes, factor.term_correlated, strict=True):
            Z = factor.Z[:, start : start + size]
            start += size
            for a in range(size):
                for b in range(a + 1 if correlated else 0):
                    yield _pair(Z[:, a], Z[:, b], same, is_variance=a == b)
                if not correlated:
                    yield _pair(Z[:, a], Z[:, a], same, is_variance=True)
    yield from _of_errors(est.problem)


def _pair(a: Array, b: Array, same: NDArray[np.bool_], *, is_variance: bool) -> Array:
    product = np.outer(a, b)
    return np.where(same, product if is_variance else product + product.T, 0.0)


def _of_errors(problem: Any) -> Iterator[Array]:
    layout = problem.layout
    n = len(layout.stratum)
    if not problem.labels.n_error_sd:
        return
    if layout.V is not None:
        yield np.asarray(layout.V, dtype=float)
        return
    scale = np.ones(n) if layout.se is None else layout.se
    D = len(layout.labels)
    if layout.unit is None or problem.labels.has_corr_by_stratum:
        parts = (
            [np.ones(n, dtype=bool)] if problem.labels.has_common_error_sd else [layout.stratum == d for d in range(D)]
        )
        yield from (np.diag(np.where(part, scale**2, 0.0)) for part in parts)
        if layout.unit is not None:
            together = (layout.unit[:, None] == layout.unit) & ~np.eye(n, dtype=bool)
            yield from (together & np.outer(layout.stratum == d, layout.stratum == d) for d in range(D))
        return
    together = layout.unit[:, None] == layout.unit
    for d in range(D):
        for e in range(d + 1):
            one = np.outer(layout.stratum == d, layout.stratum == e)
            yield np.where(together & (one | one.T), 1.0, 0.0)
