"""Groups that a result rests on: what happens to the population coefficients without each of them, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from hierreg.criticism.values import Finding, NotMade, Test

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.criticism.examined import Examined
    from hierreg.criticism.rows import Rows
    from hierreg.criticism.values import Array, Outcome, Sample
    from hierreg.design_matrices import FactorDesign

_FEWEST_GROUPS = 5
# Of rows times rows of the generic way, which needs P of the rows of each group.
_MOST = 30_000_000
# What is left of the information on a coefficient without a group, below which nothing is.
_DETERMINED = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deletion:
    """What population coefficients change by when each group of a factor is left out, the variances held.

    Attributes
    ----------
    change : sparse array (J r, N)
        Times P y: beta less beta without the group, in coordinates in which beta has the covariance I.
    is_possible : bool array (J,)
        Whether the other groups determine all coefficients.
    coef : array (p, r)
        From these coordinates to those of the columns.
    """

    change: Any
    is_possible: NDArray[np.bool_]
    coef: Array

    def of(self, marginal: Array) -> Array:
        """Return the changes (J, r, b) of responses with residuals P y (N, b)."""
        r = self.coef.shape[1]
        return np.asarray(self.change @ marginal).reshape(-1, r, marginal.shape[1])

    def distances(self, marginal: Array) -> Array:
        """Return Cook's distance of each group (J, b): the squared change over the number of coefficients."""
        return np.asarray(np.sum(self.of(marginal) ** 2, axis=1) / max(self.coef.shape[1], 1))


def deletion(rows: Rows, place: int) -> Deletion | NotMade:
    """Return the changes of coefficients without each group of a factor.

    Leaving rows I out is the same as a free coefficient for each of them, so that the change is B_I'(P_II)^-1 (P y)_I;
    where errors and other factors do not link groups, (I - Q_j'V_j^-1 Q_j)^-1 Q_j'(P y)_j, which is cheaper.

    References
    ----------
    Cook (1977), Technometrics 19(1), 15-18; Christensen, Pearson and Johnson (1992), Technometrics 34(1), 38-45.
    """
    factor = rows.factors[place]
    J, r = len(factor.levels), rows.model.B.shape[1]
    by_group = [np.flatnonzero(factor.index == j) for j in range(J)] if J * rows.n < _MOST else _split(factor.index, J)
    if rows.model.is_by_group and not _has_links(rows, factor.index):
        pieces = [_apart(rows, own) for own in by_group]
        parts = [(own, values) for own, (values, _) in zip(by_group, pieces, strict=True)]
        possible = [is_possible for _, is_possible in pieces]
    elif rows.n**2 > _MOST:
        return NotMade(reason="groups are linked, by errors or other factors, and rows are many")
    else:
        pieces = [_linked(rows, own) for own in by_group]
        everything = np.arange(rows.n)
        parts = [(everything, values) for values, _ in pieces]
        possible = [is_possible for _, is_possible in pieces]
    blocks = [_entries(j, r, own, values) for j, (own, values) in enumerate(parts)]
    row, column, value = (np.concatenate(one) for one in zip(*blocks, strict=True))
    change = sparse.csr_array((value, (row, column)), shape=(J * r, rows.n))
    return Deletion(change=change, is_possible=np.array(possible), coef=rows.model.coef)


def _split(index: NDArray[np.intp], J: int) -> list[NDArray[np.intp]]:
    order = np.argsort(index, kind="stable")
    return np.split(order, np.cumsum(np.bincount(index, minlength=J))[:-1])


def _has_links(rows: Rows, index: NDArray[np.intp]) -> bool:
    entries = rows.whiten.tocoo()
    return bool(np.any(index[entries.row] != index[entries.col]))


def _entries(j: int, r: int, own: NDArray[np.intp], values: Array) -> tuple[Any, Any, Any]:
    row = np.repeat(j * r + np.arange(r), len(own))
    return row, np.tile(own, r), values.ravel()


