"""Families of responses: what a response may be, its log density given the linear predictor, and draws."""

from hierreg.response.base import Family, Observed
from hierreg.response.binomial import Bernoulli, Binomial
from hierreg.response.counts import NegativeBinomial, Poisson
from hierreg.response.families import FAMILIES, checked_family
from hierreg.response.ordered import Cumulative
from hierreg.response.positive import GammaResponse, LogNormalResponse
from hierreg.response.shares import Beta
from hierreg.response.student_t import StudentTResponse

__all__ = [
    "FAMILIES",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Cumulative",
    "Family",
    "GammaResponse",
    "LogNormalResponse",
    "NegativeBinomial",
    "Observed",
    "Poisson",
    "StudentTResponse",
    "checked_family",
]
