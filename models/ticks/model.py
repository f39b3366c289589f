"""Ticks on grouse chicks: counts that cluster by chick, brood and location."""

from __future__ import annotations

from typing import Any

import hierreg as hr

FORMULA = "TICKS ~ YEAR + height + (1 | BROOD) + (1 | LOCATION) + (1 | INDEX)"


def chicks() -> Any:
    """Return 403 chicks; `height` is that above the mean of all chicks, in hundreds of metres."""
    table = hr.load_dataset("grouseticks")
    return table.assign(height=(table["HEIGHT"] - table["HEIGHT"].mean()) / 100)


def data() -> Any:
    """Return the table of `chicks`."""
    return chicks()


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return counts with effects of broods, locations and single chicks."""
    return hr.Model(FORMULA, chicks() if data is None else data, family=hr.Poisson(), priors=priors)
