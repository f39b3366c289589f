"""Eight estimated effects of coaching, one of which may lie far out: t effects of schools beside normal ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import hierreg as hr

PRIORS = hr.Priors(beta=hr.Normal(0, 20), sd={"school": hr.HalfCauchy(5)})
NU = 4.0
T = hr.StudentT(NU)
# What school A is made to have found, instead of 28 points.
FAR = 100.0


def data(of_a: float | None = None) -> Any:
    """Return effect and standard error of eight schools, with another effect of school A where one is given."""
    table = hr.load_dataset("eight_schools")
    return table if of_a is None else table.assign(effect=table["effect"].where(table["school"] != "A", of_a))


def build(data: Any = None, priors: hr.Priors | None = None, *, effects: hr.StudentT | None = T) -> hr.Model:
    """Return ``effect ~ 1 + (1 | school)`` with known standard errors and t effects, or normal ones for None."""
    table = hr.load_dataset("eight_schools") if data is None else data
    of = None if effects is None else {"school": effects}
    return hr.Model("effect ~ 1 + (1 | school)", table, errors=hr.known_se("se"), priors=priors, effects=of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Means and sds under `PRIORS`, of J schools.

    Attributes
    ----------
    beta, log_scale : (float, float)
    theta : array (J, 2)
    weight : array (J,)
        Mean of 1 / s.
    """

    beta: tuple[float, float]
    log_scale: tuple[float, float]
    theta: np.ndarray
    weight: np.ndarray


@cache
def integrated(of_a: float | None, nu: float | None) -> Moments:
    """Return posterior moments by brute force: sums over beta, the scale, and the s of every school.

    Given all three a school is normal, with ``y_j ~ N(beta, se_j^2 + s scale^2)``; the weights of s are those of an
    inverse gamma distribution, on an even grid of its logarithm (Gelman et al. 2013, section 17.2).
    """
    from scipy.stats import gamma

    table = data(of_a)
    s, of_s = np.ones(1), np.ones(1)
    if nu is not None:
        x = np.linspace(-12, 4, 121)
        of_s = gamma.pdf(np.exp(x), nu / 2, scale=2 / nu) * np.exp(x)
        s, of_s = np.exp(-x), of_s / of_s.sum()
    node, of_node = np.polynomial.legendre.leggauss(100)
    scale = 5 * np.tan(0.25 * np.pi * (node + 1))  # its prior is uniform in the angle
    beta = np.linspace(-60, 80, 141)
    log_p = np.log(of_node)[:, None] - 0.5 * (beta / 20) ** 2
    theta, weight = [], []
    for y, se in zip(table["effect"], table["se"], strict=True):
        var = se**2 + scale[:, None] ** 2 * s  # (scale, s)
        gap, pull = y - beta, 1 - se**2 / var
        each = np.exp(-0.5 * gap[:, None] ** 2 / var[:, None]) * (of_s / np.sqrt(var))[:, None]  # (scale, beta, s)
        total = each.sum(axis=2)
        log_p = log_p + np.log(total)
        first, second, noise, precision = (
            np.einsum("tbs,ts->tb", each, np.broadcast_to(part, pull.shape)) / total
            for part in (pull, pull**2, se**2 * pull, 1 / s)
        )
        theta.append((beta + gap * first, beta**2 + 2 * beta * gap * first + gap**2 * second + noise))
        weight.append(precision)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    schools = [_moments(p, mean, square) for mean, square in theta]
    return Moments(
        beta=_moments(p, beta, beta**2),
        log_scale=_moments(p, np.log(scale)[:, None], np.log(scale)[:, None] ** 2),
        theta=np.array(schools),
        weight=np.array([float(np.sum(p * one)) for one in weight]),
    )


def _moments(p: np.ndarray, mean: np.ndarray, square: np.ndarray) -> tuple[float, float]:
    first = float(np.sum(p * mean))
    return first, float(np.sqrt(np.sum(p * square) - first**2))
