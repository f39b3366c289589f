"""One correlation within units: of any two errors of a unit, or of neighbours in time (`ar1`).

With n rows in a unit, v = sd^2, and J the (n, n) matrix of ones, compound symmetry is::

    R(unit) = v [(1 - rho) I + rho J] = a (I - J / n) + c J / n
    a = v (1 - rho)               variance of every contrast within the unit
    c = v (1 + (n - 1) rho)       n times the variance of the unit's mean

The two matrices I - J / n and J / n are projections onto orthogonal spaces, so that
``R^-1 = (I - J / n) / a + (J / n) / c``: the precision is linear in two fixed matrices per stratum and unit size
(the first is shared by all sizes of a stratum), and log|R| = (n - 1) log a + log c. Seen along these *components* the
errors are independent, with variances a and c in place of those of strata. R is positive definite for
-1 / (n - 1) < rho < 1, so the largest unit of a stratum bounds its correlation from below.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.errors.base import ErrorLayout

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# `Components.size` of the component within units.
WITHIN = 0
# `Components.size` of AR(1) errors, which have no components: two neighbours in time, one step apart, in their place.
NEIGHBOURS = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The C independent components of exchangeable errors: within units, and the mean of units of each size.

    Attributes
    ----------
    strata : tuple of str
        Labels of the strata.
    common_sd : bool
        Whether all strata have one standard deviation.
    stratum : int array (C,)
        Stratum of each component.
    size : int array (C,)
        Rows of the units whose mean it is; zero for the component within units, of every size. `NEIGHBOURS` twice for
        AR(1) errors (`neighbours`).
    """

    strata: tuple[str, ...]
    common_sd: bool
    stratum: Index
    size: Index

    @property
    def is_in_time(self) -> bool:
        """Whether these are two neighbours in time, of AR(1) errors."""
        return _are_neighbours(self.size)

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each component; the same in every table."""
        if self.is_in_time:
            return ("row before", "row")
        return tuple(
            f"{self.strata[s]}, within units" if n == WITHIN else f"{self.strata[s]}, mean of {n} rows"
            for s, n in zip(self.stratum, self.size, strict=True)
        )

    @property
    def n_sd(self) -> int:
        """Number of standard deviations."""
        return 1 if self.common_sd else len(self.strata)

    @property
    def largest(self) -> Index:
        """Rows of the largest unit of each stratum, at least two."""
        out = np.full(len(self.strata), 2, dtype=np.intp)
        np.maximum.at(out, self.stratum, self.size)
        return out

    @property
    def lowest(self) -> Array:
        """Lower bound of the correlation of each stratum (T,): -1 / (n - 1) in units of up to n rows."""
        return np.asarray(-1.0 / (self.largest - 1.0))

    def without_units(self, strata: tuple[str, ...]) -> Components:
        """Return those of no units, in the strata given."""
        none = np.empty(0, dtype=np.intp)
        return self if self.is_in_time else replace(self, strata=strata, stratum=none, size=none)

    def unite(self, other: Components) -> Components:
        """Return the components of both, strata matched by label."""
        if self.is_in_time:
            return self
        strata = self.strata + tuple(label for label in other.strata if label not in self.strata)
        theirs = np.array([strata.index(label) for label in other.strata], dtype=np.intp)[other.stratum]
        keys = np.concatenate([np.stack([self.stratum, self.size], axis=1), np.stack([theirs, other.size], axis=1)])
        stratum, size = np.unique(keys, axis=0).T
        return replace(self, strata=strata, stratum=stratum, size=size)


def _are_neighbours(size: Index) -> bool:
    """Return whether sizes of components (C,) stand for two neighbours of AR(1) errors."""
    return bool(np.any(size == NEIGHBOURS))


def neighbours(label: str) -> Components:
    """Return what AR(1) errors have in place of components: the row before, and the row."""
    return Components(
        strata=(label,), common_sd=True, stratum=np.zeros(2, dtype=np.intp), size=np.full(2, NEIGHBOURS, dtype=np.intp)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The U units of a table.

    Attributes
    ----------
    stratum, size : int arrays (U,)
        Stratum and number of rows of each unit.
    mean : int array (U,)
        Component of the mean of each unit (-1 where no row has it); that within units is its stratum.
    """

    stratum: Index
    size: Index
    mean: Index


