"""How far its data move a group away from the population: weight matrices and pooling factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.errors.ar1 import over_gaps
from hierreg.reports.draws import evenly
from hierreg.reports.effects import group_covariances

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.reports.reading import FactorFit

    Array = NDArray[np.float64]
    Ints = NDArray[np.intp]
    # Some draws and their V_j^-1 (draws, kinds, q, q) -> weights of that shape.
    type Matrices = Callable[[slice, Array], Array]

# Distinct groups times draws above which draws are thinned; about a second of work.
_MOST_MATRICES = 1_000_000
_FEWEST_DRAWS = 200
# Numbers of one intermediate array at a time.
_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Posterior mean and sd of the weight matrices.

    Attributes
    ----------
    mean, sd : array (J, q, q)
    n_draws : int
        Draws that they are computed from.
    """

    mean: Array
    sd: Array
    n_draws: int


def weights(factor: FactorFit) -> Weights:
    """Return S_j = I - (V_j^-1 + Sigma^-1)^-1 Sigma^-1 over the draws of the variance parameters.

    V_j^-1 = Z_j' R_j^-1 Z_j is what the group's own rows say. The conditional mean of its coefficients is
    ``(I - S_j) beta + S_j theta_hat_j``, with theta_hat_j the group's own estimate. Written as
    ``(I + Sigma V_j^-1)^-1 Sigma V_j^-1`` it needs no inverse of Sigma or of V_j^-1. Groups with the same
    cross-products have the same weights, so each distinct one is computed once.

    Notes
    -----
    Where the errors of groups are correlated with each other (the data set is the grouping factor), the
    estimate of one group uses the rows of others too, and S_j is the weight that the group's own rows alone
    would have. With several grouping factors S_j is the weight given the coefficients of all other factors. With heavy
    tails Sigma is that of the group, s_j times the scale matrix; of components with covariances of their own S_j is the
    average over them.
    """
    fit = factor.fit
    is_normal = not fit.attrs.get("effects")
    error_cov = fit.error_covariance()
    J, q = len(factor.groups), len(factor.coefs)
    level, term, ZtZ = (fit.constant[f"group_{what}_{factor.name}"].to_numpy() for what in ("index", "term", "ZtZ"))
    level, term = level.astype(np.intp), term.astype(np.intp)
    order = np.argsort(level, kind="stable")
    level, term, ZtZ = level[order], term[order], ZtZ[order]
    # With heavy tails or mixtures each group has a weight of its own.
    kind_of, n_kinds, kept = distinct_groups(level, term, ZtZ, J) if is_normal else _each_group(level, J)
    use = thinned(int(np.prod(fit.n_draws)), n_kinds)
    patterns = fit.constant["group_patterns"].to_numpy().astype(bool)
    gaps = fit.constant["group_error_gaps"].to_numpy() if "group_error_gaps" in fit.constant else None
    omega = error_precision_terms(patterns, error_cov[use], gaps)
    groups = np.flatnonzero(kind_of[:J] < n_kinds)
    matrices = _of_normal(factor.covariance()[use]) if is_normal else _of_effects(factor, use, groups)
    mean, sd = _moments(matrices, omega, kind_of[level[kept]], term[kept], ZtZ[kept])
    # The last kind is that of groups without rows, whose weight is zero.
    mean, sd = (np.concatenate([part, np.zeros((1, q, q))]) for part in (mean, sd))
    return Weights(mean=mean[kind_of], sd=sd[kind_of], n_draws=len(use))


