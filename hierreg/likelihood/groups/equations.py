"""The mixed-model equations: BLUE and BLUP, and their covariances, at known variances.

Henderson's equations in blocks, never formed as one matrix: with W = [X y], the block elimination of b leaves
``(X'V^-1 X + prior precision) beta_hat = X'V^-1 y`` and ``b_hat = Sigma Z'V^-1 (y - X beta_hat)``.

References
----------
Henderson, C. R. (1975). Best linear unbiased estimation and prediction under a selection model.
Biometrics 31(2), 423-447.
Robinson, G. K. (1991). That BLUP is a good thing: the estimation of random effects. Statistical Science 6(1), 15-32.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.likelihood.groups.engine import seen_from_the_mean, share_lost
from hierreg.likelihood.groups.joint import BlockJoint
from hierreg.likelihood.groups.moments_by_numpy import moments as moments_of_blocks
from hierreg.likelihood.groups.rows import RowTiles
from hierreg.likelihood.solution import Solution

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.groups.engine import MarginalLikelihood
    from hierreg.likelihood.groups.tiles import Tiles

    Array = NDArray[np.float64]


NO_DIGITS_LINKED = (
    "the mixed-model equations cannot be solved at these covariances: errors link groups that do not go together (a "
    "group of one data set with several of another, or rows of a unit in several groups), and one of the groups' "
    "standard deviations is so much larger than the errors that too few digits would be left. Check the scale "
    "of the standard deviations; groups that contain the units keep all digits."
)
NO_DIGITS = (
    "the mixed-model equations cannot be solved at these covariances: to working precision a matrix is not "
    "positive definite. Check that no standard deviation (one of several strata included) is many orders "
    "of magnitude from the others."
)
# The share of a coefficient's precision that others leave, inverted, at which four digits are left.
_MOST_LOST = 1e12


def cut_off_of_groups(likelihood: MarginalLikelihood, Lambda: Array, error_cov: Array, smaller: Array) -> str | None:
    """Return why a mode may be an edge of the density, in words, or None; see `engines.check_not_cut_off`.

    ``smaller`` is an error covariance beside it, at which there has to be a density too.
    """
    if not likelihood.has_products_alone:
        return None
    is_known = likelihood.knows_coefficients(Lambda, error_cov)
    has_density = likelihood.value_and_gradient(Lambda, smaller)[0] > -np.inf
    return None if is_known and has_density else NO_DIGITS_LINKED


def solve_groups(likelihood: MarginalLikelihood, Lambda: Array, error_cov: Array) -> Solution:
    """Return the solution of the mixed-model equations; see `engines.solve_equations`."""
    likelihood, weights, hat, factors = _with_digits(likelihood, Lambda, error_cov)
    gram, F = likelihood.gram, factors[0]
    J, q, p = gram.factors[0].n_levels if gram.factors else 0, gram.n_coef, len(gram.coef_names)
    K = likelihood.errors.n_terms
    covariance = (
        weights[0, :K],
        np.ascontiguousarray(likelihood.z_map_inverse @ Lambda),
        np.ascontiguousarray(Lambda, dtype=float),
    )
    v = np.append(-hat[0], 1.0)[:, None]
    b, b_cov, cond, b_factor = np.zeros((J, q)), np.zeros((J, q, q)), np.zeros((J, q, q)), np.zeros((J, q, p))
    linked_levels, linked_cond_cov = [], []
    for tiles in likelihood.blocks.tiles:
        n, m = len(tiles.levels), tiles.n_coef
        is_by_rows = isinstance(tiles, RowTiles)
        precision = weights[0, K : 2 * K] if is_by_rows else covariance[0]
        moments = _moments(tiles, (precision, *covariance[1:]), v, F)
        for slot in range(tiles.levels.shape[1]):
            tile, lane = np.nonzero(tiles.levels[:, slot] >= 0)
            levels, mine = tiles.levels[tile, slot, lane], slice(slot * q, (slot + 1) * q)
            b[levels] = moments[0][tile, mine, 0, lane]
            b_cov[levels] = moments[1][tile, mine, mine, lane]
            cond[levels] = moments[2][tile, mine, mine, lane]
            b_factor[levels] = moments[3][tile, mine, :, lane]
        if m > q:
            members = np.moveaxis(tiles.levels, 2, 1).reshape(n * tiles.width, -1)
            kept = np.any(members >= 0, axis=1)
            linked_levels.append(members[kept])
            linked_cond_cov.append(np.moveaxis(moments[2], 3, 1).reshape(n * tiles.width, m, m)[kept])
    joint = BlockJoint(
        beta_factor=gram.x_map @ F,
        b_factor=b_factor,
        b_cond_cov=cond,
        # Linked groups are in tiles of one kind.
        linked_levels=linked_levels[0] if linked_levels else np.empty((0, 1), dtype=np.intp),
        linked_cond_cov=linked_cond_cov[0] if linked_levels else np.empty((0, q, q)),
    )
    has_groups = bool(gram.factors)
    return Solution(
        beta=gram.y_shift + gram.x_map @ hat[0],
        beta_cov=joint.beta_factor @ joint.beta_factor.T,
        b=(b,) if has_groups else (),
        b_cov=(b_cov,) if has_groups else (),
        b_cond_cov=(cond,) if has_groups else (),
        beta_b_cov=(joint.beta_factor @ np.swapaxes(b_factor, 1, 2),) if has_groups else (),
        joint=joint,
        Sigma=Lambda @ Lambda.T,
        error_cov=np.array(error_cov, dtype=float),
    )


def _with_digits(
    likelihood: MarginalLikelihood, Lambda: Array, error_cov: Array
) -> tuple[MarginalLikelihood, Array, Array, Array]:
    """Return what `population_at` does at one point, in coordinates in which beta has eight digits; four without rows.

    Raises
    ------
    ModelError
        If a matrix is not positive definite, or rounding has spoilt the precision of beta.
    """
    rows = likelihood.by_rows()
    if rows.blocks.left_of is None:
        # Products are all that there is.
        found = population_at(likelihood, Lambda[None], error_cov[None])
        if share_lost(found[3][0]) > _MOST_LOST or not likelihood.knows_coefficients(Lambda, error_cov):
            raise ModelError(NO_DIGITS_LINKED)
        return found
    try:
        return population_at(likelihood, Lambda[None], error_cov[None], is_strict=True)
    except ModelError:
        here = seen_from_the_mean(rows, rows.z_map_inverse @ Lambda, rows.errors.weights(error_cov))
        if here is None:
            raise
    return population_at(here, Lambda[None], error_cov[None])


def _moments(
    tiles: Tiles | RowTiles, covariance: tuple[Array, Array, Array], v: Array, F: Array
) -> tuple[Array, Array, Array, Array]:
    """Return what `moments_by_numpy.moments` does."""
    if isinstance(tiles, RowTiles):
        from hierreg.likelihood.groups.moments_kernels import block_moments

        n, m = len(tiles.levels), tiles.n_coef
        mean, cov, cond_cov, cross = (np.empty((n, m, c, tiles.width)) for c in (1, m, m, len(F)))
        block_moments(covariance, tiles.arrays, v, F, (mean, cov, cond_cov, cross))
        return mean, cov, cond_cov, cross
    return moments_of_blocks(covariance, tiles, v, F)


def population_at(
    likelihood: MarginalLikelihood, Lambda: Array, error_cov: Array, threads: int = 1, *, is_strict: bool = False
) -> tuple[MarginalLikelihood, Array, Array, Array]:
    """Return weights (S, 2 K + 2), conditional mean (S, p) of internal beta and a factor F (S, p, p) of its covariance.

    And first the likelihood that has digits at these covariances (eight if ``is_strict``): that by rows, where the one
    given has not.

    Raises
    ------
    ModelError
        If a matrix is not positive definite.
    """
    here, weights, moments, _ = _at_draws(likelihood, Lambda, error_cov, threads, is_strict=is_strict)
    return here, weights, *moments


def population_of_groups(
    likelihood: MarginalLikelihood, Lambda: Array, error_cov: Array, threads: int = 1
) -> tuple[Array, Array]:
    """Return mean (S, p) and factor of the covariance (S, p, p) of beta at S draws; see `engines.population`."""
    here, _, hat, F = population_at(likelihood, Lambda, error_cov, threads)
    return here.gram.y_shift + hat @ here.gram.x_map.T, here.gram.x_map @ F


def log_likelihoods_at(likelihood: MarginalLikelihood, Lambda: Array, error_cov: Array, threads: int = 1) -> Array:
    """Return the log likelihoods (S,) at S draws, Lambda (S, q, q) and error_cov (S, D, D).

    Raises
    ------
    ModelError
        If a matrix is not positive definite.
    """
    return _at_draws(likelihood, Lambda, error_cov, threads)[3]


def _at_draws(
    likelihood: MarginalLikelihood, Lambda: Array, error_cov: Array, threads: int, *, is_strict: bool = False
) -> tuple[MarginalLikelihood, Array, tuple[Array, Array], Array]:
    """Return the likelihood with digits, weights, mean and F of `population_at`, and values (S,)."""
    S, p = len(Lambda), len(likelihood.gram.coef_names)
    weights = likelihood.errors.weights_of_draws(error_cov)
    hat, F, values = np.empty((S, p)), np.empty((S, p, p)), np.empty(S)
    internal = np.ascontiguousarray(likelihood.z_map_inverse @ Lambda)

    def has_digits(some: slice) -> bool:
        own = likelihood.native(is_strict=is_strict)
        return own.moments(internal[some], weights[some], hat[some], F[some], values[some])

    edges = np.linspace(0, S, min(threads, S) + 1).astype(int)
    with ThreadPoolExecutor(max_workers=threads) as pool:
        if all(list(pool.map(has_digits, map(slice, edges[:-1], edges[1:])))):
            return likelihood, weights, (hat, F), values
    if likelihood.blocks.can_be_exact:
        return _at_draws(likelihood.by_rows(), Lambda, error_cov, threads, is_strict=is_strict)
    raise ModelError(NO_DIGITS_LINKED if len(likelihood.blocks.linked.levels) else NO_DIGITS)
