"""Draws of the effects of groups given the parameters, where a table at fixed nodes says most of their density.

Proposals are Student t with the mean and covariance of theta_j by the table; to find them no row is read. The largest
ratio of density and proposal at the nodes bounds the ratio, and rejection needs about 1.3 proposals, each of which
reads the rows of the group once (Caffo, Booth and Davis 2002 call such bounds empirical). All groups get two, and those
of which none was accepted the rest of `PROPOSALS`. Where a proposal is above the bound, or none of all was accepted,
the draw is the end of an independence chain through all of them, as in `quadrature.draws`.

References
----------
Caffo, B. S., Booth, J. G. and Davis, A. F. (2002). Empirical supremum rejection sampling. Biometrika 89, 745-754.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import SamplingError
from hierreg.likelihood.quadrature.nodes import product_rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.node_tables.table import NodeTable
    from hierreg.likelihood.quadrature.engine import QuadratureLikelihood

    Array = NDArray[np.float64]

FIRST, PROPOSALS = 2, 6
_DF, _MARGIN = 5.0, 0.05
_STREAM = 304


def draw_effects(
    likelihood: QuadratureLikelihood, table: NodeTable, phi: Array, Lambda: Array, *, seed: int, threads: int
) -> Array:
    """Return draws of v (S, J, q), one for each of S values of the parameters.

    Parameters
    ----------
    likelihood : QuadratureLikelihood
        Its rows are those that the table is of.
    table : NodeTable
    phi, Lambda : arrays (S, p), (S, q, q)
    seed : int
        The draws depend on it and on nothing else, whatever the number of threads.
    """
    from hierreg.likelihood.node_tables.draw_kernels import DONE
    from hierreg.likelihood.node_tables.draw_kernels import draw_effects as draw

    S, (J, q) = len(phi), table.place.shape
    out = np.zeros((S, J, q))
    log_weights = product_rule(table.n_nodes, q)[1]
    rule = (np.ascontiguousarray(table.features.T), log_weights, np.exp(-log_weights))
    arrays = (table.place, table.root, table.maps, table.log_likelihood)

    def fill(s: int) -> bool:
        rng = np.random.default_rng([seed, _STREAM, s])
        Phi, L = np.ascontiguousarray(phi[s]), np.ascontiguousarray(Lambda[s])
        groups, state, last = np.arange(J), np.zeros(J, dtype=np.intp), np.full(J, -np.inf)
        for m in (FIRST, PROPOSALS - FIRST):
            shape = (len(groups), m)
            t = rng.standard_normal((*shape, q)) * np.sqrt(_DF / rng.chisquare(_DF, shape))[:, :, None]
            # Uniform on (0, 1].
            uniforms = np.log1p(-rng.random((len(groups), 2, m)))
            turn = (groups, t, uniforms, state, last, out[s])
            if not draw(likelihood.rows, arrays, rule, Phi, L, _DF, _MARGIN, *turn):
                return False
            groups = np.flatnonzero(state != DONE)
        return True

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        found = list(pool.map(fill, range(S)))
    if not all(found):
        raise SamplingError(
            f"the effects of a group have no covariance at {sum(not one for one in found)} of {S} draws of the "
            "parameters. Responses or offsets many orders of magnitude apart are the likely cause."
        )
    return out
