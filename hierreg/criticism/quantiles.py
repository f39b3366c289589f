"""Rows whose response is not normal: randomised quantile residuals, from replicates of the posterior.

Each response is ranked among its replicates, ties in random order, and the rank taken to a normal quantile: residuals
that are standard normal where the model is right, whatever the family (Dunn and Smyth 1996). A replicate is ranked
among the others and the data in the same way, so that data and replicates are treated alike. The posterior has seen the
data, which makes these comparisons conservative.

References
----------
Dunn and Smyth (1996), Journal of Computational and Graphical Statistics 5(3), 236-244; Gelman, Meng and Stern (1996),
Statistica Sinica 6(4), 733-760.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from hierreg.criticism.residuals import Residuals
from hierreg.criticism.values import Sample
from hierreg.predictive import of_family
from hierreg.predictive.replicated import one_chain, replicated, replication
from hierreg.results.carried import draws_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.design_matrices import FactorDesign
    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]

# Values of all replicates: 240 MB.
_MOST_VALUES = 30_000_000
_IN_SPAN = 1e-6
# Rows of a group on average, below which its effect is drawn anew. With effects kept 6 of 6 right models had an alarm
# with groups of single rows, 4 of 24 with 8 rows, 1 of 16 with 10; drawn anew, 0 of 24 with 8, but overdispersion is
# seen less often, too.
_FEW_ROWS = 9
# Replicates below which no p-value is small beside the number of checks.
FEWEST = 199


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuantileRows(Residuals):
    """Randomised quantile residuals.

    Attributes
    ----------
    problem : FamilyProblem
    z : array (N, B + 1)
        Those of the data first, then of the replicates.
    mean : array (N,)
        Linear predictor of the population, at the posterior mean.
    """

    problem: FamilyProblem
    z: Array
    mean: Array

    @property
    def has_residual(self) -> NDArray[np.bool_]:
        """All rows."""
        return np.ones(len(self.z), dtype=bool)

    @property
    def factors(self) -> tuple[FactorDesign, ...]:
        """The grouping factors."""
        return self.problem.design.factors

    @property
    def predicted(self) -> Array:
        """The linear predictor of the population (N,)."""
        return self.mean

    def data(self) -> Sample:
        """Return the residuals of the data."""
        return _sample(self.z[:, :1])

    def replicates(self, n: int, seed: int) -> Iterator[Sample]:  # noqa: ARG002  # they were made with the residuals
        """Yield the residuals of the replicates, at most n."""
        yield _sample(self.z[:, 1 : n + 1])

    def direction(self, h: Array) -> Array | None:
        """Return a column less what the population columns explain of it, of length one."""
        X = self.problem.design.X
        h = h - h.mean()
        left = h - X @ np.linalg.lstsq(X, h, rcond=None)[0]
        length = float(np.linalg.norm(left))
        return left / length if length > _IN_SPAN * float(np.linalg.norm(h)) else None


def quantile_rows(problem: FamilyProblem, tree: xr.DataTree, n: int, seed: int) -> QuantileRows | None:
    """Return the residuals of data and n replicates, one for each of n draws; None where there are too few draws.

    The effect of a group of few rows has seen them too well: its replicates lie about what was observed, which is then
    in their middle whatever the model. Such groups are new ones, in all replicates.
    """
    posterior = draws_in(tree)
    S = posterior.sizes["chain"] * posterior.sizes["draw"]
    n = min(n, S, _MOST_VALUES // problem.n_rows)
    factors = problem.labels.factors
    new = {one.name: "new group" for one in factors if problem.n_rows < _FEW_ROWS * len(one.levels)}
    if n < FEWEST or any(f"b_{one.key}" not in posterior for one in factors if one.name not in new):
        return None
    made = replicated(replication(problem, new, None), one_chain(posterior, np.arange(n) * S // n), seed)
    y = np.concatenate([part for _, part in made]).T
    both = np.column_stack([of_family.observed_values(problem), y]).astype(float)
    mean = problem.design.X[:, problem.kept_coefficients] @ posterior["beta"].mean(("chain", "draw")).to_numpy()
    return QuantileRows(problem=problem, z=normal_ranks(both, seed), mean=mean)


def _sample(z: Array) -> Sample:
    return Sample(marginal=z, errors=z, size=np.mean(z**2, axis=0))


def normal_ranks(values: Array, seed: int) -> Array:
    """Return the rank of each value in its row, ties in random order, as a normal quantile.

    Examples
    --------
    >>> normal_ranks(np.array([[3.0, 1.0, 2.0]]), seed=1).round(2)
    array([[ 0.97, -0.97,  0.  ]])
    """
    from scipy.special import ndtri

    rng, out = np.random.default_rng([seed, 307]), np.empty_like(values)
    m = values.shape[1]
    for i, row in enumerate(values):
        out[i, np.lexsort((rng.random(m), row))] = np.arange(m)
    return np.asarray(ndtri((out + 0.5) / m))
