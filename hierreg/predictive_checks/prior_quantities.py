"""What draws from the prior say of things that people have an idea of: correlations, weights, lines, responses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.design_matrices.predictors import linear_predictors
from hierreg.predictive import of_family
from hierreg.predictive.left_out.without import rows_of_layout
from hierreg.predictive.prior_draws import draw_prior
from hierreg.predictive.rows import chunks, draws_of, error_scaler
from hierreg.problem.family import FamilyProblem
from hierreg.reports.weights import weight_matrix
from hierreg.response import Bernoulli, Binomial

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.problem.labels import FactorLabels
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]

_STREAM = 401
# Rows that are used, evenly spaced in the table.
MOST_ROWS = 20_000
# Probabilities nearer to zero or one than this are certainty.
CERTAIN = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantity:
    """One thing that the prior says.

    Attributes
    ----------
    name, kind : str
        Kinds are "corr", "intraclass", "weight", "link", "line" and "response".
    of : str
        Grouping factor or statistic.
    draws : array (S,)
    observed : float
        The same of the data; NaN where they do not have it.
    """

    name: str
    kind: str
    of: str
    draws: Array
    observed: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """What one column of the model adds to the spread of rows, at S draws of the prior.

    Attributes
    ----------
    kind : {"beta", "sd", "error"}
    factor, column : str
    size : float
        Root mean square of the column over the rows; of a population column its standard deviation.
    spread : array (S,)
        Standard deviation of what it adds to rows.
    """

    kind: str
    factor: str
    column: str
    size: float
    spread: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriorDraws:
    """What `prior_quantities` returns: quantities, and the spread of rows by what it comes from."""

    quantities: list[Quantity]
    columns: list[Columns]
    notes: list[str]


def prior_quantities(problem: Problem | FamilyProblem, draws: int, seed: int, size: int) -> PriorDraws:
    """Return what draws from the prior say.

    Parameters
    ----------
    problem : Problem or FamilyProblem
        With rows, and proper priors.
    draws : int
    seed : int
    size : int
        Rows of a group, of which the weight is.

    Raises
    ------
    PriorError
        If a prior is flat.
    """
    is_family = isinstance(problem, FamilyProblem)
    prior = of_family.prior_group(problem, draws, seed) if is_family else draw_prior(problem, draws, [seed, _STREAM])  # type: ignore[arg-type]  # one of the two
    error = _error_variance(problem, prior)
    columns, notes = _columns(problem, prior, error), []
    out = _correlations(problem, prior)
    if error is None:
        notes.append(
            f"Intraclass correlations and weights of family={problem.family} are left out: its rows have no agreed "  # type: ignore[union-attr]  # a family alone has none
            "variance on the scale of the linear predictor."
        )
    else:
        out += _between_groups(problem, prior, error, size)
    rows = slice(None, None, -(-problem.n_rows // MOST_ROWS))
    if rows.step > 1:
        notes.append(f"Expected values and responses are those of every {rows.step}-th row.")
    return PriorDraws(quantities=out + _of_rows(problem, prior, rows, seed), columns=columns, notes=notes)


def _flat(prior: xr.Dataset, name: str) -> Array:
    values = prior[name].transpose("chain", "draw", ...).to_numpy()
    return np.asarray(values.reshape(values.shape[0] * values.shape[1], *values.shape[2:]))


def _covariance(prior: xr.Dataset, factor: FactorLabels) -> Array:
    """Return Sigma (S, q, q); with heavy tails the scale matrix where it has no variance."""
    name = f"sd_{factor.key}" if f"sd_{factor.key}" in prior else f"scale_{factor.key}"
    sd, q = _flat(prior, name), len(factor.coef)
    corr = _flat(prior, f"corr_{factor.key}") if f"corr_{factor.key}" in prior else np.eye(q)
    return np.asarray(sd[:, :, None] * corr * sd[:, None, :])


def _error_variance(problem: Problem | FamilyProblem, prior: xr.Dataset) -> Array | None:
    """Return the error variance of a row, the mean over rows (S,); None where there is no agreed one."""
    if isinstance(problem, FamilyProblem):
        variance = problem.family.link_function.variance
        if "error_sd" in prior:
            return np.asarray(np.mean(_flat(prior, "error_sd").reshape(prior.sizes["draw"], -1) ** 2, axis=1))
        return np.full(prior.sizes["draw"], variance) if problem.family.is_latent else None
    layout, S = problem.layout, prior.sizes["draw"]
    sd = _flat(prior, "error_sd").reshape(S, -1) if "error_sd" in prior else np.ones((S, 1))
    known = np.ones(len(layout.stratum)) if layout.se is None else layout.se**2
    known = known if layout.V is None else layout.V.diagonal()
    by = np.bincount(layout.stratum, weights=known, minlength=len(layout.labels)) / len(known)
    return np.asarray(np.sum(np.broadcast_to(sd**2, (S, len(by))) * by, axis=1))


def _columns(problem: Problem | FamilyProblem, prior: xr.Dataset, error: Array | None) -> list[Columns]:
    design, beta, out = problem.design, _flat(prior, "beta"), []
    kept = getattr(problem, "kept_coefficients", slice(None))
    for k, (name, x) in enumerate(zip(prior["coef"].values, design.X[:, kept].T, strict=True)):
        sd = float(x.std())
        spread = np.abs(beta[:, k]) * sd
        if sd == 0 and isinstance(problem, FamilyProblem):
            # A constant moves all rows, which is no spread; on the scale of a link it is how far from the data.
            sd, level = float(np.abs(x[0])), float(design.y.mean()) if problem.family.has_level else 0.0
            spread = np.abs(beta[:, k] * x[0] - level)
        out.append(Columns(kind="beta", factor="", column=str(name), size=sd or 1.0, spread=spread))
    for factor, own in zip(problem.labels.factors, design.factors, strict=True):
        sds = np.sqrt(np.diagonal(_covariance(prior, factor), axis1=1, axis2=2))
        size = np.sqrt(np.mean(own.Z**2, axis=0))
        out += [
            Columns(kind="sd", factor=factor.name, column=name, size=float(size[k]) or 1.0, spread=sds[:, k] * size[k])
            for k, name in enumerate(factor.coef)
        ]
    if error is not None and not isinstance(problem, FamilyProblem) and problem.labels.n_error_sd:
        out.append(Columns(kind="error", factor="", column="error_sd", size=1.0, spread=np.sqrt(error)))
    return out


def _correlations(problem: Problem | FamilyProblem, prior: xr.Dataset) -> list[Quantity]:
    out = []
    for factor in problem.labels.factors:
        if f"corr_{factor.key}" in prior:
            out += _pairs(_flat(prior, f"corr_{factor.key}"), factor.coef, f"corr_{factor.name}", factor.name)
    if problem.labels.has_error_corr:
        corr, labels = _flat(prior, "error_corr"), problem.labels
        if labels.has_corr_by_stratum:
            names = [str(one) for one in labels.error_labels] if corr.ndim > 1 else [""]
            out += [
                Quantity(name=f"error_corr[{name}]" if name else "error_corr", kind="corr", of="", draws=draws)
                for name, draws in zip(names, corr.reshape(len(corr), -1).T, strict=True)
            ]
        else:
            out += _pairs(corr, [str(one) for one in labels.error_labels], "error_corr", "")
    return [one for one in out if np.ptp(one.draws) > 0]


def _pairs(corr: Array, names: Any, what: str, of: str) -> list[Quantity]:
    return [
        Quantity(name=f"{what}[{names[i]}, {names[j]}]", kind="corr", of=of, draws=corr[:, i, j])
        for i in range(len(names))
        for j in range(i)
    ]


def _between_groups(problem: Problem | FamilyProblem, prior: xr.Dataset, error: Array, size: int) -> list[Quantity]:
    """Return intraclass correlations at the means of the group columns, and weights of a group of so many rows."""
    between, shares, weights = {}, [], []
    for factor, own in zip(problem.labels.factors, problem.design.factors, strict=True):
        Sigma, z = _covariance(prior, factor), own.Z.mean(axis=0)
        between[factor.name] = np.einsum("i,sij,j->s", z, Sigma, z)
        V_inv = size * (own.Z.T @ own.Z / len(own.Z)) / error[:, None, None]
        left = Sigma - weight_matrix(Sigma, V_inv) @ Sigma  # what is not known of a group after its rows
        where = "Intercept" if list(factor.coef) == ["Intercept"] else "at the means"
        with np.errstate(divide="ignore", invalid="ignore"):
            told = {where: 1.0 - np.einsum("i,sij,j->s", z, left, z) / between[factor.name]}
            told |= {
                name: 1.0 - left[:, k, k] / Sigma[:, k, k] for k, name in enumerate(factor.coef) if name != "Intercept"
            }
        weights += [
            # Of groups that do not differ nothing is kept.
            Quantity(name=f"{factor.name}[{at}]", kind="weight", of=factor.name, draws=np.nan_to_num(draws))
            for at, draws in told.items()
        ]
        shares.append((factor.name, where))
    total = np.sum([*between.values(), error], axis=0)
    return [
        Quantity(name=f"{name}[{where}]", kind="intraclass", of=name, draws=between[name] / total)
        for name, where in shares
    ] + weights


def _of_rows(problem: Problem | FamilyProblem, prior: xr.Dataset, rows: slice, seed: int) -> list[Quantity]:
    made = (
        _of_family(problem, prior, rows, seed)
        if isinstance(problem, FamilyProblem)
        else _of_normal(problem, prior, rows, seed)
    )
    values = of_family.observed_values(problem) if isinstance(problem, FamilyProblem) else problem.design.y
    y = np.asarray(values, dtype=float)[rows]
    observed = dict(zip(_STATISTICS, _statistics(y[None])[:, 0], strict=True))
    names = {
        "line": "expected value of a row",
        "link": "linear predictor of a row",
        "response": problem.labels.response,
    }
    out = []
    for (kind, what), draws in made.items():
        name = what if kind == "certain" else f"{names[kind]}, {what}"
        seen = observed.get(what, np.nan) if kind == "response" else np.nan
        out.append(Quantity(name=name, kind="line" if kind == "certain" else kind, of=what, draws=draws, observed=seen))
    return out


_STATISTICS = ("mean", "sd", "smallest", "largest")


def _statistics(values: Array) -> Array:
    """Return mean, sd, smallest and largest of rows (S, N) as (4, S)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.stack([values.mean(axis=1), values.std(axis=1), values.min(axis=1), values.max(axis=1)])