def components_of(layout: ErrorLayout) -> tuple[Components, Units]:
    """Return the components of exchangeable errors over a table, and its units."""
    assert layout.unit is not None
    size = np.bincount(layout.unit)
    stratum = np.zeros(len(size), dtype=np.intp)
    stratum[layout.unit] = layout.stratum
    n = len(layout.labels)
    within = np.stack([np.arange(n), np.full(n, WITHIN)], axis=1)
    present = np.flatnonzero(size)
    means, of_unit = np.unique(np.stack([stratum, size], axis=1)[present], axis=0, return_inverse=True)
    mean = np.full(len(size), -1, dtype=np.intp)
    mean[present] = n + of_unit.ravel()
    both = np.concatenate([within, means])
    components = Components(strata=layout.labels, common_sd=layout.common_sd, stratum=both[:, 0], size=both[:, 1])
    return components, Units(stratum=stratum, size=size, mean=mean)


def component_variances(stratum: Index, size: Index, sd: Array, rho: Array) -> Array:
    """Return the variances (..., C) of components, a or c of the module's docstring.

    Parameters
    ----------
    stratum, size : int arrays (C,)
        Of the components.
    sd : array (..., 1) or (..., strata)
    rho : array (..., strata)
    """
    v = (np.broadcast_to(sd, rho.shape) ** 2)[..., stratum]
    r = rho[..., stratum]
    out: Array = v * np.where(size == WITHIN, 1.0 - r, 1.0 + (size - 1.0) * r)
    return out


def covariance_of(stratum: Index, size: Index, sd: Array, rho: Array) -> Array:
    """Return the covariance (..., C, C) of components, diagonal, or of two neighbours of AR(1) errors (..., 2, 2).

    The parameters are those of `component_variances`.
    """
    if _are_neighbours(size):
        v, c = sd**2, sd**2 * rho
        return np.stack([np.concatenate([v, c], axis=-1), np.concatenate([c, v], axis=-1)], axis=-2)
    return diagonal(component_variances(stratum, size, sd, rho))


