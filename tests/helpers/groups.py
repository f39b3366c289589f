"""Cases of many groups, and comparisons with the dense likelihood."""

from dataclasses import replace

import numpy as np
import pytest

from hierreg.design_matrices import Design, FactorDesign
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.likelihood.population import FixedBeta, PopulationPrior
from tests.oracles import dense
from tests.oracles.cases import Case, make_layout, random_case


def case_of(rng, index, z, kind="independent", **layout):
    """Return a case in which the group column z (N,) is given and everything else random."""
    n = len(index)
    X = np.column_stack([np.ones(n), rng.normal(size=n), rng.normal(3.0, 1.0, n)])
    Z = np.column_stack([np.ones(n), z]) if z is not None else np.ones((n, 1))
    q = Z.shape[1]
    factor = FactorDesign(
        name="g",
        levels=tuple(f"g{j}" for j in range(int(index.max()) + 1)),
        index=index.astype(np.intp),
        Z=Z,
        coef_names=("Intercept", "z")[:q],
        term_sizes=(q,),
        term_correlated=(True,),
    )
    design = Design(
        response_name="y",
        y=rng.normal(2.0, 3.0, n),
        X=X,
        coef_names=("Intercept", "x", "w"),
        factors=(factor,),
    )
    layout = make_layout(kind, n, **layout)
    D = len(layout.labels)
    A = rng.normal(size=(D, D + 2))
    error_cov = A @ A.T if layout.has_corr else np.diag(rng.uniform(0.5, 2.0, D))
    Lambda = np.tril(rng.normal(size=(q, q)))
    return Case(design=design, layout=layout, Lambda=Lambda, error_cov=error_cov)


def partly_balanced(rng):
    """Twenty groups of one design, twelve of another, three like no other; rows in no order."""
    index = np.concatenate([np.repeat(np.arange(20), 3), np.repeat(np.arange(20, 32), 2), np.repeat([32, 33, 34], 4)])
    z = np.concatenate([np.tile(rng.normal(size=3), 20), np.tile(rng.normal(size=2), 12), rng.normal(size=12)])
    order = rng.permutation(len(index))
    return case_of(rng, index[order], z[order])


def strata_within_groups(rng):
    """Groups with rows in two strata, in one, in the other; the third stratum is in a few only."""
    index = np.repeat(np.arange(60), 2)
    stratum = np.concatenate([np.tile([0, 1], 28), np.zeros(28), np.ones(32), np.tile([2, 1], 2)])
    layout = {"labels": ("u", "v", "w"), "dim": "site", "n_sd": 3, "stratum": stratum.astype(np.intp)}
    return case_of(rng, index, np.tile(rng.normal(size=2), 60), "by", **layout)


# More than two strips.
MANY = {"n": 320, "J": 150}


def strata_of_groups(rng, *, q, groups=200):
    """Return a case with three error variances, of which groups meet one or two: tiles of one term, and of several."""
    case = random_case(rng, "independent", n=600, J=groups, q=q)
    group = case.design.factors[0].index
    stratum = np.where(rng.random(600) < 0.2, 2, group % 2).astype(np.intp)
    stratum[group < 120] = (group % 2)[group < 120]
    layout = make_layout("by", 600, labels=("u", "v", "w"), dim="site", n_sd=3, stratum=stratum)
    return replace(case, layout=layout, error_cov=np.diag([0.5, 2.0, 1.1]))


def alike_beside_different(rng, q):
    """Return a case of 280 groups, of which 210 have one design; two error variances within every group."""
    n = 6 * 280
    case = random_case(rng, "independent", n=n, J=280, q=q)
    (factor,) = case.design.factors
    index = np.repeat(np.arange(280), 6).astype(np.intp)
    Z = rng.normal(size=(n, q))
    Z[:1260] = np.tile(rng.normal(size=(6, q)), (210, 1))
    stratum = np.tile([0, 1], 840).astype(np.intp)
    layout = make_layout("by", n, labels=("u", "v"), dim="site", n_sd=2, stratum=stratum)
    levels = tuple(f"g{j}" for j in range(280))
    design = replace(case.design, factors=(replace(factor, index=index, Z=Z, levels=levels),))
    return replace(case, design=design, layout=layout, error_cov=np.diag([0.5, 2.0]))


BETAS = ("flat", "ml", "normal", "fixed")

# Four coefficients of prior and fixed values; a case takes its first p.
MEAN, SD = np.array([1.0, -0.5, 0.2, 0.7]), np.array([3.0, 0.5, 1.2, 2.0])


def likelihood_and_oracle(case, beta):
    """Return hierreg's likelihood and the keywords of the dense one, for one treatment of beta."""
    gram, p = collect(case.design, case.layout), case.design.X.shape[1]
    if beta == "normal":
        basis = np.eye(p)
        basis[0] = case.design.X.mean(axis=0)
        back = np.linalg.inv(basis)
        prior = PopulationPrior(basis=basis, mean=MEAN[:p], sd=SD[:p])
        prior_cov = back @ np.diag(SD[:p] ** 2) @ back.T
        oracle = {"prior_mean": back @ MEAN[:p], "prior_cov": prior_cov}
        return marginal_likelihood(gram, prior=prior), {"beta": "normal"} | oracle
    if beta == "fixed":
        fixed = FixedBeta(is_fixed=np.ones(p, dtype=bool), value=MEAN[:p])
        return marginal_likelihood(gram, fixed=fixed), {"beta": "fixed", "value": MEAN[:p]}
    return marginal_likelihood(gram, profile=beta == "ml"), {"beta": beta}


def assert_equal_to_dense(case, beta, rtol=1e-9):
    likelihood, oracle = likelihood_and_oracle(case, beta)
    value, g_Lambda, g_error = likelihood.value_and_gradient(*case.point)
    Sigma = case.Lambda @ case.Lambda.T
    assert value == pytest.approx(
        dense.log_likelihood(case.design, case.layout, Sigma, case.error_cov, **oracle), rel=rtol
    )
    expected_Lambda, expected_error = dense.gradient(case.design, case.layout, *case.point, **oracle)
    scale = max(np.linalg.norm(expected_Lambda), np.linalg.norm(expected_error))
    np.testing.assert_allclose(g_Lambda, expected_Lambda, rtol=0, atol=rtol * scale)
    mask = np.ones_like(g_error) if case.layout.has_corr else np.eye(len(g_error))
    np.testing.assert_allclose(g_error * mask, expected_error, rtol=0, atol=rtol * scale)
