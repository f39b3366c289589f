"""The marginal likelihood of a data set as an object: the Gram basis, the prior of beta, and one function.

Three treatments of the population coefficients beta:

- integrated under a normal prior on some or all of ``beta_basis @ beta`` (full Bayes, MAP);
- integrated under a flat prior: the restricted likelihood (REML), the limit of zero prior precision;
- profiled out (ML).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.marginal.addresses import NativeLikelihood, PerThread, entry_of, flags, floats, integers
from hierreg.marginal.blocks import SplitBlocks, split_into_blocks
from hierreg.marginal.chunks import is_large, log_likelihood_in_chunks
from hierreg.marginal.crossed import CrossedLikelihood, crossed_likelihood
from hierreg.marginal.layout import Layout, layout_of_blocks
from hierreg.marginal.population import FixedBeta, PopulationPrior, flat_beta, hold_fixed, moved, population_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram

    Array = NDArray[np.float64]

LOG_2PI = float(np.log(2.0 * np.pi))
# Smallest error sds that draws around a point may have, of those there.
_FAR_AROUND = 1.0 / 32.0
# Passes in which coordinates of beta are sought; the share lost in them, and the distance of the mean from their origin
# in standard errors, at which they are found.
_PASSES, _NOTHING_LOST, _NEAR_ENOUGH = 6, 2.0, 1e-7
_EPS, _ROUNDING = float(np.finfo(float).eps), 1e-10
_LIGHT = 1e-11  # squared, of pseudo-observations that keep a precision definite that rounding has made singular


def blocks_of(gram: Gram, fixed: FixedBeta) -> SplitBlocks | None:
    """Return the blocks that every likelihood of a Gram basis reads; None with several grouping factors."""
    return split_into_blocks(hold_fixed(gram, fixed)) if len(gram.factors) < 2 else None


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
        q, D = len(self.z_map_inverse), self.gram.terms.n_labels
        g_Lambda, g_S = np.zeros((q, q)), np.zeros((D, D))
        internal = np.ascontiguousarray(self.z_map_inverse @ np.asarray(Lambda, dtype=float).reshape(q, q))
        value = self.evaluate(internal, np.ascontiguousarray(error_cov, dtype=float), g_Lambda, g_S)
        return value, self.z_map_inverse.T @ g_Lambda, g_S

    @property
    def side_by_side(self) -> int:
        """Evaluations worth running at once: one, which has the threads to itself."""
        return 1

    @property
    def is_large(self) -> bool:
        """Whether there are enough groups to share among threads."""
        return is_large(self.blocks.n_tiles)

    def layout(self) -> Layout:
        """Return how the groups are laid out."""
        return layout_of_blocks(self.blocks, self.gram)

    def evaluate(self, internal: Array, S: Array, g_Lambda: Array, g_S: Array) -> float:
        """Return the log likelihood at internal Lambda (q, q) and S (D, D), and write its gradient where finite."""
        is_exact = self.blocks.left_of is not None
        value = self.at(internal, S, g_Lambda, g_S, is_strict=is_exact or self.blocks.can_be_exact)
        if value > -np.inf:
            return value
        if self.blocks.can_be_exact:
            return self.by_rows().evaluate(internal, S, g_Lambda, g_S)
        here = seen_from_the_mean(self, internal, S) if is_exact else None
        return (
            self.at(internal, S, g_Lambda, g_S, is_strict=False)
            if here is None
            else here.at(internal, S, g_Lambda, g_S)
        )

    def at(self, internal: Array, S: Array, g_Lambda: Array, g_S: Array, *, is_strict: bool = False) -> float:
        """Return what `evaluate` does, as it comes out; -inf where no digits are known, or fewer than eight."""
        if self.is_large:
            gram = (self.blocks.base, self.blocks.arrays, (self.blocks.left, self.blocks.left_of, self.prior_rows))
            errors = (self.gram.terms.patterns, self.gram.terms.counts)
            arguments = (gram, errors, self._W0, self._numbers(is_strict=is_strict), self.integrate)
            return log_likelihood_in_chunks(internal, S, arguments, g_Lambda, g_S, self.threads)
        return self.native(is_strict=is_strict)(internal, S, g_Lambda, g_S)

    def by_rows(self) -> MarginalLikelihood:
        """Return the same likelihood, slower, with all its digits whatever the errors are beside the groups."""
        if not self.blocks.can_be_exact:
            return self
        if not hasattr(self._mine, "exact"):
            self._mine.exact = replace(self, blocks=split_into_blocks(self.gram, by_rows=True))
        exact: MarginalLikelihood = self._mine.exact
        return exact

    def has_digits_around(self, Lambda: Array, error_cov: Array) -> bool:
        """Return whether products do at Lambda (q, q) and error_cov (D, D), and with far smaller errors."""
        internal, S = np.ascontiguousarray(self.z_map_inverse @ Lambda), error_cov * _FAR_AROUND**2
        return self.native()(internal, S, np.empty_like(internal), np.empty_like(S)) > -np.inf

    @property
    def _W0(self) -> Array:
        """Cross-products of the pseudo-observations."""
        return self.prior_rows.T @ self.prior_rows

    def _numbers(self, *, is_strict: bool) -> Array:
        """Return what the kernels read beside arrays."""
        is_exact = self.blocks.left_of is not None
        return np.array([self.constant, *self.blocks.most_subtracted, is_exact, is_strict], dtype=float)

    def native(self, *, is_strict: bool = False) -> NativeLikelihood:
        """Return the compiled likelihood, for one thread.

        Parameters
        ----------
        is_strict : bool
            Have -inf where fewer than eight digits are known, not only where there are none.
        """
        name = "strict" if is_strict else "native"
        if not hasattr(self._mine, name):
            terms, kinds = self.gram.terms, self.blocks.arrays
            rows: list[Any] = [
                *floats(self.blocks.base),
                *flags(terms.patterns),
                *floats(terms.counts, self._W0, self._numbers(is_strict=is_strict)),
                int(self.integrate),
                len(self.z_map_inverse),
                *floats(self.blocks.left),
                *integers(self.blocks.left_of if self.blocks.left_of is not None else np.empty((0, 4), dtype=np.intp)),
                *floats(self.prior_rows),
            ]
            for array in (array for blocks in kinds if blocks is not None for array in blocks):
                row = flags if array.dtype == np.bool_ else integers if array.dtype == np.intp else floats
                rows += row(array)
            made = NativeLikelihood(entry_of(kinds), rows, q=len(self.z_map_inverse), D=terms.n_labels)
            setattr(self._mine, name, made)
        native: NativeLikelihood = getattr(self._mine, name)
        return native

    def moments_at(self, internal: Array, S: Array) -> tuple[Array, Array] | None:
        """Return the conditional mean (p,) of internal beta and F (p, p), F F' its covariance; None without digits."""
        p = len(self.gram.coef_names)
        hat, F = np.empty((1, p)), np.empty((1, p, p))
        value = self.native().moments(np.ascontiguousarray(internal[None]), np.ascontiguousarray(S[None]), hat, F)
        return (hat[0], F[0]) if value > -np.inf else None


