"""What the functions of this layer read of a model, and the check that a result belongs to it.

`Model` is a layer above; what is needed of it is spelled out here as protocols.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.tree.names import factors_attribute

if TYPE_CHECKING:
    import xarray as xr

    from hierreg.covariance import VarianceParameters
    from hierreg.design import Design
    from hierreg.error_structure import ErrorLayout
    from hierreg.marginal.likelihood import Likelihood
    from hierreg.marginal.population import FixedBeta
    from hierreg.priors import ResolvedPriors
    from hierreg.tree.names import Labels


class ProblemLike(Protocol):
    """A model that is ready to be evaluated: formula, rows, errors, priors and labels."""

    @property
    def formula(self) -> str:
        """The formula."""

    @property
    def design(self) -> Design:
        """The arrays of the N rows."""

    @property
    def n_rows(self) -> int:
        """Number of rows, kept or not."""

    @property
    def layout(self) -> ErrorLayout:
        """The error structure over the rows."""

    @property
    def priors(self) -> ResolvedPriors:
        """One prior per parameter."""

    @property
    def parameters(self) -> VarianceParameters:
        """The variance parameters."""

    @property
    def labels(self) -> Labels:
        """What the parameters are called."""

    @property
    def fixed(self) -> FixedBeta:
        """Population coefficients at known values."""

    def likelihood(self, method: str, /) -> Likelihood:
        """Return the marginal likelihood with beta treated as "reml", "ml" or "prior" asks."""


class ModelLike(Protocol):
    """What is read of a `hierreg.Model`."""

    @property
    def problem(self) -> ProblemLike:
        """The model's formula, rows, errors and priors, ready to be evaluated."""


class RequestLike(Protocol):
    """What is read of the arguments of `Model.sample`."""

    @property
    def draws(self) -> int:
        """Draws kept per chain."""

    @property
    def tune(self) -> int | None:
        """Warm-up draws per chain."""

    @property
    def chains(self) -> int:
        """Number of chains."""

    @property
    def cores(self) -> int | None:
        """Chains that run at once."""

    @property
    def target_accept(self) -> float | None:
        """Acceptance probability that the step size is tuned to; None for the usual one."""

    @property
    def parametrization(self) -> str:
        """Which of the parametrizations."""

    @property
    def sampler(self) -> str:
        """Which of the samplers."""

    @property
    def progress(self) -> bool:
        """Whether a progress bar is shown."""


def problem_of(model: ModelLike) -> ProblemLike:
    """Return the problem of a model.

    Raises
    ------
    ModelError
        If it is no model.
    """
    problem = getattr(model, "problem", None)
    if problem is None:
        raise ModelError(
            f"model has type {type(model).__name__}; a hierreg Model, hr.Model(formula, data), is required."
        )
    return problem  # type: ignore[no-any-return]  # what has a `problem` is a model


def check_has_rows(problem: ProblemLike, what: str) -> None:
    """Raise where a model was made of cross-products, without rows.

    Raises
    ------
    ModelError
        Which names what needs them.
    """
    if not len(problem.design.y):
        raise ModelError(
            f"{what} needs the rows of the table, and this model was made of statistics alone (Model.from_gram). Use "
            "hr.Model(formula, table) with those rows, or a part of them."
        )


def attributes(problem: ProblemLike) -> dict[str, Any]:
    """Return what a result records of its model."""
    return {
        "formula": problem.formula,
        "errors": str(problem.layout.spec),
        "priors": str(problem.priors),
        "response": problem.labels.response,
        "factors": factors_attribute(problem.labels),
        "error_dim": problem.labels.error_dim or "",
        "n_rows": problem.n_rows,
    }


def check_match(tree: xr.DataTree, problem: ProblemLike, *, also: tuple[str, ...] = ()) -> None:
    """Raise unless a result was sampled from the same formula, errors and groups.

    Parameters
    ----------
    tree : DataTree
    problem : ProblemLike
    also : tuple of str
        Further attributes that must be equal, such as "priors".
    """
    import xarray as xr

    if not isinstance(tree, xr.DataTree):
        raise ModelError(f"tree has type {type(tree).__name__}; a DataTree from Model.sample or hr.load is required.")
    if "posterior" not in tree.children:
        raise ModelError(
            f"tree has the groups {', '.join(tree.children) or 'none'}; a posterior, from Model.sample, is required."
        )
    mine = attributes(problem)
    for name in ("formula", "errors", "n_rows", *also):
        if name in tree.attrs and tree.attrs[name] != mine[name]:
            raise ModelError(
                f"tree was sampled from a model with another {name}: {tree.attrs[name]!r}, while that of the "
                f"model given is {mine[name]!r}. Give the model that the tree was sampled from."
            )
    for factor in problem.labels.factors:
        if factor.name not in tree["posterior"].coords:
            continue
        theirs = np.asarray(tree["posterior"].coords[factor.name].values).astype(str)
        if not np.array_equal(theirs, np.asarray(factor.levels).astype(str)):
            raise ModelError(
                f"tree and model have different groups of {factor.name!r}. "
                "Give the model that the tree was sampled from."
            )
