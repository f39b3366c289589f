"""The further parameters of a family: dispersions by stratum, and thresholds of ordered categories."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.likelihood.quadrature.psi_kernels import COMMON
from hierreg.priors import Fixed
from hierreg.priors.above import log_mass_above

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_STEP = 1e-5


@dataclass(frozen=True, kw_only=True)
class Auxiliary:
    """Values (T, m) of T strata, of which those without a fixed value are sampled as w (n,).

    Attributes
    ----------
    names : tuple of str (m,)
    strata : tuple of str (T,)
    priors : tuple of tuples (T, m)
        Of the natural values; `Fixed` where they are constants.
    has_order : bool
        Thresholds: one stratum, whose m values increase. Their priors are normal.
    common : tuple of str
        Names of those that have one value in all strata: the first stratum's.
    lowest : dict name -> float
        Bounds above which priors are restricted, where they are not zero: w is the logarithm of the excess.
    """

    names: tuple[str, ...]
    strata: tuple[str, ...]
    priors: tuple[tuple[Any, ...], ...]
    has_order: bool = False
    common: tuple[str, ...] = ()
    lowest: Mapping[str, float] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Strata and parameters of each."""
        return len(self.strata), len(self.priors[0]) if self.priors else 0

    @property
    def flat(self) -> Sequence[Any]:
        """The priors, stratum by stratum."""
        return [prior for row in self.priors for prior in row]

    @cached_property
    def compiled_priors(self) -> tuple[NDArray[np.int64], Array]:
        """Codes (T m,) of the priors, and parameters (T m, 4): two, the bound, and the log of the mass above it.

        Of thresholds the code is -1, mean and sd follow (T m, 2).
        """
        if self.has_order:
            return np.full(len(self.flat), -1, dtype=np.int64), np.array([(one.mu, one.sigma) for one in self.flat])
        codes = np.array([one.code for one in self.flat], dtype=np.int64)
        codes[self._is_common & (self._place >= 0)] = COMMON
        parameters = np.array([one.parameters for one in self.flat], dtype=float).reshape(-1, 2)
        return codes, np.column_stack([parameters, self._bounds, self._log_masses])

    @cached_property
    def _bounds(self) -> Array:
        """The bound of each value (T m,); zero of constants."""
        bounds = np.tile([self.lowest.get(name, 0.0) for name in self.names], len(self.strata)).astype(float)
        return np.where(self.is_constant, 0.0, bounds)

    @cached_property
    def _log_masses(self) -> Array:
        """The log of what each prior has above its bound (T m,)."""
        return np.array(
            [
                log_mass_above(prior, bound) if bound else 0.0
                for prior, bound in zip(self.flat, self._bounds, strict=True)
            ]
        )

    @cached_property
    def _is_common(self) -> NDArray[np.bool_]:
        """Which values (T m,) are those of the first stratum."""
        T, m = self.shape
        is_common = np.array([name in self.common for name in self.names[:m]], dtype=bool)
        if self.has_order or not m:
            return np.zeros(T * m, dtype=bool)
        return np.asarray((np.repeat(np.arange(T), m) > 0) & np.tile(is_common, T))

    @cached_property
    def is_constant(self) -> NDArray[np.bool_]:
        """Which values have no element of w behind them, flat (T m,)."""
        return np.array([isinstance(prior, Fixed) for prior in self.flat], dtype=bool)

    @cached_property
    def is_free(self) -> NDArray[np.bool_]:
        """Which values have an element of w of their own, flat (T m,)."""
        return ~self.is_constant & ~self._is_common

    @cached_property
    def _place(self) -> NDArray[np.intp]:
        """The element of w behind each value (T m,); -1 of constants."""
        place, m = np.where(self.is_free, np.cumsum(self.is_free) - 1, -1), self.shape[1]
        return np.where(self._is_common, place[np.arange(len(place)) % m], place) if m else place

    @property
    def n(self) -> int:
        """Number of free values."""
        return int(self.is_free.sum())

    def natural(self, w: Array) -> Array:
        """Return the values (..., T, m) at w (..., n)."""
        if self.has_order:
            steps = np.concatenate([w[..., :1], np.exp(w[..., 1:])], axis=-1)
            return np.cumsum(steps, axis=-1)[..., None, :]
        out = np.empty((*w.shape[:-1], len(self.flat)))
        out[...] = [prior.value if isinstance(prior, Fixed) else 1.0 for prior in self.flat]
        moves = self._place >= 0
        with np.errstate(over="ignore"):
            out[..., moves] = self._bounds[moves] + np.exp(w[..., self._place[moves]])
        return out.reshape(*w.shape[:-1], *self.shape)

    def unconstrained(self, values: Array) -> Array:
        """Return w (n,) at values (T, m)."""
        if self.has_order:
            return np.concatenate([values[0, :1], np.log(np.diff(values[0]))])
        return np.log((values.ravel() - self._bounds)[self.is_free])

    def jacobian(self, w: Array) -> Array:
        """Return the derivatives (T m, n) of the values in w (n,)."""
        values = self.natural(w).ravel()
        if self.has_order:
            slopes = np.concatenate([[1.0], np.exp(w[1:])]) if len(w) else w
            return np.tril(np.ones((len(w), len(w)))) * slopes
        return np.asarray((values - self._bounds)[:, None] * (self._place[:, None] == np.arange(len(w))))

    def log_prior(self, w: Array) -> tuple[float, Array]:
        """Return the log prior density of w (n,), with its Jacobian, and the gradient (n,)."""
        if not len(w):
            return 0.0, np.zeros(0)
        if self.has_order:
            values, J = self.natural(w).ravel(), self.jacobian(w)
            value, slope = float(np.sum(w[1:])), np.zeros(len(w))
            slope[1:] = 1.0
            for k, prior in enumerate(self.flat):
                value += float(prior.log_density(values[k]))
                high, low = (float(prior.log_density(values[k] + h)) for h in (_STEP, -_STEP))
                slope += (high - low) / (2 * _STEP) * J[k]
            return value, slope
        free = np.flatnonzero(self.is_free)
        value, slope = float(np.sum(w)) - float(np.sum(self._log_masses[free])), np.ones(len(w))
        for i, k in enumerate(free.tolist()):
            bound, prior = self._bounds[k], self.flat[k]
            at, high, low = (float(prior.log_density(bound + np.exp(w[i] + h))) for h in (0.0, _STEP, -_STEP))
            value += at
            slope[i] += (high - low) / (2 * _STEP)
        return value, slope

    def arrays(self, values: Array) -> dict[str, tuple[tuple[str, ...], Array]]:
        """Return values (..., T, m) by name: their own dimensions, which stand last, and the values."""
        if self.has_order:
            return {self.names[0]: (("threshold",), values[..., 0, :])}
        return {
            name: (("stratum",), values[..., m]) if self.has_strata(name) else ((), values[..., 0, m])
            for m, name in enumerate(self.names)
        }

    def has_strata(self, name: str) -> bool:
        """Return whether a parameter has a value for each stratum."""
        return len(self.strata) > 1 and name not in self.common

    @property
    def coords(self) -> dict[str, list[object]]:
        """Labels of the dimensions of `arrays`."""
        return {"threshold": list(range(1, self.shape[1] + 1)), "stratum": list(self.strata)}

    @property
    def result_names(self) -> tuple[str, ...]:
        """Names of the variables and dimensions of `arrays`."""
        values = np.empty(self.shape)
        dims = [dim for own, _ in self.arrays(values).values() for dim in own] if self.names else []
        return (*self.names, *dict.fromkeys(dims))

    @property
    def free_names(self) -> tuple[str, ...]:
        """Public name of each element of w."""
        if self.has_order:
            return tuple(f"{self.names[0]}[{k + 1}]" for k in range(self.shape[1]))
        out = [
            f"{name}[{stratum}]" if self.has_strata(name) else name for stratum in self.strata for name in self.names
        ]
        return tuple(name for name, free in zip(out, self.is_free, strict=True) if free)
