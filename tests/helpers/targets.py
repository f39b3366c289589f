"""Densities over unconstrained variance parameters, and their priors."""

import numpy as np
import pytest
from scipy import stats

import hierreg.priors as hp
from hierreg.compiled.densities import as_function
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.likelihood.population import population_prior
from hierreg.likelihood.posterior import Target
from hierreg.sampling.native import native_model
from hierreg.variances.parameters import covariances, variance_parameters
from tests.oracles.cases import random_case

SDS = (hp.HalfNormal(1.4), hp.HalfStudentT(3, 2.0), hp.Gamma(2.2, 1.3), hp.LogNormal(0.1, 0.7))

ERRORS = (hp.InverseGamma(3, 2.5), hp.HalfCauchy(1.2), hp.Exponential(0.8))


def make_target(rng, kind="correlated", q=2, *, terms=None, corr=None, **target_options):
    """Return the target of a random case and the case; terms are the sizes of the bar terms."""
    case = random_case(rng, kind, q=q)
    terms = (q,) if terms is None else terms
    n_error = len(case.layout.labels)
    error_corr = hp.LKJ(0.8) if case.layout.has_corr else None
    if case.layout.kind == "exchangeable":
        error_corr = (hp.LKJ(0.8), hp.LKJ(1.6))[:n_error]
    priors = hp.ResolvedPriors(
        beta=(hp.Normal(1, 2), hp.Normal(-0.5, 1), hp.Normal(0, 3)),
        beta_basis=np.eye(3),
        sd={"g": SDS[:q]} if q else {},
        corr={"g": corr or tuple(hp.LKJ(1.5 + i) if size > 1 else None for i, size in enumerate(terms))},
        error_sd=ERRORS[:n_error] if case.layout.n_sd else (),
        error_corr=error_corr,
    )
    gram = collect(case.design, case.layout)
    parameters = variance_parameters(
        gram.terms,
        priors,
        factors=[("g", ("a", "b", "c", "d")[:q], terms)] if q else [],
    )
    likelihood = marginal_likelihood(gram, prior=population_prior(priors))
    return Target(parameters=parameters, likelihood=likelihood, **target_options), case, priors


def log_prior(priors, parameters, u):
    at = covariances(parameters, u[None])
    total = sum(float(p.log_density(s)) for p, s in zip(priors.sd.get("g", ()), at.sd[0], strict=True))
    total += sum(float(p.log_density(s)) for p, s in zip(priors.error_sd, at.error_sd[0], strict=False))
    start = 0
    for prior, size in zip(priors.corr.get("g", ()), parameters.block_sizes[:-1], strict=False):
        if isinstance(prior, hp.LKJ):
            total += float(prior.log_density(at.corr[0, start : start + size, start : start + size]))
        start += size
    if isinstance(priors.error_corr, tuple):
        for prior, rho, lowest in zip(priors.error_corr, at.error_corr[0], parameters.within_units.lowest, strict=True):
            total += stats.beta(prior.eta, prior.eta, loc=lowest, scale=1 - lowest).logpdf(rho)
    if isinstance(priors.error_corr, hp.LKJ):
        total += float(priors.error_corr.log_density(at.error_corr[0]))
    return total


CASES = [
    {"kind": "independent", "q": 3},
    {"kind": "independent", "q": 4},  # LKJ of four columns
    {"kind": "by", "q": 3, "terms": (2, 1)},
    {"kind": "by", "q": 4, "terms": (1, 3)},
    {"kind": "correlated", "q": 2},
    {"kind": "correlated, group = data set", "q": 3},
    {"kind": "known_se", "q": 2},
    {"kind": "known_cov, scaled", "q": 1},
    {"kind": "correlated", "q": 0},
    {"kind": "exchangeable", "q": 2},
    {"kind": "exchangeable, by stratum", "q": 3, "terms": (2, 1)},
]


def assert_a_sampler_reads_the_same(problem, rng):
    """The table of addresses that nutpie's threads use has the arrays in the right places."""
    target = Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))
    n = problem.parameters.n_free
    u = rng.normal(0, 0.5, n)
    model = native_model(target, u, np.eye(n), None)
    x, gradient, value = np.zeros(n), np.empty(n), np.empty(1)
    arguments = [array.ctypes.data for array in (x, gradient, value)]
    assert as_function(model.function)(n, *arguments, model.table.address) == 0
    expected, expected_gradient = target(u)
    assert value[0] == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12)
