"""Every family of responses: the only list of them."""

from __future__ import annotations

from hierreg.checks import listed
from hierreg.exceptions import ModelError
from hierreg.response.base import Family
from hierreg.response.binomial import Bernoulli, Binomial
from hierreg.response.counts import NegativeBinomial, Poisson
from hierreg.response.ordered import Cumulative
from hierreg.response.positive import GammaResponse, LogNormalResponse
from hierreg.response.shares import Beta
from hierreg.response.student_t import StudentTResponse

FAMILIES: tuple[type[Family], ...] = (
    Bernoulli,
    Binomial,
    Poisson,
    NegativeBinomial,
    GammaResponse,
    Beta,
    LogNormalResponse,
    StudentTResponse,
    Cumulative,
)


def checked_family(family: object) -> Family:
    """Return a family, or raise where it is none.

    Raises
    ------
    ModelError
        If it is none.
    """
    if isinstance(family, type) and family in FAMILIES:
        family = family()
    if not isinstance(family, Family):
        names = [f"hr.{one.__name__.removesuffix('Response')}()" for one in FAMILIES]
        raise ModelError(f"family={family!r} is no family of responses; use one of {listed(names)}.")
    return family
