"""An assay of six samples on 24 plates, every sample on every plate: two crossed factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import hierreg as hr

FORMULA = "diameter ~ 1 + (1 | plate) + (1 | sample)"
PRIORS = hr.Priors(
    beta=hr.Normal(0, 100),
    sd={"plate": hr.HalfNormal(2), "sample": hr.HalfNormal(5)},
    error_sd=hr.HalfNormal(2),
)


def data() -> Any:
    """Return 144 diameters (mm) of zones of inhibition: 24 plates, six samples of penicillin."""
    return hr.load_dataset("penicillin")


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return ``diameter ~ 1 + (1 | plate) + (1 | sample)``."""
    return hr.Model(FORMULA, hr.load_dataset("penicillin") if data is None else data, priors=priors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All that a crossed layout of I plates and J samples, one row each, has to say: means and sums of squares."""

    I: int  # noqa: E741  # rows of the layout, as in every textbook
    J: int
    SSP: float
    SSS: float
    SSE: float
    plates: np.ndarray
    samples: np.ndarray

    @property
    def mean(self) -> float:
        """Grand mean."""
        return float(self.samples.mean())

    @property
    def df(self) -> tuple[int, int, int]:
        """Degrees of freedom of plates, samples and the rest."""
        return self.I - 1, self.J - 1, (self.I - 1) * (self.J - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variances:
    """Variances of plates, samples and errors; floats or arrays of one shape."""

    plate: Any
    sample: Any
    error: Any


def layout(table: Any) -> Layout:
    """Return means and sums of squares of a table."""
    y = table.pivot_table(index="plate", columns="sample", values="diameter", observed=True).to_numpy()
    plates, samples = y.mean(axis=1), y.mean(axis=0)
    rest = y - plates[:, None] - samples + y.mean()
    return Layout(
        I=len(plates),
        J=len(samples),
        SSP=float(len(samples) * np.sum((plates - y.mean()) ** 2)),
        SSS=float(len(plates) * np.sum((samples - y.mean()) ** 2)),
        SSE=float(np.sum(rest**2)),
        plates=plates,
        samples=samples,
    )


def strata(s: Layout, v: Variances) -> tuple[Any, Any, Any]:
    """Return the expected mean squares of plates and samples, and the variance of n^(1/2) times the grand mean.

    The covariance matrix of all rows has these three eigenvalues and the error variance, whatever the variances are.
    """
    of_plates, of_samples = v.error + s.J * v.plate, v.error + s.I * v.sample
    return of_plates, of_samples, of_plates + of_samples - v.error


def anova(s: Layout) -> Variances:
    """Return the estimates from mean squares, which are REML where none is negative."""
    df = s.df
    error = s.SSE / df[2]
    return Variances(plate=(s.SSP / df[0] - error) / s.J, sample=(s.SSS / df[1] - error) / s.I, error=error)


def criterion(s: Layout, v: Variances) -> Any:
    """Return minus twice the restricted log likelihood."""
    of_plates, of_samples, _ = strata(s, v)
    n, df = s.I * s.J, s.df
    logs = df[0] * np.log(of_plates) + df[1] * np.log(of_samples) + df[2] * np.log(v.error)
    squares = s.SSP / of_plates + s.SSS / of_samples + s.SSE / v.error
    return (n - 1) * np.log(2 * np.pi) + np.log(n) + logs + squares


def blups(s: Layout, v: Variances) -> dict[str, np.ndarray]:
    """Return the effects of plates and of samples: deviations of means, shrunk."""
    of_plates, of_samples, _ = strata(s, v)
    return {
        "plate": s.J * v.plate / of_plates * (s.plates - s.mean),
        "sample": s.I * v.sample / of_samples * (s.samples - s.mean),
    }


def prediction_variances(s: Layout, v: Variances) -> dict[str, float]:
    """Return the error variances of what can be said about one sample, beta estimated, and of beta.

    Within the differences between samples each effect has the variance ``left`` = sample * error / (error + I sample);
    what all samples share is confounded with beta.
    """
    _, of_samples, of_mean = strata(s, v)
    left = v.sample * v.error / of_samples
    mean_of_plates = v.plate / s.I + v.error / (s.I * s.J)
    level = mean_of_plates + (s.J - 1) / s.J * left
    return {
        "beta": of_mean / (s.I * s.J),
        "b": v.sample / s.J + (s.J - 1) / s.J * left,
        "difference": 2 * left,
        "level": level,
        "level on a new plate": level + v.plate,
        "new sample on a new plate": of_mean / (s.I * s.J) + v.plate + v.sample,
    }


def grid(s: Layout, size: int = 120) -> tuple[Variances, np.ndarray]:
    """Return nodes of the variances, and their posterior probabilities under `PRIORS`, by Gauss-Legendre quadrature.

    The population mean is integrated in closed form.
    """
    x, w = np.polynomial.legendre.leggauss(size)
    (e, we), (p, wp), (a, wa) = ((high / 2 * (x + 1), w) for high in (1.2, 2.5, 25.0))
    sds = e[:, None, None], p[:, None], a
    v = Variances(error=sds[0] ** 2, plate=sds[1] ** 2, sample=sds[2] ** 2)
    _, _, of_mean = strata(s, v)
    n, beta_var = s.I * s.J, 100.0**2
    # The restricted likelihood integrates beta over a flat prior; this puts the normal one in its place.
    total = beta_var + of_mean / n
    log_p = -0.5 * (criterion(s, v) + np.log(total) + s.mean**2 / total)
    log_p = log_p - 0.5 * (v.error / 2**2 + v.plate / 2**2 + v.sample / 5**2)
    weights = np.exp(log_p - log_p.max()) * we[:, None, None] * wp[:, None] * wa
    return v, weights / weights.sum()


def posterior_moments(s: Layout, first: int, second: int) -> dict[str, tuple[float, float]]:
    """Return posterior means and sds under `PRIORS`; ``difference`` is of two samples, by their places."""
    v, weights = grid(s)
    _, of_samples, of_mean = strata(s, v)
    n, beta_var = s.I * s.J, 100.0**2
    beta_variance = 1 / (n / of_mean + 1 / beta_var)
    gap = s.I * v.sample / of_samples * (s.samples[first] - s.samples[second])
    given = {
        "sd of plates": (np.sqrt(v.plate), 0.0),
        "sd of samples": (np.sqrt(v.sample), 0.0),
        "error sd": (np.sqrt(v.error), 0.0),
        "beta": (beta_variance * n / of_mean * s.mean, beta_variance),
        "difference": (gap, 2 * v.sample * v.error / of_samples),
    }
    out = {}
    for name, (mean, variance) in given.items():
        m = float(np.sum(weights * mean))
        out[name] = (m, float(np.sqrt(np.sum(weights * (variance + (mean - m) ** 2)))))
    return out
