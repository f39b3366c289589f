"""Predictions of ordered categories against integration by SciPy, and the means of functions that all families need."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import hierreg as hr
from hierreg.exceptions import ModelError
from hierreg.linear.prediction.averages import averaged
from hierreg.linear.prediction.categories import probabilities_at
from hierreg.linear.prediction.family import family_rows
from hierreg.model.family.estimation import estimate
from hierreg.response.links import LINKS
from hierreg.results.carried import draws_in
from tests.likelihood.quadrature.test_quadrature import TABLE

pytestmark = pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
OPTIONS = {"draws": 150, "chains": 2, "seed": 1, "progress": False}
CDF = {"logit": special.expit, "probit": special.ndtr}


def over_normal(function, mean, sd):
    """Return the mean of a function of one normal variable, by adaptive quadrature."""
    ends = {"epsabs": 1e-13, "epsrel": 1e-12, "limit": 400, "points": [-(mean / sd), 0.0] if sd else None}
    return integrate.quad(lambda t: function(mean + sd * t) * stats.norm.pdf(t), -9, 9, **ends)[0]


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize("sd", [0.0, 0.2, 1.0, 3.0, 8.0])
def test_means_over_a_normal_variable(link, sd):
    mean = np.array([-4.0, -0.3, 0.0, 1.0, 6.0])
    function = LINKS[link].inverse
    found = averaged(function, mean, np.full(5, sd))
    expected = function(mean) if sd == 0 else [over_normal(function, m, sd) for m in mean]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-12)


def test_means_of_exponentials_have_a_closed_form():
    found = averaged(lambda eta: 2.0 * np.exp(eta), np.array([0.5]), np.array([[1.0], [9.0]]), growth=1.0)
    np.testing.assert_allclose(found.ravel(), 2.0 * np.exp(0.5 + np.array([0.5, 40.5])), rtol=1e-14)


@pytest.fixture(scope="module", params=["logit", "probit"])
def fitted(request):
    model = hr.Model("rank ~ x + (x | g)", TABLE, family=hr.Cumulative(request.param))
    return request.param, model, model.sample(**OPTIONS)


def draws_of(tree):
    posterior = draws_in(tree)
    beta, thresholds = (posterior[name].to_numpy().reshape(300, -1) for name in ("beta", "thresholds"))
    sd, corr = posterior["sd_g"].to_numpy().reshape(300, 2), posterior["corr_g"].to_numpy().reshape(300, 2, 2)
    return (
        beta[:, 0],
        thresholds,
        sd[:, :, None] * corr * sd[:, None, :],
        posterior["b_g"].to_numpy().reshape(300, -1, 2),
    )


def probability(link, thresholds, k, eta):
    edges = np.concatenate([[-np.inf], thresholds, [np.inf]])
    return CDF[link](edges[k + 1] - eta) - CDF[link](edges[k] - eta)


def test_probabilities_of_the_population_are_means_over_groups(fitted):
    link, model, tree = fitted
    found = hr.predict(model, {"x": [4.0, 6.5]}, at=tree, level="population", draws=True)
    assert found["draws"].dims == ("chain", "draw", "row", "category")
    assert list(found["category"].values) == ["0", "1", "2", "3"]
    np.testing.assert_allclose(found["draws"].sum("category"), 1.0, rtol=0, atol=1e-14)
    beta, thresholds, Sigma, _ = draws_of(tree)
    values = found["draws"].to_numpy().reshape(300, 2, 4)
    z = np.array([[1.0, 4.0], [1.0, 6.5]])
    for s in (0, 77, 299):
        for m, k in [(0, 0), (0, 2), (1, 1), (1, 3)]:
            sd = np.sqrt(z[m] @ Sigma[s] @ z[m])
            expected = over_normal(
                lambda eta, s=s, k=k: probability(link, thresholds[s], k, eta), z[m, 1] * beta[s], sd
            )
            assert values[s, m, k] == pytest.approx(expected, abs=1e-10)
    np.testing.assert_allclose(found["mean"], values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["upper"], np.quantile(values, 0.975, axis=0), rtol=1e-12)


def test_probabilities_of_groups_and_of_a_new_one(fitted):
    link, model, tree = fitted
    beta, thresholds, _, b = draws_of(tree)
    found = hr.predict(model, {"x": [4.0], "g": [3]}, at=tree, draws=True)
    eta = 4.0 * beta + b[:, 3] @ [1.0, 4.0]
    expected = [[probability(link, thresholds[s], k, eta[s]) for k in range(4)] for s in range(300)]
    np.testing.assert_allclose(found["draws"].to_numpy().reshape(300, 4), expected, rtol=0, atol=1e-13)
    new = hr.predict(model, {"x": [4.0], "g": [99]}, at=tree, level="new group")
    population = hr.predict(model, {"x": [4.0]}, at=tree, level="population")
    error = 5 * new["sd"].to_numpy() / np.sqrt(150)
    assert np.all(np.abs(new["mean"] - population["mean"]).to_numpy() < error)
    # That of a group without effects is another one.
    plugged = np.mean([probability(link, thresholds[s], 0, 4.0 * beta[s]) for s in range(300)])
    assert float(population["mean"][0, 0]) != pytest.approx(plugged, abs=0.003)


def test_new_observations_are_categories_with_these_probabilities(fitted):
    _, model, tree = fitted
    rows = {"x": np.full(400, 5.0)}
    found = hr.predict(model, rows, at=tree, level="population", draws=True, seed=3)
    y = found["draws_new"].to_numpy()
    assert found["draws_new"].dims == ("chain", "draw", "row")
    share = np.array([np.mean(y == k) for k in range(4)])
    assert share.sum() == pytest.approx(1.0, abs=1e-14)
    assert found["draws_new"].attrs["categories"] == ["0", "1", "2", "3"]
    np.testing.assert_allclose(share, found["mean"][0], atol=4 * 0.5 / np.sqrt(y.size))
    assert "draws_new" not in hr.predict(model, rows, at=tree, level="population", draws=True, observation=False)


def test_probabilities_at_an_estimate_without_groups():
    """Errors of coefficients and thresholds from second differences of a log likelihood of SciPy's functions."""
    x, y = TABLE["x"].to_numpy(), TABLE["rank"].to_numpy()
    model = hr.Model("rank ~ x", TABLE, family=hr.Cumulative("probit"))
    est = model.estimate()
    at = np.concatenate([est.beta.to_numpy(), est.auxiliary["thresholds"].to_numpy()])

    def log_likelihood(parameters):
        edges = np.concatenate([[-np.inf], parameters[1:], [np.inf]])
        eta = parameters[0] * x
        return np.log(special.ndtr(edges[y + 1] - eta) - special.ndtr(edges[y] - eta)).sum()

    h, H, unit = 2e-3, np.empty((4, 4)), np.eye(4)
    for i in range(4):
        for j in range(4):
            corners = [log_likelihood(at + h * (a * unit[i] + b * unit[j])) for a in (1, -1) for b in (1, -1)]
            H[i, j] = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * h * h)
    found = hr.predict(model, {"x": [3.5]}, at=est)
    functions = np.column_stack([np.full(3, -3.5), np.eye(3)])
    distance, cov = functions @ at, functions @ np.linalg.inv(-H) @ functions.T
    below = special.ndtr(distance / np.sqrt(1.0 + np.diag(cov)))
    np.testing.assert_allclose(found["mean"][0], np.diff(below, prepend=0, append=1), atol=2e-5)
    # The sd of the probability of the second category, by a product rule in both of its thresholds.
    z, w = np.polynomial.hermite_e.hermegauss(60)
    L = np.linalg.cholesky(cov[:2, :2])
    first = distance[0] + L[0, 0] * z[:, None] + 0.0 * z
    second = distance[1] + L[1, 0] * z[:, None] + L[1, 1] * z
    p = special.ndtr(second) - special.ndtr(first)
    weight = np.outer(w, w) / w.sum() ** 2
    sd = np.sqrt(np.sum(weight * p**2) - np.sum(weight * p) ** 2)
    assert float(found["sd"][0, 1]) == pytest.approx(sd, rel=5e-3)
    # The lowest category depends on one normal variable, whose ends are its ends.
    ends = special.ndtr(distance[0] + stats.norm.ppf([0.025, 0.975]) * np.sqrt(cov[0, 0]))
    np.testing.assert_allclose([found["lower"][0, 0], found["upper"][0, 0]], ends, rtol=0.01)


