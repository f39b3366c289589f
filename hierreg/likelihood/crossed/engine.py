"""The marginal likelihood with several grouping factors as an object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hierreg.compiled.addresses import NativeLikelihood, PerThread
from hierreg.compiled.lapack import addresses_of_lapack
from hierreg.likelihood.crossed.described import described_plan
from hierreg.likelihood.crossed.places import sources_of
from hierreg.likelihood.crossed.plan import is_plain, plan_elimination
from hierreg.likelihood.crossed.record import (
    CrossedRecord,
    LapackRecord,
    NodesRecord,
    PanelsRecord,
    SourcesRecord,
    TailRecord,
)
from hierreg.likelihood.described import Described, bytes_of
from hierreg.variances.precision import ErrorPrecision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram
    from hierreg.likelihood.crossed.places import Sources
    from hierreg.likelihood.crossed.plan import Plan

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossedLikelihood:
    """log p(y | Sigma of each factor, R) with beta and all b integrated out.

    Attributes
    ----------
    gram : Gram
        The statistics, fixed coefficients already taken off.
    plan : Plan
        Order of elimination.
    sources : Sources
        The cross-products with their places in it.
    W0 : array (p + 1, p + 1)
        Prior of beta as cross-products of pseudo-observations, internal scale.
    constant : float
        What does not depend on the variance parameters.
    integrate : bool
        False where beta is profiled out.
    z_map_inverse : array (q, q)
        Lambda_internal = z_map_inverse @ Lambda, block diagonal over factors.
    threads : int
        Cores that may be used.
    """

    gram: Gram
    plan: Plan
    sources: Sources
    W0: Array
    constant: float
    integrate: bool
    z_map_inverse: Array
    threads: int = 1
    _mine: PerThread = field(init=False, default_factory=PerThread, repr=False, compare=False)

    @property
    def side_by_side(self) -> int:
        """Evaluations worth running at once: one evaluation has one thread, or all where it is large."""
        return 1 if self.plan.takes_all_threads else self.threads

    def value_and_gradient(self, Lambda: Array, error_cov: Array) -> tuple[float, Array, Array]:
        """Return the log likelihood and its derivatives.

        Parameters
        ----------
        Lambda : array (q, q)
            Factors of the covariances of all grouping factors, block diagonal, user scale; zeros are allowed.
        error_cov : array (D, D)
            Error covariance of one unit (variances of strata on the diagonal).

        Returns
        -------
        value : float
            -inf where a matrix is not positive definite.
        g_Lambda : array (q, q)
            Zero between factors.
        g_error_cov : array (D, D)
            Symmetric: d value = sum(g_error_cov * d error_cov).
        """
        q, errors = len(self.z_map_inverse), self.errors
        g_Lambda, g_omega = np.zeros((q, q)), np.zeros(errors.n_terms)
        value = self.native()(self.z_map_inverse @ Lambda, errors.weights(error_cov), g_Lambda, g_omega)
        if value == -np.inf:
            return value, g_Lambda, np.zeros_like(error_cov)
        return value, self.z_map_inverse.T @ g_Lambda, errors.gradient(error_cov, g_omega)

    @property
    def is_costly(self) -> bool:
        """Whether a gradient takes more than about ten milliseconds of one core."""
        return self.plan.is_costly

    @property
    def has_all_threads(self) -> bool:
        """Whether evaluations follow each other, each with all threads of BLAS, rather than run side by side."""
        return self.plan.takes_all_threads

    @property
    def can_draw_near(self) -> bool:
        """Whether coefficients are drawn near a point without a factorisation for each (`crossed.near`)."""
        return is_plain(self.plan, self.gram)

    @property
    def is_large(self) -> bool:
        """Whether there are enough groups to share among threads: no, levels are eliminated one after the other."""
        return False

    @property
    def needs_room(self) -> bool:
        """Whether an evaluation needs room of its own, so that threads which Python did not start cannot share it."""
        return True

    def value(self, Lambda: Array, error_cov: Array) -> float:
        """Return the log likelihood alone: a third of what the gradient takes."""
        internal = np.ascontiguousarray(self.z_map_inverse @ Lambda)
        return self.native().value(internal, self.errors.weights(error_cov))

    def by_rows(self) -> CrossedLikelihood:
        """Return the likelihood with all its digits: this one."""
        return self

    def has_digits_around(self, Lambda: Array, error_cov: Array) -> bool:  # noqa: ARG002  # as of one grouping factor
        """Return whether `by_rows` has no more digits: it is this likelihood."""
        return True

    @property
    def errors(self) -> ErrorPrecision:
        """What makes weights of the terms from an error covariance."""
        return self._mine.once("errors", lambda: ErrorPrecision(terms=self.gram.terms))

    def described(self) -> Described:
        """Return how the factors are laid out."""
        D = self.plan.n_tail
        workspace = 8 * (self.plan.n_workspace + D * D)
        return described_plan(self.plan, self.gram, bytes_of((self.plan, self.sources)) + workspace)

    def native(self) -> NativeLikelihood:
        """Return the compiled likelihood, for one thread, which it has room for."""
        return self._mine.once("native", self._native)

    def _native(self) -> NativeLikelihood:
        terms, plan = self.gram.terms, self.plan
        workspace, tail = self.room()
        record = CrossedRecord(
            q=len(self.z_map_inverse),
            n_terms=terms.n_terms,
            integrate=self.integrate,
            constant=self.constant,
            n=self.gram.n,
            W0=self.W0,
            workspace=workspace,
            tail=tail,
            sources=SourcesRecord(*self.sources.arrays),
            nodes=NodesRecord(*plan.nodes),
            dense=TailRecord(*plan.dense),
            panels=PanelsRecord(*plan.rows),
            lapack=LapackRecord(*addresses_of_lapack()),
        )
        return NativeLikelihood("crossed.entry", record, q=len(self.z_map_inverse), K=terms.n_terms)

    def eliminated(self, internal: Array, weights: Array) -> tuple[float, Array, Array]:
        """Return the log likelihood, the eliminated workspace and the factored tail (D, D), of this thread.

        Parameters
        ----------
        internal : array (q, q)
            Lambda, internal scale.
        weights : array (2 K + 2,)

        Returns
        -------
        value : float
            -inf where a matrix is not positive definite, or too few digits are left.
        workspace, tail : arrays
            Overwritten by the next evaluation.
        """
        return self.native().value(internal, weights), *self.room()

    def room(self) -> tuple[Array, Array]:
        """Return the arrays that an evaluation works in, of this thread: new ones cost a tenth of it.

        After one they are the eliminated workspace and the factored tail (D, D).
        """
        D = self.plan.n_tail
        return self._mine.once("room", lambda: (np.empty(self.plan.n_workspace), np.empty((D, D))))


def crossed_likelihood(gram: Gram, *, W0: Array, constant: float, integrate: bool) -> CrossedLikelihood:
    """Return the marginal likelihood of a Gram basis with several grouping factors.

    Raises
    ------
    ModelError
        If the dense part would be too large (`plan_elimination`).
    """
    plan = plan_elimination(gram)
    return CrossedLikelihood(
        gram=gram,
        plan=plan,
        sources=sources_of(gram, plan),
        W0=W0,
        constant=constant,
        integrate=integrate,
        z_map_inverse=np.linalg.inv(gram.z_map),
    )
