"""A case as a hierreg model: error structure, priors, and everything that is asked of the package, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy import sparse, special, stats

import hierreg as hr
from hierreg.likelihood.posterior import Target
from hierreg.variances.parameters import covariances
from tests.fuzz.oracle import Beta

LIKELIHOODS = ("reml", "ml", "prior")


def error_spec(case):
    kind, *arguments = case.errors
    match kind:
        case "exchangeable":
            unit, by, common = arguments
            return hr.exchangeable(unit) if by is None else hr.exchangeable(unit, by=by, common_sd=common)
        case "known_se":
            return hr.known_se(arguments[0], scale=arguments[1])
        case "known_cov":
            return hr.known_cov(COVARIANCES[case.given or "matrix"](arguments[0], case), scale=arguments[1])
        case "correlated" | "ar1":
            return getattr(hr, kind)(arguments[0], unit=arguments[1])
    return getattr(hr, kind)(*arguments)


def _in_blocks(V, case):
    """Return the diagonal blocks, one for each set of neighbours that V connects."""
    ends = [r for r in range(1, len(V)) if not V[:r, r:].any()]
    return [V[a:b, a:b] for a, b in zip([0, *ends], [*ends, len(V)], strict=True)]


def _labelled(V, case):
    """Return a table in another order than the rows."""
    table = pd.DataFrame(V, index=case.table.index, columns=case.table.index)
    order = np.random.default_rng([17, case.seed]).permutation(len(V))
    return table.iloc[order, order]


COVARIANCES = {
    "matrix": lambda V, case: V,
    "blocks": _in_blocks,
    "sparse": lambda V, case: sparse.csr_array(V),
    "labelled": _labelled,
}


def make_model(case):
    """Return the model of a case; priors that name parameters need the names, and so a first model."""
    table = LIBRARIES[case.library](case.table)
    options = {"errors": error_spec(case), "collinear": case.collinear, "weights": case.weights}
    first = hr.Model(case.formula, table, **options)
    if case.priors == "default":
        return first
    return hr.Model(case.formula, table, priors=random_priors(case, first), **options)


def _polars(table):
    import polars as pl

    return pl.from_pandas(table)


def _pyarrow(table):
    import pyarrow as pa

    return pa.Table.from_pandas(table, preserve_index=False)


LIBRARIES = {
    "pandas": lambda table: table,
    "polars": _polars,
    "pyarrow": _pyarrow,
    "dict": lambda table: {name: table[name].to_numpy() for name in table.columns},
}


def random_priors(case, model):
    """Return priors of all families for the parameters of a model: all of them, some, or some of them fixed."""
    rng = np.random.default_rng([7, case.seed])
    y = np.asarray(case.table[case.response], dtype=float)
    unit = float(y.std()) if y.std() > 1e-9 * np.abs(y).max() else 1.0
    choose = _Priors(
        rng=rng, share={"given": 1.0, "partial": 0.5, "fixed": 0.5}[case.priors], may_fix=case.priors == "fixed"
    )
    labels, problem = model.problem.labels, model.problem
    factors = list(zip(labels.factors, problem.design.factors, strict=True))
    choices = {
        "beta": choose.some(labels.coef, unit / _sizes(problem.design.X), choose.beta),
        "sd": {f.name: choose.some(f.coef, unit / _sizes(design.Z), choose.sd) for f, design in factors},
        "corr": {f.name: choose.lkj() for f in labels.factors if f.has_corr and choose.now()},
    }
    choices["sd"] = {name: own for name, own in choices["sd"].items() if own}
    if labels.n_error_sd and choose.now():
        choices["error_sd"] = choose.sd(1.0 if case.errors[0].startswith("known") else unit)
    if labels.has_error_corr and choose.now():
        choices["error_corr"] = choose.lkj()
    return hr.Priors(**{name: choice for name, choice in choices.items() if choice})


def _sizes(columns):
    size = np.sqrt((columns**2).mean(axis=0))
    return np.where(size > 0, size, 1.0)


@dataclass(frozen=True, kw_only=True)
class _Priors:
    """Random priors: of a share of the parameters, some of them fixed where that may be."""

    rng: np.random.Generator
    share: float
    may_fix: bool

    def now(self):
        return bool(self.rng.random() < self.share)

    def some(self, names, scales, choose):
        return {name: choose(float(scale)) for name, scale in zip(names, scales, strict=True) if self.now()}

    def lkj(self):
        return hr.LKJ(float(np.exp(self.rng.normal(0.4, 0.5))))

    def beta(self, scale):
        if self.may_fix and self.rng.random() < 0.3:
            return hr.Fixed(float(np.round(self.rng.normal(), 3)) * scale)
        if self.rng.random() < 0.25:
            return hr.Flat()
        return hr.Normal(float(self.rng.normal() * scale), float(np.exp(self.rng.normal(0.5, 1)) * scale))

    def sd(self, scale):
        scale = float(scale * np.exp(self.rng.normal(0, 0.5)))
        if self.may_fix and self.rng.random() < 0.3:
            return hr.Fixed(scale)
        shape = float(self.rng.uniform(1, 4))
        families = (
            hr.HalfNormal(scale),
            hr.HalfStudentT(2 * shape, scale),
            hr.HalfCauchy(scale),
            hr.Exponential(1.0 / scale),
            hr.Gamma(shape, 2.0 / scale),
            hr.InverseGamma(shape, scale),
            hr.LogNormal(float(np.log(scale)), shape / 3.0),
        )
        return families[int(self.rng.integers(len(families)))]


def beta_of(model, method):
    """Return what is known of beta as the oracle takes it; None where a default takes part (not stated here)."""
    if method != "prior":
        fixed = model.problem.fixed
        if not fixed.is_fixed.any():
            return Beta(method=method)
        rows = tuple(
            ("fixed", float(value)) if held else ("flat",)
            for held, value in zip(fixed.is_fixed, fixed.value, strict=True)
        )
        return Beta(method=method, prior=rows)
    rows = {row.parameter: row.origin for row in model.priors.rows}
    if any(rows.get(f"beta[{name}]") != "given" for name in model.problem.labels.coef):
        return None
    out = []
    for prior in model.priors.beta:
        match prior:
            case hr.Normal():
                out.append(("normal", prior.mu, prior.sigma))
            case hr.Flat():
                out.append(("flat",))
            case hr.Fixed():
                out.append(("fixed", float(prior.array)))
    return Beta(method="prior", prior=tuple(out))


def value_and_gradient(model, method, Lambda, error_cov):
    return model.problem.likelihood(method).value_and_gradient(Lambda, error_cov)


def target_of(model, *, natural=False, prior_on=True):
    problem = model.problem
    return Target(
        parameters=problem.parameters, likelihood=problem.likelihood("prior"), natural=natural, prior_on=prior_on
    )


# ---- points of the posterior


def random_unconstrained(model, rows, rng):
    """Return an ordinary vector u: sds near the spread of the response over that of their column."""
    parameters = model.problem.parameters
    y_sd = float(rows.y.std()) or 1.0
    sizes = [np.sqrt((Z**2).mean(axis=0)) for Z in rows.Z]
    scales = [y_sd / np.where(size > 0, size, 1.0) for size in sizes]
    errors = np.full(len(parameters.error_labels), 1.0 if rows.kind.startswith("known") else y_sd)
    sd = np.concatenate([*scales, errors])[parameters.sd_is_free]
    u = np.zeros(parameters.n_free)
    u[: len(sd)] = np.log(sd) + rng.normal(-0.7, 0.8, len(sd))
    u[len(sd) :] = rng.normal(0, 0.5, len(u) - len(sd))
    return u


def plain_rows(case, model):
    """Return what `random_unconstrained` reads of the rows, without the oracle's."""
    y = np.asarray(case.table[case.response], dtype=float)
    return SimpleNamespace(y=y, kind=case.errors[0], Z=[factor.Z for factor in model.problem.design.factors])