def test_probabilities_at_an_estimate_do_not_depend_on_coding():
    found = []
    for zero, unit in [(0.0, 1.0), (100.0, 1.0), (-3.0, 1e3)]:
        table = TABLE.assign(x=unit * (TABLE["x"] - zero))
        model = hr.Model("rank ~ x + (x | g)", table, family=hr.Cumulative())
        est = model.estimate()
        rows = {"x": [unit * (4.0 - zero), unit * (6.0 - zero)], "g": [2, 7]}
        known = hr.predict(model, rows, at=est)
        population = hr.predict(model, {"x": rows["x"]}, at=est, level="population")
        found.append([np.concatenate([one[name] for one in (known, population)]) for name in ("mean", "sd", "upper")])
    for other in found[1:]:
        np.testing.assert_allclose(found[0][:2], other[:2], atol=2e-4)
        # A quantile of 2,048 points.
        np.testing.assert_allclose(found[0][2], other[2], atol=1e-3)


def test_both_engines_say_the_same_of_thresholds():
    """Laplace's approximation group by group, and of all effects together."""
    problem = hr.Model("rank ~ x + (x | g)", TABLE, family=hr.Cumulative()).problem
    both = [problem, dataclasses.replace(problem, engine="joint")]
    ests = [estimate(one, "laplace", None) for one in both]
    for level, rows in [("group", {"x": [4.0], "g": [3]}), ("new group", {"x": [5.0], "g": [77]})]:
        one, two = (
            probabilities_at(own, family_rows(own, rows, {"g": level}), est, 0.95)
            for own, est in zip(both, ests, strict=True)
        )
        for name, values in one.items():
            np.testing.assert_allclose(values, two[name], atol=2e-4)


