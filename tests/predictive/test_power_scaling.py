"""Posteriors under powers of priors and likelihood: against dense integrals, doubled rows, and refits."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.predictive.power_scaling import Powers, powered_posteriors
from hierreg.predictive.recovered import covariances_of
from hierreg.results.carried import draws_in
from tests.oracles import dense

BETA = {"Intercept": hr.Normal(1.0, 0.8), "x": hr.Normal(-0.5, 0.6)}
SD, ETA, ERROR = 0.9, 3.0, 0.7
ALPHAS = (0.7, 1.6)


def table_of(rng):
    """Return 33 rows of 6 groups, 11 of another factor, and units of two data sets that are not whole."""
    n = 33
    g, h = rng.permutation(np.arange(n) % 6), np.arange(n) % 11
    out = pd.DataFrame({"g": [f"g{j}" for j in g], "h": [f"h{j}" for j in h], "x": rng.normal(1, 1, n)})
    out["d"] = np.where(np.arange(n) % 2 == 0, "a", "b")
    out["u"], out["t"] = np.arange(n) // 2, rng.permutation(n)
    out["w"], out["se"] = np.arange(n) // 4, rng.uniform(0.3, 0.9, n)
    b = rng.normal(0, 0.7, (2, 6))
    out["y"] = 1.0 + 0.3 * out["x"] + b[0, g] + b[1, g] * out["x"] + 0.6 * rng.normal(size=n)
    return out


TABLE = table_of(np.random.default_rng(8))
ROOT = np.tril(np.random.default_rng(5).normal(size=(33, 33))) * 0.08 + 0.5 * np.eye(33)
ERRORS = {
    "independent": None,
    "by": hr.by("d"),
    "correlated": hr.correlated("d", unit="u"),
    "exchangeable": hr.exchangeable("w"),
    "ar1": hr.ar1("t", unit="d"),
    "known_se": hr.known_se("se"),
    "known_se, scaled": hr.known_se("se", scale=True),
    "known_cov": hr.known_cov(ROOT @ ROOT.T),
}
FORMULAS = {"one": "y ~ x + (x | g)", "||": "y ~ x + (x || g)", "two": "y ~ x + (x | g) + (1 | h)", "none": "y ~ x"}
CASES = [("one", kind) for kind in ERRORS if kind not in {"exchangeable", "ar1"}] + [
    ("||", "independent"),
    ("two", "independent"),
    ("two", "by"),
    ("none", "by"),
    ("none", "correlated"),
    ("none", "exchangeable"),
    ("none", "ar1"),
]


def model_of(formula, kind):
    """Return a model whose priors are all given, so that they are those of the parameters as they stand."""
    has = {"has_sd": "|" in FORMULAS[formula], "has_corr": "(x | g)" in FORMULAS[formula]}
    known = kind in {"known_se", "known_cov"}
    priors = hr.Priors(
        beta=BETA,
        sd=hr.HalfNormal(SD) if has["has_sd"] else None,
        corr={"g": hr.LKJ(ETA)} if has["has_corr"] else None,
        error_sd=None if known else hr.HalfNormal(ERROR),
        error_corr=hr.LKJ(1) if kind in {"correlated", "exchangeable", "ar1"} else None,
    )
    return hr.Model(FORMULAS[formula], TABLE, errors=ERRORS[kind], priors=priors)


def sampled(model, draws, chains=2, seed=1):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
        return model.sample(draws=draws, chains=chains, seed=seed, progress=False, method="psis")


def powered(model, tree, evaluate, alphas, likelihood="marginal", **how):
    return powered_posteriors(
        model.problem, tree, evaluate, Powers(alphas=alphas, seed=3, likelihood=likelihood, **how)
    )


def coefficients(posterior):
    """Return beta and all b (chain, draw, p + J q)."""
    names = ["beta", *(name for name in posterior.data_vars if name.startswith("b_"))]
    parts = [posterior[name].transpose("chain", "draw", ...).to_numpy() for name in names]
    return np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], axis=-1)


class Dense:
    """The posterior of beta and b at one value of the variances, under powers, by completing a square of all rows."""

    def __init__(self, problem, Sigma, error_cov):
        design, layout = problem.design, problem.layout
        self.y, self.W = design.y, np.hstack([design.X, dense.spread_z(design)])
        if layout.kind == "known_cov":
            self.R = ROOT @ ROOT.T * error_cov[0, 0]
        else:
            self.R = dense.error_covariance(layout, error_cov)
        self.Sigma = dense.group_covariance(design, Sigma)
        self.mean = np.array([prior.mu for prior in BETA.values()])
        self.precision = np.diag([prior.sigma**-2.0 for prior in BETA.values()])

    def integral(self, of_prior, of_rows):
        """Return log of the integral over beta and b, but for what no variance changes, with their mean and sd."""
        p, m = len(self.mean), len(self.Sigma)
        P = of_rows * self.W.T @ np.linalg.solve(self.R, self.W)
        P[:p, :p] += of_prior * self.precision
        P[p:, p:] += np.linalg.inv(self.Sigma)
        h = of_rows * self.W.T @ np.linalg.solve(self.R, self.y)
        h[:p] += of_prior * self.precision @ self.mean
        mean = np.linalg.solve(P, h)
        value = 0.5 * h @ mean - 0.5 * np.linalg.slogdet(P)[1]
        value -= 0.5 * of_rows * (self.y @ np.linalg.solve(self.R, self.y) + np.linalg.slogdet(self.R)[1])
        value -= 0.5 * np.linalg.slogdet(self.Sigma)[1] if m else 0.0
        return value, mean, np.sqrt(np.diagonal(np.linalg.inv(P)))

    def of_groups(self, alpha):
        """Return log of the integral over beta of p(y | beta, u)^alpha p(beta), b integrated out before the power."""
        X, V = self.W[:, : len(self.mean)], self.V
        P = alpha * X.T @ np.linalg.solve(V, X) + self.precision
        h = alpha * X.T @ np.linalg.solve(V, self.y) + self.precision @ self.mean
        value = 0.5 * h @ np.linalg.solve(P, h) - 0.5 * np.linalg.slogdet(P)[1]
        return value - 0.5 * alpha * (self.y @ np.linalg.solve(V, self.y) + np.linalg.slogdet(V)[1])

    def of_groups_given(self, beta):
        """Return log p(y | beta, u)."""
        return dense.normal_log_density(self.y, self.W[:, : len(beta)] @ beta, self.V)

    @property
    def V(self):
        Z = self.W[:, len(self.mean) :]
        return Z @ self.Sigma @ Z.T + self.R


def log_prior_of_variances(posterior):
    """Return the sum of log prior densities (S,), but for constants, from the formulas of half-normals and LKJ."""
    out = np.zeros((posterior.sizes["chain"], posterior.sizes["draw"]))
    for name, values in posterior.data_vars.items():
        own = values.transpose("chain", "draw", ...).to_numpy().reshape(*out.shape, -1)
        if name.startswith("sd_"):
            out -= 0.5 * np.sum((own / SD) ** 2, axis=-1)
        elif name == "error_sd":
            out -= 0.5 * np.sum((own / ERROR) ** 2, axis=-1)
        elif name == "corr_g":
            out += (ETA - 1) * np.log1p(-(own[..., 0] ** 2))
    return out.ravel()


@pytest.mark.parametrize(("formula", "kind"), CASES)
def test_weights_and_coefficients_are_those_of_dense_integrals(formula, kind):
    model = model_of(formula, kind)
    tree = sampled(model, draws=50)
    posterior = draws_in(tree)
    cov = covariances_of(model.problem, posterior)
    at = [
        Dense(model.problem, L @ L.T + 1e-14 * np.eye(len(L)), S)
        for L, S in zip(cov.Lambda, cov.error_cov, strict=True)
    ]
    base = np.array([one.integral(1.0, 1.0)[0] for one in at])
    of_variances = log_prior_of_variances(tree["posterior"].to_dataset())
    _, found = powered(model, tree, coefficients, ALPHAS, "conditional")
    seen = set()
    for one in found:
        powers = {"prior": (one.alpha, 1.0), "beta": (one.alpha, 1.0), "likelihood": (1.0, one.alpha)}
        if one.component not in powers:
            continue
        seen.add((one.component, one.alpha))
        exact = [each.integral(*powers[one.component]) for each in at]
        expected = np.array([value for value, _, _ in exact]) - base
        if one.component == "prior":
            expected = expected + (one.alpha - 1.0) * of_variances
        np.testing.assert_allclose(np.diff(one.log_ratio[0]), np.diff(expected), atol=2e-7)
        z = (one.values - [mean for _, mean, _ in exact]) / [sd for _, _, sd in exact]
        n = len(z)
        assert np.abs(z.mean(axis=0)).max() < 4.5 / np.sqrt(n)
        assert abs(np.mean(z**2) - 1) < 5 * np.sqrt(2 / z.shape[0])
    assert seen == {(name, alpha) for name in ("prior", "beta", "likelihood") for alpha in ALPHAS}


@pytest.mark.parametrize(("formula", "kind"), CASES)
def test_weights_of_the_likelihood_of_groups_are_those_of_dense_densities(formula, kind):
    model = model_of(formula, kind)
    tree = sampled(model, draws=15)
    cov = covariances_of(model.problem, draws_in(tree))
    at = [Dense(model.problem, L @ L.T, S) for L, S in zip(cov.Lambda, cov.error_cov, strict=True)]

    def both(posterior):
        return np.concatenate([coefficients(posterior), parameters(posterior)[..., 2:]], axis=-1)

    values, found = powered(model, tree, both, ALPHAS)
    n = coefficients(tree["posterior"].to_dataset()).shape[-1]
    for one in found:
        if one.component != "likelihood":
            continue
        assert one.which.tolist() == [1] * n + [0] * (values.shape[1] - n)
        assert one.values is values
        of_u = [each.of_groups(one.alpha) - each.of_groups(1.0) for each in at]
        of_beta = [(one.alpha - 1.0) * each.of_groups_given(own[:2]) for each, own in zip(at, values, strict=True)]
        np.testing.assert_allclose(np.diff(one.log_ratio[0]), np.diff(of_u), atol=2e-7)
        np.testing.assert_allclose(np.diff(one.log_ratio[1]), np.diff(of_beta), atol=2e-7)


def test_fixed_and_flat_coefficients():
    """Of a fixed coefficient nothing has a power, and a flat one leaves least squares."""
    priors = hr.Priors(beta={"Intercept": hr.Fixed(0.8), "x": hr.Flat()}, sd=hr.HalfNormal(SD), error_sd=hr.Fixed(0.6))
    model = hr.Model("y ~ x + (1 | g)", TABLE, priors=priors)
    tree = sampled(model, draws=20)
    cov = covariances_of(model.problem, draws_in(tree))
    values, found = powered(model, tree, coefficients, (1.3,))
    by_name = {one.component: one for one in found}
    assert set(by_name) == {"prior", "likelihood", "sd_g", "error_sd"}
    assert by_name["prior"].values is values
    np.testing.assert_allclose(np.diff(by_name["error_sd"].log_ratio[0]), 0.0)
    at = [Dense(model.problem, L @ L.T, S) for L, S in zip(cov.Lambda, cov.error_cov, strict=True)]
    expected = [0.3 * each.of_groups_given(own[:2]) for each, own in zip(at, values, strict=True)]
    np.testing.assert_allclose(np.diff(by_name["likelihood"].log_ratio[1]), np.diff(expected), atol=1e-7)


def test_parts_of_the_prior_add_up():
    model = model_of("one", "correlated")
    _, found = powered(model, sampled(model, draws=40), coefficients, (1.3,))
    by_name = {one.component: one.log_ratio for one in found}
    assert set(by_name) == {"prior", "likelihood", "beta", "sd_g", "corr_g", "error_sd", "error_corr"}
    parts = sum(own for name, own in by_name.items() if name not in {"prior", "likelihood"})
    np.testing.assert_allclose(parts, by_name["prior"], atol=1e-12)
    # LKJ(1) is constant.
    np.testing.assert_allclose(np.diff(by_name["error_corr"][0]), 0.0, atol=1e-12)


def weighted(one, k=0):
    weight = np.exp(one.log_ratio[k] - one.log_ratio[k].max())
    weight /= weight.sum()
    mean = weight @ one.values
    sd = np.sqrt(weight @ (one.values - mean) ** 2)
    return mean, sd, 1.0 / np.sum(weight**2)


def parameters(posterior):
    names = [name for name in posterior.data_vars if not name.startswith(("b_", "theta_"))]
    parts = [posterior[name].transpose("chain", "draw", ...).to_numpy() for name in names]
    return np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], axis=-1)


def as_in_a_table_with(copy, likelihood, kind, k):
    """Compare the likelihood to the power two with a fit of a table that holds everything twice."""
    model = model_of("one", kind)
    tree = sampled(model, draws=1500, chains=4)
    _, found = powered(model, tree, parameters, (2.0,), likelihood)
    (one,) = (one for one in found if one.component == "likelihood")
    mean, sd, ess = weighted(one, k)
    twice = hr.Model(
        FORMULAS["one"],
        pd.concat([TABLE, copy], ignore_index=True),
        errors=ERRORS[kind],
        priors=hr.Priors(beta=BETA, sd=hr.HalfNormal(SD), corr={"g": hr.LKJ(ETA)}, error_sd=hr.HalfNormal(ERROR)),
    )
    values = parameters(sampled(twice, draws=1500, chains=4, seed=9)["posterior"].to_dataset()).reshape(6000, -1)
    before = parameters(tree["posterior"].to_dataset()).reshape(6000, -1)
    se = sd * np.sqrt(1 / ess + 1 / len(values))
    return (mean - values.mean(axis=0)) / se, (before.mean(axis=0) - values.mean(axis=0)) / se


def test_twice_the_likelihood_of_rows_is_every_row_twice():
    z, without = as_in_a_table_with(TABLE, "conditional", "by", 0)
    assert np.abs(z).max() < 4
    assert np.abs(without).max() > 20


def test_twice_the_likelihood_of_groups_is_every_group_twice():
    z, without = as_in_a_table_with(TABLE.assign(g=TABLE["g"] + "'"), "marginal", "independent", 1)
    assert np.abs(z).max() < 4
    assert np.abs(without).max() > 10


def test_other_coefficients_come_from_the_same_random_numbers():
    model = model_of("two", "independent")
    tree = sampled(model, draws=60)
    values, found = powered(model, tree, coefficients, (1.0 + 1e-6,))
    for one in found:
        np.testing.assert_allclose(one.values, values, atol=1e-4)
        assert np.abs(one.log_ratio).max() < 1e-3


@pytest.mark.parametrize(("formula", "kind"), [("one", "by"), ("two", "independent"), ("none", "correlated")])
def test_beta_alone_has_the_distribution_that_it_has_beside_the_groups(formula, kind):
    """Without groups beta comes from another function: its mean and covariance are those of the dense posterior."""
    model = model_of(formula, kind)
    tree = sampled(model, draws=60)
    cov = covariances_of(model.problem, draws_in(tree))
    at = [Dense(model.problem, L @ L.T, S) for L, S in zip(cov.Lambda, cov.error_cov, strict=True)]

    def beta(posterior):
        assert not any(name.startswith("b_") for name in posterior)
        return posterior["beta"].transpose("chain", "draw", ...).to_numpy()

    _, found = powered(model, tree, beta, (1.6,), with_groups=False)
    by_name = {one.component: one for one in found}
    exact = [each.integral(1.6, 1.0) for each in at]
    z = (by_name["prior"].values - [mean[:2] for _, mean, _ in exact]) / [sd[:2] for _, _, sd in exact]
    assert np.abs(z.mean(axis=0)).max() < 4 / np.sqrt(len(z))
    assert np.abs(np.mean(z**2, axis=0) - 1).max() < 4 * np.sqrt(2 / len(z))
    one = by_name["likelihood"]
    of_beta = [0.6 * each.of_groups_given(own) for each, own in zip(at, one.values, strict=True)]
    np.testing.assert_allclose(np.diff(one.log_ratio[1]), np.diff(of_beta), atol=2e-7)


def test_many_groups_draw_in_parts(monkeypatch):
    from hierreg.predictive import integrated_draws

    model = model_of("one", "independent")
    tree = sampled(model, draws=35)
    whole, _ = powered(model, tree, coefficients, (1.25,))
    monkeypatch.setattr(integrated_draws, "MOST_BYTES", 8 * 12 * 20)
    parts, found = powered(model, tree, coefficients, (1.25,))
    assert parts.shape == whole.shape
    assert all(one.values.shape == whole.shape for one in found)
    # Draws of the same distribution: the conditional means differ between draws by more than one draw of each.
    assert np.corrcoef(parts[:, 0], whole[:, 0])[0, 1] > 0


def test_weights_do_not_become_noise_where_groups_are_many():
    """A power of p(y | beta, b, u) at drawn b has a variance that grows with the groups; of the groups' it does not."""
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(400), 3)
    y = rng.normal(0, 1, 400)[g] + rng.normal(0, 1, len(g))
    model = hr.Model("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": g}))
    tree = sampled(model, draws=300)
    _, found = powered(model, tree, parameters, (1.25,))
    (one,) = (one for one in found if one.component == "likelihood")
    usual = 0.25 * hr.log_likelihood(tree, joint=True)["log_likelihood"]["y"].to_numpy().ravel()
    # Half of a chi-square with as many degrees of freedom as there are parameters, three, times alpha - 1.
    assert one.log_ratio.std(axis=1).max() < 0.25 * np.sqrt(1.5) * 1.3
    assert usual.std() > 10 * one.log_ratio.std(axis=1).max()