def covariances_at(model, u):
    """Return Lambda, error_cov, sds and correlations at u."""
    at = covariances(model.problem.parameters, np.asarray(u, dtype=float)[None])
    argument = at.error_cov[0] if model.problem.labels.n_error_sd else None
    if model.problem.gram.terms.components is not None:
        argument = {"sd": at.error_sd[0], "corr": at.error_corr[0]}
    return SimpleNamespace(
        Lambda=at.Lambda[0],
        error_cov=at.error_cov[0],
        error_argument=argument,
        sd=at.sd[0],
        corr=at.corr[0],
        error_sd=at.error_sd[0],
        error_corr=at.error_corr[0],
        lost=1.0,
    )


def log_prior(model, point):
    """Return the log prior density of sds and correlations, by SciPy's densities."""
    priors, total, start = model.priors, 0.0, 0
    for factor, design in zip(model.problem.labels.factors, model.problem.design.factors, strict=True):
        own = slice(start, start + len(factor.coef))
        total += sum(DENSITIES[type(p)](p, s) for p, s in zip(priors.sd[factor.name], point.sd[own], strict=True))
        for size, prior in zip(design.term_sizes, priors.corr[factor.name], strict=True):
            if isinstance(prior, hr.LKJ):
                total += _lkj(prior.eta, point.corr[start : start + size, start : start + size])
            start += size
    total += sum(DENSITIES[type(p)](p, s) for p, s in zip(priors.error_sd, point.error_sd, strict=False))
    if isinstance(priors.error_corr, tuple):
        rows = model.problem.parameters.within_units.lowest
        for prior, rho, lowest in zip(priors.error_corr, point.error_corr, rows, strict=True):
            total += stats.beta(prior.eta, prior.eta, loc=lowest, scale=1.0 - lowest).logpdf(rho)
    elif isinstance(priors.error_corr, hr.LKJ):
        total += _lkj(priors.error_corr.eta, point.error_corr)
    return total