def _of_normal(problem: Problem, prior: xr.Dataset, rows: slice, seed: int) -> dict[tuple[str, str], Array]:
    draws, rng = draws_of(prior, problem), np.random.default_rng([seed, _STREAM, 1])
    every = np.arange(problem.n_rows)[rows]
    layout = problem.layout if len(every) == problem.n_rows else rows_of_layout(problem.layout, every)
    scale, S = error_scaler(layout), len(draws.beta)
    of_lines, of_rows = np.empty((4, S)), np.empty((4, S))
    for part in chunks(S, len(every)):
        some = draws.part(part)
        mu = linear_predictors(problem.design, some.beta, [some.b[f.name] for f in problem.design.factors], rows=rows)
        of_lines[:, part] = _statistics(mu)
        of_rows[:, part] = _statistics(mu + scale(some, rng.standard_normal(mu.shape)))
    lines = {("line", what): of_lines[k] for k, what in enumerate(_STATISTICS) if k > 1}
    return lines | {("response", what): of_rows[k] for k, what in enumerate(_STATISTICS)}


def _of_family(problem: FamilyProblem, prior: xr.Dataset, rows: slice, seed: int) -> dict[tuple[str, str], Array]:
    rng = np.random.default_rng([seed, _STREAM, 1])
    beta, b = of_family.coefficient_draws(problem, prior)
    auxiliary, S = of_family.auxiliary_draws(problem, prior), len(beta)
    is_share = isinstance(problem.family, Bernoulli | Binomial)
    of_links, of_rows, certain = np.empty((4, S)), np.empty((4, S)), np.empty(S)
    stratum, trials = problem.observed.stratum[rows], problem.observed.trials[rows]
    for part in chunks(S, len(stratum)):
        eta = of_family.linear_predictors(problem, beta[part], [one[part] for one in b], rows)
        of_links[:, part] = _statistics(eta)
        if is_share:
            mean = problem.family.mean(eta, eta, eta)
            certain[part] = np.mean(np.abs(mean - 0.5) > 0.5 - CERTAIN, axis=1)
        of_rows[:, part] = _statistics(of_family.drawn(problem, rng, eta, auxiliary[part], stratum, trials))
    out = {("link", what): of_links[k] for k, what in enumerate(_STATISTICS) if k > 1}
    if is_share:
        out["certain", f"rows with a probability below {CERTAIN} or above {1 - CERTAIN}"] = certain
    return out | {("response", what): of_rows[k] for k, what in enumerate(_STATISTICS)}


def with_names(quantities: list[Quantity]) -> list[Quantity]:
    """Return quantities whose names are told apart: the factor of a weight stands beside that of its share."""
    seen: set[str] = set()
    out = []
    for one in quantities:
        name = one.name if one.name not in seen else f"{one.name}, {one.kind}"
        seen.add(name)
        out.append(replace(one, name=name))
    return out