Likelihood = MarginalLikelihood | CrossedLikelihood


def seen_from_the_mean(likelihood: MarginalLikelihood, internal: Array, S: Array) -> MarginalLikelihood | None:
    """Return the same likelihood in coordinates of beta that suit Lambda (q, q), internal scale, and S (D, D).

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
    sizes, axes = _most_precision(likelihood, S), np.eye(p)
    if sizes is None or not np.isfinite(internal).all():
        return None
    for _ in range(_PASSES if p else 0):
        found = here.moments_at(internal, S) or _made_definite(here, internal, S)
        if found is None:
            return None
        mean, F = found
        # What rounding of precise rows, squared, adds to a precision of one.
        noise = _EPS**2 * np.max(sizes @ axes**2)
        is_settled = share_lost(F) < _NOTHING_LOST and np.abs(np.linalg.solve(F, mean)).max() < _NEAR_ENOUGH
        if is_settled and noise < _ROUNDING:
            return here
        here, axes = _in_coordinates(here, mean, F), axes @ F
    return None


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


def _made_definite(likelihood: MarginalLikelihood, internal: Array, S: Array) -> tuple[Array, Array] | None:
    """Return moments of beta with weak pseudo-observations of all coefficients besides."""
    sizes = _most_precision(likelihood, S)
    if sizes is None:
        return None
    weak = np.column_stack([np.diag(np.sqrt(_LIGHT * sizes)), np.zeros(len(sizes))])
    return replace(likelihood, prior_rows=np.vstack([likelihood.prior_rows, weak])).moments_at(internal, S)


def _most_precision(likelihood: MarginalLikelihood, S: Array) -> Array | None:
    """Return what the precision of a coefficient (p,) is at most; None where the errors have none."""
    terms, p, sd = likelihood.gram.terms, len(likelihood.gram.coef_names), np.sqrt(np.diagonal(S))
    if not (np.isfinite(sd).all() and np.all(sd > 0)):
        return None
    smallest = float(np.linalg.eigvalsh(S / np.outer(sd, sd))[0]) * float(sd.min()) ** 2
    if not smallest > 0:
        return None
    weight = likelihood.gram.WtW[terms.table[:, 1] == terms.table[:, 2]].sum(axis=0)
    return np.asarray(np.diagonal(weight)[:p] / smallest + np.sum(likelihood.prior_rows[:, :p] ** 2, axis=0))


def on_threads(likelihood: Likelihood, threads: int) -> Likelihood:
    """Return a likelihood that may use so many threads."""
    return replace(likelihood, threads=threads)


def marginal_likelihood(
    gram: Gram,
    *,
    prior: PopulationPrior | None = None,
    fixed: FixedBeta | None = None,
    profile: bool = False,
    blocks: SplitBlocks | None = None,
) -> Likelihood:
    """Return the marginal likelihood of a Gram basis; its class depends on the number of grouping factors.

    Parameters
    ----------
    gram : Gram
    prior : PopulationPrior or None
        Normal prior of beta; None is flat (then the value is the restricted log likelihood).
    fixed : FixedBeta or None
        Coefficients held at known values.
    profile : bool
        Maximise over beta instead of integrating (maximum likelihood); `prior` is then ignored.
    blocks : SplitBlocks or None
        Those of the same Gram basis and fixed coefficients (`blocks_of`), where they are at hand.
    """
    rows = prior if prior is not None and not profile else flat_beta(len(gram.coef_names))
    population = population_of(gram, rows, fixed)
    gram, K = population.gram, population.rows
    p, r = len(gram.coef_names), len(rows.sd)
    constant = -0.5 * (gram.n * LOG_2PI + gram.terms.log_det_known)
    if not profile:
        constant += 0.5 * (p - r) * LOG_2PI - float(np.sum(np.log(rows.sd))) + rows.log_det_basis
        constant += float(np.linalg.slogdet(gram.x_map)[1]) if p else 0.0
    if len(gram.factors) > 1:
        return crossed_likelihood(gram, W0=K.T @ K, constant=constant, integrate=not profile)
    return MarginalLikelihood(
        gram=gram,
        blocks=split_into_blocks(gram) if blocks is None or population.is_moved else blocks,
        prior_rows=K,
        constant=constant,
        integrate=not profile,
        z_map_inverse=np.linalg.inv(gram.z_map),
    )
