"""What a worked model is made of, and how its expected answers are compared with what hierreg finds."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import hierreg as hr

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    import xarray as xr
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One answer that is known from elsewhere, and how to get it from hierreg.

    Attributes
    ----------
    name : str
    kind : {"closed form", "other software", "truth"}
        Truth: of a simulation.
    source : str
        The formula and where it is from; or software, version and call; or the generator.
    value : float or array
    found : callable
        Returns the same from a fit; draws (chain, draw, ...) where the tolerance is `mc_errors` or `sds`.
    relative, absolute : float
        Allowed deviation; both together add.
    mc_errors : float
        Allowed deviation of the mean of the draws, in their Monte-Carlo standard errors.
    sds : float
        Allowed deviation of the mean of the draws, in posterior standard deviations.
    """

    name: str
    kind: Literal["closed form", "other software", "truth"]
    source: str
    value: Any
    found: Callable[[], Any]
    relative: float = 0.0
    absolute: float = 0.0
    mc_errors: float = 0.0
    sds: float = 0.0

    @property
    def tolerance(self) -> str:
        """The tolerance in words."""
        parts = [
            (self.relative, f"{self.relative:.0e} relative"),
            (self.absolute, f"{self.absolute:.3g}"),
            (self.mc_errors, f"{self.mc_errors:g} Monte-Carlo errors"),
            (self.sds, f"{self.sds:g} posterior sds"),
        ]
        return " + ".join(text for size, text in parts if size > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an expectation; of an array, the entry that uses most of its tolerance."""

    expectation: Expectation
    expected: float
    found: float
    allowed: float
    n_values: int
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All outcomes of one worked model, with its size and the seconds that it took."""

    name: str
    rows: int
    groups: int
    coefficients: int
    outcomes: tuple[Outcome, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every expectation was met."""
        return all(outcome.passed for outcome in self.outcomes)


def names() -> tuple[str, ...]:
    """Return the names of the worked models: the folders beside this file."""
    return tuple(sorted({path.parent.name for path in HERE.glob("*/*") if path.suffix in {".md", ".py"}}))


def part(name: str, file: str) -> ModuleType:
    """Return a module of a worked model: ``model``, ``expected``, ``tables``."""
    return import_module(f"models.{name}.{file}")


def expectations(name: str) -> tuple[Expectation, ...]:
    """Return the expected answers of a worked model."""
    return tuple(part(name, "expected").expectations())


def run(name: str) -> Run:
    """Return the outcome of every expectation of a worked model."""
    start = time.perf_counter()
    model = part(name, "model").build()
    outcomes = tuple(compare(expectation) for expectation in expectations(name))
    seconds = time.perf_counter() - start
    estimate = model.estimate()
    return Run(
        name=name,
        rows=len(part(name, "model").data()),
        groups=sum(effects.shape[0] for effects in estimate.b.values()),
        coefficients=sum(effects.size for effects in estimate.b.values()) + estimate.beta.size,
        outcomes=outcomes,
        seconds=seconds,
    )


def compare(expectation: Expectation) -> Outcome:
    """Return expected beside found, at the entry that uses most of its tolerance."""
    value = np.asarray(expectation.value, dtype=float)
    found, allowed = _found(expectation, value)
    if found.shape != value.shape:
        raise ValueError(f"{expectation.name}: expected has shape {value.shape}, found {found.shape}")
    gap = np.abs(found - value)
    with np.errstate(divide="ignore", invalid="ignore"):
        used = np.where(gap == 0, 0.0, gap / allowed)
    worst = int(np.argmax(used)) if np.all(np.isfinite(found)) else int(np.argmin(np.isfinite(found)))
    return Outcome(
        expectation=expectation,
        expected=float(value.flat[worst]),
        found=float(found.flat[worst]),
        allowed=float(np.broadcast_to(allowed, value.shape).flat[worst]),
        n_values=value.size,
        passed=bool(np.all(used <= 1)),
    )


def _found(expectation: Expectation, value: Array) -> tuple[Array, Array]:
    """Return what was found and the deviation that is allowed, both in the shape of the value."""
    found = np.asarray(expectation.found(), dtype=float)
    allowed = expectation.absolute + expectation.relative * np.abs(value)
    if expectation.mc_errors == 0 and expectation.sds == 0:
        return found, allowed
    if expectation.mc_errors > 0:
        allowed = allowed + expectation.mc_errors * mcse(found)
    allowed = allowed + expectation.sds * found.std(axis=(0, 1), ddof=1)
    return found.mean(axis=(0, 1)), allowed


def mcse(draws: Array) -> Array:
    """Return the Monte-Carlo standard error of the mean of draws (chain, draw, ...)."""
    import arviz_stats

    flat = draws.reshape(*draws.shape[:2], -1)
    errors = [float(arviz_stats.mcse(flat[..., i], method="mean")) for i in range(flat.shape[2])]
    return np.array(errors).reshape(draws.shape[2:])


def sample(model: hr.Model, *, seed: int = 1, draws: int = 1000, **options: Any) -> xr.DataTree:
    """Return 4 x 1000 draws without a progress bar.

    A variance estimate on the boundary is what some of the worked models are about, so that it needs no warning.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hr.exceptions.BoundaryWarning)
        return model.sample(draws=draws, seed=seed, cores=2, progress=False, **options)
