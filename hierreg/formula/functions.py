"""The functions that a formula may call, and the arguments that they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Functions of one number, applied row by row: the NumPy functions of the same names.
NUMERIC = ("log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs", "sin", "cos", "tanh")

_SPLINE = ("df", "knots", "lower_bound", "upper_bound", "constraints", "extrapolation")

# formulaic's transforms of one or more numeric columns: the arguments after the first, in order.
TRANSFORMS: dict[str, tuple[str, ...]] = {
    "I": (),
    "center": (),
    "scale": ("center", "scale", "ddof"),
    "standardize": ("center", "rescale", "ddof"),
    "poly": ("degree", "raw"),
    "bs": ("df", "knots", "degree", "include_intercept", "lower_bound", "upper_bound", "extrapolation"),
    "cs": _SPLINE,
    "cr": _SPLINE,
    "cc": _SPLINE,
}

# Transforms that give several columns: they cannot stand inside another function.
SEVERAL_COLUMNS = ("poly", "bs", "cs", "cr", "cc", "C")

# The contrasts that `C(column, ...)` takes, and their arguments, in order.
CONTRASTS: dict[str, tuple[str, ...]] = {
    "contr.treatment": ("base",),
    "contr.SAS": ("base",),
    "contr.sum": (),
    "contr.helmert": ("reverse", "scale"),
    "contr.diff": ("backward",),
    "contr.poly": ("scores",),
    "Treatment": ("reference",),
    "Sum": (),
    "Helmert": ("reverse", "scale"),
    "Diff": ("backward",),
    "Poly": ("scores",),
}

ALLOWED_TEXT = (
    f"Formulas may use column names, + - * / ** inside I(...) and other functions, the functions "
    f"{', '.join(NUMERIC)}, the transforms {', '.join(TRANSFORMS)}, and C(column) with "
    f"{', '.join(CONTRASTS)}"
)


def numeric_functions() -> dict[str, Callable[..., Any]]:
    """Return the NumPy function of every name in `NUMERIC`."""
    import numpy as np

    return {name: getattr(np, name) for name in NUMERIC}
