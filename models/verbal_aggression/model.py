"""Verbal aggression: every person answers every item, yes or no."""

from __future__ import annotations

from typing import Any

import hierreg as hr

FORMULA = "r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)"


def data() -> Any:
    """Return 7,584 answers of 316 persons to 24 items; `r2` is Y for "perhaps" and "yes"."""
    return hr.load_dataset("verbagg")


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return answers with effects of persons and of items."""
    return hr.Model(FORMULA, hr.load_dataset("verbagg") if data is None else data, family=hr.Bernoulli(), priors=priors)
