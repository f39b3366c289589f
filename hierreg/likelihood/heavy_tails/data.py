"""What the kernels read of the data: the triangles of groups in their internal coordinates, and beta's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.likelihood.engines import LOG_2PI
from hierreg.likelihood.groups.rows import without_noise
from hierreg.likelihood.population import FixedBeta, PopulationPrior, flat_beta, population_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupData:
    """The rows of J groups as the kernels read them, and a normal prior of beta.

    Attributes
    ----------
    gram : Gram
        In the internal coordinates that all arrays here have, fixed coefficients taken off.
    start : int array (J + 1,)
        First row of each group.
    term : int array (n,)
        Error term of each row.
    C, D : arrays (n, q), (n, p + 1)
        The rows of the triangles (`gram.triangles`) that are not zero.
    left : array (R, p + 1)
    left_term : int array (R,)
        What they leave of [X y], with its term.
    prior_rows : array (r, p + 1)
        The prior of beta as pseudo-observations.
    constant : float
        What of the log density does not depend on parameters; that of beta in internal coordinates.
    """

    gram: Gram
    start: Index
    term: Index
    C: Array
    D: Array
    left: Array
    left_term: Index
    prior_rows: Array
    constant: float

    @property
    def n_groups(self) -> int:
        """Number of groups J."""
        return len(self.start) - 1

    def to_user(self, beta: Array) -> Array:
        """Return coefficients (..., p) of columns as they stand, from internal ones."""
        return self.gram.y_shift + beta @ self.gram.x_map.T

    def from_user(self, beta: Array) -> Array:
        """Return internal coefficients (..., p) from those of columns as they stand."""
        p = len(self.gram.coef_names)
        return np.linalg.solve(self.gram.x_map, (beta - self.gram.y_shift).T).T if p else beta


def group_data(gram: Gram, prior: PopulationPrior | None, fixed: FixedBeta | None) -> GroupData:
    """Return what the kernels read.

    Parameters
    ----------
    gram : Gram
        With one grouping factor and no links between its groups.
    prior : PopulationPrior or None
        Normal prior of beta; None for none.
    fixed : FixedBeta or None
    """
    rows = flat_beta(len(gram.coef_names)) if prior is None else prior
    population = population_of(gram, rows, fixed)
    here = population.gram
    groups = here.factors[0]
    assert here.has_triangles
    q, p = groups.n_coef, len(here.coef_names)
    order = np.lexsort((groups.level_term, groups.level_index))
    triangle = groups.triangle[order]
    h = triangle.shape[1]
    C, D = triangle[:, :, :q].reshape(-1, q), without_noise(triangle[:, :, q:]).reshape(-1, p + 1)
    kept = np.any(C != 0.0, axis=1) | np.any(D != 0.0, axis=1)
    level = np.repeat(groups.level_index[order], h)[kept]
    counts = np.bincount(level, minlength=groups.n_levels)
    constant = -0.5 * (here.n * LOG_2PI + here.terms.log_det_known)
    if prior is not None:
        constant += -0.5 * len(rows.sd) * LOG_2PI - float(np.sum(np.log(rows.sd))) + rows.log_det_basis
        constant += float(np.linalg.slogdet(here.x_map)[1]) if p else 0.0
    return GroupData(
        gram=here,
        start=np.concatenate([[0], np.cumsum(counts)]),
        term=np.repeat(groups.level_term[order], h)[kept],
        C=C[kept],
        D=D[kept],
        left=here.left,
        left_term=here.left_term,
        prior_rows=population.rows,
        constant=constant,
    )
