"""Draws of the effects of groups given the parameters, exact but for the end of a short chain.

Given the parameters the effects v_j of a group have a density near the normal one at their mode. An independence chain
that proposes from a Student t there begins with a proposal and takes `STEPS` more; what it still remembers of its
beginning is at most (1 - 1/M)^STEPS, M the largest ratio of density and proposal (Tierney 1994, section 2.5): below
1e-3 for M up to 3, while M is about 1.1 for the groups of usual data.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import SamplingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.quadrature.engine import QuadratureLikelihood

    Array = NDArray[np.float64]

STEPS = 6
_DF = 5.0
_STREAM = 302


def draw_effects(  # what they are given
    likelihood: QuadratureLikelihood, phi: Array, Lambda: Array, auxiliary: Array, *, seed: int, threads: int
) -> Array:
    """Return draws of v (S, J, q), one for each of S values of the parameters.

    Parameters
    ----------
    phi, Lambda, auxiliary : arrays (S, p), (S, q, q), (S, T, m)
    seed : int
        The draws depend on it and on nothing else, whatever the number of threads.
    """
    S, J, q = len(phi), likelihood.n_groups, likelihood.n_effects
    out = np.empty((S, J, q))
    if not q:
        return out

    def fill(s: int) -> bool:
        from hierreg.likelihood.quadrature import kernels

        rng = np.random.default_rng([seed, _STREAM, s])
        t = rng.standard_normal((J, STEPS + 1, q)) * np.sqrt(_DF / rng.chisquare(_DF, (J, STEPS + 1)))[:, :, None]
        log_t = -0.5 * (_DF + q) * np.log1p(np.sum(t * t, axis=2) / _DF)
        uniforms = np.log(rng.uniform(size=(J, STEPS + 1)))
        return bool(
            kernels.draw_effects(
                likelihood.rows,
                np.ascontiguousarray(phi[s]),
                np.ascontiguousarray(Lambda[s]),
                np.ascontiguousarray(auxiliary[s]),
                likelihood.modes,
                t,
                log_t,
                uniforms,
                out[s],
            )
        )

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        found = list(pool.map(fill, range(S)))
    if not all(found):
        raise SamplingError(
            f"the effects of a group have no mode at {found.count(False)} of {S} draws of the parameters. Responses or "
            "offsets many orders of magnitude apart are the likely cause."
        )
    return out
