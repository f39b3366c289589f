"""The likelihood of responses that are not normal, with one grouping factor or none, as a Python function."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import read_only
from hierreg.likelihood.quadrature.native import FactorFunction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.integrated import Evaluate
    from hierreg.response import Family, Observed

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Most nodes of a group: beyond, they cost more than they tell.
MOST_NODES = 4096
# Rows times nodes for which a thread of its own is worth what starting it takes.
_WORK_OF_THREAD = 20_000


@dataclass(frozen=True, kw_only=True)
class QuadratureLikelihood:
    """log p(y | beta, Lambda, auxiliary parameters), the effects of every group integrated out.

    Attributes
    ----------
    rows : tuple
        What `kernels` reads, rows of a group together.
    order : int array (N,)
        Row of the table at each place.
    n_nodes : int
        On each axis.
    modes : array (J, q)
        Where the search for the mode of each group begins: any values, from which no result depends but by rounding.
    threads : int
    has_order : bool
        Whether further parameters are thresholds, of one stratum.
    """

    rows: tuple[Any, ...]
    order: Index
    n_nodes: int
    modes: Array
    threads: int = 1
    has_order: bool = False

    @property
    def is_compiled(self) -> bool:
        """Whether the whole density is one compiled function."""
        return True

    @property
    def n_groups(self) -> int:
        """Number of groups J."""
        return len(self.modes)

    @property
    def n_effects(self) -> int:
        """Number of effects q of a group."""
        return int(self.modes.shape[1])

    def with_nodes(self, n: int) -> QuadratureLikelihood:
        """Return the likelihood by a rule of another number of nodes."""
        return replace(self, n_nodes=n)

    def on_threads(self, threads: int) -> QuadratureLikelihood:
        """Return the likelihood, which may use so many threads."""
        return replace(self, threads=threads)

    def with_modes(self, beta: Array, Lambda: Array, auxiliary: Array) -> QuadratureLikelihood:
        """Return the likelihood whose searches begin at the modes at these parameters; itself where there are none."""
        found = self.effects(beta, Lambda, auxiliary)
        return self if found is None else replace(self, modes=read_only(found[0]))

    def beginning_at(self, effects: tuple[Array, ...]) -> QuadratureLikelihood:
        """Return the likelihood whose searches begin at standardised effects (J, q) of its factor."""
        return replace(self, modes=read_only(np.array(effects[0]))) if effects else self

    def standardised(self) -> tuple[Array, ...]:
        """Return where searches for modes begin: standardised effects (J, q)."""
        return (self.modes,) if self.n_effects else ()

    def value_and_gradient(
        self, beta: Array, Lambda: Array, auxiliary: Array, *, wanted: bool = True
    ) -> tuple[float, Array, Array, Array]:
        """Return the log likelihood and its gradients.

        Parameters
        ----------
        beta : array (p,)
        Lambda : array (q, q)
        auxiliary : array (T, m)
            Natural scale.
        wanted : bool
            Whether gradients are; else they are zero.

        Returns
        -------
        value : float
            Minus infinity where there is none.
        g_beta, g_Lambda, g_auxiliary : arrays (p,), (q, q), (T, m)
        """
        p, q, shape = len(beta), self.n_effects, np.shape(auxiliary)
        x = np.concatenate([beta, np.ravel(Lambda), np.ravel(auxiliary)])
        if len(self._parts) == 1:
            value, g = self._parts[0](x, wanted=wanted)
        else:
            with ThreadPoolExecutor(max_workers=self.threads) as pool:
                found = list(pool.map(lambda part: part(x, wanted=wanted), self._parts))
            value, g = sum(one[0] for one in found), np.sum([one[1] for one in found], axis=0)
        if not np.isfinite(value):
            return -np.inf, np.zeros(p), np.zeros((q, q)), np.zeros(shape)
        g_auxiliary = g[p + q * q :].reshape(shape)
        return float(value), g[:p], g[p : p + q * q].reshape(q, q), g_auxiliary

    def remembering(self) -> Evaluate:
        """Return `value_and_gradient`: modes of single groups are found in few steps from wherever."""
        return self.value_and_gradient

    @cached_property
    def _parts(self) -> list[FactorFunction]:
        """The likelihood of each part of the groups."""
        work = len(self.rows[2]) * self.n_nodes**self.n_effects
        n = max(1, min(self.threads, self.n_groups, work // _WORK_OF_THREAD))
        edges = np.linspace(0, self.n_groups, n + 1).astype(int).tolist()
        return [FactorFunction(self, first, last) for first, last in pairwise(edges)]

    def effects(self, beta: Array, Lambda: Array, auxiliary: Array) -> tuple[Array, Array] | None:
        """Return the modes of v (J, q) and the inverses of minus the second derivatives there (J, q, q)."""
        from hierreg.likelihood.quadrature.kernels import modes_of

        modes = self.modes.copy()
        q = self.n_effects
        inverse = np.empty((self.n_groups, q, q))
        beta, Lambda, auxiliary = (np.ascontiguousarray(x, dtype=float) for x in (beta, Lambda, auxiliary))
        return (modes, inverse) if modes_of(self.rows, beta, Lambda, auxiliary, modes, inverse) else None

    def row_densities(self, eta: Array, auxiliary: Array) -> Array:
        """Return the log density of every row of the table (N,) at linear predictors (N,), offsets included in them."""
        return self._rows_at(eta, auxiliary)[0]

    def row_derivatives(self, eta: Array, auxiliary: Array) -> tuple[Array, Array]:
        """Return the derivative of every row's log density and minus the second one (N,)."""
        return self._rows_at(eta, auxiliary)[1:]

    def _rows_at(self, eta: Array, auxiliary: Array) -> tuple[Array, Array, Array]:
        from hierreg.likelihood.quadrature.kernels import rows_at

        out = np.empty((3, len(eta)))
        value, slope, information = (np.empty(len(eta)) for _ in range(3))
        sorted_eta = np.ascontiguousarray(eta[self.order])
        rows_at(self.rows, sorted_eta, np.ascontiguousarray(auxiliary), value, slope, information)
        out[:, self.order] = value, slope, information
        return out[0], out[1], out[2]


def quadrature_likelihood(  # noqa: PLR0913  # the parts of a model
    family: Family,
    observed: Observed,
    *,
    X: Array,
    Z: Array,
    index: Index,
    n_groups: int,
    offset: Array,
    weights: Array,
    n_nodes: int,
) -> QuadratureLikelihood:
    """Return the likelihood of rows.

    Parameters
    ----------
    family, observed
        The response.
    X : array (N, p)
    Z : array (N, q)
        Columns of the group effects, of which q may be zero.
    index : int array (N,)
        Group of each row, of `n_groups`.
    offset, weights : arrays (N,)
        Added to the linear predictor; how often each row counts.
    n_nodes : int
    """
    order = np.argsort(index, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(index, minlength=n_groups))]).astype(np.int64)
    numbers = [np.ascontiguousarray(x[order], dtype=float) for x in (X, Z, observed.y, observed.trials)]
    rows = (
        *numbers,
        np.ascontiguousarray(weights[order], dtype=float),
        np.ascontiguousarray(offset[order], dtype=float),
        np.ascontiguousarray(observed.stratum[order]),
        family.code,
        family.link_function.code,
        starts,
    )
    return QuadratureLikelihood(
        rows=rows, order=order, n_nodes=n_nodes, modes=np.zeros((n_groups, Z.shape[1])), has_order=not family.has_level
    )
