"""The marginal likelihood with one grouping factor, or none, as an object."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.compiled.addresses import NativeLikelihood, PerThread
from hierreg.likelihood.groups.blocks import SplitBlocks, split_into_blocks
from hierreg.likelihood.groups.described import described_blocks
from hierreg.likelihood.groups.record import (
    BaseRecord,
    BaseTable,
    RowTable,
    RowTilesRecord,
    StripTable,
    ThetaRecord,
    ThetaTable,
    TilesRecord,
    TileTable,
)
from hierreg.likelihood.groups.threads import is_large, log_likelihood_in_chunks
from hierreg.likelihood.population import moved
from hierreg.variances.precision import ErrorPrecision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.gram import Gram
    from hierreg.likelihood.described import Described

    Array = NDArray[np.float64]

# Smallest error sds that draws around a point may have, of those there.
_FAR_AROUND = 1.0 / 32.0
# Passes in which coordinates of beta are sought; the share lost in them, and the distance of the mean from their origin
# in standard errors, at which they are found.
_PASSES, _NOTHING_LOST, _NEAR_ENOUGH = 6, 2.0, 1e-7
_EPS, _ROUNDING = float(np.finfo(float).eps), 1e-10
_LIGHT = 1e-11  # squared, of pseudo-observations that keep a precision definite that rounding has made singular
# What rows say of a coefficient over what groups and the others leave of it, beyond which its digits are too few.
_MOST_OF_PRODUCTS = 1e9
# The compiled likelihood of each kind of blocks (see `SplitBlocks.arrays`): the last kind that there is decides.
_ENTRIES = ("groups.theta_entry", "groups.strip_entry", "groups.tile_entry", "groups.tile_entry", "groups.row_entry")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginalLikelihood:
    """log p(y | Sigma, R) with beta and b integrated out, as a function of Lambda and the error covariance.

    Attributes
    ----------
    gram : Gram
        The statistics, fixed coefficients already taken off.
    blocks : SplitBlocks
        The group coefficients in independent blocks.
    prior_rows : array (r, p + 1)
        Prior of beta as pseudo-observations [X y], internal scale.
    constant : float
        What does not depend on the variance parameters.
    integrate : bool
        False where beta is profiled out.
    z_map_inverse : array (q, q)
        Lambda_internal = z_map_inverse @ Lambda.
    threads : int
        Used where there are many groups; the values do not depend on it.
    """

    gram: Gram
    blocks: SplitBlocks
    prior_rows: Array
    constant: float
    integrate: bool
    z_map_inverse: Array
    threads: int = 1
    _mine: PerThread = field(init=False, default_factory=PerThread, repr=False, compare=False)

    def value_and_gradient(self, Lambda: Array, error_cov: Array) -> tuple[float, Array, Array]:
        """Return the log likelihood and its derivatives.

        Parameters
        ----------
        Lambda : array (q, q)
            Any square factor of Sigma, user scale; zero columns and rows are allowed.
        error_cov : array (D, D)
            Error covariance of one unit (variances of strata on the diagonal).

        Returns
        -------
        value : float
            -inf where a matrix is not positive definite.
        g_Lambda : array (q, q)
        g_error_cov : array (D, D)
            Symmetric: d value = sum(g_error_cov * d error_cov).
        """
        q, errors = len(self.z_map_inverse), self.errors
        g_Lambda, g_omega = np.zeros((q, q)), np.zeros(errors.n_terms)
        internal = np.ascontiguousarray(self.z_map_inverse @ np.asarray(Lambda, dtype=float).reshape(q, q))
        value = self.evaluate(internal, errors.weights(error_cov), g_Lambda, g_omega)
        if value == -np.inf:
            return value, g_Lambda, np.zeros_like(error_cov)
        return value, self.z_map_inverse.T @ g_Lambda, errors.gradient(error_cov, g_omega)

    @property
    def errors(self) -> ErrorPrecision:
        """What makes weights of the terms from an error covariance."""
        return self._mine.once("errors", lambda: ErrorPrecision(terms=self.gram.terms))

    @property
    def side_by_side(self) -> int:
        """Evaluations worth running at once: one, which has the threads to itself."""
        return 1

    @property
    def is_costly(self) -> bool:
        """Whether a gradient takes more than about ten milliseconds of one core: no, with any number of rows."""
        return False

    @property
    def has_all_threads(self) -> bool:
        """Whether evaluations follow each other, each with all threads: many values are found side by side."""
        return False

    @property
    def can_draw_near(self) -> bool:
        """Whether coefficients are drawn near a point without a factorisation for each: no, one costs little."""
        return False

    @property
    def needs_room(self) -> bool:
        """Whether an evaluation needs room of its own, so that threads which Python did not start cannot share it."""
        return False

    def value(self, Lambda: Array, error_cov: Array) -> float:
        """Return the log likelihood alone."""
        return self.value_and_gradient(Lambda, error_cov)[0]

    @property
    def is_large(self) -> bool:
        """Whether there are enough groups to share among threads."""
        return is_large(self.blocks.n_tiles)

    def described(self) -> Described:
        """Return how the groups are laid out."""
        return described_blocks(self.blocks, self.gram)

    def evaluate(self, internal: Array, weights: Array, g_Lambda: Array, g_omega: Array) -> float:
        """Return the log likelihood at internal Lambda (q, q) and weights (2 K + 2,), and write its gradient.

        Nothing is written where the value is -inf.
        """
        is_exact = self.blocks.left_of is not None
        value = self.at(internal, weights, g_Lambda, g_omega, is_strict=is_exact or self.blocks.can_be_exact)
        if value > -np.inf:
            return value
        if self.blocks.can_be_exact:
            return self.by_rows().evaluate(internal, weights, g_Lambda, g_omega)
        here = seen_from_the_mean(self, internal, weights) if is_exact else None
        return (self if here is None else here).at(internal, weights, g_Lambda, g_omega)

    def at(self, internal: Array, weights: Array, g_Lambda: Array, g_omega: Array, *, is_strict: bool = False) -> float:
        """Return what `evaluate` does, as it comes out; -inf where no digits are known, or fewer than eight."""
        if self.is_large:
            arguments = self._base(is_strict=is_strict), self.blocks.arrays
            return log_likelihood_in_chunks(internal, weights, arguments, g_Lambda, g_omega, self.threads)
        return self.native(is_strict=is_strict)(internal, weights, g_Lambda, g_omega)

    @property
    def has_products_alone(self) -> bool:
        """Whether groups are linked by a known covariance of errors, and cannot be taken by rows.

        Where correlations of errors are free, modes and draws come near singular ones, and fewer digits must do.
        """
        linked = len(self.blocks.linked.levels) > 0
        return linked and not self.blocks.can_be_exact and not self.gram.terms.has_corr

    def knows_coefficients(self, Lambda: Array, error_cov: Array) -> bool:
        """Return whether products leave enough digits of the precision of beta, where they are all that there is.

        The inverse of a known covariance is rounded by more than an ulp.
        """
        if not self.has_products_alone:
            return True
        weights = self.errors.weights(error_cov)
        found, p = self.moments_at(self.z_map_inverse @ Lambda, weights), len(self.gram.coef_names)
        if found is None:
            return False
        squares = np.diagonal(self.gram.WtW, axis1=1, axis2=2)[:, :p]
        whole = weights[: len(squares)] @ squares + np.sum(self.prior_rows[:, :p] ** 2, axis=0)
        return bool(np.max(whole * np.sum(found[1] ** 2, axis=1), initial=0.0) < _MOST_OF_PRODUCTS)

    def by_rows(self) -> MarginalLikelihood:
        """Return the same likelihood, slower, with all its digits whatever the errors are beside the groups."""
        if not self.blocks.can_be_exact:
            return self
        return self._mine.once("exact", lambda: replace(self, blocks=split_into_blocks(self.gram, by_rows=True)))

    def has_digits_around(self, Lambda: Array, error_cov: Array) -> bool:
        """Return whether `by_rows` has no more digits at Lambda (q, q) and error_cov (D, D), and far smaller errors."""
        if not self.blocks.can_be_exact:
            return True
        internal, weights = self.z_map_inverse @ Lambda, self.errors.weights(error_cov * _FAR_AROUND**2)
        return self.native()(internal, weights, np.empty_like(internal), np.empty(self.errors.n_terms)) > -np.inf

    @property
    def W0(self) -> Array:
        """Cross-products of the pseudo-observations."""
        return self.prior_rows.T @ self.prior_rows

    def _base(self, *, is_strict: bool) -> BaseRecord:
        """Return what the kernels read beside the groups."""
        blocks = self.blocks
        return BaseRecord(
            base=blocks.base,
            W0=self.W0,
            constant=self.constant,
            most_subtracted=np.array(blocks.most_subtracted),
            is_exact=blocks.left_of is not None,
            is_strict=is_strict,
            integrate=self.integrate,
            q=len(self.z_map_inverse),
            left=blocks.left,
            left_of=blocks.left_of if blocks.left_of is not None else np.empty((0, 4), dtype=np.intp),
            prior_rows=self.prior_rows,
        )

    def native(self, *, is_strict: bool = False) -> NativeLikelihood:
        """Return the compiled likelihood, for one thread.

        Parameters
        ----------
        is_strict : bool
            Have -inf where fewer than eight digits are known, not only where there are none.
        """
        return self._mine.once("strict" if is_strict else "native", lambda: self._native(is_strict=is_strict))

    def _native(self, *, is_strict: bool) -> NativeLikelihood:
        kinds = self.blocks.arrays
        record = record_of(self._base(is_strict=is_strict), kinds)
        return NativeLikelihood(entry_of(kinds), record, q=len(self.z_map_inverse), K=self.errors.n_terms)

    def moments_at(self, internal: Array, weights: Array) -> tuple[Array, Array] | None:
        """Return the conditional mean (p,) of internal beta and F (p, p), F F' its covariance; None without digits."""
        p = len(self.gram.coef_names)
        mean, F = np.empty((1, p)), np.empty((1, p, p))
        is_known = self.native().moments(np.ascontiguousarray(internal[None]), weights[None], mean, F, np.empty(1))
        return (mean[0], F[0]) if is_known else None


