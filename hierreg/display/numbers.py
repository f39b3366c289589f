"""Numbers with the digits that a reader can use."""

from __future__ import annotations

import numpy as np


def number(value: float, digits: int = 4) -> str:
    """Return a number with four significant digits, or a blank where it does not exist.

    Examples
    --------
    >>> number(251.40510), number(0.0000123), number(float("nan"))
    ('251.4', '1.23e-05', '')
    """
    if not np.isfinite(value):
        return "" if np.isnan(value) else str(value)
    return f"{value:.{digits}g}" if abs(value) < 10.0 ** (digits + 1) or value == 0 else f"{value:.{digits + 2}g}"


def beside(value: float, scale: float, digits: int = 3) -> str:
    """Return a number with the decimals that its uncertainty warrants: three digits of `scale`.

    Examples
    --------
    >>> beside(251.40510, 6.8246), beside(1e6 + 0.5, 0.012), beside(float("nan"), 1.0)
    ('251.41', '1000000.500', '')
    """
    if not (np.isfinite(value) and np.isfinite(scale) and scale > 0):
        return number(value, digits + 1)
    decimals = max(0, digits - 1 - int(np.floor(np.log10(scale))))
    # Beyond this a fixed-point number is longer than it is readable.
    if decimals > 8 or abs(value) >= 1e10:
        return f"{value:.6g}"
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def fixed(value: float, decimals: int) -> str:
    """Return a number with some decimals, or a blank where it does not exist.

    Examples
    --------
    >>> fixed(-0.0004, 2), fixed(1.0, 3), fixed(float("nan"), 2)
    ('0.00', '1.000', '')
    """
    # Adding zero turns a negative zero into a positive one.
    return "" if np.isnan(value) else f"{round(value, decimals) + 0.0:.{decimals}f}"


def significant(value: float, digits: int) -> str:
    """Return a number with so many significant digits, zeros at the end kept but for zero itself.

    Examples
    --------
    >>> significant(0.1, 2), significant(12.0, 2), significant(0.0, 2), significant(float("nan"), 2)
    ('0.10', '12', '0', '')
    """
    if value == 0:
        return "0"
    return "" if np.isnan(value) else f"{value:#.{digits}g}".rstrip(".")


def percent(prob: float) -> str:
    """Return a probability in percent, as in "2.5 %".

    Examples
    --------
    >>> percent(0.025), percent(0.95)
    ('2.5 %', '95 %')
    """
    return f"{100 * prob:.4g} %"
