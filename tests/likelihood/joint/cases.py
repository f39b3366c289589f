"""Small designs of several factors, and of one wide one, with dense formulas for what the kernels do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import minimize

import hierreg as hr
from hierreg.problem.family import FamilyProblem, assemble_family

N = 90


def table(seed: int = 3) -> pd.DataFrame:
    """Return rows of unbalanced crossed and nested factors, with responses of several kinds."""
    rng = np.random.default_rng(seed)
    a, c = rng.integers(0, 9, N), rng.integers(0, 4, N)
    x, z = rng.normal(size=(2, N))
    eta = 0.3 + 0.5 * x + rng.normal(size=9)[a] * 0.8 + rng.normal(size=4)[c] * 0.6
    return pd.DataFrame(
        {
            "a": [f"a{i}" for i in a],
            "c": [f"c{i}" for i in c],
            # Nested in a.
            "n": [f"n{i}{j}" for i, j in zip(a, rng.integers(0, 3, N), strict=True)],
            "row": np.arange(N).astype(str),
            "x": x,
            "z": z,
            "yes": rng.binomial(1, 1 / (1 + np.exp(-eta))),
            "count": rng.poisson(np.exp(eta)),
            "size": rng.integers(1, 6, N),
            "positive": np.exp(eta + 0.3 * rng.normal(size=N)),
            "grade": np.digitize(eta + rng.logistic(size=N), [-0.5, 0.6, 1.5]),
        }
    ).assign(
        hits=lambda d: rng.binomial(d["size"], 0.4),
        misses=lambda d: d["size"] - d["hits"],
        signed=eta + 0.6 * rng.standard_t(4, N),
    )


# name -> formula, family
CASES: dict[str, tuple[str, Any]] = {
    "crossed": ("yes ~ x + (1 | a) + (1 | c)", hr.Bernoulli()),
    "crossed slopes": ("count ~ x + (x | a) + (1 | c)", hr.Poisson()),
    "both with slopes": ("cbind(hits, misses) ~ x + (z | c) + (x | a)", hr.Binomial("probit")),
    "three, one of them rows": ("count ~ x + (1 | n) + (1 | a) + (1 | row)", hr.Poisson()),
    "wide": ("yes ~ x + (x + z + I(x * z) | a)", hr.Bernoulli("cloglog")),
    "two terms of one factor": ("count ~ x + (1 | a) + (0 + x | a) + (1 | c)", hr.Poisson()),
    "dispersion": ("count ~ x + (1 | a) + (1 | c)", hr.NegativeBinomial()),
    "shape": ("positive ~ x + (1 | a) + (1 | c)", hr.Gamma()),
    "heavy tails": ("signed ~ x + (1 | a) + (1 | c)", hr.StudentT()),
    "heavy tails, known": ("signed ~ x + (x | a)", hr.StudentT(6, by="c")),
    "ordered": ("grade ~ x + (1 | a) + (1 | c)", hr.Cumulative()),
}


def problem(name: str) -> FamilyProblem:
    """Return the problem of a case."""
    formula, family = CASES[name]
    return assemble_family(formula, table(), family, None)


@dataclass(frozen=True, kw_only=True)
class Dense:
    """The same model with whole matrices; Z has a column for each effect, factor by factor of the formula."""

    problem: FamilyProblem
    Z: np.ndarray

    @property
    def X(self) -> np.ndarray:
        """Population columns, in the frame of the priors."""
        return self.problem.X[:, self.problem.free]

    def Lambda(self, small: np.ndarray) -> np.ndarray:
        """Return the factor of the covariance of all effects (n, n)."""
        blocks = []
        for factor, mine in zip(self.problem.design.factors, self.problem.parameters.factor_slices, strict=True):
            blocks.append(np.kron(np.eye(len(factor.levels)), small[mine, mine]))
        n = sum(map(len, blocks))
        out, start = np.zeros((n, n)), 0
        for block in blocks:
            out[start : start + len(block), start : start + len(block)] = block
            start += len(block)
        return out

    def log_likelihood(self, eta: np.ndarray, auxiliary: np.ndarray) -> float:
        """Return the log density of all responses, by SciPy's distributions."""
        observed, family = self.problem.observed, self.problem.family
        mean = family.link_function.inverse(eta)
        y = observed.y
        match type(family).__name__:
            case "Poisson":
                out = stats.poisson.logpmf(y, mean)
            case "Bernoulli" | "Binomial":
                out = stats.binom.logpmf(y, observed.trials, mean)
            case "NegativeBinomial":
                size = 1 / auxiliary[0, 0]
                out = stats.nbinom.logpmf(y, size, size / (size + mean))
            case "GammaResponse":
                shape = auxiliary[0, 0]
                out = stats.gamma.logpdf(y, shape, scale=mean / shape)
            case "StudentTResponse":
                scale, nu = auxiliary[observed.stratum].T
                out = stats.t.logpdf(y, nu, eta, scale)
            case "Cumulative":
                edges = np.concatenate([[-np.inf], auxiliary[0], [np.inf]])
                k = y.astype(int)
                F = family.link_function.inverse
                out = np.log(F(edges[k + 1] - eta) - F(edges[k] - eta))
        return float(np.sum(out))

    def laplace(self, phi: np.ndarray, small: np.ndarray, auxiliary: np.ndarray) -> float:
        """Return Laplace's approximation: BFGS for the mode, differences of the log density for its curvature."""
        ZL = self.Z @ self.Lambda(small)
        base = self.problem.offset + self.X @ phi

        def negative(v: np.ndarray) -> float:
            return 0.5 * float(v @ v) - self.log_likelihood(base + ZL @ v, auxiliary)

        v = minimize(negative, np.zeros(ZL.shape[1]), method="BFGS", options={"gtol": 1e-7}).x
        for _ in range(30 if "StudentT" in type(self.problem.family).__name__ else 3):
            slope, w = self.derivatives(base + ZL @ v, auxiliary)
            H = np.eye(len(v)) + ZL.T @ (w[:, None] * ZL)
            v = v + np.linalg.solve(H, ZL.T @ slope - v)
        _, w = self.derivatives(base + ZL @ v, auxiliary)
        H = np.eye(len(v)) + ZL.T @ (w[:, None] * ZL)
        return -negative(v) - 0.5 * float(np.linalg.slogdet(H)[1])

    def derivatives(self, eta: np.ndarray, auxiliary: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return l' and -l'' of every row, by differences of the whole log density, one row at a time."""
        slope, w = np.empty_like(eta), np.empty_like(eta)
        h = 1e-3
        for r in range(len(eta)):
            at = []
            for step in (-2 * h, -h, 0.0, h, 2 * h):
                moved = eta.copy()
                moved[r] += step
                at.append(self.log_likelihood(moved, auxiliary))
            slope[r] = (at[0] - 8 * at[1] + 8 * at[3] - at[4]) / (12 * h)
            w[r] = (at[0] - 16 * at[1] + 30 * at[2] - 16 * at[3] + at[4]) / (12 * h * h)
        if type(self.problem.family).__name__ == "StudentTResponse":
            # What is expected, of which the determinant of all effects is made.
            scale, nu = auxiliary[self.problem.observed.stratum].T
            w = (nu + 1) / (nu + 3) / scale**2
        return slope, w


def dense(problem: FamilyProblem) -> Dense:
    """Return the dense model of a problem."""
    blocks = []
    for factor, mine in zip(problem.design.factors, problem.parameters.factor_slices, strict=True):
        J, q = len(factor.levels), len(factor.coef_names)
        Z = np.zeros((problem.n_rows, J, q))
        Z[np.arange(problem.n_rows), factor.index] = problem.Z[:, mine]
        blocks.append(Z.reshape(problem.n_rows, J * q))
    return Dense(problem=problem, Z=np.concatenate(blocks, axis=1))
