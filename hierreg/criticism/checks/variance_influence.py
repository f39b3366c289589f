"""Groups that the variances rest on: the step that each takes their estimates, and an exact fit without the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.sums import sums_by
from hierreg.criticism.values import Finding, NotMade, Test
from hierreg.estimate import maximise_likelihood
from hierreg.exceptions import HierregError
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.predictive.left_out.without import rows_of_design, rows_of_layout

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined
    from hierreg.criticism.rows import Rows
    from hierreg.criticism.values import Array, Outcome, Sample
    from hierreg.estimate import VarianceEstimate
    from hierreg.problem.problem import Problem

_FEWEST_GROUPS = 6
# Replicates that give the information on the variances, and the seed of these alone.
_PILOT, _SEED = 400, 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contributions:
    """What each group of the only factor adds to the scores of the variances.

    Attributes
    ----------
    rows : Rows
    mean : array (J, m)
        Exact expectations of the quadratic forms of P y.
    sd : array (m,)
        Standard deviations of their sums, which have the units of predictors and response.
    information : array (m, m)
        Correlations of their sums, so that its rank does not depend on units.
    """

    rows: Rows
    mean: Array
    sd: Array
    information: Array

    def steps(self, sample: Sample) -> Array:
        """Return the squared step of each group (J, b): over the variance of the estimates, by variance."""
        s = (_forms(self.rows, sample.marginal) - self.mean[:, :, None]) / self.sd[:, None]
        whitened = np.linalg.solve(np.linalg.cholesky(self.information), np.moveaxis(s, 1, 0).reshape(s.shape[1], -1))
        return np.asarray(np.mean(whitened**2, axis=0).reshape(len(s), -1))


def _forms(rows: Rows, marginal: Array) -> Array:
    """Return the quadratic forms (J, m, b) of each group: of its columns by pairs, and of its rows by stratum."""
    (factor,), (Z,) = rows.factors, rows.Z
    J, q = len(factor.levels), factor.Z.shape[1]
    u = np.asarray(Z.T @ marginal).reshape(J, q, -1)
    out = [u[:, i] * u[:, j] for i in range(q) for j in range(i + 1)]
    for d in _strata(rows):
        own = rows.stratum == d
        out.append(sums_by(factor.index[own], marginal[own] ** 2, J))
    return np.stack(out, axis=1)


def _strata(rows: Rows) -> list[int]:
    layout = rows.point.problem.layout
    return list(range(len(layout.labels))) if layout.n_sd else []


def contributions(rows: Rows) -> Contributions:
    """Return what each group adds."""
    (factor,), (Z,) = rows.factors, rows.Z
    J, q = len(factor.levels), factor.Z.shape[1]
    H, diagonal = rows.model.own_blocks(Z, q), rows.model.diagonal()
    mean = [H[:, i, j] for i in range(q) for j in range(i + 1)]
    mean += [
        np.bincount(factor.index[own], diagonal[own], minlength=J)
        for own in (rows.stratum == d for d in _strata(rows))
    ]  # fmt: skip
    totals = [_forms(rows, sample.marginal).sum(axis=0) for sample in rows.replicates(_PILOT, _SEED)]
    covariance = np.atleast_2d(np.cov(np.concatenate(totals, axis=1)))
    sd = np.sqrt(np.diagonal(covariance))
    sd = np.where(sd > 0, sd, 1.0)
    return Contributions(rows=rows, mean=np.stack(mean, axis=1), sd=sd, information=covariance / np.outer(sd, sd))


def variance_influence(x: Examined) -> Test | NotMade:
    """Compare the largest step of a group with the largest of replicates; fit again without the group of that step.

    To first order a group moves the estimates of the variances by its part of their scores times the inverse of their
    information.

    References
    ----------
    Christensen, Pearson and Johnson (1992), Technometrics 34(1), 38-45.
    """
    assert x.rows is not None
    rows = x.rows
    layout = rows.point.problem.layout
    if len(rows.factors) != 1:
        return NotMade(reason="made of models with one grouping factor")
    if layout.unit is not None or layout.V is not None:
        return NotMade(reason=f"not made for errors={layout.spec}, which are correlated")
    (factor,) = rows.factors
    if len(factor.levels) < _FEWEST_GROUPS:
        return NotMade(reason=f"fewer than {_FEWEST_GROUPS} groups")
    of = contributions(rows)
    if np.linalg.matrix_rank(of.information, hermitian=True) < len(of.information):
        return NotMade(reason="the data do not tell the variances apart")

    def conclude(o: Outcome) -> Finding:
        step = np.sqrt(of.steps(o.data)[:, 0])
        j = int(np.argmax(step))
        return Finding(
            found=f"{factor.name} {factor.levels[j]}, {step[j]:.2f} se",
            evidence=f"{factor.name} {factor.levels[j]} moves the variances by {step[j]:.2f} of their standard errors."
            + _fitted_without(x.problem, j),
            remedy=f"a look at the rows of {factor.levels[j]}, and a fit without it beside this one; "
            f"effects={{{factor.name!r}: hr.StudentT()}} where it lies far out",
            statistic=float(step[j]),
            figure={
                f"step_{factor.name}": ((f"group_{factor.name}",), step, [str(level) for level in factor.levels]),
            },
        )

    return Test(
        labels=(factor.name,),
        scores=lambda sample: np.log(of.steps(sample).max(axis=0))[None],
        conclude=conclude,
    )


def without_group(problem: Problem, j: int, method: str = "reml") -> VarianceEstimate:
    """Return the estimate of the variances from the rows of all groups but one.

    Raises
    ------
    HierregError
        If these do not determine the model.
    """
    (factor,) = problem.design.factors
    kept = np.flatnonzero(factor.index != j)
    gram = collect(rows_of_design(problem.design, kept), rows_of_layout(problem.layout, kept))
    likelihood = marginal_likelihood(gram, fixed=problem.fixed, profile=method == "ml")
    return maximise_likelihood(likelihood, problem.parameters)


def _fitted_without(problem: Problem, j: int) -> str:
    """Return in words what REML makes of the standard deviations without a group."""
    likelihood = marginal_likelihood(problem.gram, fixed=problem.fixed, blocks=problem.blocks)
    try:
        whole, part = maximise_likelihood(likelihood, problem.parameters), without_group(problem, j)
    except HierregError as error:
        return f" There is no fit without it: {error}"
    (factor,) = problem.labels.factors
    names = [f"sd_{factor.key}[{coef}]" for coef in factor.coef]
    names += [f"error_sd[{label}]" for label in problem.layout.labels] if problem.layout.n_sd > 1 else ["error_sd"]
    pairs = zip(names, np.r_[whole.sd, whole.error_sd], np.r_[part.sd, part.error_sd], strict=False)
    said = [f"{name} {a:.4g} to {b:.4g}" for name, a, b in pairs if name != "error_sd" or problem.layout.n_sd]
    return f" REML without it: {', '.join(said)}."
