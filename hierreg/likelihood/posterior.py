"""The log posterior density of the unconstrained variance parameters as a Python function."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hierreg.compiled import densities
from hierreg.compiled.addresses import AddressTable, PerThread
from hierreg.likelihood.posterior_record import PosteriorRecord
from hierreg.variances.parameters import covariances
from hierreg.variances.record import record_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.compiled.addresses import NativeLikelihood
    from hierreg.likelihood.engines import Likelihood
    from hierreg.likelihood.groups.engine import MarginalLikelihood
    from hierreg.variances.parameters import VarianceParameters
    from hierreg.variances.record import VarianceRecord

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """log p(u | y) up to the evidence, for u as `variances.parameters.VarianceParameters` defines it.

    Attributes
    ----------
    parameters : VarianceParameters
    likelihood : MarginalLikelihood or CrossedLikelihood
    prior_on : bool
        Add the log prior of the variance parameters.
    natural : bool
        Density of sds and correlations themselves rather than of u: its maximum is the MAP estimate.
    sd_unit : array (q + D,) or None
        Where positive, u of that column is a signed standard deviation, sd = |unit sinh(u)|, and the partial
        correlations of a column change their signs with its u (`sampling.signed`); else, and for None, log sd.
    """

    parameters: VarianceParameters
    likelihood: Likelihood
    prior_on: bool = True
    natural: bool = False
    sd_unit: Array | None = None
    _mine: PerThread = field(init=False, default_factory=PerThread, repr=False, compare=False)

    def __call__(self, u: Array) -> tuple[float, Array]:
        """Return the log density of u (n_free,) and its gradient (n_free,)."""
        found = self._mine.once("evaluate", self._evaluate)(u)
        if found[0] == -np.inf:
            exact = self._by_rows()
            return found if exact is self else exact(u)
        return found

    def _evaluate(self) -> Callable[[Array], tuple[float, Array]]:
        """Return the density as a function of this thread: on several threads where groups are many."""
        if self.likelihood.is_large:
            # Of a copy: nothing here is to keep itself alive.
            return partial(Target._in_chunks, replace(self), cast("MarginalLikelihood", self.likelihood))
        return self.evaluator()

    def _by_rows(self) -> Target:
        """Return the target whose likelihood has all digits; itself where it has them."""
        by_rows = self.likelihood.by_rows()
        if by_rows is self.likelihood:
            return self
        return self._mine.once("exact", lambda: replace(self, likelihood=by_rows))

    def with_digits_at(self, u: Array) -> Target:
        """Return a target that compiled samplers can use around u (n_free,), of log sds, without losing digits."""
        cov = covariances(self.parameters, u[None])
        has_digits = self.likelihood.has_digits_around(cov.Lambda[0], cov.error_cov[0])
        return self if has_digits else self._by_rows()

    def native(self, centre: Array, scale: Array) -> tuple[int, AddressTable] | None:
        """Return the address of the compiled function and its table, for the density of x, u = centre + scale x.

        None of crossed factors, which have room for one thread.
        """
        if self.likelihood.needs_room:
            return None
        return int(_entry(self._kind).address), self.table(centre=centre, scale=scale)

    def on_threads(self, threads: int) -> Target:
        """Return the target with a likelihood that may use so many threads."""
        return replace(self, likelihood=replace(self.likelihood, threads=threads))

    def with_signed(self, unit: Array) -> Target:
        """Return the target in coordinates of which some are signed standard deviations (see `sd_unit`)."""
        return replace(self, sd_unit=unit)

    def evaluator(self) -> Callable[[Array], tuple[float, Array]]:
        """Return the density as a function with room of its own, for one thread at a time.

        A thread that Python did not start forgets between calls what `__call__` keeps for it.
        """
        table = self.table(native=replace(self.likelihood).native())
        return densities.evaluator(self._function, self.parameters.n_free, table)

    def values(self, points: Array, *, threads: int = 1, after: Callable[[int], None] | None = None) -> Array:
        """Return the log densities (n,) of many points (n, n_free), without gradients.

        Parameters
        ----------
        points : array (n, n_free)
        threads : int
            Each value is found by itself, so that the number of threads changes none.
        after : callable, optional
            Called with the number of each point of positive density, by the thread that evaluated it.
        """

        def table_of(k: int) -> AddressTable:
            return self.table(n_points=k, with_gradient=False)

        threads = 1 if self.likelihood.has_all_threads else threads
        return densities.values(self._function, points, self.parameters.n_free, table_of, threads, after)

    def table(
        self,
        *,
        centre: Array | None = None,
        scale: Array | None = None,
        n_points: int = 1,
        with_gradient: bool = True,
        native: NativeLikelihood | None = None,
    ) -> AddressTable:
        """Return the table that `posterior_entry.log_densities` reads, for one thread where factors are crossed.

        Parameters
        ----------
        centre, scale : arrays (n_free,), (n_free, n_free), or None
            The density is one of x, u = centre + scale x; None for u itself.
        n_points : int
            Points to be evaluated in each call.
        with_gradient : bool
        native : NativeLikelihood or None
            That of this thread by default.
        """
        n = self.parameters.n_free
        native, errors = self.likelihood.native() if native is None else native, self.likelihood.errors
        function, own_table = native.addresses
        record = PosteriorRecord(
            variances=self._variances,
            to_internal=self.parameters.to_internal(self.likelihood.z_map_inverse),
            function=function,
            table=own_table,
            centre=np.zeros(n) if centre is None else centre,
            scale=np.eye(n) if scale is None else scale,
            prior_on=self.prior_on,
            natural=self.natural,
            n_points=n_points,
            wanted=with_gradient,
            columns=errors.columns,
            gaps=errors.terms.gaps,
            patterns=errors.terms.patterns,
            counts=errors.terms.counts,
            n_terms=errors.n_terms,
        )
        return AddressTable(record, keep=native)

    def _in_chunks(self, likelihood: MarginalLikelihood, u: Array) -> tuple[float, Array]:
        """Return what the kernel does, with the likelihood on several threads."""
        from hierreg.variances import kernels

        u = np.ascontiguousarray(u, dtype=float)
        variances, z_map_inverse = self._variances, self.parameters.to_internal(likelihood.z_map_inverse)
        gradient = np.zeros(len(u))
        point = kernels.room_for_covariances(u, variances)
        value, first = kernels.covariances_at(u, variances, z_map_inverse, self.prior_on, self.natural, point, gradient)
        Lambda, S = point[3:]
        errors = likelihood.errors
        g_Lambda, g_omega = np.empty_like(Lambda), np.empty(errors.n_terms)
        value += likelihood.evaluate(Lambda, errors.weights(S), g_Lambda, g_omega)
        if not np.isfinite(value):
            return -np.inf, np.zeros(len(u))
        g_S = errors.gradient(S, g_omega)
        kernels.add_gradient_of_covariances(u, variances, z_map_inverse, point, first, g_Lambda, g_S, gradient)
        return float(value), gradient

    @property
    def _variances(self) -> VarianceRecord:
        return record_of(self.parameters, self.sd_unit)

    @property
    def _kind(self) -> str:
        """What is correlated: nothing, errors of data sets, or errors within units."""
        if self.parameters.within_units.strata:
            return "posterior"
        return "uncorrelated" if self.likelihood.errors.is_diagonal else "correlated"

    @property
    def _function(self) -> Any:
        return _log_densities(self._kind)


def _entry(kind: str) -> Any:
    """Return the compiled function where nothing else is correlated; it takes less to compile."""
    return import_module(f"hierreg.likelihood.{kind}_entry").log_densities


@cache
def _log_densities(kind: str) -> Any:
    """Return the compiled function as one of Python, which lets other threads run."""
    return densities.as_function(_entry(kind).address)
