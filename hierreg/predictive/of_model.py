"""What is read of a model, whose class is a layer above, and the check that a result belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.labels import factors_attribute

if TYPE_CHECKING:
    import xarray as xr

    from hierreg.problem.family import FamilyProblem
    from hierreg.problem.problem import Problem


class ModelLike(Protocol):
    """What is read of a `hierreg.Model`."""

    @property
    def problem(self) -> Problem:
        """The model's formula, rows, errors and priors, ready to be evaluated."""


def any_problem_of(model: ModelLike) -> Problem | FamilyProblem:
    """Return the problem of a model, whatever its responses are.

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


def problem_of(tree: xr.DataTree, model: ModelLike | None, *, also: tuple[str, ...] = ()) -> Problem | FamilyProblem:
    """Return the problem of the model given, which has to be that of the tree, or the one that the tree carries."""
    from hierreg.results.carried import problem_of_tree

    found = problem_of_tree(tree) if model is None else any_problem_of(model)
    check_match(tree, found, also=also)
    return found


def gaussian(problem: object, what: str) -> Problem:
    """Return the problem of a model with normal responses.

    Raises
    ------
    ModelError
        If it is that of another model; names what asks for it.
    """
    from hierreg.problem.problem import Problem

    if not isinstance(problem, Problem):
        family = getattr(problem, "family", None)
        raise ModelError(
            f"{what} is made of models with normal responses; this one has family={family}."
            if family is not None
            else f"{what} is made of models with normal responses and normal group effects."
        )
    return problem


def check_has_rows(problem: Problem, what: str) -> None:
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


def attributes(problem: Problem) -> dict[str, Any]:
    """Return what a result records of its model."""
    return {
        "formula": problem.formula,
        "errors": str(problem.layout.spec),
        "priors": problem.priors.for_files(),
        "response": problem.labels.response,
        "factors": factors_attribute(problem.labels),
        "error_dim": problem.labels.error_dim or "",
        "n_rows": problem.n_rows,
    } | _of_effects(problem)


def _of_effects(problem: Problem) -> dict[str, str]:
    """Return what a result records of group effects that are not normal."""
    if not isinstance(problem, EffectsProblem):
        return {}
    return {"effects": f"{problem.labels.factors[0].name}: {problem.effects}"}


def _attributes_of(problem: Problem | FamilyProblem) -> dict[str, Any]:
    from hierreg.problem.problem import Problem

    if isinstance(problem, Problem):
        return attributes(problem)
    from hierreg.predictive import of_family

    return of_family.attributes(problem)


def check_match(tree: xr.DataTree, problem: Problem | FamilyProblem, *, also: tuple[str, ...] = ()) -> None:
    """Raise unless a result was sampled from the same formula, errors and groups.

    Parameters
    ----------
    tree : DataTree
    problem : Problem
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
    mine = _attributes_of(problem)
    for name in ("formula", "errors", "n_rows", *also):
        if name in tree.attrs and tree.attrs[name] != mine[name]:
            raise ModelError(
                f"tree was sampled from a model with another {name}: {tree.attrs[name]!r}, while that of the "
                f"model given is {mine[name]!r}. Give the model that the tree was sampled from."
            )
    of_tree, of_model = tree.attrs.get("effects", ""), mine.get("effects", "")
    if of_tree != of_model:
        raise ModelError(
            f"tree was sampled from a model with other group effects: {of_tree or 'normal'!r}, while those of the "
            f"model given are {of_model or 'normal'!r}. Give the model that the tree was sampled from."
        )
    for factor in problem.labels.factors:
        if factor.dim not in tree["posterior"].coords:
            continue
        theirs = np.asarray(tree["posterior"].coords[factor.dim].values).astype(str)
        if not np.array_equal(theirs, np.asarray(factor.levels).astype(str)):
            raise ModelError(
                f"tree and model have different groups of {factor.name!r}. "
                "Give the model that the tree was sampled from."
            )