def seen_from_the_mean(likelihood: MarginalLikelihood, internal: Array, weights: Array) -> MarginalLikelihood | None:
    """Return the same likelihood in coordinates of beta that suit Lambda (q, q), internal scale, and weights.

    Where some groups or data sets are far more precise than others, and cannot tell all coefficients by themselves,
    the precision P of beta has entries in which what the others say is lost. It is not lost in the rows. They are taken
    in the coordinates beta = mean + F z, with F F' = P^-1 as far as it is known, in which rows that are precise say
    little of most z; P is summed there, and so on, until z has a precision near one.

    Returns
    -------
    MarginalLikelihood or None
        None where that does not settle: error correlations that are nearly singular cost digits in any coordinates.
    """
    here, p = likelihood, len(likelihood.gram.coef_names)
    sizes, axes = _most_precision(likelihood, weights), np.eye(p)
    if sizes is None or not np.isfinite(internal).all():
        return None
    at = internal, weights
    for _ in range(_PASSES if p else 0):
        found = here.moments_at(internal, weights) or _made_definite(here, internal, weights)
        if found is None:
            return None
        mean, F = found
        # What rounding of precise rows, squared, adds to a precision of one.
        noise = _EPS**2 * np.max(sizes @ axes**2)
        if share_lost(F) < _NOTHING_LOST and noise < _ROUNDING and _is_near(here, np.linalg.solve(F, mean), at):
            return here
        here, axes = _in_coordinates(here, mean, F), axes @ F
    return None


