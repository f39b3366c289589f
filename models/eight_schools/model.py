"""Eight estimated effects of coaching with known standard errors."""

from __future__ import annotations

from typing import Any

import numpy as np

import hierreg as hr

PRIORS = hr.Priors(beta=hr.Normal(0, 5), sd={"school": hr.HalfCauchy(5)})


def data() -> Any:
    """Return effect and standard error of eight schools."""
    return hr.load_dataset("eight_schools")


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return ``effect ~ 1 + (1 | school)`` with known standard errors."""
    table = hr.load_dataset("eight_schools") if data is None else data
    return hr.Model("effect ~ 1 + (1 | school)", table, errors=hr.known_se("se"), priors=priors)


def given(sd: float, beta_sd: float = np.inf) -> tuple[float, float, np.ndarray, np.ndarray, float]:
    """Return mean and variance of beta, means (J,) and variances (J,) of the schools, and log p(sd | y) + const.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, 3rd edition, section 5.4.
    """
    y, var = data()["effect"].to_numpy(), data()["se"].to_numpy() ** 2
    weight = 1 / (var + sd**2)
    variance = 1 / (weight.sum() + beta_sd**-2)
    mean = variance * float(np.sum(weight * y))
    pull = var / (var + sd**2)
    log_p = 0.5 * (np.log(variance) + np.sum(np.log(weight)) - np.sum(weight * y**2) + mean**2 / variance)
    return mean, variance, (1 - pull) * y + pull * mean, pull * sd**2 + pull**2 * variance, float(log_p)


def posterior_moments() -> dict[str, tuple[float, float]]:
    """Return posterior means and sds under `PRIORS`, by quadrature over the one standard deviation."""
    x, w = np.polynomial.legendre.leggauss(400)
    angle = 0.25 * np.pi * (x + 1)  # uniform under the half-Cauchy prior of sd = 5 tan(angle)
    parts = [given(5 * np.tan(a), 5.0) for a in angle]
    log_p = np.array([part[4] for part in parts])
    p = w * np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = np.array([[part[0], *part[2]] for part in parts])
    var = np.array([[part[1], *part[3]] for part in parts])
    m = p @ mean
    sd = np.sqrt(p @ (var + (mean - m) ** 2))
    names = ["beta", *(f"school {s}" for s in data()["school"])]
    return {name: (float(a), float(b)) for name, a, b in zip(names, m, sd, strict=True)}


def mean_log_sd() -> tuple[float, float]:
    """Return posterior mean and sd of the logarithm of the standard deviation; it has no mean itself to speak of."""
    x, w = np.polynomial.legendre.leggauss(400)
    sd = 5 * np.tan(0.25 * np.pi * (x + 1))
    log_p = np.array([given(s, 5.0)[4] for s in sd])
    p = w * np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = float(p @ np.log(sd))
    return mean, float(np.sqrt(p @ (np.log(sd) - mean) ** 2))
