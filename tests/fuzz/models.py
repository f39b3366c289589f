"""A case as a hierreg model: error structure, priors, and everything that is asked of the package, in one place."""

from __future__ import annotations

import numpy as np

from scipy import special, stats

import hierreg as hr
from hierreg.covariance import covariances
from hierreg.marginal.target import Target
from tests.fuzz.oracle import Beta

LIKELIHOODS = ("reml", "ml", "prior")


def error_spec(case):
    kind, *arguments = case.errors
    match kind:
        case "independent":
            return hr.independent()
        case "by":
            return hr.by(arguments[0])
        case "correlated":
            return hr.correlated(arguments[0], unit=arguments[1])
        case "exchangeable":
            unit, by, common = arguments
            return hr.exchangeable(unit) if by is None else hr.exchangeable(unit, by=by, common_sd=common)
        case "known_se":
            return hr.known_se(arguments[0], scale=arguments[1])
    return hr.known_cov(arguments[0], scale=arguments[1])


def make_model(case):
    """Return the model of a case; priors that name parameters need the names, and so a first model."""
    table = LIBRARIES[case.library](case.table)
    first = hr.Model(case.formula, table, errors=error_spec(case))
    if case.priors == "default":
        return first
    return hr.Model(case.formula, table, errors=error_spec(case), priors=random_priors(case, first))


def _polars(table):
    import polars

    return polars.from_pandas(table)


def _pyarrow(table):
    import pyarrow

    return pyarrow.Table.from_pandas(table, preserve_index=False)


LIBRARIES = {
    "pandas": lambda table: table,
    "polars": _polars,
    "pyarrow": _pyarrow,
    "dict": lambda table: {name: table[name].to_numpy() for name in table.columns},
}


def random_priors(case, model):
    """Return priors of all families for the parameters of a model: all of them, some, or some of them fixed."""
    rng = np.random.default_rng([7, case.seed])
    labels, problem = model.problem.labels, model.problem
    y = np.asarray(case.table[case.response], dtype=float)
    unit = float(y.std()) if y.std() > 1e-9 * np.abs(y).max() else 1.0
    given = {"given": 1.0, "partial": 0.5, "fixed": 0.5}[case.priors]
    may_fix = case.priors == "fixed"

    def beta(name, size):
        if may_fix and rng.random() < 0.3:
            return hr.Fixed(float(np.round(rng.normal(), 3)) * unit / size)
        if rng.random() < 0.25:
            return hr.Flat()
        return hr.Normal(float(rng.normal() * unit / size), float(np.exp(rng.normal(0.5, 1)) * unit / size))

    def sd(scale):
        scale = float(scale * np.exp(rng.normal(0, 0.5)))
        families = [
            lambda: hr.HalfNormal(scale),
            lambda: hr.HalfStudentT(float(rng.uniform(2, 8)), scale),
            lambda: hr.HalfCauchy(scale),
            lambda: hr.Exponential(1.0 / scale),
            lambda: hr.Gamma(float(rng.uniform(1, 3)), 2.0 / scale),
            lambda: hr.InverseGamma(float(rng.uniform(1, 4)), scale),
            lambda: hr.LogNormal(float(np.log(scale)), float(rng.uniform(0.3, 1.5))),
        ]
        if may_fix and rng.random() < 0.3:
            return hr.Fixed(scale)
        return families[int(rng.integers(len(families)))]()

    columns = problem.design.X
    size_of = dict(zip(labels.coef, np.sqrt((columns**2).mean(axis=0)), strict=True))
    choices = {}
    by_name = {name: beta(name, float(size_of[name]) or 1.0) for name in labels.coef if rng.random() < given}
    if by_name:
        choices["beta"] = by_name
    sds = {}
    for factor, design in zip(labels.factors, problem.design.factors, strict=True):
        sizes = np.sqrt((design.Z**2).mean(axis=0))
        own = {
            name: sd(unit / (float(size) or 1.0))
            for name, size in zip(factor.coef, sizes, strict=True)
            if rng.random() < given
        }
        if own:
            sds[factor.name] = own
    if sds:
        choices["sd"] = sds
    with_corr = [factor.name for factor in labels.factors if factor.has_corr]
    if with_corr and rng.random() < given:
        choices["corr"] = {name: hr.LKJ(float(np.exp(rng.normal(0.5, 0.5)))) for name in with_corr}
    if labels.n_error_sd and rng.random() < given:
        scale = 1.0 if case.errors[0].startswith("known") else unit
        choices["error_sd"] = sd(scale)
    if labels.has_error_corr and rng.random() < given:
        choices["error_corr"] = hr.LKJ(float(np.exp(rng.normal(0.3, 0.5))))
    return hr.Priors(**choices)


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


