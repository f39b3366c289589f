"""Satterthwaite's degrees of freedom: how uncertain the standard error of an estimate is.

The variance v of a linear function of the coefficients depends on the estimated variance parameters; with their
covariance A and the derivatives g of v, v is distributed as a chi-square of df = 2 v^2 / (g'A g), to two moments. The
derivatives are differences of solutions of the mixed-model equations. Since they are taken in standard deviations and
correlations, of which the estimate has the covariance by the curvature of its criterion, and the criterion is flat at
its maximum, no other parametrization gives another answer.

References
----------
Satterthwaite (1946), Biometrics Bulletin 2(6), 110-114; Giesbrecht and Burns (1985), Biometrics 41(2), 477-486; Fai and
Cornelius (1996), Journal of Statistical Computation and Simulation 54(4), 363-378; Kuznetsova, Brockhoff and
Christensen (2017), Journal of Statistical Software 82(13).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.errors.within_units import covariance_of
from hierreg.likelihood.crossed.blas_threads import blas_threads_for
from hierreg.likelihood.engines import solve_equations
from hierreg.linalg import semidefinite_factor
from hierreg.reports.of_estimate import point_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hierreg.results.point import Estimate

    Array = NDArray[np.float64]

# Step of the derivatives, in standard errors of a parameter and, at most, of its value.
_STEP = 1e-3
_OF_VALUE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Uncertain:
    """The covariance of beta, and how uncertain the estimated variances make it.

    Attributes
    ----------
    cov : array (p, p)
    slopes : array (K, p, p)
        Its derivatives in the K variance parameters.
    variance_cov : array (K, K)
        Covariance of these.
    """

    cov: Array
    slopes: Array
    variance_cov: Array

    def df(self, L: Array) -> Array:
        """Return the degrees of freedom (s,) of linear functions L beta, L (s, p), one by one."""
        variance = np.einsum("sp,pq,sq->s", L, self.cov, L)
        g = np.einsum("sp,kpq,sq->sk", L, self.slopes, L)
        spread = np.einsum("sk,kl,sl->s", g, self.variance_cov, g)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(spread > 0, 2.0 * variance**2 / spread, np.inf))


def uncertain(est: Estimate) -> Uncertain:
    """Return the covariance of beta at an estimate with its derivatives; parameters on their boundary stay there."""
    cov = est.variance_cov.to_numpy()
    known = np.flatnonzero(np.isfinite(np.diagonal(cov)))
    names = est.variance_cov["parameter"].values[known].astype(str).tolist()
    values = {one.name: one.value for one in point_parameters(est)}
    derivatives = []
    for name, place in zip(names, known, strict=True):
        x = values[name]
        h = min(_STEP * float(np.sqrt(cov[place, place])), _OF_VALUE * (1 - abs(x) if "corr" in name else x))
        ends = [_beta_cov(est, values | {name: x + step}) for step in (h, -h)]
        derivatives.append((ends[0] - ends[1]) / (2 * h))
    p = est.beta.sizes["coef"]
    return Uncertain(
        cov=est.beta_cov.to_numpy(),
        slopes=np.array(derivatives).reshape(-1, p, p),
        variance_cov=cov[np.ix_(known, known)],
    )


def joint_df(each: Array) -> float:
    """Return the denominator degrees of freedom of an F of independent t's with degrees of freedom (l,)."""
    if len(each) == 1:
        return float(each[0])
    if np.all(np.isinf(each)):
        return float("inf")
    if np.ptp(each[np.isfinite(each)]) < 1e-8 and np.all(np.isfinite(each)):
        return float(each.mean())
    if np.any(each <= 2):
        return 2.0
    E = float(np.sum(np.where(np.isinf(each), 1.0, each / np.where(np.isinf(each), 1.0, each - 2.0))))
    return 2.0 * E / (E - len(each))


def _beta_cov(est: Estimate, values: Mapping[str, float]) -> Array:
    """Return the covariance (p, p) of beta at given standard deviations and correlations."""
    problem = est.problem
    Lambda = np.zeros((problem.parameters.n_factor,) * 2)
    for factor, mine in zip(problem.labels.factors, problem.parameters.factor_slices, strict=True):
        sd = np.array([values[f"sd_{factor.name}[{c}]"] for c in factor.coef])
        corr = _symmetric(f"corr_{factor.name}", list(factor.coef), values)
        Lambda[mine, mine] = semidefinite_factor(sd[:, None] * corr * sd)
    with blas_threads_for(problem.gram):
        solution = solve_equations(problem.likelihood("reml"), Lambda, _error_cov(est, values))
    return np.asarray(problem.with_fixed(solution).beta_cov)


def _symmetric(name: str, labels: list[str], values: Mapping[str, float]) -> Array:
    out = np.eye(len(labels))
    for i in range(len(labels)):
        for j in range(i):
            value = values.get(f"{name}[{labels[i]}, {labels[j]}]", 0.0)
            out[i, j] = out[j, i] = value if np.isfinite(value) else 0.0
    return out


def _error_cov(est: Estimate, values: Mapping[str, float]) -> Array:
    """Return the error covariance that the likelihood takes."""
    labels, terms = est.problem.labels, est.problem.gram.terms
    if not labels.n_error_sd:
        return np.eye(1)
    names = [str(label) for label in labels.error_labels]
    sd = np.array([values["error_sd"]] if "error_sd" in values else [values[f"error_sd[{n}]"] for n in names])
    if terms.components is not None:
        found = [values["error_corr"]] if "error_corr" in values else [values[f"error_corr[{n}]"] for n in names]
        of = covariance_of(terms.components.stratum, terms.components.size, sd[None], np.array(found)[None])
        return np.asarray(of[0])
    if labels.has_corr_by_stratum:  # rows one step of time apart
        rho = values["error_corr"]
        return np.asarray(sd[0] ** 2 * np.array([[1.0, rho], [rho, 1.0]]))
    corr = _symmetric("error_corr", names, values) if labels.has_error_corr else np.eye(len(sd))
    return np.asarray(sd[:, None] * corr * sd)