def _is_near(likelihood: MarginalLikelihood, z: Array, at: tuple[Array, Array]) -> bool:
    """Return whether the mean is so near the origin, z (p,) standard errors, that residuals are those of the mean.

    Beside residuals of many standard errors, which are rounded, the mean itself cannot be told more nearly.
    """
    distance = float(np.abs(z).max())
    if distance < _NEAR_ENOUGH:
        return True
    q, K = len(likelihood.z_map_inverse), likelihood.errors.n_terms
    value = likelihood.at(*at, np.empty((q, q)), np.empty(K))
    return bool(np.isfinite(value) and distance < _NEAR_ENOUGH * np.sqrt(1.0 + abs(value)))


def share_lost(F: Array) -> float:
    """Return what rounding of a precision P = (F F')^-1 costs its inverse: the largest P_ii (P^-1)_ii."""
    return float(np.max(np.sum(np.linalg.inv(F) ** 2, axis=0) * np.sum(F**2, axis=1), initial=1.0))


def _in_coordinates(likelihood: MarginalLikelihood, mean: Array, F: Array) -> MarginalLikelihood:
    """Return the same likelihood with beta = mean + F z, in internal coordinates of before."""
    gram = moved(likelihood.gram, mean, F)
    p = len(mean)
    rows = np.column_stack(
        [likelihood.prior_rows[:, :p] @ F, likelihood.prior_rows[:, p] - likelihood.prior_rows[:, :p] @ mean]
    )
    return replace(
        likelihood,
        gram=gram,
        blocks=split_into_blocks(gram, by_rows=True),
        prior_rows=rows,
        constant=likelihood.constant + (float(np.linalg.slogdet(F)[1]) if likelihood.integrate else 0.0),
    )


