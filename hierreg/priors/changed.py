"""Priors made narrower or wider: raised to a power, in another unit of scale, of another family.

Every family here is closed under powers: p(x)^alpha is, but for a constant, a density of the same family or of one
beside it. With t = log x of a log-normal, for example, x^-alpha exp(-alpha (t - mu)^2 / (2 sigma^2)) is log-normal with
variance sigma^2 / alpha and mean mu + (1 - alpha) sigma^2 / alpha. So a posterior under a power of the priors can be
had by a refit, as exactly as any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hierreg.exceptions import PriorError
from hierreg.priors.correlation import LKJ, Fixed
from hierreg.priors.families import (
    Exponential,
    Flat,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LogNormal,
    Normal,
    SdPrior,
)

if TYPE_CHECKING:
    from hierreg.priors.requested import BetaChoice, CorrChoice, SdChoice
    from hierreg.priors.resolved import ResolvedPriors

    type Choice = BetaChoice | SdChoice | CorrChoice


def to_power(prior: Choice, alpha: float) -> Choice:
    """Return the prior with a density proportional to the alpha-th power of one; flat and fixed ones stay.

    Raises
    ------
    PriorError
        If the power has no finite integral.

    Examples
    --------
    >>> print(to_power(Normal(1, 4), 4), to_power(HalfCauchy(3), 2), to_power(LKJ(2), 0.5))
    Normal(1, 2) HalfStudentT(3, 1.7321) LKJ(1.5)
    """
    if isinstance(prior, Flat | Fixed) or alpha == 1:
        return prior
    try:
        return _POWERS[type(prior)](prior, alpha)
    except PriorError as error:
        raise PriorError(
            f"{prior} to the power {alpha:g} has no finite integral: it is no prior. Use powers nearer to one, or a "
            "prior with lighter tails."
        ) from error


def _power_of_log_normal(prior: Any, alpha: float) -> Choice:
    variance = prior.sigma**2 / alpha
    return LogNormal(prior.mu + (1.0 - alpha) * variance, math.sqrt(variance))


def _power_of_half_t(prior: Any, alpha: float) -> Choice:
    nu = alpha * (prior.nu + 1.0) - 1.0
    # A nu that is not positive is refused by the family.
    return HalfStudentT(nu, prior.sigma * math.sqrt(abs(prior.nu / nu)) if nu else prior.sigma)


_POWERS: dict[type[Any], Callable[[Any, float], Choice]] = {
    Normal: lambda prior, alpha: Normal(prior.mu, prior.sigma / math.sqrt(alpha)),
    HalfNormal: lambda prior, alpha: HalfNormal(prior.sigma / math.sqrt(alpha)),
    HalfStudentT: _power_of_half_t,
    HalfCauchy: lambda prior, alpha: _power_of_half_t(HalfStudentT(1.0, prior.beta), alpha),
    Exponential: lambda prior, alpha: Exponential(alpha * prior.lam),
    Gamma: lambda prior, alpha: Gamma(1.0 + alpha * (prior.alpha - 1.0), alpha * prior.beta),
    InverseGamma: lambda prior, alpha: InverseGamma(alpha * (prior.alpha + 1.0) - 1.0, alpha * prior.beta),
    LogNormal: _power_of_log_normal,
    LKJ: lambda prior, alpha: LKJ(1.0 + alpha * (prior.eta - 1.0)),
}


def rescaled(prior: Choice, factor: float) -> Choice:
    """Return the prior of factor times what one is a prior of; of a coefficient about the same mean.

    Flat priors, those of correlations and fixed values stay.

    Examples
    --------
    >>> print(rescaled(Normal(1, 4), 2), rescaled(Exponential(3), 2), rescaled(Gamma(2, 1), 0.5))
    Normal(1, 8) Exponential(1.5) Gamma(2, 2)
    """
    return prior if isinstance(prior, Flat | Fixed | LKJ) else _RESCALED[type(prior)](prior, factor)


_RESCALED: dict[type[Any], Callable[[Any, float], Choice]] = {
    Normal: lambda prior, factor: Normal(prior.mu, factor * prior.sigma),
    HalfNormal: lambda prior, factor: HalfNormal(factor * prior.sigma),
    HalfStudentT: lambda prior, factor: HalfStudentT(prior.nu, factor * prior.sigma),
    HalfCauchy: lambda prior, factor: HalfCauchy(factor * prior.beta),
    Exponential: lambda prior, factor: Exponential(prior.lam / factor),
    Gamma: lambda prior, factor: Gamma(prior.alpha, prior.beta / factor),
    InverseGamma: lambda prior, factor: InverseGamma(prior.alpha, factor * prior.beta),
    LogNormal: lambda prior, factor: LogNormal(prior.mu + math.log(factor), prior.sigma),
}


def with_median(family: SdPrior, median: float) -> Choice:
    """Return a prior of the shape of `family` with a median.

    Examples
    --------
    >>> print(with_median(HalfCauchy(1), 25), with_median(HalfNormal(1), 25))
    HalfCauchy(25) HalfNormal(37.065)
    """
    return rescaled(family, median / median_of(family))


def median_of(prior: SdPrior) -> float:
    """Return the median of a prior of a standard deviation."""
    return float(_MEDIANS[type(prior)](prior))


_MEDIANS: dict[type[Any], Callable[[Any], float]] = {
    HalfNormal: lambda prior: prior.sigma * _special().ndtri(0.75),
    HalfStudentT: lambda prior: prior.sigma * _special().stdtrit(prior.nu, 0.75),
    HalfCauchy: lambda prior: prior.beta,
    Exponential: lambda prior: math.log(2.0) / prior.lam,
    Gamma: lambda prior: _special().gammaincinv(prior.alpha, 0.5) / prior.beta,
    InverseGamma: lambda prior: prior.beta / _special().gammainccinv(prior.alpha, 0.5),
    LogNormal: lambda prior: math.exp(prior.mu),
}


def _special() -> Any:
    # SciPy is imported when it is needed.
    from scipy import special

    return special


def has_variance(prior: Choice) -> bool:
    """Return whether a prior has a finite variance."""
    return not isinstance(prior, Flat) and (type(prior) not in _VARIANCES or _VARIANCES[type(prior)](prior))


# Whether families whose tails are powers have a variance.
_VARIANCES: dict[type[Any], Callable[[Any], bool]] = {
    HalfStudentT: lambda prior: prior.nu > 2,
    HalfCauchy: lambda _: False,
    InverseGamma: lambda prior: prior.alpha > 2,
}


def changed(priors: ResolvedPriors, change: Callable[[str, Choice], Choice]) -> ResolvedPriors:
    """Return priors in which each has been replaced by what a function makes of it; frames stay.

    Parameters
    ----------
    priors : ResolvedPriors
    change : function
        Name of the variable (``beta``, ``sd_<factor>``, ``corr_<factor>``, ``error_sd``, ``error_corr``) and prior ->
        prior.
    """

    def one(name: str, prior: Choice | None) -> Choice | None:
        return None if prior is None else change(name, prior)

    corr = priors.error_corr
    new = {
        "beta": tuple(one("beta", prior) for prior in priors.beta),
        "sd": {name: tuple(one(f"sd_{name}", prior) for prior in own) for name, own in priors.sd.items()},
        "corr": {name: tuple(one(f"corr_{name}", prior) for prior in own) for name, own in priors.corr.items()},
        "error_sd": tuple(one("error_sd", prior) for prior in priors.error_sd),
        "error_corr": (
            tuple(one("error_corr", prior) for prior in corr) if isinstance(corr, tuple) else one("error_corr", corr)
        ),
    }
    # The table of words is that of other priors.
    return replace(priors, rows=(), notes=(), **new)  # type: ignore[arg-type]  # by role, as they were


def priors_by_name(priors: ResolvedPriors) -> dict[str, list[Choice]]:
    """Return the priors that are no constants, by name of the variable as `changed` has them."""
    out: dict[str, list[Choice]] = {}

    def note(name: str, prior: Choice) -> Choice:
        if not isinstance(prior, Fixed):
            out.setdefault(name, []).append(prior)
        return prior

    changed(priors, note)
    return out
