"""Groups that lie far from the others, and group effects with heavy tails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.drawn_groups import drawn_groups
from hierreg.criticism.values import Finding, NotMade, Test

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined
    from hierreg.criticism.rows import Rows
    from hierreg.criticism.values import Array, Outcome, Sample
    from hierreg.design_matrices import FactorDesign

_FEWEST_GROUPS = 5
# Of the largest variance of any group, that of a direction of which the group says something.
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standardised:
    """Group effects of one factor over their marginal standard deviations.

    Attributes
    ----------
    rows : Rows
    place : int
        Of the factor.
    roots : array (J, q, q)
        Z_j'(P y)_j times it has the covariance I.
    """

    rows: Rows
    place: int
    roots: Array

    def distances(self, sample: Sample) -> Array:
        """Return the squared distance of each group (J, b), in the covariance of all of them.

        The best predictor of b_j is Sigma Z_j'(P y)_j, so that this is its distance from zero in its exact marginal
        covariance, scaled such that it does not matter whether Sigma was estimated too large.
        """
        J, q = self.roots.shape[:2]
        u = np.asarray(self.rows.Z[self.place].T @ sample.marginal).reshape(J, q, -1)
        w = np.matmul(self.roots, u)
        S = np.einsum("jab,jcb->bac", w, w) / J
        S += 1e-12 * np.trace(S, axis1=1, axis2=2)[:, None, None] * np.eye(q)
        solved = np.linalg.solve(S, np.moveaxis(w, 2, 0).transpose(0, 2, 1))  # (b, q, J)
        return np.asarray(np.einsum("jab,baj->jb", w, solved))


def standardised(rows: Rows, place: int) -> Standardised:
    """Return how the effects of one factor are standardised."""
    q = rows.factors[place].Z.shape[1]
    values, vectors = np.linalg.eigh(rows.model.own_blocks(rows.Z[place], q))
    # of each coordinate by itself: columns have units
    kept = values > _NOTHING * np.maximum(values.max(axis=1, keepdims=True), _NOTHING * values.max(initial=0.0))
    half = np.where(kept, 1.0 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
    return Standardised(rows=rows, place=place, roots=np.matmul(vectors * half[:, None, :], np.swapaxes(vectors, 1, 2)))


def factors_with_groups(x: Examined) -> dict[str, Standardised] | NotMade:
    """Return the standardised effects of each factor that has groups enough."""
    assert x.rows is not None
    if not x.rows.factors:
        return NotMade(reason="the model has no groups")
    found = {
        factor.name: standardised(x.rows, place)
        for place, factor in enumerate(x.rows.factors)
        if len(factor.levels) >= _FEWEST_GROUPS + factor.Z.shape[1] - 1
    }
    return found or NotMade(reason=f"fewer than {_FEWEST_GROUPS} groups")


def outlying_groups(x: Examined) -> Test | Finding | NotMade:
    """Compare the group that is farthest from the others with the farthest of replicates.

    References
    ----------
    Lange and Ryan (1989), The Annals of Statistics 17(2), 624-642; of responses that are not normal Gelman, Meng and
    Stern (1996), Statistica Sinica 6(4), 733-760.
    """
    if x.rows is None:
        return drawn_groups(x, np.max, _farthest)
    of = factors_with_groups(x)
    if isinstance(of, NotMade):
        return of

    def scores(sample: Sample) -> Array:
        return np.stack([np.log(one.distances(sample).max(axis=0)) for one in of.values()])

    def conclude(o: Outcome) -> Finding:
        name, one = list(of.items())[o.worst]
        factor = one.rows.factors[one.place]
        distance = np.sqrt(one.distances(o.data)[:, 0])
        far = np.argsort(-distance)
        return Finding(
            found=f"{name} {factor.levels[far[0]]}, {distance[far[0]]:.1f} sd",
            evidence=f"{name} {factor.levels[far[0]]} lies {distance[far[0]]:.2f} standard deviations from the "
            f"population, the next, {factor.levels[far[1]]}, {distance[far[1]]:.2f}.",
            remedy=f"a look at the rows of {factor.levels[far[0]]}; effects={{{name!r}: hr.StudentT()}}, which shrinks "
            "such a group less and takes it less into the variance; a predictor of groups",
            statistic=float(distance[far[0]]),
            figure={
                f"distance_{key}": ((f"group_{key}",), np.sqrt(each.distances(o.data)[:, 0]), _labels(each))
                for key, each in of.items()
            },
        )

    return Test(labels=tuple(of), scores=scores, conclude=conclude)


def group_tails(x: Examined) -> Test | Finding | NotMade:
    """Compare the fourth moment of standardised group effects with that of normal ones (Mardia's measure).

    References
    ----------
    Mardia (1970), Biometrika 57(3), 519-530.
    """
    if x.rows is None:
        return drawn_groups(x, _mean_square, _tails)
    of = factors_with_groups(x)
    if isinstance(of, NotMade):
        return of

    def scores(sample: Sample) -> Array:
        return np.stack([np.log(np.mean(one.distances(sample) ** 2, axis=0)) for one in of.values()])

    def conclude(o: Outcome) -> Finding:
        name, one = list(of.items())[o.worst]
        q = one.roots.shape[1]
        kurtosis = float(np.mean(one.distances(o.data) ** 2)) / (q * (q + 2) / 3)
        return Finding(
            found=f"{name}, kurtosis {kurtosis:.2f}",
            evidence=f"Effects of {name} have the kurtosis {kurtosis:.2f}, where normal ones have nearly 3.",
            remedy=f"effects={{{name!r}: hr.StudentT()}}, or hr.Mixture(2) where groups are of two kinds",
            statistic=kurtosis,
        )

    return Test(labels=tuple(of), scores=scores, conclude=conclude)


def _labels(one: Standardised) -> list[str]:
    return [str(level) for level in one.rows.factors[one.place].levels]


def _mean_square(distances: Array, axis: int) -> Array:
    return np.asarray(np.mean(distances**2, axis=axis))


def _farthest(factor: FactorDesign, distance: Array) -> tuple[str, str, str, float]:
    """Return what is found, evidence, remedy and statistic of mean squared distances (J,)."""
    far, d = np.argsort(-distance), np.sqrt(distance)
    name, first = factor.name, factor.levels[int(np.argmax(distance))]
    return (
        f"{name} {first}, {d[far[0]]:.1f} sd",
        f"{name} {first} lies {d[far[0]]:.2f} standard deviations from the population, {factor.levels[far[1]]} next.",
        f"a look at the rows of {first}, and a fit without it; a predictor of groups",
        float(d[far[0]]),
    )


def _tails(factor: FactorDesign, distance: Array) -> tuple[str, str, str, float]:
    q = factor.Z.shape[1]
    ratio = float(np.mean(distance**2)) / (q * (q + 2))
    return (
        f"{factor.name}, fourth moment x {ratio:.2f}",
        f"The fourth moment of effects of {factor.name} is {ratio:.2f} times that of normal ones.",
        "a predictor of groups; group effects with heavy tails, of brms gr(dist = 'student')",
        ratio,
    )
