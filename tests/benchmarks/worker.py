"""Starting one engine in a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.data import CASES, Case

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.measure import Measured

ROOT = Path(__file__).resolve().parents[2]


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class EngineError(RuntimeError):
    """An engine ended with an error or ran out of time; the message is the note in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a worker process is asked to do.

    Attributes
    ----------
    mode : str
        "warm": import and run a small model first, then time fits of the table in memory.
        "fresh": do only what a user's script does; the caller times the process.
    csv, warm_up_csv : str
    case : str
    variant : str
    draws, repeats : int
    out : str
        Where the worker writes its results (JSON).
    """

    mode: str
    csv: str
    warm_up_csv: str
    case: str
    variant: str
    draws: int
    repeats: int
    out: str

    @classmethod
    def from_argv(cls) -> Task:
        """Return the task that this process was started with."""
        return cls(**json.loads(sys.argv[1]))


def run_python(module: str, task: Task, *, timeout: float) -> float:
    """Run ``python -m module`` on a task and return the seconds from its start to its end."""
    return run([sys.executable, "-W", "ignore", "-m", module, json.dumps(asdict(task))], timeout=timeout)


def run(command: list[str], *, timeout: float) -> float:
    """Run a command from the root of the project and return the seconds from its start to its end.

    Raises
    ------
    EngineError
        If it fails or takes longer than `timeout` seconds.
    """
    # With the variable set, every import would compile its source anew, where installed packages keep bytecode.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begin = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            timeout=timeout,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"stopped after {timeout:.0f} s") from None
    if done.returncode != 0:
        tail = " / ".join(done.stderr.strip().splitlines()[-4:])
        raise EngineError(f"failed (exit {done.returncode}): {tail[:400]}")
    return time.perf_counter() - begin


def serve(
    *,
    imports: tuple[str, ...],
    fit_and_print: Callable[[Task, Case, Any], object],
    warm: Callable[[Task, Case], Measured],
) -> None:
    """Do the task that this process was started with.

    Parameters
    ----------
    imports : tuple of str
        What a user's script imports.
    fit_and_print : callable
        From formula and table to the printed summary.
    warm : callable
        Fits a small model first, then times fits of the table in memory.
    """
    task = Task.from_argv()
    case = CASES[task.case]
    if task.mode == "warm":
        from tests.benchmarks.measure import save

        save([warm(task, case)], Path(task.out))
        return
    begin = time.perf_counter()
    for name in imports:
        importlib.import_module(name)
    imported = time.perf_counter()
    import pandas as pd

    table = pd.read_csv(task.csv)
    read = time.perf_counter()
    fit_and_print(task, case, table)
    parts = {"import": imported - begin, "read": read - imported, "fit": time.perf_counter() - read}
    Path(task.out).write_text(json.dumps(parts), encoding="utf-8")