DENSITIES = {
    hr.HalfNormal: lambda p, x: stats.halfnorm.logpdf(x, scale=p.sigma),
    hr.HalfStudentT: lambda p, x: np.log(2.0) + stats.t.logpdf(x, p.nu, scale=p.sigma),
    hr.HalfCauchy: lambda p, x: stats.halfcauchy.logpdf(x, scale=p.beta),
    hr.Exponential: lambda p, x: stats.expon.logpdf(x, scale=1.0 / p.lam),
    hr.Gamma: lambda p, x: stats.gamma.logpdf(x, p.alpha, scale=1.0 / p.beta),
    hr.InverseGamma: lambda p, x: stats.invgamma.logpdf(x, p.alpha, scale=p.beta),
    hr.LogNormal: lambda p, x: stats.lognorm.logpdf(x, p.sigma, scale=np.exp(p.mu)),
    hr.Fixed: lambda p, x: 0.0,
}


def _lkj(eta, corr):
    """Return the LKJ density by Joe's product of symmetric betas, its constant from the betas' normalisers."""
    size = len(corr)
    constant = 0.0
    for k in range(1, size):
        a = eta + (size - 1 - k) / 2.0
        constant += (size - k) * ((2.0 * a - 1.0) * np.log(2.0) + special.betaln(a, a))
    return (eta - 1.0) * np.linalg.slogdet(corr)[1] - constant


# ---- estimates


def _lower(corr):
    """Return the lower triangular factor of a correlation matrix, with zeros where it is singular."""
    L = np.zeros_like(corr)
    for j in range(len(corr)):
        left = corr[j, j] - L[j, :j] @ L[j, :j]
        L[j, j] = np.sqrt(left) if left > 0 else 0.0
        for i in range(j + 1, len(corr)) if left > 0 else ():
            L[i, j] = (corr[i, j] - L[i, :j] @ L[j, :j]) / L[j, j]
    return L


def point_of_estimate(model, found):
    """Return Lambda and error_cov of an estimate, from what it reports."""
    labels = model.problem.labels
    q = sum(len(factor.coef) for factor in labels.factors)
    Lambda, start = np.zeros((q, q)), 0
    for factor in labels.factors:
        own = slice(start, start + len(factor.coef))
        sd, corr = found.sd[factor.name].values, found.corr[factor.name].values
        # A column without a variance has no correlations. One of one is one in doubles, while the root of a singular
        # covariance is that of its rounding.
        has_corr = (sd > 0) & (sd[:, None] > 0)
        Lambda[own, own] = sd[:, None] * _lower(np.where(has_corr, corr, np.eye(len(sd))))
        start = own.stop
    terms = model.problem.gram.terms
    if case_is_in_time(model):
        error_cov = pair_of(float(found.error_sd.values) ** 2, float(found.error_corr.values))
    elif terms.components is not None:
        sd, rho = (np.atleast_1d(values.values) for values in (found.error_sd, found.error_corr))
        sd = np.broadcast_to(sd, rho.shape)
        own, size = terms.components.stratum, terms.components.size
        error_cov = np.diag(sd[own] ** 2 * np.where(size == 0, 1.0 - rho[own], 1.0 + (size - 1.0) * rho[own]))
    elif not labels.n_error_sd:
        error_cov = np.eye(1)
    elif found.error_cov is not None:
        error_cov = found.error_cov.values
    else:
        error_cov = np.diag(np.atleast_1d(found.error_sd.values) ** 2)
    return SimpleNamespace(Lambda=Lambda, error_cov=np.asarray(error_cov, dtype=float))


def case_is_in_time(model):
    """Return whether errors are autoregressive."""
    return model.problem.layout.kind == "ar1"


def pair_of(variance, rho):
    """Return the covariance (2, 2) of rows one step of time apart."""
    return variance * np.array([[1.0, rho], [rho, 1.0]])


def best_of_random_points(model, rows, method, rng, count=40):
    """Return the largest of the log likelihoods at random points, and its u."""
    likelihood = model.problem.likelihood(method)
    best, where = -np.inf, None
    for _ in range(count):
        u = random_unconstrained(model, rows, rng)
        u[: len(u)] += rng.normal(0, 1.0, len(u))
        at = covariances(model.problem.parameters, u[None])
        value = likelihood.value_and_gradient(at.Lambda[0], at.error_cov[0])[0]
        if value > best:
            best, where = value, u
    return best, where