def _apart(rows: Rows, own: NDArray[np.intp]) -> tuple[Array, bool]:
    """Return what takes (P y)_j to the change (r, n_j), where groups are independent."""
    # half = V Q (Q'V^-1 Q)^-1/2 on the rows of the group: B = V^-1 half
    half = (rows.X @ rows.model.coef)[own]
    T = half.T @ rows.model.B[own]
    values, vectors = np.linalg.eigh(np.eye(len(T)) - 0.5 * (T + T.T))
    is_possible = bool(values.min(initial=1.0) > _DETERMINED)
    inverse = np.where(values > _DETERMINED, 1.0 / np.where(values > _DETERMINED, values, 1.0), 0.0)
    return (vectors * inverse) @ vectors.T @ half.T, is_possible


def _linked(rows: Rows, own: NDArray[np.intp]) -> tuple[Array, bool]:
    """Return what takes P y to the change (r, N), where they are not."""
    E = rows.whiten[:, own].toarray()
    PE = rows.model(E)
    values, vectors = np.linalg.eigh(E.T @ PE)
    least = _DETERMINED * np.max(np.sum(E**2, axis=0), initial=0.0)
    is_possible = bool(values.min(initial=np.inf) > least)
    inverse = np.where(values > least, 1.0 / np.where(values > least, values, 1.0), 0.0)
    return rows.model.B.T @ E @ ((vectors * inverse) @ vectors.T) @ E.T, is_possible


def _by_factor(rows: Rows) -> dict[str, tuple[FactorDesign, Deletion]] | NotMade:
    """Return the factors with groups enough, and what leaving these out does."""
    found, why = {}, f"fewer than {_FEWEST_GROUPS} groups"
    for place, factor in enumerate(rows.factors):
        if len(factor.levels) < _FEWEST_GROUPS:
            continue
        one = deletion(rows, place)
        if isinstance(one, NotMade):
            why = one.reason
        elif not one.is_possible.any():
            why = f"each group of {factor.name} alone determines a coefficient"
        else:
            found[factor.name] = (factor, one)
    return found or NotMade(reason=why)


def influence(x: Examined) -> Test | NotMade:
    """Compare the largest of Cook's distances of groups with the largest of replicates."""
    assert x.rows is not None
    rows = x.rows
    if not rows.factors:
        return NotMade(reason="the model has no groups")
    if not x.has_normal_effects:
        return NotMade(reason="group effects of this model are not normal")
    if not rows.model.B.shape[1]:
        return NotMade(reason="the model has no free population coefficients")
    found = _by_factor(rows)
    if isinstance(found, NotMade):
        return found

    def scores(sample: Sample) -> Array:
        return np.stack(
            [np.log(one.distances(sample.marginal)[one.is_possible].max(axis=0)) for _, one in found.values()]
        )

    def conclude(o: Outcome) -> Finding:
        factor, one = list(found.values())[o.worst]
        distance = np.where(one.is_possible, one.distances(o.data.marginal)[:, 0], np.nan)
        j = int(np.nanargmax(distance))
        change = one.coef @ one.of(o.data.marginal)[j, :, 0]
        se = np.sqrt(np.sum(one.coef**2, axis=1))
        free = np.flatnonzero(~x.problem.fixed.is_fixed)
        c = int(np.argmax(np.abs(change) / np.where(se > 0, se, np.inf)))
        name = x.problem.design.coef_names[free[c]]
        alone = [str(factor.levels[i]) for i in np.flatnonzero(~one.is_possible)]
        return Finding(
            found=f"{factor.name} {factor.levels[j]}, D = {distance[j]:.2f}",
            evidence=f"Without {factor.name} {factor.levels[j]}, {name} changes by {-change[c]:+.4g}, "
            f"{abs(change[c]) / se[c]:.2f} of its standard errors (Cook's distance {distance[j]:.2f})."
            + (f" Coefficients that {', '.join(alone)} alone determines are not there without it." if alone else ""),
            remedy=f"a look at the rows of {factor.levels[j]}, and a fit without it beside this one",
            statistic=float(distance[j]),
            figure={
                f"cook_{key}": (
                    (f"group_{key}",),
                    np.where(each.is_possible, each.distances(o.data.marginal)[:, 0], np.nan),
                    [str(level) for level in of.levels],
                )
                for key, (of, each) in found.items()
            },
        )

    return Test(labels=tuple(found), scores=scores, conclude=conclude)
