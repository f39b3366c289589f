"""Which models of one grouping factor are sampled by tables at fixed nodes, and whether the table was right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.likelihood.first_use import announce
from hierreg.likelihood.node_tables.density import NodeTableTarget
from hierreg.likelihood.node_tables.error import TableError, beyond, edge_of, error_of
from hierreg.likelihood.node_tables.table import is_small_enough, maps_of_groups, places_of_nodes, tabulated
from hierreg.likelihood.quadrature.engine import QuadratureLikelihood

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.problem.family import FamilyProblem
    from hierreg.sampling.approximation import Mode

    Array = NDArray[np.float64]

# Nodes on each axis that are tried, one after the other, by number of axes.
_NODES = {1: (9, 11, 15, 21), 2: (6, 7, 9, 11, 15), 3: (5, 7, 9)}
# Draws at which a table is compared with adaptive quadrature, and of them those beyond which it is too.
_DRAWS, _BEYOND = 24, 8
# Points of the posterior over which nodes are laid: 6 and 48 give tables that are as accurate.
_LAID_OVER = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The density by tables.

    Attributes
    ----------
    target : NodeTableTarget
    finer : QuadratureTarget
        By adaptive quadrature, which says how wrong it is.
    error : TableError
        Over the normal approximation of the posterior.
    """

    target: NodeTableTarget
    finer: QuadratureTarget
    error: TableError

    @property
    def n_nodes(self) -> int:
        """Nodes on each axis."""
        return self.target.table.n_nodes


def maps_of(problem: FamilyProblem) -> Array | None:
    """Return A (J, q, p), the columns of the population by those of each group; None where tables do not apply.

    Further parameters would change what is tabulated.
    """
    if problem.engine != "quadrature" or problem.auxiliary.shape[1]:
        return None
    likelihood = problem.likelihood(1)
    assert isinstance(likelihood, QuadratureLikelihood)
    if likelihood.n_effects not in _NODES:
        return None
    fewest = _NODES[likelihood.n_effects][0]
    return maps_of_groups(likelihood) if is_small_enough(likelihood.n_groups, likelihood.n_effects, fewest) else None


def tables_of(  # what a table is made of and compared with
    problem: FamilyProblem,
    finer: QuadratureTarget,
    mode: Mode,
    among: tuple[Array, Array],
    cores: int,
    *,
    above: int = 0,
) -> tuple[Tables | None, TableError | None]:
    """Return the first table that is accurate enough, None where none is; and the error of the last that was tried.

    Parameters
    ----------
    problem : FamilyProblem
    finer : QuadratureTarget
        By adaptive quadrature, accurate over the posterior.
    mode : Mode
        Of the posterior.
    among : arrays (S, n), (S,)
        Draws of it or of its normal approximation, and their log densities by the finer rule.
    cores : int
    above : int
        Tables have more nodes on each axis.
    """
    from hierreg.sampling.signed import coordinates

    maps = maps_of(problem)
    if maps is None:
        return None, None
    # Nodes that stay where they are say nothing of groups that are all alike.
    if coordinates(finer.on_threads(cores), mode) is not None:
        return None, TableError(sd=np.inf, far=np.inf)
    announce("node_tables.entry", "log_densities")
    at = places_of_nodes(finer, maps, mode.u, some_of(among[0], _LAID_OVER))
    if at is None:
        return None, TableError(sd=np.inf, far=np.inf)
    points = edge_of(mode.u, mode.scale)
    far = points, finer.values(points, threads=cores)
    likelihood, error = finer.likelihood, TableError(sd=np.inf, far=np.inf)
    assert isinstance(likelihood, QuadratureLikelihood)
    for n in (n for n in _NODES[likelihood.n_effects] if n > above):
        if not is_small_enough(likelihood.n_groups, likelihood.n_effects, n):
            break
        target = NodeTableTarget(
            parameters=finer.parameters,
            population=finer.population,
            table=tabulated(likelihood, maps, *at, n),
            prior_on=finer.prior_on,
        )
        error = error_of(target, among, far, threads=cores)
        if error.is_small:
            return Tables(target=target, finer=finer, error=error), error
    return None, error


def error_at_draws(tables: Tables, psi: Array, cores: int) -> TableError:
    """Return the error of the table at some of the draws (S, n) that were made by it, and beyond them."""
    points = some_of(psi, _DRAWS), some_of(beyond(psi), _BEYOND)
    among, far = ((one, tables.finer.values(one, threads=cores)) for one in points)
    return error_of(tables.target, among, far, threads=cores)


def finer_tables(problem: FamilyProblem, tables: Tables, mode: Mode, psi: Array, cores: int) -> Tables | None:
    """Return a table of more nodes that is accurate over some of the draws (S, n); None where none is."""
    points = some_of(psi, _DRAWS)
    among = points, tables.finer.values(points, threads=cores)
    return tables_of(problem, tables.finer, mode, among, cores, above=tables.n_nodes)[0]


def some_of(psi: Array, most: int) -> Array:
    """Return at most so many of the draws (S, n), evenly spaced: those at which an error is measured."""
    places = np.linspace(0, len(psi) - 1, min(most, len(psi))).astype(int)
    return np.asarray(psi[places])
