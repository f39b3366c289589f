"""Rows that were observed after the fit, stacked on the rows to predict: what `predict(..., given=)` conditions on."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.design_matrices import as_table
from hierreg.exceptions import DataError, HierregError, HierregWarning, ModelError
from hierreg.linalg import unit_diagonal
from hierreg.linear.prediction.errors import NewErrors, new_errors
from hierreg.linear.prediction.rows import NewGroups, NewRows, new_rows
from hierreg.problem.effects import EffectsProblem
from hierreg.warning import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Of a variance: where others leave less of it, they determine the value; by a known covariance, which has rounding.
_DETERMINED, _DETERMINED_BY_V = 1e-12, 1e-8
_NOTHING_LEFT = (
    "given has rows whose response, or its error, observed rows and other given ones determine: there is nothing left "
    "to condition on. Leave such rows out, or put them into the data and fit again."
)
_MAX_BYTES = 4 * 2**30
_MATRICES = 6  # of all rows by all rows, at an estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenRows:
    """G rows whose response is known, and the M rows to predict.

    Attributes
    ----------
    y : array (G,)
    stack : NewRows
        All G + M rows, given ones first; groups and units of one label are one group and one unit.
    new : NewRows
        The M rows to predict, without errors.
    """

    y: Array
    stack: NewRows
    new: NewRows

    @property
    def has_new_groups(self) -> bool:
        """Whether some of the given rows are of groups that were not observed."""
        return any(np.any(groups.new_group[: len(self.y)] >= 0) for groups in self.stack.groups)


def is_given(given: Any) -> bool:
    """Return whether there are rows to condition on: an empty table has none."""
    if isinstance(given, Mapping):
        return any(isinstance(values, Sized) and len(values) > 0 for values in given.values())
    return given is not None and not (isinstance(given, Sized) and len(given) == 0)


def given_rows(
    problem: Problem,
    newdata: Any,
    given: Any,
    level: Mapping[str, str],
    *,
    cross_cov: Any = None,
    new_cov: Any = None,
) -> GivenRows:
    """Return rows with a known response and rows to predict as arrays, one upon the other.

    Given rows are of their own groups whatever `level` says; a group that they are of may be named at level "group".

    Parameters
    ----------
    problem : Problem
    newdata, given : tables
        M and G rows; `given` has the response too.
    level : mapping factor -> str
        Of `newdata`; see `predict`.
    cross_cov, new_cov : array_like (G + M, N) and (G + M, G + M)
        For a known covariance.

    Raises
    ------
    DataError, ModelError
        If a column is missing, or levels or matrices do not fit, or the rows cannot be conditioned on.
    """
    names = problem.labels.factor_names
    known, y = _named("given", lambda: _known_rows(problem, given))
    new = new_rows(problem, newdata, _with_new(level), observation=False, residuals=False)
    fresh = {groups.factor: _new_labels(groups) for groups in known.groups}
    if any(level[groups.factor] == "group" and _new_labels(groups) - fresh[groups.factor] for groups in new.groups):
        new_rows(problem, newdata, level, observation=False, residuals=False)  # says which groups nobody has seen
    if isinstance(problem, EffectsProblem) and any(fresh.values()):
        raise ModelError(
            f"given has rows of new groups of {names[0]!r}, whose effects are {problem.effects}: given its rows, such "
            "an effect is not normal. Put the rows into the data, and fit again."
        )
    errors = _stacked_errors(problem.layout, as_table(given), as_table(newdata), cross_cov, new_cov)
    groups = tuple(_stacked(first, second) for first, second in zip(known.groups, new.groups, strict=True))
    return GivenRows(y=y, stack=NewRows(X=np.vstack([known.X, new.X]), groups=groups, errors=errors), new=new)


def _with_new(level: Mapping[str, str]) -> dict[str, str]:
    return {name: "new group" if value == "group" else value for name, value in level.items()}


def _known_rows(problem: Problem, given: Any) -> tuple[NewRows, Array]:
    """Return the given rows and their response."""
    level = dict.fromkeys(problem.labels.factor_names, "new group")
    rows = new_rows(problem, given, level, observation=False, residuals=False)
    y = problem.state.apply(given, response=True, new_levels="allow").y
    _warn_of_rows_of_the_fit(problem.design, rows, y)
    return rows, y


def _warn_of_rows_of_the_fit(design: Design, rows: NewRows, y: Array) -> None:
    """Warn of given rows that equal rows of the model in all that the model sees of them."""
    own = [y[:, None], rows.X, *(part for new in rows.groups for part in (new.group[:, None], new.Z))]
    old = [design.y[:, None], design.X, *(part for f in design.factors for part in (f.index[:, None], f.Z))]
    # Adding zero makes one of both zeros.
    seen = {row.tobytes() for row in np.hstack([part[np.isin(design.y, y)] for part in old]) + 0.0}
    twice = np.array([row.tobytes() in seen for row in np.hstack(own) + 0.0])
    if twice.any():
        warn(
            f"given has {int(twice.sum())} of {len(y)} rows that equal rows of the model, response included (first at "
            f"row {int(np.argmax(twice))}). If they are the same observations they count twice: leave them out of "
            "given, which is for rows that the model was not fitted to.",
            HierregWarning,
        )


def _new_labels(groups: NewGroups) -> set[str]:
    return {groups.labels[row] for row in np.flatnonzero(groups.new_group >= 0)}


def _stacked(first: NewGroups, second: NewGroups) -> NewGroups:
    """Return the groups of both tables by one factor, new ones counted together."""
    labels = [*first.labels, *second.labels]
    is_new = np.concatenate([first.new_group, second.new_group]) >= 0
    new_group = np.full(len(labels), -1, dtype=np.intp)
    new_group[is_new] = np.unique(np.array(labels)[is_new], return_inverse=True)[1]
    return NewGroups(
        factor=first.factor,
        Z=np.vstack([first.Z, second.Z]),
        group=np.concatenate([first.group, second.group]),
        new_group=new_group,
        labels=labels,
    )


def _stacked_errors(layout: ErrorLayout, given: Any, newdata: Any, cross_cov: Any, new_cov: Any) -> NewErrors:
    """Return how the errors of both tables depend on the observed ones and on one another."""
    own = layout.spec.columns
    columns: dict[str, list[Any]] = {}
    for name in (*own.labels, *own.numbers):
        has = (name in given.columns, name in newdata.columns)
        if all(has):
            columns[name] = [*given[name].to_list(), *newdata[name].to_list()]
        elif any(has):
            where, lacks = ("given", "newdata") if has[0] else ("newdata", "given")
            raise DataError(
                f"{where} has the column {name!r} of errors={layout.spec}, and {lacks} has not. What given rows say of "
                "new ones depends on the errors of both: give the column to both"
                f"{', or leave it out of both' if name == own.unit else ''}."
            )
    n = len(given) + len(newdata)
    table = as_table(columns or {" ": [0] * n})
    errors = _named(
        "given and newdata together",
        lambda: new_errors(layout, table, observation=True, cross_cov=cross_cov, new_cov=new_cov),
    )
    if errors.cov is not None:
        left, whole = errors.cov.diagonal(), np.diagonal(np.asarray(new_cov, dtype=float))
        if np.any(left[: len(given)] <= _DETERMINED_BY_V * whole[: len(given)]):
            raise ModelError(_NOTHING_LEFT)
    return errors


def _named[T](name: str, read: Callable[[], T]) -> T:
    """Return what `read` does; where it raises, the message names the table that is read."""
    try:
        return read()
    except HierregError as error:
        text = str(error).removeprefix("predict: ")
        words = text.replace("newdata", name) if "newdata" in text else f"{name}: {text}"
        raise type(error)(words) from error


def check_memory(given: GivenRows) -> None:
    """Raise where covariances between all rows would take more than 4 GiB.

    Raises
    ------
    ModelError
    """
    n = len(given.stack.X)
    size = 8 * _MATRICES * n**2
    if size > _MAX_BYTES:
        raise ModelError(
            f"predict: covariances between {len(given.y)} given and {n - len(given.y)} new rows would take "
            f"{size / 2**30:.1f} GiB; at most {_MAX_BYTES / 2**30:.0f} GiB are allowed. Predict fewer rows at a time, "
            "or put the given rows into the data and fit again."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inverse:
    """The inverse of covariances V (..., G, G) of given rows, by the factor of their correlations.

    Attributes
    ----------
    sd : array (..., G)
    L : array (..., G, G)
        Lower triangular.
    """

    sd: Array
    L: Array

    @classmethod
    def of(cls, V: Array) -> Inverse:
        """Return the inverse of V.

        Raises
        ------
        ModelError
            If rows determine one another.
        """
        sd, corr = unit_diagonal(V)
        try:
            L = np.linalg.cholesky(corr)
        except np.linalg.LinAlgError:
            L = np.zeros_like(corr)
        pivots = np.diagonal(L, axis1=-2, axis2=-1) ** 2
        if pivots.size and pivots.min() < _DETERMINED:
            raise ModelError(_NOTHING_LEFT)
        return cls(sd=sd, L=L)

    def whitened(self, B: Array) -> Array:
        """Return W (..., G, k) with W'W = B'V^-1 B, for B (..., G, k)."""
        return np.asarray(np.linalg.solve(self.L, B / self.sd[..., :, None]))

    def times(self, B: Array) -> Array:
        """Return V^-1 B (..., G, k)."""
        return np.asarray(np.linalg.solve(np.swapaxes(self.L, -1, -2), self.whitened(B))) / self.sd[..., :, None]

    @property
    def log_det(self) -> Array:
        """Log determinant of V."""
        diagonal = np.diagonal(self.L, axis1=-2, axis2=-1)
        return np.asarray(2.0 * np.sum(np.log(self.sd) + np.log(diagonal), axis=-1))
