"""The likelihood of responses that are not normal by Laplace's approximation for all effects together.

It stands where `quadrature.engine.QuadratureLikelihood` with one node does, for any number of factors and of effects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import read_only

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.integrated import Evaluate
    from hierreg.likelihood.joint.structure import Structure
    from hierreg.response import Family, Observed

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModesOfEffects:
    """Where the density of all effects is highest, given the parameters.

    Attributes
    ----------
    v : array (n,)
        Standardised effects, in the order of `Structure`.
    precision : sparse matrix (n, n)
        Minus the second derivatives there.
    inverse : tuple of arrays (J, q, q)
        The blocks of its inverse that belong to one group, by factor of the formula.
    """

    v: Array
    precision: Any
    inverse: tuple[Array, ...]


@dataclass(frozen=True, kw_only=True)
class JointLaplace:
    """log p(y | beta, Lambda, further parameters) by Laplace's approximation.

    Attributes
    ----------
    numbers : tuple
        X' (p, N), Z' (q, N; columns of all factors), y, trials, weights, offset, stratum, family, link: what kernels
        read of rows, without places.
    structure : Structure
        With the entries between factors.
    start : array (n,)
        Where searches for modes begin.
    """

    numbers: tuple[Any, ...]
    structure: Structure
    start: Array
    n_nodes: int = 1
    threads: int = 1

    @property
    def is_compiled(self) -> bool:
        """Whether the whole density is one compiled function."""
        return False

    @property
    def rows(self) -> tuple[Any, ...]:
        """What kernels read."""
        return (*self.numbers, self.structure.place, self.structure.row_block)

    def with_nodes(self, n: int) -> JointLaplace:
        """Return the likelihood itself: all effects together have one node."""
        assert n == 1
        return self

    def on_threads(self, threads: int) -> JointLaplace:
        """Return the likelihood, which may use so many threads; one evaluation takes one."""
        return replace(self, threads=threads)

    def with_modes(self, beta: Array, Lambda: Array, auxiliary: Array) -> JointLaplace:
        """Return the likelihood whose searches begin at the mode at these parameters; itself where there is none."""
        v, room = self.start.copy(), self._room()
        beta, Lambda, auxiliary = (np.ascontiguousarray(x, dtype=float) for x in (beta, Lambda, auxiliary))
        value = self._evaluate(beta, Lambda, auxiliary, v, room, wanted=False)[0]
        return replace(self, start=read_only(v)) if np.isfinite(value) else self

    def beginning_at(self, effects: tuple[Array, ...]) -> JointLaplace:
        """Return the likelihood whose searches begin at standardised effects (J, q) of each factor."""
        return replace(self, start=read_only(self.structure.together(effects)))

    def standardised(self) -> tuple[Array, ...]:
        """Return where searches for modes begin: standardised effects (J, q) of each factor."""
        return self.structure.by_factor(self.start)

    def value_and_gradient(
        self, beta: Array, Lambda: Array, auxiliary: Array, *, wanted: bool = True
    ) -> tuple[float, Array, Array, Array]:
        """Return the log likelihood and its gradients, as `QuadratureLikelihood.value_and_gradient` does."""
        beta, Lambda, auxiliary = (np.ascontiguousarray(x, dtype=float) for x in (beta, Lambda, auxiliary))
        v, room = self.start.copy(), self._room()
        value, g_beta, g_Lambda, g_auxiliary = self._evaluate(beta, Lambda, auxiliary, v, room, wanted=wanted)
        if not np.isfinite(value):
            return -np.inf, np.zeros_like(beta), np.zeros_like(Lambda), np.zeros_like(auxiliary)
        return value, g_beta, g_Lambda, g_auxiliary

    def remembering(self) -> Evaluate:
        """Return `value_and_gradient` for one thread, whose searches for modes begin where the last one ended.

        Parameters that a search tries are near each other. Where no mode is found from there, it is looked for from
        the start; and always where there may be several.
        """
        from hierreg.response.kernels import STUDENT_T

        if self.numbers[7] == STUDENT_T:
            return self.value_and_gradient
        last, room = self.start.copy(), self._room()

        def evaluate(beta: Array, Lambda: Array, auxiliary: Array) -> tuple[float, Array, Array, Array]:
            given = tuple(np.ascontiguousarray(x, dtype=float) for x in (beta, Lambda, auxiliary))
            v = last.copy()
            found = self._evaluate(given[0], given[1], given[2], v, room, wanted=True)
            if not np.isfinite(found[0]):
                return self.value_and_gradient(beta, Lambda, auxiliary)
            last[:] = v
            return found

        return evaluate

    def _room(self) -> tuple[Array, Array, Array]:
        """Return arrays for the entries of Z'WZ, a factor, and its derivatives."""
        size = self.structure.n_values
        return np.empty(self.structure.n_entries), np.empty(size), np.empty(size)

    def _evaluate(  # what kernels are called with
        self, beta: Array, Lambda: Array, auxiliary: Array, v: Array, room: tuple[Array, Array, Array], *, wanted: bool
    ) -> tuple[float, Array, Array, Array]:
        """Return the value, and its gradients in beta, Lambda and further parameters; v and room are overwritten."""
        from hierreg.likelihood.joint.kernels import laplace

        gradients = np.zeros_like(beta), np.zeros_like(Lambda), np.zeros_like(auxiliary)
        shape = self.structure.form, self.structure.blocks, self.structure.factors
        value = laplace(*shape, self.rows, beta, Lambda, auxiliary, v, wanted, *gradients, *room)
        return float(value), *gradients

    def modes(self, beta: Array, Lambda: Array, auxiliary: Array) -> ModesOfEffects | None:
        """Return the mode of all effects, None where there is none."""
        from hierreg.likelihood.joint.kernels import precision_at

        beta, Lambda, auxiliary = (np.ascontiguousarray(x, dtype=float) for x in (beta, Lambda, auxiliary))
        v, (entries, values, bar) = self.start.copy(), self._room()
        if not np.isfinite(self._evaluate(beta, Lambda, auxiliary, v, (entries, values, bar), wanted=True)[0]):
            return None
        structure = self.structure
        precision_at(structure.form, structure.blocks, structure.factors, Lambda, entries, values)
        return ModesOfEffects(v=v, precision=structure.matrix(values), inverse=structure.inverse_blocks(bar))

    def predictors(self, beta: Array, Lambda: Array, v: Array) -> Array:
        """Return the linear predictors (N,), offsets included."""
        X, Z, offset, structure = self.numbers[0], self.numbers[1], self.numbers[5], self.structure
        eta = offset + beta @ X
        start = 0
        for f, effects in enumerate(structure.by_factor(v)):
            mine = slice(start, start := start + effects.shape[-1])
            b = effects @ Lambda[mine, mine].T
            eta = eta + np.einsum("qn,nq->n", Z[mine], b[structure.groups(f)])
        return np.asarray(eta)

    def predictors_of_group(self, j: int, beta: Array, Lambda: Array, v: Array) -> Array:
        """Return the linear predictors (S, n) of the rows of a group of the only factor, offsets left out.

        Parameters
        ----------
        j : int
        beta, Lambda : arrays (S, p), (S, q, q); or (1, p), (1, q, q)
        v : array (S, q)
            Standardised effects.
        """
        rows = np.flatnonzero(self.structure.groups(0) == j)
        return np.asarray(
            beta @ self.numbers[0][:, rows] + (Lambda @ v[:, :, None])[:, :, 0] @ self.numbers[1][:, rows]
        )

    def row_densities(self, eta: Array, auxiliary: Array) -> Array:
        """Return the log density of every row (N,) at linear predictors (N,), offsets included in them."""
        return self._rows_at(eta, auxiliary)[0]

    def row_derivatives(self, eta: Array, auxiliary: Array) -> tuple[Array, Array]:
        """Return the derivative of every row's log density and minus the second one (N,)."""
        return self._rows_at(eta, auxiliary)[1:]

    def _rows_at(self, eta: Array, auxiliary: Array) -> tuple[Array, Array, Array]:
        from hierreg.likelihood.joint.kernels import rows_at

        value, slope, information = (np.empty(len(eta)) for _ in range(3))
        rows_at(self.rows, np.ascontiguousarray(eta), np.ascontiguousarray(auxiliary), value, slope, information)
        return value, slope, information


def joint_laplace(  # noqa: PLR0913  # the parts of a model
    family: Family, observed: Observed, *, X: Array, Z: Array, structure: Structure, offset: Array, weights: Array
) -> JointLaplace:
    """Return the likelihood of rows.

    Parameters
    ----------
    family, observed
        The response.
    X, Z : arrays (N, p), (N, q)
        Z has the columns of all factors, in the order of the formula.
    structure : Structure
    offset, weights : arrays (N,)
        Added to the linear predictor; how often each row counts.
    """
    numbers = [np.ascontiguousarray(x, dtype=float) for x in (X.T, Z.T, observed.y, observed.trials, weights, offset)]
    return JointLaplace(
        numbers=(*numbers, np.ascontiguousarray(observed.stratum), family.code, family.link_function.code),
        structure=structure,
        start=np.zeros(structure.n_effects),
    )
