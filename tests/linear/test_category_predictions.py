"""Predictions of ordered categories against integration by SciPy, and the means of functions that all families need."""

import numpy as np
import pytest
from scipy import integrate, special, stats

import hierreg as hr
from hierreg.exceptions import ModelError
from hierreg.linear.prediction.averages import averaged
from hierreg.response.links import LINKS
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
    posterior = tree["posterior"].to_dataset()
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
    assert share.sum() == 1.0
    np.testing.assert_allclose(share, found["mean"][0], atol=4 * 0.5 / np.sqrt(y.size))
    assert "draws_new" not in hr.predict(model, rows, at=tree, level="population", draws=True, observation=False)


def test_probabilities_at_an_estimate(fitted):
    link, model, _ = fitted
    est = model.estimate()
    rows = {"x": [4.0, 6.0], "g": [3, 5]}
    eta = hr.predict(model, rows, at=est, scale="link")
    found = hr.predict(model, rows, at=est)
    thresholds = est.auxiliary["thresholds"].to_numpy()
    for m, k in [(0, 0), (0, 1), (1, 2), (1, 3)]:
        mean, sd = float(eta["mean"][m]), float(eta["sd"][m])
        first, second = (
            over_normal(lambda x, k=k, power=power: probability(link, thresholds, k, x) ** power, mean, sd)
            for power in (1, 2)
        )
        assert float(found["mean"][m, k]) == pytest.approx(first, abs=1e-10)
        assert float(found["sd"][m, k]) == pytest.approx(np.sqrt(second - first**2), abs=1e-9)
    # Those of the lowest category fall with eta, so that ends become ends.
    ends = [probability(link, thresholds, 0, eta[end].to_numpy()) for end in ("upper", "lower")]
    np.testing.assert_allclose([found["lower"][:, 0], found["upper"][:, 0]], ends, atol=2e-3)
    population = hr.predict(model, {"x": [4.0]}, at=est, level="population")
    z, Sigma = np.array([1.0, 4.0]), est.cov["g"].to_numpy()
    line = hr.predict(model, {"x": [4.0]}, at=est, scale="link", level="population")
    sd = np.sqrt(float(line["sd"][0]) ** 2 + z @ Sigma @ z)
    expected = over_normal(lambda x: probability(link, thresholds, 2, x), float(line["mean"][0]), sd)
    assert float(population["mean"][0, 2]) == pytest.approx(expected, abs=1e-10)


def test_it_prints_as_a_table_and_refuses_covariances(fitted):
    _, model, tree = fitted
    text = str(hr.predict(model, {"x": [4.0, 5.0], "g": [3, 4]}, at=tree))
    assert "probabilities of categories" in text
    assert "category" in text
    assert len(text.splitlines()) == 2 + 2 + 8
    assert "thresholds taken as known" in str(hr.predict(model, {"x": [4.0], "g": [3]}, at=model.estimate()))
    long = str(hr.predict(model, {"x": np.linspace(3, 6, 9)}, at=tree, level="population"))
    assert "5 of 9 rows shown" in long
    with pytest.raises(ModelError, match="scale='link'"):
        hr.predict(model, {"x": [4.0]}, at=tree, level="population", covariance=True)


def test_thresholds_cut_the_latent_response_where_rows_are_coded_otherwise():
    """The zero of a predictor moves thresholds and no probability."""
    found = []
    for zero in (0.0, 100.0):
        model = hr.Model("rank ~ x + (1 | g)", TABLE.assign(x=TABLE["x"] - zero), family=hr.Cumulative())
        found.append(hr.predict(model, {"x": [4.0 - zero], "g": [2]}, at=model.estimate()))
    np.testing.assert_allclose(found[0]["mean"], found[1]["mean"], atol=1e-6)
    np.testing.assert_allclose(found[0]["upper"], found[1]["upper"], atol=0.05)
