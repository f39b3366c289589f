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


NEW = {"School": ["1224", "new"], "SES": [0.5, 0.5], "MEANSES": [-0.428, -0.428], "Sector": ["Public", "Public"]}


def three_students() -> Any:
    """Return the table with all but the first three students of school 8367 left out."""
    table = data()
    return table[(table["School"] != "8367") | (table.groupby("School", observed=True).cumcount() < 3)]
