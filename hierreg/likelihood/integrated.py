"""What a density asks of a likelihood whose group effects are integrated out approximately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    # beta, Lambda and further parameters -> the log likelihood and its gradients.
    Evaluate = Callable[[Array, Array, Array], tuple[float, Array, Array, Array]]


class IntegratedLikelihood(Protocol):
    """log p(y | phi, Lambda, further parameters), by quadrature with so many nodes on each axis; one is Laplace's."""

    @property
    def n_nodes(self) -> int:
        """Nodes on each axis."""

    @property
    def threads(self) -> int:
        """Threads that one evaluation may use."""

    @property
    def is_compiled(self) -> bool:
        """Whether the density of psi with this likelihood is one compiled function."""

    def with_nodes(self, n: int) -> IntegratedLikelihood:
        """Return the likelihood by a rule of another number of nodes."""

    def on_threads(self, threads: int) -> IntegratedLikelihood:
        """Return the likelihood, which may use so many threads for one evaluation."""

    def with_modes(self, beta: Array, Lambda: Array, auxiliary: Array, /) -> IntegratedLikelihood:
        """Return the likelihood whose searches for modes begin at those at these parameters."""

    def beginning_at(self, effects: tuple[Array, ...], /) -> IntegratedLikelihood:
        """Return the likelihood whose searches for modes begin at standardised effects (J, q) of each factor."""

    def standardised(self) -> tuple[Array, ...]:
        """Return where searches for modes begin: standardised effects (J, q) of each factor."""

    def value_and_gradient(
        self, beta: Array, Lambda: Array, auxiliary: Array, /, *, wanted: bool = True
    ) -> tuple[float, Array, Array, Array]:
        """Return the log likelihood, minus infinity where there is none, and its gradients."""

    def remembering(self) -> Evaluate:
        """Return `value_and_gradient` for a search by one thread, which may remember modes."""

    def row_densities(self, eta: Array, auxiliary: Array, /) -> Array:
        """Return the log density of every row (N,) at linear predictors (N,)."""

    def row_derivatives(self, eta: Array, auxiliary: Array, /) -> tuple[Array, Array]:
        """Return the derivative of every row's log density and minus the second one (N,)."""