def thinned(n_draws: int, n_kinds: int) -> Ints:
    """Return the draws to use: all, or as many evenly spaced ones as the work allows."""
    most = max(_FEWEST_DRAWS, _MOST_MATRICES // max(1, n_kinds))
    return evenly(n_draws, most)


def distinct_groups(level: Ints, term: Ints, ZtZ: Array, J: int) -> tuple[Ints, int, NDArray[np.bool_]]:
    """Return the kind of each group, the number of kinds with rows, and the entries that show each kind once.

    Parameters
    ----------
    level : int array (F,)
        Sorted.
    term : int array (F,)
    ZtZ : array (F, q, q)
    J : int
        Number of groups; one without entries is of the last kind.
    """
    # 40 bits: equal cross-products may differ in the last digits by the order of summation.
    mantissa, exponent = np.frexp(ZtZ)
    rounded = np.ldexp(np.round(np.ldexp(mantissa, 40)), exponent - 40)
    present, starts = np.unique(level, return_index=True)
    ends = np.append(starts[1:], len(level))
    kinds: dict[tuple[bytes, bytes], int] = {}
    kind_of = np.full(J, -1, dtype=np.intp)
    kept = np.zeros(len(level), dtype=bool)
    for j, start, end in zip(present, starts, ends, strict=True):
        key = (term[start:end].tobytes(), rounded[start:end].tobytes())
        if key not in kinds:
            kinds[key] = len(kinds)
            kept[start:end] = True
        kind_of[j] = kinds[key]
    return kind_of, len(kinds), kept


def error_precision_terms(patterns: NDArray[np.bool_], error_cov: Array, gaps: Ints | None = None) -> Array:
    """Return omega (S, K): the upper triangles of the inverse of each pattern's part of covariances.

    Terms are in the order of `hierreg.gram.ErrorTerms`: pattern, then row, then column. Patterns with a gap (M,) are
    two neighbours in time of AR(1) errors.
    """
    out = []
    for m, pattern in enumerate(patterns):
        if gaps is not None and gaps[m] > 0:
            v = error_cov[:, 0, 0]
            r, left = over_gaps(error_cov[:, 0, 1] / v, gaps[m])
            out.append(np.stack([r * r, -r, np.ones_like(r)], axis=1) / (v * left)[:, None])
            continue
        places = np.flatnonzero(pattern)
        inverse = np.linalg.inv(error_cov[:, places[:, None], places])
        rows, cols = np.triu_indices(len(places))
        out.append(inverse[:, rows, cols])
    return np.concatenate(out, axis=1)


def weight_matrix(Sigma: Array, V_inv: Array) -> Array:
    """Return (I + Sigma V_inv)^-1 Sigma V_inv for stacks of matrices (..., q, q).

    Columns are scaled by the root of the diagonal of V_inv, so that units do not spoil the conditioning. Where errors
    are correlated V_inv is a sum with negative terms, whose diagonal may be the rounding of zero.
    """
    t = np.sqrt(np.maximum(np.diagonal(V_inv, axis1=-2, axis2=-1), 0.0))
    t = np.where(t > 0, t, 1.0)
    SA = (t[..., :, None] * Sigma * t[..., None, :]) @ (V_inv / (t[..., :, None] * t[..., None, :]))
    S = np.linalg.solve(np.eye(Sigma.shape[-1]) + SA, SA)
    return np.asarray(S * (t[..., None, :] / t[..., :, None]))


def _each_group(level: Ints, J: int) -> tuple[Ints, int, NDArray[np.bool_]]:
    """Return what `distinct_groups` does, with a kind for each group that has rows."""
    present = np.unique(level)
    kind_of = np.full(J, len(present), dtype=np.intp)
    kind_of[present] = np.arange(len(present))
    return kind_of, len(present), np.ones(len(level), dtype=bool)


def _of_normal(Sigma: Array) -> Matrices:
    return lambda part, V_inv: weight_matrix(Sigma[part][:, None], V_inv)


def _of_effects(factor: FactorFit, use: Ints, groups: Ints) -> Matrices:
    """Return the weight matrices of groups given their scale, or averaged over their components."""

    def matrices(part: slice, V_inv: Array) -> Array:
        Sigma, probability = group_covariances(factor, use[part])
        if probability is None:
            return weight_matrix(Sigma[:, groups] if Sigma.shape[1] > 1 else Sigma, V_inv)
        S = weight_matrix(Sigma, V_inv[:, :, None])  # (draw, group, covariance, q, q)
        chance = probability[:, groups] if S.shape[2] > 1 else np.ones((1, 1, 1))
        return np.asarray(np.einsum("sjk,sjkab->sjab", np.broadcast_to(chance, S.shape[:3]), S))

    return matrices


def _moments(matrices: Matrices, omega: Array, kind: Ints, term: Ints, ZtZ: Array) -> tuple[Array, Array]:
    """Return mean and sd (kinds, q, q) over draws, of entries sorted by kind."""
    n, q = len(omega), ZtZ.shape[1]
    starts = np.unique(kind, return_index=True)[1]
    shape = (len(starts), q, q)
    total, square, first = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    step = max(1, _CHUNK // max(1, ZtZ.size))
    for begin in range(0, n, step):
        part = slice(begin, begin + step)
        # (draws, entries, q, q), then summed over the entries of each kind
        V_inv = np.add.reduceat(omega[part][:, term, None, None] * ZtZ, starts, axis=1)
        S = matrices(part, V_inv)
        if begin == 0:
            first = S[0]
        total += np.sum(S - first, axis=0)
        square += np.sum((S - first) ** 2, axis=0)
    mean = total / n
    variance = np.maximum(square / n - mean**2, 0.0) * n / max(1, n - 1)
    return first + mean, np.sqrt(variance)


def pooling_factor(draws: Array) -> Array:
    """Return 1 - V(E[b]) / E[V(b)] of each coefficient, V the variance over groups.

    Parameters
    ----------
    draws : array (chain, draw, J, q)
        Of b, or of theta = beta + b, which has the same variance over groups.

    References
    ----------
    Gelman and Pardoe (2006), Technometrics 48(2), 241-251.
    """
    x = draws.reshape(draws.shape[0] * draws.shape[1], *draws.shape[2:])
    between = np.var(x, axis=1, ddof=1).mean(axis=0)
    return _factor(np.var(x.mean(axis=0), axis=0, ddof=1), between)


def pooling_factor_of_summaries(mean: Array, sd: Array, Sigma: Array) -> Array:
    """Return the pooling factor from means and sds (J, q) of b alone.

    The variance of the mean of b over groups is not among them; its prior value Sigma / J stands in, which is
    exact for balanced data with a flat prior of beta, and otherwise wrong by a term of order 1 / J.
    """
    J = len(mean)
    of_mean = np.diagonal(Sigma.mean(axis=0))
    between = (np.sum(sd**2 + (mean - mean.mean(axis=0)) ** 2, axis=0) - of_mean) / (J - 1)
    return _factor(np.var(mean, axis=0, ddof=1), between)


def _factor(of_means: Array, between: Array) -> Array:
    return np.asarray(1.0 - of_means / np.where(between > 0, between, np.nan))
