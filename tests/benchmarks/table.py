"""Plain-text tables of what was measured, and the targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.measure import Measured


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows under a header, columns aligned; the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join([first, *others]).rstrip()

    return "\n".join([line(header), "  ".join("-" * w for w in widths), *map(line, rows)])


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many significant digits, or a dash."""
    if value is None:
        return "-"
    if value != 0 and abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def share(part: float | None, whole: float | None) -> str:
    """Return a percentage, or a dash."""
    return "-" if part is None or not whole else f"{100 * part / whole:.0f} %"


def main_table(measured: Sequence[Measured]) -> str:
    """Return the table of one case: times, effective sample sizes, memory."""
    header = [
        "engine",
        "REML s",
        "posterior s",
        "CPU s",
        "compile",
        "min ESS",
        "ESS/s",
        "ESS/CPU s",
        "fresh s",
        "peak MiB",
    ]
    header += ["R-hat", "div.", "runs"]
    rows = [
        [
            one.label,
            number(one.estimate_seconds),
            number(one.total_seconds),
            number(one.cpu_seconds),
            share(one.compile_seconds, one.total_seconds),
            number(one.min_ess),
            number(one.ess_per_second),
            number(one.ess_per_cpu_second),
            number(one.fresh_seconds),
            number(one.peak_mib if one.peak_mib is not None else one.estimate_peak_mib),
            "-" if one.max_rhat is None else f"{one.max_rhat:.3f}",
            "-" if one.divergences is None else str(one.divergences),
            str(one.repeats) if one.estimate_seconds or one.total_seconds else "-",
        ]
        for one in measured
    ]
    return text_table(header, rows)


def details(measured: Sequence[Measured]) -> str:
    """Return what does not fit into the table: notes, gradients, parts of the fresh process, values."""
    lines = []
    for one in measured:
        lines.append(f"{one.label}: {one.note}" if one.note else f"{one.label}:")
        if one.fresh_parts:
            parts = ", ".join(f"{name} {number(seconds)} s" for name, seconds in one.fresh_parts.items())
            lines.append(f"    fresh process: {parts}")
        if one.gradient_ms is not None and one.gradients and one.gradients_kept and one.min_ess:
            lines.append(
                f"    {number(one.gradient_ms)} ms per gradient; {one.gradients} gradients, "
                f"{number(one.gradients / one.min_ess)} per effective draw with warm-up and "
                f"{number(one.gradients_kept / one.min_ess)} without"
            )
        if one.min_ess_of:
            lines.append(f"    smallest ESS: {one.min_ess_of}")
        if one.estimate_peak_mib is not None and one.peak_mib is not None:
            lines.append(
                f"    peak memory above the table: REML {number(one.estimate_peak_mib)} MiB, "
                f"posterior {number(one.peak_mib)} MiB"
            )
        if one.values:
            values = ", ".join(f"{name} {value:.5g}" for name, value in one.values.items())
            lines.append(f"    {values}")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A ratio, or a number, and the bound that it has to meet.

    Attributes
    ----------
    what : str
    value : float or None
        None where an engine that it needs has no result.
    bound : float
    at_least : bool
        Whether `bound` is the smallest or the largest value allowed.
    """

    what: str
    value: float | None
    bound: float
    at_least: bool

    def row(self) -> list[str]:
        """Return the target as a row of text."""
        bound = f"{'>=' if self.at_least else '<='} {number(self.bound)}"
        if self.value is None:
            return [self.what, "-", bound, "not measured"]
        met = self.value >= self.bound if self.at_least else self.value <= self.bound
        return [self.what, number(self.value), bound, "met" if met else "MISSED"]


def target_table(targets: Sequence[Target]) -> str:
    """Return the table of targets."""
    return text_table(["target", "measured", "bound", ""], [target.row() for target in targets])