def diagonal(variances: Array) -> Array:
    """Return diagonal matrices (..., C, C)."""
    C = variances.shape[-1]
    out = np.zeros((*variances.shape, C))
    out[..., np.arange(C), np.arange(C)] = variances
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinUnits:
    """Parameters of exchangeable errors: their correlation in each of T strata, and the C components it decides.

    Of AR(1) errors, the correlation of rows one step of time apart, in one stratum, and two neighbours as components.

    Attributes
    ----------
    strata : tuple of str
        Labels of the T strata.
    component_stratum : int array (C,)
    component_size : int array (C,)
        As in `Components`: rows of the units, zero within units.
    rest : array (C,)
        1 + (size - 1) lowest, the variance of a component of means over v where rho is lowest; zero for the largest.
    sd_of_stratum : int array (T,)
        Which of the error standard deviations is that of the stratum.
    lowest : array (T,)
        Lower bound of rho.
    is_free : bool array (T,)
        Whether rho is unknown.
    eta : array (T,)
        Shape of its prior, beta(eta, eta) over (lowest, 1).
    fixed : array (T,)
        rho where it is known.
    """

    strata: tuple[str, ...]
    component_stratum: NDArray[np.int64]
    component_size: NDArray[np.int64]
    rest: Array
    sd_of_stratum: NDArray[np.int64]
    lowest: Array
    is_free: NDArray[np.bool_]
    eta: Array
    fixed: Array

    @property
    def arrays(self) -> tuple[NDArray[np.generic], ...]:
        """The arrays in the order of `variances.record.WithinRecord`."""
        return (
            self.component_stratum,
            self.component_size,
            self.rest,
            self.sd_of_stratum,
            self.lowest,
            self.is_free,
            self.eta,
            self.fixed,
        )

    def correlations(self, u: Array) -> Array:
        """Return rho (S, T) at the last elements of S unconstrained vectors, (S, free)."""
        rho = np.tile(self.fixed, (len(u), 1))
        above, below = (distance[:, self.is_free] for distance in self._distances(u))
        rho[:, self.is_free] = np.where(u < 0, self.lowest[self.is_free] + below, 1.0 - above)
        return rho

    def _distances(self, u: Array) -> tuple[Array, Array]:
        """Return 1 - rho and rho - lowest, both (S, T), with all their digits near either end of the interval."""
        above, below = np.tile(1.0 - self.fixed, (len(u), 1)), np.tile(self.fixed - self.lowest, (len(u), 1))
        x, width = np.clip(u, -350.0, 350.0), 1.0 - self.lowest[self.is_free]
        above[:, self.is_free] = width / (1.0 + np.exp(2.0 * x))
        below[:, self.is_free] = width / (1.0 + np.exp(-2.0 * x))
        return above, below

    def covariance_at(self, error_sd: Array, u: Array) -> Array:
        """Return the covariance (S, C, C) of the components, from sds (S, 1 or T) and the vectors of `correlations`.

        It keeps its digits, and is positive, where rho is so near a bound that no double is between them.
        """
        if self.is_in_time:
            return self.covariance(error_sd, self.correlations(u))
        above, below = (distance[:, self.component_stratum] for distance in self._distances(u))
        variance = error_sd[:, self.sd_of_stratum[self.component_stratum]] ** 2
        mean = self.rest + (self.component_size - 1.0) * below
        return diagonal(variance * np.where(self.component_size == WITHIN, above, mean))

    def covariance(self, error_sd: Array, rho: Array) -> Array:
        """Return the covariance (..., C, C) of the components, from sds (..., 1 or T) and rho (..., T)."""
        return covariance_of(self.component_stratum, self.component_size, error_sd, rho)

    @property
    def is_in_time(self) -> bool:
        """Whether errors are AR(1): rho is the correlation of rows one step of time apart."""
        return _are_neighbours(self.component_size)

    def of_rows(self, error_cov: Array) -> Array:
        """Return variance v and covariance rho v of two rows of a unit, by stratum: (..., T, 2).

        Of the diagonal covariances (..., C, C) of the components: rho v = (c - a) / n with the largest n. Of AR(1)
        errors those of rows one step apart.
        """
        if self.is_in_time:
            return np.asarray(error_cov[..., :1, :])
        variance = np.diagonal(error_cov, axis1=-2, axis2=-1)
        out = np.empty((*variance.shape[:-1], len(self.strata), 2))
        for t in range(len(self.strata)):
            size = np.where(self.component_stratum == t, self.component_size, -1)
            within = variance[..., int(np.flatnonzero(size == WITHIN)[0])]
            covariance = (variance[..., int(size.argmax())] - within) / size.max()
            out[..., t, 0], out[..., t, 1] = within + covariance, covariance
        return out

    def unconstrained(self, rho: Array) -> Array:
        """Return u of the free correlations among rho (T,), kept off the ends of their intervals."""
        w = ((rho - self.lowest) / (1.0 - self.lowest))[self.is_free]
        w = np.clip(w, 1e-12, 1.0 - 1e-12)
        return np.asarray(0.5 * np.log(w / (1.0 - w)))


def no_units() -> WithinUnits:
    """Return what stands for errors that are not exchangeable: no strata and no components."""
    ints, floats = np.empty(0, dtype=np.int64), np.empty(0)
    return WithinUnits(
        strata=(),
        component_stratum=ints,
        component_size=ints,
        rest=floats,
        sd_of_stratum=ints,
        lowest=floats,
        is_free=np.empty(0, dtype=np.bool_),
        eta=floats,
        fixed=floats,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitsOfSize:
    """The m units of one stratum that have n rows each.

    Attributes
    ----------
    stratum, size : int
    unit : int array (m,)
    rows : int array (m, n)
    """

    stratum: int
    size: int
    unit: Index
    rows: Index


def units_by_size(layout: ErrorLayout) -> tuple[UnitsOfSize, ...]:
    """Return the units of exchangeable errors, by stratum and number of rows."""
    assert layout.unit is not None
    _, units = components_of(layout)
    order = np.argsort(layout.unit, kind="stable")
    first = np.concatenate([[0], np.cumsum(units.size)[:-1]])
    out = []
    for component in np.unique(units.mean[units.mean >= 0]):
        mine = np.flatnonzero(units.mean == component)
        n = int(units.size[mine[0]])
        out.append(
            UnitsOfSize(
                stratum=int(units.stratum[mine[0]]), size=n, unit=mine, rows=order[first[mine][:, None] + np.arange(n)]
            )
        )
    return tuple(out)
