"""How a model whose response is not normal is evaluated, and what that costs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hierreg.problem.family import FamilyProblem

_SECONDS, _FEWEST = 0.2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyDescription:
    """How a model whose response is not normal is evaluated; print it.

    Attributes
    ----------
    formula : str
    n_rows : int
    family : str
    n_groups, n_effects : int
        Groups, and coefficients of each that are integrated out by quadrature.
    sampled : tuple of str
        What NUTS draws.
    milliseconds : float or None
        For one value of the log posterior density with its gradient by 3 nodes on each axis, on one thread.
    """

    formula: str
    n_rows: int
    family: str
    n_groups: int
    n_effects: int
    sampled: tuple[str, ...]
    milliseconds: float | None

    def __repr__(self) -> str:
        lines = [self.formula, f"  {self.n_rows:,} rows; family {self.family}"]
        if self.n_effects:
            lines.append(
                f"  integrated out by adaptive Gauss-Hermite quadrature: {self.n_effects} coefficients of each of "
                f"{self.n_groups:,} groups"
            )
            lines.append(
                f"    nodes of a group: Laplace 1; sampling {3**self.n_effects}, or more where that is not enough"
            )
        lines.append(f"  sampled: {len(self.sampled)} parameters")
        lines += wrap(", ".join(self.sampled), 100, initial_indent="    ", subsequent_indent="    ")
        if self.milliseconds is not None:
            lines.append(
                f"  {self.milliseconds:.3g} ms for a value and gradient by 3 nodes on each axis, on one thread"
            )
        return "\n".join(lines)


def shown(problem: FamilyProblem) -> list[str]:
    """Return what a model prints of its family: which label is success, and the categories in order."""
    lines = [f"  family: {problem.family}"]
    categories = problem.observed.categories
    if len(categories) == 2:
        lines.append(f"  success: {categories[1]} (failure: {categories[0]})")
    elif categories:
        lines.append(f"  categories: {' < '.join(categories)}")
    if problem.offset_name is not None:
        lines.append(f"  offset: {problem.offset_name}")
    return lines


def describe(problem: FamilyProblem, time_it: bool) -> FamilyDescription:
    """Return the description; measured where that is asked for."""
    q = problem.Z.shape[1]
    return FamilyDescription(
        formula=problem.formula,
        n_rows=problem.n_rows,
        family=str(problem.family),
        n_groups=problem.n_groups if q else 0,
        n_effects=q,
        sampled=problem.names,
        milliseconds=_measured(problem) if time_it else None,
    )


def _measured(problem: FamilyProblem) -> float:
    target = problem.target(3)
    at = np.zeros(target.n)
    target(at)
    begin, n = time.perf_counter(), 0
    while n < _FEWEST or time.perf_counter() - begin < _SECONDS:
        target(at)
        n += 1
    return 1e3 * (time.perf_counter() - begin) / n
