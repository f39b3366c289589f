"""What varies within groups: the error variance of intraclass correlations, on the scale of the linear predictor.

Of normal and log-normal responses it is error_sd^2, of Student t ones error_scale^2 nu / (nu - 2) where nu > 2, and of
those that are the sign or category of a latent response the variance of the link. Of counts and gamma responses with a
log link it is the variance of the logarithm of an observation, for which Nakagawa, Johnson and Schielzeth (2017) have
three approximations. With lambda the expected response at the means of the predictors, averaged over groups,
exp(eta + (variance between groups) / 2), and

    c = 1 / lambda (Poisson),    1 / lambda + dispersion (negative binomial),    1 / shape (gamma),

which is the squared coefficient of variation, they are ln(1 + c) ("lognormal"), c ("delta") and trigamma(1 / c)
("trigamma", exact for the gamma distribution).

References
----------
Nakagawa, S., Johnson, P. C. D. and Schielzeth, H. (2017). The coefficient of determination R2 and intra-class
correlation coefficient from generalized linear mixed-effects models revisited and expanded. Journal of the Royal
Society Interface 14, 20170213, sections 3 to 5 and table 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.response.student_t import LOWEST_NU

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.reports.reading import Fit

    Array = NDArray[np.float64]

# What Student t errors have in place of a standard deviation.
_SCALE = "error_scale"
APPROXIMATIONS = ("lognormal", "trigamma", "delta")
# By family with a log link: its squared coefficient of variation, of lambda and its further parameter.
_SQUARED_CV: dict[str, tuple[str | None, Callable[[Array, Array], Array]]] = {
    "Poisson": (None, lambda rate, _: 1.0 / rate),
    "NegativeBinomial": ("dispersion", lambda rate, dispersion: 1.0 / rate + dispersion),
    "Gamma": ("shape", lambda _, shape: 1.0 / shape),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinGroups:
    """The variance within groups.

    Attributes
    ----------
    draws : array (chain, draw, strata)
    reml : array (strata,)
    """

    draws: Array
    reml: Array


def family_name(fit: Fit) -> str:
    """Return the name of the family of responses, as users write it; nothing for normal responses."""
    return str(fit.attrs.get("family", "")).split("(", maxsplit=1)[0]


def is_of_logarithm(fit: Fit) -> bool:
    """Whether the variance is that of the logarithm of a count or of a gamma response."""
    return family_name(fit) in _SQUARED_CV


def depends_on_the_mean(fit: Fit) -> bool:
    """Whether the variance depends on the mean response: that of counts."""
    return family_name(fit) in {"Poisson", "NegativeBinomial"}


def stratum_dim(fit: Fit) -> str | None:
    """Return the dimension of strata that differ in this variance."""
    name = _parameter(fit)
    dims = fit.posterior[name].dims if name is not None and name in fit.posterior else ()
    for dim in (fit.error_dim, "stratum"):
        if dim is not None and dim in dims:
            return dim
    return None


def has_variance(fit: Fit) -> bool:
    """Whether there is such a variance: of shares, and of known errors that differ, there is none."""
    if float(fit.attrs.get("latent_variance", 0.0)):
        return True
    if depends_on_the_mean(fit):
        return "population_column_means" in fit.constant
    if _SCALE in fit.posterior:
        return not bool(np.any(fit.draws("nu") <= LOWEST_NU))
    return is_of_logarithm(fit) or "error_sd" in fit.posterior


def _parameter(fit: Fit) -> str | None:
    if float(fit.attrs.get("latent_variance", 0.0)):
        return None
    if is_of_logarithm(fit):
        return _SQUARED_CV[family_name(fit)][0]
    return _SCALE if _SCALE in fit.posterior else "error_sd"


def within_groups(
    fit: Fit, between: tuple[Array, Array], values: Mapping[str, float], approximation: str
) -> WithinGroups:
    """Return the variance within groups.

    Parameters
    ----------
    fit : Fit
    between : arrays (chain, draw, strata), (strata,)
        The variance that all groups add: draws, and that of the point estimate.
    values : mapping column -> number
        Of predictors that are not at their means.
    approximation : {"lognormal", "trigamma", "delta"}
    """
    latent, shape = float(fit.attrs.get("latent_variance", 0.0)), (*fit.n_draws, between[0].shape[-1])
    if latent:
        return WithinGroups(draws=np.full(shape, latent), reml=np.full(shape[-1], latent))
    draws, reml = _of_parameter(fit)
    if not is_of_logarithm(fit):
        inflation, reml_inflation = _inflations(fit)
        draws, reml = draws**2 * inflation, reml**2 * reml_inflation
        return WithinGroups(draws=np.broadcast_to(draws, shape), reml=np.broadcast_to(reml, shape[-1:]))
    rate = _mean_responses(fit, between, values) if depends_on_the_mean(fit) else between
    _, squared_cv = _SQUARED_CV[family_name(fit)]
    return WithinGroups(
        draws=_of_logarithm(squared_cv(rate[0], draws), approximation),
        reml=_of_logarithm(squared_cv(rate[1], reml), approximation),
    )


def _inflations(fit: Fit) -> tuple[Array, Array]:
    """Return the variance of errors over their squared scale: nu / (nu - 2) of Student t ones; draws, and plug-in."""
    if _SCALE not in fit.posterior:
        return np.ones((*fit.n_draws, 1)), np.ones(1)
    nu, nu_reml = fit.draws("nu")[..., None], np.atleast_1d(fit.limit["nu"].to_numpy())
    return nu / (nu - LOWEST_NU), nu_reml / np.maximum(nu_reml - LOWEST_NU, np.finfo(float).tiny)


def _mean_responses(fit: Fit, between: tuple[Array, Array], values: Mapping[str, float]) -> tuple[Array, Array]:
    """Return lambda: draws, and that of the point estimate."""
    x, offset = population_means(fit, values), float(fit.constant.attrs["offset_mean"])
    eta, eta_reml = fit.draws("beta") @ x + offset, float(fit.limit["beta"].to_numpy() @ x) + offset
    with np.errstate(over="ignore"):
        return np.exp(eta[..., None] + 0.5 * between[0]), np.exp(eta_reml + 0.5 * between[1])


def _of_parameter(fit: Fit) -> tuple[Array, Array]:
    """Return the further parameter, or the error sd: draws (chain, draw, strata or 1), and the point estimate."""
    name = _parameter(fit)
    if name is None:
        return np.zeros((*fit.n_draws, 1)), np.zeros(1)
    return fit.draws(name).reshape(*fit.n_draws, -1), np.atleast_1d(fit.limit[name].to_numpy())


def _of_logarithm(squared_cv: Array, approximation: str) -> Array:
    from scipy.special import polygamma

    if approximation == "delta":
        return squared_cv
    return np.log1p(squared_cv) if approximation == "lognormal" else np.asarray(polygamma(1, 1.0 / squared_cv))


def population_means(fit: Fit, values: Mapping[str, float]) -> Array:
    """Return the means of the population columns (p,), or what was asked for in their place."""
    means: xr.DataArray = fit.constant["population_column_means"]
    return np.array(
        [values.get(str(name), float(mean)) for name, mean in zip(means["coef"].values, means, strict=True)]
    )


def note_of_family(fit: Fit, approximation: str) -> str:
    """Return what has to be said of the variance within groups."""
    if float(fit.attrs.get("latent_variance", 0.0)):
        return (
            "Intraclass correlations are those of the latent response, whose error has the variance of the link "
            "(Nakagawa, Johnson and Schielzeth 2017)."
        )
    if not is_of_logarithm(fit):
        return ""
    name = family_name(fit)
    c = {"Poisson": "1/lambda", "NegativeBinomial": "1/lambda + dispersion", "Gamma": "1/shape"}[name]
    formula = {"lognormal": f"ln(1 + {c})", "delta": c, "trigamma": f"trigamma(1/({c}))"}[approximation]
    others = ", ".join(f"observation={one!r}" for one in APPROXIMATIONS if one != approximation)
    mean = "" if not depends_on_the_mean(fit) else "; lambda is the mean response there, averaged over groups"
    return (
        f"Intraclass correlations are on the scale of the logarithm, where an observation has the variance {formula}"
        f"{mean} (Nakagawa, Johnson and Schielzeth 2017; their other approximations: {others})."
    )
