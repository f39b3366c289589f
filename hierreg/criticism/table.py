"""The table of checks: a name, what is looked at, what it needs, and the function that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hierreg.criticism.checks.between import between
from hierreg.criticism.checks.boundary import boundary
from hierreg.criticism.checks.curvature import curvature
from hierreg.criticism.checks.dispersion import dispersion
from hierreg.criticism.checks.groups import group_tails, outlying_groups
from hierreg.criticism.checks.influence import influence
from hierreg.criticism.checks.order import order
from hierreg.criticism.checks.prior import prior
from hierreg.criticism.checks.sampler import sampler
from hierreg.criticism.checks.slopes import slopes
from hierreg.criticism.checks.spread import spread
from hierreg.criticism.checks.spread_by_group import spread_by_group
from hierreg.criticism.checks.tails import tails
from hierreg.criticism.checks.units import units
from hierreg.criticism.checks.variance_influence import variance_influence

if TYPE_CHECKING:
    from hierreg.criticism.examined import Examined
    from hierreg.criticism.values import Finding, NotMade, Test


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check.

    Attributes
    ----------
    title : str
        What is looked at.
    make : function
        Examined -> Test, Finding of a fact, or NotMade.
    needs_rows : bool
    needs_normal_responses, needs_normal_effects : bool
        Whether it is of P y, and so of normal responses, and of the covariance of normal group effects. Others are of
        errors alone, or of facts.
    """

    title: str
    make: Callable[[Examined], Test | Finding | NotMade]
    needs_rows: bool = True
    needs_normal_responses: bool = False
    needs_normal_effects: bool = False


CHECKS: dict[str, Check] = {
    "tails": Check(title="tails of errors", make=tails),
    "dispersion": Check(title="spread beside what is known of it", make=dispersion),
    "spread": Check(title="spread of errors by predictor", make=spread),
    "spread_by_group": Check(title="spread of errors by group", make=spread_by_group),
    "order": Check(title="errors in order of time", make=order),
    "units": Check(title="errors within units", make=units),
    "curvature": Check(title="curvature", make=curvature),
    "between": Check(
        title="effects between and within groups", make=between, needs_normal_responses=True, needs_normal_effects=True
    ),
    "slopes": Check(title="slopes by group", make=slopes, needs_normal_effects=True),
    "outlying_groups": Check(title="outlying groups", make=outlying_groups, needs_normal_effects=True),
    "group_tails": Check(title="tails of group effects", make=group_tails, needs_normal_effects=True),
    "influence": Check(
        title="influence of groups", make=influence, needs_normal_responses=True, needs_normal_effects=True
    ),
    "variance_influence": Check(
        title="influence of groups on variances",
        make=variance_influence,
        needs_normal_responses=True,
        needs_normal_effects=True,
    ),
    "prior": Check(title="variances that rest on priors", make=prior, needs_rows=False),
    "boundary": Check(title="variances at an edge", make=boundary, needs_rows=False),
    "sampler": Check(title="draws", make=sampler, needs_rows=False),
}
