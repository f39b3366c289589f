"""Which quadrature a posterior of one grouping factor is sampled with: as many nodes as it takes, and its error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import SamplingError
from hierreg.likelihood.quadrature.engine import MOST_NODES
from hierreg.model.family.modes import ChainStart, highest, nearby
from hierreg.model.family.tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.likelihood.node_tables.error import TableError
    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.model.family.tables import Tables
    from hierreg.problem.family import FamilyProblem
    from hierreg.sampling.approximation import Mode

    Array = NDArray[np.float64]

# Nodes on each axis that are tried, one after the other, and how many more say how wrong they are.
_NODES, _MORE = (3, 5, 7, 9, 11, 15, 21, 31), 4
# Sd over the posterior of the error of the log density that is visible in no quantile.
_ALLOWED = 0.1
# Error of Laplace's approximation up to which effects are sampled with the parameters. By trial, on 32 tables: up to
# 1.2 chains of all effects mix (R-hat of 4 x 500 draws at most 1.01), or diverge, which is seen; from 1.8 on R-hat is
# up to 1.02.
_NEARLY_NORMAL = 1.2
_POINTS, _STREAM_POINTS = 48, 301


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The quadrature that a posterior is sampled with.

    Attributes
    ----------
    n_nodes : int
        On each axis.
    n_check : int
        Of the finer rule that says how wrong it is.
    error : float
        Sd, over the posterior, of the difference of the two log densities.
    laplace_error : float
        The same of Laplace's approximation.
    among : arrays (S, n), (S,)
        Draws of the posterior or of its normal approximation, and their log densities by the finer rule.
    """

    n_nodes: int
    n_check: int
    error: float
    laplace_error: float
    among: tuple[Array, Array]


def at_mode(problem: FamilyProblem, starts: Sequence[ChainStart], cores: int) -> tuple[QuadratureTarget, Mode]:
    """Return the target, whose searches for modes of groups begin at those of the posterior mode, and that mode."""
    target = problem.target(_NODES[0]).on_threads(cores)
    first = highest(problem, problem.target(1).on_threads(cores), starts, tolerance=1e-6)
    effects = first.target.likelihood.standardised()
    target = replace(target, likelihood=target.likelihood.beginning_at(effects)).with_modes_at(first.psi)
    near = None if problem.family.has_heavy_tails else nearby(problem, target, first)
    if near is not None:
        return target, near
    found = highest(problem, target, [ChainStart(psi=first.psi)], tolerance=1e-5, with_hessian=True)
    assert found.mode is not None
    return found.target, found.mode


def around(mode: Mode, seed: int) -> Array:
    """Return draws (S, n) of the normal approximation of the posterior."""
    rng = np.random.default_rng([seed, _STREAM_POINTS])
    return mode.u + rng.standard_normal((_POINTS, len(mode.u))) @ mode.scale.T


def rule_over(target: QuadratureTarget, points: Array, cores: int, *, above: int = 0) -> Rule:
    """Return the first rule, of more than so many nodes, that is accurate enough over points of the posterior (S, n).

    Raises
    ------
    SamplingError
        If none is.
    """
    if not target.parameters.n_factor:
        values = target.with_nodes(1).values(points, threads=cores)
        return Rule(n_nodes=1, n_check=1, error=0.0, laplace_error=0.0, among=(points, values))
    allowed = [n for n in _NODES if n > above and (n + _MORE) ** target.parameters.n_factor <= MOST_NODES]
    error = np.inf
    for n in allowed:
        check = n + _MORE
        coarse, fine = (target.with_nodes(k).values(points, threads=cores) for k in (n, check))
        error, kept = error_between(coarse, fine)
        if error <= _ALLOWED:
            among = points[kept], fine[kept]
            of_laplace, _ = error_between(target.with_nodes(1).values(points, threads=cores), fine)
            return Rule(n_nodes=n, n_check=check, error=error, laplace_error=of_laplace, among=among)
    most = max(above, *allowed)
    raise SamplingError(
        f"quadrature with {most} nodes on each axis does not represent the likelihood of a group: with {most + _MORE} "
        f"the log density differs by {error:.2g} (sd over the posterior). Groups say too little of their effects, or "
        "these have more than one mode: a prior that keeps their standard deviations from large values helps."
    )


def error_between(values: Array, finer: Array) -> tuple[float, NDArray[np.bool_]]:
    """Return the sd of the difference of log densities where both are finite, and where that is."""
    kept = np.isfinite(values) & np.isfinite(finer)
    return (float(np.std((values - finer)[kept])) if kept.sum() > 1 else np.inf), kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a posterior of one grouping factor is sampled with, by what is accurate over its normal approximation.

    Attributes
    ----------
    target : QuadratureTarget
        By adaptive quadrature.
    mode : Mode
    rule : Rule
    tables : Tables or None
    table_error : TableError or None
        None where tables do not apply.
    """

    target: QuadratureTarget
    mode: Mode
    rule: Rule
    tables: Tables | None
    table_error: TableError | None

    @property
    def is_nearly_normal(self) -> bool:
        """Whether the effects, given the parameters, are so nearly normal that chains of all of them mix."""
        return self.target.parameters.n_factor > 0 and self.rule.laplace_error <= _NEARLY_NORMAL

    @property
    def engine(self) -> str:
        """The first of "node tables", "joint" and "quadrature" that is accurate enough."""
        return "node tables" if self.tables is not None else "joint" if self.is_nearly_normal else "quadrature"


def choice(problem: FamilyProblem, starts: Sequence[ChainStart], seed: int, cores: int) -> Choice:
    """Return what the posterior is sampled with."""
    target, mode = at_mode(problem, starts, cores)
    rule = rule_over(target, around(mode, seed), cores)
    tables, error = tables_of(problem, target.with_nodes(rule.n_check), mode, rule.among, cores)
    return Choice(target=target, mode=mode, rule=rule, tables=tables, table_error=error)
