"""Conditional means, covariances and draws of group coefficients by NumPy, in the notation of `moments_kernels`.

For all blocks at one value of the variance parameters, and for few blocks at many: compiling the same takes longer than
it saves there. Arrays have the elements of small matrices first, then (S, tiles, width): draws and blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.compiled.lanes import STRIP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hierreg.likelihood.groups.tiles import Tiles

    Array = NDArray[np.float64]

# Blocks and draws at once, so that the arrays stay in the cache.
_AT_ONCE = 2**13


@dataclass(frozen=True, slots=True, kw_only=True)
class _Factors:
    """The conditional of the coefficients of some blocks b = Lambda_user (G (-beta, 1) + L'^-1 z), z standard normal.

    Attributes
    ----------
    G : array (m, p + 1, S, tiles, width)
        M^-1 Lambda' B.
    L : array (m, m, S, tiles, width)
        M = L L'; width 1 where it is that of all blocks.
    """

    G: Array
    L: Array

    @staticmethod
    def of(
        omega: Array, Lambda: Array, tiles: Tiles, some: slice, lanes: int, combination: Array | None = None
    ) -> _Factors:
        """Return those of a slice of tiles, which are factored all or none, at omega (S, K) and Lambda (S, q, q).

        Only the first lanes are evaluated, and with a combination (S, p + 1) of columns only G times it, one column.
        """
        ZtZ, ZtW = _lanes_that_differ(tiles.ZtZ[..., :lanes]), tiles.ZtW[..., :lanes]
        ZtW = np.swapaxes(ZtW, 1, 2) if tiles.width == STRIP else ZtW
        is_factored = bool(tiles.factored[some.start])
        # Terms of two data sets, which may be negative, are none of a block that is factored.
        weights, factor = np.sqrt(np.maximum(omega, 0.0)) if is_factored else omega, _over_blocks(Lambda)
        A, B = _sum_of_terms(weights, tiles, ZtZ, some), _sum_of_terms(weights, tiles, ZtW, some, combination)
        if not is_factored:
            L = _cholesky_of_one_plus(_transposed_times(factor, np.swapaxes(_transposed_times(factor, A), 0, 1)))
            return _Factors(G=_solve(L, _solve(L, _transposed_times(factor, B)), transposed=True), L=L)
        # The triangles C and D: M^-1 Lambda' B = Lambda' C'N^-1 D.
        X = np.swapaxes(_transposed_times(factor, np.swapaxes(A, 0, 1)), 0, 1)
        T, d = _factor_one_plus(X)
        C, D = _solve(T, A, unit=True), _solve(T, B, unit=True) / d[:, None]
        T, d = _factor_one_plus(np.swapaxes(X, 0, 1))
        return _Factors(G=_transposed_times(factor, _product(np.swapaxes(C, 0, 1), D)), L=T * np.sqrt(d))


def _lanes_that_differ(ZtZ: Array) -> Array:
    """Return the first lane alone where all are equal: groups of the same design."""
    return ZtZ[..., :1] if np.array_equal(ZtZ, np.broadcast_to(ZtZ[..., :1], ZtZ.shape)) else ZtZ


def _over_blocks(Lambda: Array) -> Array:
    """Return Lambda (S, q, q) with the elements first, (q, q, S, 1, 1)."""
    return np.ascontiguousarray(np.moveaxis(Lambda, 0, 2))[:, :, :, None, None]


def _sum_of_terms(weights: Array, tiles: Tiles, source: Array, some: slice, combination: Array | None = None) -> Array:
    """Return the sums over the entries of each tile of weights (S, K) times source (entries, m, c, width).

    With a combination (S, c) the columns of the source are added up by it, to one.
    """
    first, last = tiles.indptr[some], tiles.indptr[1:][some]
    counts = last - first
    columns = source.shape[2] if combination is None else 1
    out = np.zeros((source.shape[1], columns, len(weights), len(counts), source.shape[3]))
    for k in range(int(counts.max(initial=0))):
        has = np.flatnonzero(counts > k)
        entries = first[has] + k
        # (m, c, 1, tiles, width), or (m, 1, S, tiles, width).
        if combination is None:
            values = np.moveaxis(source[entries], 0, 2)[:, :, None]
        else:
            values = np.einsum("sc,emcw->msew", combination, source[entries], optimize=True)[:, None]
        part = weights[:, tiles.term[entries], None] * values
        if len(has) == len(counts):
            out += part
        else:
            out[:, :, :, has] += part
    return out


def _times(Lambda: Array, X: Array) -> Array:
    """Return (I x Lambda) X for X (m, c, ...)."""
    q = len(Lambda)
    blocks, out = X.reshape(len(X) // q, q, *X.shape[1:]), np.empty((len(X), *X.shape[1:]))
    for i in range(q):
        out[i::q] = sum(Lambda[i, k] * blocks[:, k] for k in range(q))
    return out


def _transposed_times(Lambda: Array, X: Array) -> Array:
    """Return (I x Lambda') X."""
    return _times(np.swapaxes(Lambda, 0, 1), X)


def _product(A: Array, B: Array) -> Array:
    """Return A B for A (m, n, ...) and B (n, c, ...)."""
    out = A[:, 0, None] * B[0]
    for k in range(1, len(B)):
        out += A[:, k, None] * B[k]
    return np.asarray(out)


def _cholesky_of_one_plus(S: Array) -> Array:
    """Return the lower triangular L with L L' = I + S."""
    L = np.zeros_like(S)
    for j in range(len(S)):
        column = S[j:, j] - (np.einsum("ik...,k...->i...", L[j:, :j], L[j, :j]) if j else 0.0)
        L[j, j] = np.sqrt(1.0 + column[0])
        L[j + 1 :, j] = column[1:] / L[j, j]
    return L


def _factor_one_plus(X: Array) -> tuple[Array, Array]:
    """Return L, lower triangular with ones, and d with I + X X' = L diag(d) L' (see `lane_kernels.factor_one_plus`)."""
    m = len(X)
    L, d = np.zeros((m, m, *X.shape[2:])), np.ones((m, *X.shape[2:]))
    L[range(m), range(m)] = 1.0
    for k in range(X.shape[1]):
        p, share = X[:, k].copy(), np.ones(X.shape[2:])
        for j in range(m):
            step = share * p[j]
            new = d[j] + step * p[j]
            share, step, d[j] = share * d[j] / new, step / new, new
            p[j + 1 :] -= p[j] * L[j + 1 :, j]
            L[j + 1 :, j] += step * p[j + 1 :]
    return L, d


def _solve(L: Array, B: Array, *, transposed: bool = False, unit: bool = False) -> Array:
    """Return L^-1 B, or L'^-1 B, for B (m, c, ...)."""
    X, m = B.copy(), len(B)
    for i in reversed(range(m)) if transposed else range(m):
        for k in range(i + 1, m) if transposed else range(i):
            X[i] -= (L[k, i] if transposed else L[i, k]) * X[k]
        if not unit:
            X[i] /= L[i, i]
    return X


def slices_of(tiles: Tiles, at_once: int) -> Iterator[slice]:
    """Yield slices of tiles that are factored all or none."""
    edges = {0, len(tiles.factored), *(np.flatnonzero(np.diff(tiles.factored)) + 1).tolist()}
    for first, last in zip(sorted(edges)[:-1], sorted(edges)[1:], strict=True):
        for start in range(first, last, at_once):
            yield slice(start, min(start + at_once, last))


def moments(
    covariance: tuple[Array, Array, Array], tiles: Tiles, v: Array, beta_factor: Array
) -> tuple[Array, Array, Array, Array]:
    """Return the moments of b, user scale, of every block at one value of the variance parameters.

    Parameters
    ----------
    covariance, tiles, v, beta_factor : see `moments_kernels.block_moments`

    Returns
    -------
    tuple of arrays (n, m, 1, width), (n, m, m, width), (n, m, m, width), (n, m, p, width)
        E b, Var b with beta integrated out, Var(b | beta), Cov(b, u).
    """
    omega, Lambda, user = covariance[0][None], covariance[1][None], _over_blocks(covariance[2][None])
    n, m, width, p = len(tiles.levels), tiles.n_coef, tiles.width, len(beta_factor)
    mean, cov, cond_cov, cross = (np.empty((n, m, c, width)) for c in (1, m, m, p))
    unit = np.eye(m)[:, :, None, None, None]
    for some in slices_of(tiles, max(1, _AT_ONCE // width)):
        factors = _Factors.of(omega, Lambda, tiles, some, width)
        T = _times(user, factors.G)[:, :, 0]
        F = _times(user, _solve(factors.L, np.broadcast_to(unit, factors.L.shape), transposed=True))[:, :, 0]
        of_b = np.einsum("ikab,jkab->aijb", F, F)
        of_beta = -np.einsum("icab,cd->aidb", T[:, :p], beta_factor)
        mean[some] = np.einsum("icab,cd->aidb", T, v)
        cond_cov[some], cross[some] = of_b, of_beta
        cov[some] = of_b + np.einsum("aicb,ajcb->aijb", of_beta, of_beta)
    return mean, cov, cond_cov, cross


def draw(covariances: tuple[Array, Array, Array], tiles: Tiles, t: int, beta: Array, normals: Array) -> Array:
    """Return a draw of b given each draw of beta for the blocks of one tile, user scale.

    Parameters
    ----------
    covariances : tuple
        omega (S, K), Lambda (S, q, q) internal and Lambda_user (S, q, q).
    tiles : Tiles
    t : int
        The tile.
    beta : array (S, p)
        Internal.
    normals : array (S, m, n)
        Independent standard normals of the first n lanes.

    Returns
    -------
    array (S, m, n)
    """
    S, m, n = normals.shape
    draws, at_once = np.empty((S, m, n)), max(1, _AT_ONCE // max(1, n))
    for first in range(0, S, at_once):
        some = slice(first, min(first + at_once, S))
        omega, Lambda, user = (array[some] for array in covariances)
        residual = np.column_stack([-beta[some], np.ones(len(omega))])
        z = np.moveaxis(normals[some], 0, 1)[:, None, :, None]
        factors = _Factors.of(omega, Lambda, tiles, slice(t, t + 1), n, residual)
        x = factors.G + _solve(factors.L, z, transposed=True)
        draws[some] = np.moveaxis(_times(_over_blocks(user), x)[:, 0, :, 0], 1, 0)
    return draws


def moments_at_draws(
    covariances: tuple[Array, Array, Array], tiles: Tiles, some: slice, population: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    """Return conditional mean and variance (T, m, S, tiles, lanes) of b + targets @ beta, with beta integrated out.

    Lanes are the first ones, as many as any of the tiles uses.

    Parameters
    ----------
    covariances : tuple
        omega (S, K), Lambda (S, q, q) internal and Lambda_user (S, q, q).
    tiles : Tiles
    some : slice
        Of tiles that are factored all or none.
    population : tuple
        beta_hat (S, p) and F (S, p, p), internal, beta ~ N(beta_hat, F F'), and targets (T, q, p).
    """
    omega, Lambda, user = covariances
    beta_hat, F, targets = population
    S, m, (n_targets, q, p) = len(omega), tiles.n_coef, targets.shape
    lanes = 1 + int(np.flatnonzero(np.any(tiles.levels[some] >= 0, axis=(0, 1))).max(initial=-1))
    factors, factor = _Factors.of(omega, Lambda, tiles, some, lanes), _over_blocks(user)
    G = _times(factor, factors.G)  # (m, p + 1, S, tiles, width)
    unit = np.eye(m)[:, :, None, None, None]
    root = _times(factor, _solve(factors.L, np.broadcast_to(unit, factors.L.shape), transposed=True))
    n, width = G.shape[3:]
    mean, variance = np.empty((2, n_targets, m, S, n, width))
    of_b = np.sum(root * root, axis=1)
    for t, target in enumerate(targets):
        for i in range(m):
            r = (target[i % q, :, None, None, None] - G[i, :p]).reshape(p, S, n * width)
            by_draw = np.swapaxes(r, 0, 1)  # (S, p, blocks)
            of_beta = np.swapaxes(F, 1, 2) @ by_draw
            mean[t, i] = G[i, p] + (beta_hat[:, None] @ by_draw).reshape(S, n, width)
            variance[t, i] = of_b[i] + np.sum(of_beta * of_beta, axis=1).reshape(S, n, width)
    return mean, variance
