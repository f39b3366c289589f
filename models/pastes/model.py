"""Strength of a paste in casks within batches: two nested factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import hierreg as hr

FORMULA = "strength ~ 1 + (1 | batch/cask)"
NOTATIONS = (
    FORMULA,
    "strength ~ 1 + (1 | batch) + (1 | batch:cask)",
    "strength ~ 1 + (1 | batch) + (1 | sample)",
)
PRIORS = hr.Priors(
    beta=hr.Normal(0, 1000),
    sd={"batch": hr.HalfNormal(5), "batch:cask": hr.HalfNormal(5)},
    error_sd=hr.HalfNormal(5),
)
# A cask that was tested, another cask of its batch, and a cask of another batch.
NEW = {"batch": ["A", "A", "new"], "cask": ["a", "new", "a"]}


def data() -> Any:
    """Return 60 strengths: 10 batches, three casks of each, two tests of each cask; ``sample`` is batch:cask."""
    return hr.load_dataset("pastes")


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return ``strength ~ 1 + (1 | batch/cask)``."""
    return hr.Model(FORMULA, hr.load_dataset("pastes") if data is None else data, priors=priors)


def notation(formula: str) -> hr.Model:
    """Return the same model in another notation."""
    return hr.Model(formula, data())


def casks_only() -> hr.Model:
    """Return the model in which batches do not differ: 30 casks, whatever batch they are from."""
    return hr.Model("strength ~ 1 + (1 | batch:cask)", data())


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All that a balanced nested layout has to say: I batches, J casks in each, K tests of each; sums of squares."""

    I: int  # noqa: E741  # sizes of the layout, as in every textbook
    J: int
    K: int
    SSB: float
    SSC: float
    SSE: float
    batches: np.ndarray
    casks: np.ndarray

    @property
    def mean(self) -> float:
        """Grand mean."""
        return float(self.batches.mean())

    @property
    def df(self) -> tuple[int, int, int]:
        """Degrees of freedom of batches, casks within batches, and tests within casks."""
        return self.I - 1, self.I * (self.J - 1), self.I * self.J * (self.K - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variances:
    """Variances of batches, casks within batches, and errors; floats or arrays of one shape."""

    batch: Any
    cask: Any
    error: Any


def layout(table: Any) -> Layout:
    """Return means and sums of squares of a table."""
    ordered = table.sort_values(["batch", "cask"], kind="stable")
    I, J = ordered["batch"].nunique(), ordered["cask"].nunique()  # noqa: E741  # as in every textbook
    y = ordered["strength"].to_numpy().reshape(I, J, -1)
    casks, batches, K = y.mean(axis=2), y.mean(axis=(1, 2)), y.shape[2]
    return Layout(
        I=I,
        J=J,
        K=K,
        SSB=float(J * K * np.sum((batches - y.mean()) ** 2)),
        SSC=float(K * np.sum((casks - batches[:, None]) ** 2)),
        SSE=float(np.sum((y - casks[:, :, None]) ** 2)),
        batches=batches,
        casks=casks,
    )


def strata(s: Layout, v: Variances) -> tuple[Any, Any]:
    """Return the expected mean squares of batches and of casks within batches.

    With the error variance they are all eigenvalues of the covariance matrix of the rows.
    """
    of_casks = v.error + s.K * v.cask
    return of_casks + s.J * s.K * v.batch, of_casks


def anova(s: Layout, method: str = "reml") -> Variances:
    """Return the estimates from mean squares where none is negative; ML divides by the number of batches."""
    df = s.df
    error, of_casks = s.SSE / df[2], s.SSC / df[1]
    of_batches = s.SSB / (s.I if method == "ml" else df[0])
    return Variances(batch=(of_batches - of_casks) / (s.J * s.K), cask=(of_casks - error) / s.K, error=error)


def criterion(s: Layout, v: Variances, method: str = "reml") -> Any:
    """Return minus twice the (restricted) log likelihood."""
    of_batches, of_casks = strata(s, v)
    n, df = s.I * s.J * s.K, s.df
    logs = df[0] * np.log(of_batches) + df[1] * np.log(of_casks) + df[2] * np.log(v.error)
    squares = s.SSB / of_batches + s.SSC / of_casks + s.SSE / v.error
    beta = np.log(2 * np.pi) + np.log(of_batches) if method == "ml" else np.log(n)
    return (n - 1) * np.log(2 * np.pi) + beta + logs + squares


def casks_only_criterion(s: Layout, method: str) -> float:
    """Return minus twice the (restricted) log likelihood at its maximum where batches do not differ."""
    squares, casks = s.SSB + s.SSC, s.I * s.J
    of_casks, error = squares / (casks if method == "ml" else casks - 1), s.SSE / s.df[2]
    return criterion(s, Variances(batch=0.0, cask=(of_casks - error) / s.K, error=error), method)


def blups(s: Layout, v: Variances) -> dict[str, np.ndarray]:
    """Return the effects of batches (I,) and of casks (I * J,).

    The deviation of a batch mean is divided between its batch and its casks in the ratio of J batch to cask.
    """
    of_batches, of_casks = strata(s, v)
    of_batch = s.batches - s.mean
    within = (s.casks - s.batches[:, None]) / of_casks
    return {
        "batch": s.J * s.K * v.batch / of_batches * of_batch,
        "batch:cask": s.K * v.cask * (within + of_batch[:, None] / of_batches).ravel(),
    }


def prediction_variances(s: Layout, v: Variances) -> list[float]:
    """Return the variances of the errors of predicted expected strengths, one for each row of `NEW`.

    A signal of variance t seen with noise of variance u leaves t u / (t + u) unknown: in the grand mean, in the
    deviations of batches from it, and in those of casks from their batch.
    """
    n = s.I * s.J * s.K

    def left(signal: float, noise: float) -> float:
        return signal * noise / (signal + noise)

    other_batches = (s.I - 1) / s.I
    of_cask_mean = v.cask / s.J + v.error / (s.J * s.K)
    known_cask = (
        v.error / n
        + other_batches * left(v.batch + v.cask / s.J, v.error / (s.J * s.K))
        + (s.J - 1) / s.J * left(v.cask, v.error / s.K)
    )
    known_batch = of_cask_mean / s.I + other_batches * left(v.batch, of_cask_mean) + v.cask
    new_batch = strata(s, v)[0] / n + v.batch + v.cask
    return [known_cask, known_batch, new_batch]


def grid(s: Layout, size: int = 120) -> tuple[Variances, np.ndarray]:
    """Return nodes of the variances, and their posterior probabilities under `PRIORS`, by Gauss-Legendre quadrature.

    The population mean is integrated in closed form.
    """
    x, w = np.polynomial.legendre.leggauss(size)
    (e, we), (c, wc), (b, wb) = ((high / 2 * (x + 1), w) for high in (2.5, 10.0, 12.0))
    v = Variances(error=e[:, None, None] ** 2, cask=c[:, None] ** 2, batch=b**2)
    n, beta_var = s.I * s.J * s.K, 1000.0**2
    # The restricted likelihood integrates beta over a flat prior; this puts the normal one in its place.
    total = beta_var + strata(s, v)[0] / n
    log_p = -0.5 * (criterion(s, v) + np.log(total) + s.mean**2 / total + (v.error + v.cask + v.batch) / 5**2)
    weights = np.exp(log_p - log_p.max()) * we[:, None, None] * wc[:, None] * wb
    return v, weights / weights.sum()


def posterior_moments(s: Layout) -> dict[str, tuple[float, float]]:
    """Return posterior means and sds under `PRIORS` of sds and of shares of the variance."""
    v, weights = grid(s)
    total = v.batch + v.cask + v.error
    out = {}
    for name, value in {
        "sd of batches": np.sqrt(v.batch),
        "sd of casks": np.sqrt(v.cask),
        "error sd": np.sqrt(v.error),
        "correlation within a batch": v.batch / total,
        "correlation within a cask": (v.batch + v.cask) / total,
    }.items():
        mean = float(np.sum(weights * value))
        out[name] = (mean, float(np.sqrt(np.sum(weights * (value - mean) ** 2))))
    return out
