"""Links: what the linear predictor says of the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.response.kernels import CLOGLOG, IDENTITY, LOG, LOGIT, PROBIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link function.

    Attributes
    ----------
    code : int
        Its number in `response.kernels`.
    forward : function
        Mean -> linear predictor.
    inverse : function
        Linear predictor -> mean.
    variance : float
        Variance of the latent response whose sign (or category) is observed; zero where there is none.
    """

    code: int
    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    variance: float = 0.0


def _logit(p: Array) -> Array:
    from scipy.special import logit

    return np.asarray(logit(p))


def _expit(eta: Array) -> Array:
    from scipy.special import expit

    return np.asarray(expit(eta))


def _probit(p: Array) -> Array:
    from scipy.special import ndtri

    return np.asarray(ndtri(p))


def _normal_cdf(eta: Array) -> Array:
    from scipy.special import ndtr

    return np.asarray(ndtr(eta))


def _cloglog(p: Array) -> Array:
    return np.asarray(np.log(-np.log1p(-p)))


def _complement_of_double_exponential(eta: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(-np.expm1(-np.exp(eta)))


def _exp(eta: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(eta))


def _same(x: Array) -> Array:
    return np.asarray(x)


LINKS: dict[str, Link] = {
    "logit": Link(code=LOGIT, forward=_logit, inverse=_expit, variance=np.pi**2 / 3),
    "probit": Link(code=PROBIT, forward=_probit, inverse=_normal_cdf, variance=1.0),
    "cloglog": Link(code=CLOGLOG, forward=_cloglog, inverse=_complement_of_double_exponential, variance=np.pi**2 / 6),
    "log": Link(code=LOG, forward=np.log, inverse=_exp),
    "identity": Link(code=IDENTITY, forward=_same, inverse=_same),
}
