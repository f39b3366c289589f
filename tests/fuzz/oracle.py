"""The model as a textbook writes it, one dense V of all rows, in exact arithmetic.

Rows, columns and groups come from the table by means of this package (see `columns`), so that nothing is shared with
hierreg but the names of coefficients, which say what a column is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tests.fuzz.exact import BITS, eliminate, exact, log, log_ratio, number, numbers, product, times, zeros

LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a model.

    y (n,), X (n, p) and, for each grouping factor, Z (n, q) and the group of each row (n,); the error structure `kind`,
    with the data set or stratum of each row, its unit, its weight, its time, its known standard error or the
    known covariance of all.
    """

    y: np.ndarray
    X: np.ndarray
    Z: tuple[np.ndarray, ...]
    group: tuple[np.ndarray, ...]
    kind: str
    stratum: np.ndarray
    unit: np.ndarray
    se: np.ndarray | None = None
    V: np.ndarray | None = None
    time: np.ndarray | None = None
    weight: np.ndarray | None = None

    @property
    def sizes(self):
        return [Z.shape[1] for Z in self.Z]

    def factor_slices(self):
        ends = np.cumsum(self.sizes).tolist()
        return [slice(end - size, end) for end, size in zip(ends, self.sizes, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Beta:
    """What is known of beta: method "reml", "ml" or "prior", and by coefficient one of

    ("normal", mean, sd), ("flat",) and ("fixed", value); no entries where all are flat.
    """

    method: str
    prior: tuple[tuple, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Density:
    """A log density with the pivots that it is made of, so that two near each other have an exact difference."""

    n: int
    flat: int
    log_scales: float
    pivots: tuple[int, ...]
    population_pivots: tuple[int, ...]
    quadratic: int

    @property
    def value(self):
        total = self.n * LOG_2PI + sum(map(log, self.pivots + self.population_pivots)) + number(self.quadratic)
        return -0.5 * (total + self.log_scales - self.flat * LOG_2PI)

    def minus(self, other):
        """Return the difference of two densities of one model, with all its digits."""
        mine, theirs = self.pivots + self.population_pivots, other.pivots + other.population_pivots
        logs = math.fsum(log_ratio(a, b) for a, b in zip(mine, theirs, strict=True))
        return -0.5 * (logs + number(self.quadratic - other.quadratic))


def error_covariance(rows, same_unit, shares, error_cov):
    """Return R (n, n) of exact error_cov (D, D)."""
    n = len(rows.y)
    if rows.kind == "correlated":
        return np.where(same_unit, error_cov[np.ix_(rows.stratum, rows.stratum)], 0)
    if rows.kind == "known_cov":
        return times(exact(rows.V), error_cov[0, 0])
    R = zeros(n, n)
    if rows.kind == "ar1":
        return _over_time(rows, same_unit, error_cov)
    if rows.kind == "exchangeable":
        for c, share in enumerate(shares):
            R = R + times(share, error_cov[c, c])
        return R
    diagonal = error_cov[rows.stratum, rows.stratum]
    if rows.kind == "known_se":
        se = exact(rows.se)
        diagonal = times(times(se, se), error_cov[0, 0])
    if rows.weight is not None:
        diagonal = (diagonal << BITS) // exact(rows.weight)
    R[np.arange(n), np.arange(n)] = diagonal
    return R


def _over_time(rows, same_unit, error_cov):
    """Autoregressive errors: v rho^|t - s| within units."""
    v, c = error_cov[0, 0], error_cov[0, 1]
    powers = [v]
    for _ in range(int(np.ptp(rows.time))):
        powers.append(powers[-1] * c // v)
    R = zeros(len(rows.y), len(rows.y))
    for r, s in zip(*np.nonzero(same_unit), strict=True):
        R[r, s] = powers[abs(int(rows.time[r]) - int(rows.time[s]))]
    return R


def _within_units(rows, same_unit):
    """Components of exchangeable errors: (I - J / n) within units of a stratum, then J / n by stratum and unit size."""
    n = len(rows.y)
    size = same_unit.sum(axis=1)
    kinds = sorted({(int(d), int(m)) for d, m in zip(rows.stratum, size, strict=True)})
    strata = int(rows.stratum.max()) + 1
    shares = [zeros(n, n) for _ in range(strata + len(kinds))]
    for r in range(n):
        for s in np.flatnonzero(same_unit[r]).tolist():
            mean = (1 << BITS) // int(size[r])
            shares[rows.stratum[r]][r, s] += ((1 << BITS) if r == s else 0) - mean
            shares[strata + kinds.index((int(rows.stratum[r]), int(size[r])))][r, s] += mean
    return shares


class Dense:
    """Densities and solutions of one set of rows."""

    def __init__(self, rows):
        self.rows = rows
        self.y, self.X = exact(rows.y), exact(rows.X)
        self.Z = [exact(Z) for Z in rows.Z]
        self.same = [group[:, None] == group[None, :] for group in rows.group]
        self._known = {}
        self.same_unit = rows.unit[:, None] == rows.unit[None, :]
        self.shares = _within_units(rows, self.same_unit) if rows.kind == "exchangeable" else []

    def total_covariance(self, Lambda, error_cov):
        """Return V (n, n) of exact Lambda (q, q) and error_cov (D, D)."""
        V = error_covariance(self.rows, self.same_unit, self.shares, error_cov)
        for Z, same, own in zip(self.Z, self.same, self.rows.factor_slices(), strict=True):
            root = product(Z, Lambda[own, own])
            V = V + np.where(same, product(root, root.T), 0)
        return V

    def density(self, Lambda, error_cov, beta):
        """Return the log density at exact matrices, or None where something is not positive definite."""
        # Restricted and profiled likelihood are made of the same pivots.
        key = id(Lambda), id(error_cov), beta.prior
        if key not in self._known:
            self._known[key] = Lambda, error_cov, self._eliminated(Lambda, error_cov, beta)
        found = self._known[key][2]
        if found is None:
            return None
        pivots, population, quadratic, flat, log_scales, _ = found
        if beta.method == "ml":
            population, flat = (), 0
        return Density(
            n=len(self.rows.y),
            flat=flat,
            log_scales=log_scales,
            pivots=tuple(pivots),
            population_pivots=tuple(population),
            quadratic=quadratic,
        )

    def _eliminated(self, Lambda, error_cov, beta):
        prior = beta.prior or (("flat",),) * self.X.shape[1]
        free = [i for i, own in enumerate(prior) if own[0] != "fixed"]
        y, n, p = self.y, len(self.y), len(free)
        for i, own in enumerate(prior):
            if own[0] == "fixed":
                y = y - times(self.X[:, i], exact(own[1])[()])
        A = zeros(n + p + 1, n + p + 1)
        A[:n, :n] = self.total_covariance(Lambda, error_cov)
        A[:n, n : n + p] = self.X[:, free]
        A[:n, n + p] = y
        A[n:, :n] = A[:n, n:].T
        log_scales, flat = 0.0, 0
        for k, i in enumerate(free):
            if prior[i][0] == "flat":
                flat += 1
                continue
            mean, sd = exact(prior[i][1])[()], exact(prior[i][2])[()]
            precision = (1 << 3 * BITS) // (sd * sd)
            log_scales += 2.0 * log(sd)
            A[n + k, n + k] -= precision
            A[n + k, n + p] -= times(precision, mean)
            A[n + p, n + k] = A[n + k, n + p]
            A[n + p, n + p] -= times(times(precision, mean), mean)
        done = eliminate(A, n)
        if done is None:
            return None
        pivots, rest = done
        normal = -rest
        done = eliminate(normal, p)
        if done is None:
            return None
        return pivots, done[0], done[1][0, 0], flat, log_scales, normal

    def solution(self, Lambda, error_cov):
        """Return beta (p,), its covariance (p, p), and b of each factor and group, as doubles."""
        found = self._eliminated(Lambda, error_cov, Beta(method="reml"))
        if found is None:
            return None
        normal, p, n = found[-1], self.X.shape[1], len(self.y)
        beta, cov = _solved(normal[:p, :p], normal[:p, p])
        V = self.total_covariance(Lambda, error_cov)
        residual = self.y - product(self.X, beta)
        weighted = _solve(V, residual[:, None])[:, 0]
        effects = []
        for Z, group, own in zip(self.Z, self.rows.group, self.rows.factor_slices(), strict=True):
            Sigma = product(Lambda[own, own], Lambda[own, own].T)
            scores = [
                product(Z[group == j].T, weighted[group == j][:, None])[:, 0] for j in range(int(group.max()) + 1)
            ]
            effects.append(np.array([numbers(product(Sigma, score[:, None])[:, 0]) for score in scores]))
        assert n == len(weighted)
        return numbers(beta), numbers(cov), effects


def _solve(A, B):
    """Return A^-1 B for a positive definite A: the Schur complement of [[A, B], [I, 0]] with its sign changed."""
    n, m = B.shape
    square = zeros(2 * n + m, 2 * n + m)
    square[:n, :n] = A
    square[:n, n : n + m], square[n : n + m, :n] = B, B.T
    identity = exact(np.eye(n))
    square[:n, n + m :], square[n + m :, :n] = identity, identity
    rest = eliminate(square, n)[1]
    return -rest[m:, :m]


def _solved(A, c):
    both = _solve(A, np.column_stack([c, exact(np.eye(len(c)))]))
    return both[:, 0], both[:, 1:]
