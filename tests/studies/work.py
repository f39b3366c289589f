"""Work that tests give to processes."""

import os
import signal
from pathlib import Path

import xarray as xr


def squares(shared: dict, numbers: list[int]) -> list[tuple[int, int]]:
    """Return squares; the process that first meets the number ``lost`` is killed."""
    for number in numbers:
        mark = Path(shared["folder"]) / "lost"
        if number == shared.get("lost") and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return [(number, number * number) for number in numbers]


def killed(shared: dict, numbers: list[int]) -> list[int]:
    """Never return."""
    os.kill(os.getpid(), signal.SIGKILL)
    return numbers


def total_variance(posterior: xr.Dataset) -> xr.DataArray:
    """Return the variance of a row of a one-way layout."""
    return posterior["sd_Batch"].isel(Batch_coef=0, drop=True) ** 2 + posterior["error_sd"] ** 2
