"""Mathematics achievement of students in schools, with predictors of students and of schools."""

from __future__ import annotations

from typing import Any

import hierreg as hr

CROSS_LEVEL = "MathAch ~ SES * MEANSES + SES * Sector + (SES | School)"


def data() -> Any:
    """Return 7,185 students in 160 schools."""
    return hr.load_dataset("math_achieve")


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return the model with a slope of SES by school, and school predictors of the intercept."""
    table = hr.load_dataset("math_achieve") if data is None else data
    return hr.Model("MathAch ~ MEANSES + Sector + SES + (SES | School)", table, priors=priors)


def cross_level() -> hr.Model:
    """Return the model in which the slope of SES depends on predictors of the school as well."""
    return hr.Model(CROSS_LEVEL, data())


def centred_cross_level() -> hr.Model:
    """Return the cross-level model with SES measured from the mean of its school."""
    table = data()
    within = table["SES"] - table.groupby("School", observed=True)["SES"].transform("mean")
    return hr.Model(CROSS_LEVEL.replace("SES *", "within *").replace("(SES", "(within"), table.assign(within=within))
