"""How a model whose response is not normal is evaluated, and what that costs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from hierreg.model.family.estimation import default_method

if TYPE_CHECKING:
    from hierreg.likelihood.joint.density import JointTarget
    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.problem.family import FamilyProblem

_SECONDS, _FEWEST = 0.2, 3
_METHODS = {"laplace": "Laplace's approximation", "quadrature": "adaptive Gauss-Hermite quadrature"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyDescription:
    """How a model whose response is not normal is evaluated; print it.

    Attributes
    ----------
    formula : str
    n_rows : int
    family : str
    engine : {"quadrature", "joint"}
        Whether the coefficients of groups are integrated out, or sampled with the parameters.
    n_groups, n_effects : int
        Groups, and coefficients of each that are integrated out by quadrature; where all are sampled, groups and
        coefficients of all factors.
    sampled : tuple of str
        What NUTS draws, beside coefficients of groups.
    milliseconds : float or None
        For one value of the log posterior density with its gradient, by 3 nodes on each axis where it is by quadrature,
        on one thread.
    estimates : {"laplace", "quadrature"}
        How `Model.estimate` integrates, where nothing else is asked for.
    """

    formula: str
    n_rows: int
    family: str
    engine: str
    n_groups: int
    n_effects: int
    sampled: tuple[str, ...]
    milliseconds: float | None
    estimates: str = "laplace"

    def __repr__(self) -> str:
        lines = [self.formula, f"  {self.n_rows:,} rows; family {self.family}"]
        if self.engine == "joint":
            lines.append(
                f"  sampled together with the parameters: all {self.n_effects:,} coefficients of {self.n_groups:,} "
                "groups, in coordinates in which they are nearly normal"
            )
            lines.append(f"    estimates: {_METHODS[self.estimates]}")
        elif self.n_effects:
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
            how = " by 3 nodes on each axis" if self.engine == "quadrature" else ""
            lines.append(f"  {self.milliseconds:.3g} ms for a value and gradient{how}, on one thread")
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
    q, is_joint = problem.Z.shape[1], problem.engine == "joint"
    n_groups = sum(len(factor.levels) for factor in problem.design.factors)
    return FamilyDescription(
        formula=problem.formula,
        n_rows=problem.n_rows,
        family=str(problem.family),
        engine=problem.engine,
        n_groups=n_groups if q else 0,
        n_effects=problem.n_effects if is_joint else q,
        sampled=problem.names,
        milliseconds=_measured(problem) if time_it else None,
        estimates=default_method(problem),
    )


def _measured(problem: FamilyProblem) -> float:
    target = _target(problem)
    at = np.zeros(target.n)
    target(at)
    begin, n = time.perf_counter(), 0
    while n < _FEWEST or time.perf_counter() - begin < _SECONDS:
        target(at)
        n += 1
    return 1e3 * (time.perf_counter() - begin) / n


def _target(problem: FamilyProblem) -> QuadratureTarget | JointTarget:
    if problem.engine == "quadrature":
        return problem.target(3)
    from hierreg.model.family.joint import joint_target

    marginal = problem.target(1)
    return joint_target(problem, marginal, np.zeros(marginal.n))