def covariances_at(model, u):
    """Return Lambda, error_cov, sds and correlations at u."""
    from types import SimpleNamespace

    at = covariances(model.problem.parameters, np.asarray(u, dtype=float)[None])
    return SimpleNamespace(
        Lambda=at.Lambda[0],
        error_cov=at.error_cov[0],
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
        total += sum(_log_density(p, s) for p, s in zip(priors.sd[factor.name], point.sd[own], strict=True))
        for size, prior in zip(design.term_sizes, priors.corr[factor.name], strict=True):
            if isinstance(prior, hr.LKJ):
                total += _lkj(prior.eta, point.corr[start : start + size, start : start + size])
            start += size
    total += sum(_log_density(p, s) for p, s in zip(priors.error_sd, point.error_sd, strict=False))
    if isinstance(priors.error_corr, tuple):
        rows = model.problem.parameters.within_units.lowest
        for prior, rho, lowest in zip(priors.error_corr, point.error_corr, rows, strict=True):
            total += stats.beta(prior.eta, prior.eta, loc=lowest, scale=1.0 - lowest).logpdf(rho)
    elif isinstance(priors.error_corr, hr.LKJ):
        total += _lkj(priors.error_corr.eta, point.error_corr)
    return total


def _log_density(prior, x):
    match prior:
        case hr.HalfNormal():
            return stats.halfnorm.logpdf(x, scale=prior.sigma)
        case hr.HalfStudentT():
            return np.log(2.0) + stats.t.logpdf(x, prior.nu, scale=prior.sigma)
        case hr.HalfCauchy():
            return stats.halfcauchy.logpdf(x, scale=prior.beta)
        case hr.Exponential():
            return stats.expon.logpdf(x, scale=1.0 / prior.lam)
        case hr.Gamma():
            return stats.gamma.logpdf(x, prior.alpha, scale=1.0 / prior.beta)
        case hr.InverseGamma():
            return stats.invgamma.logpdf(x, prior.alpha, scale=prior.beta)
        case hr.LogNormal():
            return stats.lognorm.logpdf(x, prior.sigma, scale=np.exp(prior.mu))
    return 0.0  # Fixed


def _lkj(eta, corr):
    """Return the LKJ density by Joe's product of symmetric betas, its constant from the betas' normalisers."""
    size = len(corr)
    constant = 0.0
    for k in range(1, size):
        a = eta + (size - 1 - k) / 2.0
        constant += (size - k) * ((2.0 * a - 1.0) * np.log(2.0) + special.betaln(a, a))
    return (eta - 1.0) * np.linalg.slogdet(corr)[1] - constant


# ---- estimates


def point_of_estimate(model, found):
    """Return Lambda and error_cov of an estimate, from what it reports."""
    from types import SimpleNamespace

    labels = model.problem.labels
    q = sum(len(factor.coef) for factor in labels.factors)
    Lambda, start = np.zeros((q, q)), 0
    for factor in labels.factors:
        own = slice(start, start + len(factor.coef))
        Lambda[own, own] = _root(found.cov[factor.name].values)
        start = own.stop
    terms = model.problem.gram.terms
    if terms.components is not None:
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


def _root(cov):
    """Return a square root of a covariance whose columns may be in very different units."""
    sd = np.sqrt(np.diagonal(cov))
    scale = np.where(sd > 0, sd, 1.0)
    values, vectors = np.linalg.eigh(cov / scale[:, None] / scale[None, :])
    return scale[:, None] * vectors * np.sqrt(np.clip(values, 0.0, None))


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
