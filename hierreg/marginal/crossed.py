"""The marginal likelihood with several grouping factors as an object."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.marginal.crossed_plan import plan_elimination
from hierreg.marginal.crossed_sources import sources_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram
    from hierreg.marginal.crossed_plan import Plan
    from hierreg.marginal.crossed_sources import Sources

    Array = NDArray[np.float64]


class _Rooms(threading.local):
    """The arrays of each thread, which do not travel to other processes or copies with what they belong to."""

    def __reduce__(self) -> tuple[type[_Rooms], tuple[()]]:
        return _Rooms, ()


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
    _rooms: _Rooms = field(default_factory=_Rooms, repr=False, compare=False)

    @property
    def side_by_side(self) -> int:
        """Evaluations worth running at once: one evaluation has one thread."""
        return self.threads

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
        from hierreg.marginal.crossed_kernels import log_likelihood

        _, gram, errors, W0, constant, integrate = self.kernel_arguments()
        q, D = len(self.z_map_inverse), self.gram.terms.n_labels
        g_Lambda, g_S = np.empty((q, q)), np.empty((D, D))
        internal = np.ascontiguousarray(self.z_map_inverse @ np.asarray(Lambda, dtype=float))
        S = np.ascontiguousarray(error_cov, dtype=float)
        value = log_likelihood(internal, S, gram, errors, W0, constant, (integrate, True), g_Lambda, g_S)
        return float(value), self.z_map_inverse.T @ g_Lambda, g_S

    def kernel_arguments(self) -> tuple[Any, ...]:
        """Return the arrays in the order in which the kernels read them; for one thread, which they have room for."""
        gram = (self.gram.terms.n_terms, self._room(), self.sources.arrays, self.plan.nodes, self.plan.dense)
        errors = (self.gram.terms.patterns, self.gram.terms.counts)
        return self.z_map_inverse, gram, errors, self.W0, self.constant, self.integrate

    def _room(self) -> tuple[Array, Array]:
        """Return the arrays that an evaluation works in, of this thread: new ones cost a tenth of it."""
        if not hasattr(self._rooms, "arrays"):
            D = self.plan.n_tail
            self._rooms.arrays = np.empty(self.plan.tail_at + D * D), np.empty((D, D))
        arrays: tuple[Array, Array] = self._rooms.arrays
        return arrays


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
