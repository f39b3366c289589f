"""How wrong a table at fixed nodes is: its log density beside that of adaptive quadrature, whose nodes move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.node_tables.density import NodeTableTarget

    Array = NDArray[np.float64]

# Sd over the posterior of the error of the log density, and the largest error three sds from its centre: what no
# quantile shows.
MOST, MOST_FAR = 0.01, 0.1
# How far beyond draws the table is asked, in units of their distance from their mean.
_BEYOND = 1.5
_SDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableError:
    """The error of log p(psi | y), less a constant.

    Attributes
    ----------
    sd : float
        Over points of the posterior.
    far : float
        Largest at points at its edge.
    """

    sd: float
    far: float

    @property
    def is_small(self) -> bool:
        """Whether the table can stand for adaptive quadrature."""
        return self.sd <= MOST and self.far <= MOST_FAR


def edge_of(centre: Array, scale: Array) -> Array:
    """Return points (2 n, n) three sds from the centre of a normal density, along each of its axes, both ways."""
    return np.concatenate([centre + sign * _SDS * scale.T for sign in (-1.0, 1.0)])


def beyond(draws: Array) -> Array:
    """Return points half as far again from the mean of draws (S, n) as they are."""
    centre = draws.mean(axis=0)
    return np.asarray(centre + _BEYOND * (draws - centre))


def error_of(
    table: NodeTableTarget, among: tuple[Array, Array], far: tuple[Array, Array], *, threads: int
) -> TableError:
    """Return the error of a table.

    Parameters
    ----------
    table : NodeTableTarget
    among, far : pairs of arrays (S, n) and (S,)
        Points of the posterior and at its edge, and their log densities by adaptive quadrature.
    """
    inner, outer = (table.values(points, threads=threads) - reference for points, reference in (among, far))
    kept = inner[np.isfinite(inner)]
    # Points where neither has a density tell nothing; where one has, they differ.
    outer = outer[~np.isnan(outer)]
    if len(kept) < max(2, len(inner) // 2):
        return TableError(sd=np.inf, far=np.inf)
    worst = float(np.max(np.abs(outer - kept.mean()), initial=0.0))
    return TableError(sd=float(np.std(kept)), far=worst)
