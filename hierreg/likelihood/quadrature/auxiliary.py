"""The further parameters of a family: dispersions by stratum, and thresholds of ordered categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.priors import Fixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_STEP = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """

    names: tuple[str, ...]
    strata: tuple[str, ...]
    priors: tuple[tuple[Any, ...], ...]
    has_order: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Strata and parameters of each."""
        return len(self.strata), len(self.priors[0]) if self.priors else 0

    @property
    def flat(self) -> Sequence[Any]:
        """The priors, stratum by stratum."""
        return [prior for row in self.priors for prior in row]

    @property
    def compiled_priors(self) -> tuple[NDArray[np.int64], Array]:
        """Codes (T m,) and parameters (T m, 2) of the priors; of thresholds the code is -1, mean and sd follow."""
        if self.has_order:
            return np.full(len(self.flat), -1, dtype=np.int64), np.array([(one.mu, one.sigma) for one in self.flat])
        codes = np.array([one.code for one in self.flat], dtype=np.int64)
        return codes, np.array([one.parameters for one in self.flat], dtype=float).reshape(-1, 2)

    @property
    def is_free(self) -> NDArray[np.bool_]:
        """Which values are not constants, flat (T m,)."""
        return np.array([not isinstance(prior, Fixed) for prior in self.flat], dtype=bool)

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
        with np.errstate(over="ignore"):
            out[..., self.is_free] = np.exp(w)
        return out.reshape(*w.shape[:-1], *self.shape)

    def unconstrained(self, values: Array) -> Array:
        """Return w (n,) at values (T, m)."""
        if self.has_order:
            return np.concatenate([values[0, :1], np.log(np.diff(values[0]))])
        return np.log(values.ravel()[self.is_free])

    def jacobian(self, w: Array) -> Array:
        """Return the derivatives (T m, n) of the values in w (n,)."""
        values = self.natural(w).ravel()
        if self.has_order:
            slopes = np.concatenate([[1.0], np.exp(w[1:])]) if len(w) else w
            return np.tril(np.ones((len(w), len(w)))) * slopes
        return np.asarray(np.diag(values)[:, self.is_free])

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
        free = [prior for prior, one in zip(self.flat, self.is_free, strict=True) if one]
        value, slope = float(np.sum(w)), np.ones(len(w))
        for i, prior in enumerate(free):
            at, high, low = (float(prior.log_density(np.exp(w[i] + h))) for h in (0.0, _STEP, -_STEP))
            value += at
            slope[i] += (high - low) / (2 * _STEP)
        return value, slope

    def arrays(self, values: Array) -> dict[str, tuple[tuple[str, ...], Array]]:
        """Return values (..., T, m) by name: their own dimensions, which stand last, and the values."""
        if self.has_order:
            return {self.names[0]: (("threshold",), values[..., 0, :])}
        if len(self.strata) == 1:
            return {name: ((), values[..., 0, m]) for m, name in enumerate(self.names)}
        return {name: (("stratum",), values[..., m]) for m, name in enumerate(self.names)}

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
        T, m = self.shape
        if self.has_order:
            return tuple(f"{self.names[0]}[{k + 1}]" for k in range(m))
        out = [name if T == 1 else f"{name}[{stratum}]" for stratum in self.strata for name in self.names]
        return tuple(name for name, free in zip(out, self.is_free, strict=True) if free)
