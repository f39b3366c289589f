"""What is measured, in the same way for every engine: effective sample sizes, time and memory."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import xarray as xr


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One engine on one case. Seconds and MiB; None where a quantity does not exist or was not measured.

    Attributes
    ----------
    engine, variant, case : str
    note : str
        Why there are no numbers, or what to know about them.
    estimate_seconds : float
        REML, from formula and table in memory to the estimate (median where repeated).
    total_seconds : float
        Posterior, from formula and table in memory to the printed summary (median where repeated).
    compile_seconds : float
        Part of `total_seconds` that builds and compiles the model.
    cpu_seconds : float
        Processor time behind `total_seconds` (`estimate_seconds`, for engines without one): all threads
        and child processes. Less than the cores times the wall time where something else was running.
    fresh_seconds : float
        A fresh process from its start to its end: import, read the CSV, fit, print.
    fresh_parts : dict
        What the fresh process itself says about it.
    min_ess : float
        Smallest bulk effective sample size over variance parameters and population coefficients.
    min_ess_of : str
        The parameter that has it.
    max_rhat : float
    divergences : int
    peak_mib : float
        Largest resident memory during the timed posterior above what was resident just before it, with the
        table loaded.
    estimate_peak_mib : float
        The same for REML.
    gradient_ms : float
    gradients : int
        All chains, warm-up included.
    gradients_kept : int
        After warm-up.
    repeats : int
    values : dict
        Estimates or posterior means, to see that the engines fitted the same thing.
    """

    engine: str
    variant: str = ""
    case: str = ""
    note: str = ""
    estimate_seconds: float | None = None
    total_seconds: float | None = None
    compile_seconds: float | None = None
    cpu_seconds: float | None = None
    fresh_seconds: float | None = None
    fresh_parts: dict[str, float] = field(default_factory=dict)
    min_ess: float | None = None
    min_ess_of: str = ""
    max_rhat: float | None = None
    divergences: int | None = None
    peak_mib: float | None = None
    estimate_peak_mib: float | None = None
    gradient_ms: float | None = None
    gradients: int | None = None
    gradients_kept: int | None = None
    repeats: int = 1
    values: dict[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Engine and variant."""
        return f"{self.engine} {self.variant}".strip()

    @property
    def ess_per_second(self) -> float | None:
        """Smallest bulk effective sample size per second of total time."""
        if self.min_ess is None or not self.total_seconds:
            return None
        return self.min_ess / self.total_seconds

    @property
    def ess_per_cpu_second(self) -> float | None:
        """Smallest bulk effective sample size per second of processor time."""
        if self.min_ess is None or not self.cpu_seconds:
            return None
        return self.min_ess / self.cpu_seconds


def save(measured: Sequence[Measured], path: Path) -> None:
    """Write results as JSON."""
    path.write_text(json.dumps([asdict(one) for one in measured], indent=1), encoding="utf-8")


def load(path: Path) -> list[Measured]:
    """Read results that `save` wrote."""
    known = {f.name for f in fields(Measured)}
    entries = json.loads(path.read_text(encoding="utf-8"))
    return [Measured(**{name: value for name, value in one.items() if name in known}) for one in entries]


def scalar_draws(posterior: xr.Dataset, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return draws (chain, draw) of each element, without constants and the lower half of matrices."""
    out: dict[str, np.ndarray] = {}
    for name in names:
        array = posterior[name].transpose("chain", "draw", ...)
        values = array.to_numpy()
        for place in np.ndindex(values.shape[2:]):
            if len(place) == 2 and place[0] >= place[1]:
                continue
            labels = [
                str(array[dim].to_numpy()[i]) if dim in array.coords else str(i)
                for dim, i in zip(array.dims[2:], place, strict=True)
            ]
            draws = values[(slice(None), slice(None), *place)]
            if np.ptp(draws) > 0:
                out[f"{name}[{', '.join(labels)}]" if labels else name] = draws
    return out


def convergence(draws: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the fields of `Measured` that come from draws (chain, draw) of scalar parameters."""
    from arviz_stats.base import array_stats

    axes = {"chain_axis": 0, "draw_axis": 1}
    ess = {name: float(array_stats.ess(values, method="bulk", **axes)) for name, values in draws.items()}
    rhat = [float(array_stats.rhat(values, **axes)) for values in draws.values()]
    worst = min(ess, key=lambda name: ess[name])
    return {
        "min_ess": ess[worst],
        "min_ess_of": worst,
        "max_rhat": max(rhat),
        "values": {name: float(values.mean()) for name, values in draws.items()},
    }


def cpu_clock() -> float:
    """Return the processor time of this process and of its children that have ended, in seconds."""
    now = os.times()
    return now.user + now.system + now.children_user + now.children_system


@contextmanager
def peak_memory() -> Iterator[dict[str, float]]:
    """Measure the largest resident memory inside the block above that at its start; MiB under "above".

    Freed memory is given back first, so that the block cannot reuse it unseen. On Linux the kernel's own
    high-water mark is then reset (`VmHWM` of /proc/self/status), which misses nothing. Elsewhere, or where
    that is not allowed, a thread reads the resident memory every 2 ms.
    """
    out: dict[str, float] = {}
    _give_back_freed_memory()
    if _reset_high_water_mark():
        before = _status("VmRSS")
        yield out
        out["above"] = _status("VmHWM") - before
        return
    import psutil

    process, peak, stop = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not stop.is_set():
            peak[0] = max(peak[0], process.memory_info().rss)
            time.sleep(0.002)

    before_bytes = process.memory_info().rss
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield out
    stop.set()
    thread.join()
    out["above"] = (peak[0] - before_bytes) / 2**20


def _give_back_freed_memory() -> None:
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _reset_high_water_mark() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return _status("VmHWM") < _status("VmRSS") + 1.0


def _status(name: str) -> float:
    """Return a field of /proc/self/status in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return float(line.split()[1]) / 1024.0
    raise OSError(f"/proc/self/status has no field {name}")
