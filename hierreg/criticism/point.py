"""The covariances at which a model is looked at: those of an estimate, or the centre of a posterior."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.inference.errors import error_blocks
from hierreg.results.point import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Step of a derivative, of standard deviations and of correlations.
_STEP = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Covariances of group effects and errors.

    Attributes
    ----------
    problem : Problem
    cov : dict of arrays (q, q)
        By grouping factor.
    error_sd, error_corr : DataArray or None
        As an `Estimate` has them.
    words : str
        Where that is.
    """

    problem: Problem
    cov: Mapping[str, Array]
    error_sd: xr.DataArray
    error_corr: xr.DataArray | None
    words: str

    def blocks(self) -> Iterator[tuple[Index, Array]]:
        """Yield rows and the covariance (m, m) of their errors, or variances (m,), in order of time where it counts."""
        time = self.problem.layout.time
        for rows, block in error_blocks(self):
            if time is None or block.ndim == 1:
                yield rows, block
            else:
                order = np.argsort(time[rows], kind="stable")
                yield rows[order], block[np.ix_(order, order)]

    def steps(self) -> tuple[tuple[Point, Point, float], ...]:
        """Return, for each free parameter of the errors, the points on both sides and the distance between them."""
        out = []
        if self.problem.labels.n_error_sd:
            out += [self._steps("error_sd", place) for place in np.ndindex(self.error_sd.shape)]
        if self.error_corr is not None and self.error_corr.ndim < 2:
            out += [self._steps("error_corr", place) for place in np.ndindex(self.error_corr.shape)]
        elif self.error_corr is not None:
            D = len(self.error_corr)
            out += [self._steps("error_corr", (i, j)) for i in range(D) for j in range(i)]
        return tuple(out)

    def _steps(self, name: str, place: tuple[int, ...]) -> tuple[Point, Point, float]:
        values: xr.DataArray = getattr(self, name)
        at = values.to_numpy()[place]
        step = _STEP * (abs(float(at)) if name == "error_sd" else 1.0)
        sides: list[Point] = []
        for sign in (1.0, -1.0):
            moved = values.to_numpy().astype(float, copy=True)
            moved[place] += sign * step
            if moved.ndim == 2:
                moved[place[::-1]] = moved[place]
            changed: dict[str, Any] = {name: values.copy(data=moved)}
            sides.append(replace(self, **changed))
        return sides[0], sides[1], 2.0 * step


def point_of_estimate(est: Estimate) -> Point:
    """Return the point of an estimate."""
    return Point(
        problem=est.problem,
        cov={name: cov.to_numpy() for name, cov in est.cov.items()},
        error_sd=est.error_sd,
        error_corr=est.error_corr,
        words=f"the {est.method.upper()} estimate",
    )


def point_of_posterior(posterior: xr.Dataset, problem: Problem) -> Point:
    """Return the centre of a posterior: medians of standard deviations, which may have no mean, means of correlations.

    Parameters
    ----------
    posterior : Dataset
        Correlations as matrices.
    problem : Problem
    """
    labels, over = problem.labels, ("chain", "draw")
    cov: dict[str, Any] = {}
    for factor in labels.factors:
        sd = posterior[f"sd_{factor.key}"].median(over).to_numpy()
        name = f"corr_{factor.key}"
        corr = posterior[name].mean(over).to_numpy() if name in posterior else np.eye(len(sd))
        cov[factor.name] = sd[:, None] * corr * sd
    ones = labels.array("error_sd", np.ones(len(problem.layout.labels)))
    return Point(
        problem=problem,
        cov=cov,
        error_sd=posterior["error_sd"].median(over) if labels.n_error_sd else ones,
        error_corr=posterior["error_corr"].mean(over) if labels.has_error_corr else None,
        words="medians of the posterior",
    )