def _made_definite(likelihood: MarginalLikelihood, internal: Array, weights: Array) -> tuple[Array, Array] | None:
    """Return moments of beta with weak pseudo-observations of all coefficients besides."""
    sizes = _most_precision(likelihood, weights)
    if sizes is None:
        return None
    weak = np.column_stack([np.diag(np.sqrt(_LIGHT * sizes)), np.zeros(len(sizes))])
    return replace(likelihood, prior_rows=np.vstack([likelihood.prior_rows, weak])).moments_at(internal, weights)


def _most_precision(likelihood: MarginalLikelihood, weights: Array) -> Array | None:
    """Return what the precision of a coefficient (p,) is at most; None where the errors have none."""
    table, p = likelihood.gram.terms.table, len(likelihood.gram.coef_names)
    own = table[:, 1] == table[:, 2]
    omega = weights[: len(table)][own]
    if not np.isfinite(weights).all():
        return None
    # The largest eigenvalue of the precision of a pattern is no more than its trace.
    trace = np.bincount(table[own, 0], weights=omega)[table[own, 0]]
    # In other coordinates a square may be the rounding of zero.
    squares = np.maximum(np.diagonal(likelihood.gram.WtW[own], axis1=1, axis2=2)[:, :p], 0.0)
    return np.asarray(trace @ squares + np.sum(likelihood.prior_rows[:, :p] ** 2, axis=0))


def entry_of(kinds: Sequence[Any]) -> str:
    """Return the module of `hierreg.likelihood` with the compiled likelihood of `SplitBlocks.arrays`."""
    found = [name for name, blocks in zip(_ENTRIES, kinds, strict=True) if blocks is not None]
    return found[-1] if found else "groups.base_entry"


def record_of(base: BaseRecord, kinds: Sequence[Any]) -> tuple[Any, ...]:
    """Return what that likelihood reads."""
    theta, strips, one, many, rows = kinds
    if all(kind is None for kind in kinds):
        return BaseTable(base=base)
    if theta is not None:
        return ThetaTable(base=base, theta=ThetaRecord(*theta))
    if strips is not None:
        return StripTable(base=base, strips=TilesRecord(*strips))
    if rows is not None:
        return RowTable(base=base, one=TilesRecord(*one), rows=RowTilesRecord(*rows))
    return TileTable(base=base, one=TilesRecord(*one), many=TilesRecord(*many))
