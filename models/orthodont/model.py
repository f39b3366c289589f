"""Growth of girls and boys, whose measurements scatter differently."""

from __future__ import annotations

from typing import Any

import hierreg as hr

FORMULA = "distance ~ age11 * Sex + (age11 | Subject)"


def data() -> Any:
    """Return the distance from pituitary to pterygomaxillary fissure of 27 children at four ages."""
    return hr.load_dataset("orthodont")


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return a line for each child, with an error standard deviation for each sex."""
    table = hr.load_dataset("orthodont") if data is None else data
    return hr.Model(FORMULA, table, errors=hr.by("Sex"), priors=priors)


def one_sd() -> hr.Model:
    """Return the model with one error standard deviation for all."""
    return hr.Model(FORMULA, data())
