"""Plain text tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr


def number(value: float) -> str:
    """Return a number with four significant digits, or a blank where it does not exist.

    Examples
    --------
    >>> number(251.40510), number(0.0000123), number(float("nan"))
    ('251.4', '1.23e-05', '')
    """
    if not np.isfinite(value):
        return "" if np.isnan(value) else str(value)
    return f"{value:.4g}" if abs(value) < 1e5 or value == 0 else f"{value:.6g}"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as aligned text: names to the left, numbers to the right.

    Examples
    --------
    >>> print(table(["", "estimate"], [("Intercept", 251.405), ("Days", 10.467)]))
               estimate
    Intercept     251.4
    Days          10.47
    """
    cells = [list(header)] + [[cell if isinstance(cell, str) else number(float(cell)) for cell in row] for row in rows]
    widths = [max(len(row[c]) for row in cells) for c in range(len(header))]
    lines = []
    for row in cells:
        first, *others = (
            cell.ljust(width) if c == 0 else cell.rjust(width)
            for c, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def covariance_table(name: str, sd: xr.DataArray, corr: xr.DataArray | None) -> str:
    """Return standard deviations and the correlations below the diagonal as text."""
    labels = [str(v) for v in sd[sd.dims[0]].values] if sd.dims else [""]
    values = np.atleast_1d(sd.to_numpy())
    matrix = corr.to_numpy() if corr is not None else np.eye(len(values))
    has_corr = len(values) > 1 and np.any((matrix != 0) & ~np.eye(len(values), dtype=bool))
    header = [name, "sd"] + (["corr"] + [""] * (len(values) - 2) if has_corr else [])
    rows = [
        [label, values[i]] + ([matrix[i, j] if j < i else "" for j in range(len(values) - 1)] if has_corr else [])
        for i, label in enumerate(labels)
    ]
    return table(header, rows)


def within_units_table(sd: xr.DataArray, corr: xr.DataArray) -> str:
    """Return standard deviations of exchangeable errors and their correlations within units, by stratum, as text."""
    labels = [str(v) for v in corr[corr.dims[0]].values] if corr.dims else [""]
    sds = np.broadcast_to(np.atleast_1d(sd.to_numpy()), len(labels))
    return table(
        ["error", "sd", corr.attrs.get("long_name", "corr within units")],
        list(zip(labels, sds, np.atleast_1d(corr.to_numpy()), strict=True)),
    )


def beside(value: float, scale: float) -> str:
    """Return a number with the decimals that its uncertainty warrants: three digits of `scale`.

    Examples
    --------
    >>> beside(251.40510, 6.8246), beside(1e6 + 0.5, 0.012), beside(float("nan"), 1.0)
    ('251.41', '1000000.500', '')
    """
    if not (np.isfinite(value) and np.isfinite(scale) and scale > 0):
        return number(value)
    decimals = max(0, 2 - int(np.floor(np.log10(scale))))
    # Beyond this a fixed-point number is longer than it is readable.
    if decimals > 8 or abs(value) >= 1e10:
        return f"{value:.6g}"
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text
