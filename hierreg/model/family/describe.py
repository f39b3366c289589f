"""How a model whose response is not normal is evaluated, and what that costs."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from hierreg.display.html import preformatted
from hierreg.likelihood.node_tables.error import MOST
from hierreg.model.family.estimation import default_method, limit, starts_of_chains
from hierreg.model.family.tables import maps_of
from hierreg.threads import available_cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.joint.density import JointTarget
    from hierreg.likelihood.node_tables.density import NodeTableTarget
    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.model.family.tables import Tables
    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]

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
    engine : {"quadrature", "node tables", "joint"}
        Whether the coefficients of groups are integrated out, by nodes that follow the parameters or by fixed ones, or
        sampled with the parameters. Of one grouping factor the data decide: looked up where it is measured.
    n_groups, n_effects : int
        Groups, and coefficients of each that are integrated out by quadrature; where all are sampled, groups and
        coefficients of all factors.
    sampled : tuple of str
        What NUTS draws, beside coefficients of groups.
    milliseconds : float or None
        For one value of the log posterior density with its gradient, by 3 nodes on each axis where it is by quadrature,
        on one thread.
    n_nodes : int
        Fixed nodes on each axis; 0 where that was not measured, or there are none.
    error : float or None
        Of the log density by fixed nodes, sd over the posterior; None where that was not measured, or does not apply.
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
    n_nodes: int = 0
    error: float | None = None
    estimates: str = "laplace"

    def __repr__(self) -> str:
        lines = [self.formula, f"  {self.n_rows:,} rows; family {self.family}"]
        if self.engine == "joint":
            lines.append(
                f"  sampled together with the parameters: all {self.n_effects:,} coefficients of {self.n_groups:,} "
                "groups, in coordinates in which they are nearly normal"
            )
            lines.append(f"    estimates: {_METHODS[self.estimates]}")
        elif self.engine == "node tables":
            lines += self._of_tables()
        elif self.n_effects:
            lines.append(
                f"  integrated out by adaptive Gauss-Hermite quadrature: {self.n_effects} coefficients of each of "
                f"{self.n_groups:,} groups"
            )
            lines.append(
                f"    nodes of a group: Laplace 1; sampling {3**self.n_effects}, or more where that is not enough"
            )
            if self.milliseconds is None:
                lines.append("    or sampled with the parameters, where the data make them nearly normal")
        if self.error is not None and self.engine != "node tables":
            lines.append(
                f"    not by fixed nodes, which would be wrong by {self.error:.2g} (log density, sd over the "
                f"posterior; at most {MOST} is allowed)"
            )
        lines.append(f"  sampled: {len(self.sampled)} parameters")
        lines += wrap(", ".join(self.sampled), 100, initial_indent="    ", subsequent_indent="    ")
        if self.milliseconds is not None:
            how = " by 3 nodes on each axis" if self.engine == "quadrature" else ""
            lines.append(f"  {self.milliseconds:.3g} ms for a value and gradient{how}, on one thread")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return preformatted(repr(self))

    def _of_tables(self) -> list[str]:
        """Return the lines about fixed nodes."""
        first = (
            f"  integrated out with fixed nodes: {self.n_effects} coefficients of each of {self.n_groups:,} groups, "
            "whose log-likelihood is tabulated once"
        )
        if self.error is None:
            second = f"adaptive quadrature says how wrong that is, and takes over where it is more than {MOST}"
        else:
            nodes = self.n_nodes**self.n_effects
            second = f"{nodes} nodes of a group; error of the log density {self.error:.2g} (sd over the posterior)"
        return [first, f"    sampling: {second}", "    estimates: Laplace's approximation, or adaptive quadrature"]


def shown(problem: FamilyProblem) -> list[str]:
    """Return what a model prints of its family and engine: which label is success, and the categories in order."""
    lines = [f"  family: {problem.family}"]
    categories = problem.observed.categories
    if len(categories) == 2:
        lines.append(f"  success: {categories[1]} (failure: {categories[0]})")
    elif categories:
        lines.append(f"  categories: {' < '.join(categories)}")
    if problem.offset_name is not None:
        lines.append(f"  offset: {problem.offset_name}")
    return [*lines, f"  engine: {engine_of(problem)}"]


def describe(problem: FamilyProblem, time_it: bool) -> FamilyDescription:
    """Return the description; measured where that is asked for."""
    q, is_joint = problem.Z.shape[1], problem.engine == "joint"
    n_groups = sum(len(factor.levels) for factor in problem.design.factors)
    engine, found = engine_of(problem), None
    if time_it and not is_joint and q:
        from hierreg.model.family.rules import choice

        cores = available_cores()
        found = choice(problem, starts_of_chains(problem, limit(problem)[1]), 0, cores)
        engine, is_joint = found.engine, found.engine == "joint"
    tables = None if found is None else found.tables
    error = None if found is None or found.table_error is None else found.table_error.sd
    return FamilyDescription(
        formula=problem.formula,
        n_rows=problem.n_rows,
        family=str(problem.family),
        engine=engine,
        n_groups=n_groups if q else 0,
        n_effects=problem.n_effects if is_joint else q,
        sampled=problem.names,
        milliseconds=_measured(replace(problem, engine="joint") if is_joint else problem, tables) if time_it else None,
        n_nodes=0 if tables is None else tables.n_nodes,
        error=error,
        estimates=default_method(problem),
    )


def engine_of(problem: FamilyProblem) -> str:
    """Return the engine that a posterior is sampled with, if it is accurate enough."""
    return problem.engine if maps_of(problem) is None else "node tables"


def _measured(problem: FamilyProblem, tables: Tables | None) -> float:
    target, at = _target(problem, tables)
    target(at)
    begin, n = time.perf_counter(), 0
    while n < _FEWEST or time.perf_counter() - begin < _SECONDS:
        target(at)
        n += 1
    return 1e3 * (time.perf_counter() - begin) / n


def _target(
    problem: FamilyProblem, tables: Tables | None
) -> tuple[QuadratureTarget | NodeTableTarget | JointTarget, Array]:
    if tables is not None:
        return tables.target, np.zeros(tables.target.n)
    marginal = problem.target(3 if problem.engine == "quadrature" else 1)
    if problem.engine == "quadrature":
        return marginal, np.zeros(marginal.n)
    from hierreg.model.family.joint import joint_target

    target = joint_target(problem, marginal, np.zeros(marginal.n))
    return target, np.zeros(target.n)
