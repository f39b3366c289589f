"""`row_weights`: how much each row counts where errors are Student t."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.display import Column
from hierreg.exceptions import ModelError
from hierreg.predictive.of_family import auxiliary_draws, coefficient_draws, linear_predictors, row_auxiliaries
from hierreg.predictive.of_model import problem_of
from hierreg.predictive.rows import chunks
from hierreg.problem.family import FamilyProblem
from hierreg.reports.draws import moments
from hierreg.reports.reading import check_prob, read
from hierreg.reports.table import Report, percent, section

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.display import Section
    from hierreg.predictive.of_model import ModelLike

    Array = NDArray[np.float64]

# Rows that are printed, those of the least weight.
_SHOWN = 10


@final
class RowWeights(Report):
    """What `row_weights` returns; prints the rows of the least weight."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"weight": 1, "response": 1, "fitted": 1, "lower": 1, "upper": 1}

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column(key="response", head="response", scale="fitted_sd"),
            Column(key="fitted", head="fitted", scale="fitted_sd"),
            Column(key="weight", head="weight", form="fixed"),
            *self._interval(form="fixed"),
        )

    def _sections(self, most: int | None) -> tuple[Section, ...]:
        order = np.argsort(self["weight"].to_numpy(), kind="stable")
        shown = None if most is None else min(most, _SHOWN)
        return (section("Rows, those that count least first", self.isel(obs=order), shown),)


def row_weights(tree: xr.DataTree, model: ModelLike | None = None, ci_prob: float = 0.95) -> RowWeights:
    """Return how much each row counts where ``family=hr.StudentT()``: outlying rows are seen not to pull.

    A Student t error is a normal one of variance error_scale^2 / w, with w ~ gamma(nu / 2, nu / 2), which has mean one.
    Given the parameters and z = (y - eta) / error_scale, the mean of w is (nu + 1) / (nu + z^2): above one for rows
    near their fitted values, towards zero for those far out. In the fit a row pulls as one of a normal response whose
    weight is w.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample`.
    model : Model, optional
        The model that it was sampled from; by default the one that the tree carries (`Model.from_tree`).
    ci_prob : float
        Probability of the intervals, equal-tailed.

    Returns
    -------
    Dataset
        Over ``obs``, the rows in their order: ``response``, ``fitted`` and ``fitted_sd`` (posterior of eta), and of the
        weight its posterior mean ``weight`` and the interval ``lower`` to ``upper`` of (nu + 1) / (nu + z^2). Printing
        it shows the rows that count least.

    Raises
    ------
    ModelError
        If the model has another family, or tree and model do not match.

    See Also
    --------
    StudentT : The family of responses.
    residuals : Of estimates.

    References
    ----------
    Lange, K. L., Little, R. J. A. and Taylor, J. M. G. (1989). Robust statistical modeling using the t distribution.
    Journal of the American Statistical Association 84, 881-896.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"), family=hr.StudentT())
    >>> weights = hr.row_weights(model.sample(draws=500, seed=2, progress=False))
    >>> sorted(weights["weight"].to_numpy().argsort()[:3].tolist())
    [7, 56, 59]
    """
    problem = problem_of(tree, model)
    if not isinstance(problem, FamilyProblem) or not problem.family.has_heavy_tails:
        raise ModelError(
            "row_weights is about models with family=hr.StudentT(), in which rows count more or less; in this one all "
            "rows count alike, or by their weights=."
        )
    prob = check_prob(ci_prob)
    fit = read(tree)
    values = _moments(problem, tree, prob)
    attrs = {"heading": f"{fit.heading}; equal-tailed {percent(prob)} intervals", "ci_prob": prob}
    values |= {"response": problem.observed.y}
    return RowWeights(
        {name: (("obs",), value) for name, value in values.items()},
        coords={"obs": np.arange(problem.n_rows)},
        attrs=attrs,
    )


def _moments(problem: FamilyProblem, tree: xr.DataTree, prob: float) -> dict[str, Any]:
    """Return moments of linear predictors and weights, by name (N,)."""
    posterior = tree["posterior"].to_dataset()
    beta, b = coefficient_draws(problem, posterior)
    auxiliary = auxiliary_draws(problem, posterior)
    N = problem.n_rows
    out = {name: np.empty(N) for name in ("fitted", "fitted_sd", "weight", "lower", "upper")}
    for rows in chunks(N, len(beta)):
        eta = linear_predictors(problem, beta, b, rows)
        scale, nu = row_auxiliaries(auxiliary, problem.observed.stratum[rows])
        weight = (nu + 1.0) / (nu + ((problem.observed.y[rows] - eta) / scale) ** 2)
        of_eta, of_weight = moments(eta[None], prob), moments(weight[None], prob)
        out["fitted"][rows], out["fitted_sd"][rows] = of_eta["mean"], of_eta["sd"]
        out["weight"][rows] = of_weight["mean"]
        out["lower"][rows], out["upper"][rows] = of_weight["lower"], of_weight["upper"]
    return out