@pytest.mark.slow
def test_probabilities_at_an_estimate_are_near_those_of_the_posterior():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(24), 25)
    x = rng.normal(size=600) + 30.0
    eta = 0.8 * (x - 30.0) + rng.normal(size=24)[g] + rng.logistic(size=600)
    table = pd.DataFrame({"y": np.digitize(eta, [-1.0, 0.5, 2.0]), "x": x, "g": g})
    model = hr.Model("y ~ x + (1 | g)", table, family=hr.Cumulative())
    tree = model.sample(draws=500, seed=1, method="psis")
    for rows, level in [({"x": [29.0], "g": [3]}, "group"), ({"x": [30.5]}, "population")]:
        one, two = (hr.predict(model, rows, at=at, level=level) for at in (model.estimate(), tree))
        np.testing.assert_allclose(one["mean"], two["mean"], atol=0.01)
        np.testing.assert_allclose(one["sd"], two["sd"], rtol=0.12)
        np.testing.assert_allclose(one["lower"], two["lower"], atol=0.015)


def test_an_estimate_without_a_covariance_is_refused():
    x = np.arange(30.0)
    model = hr.Model("y ~ x", pd.DataFrame({"x": x, "y": (x >= 10).astype(int) + (x >= 20)}), family=hr.Cumulative())
    est = model.estimate()
    assert not est.converged
    with pytest.raises(ModelError, match="no covariance"):
        hr.predict(model, {"x": [4.0]}, at=est)


def test_it_prints_as_a_table_and_refuses_covariances(fitted):
    _, model, tree = fitted
    text = str(hr.predict(model, {"x": [4.0, 5.0], "g": [3, 4]}, at=tree))
    assert "probabilities of categories" in text
    assert "category" in text
    assert len(text.splitlines()) == 2 + 2 + 8
    assert "Laplace estimate, probabilities" in str(hr.predict(model, {"x": [4.0], "g": [3]}, at=model.estimate()))
    long = str(hr.predict(model, {"x": np.linspace(3, 6, 9)}, at=tree, level="population"))
    assert long.count("\n  4 ") == 4  # five rows of nine, each with four categories
    assert "... 16 more" in long
    with pytest.raises(ModelError, match="scale='link'"):
        hr.predict(model, {"x": [4.0]}, at=tree, level="population", covariance=True)
