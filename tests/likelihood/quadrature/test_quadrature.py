"""The likelihood by quadrature against formulas of NumPy and SciPy that share no code with it, and its limits."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import hierreg as hr
from hierreg.likelihood.quadrature import engine
from hierreg.problem.family import assemble_family, with_quadrature

RNG = np.random.default_rng(3)
N, J = 60, 10


def table():
    rng = np.random.default_rng(3)
    x = rng.normal(size=N) + 5.0
    g = np.repeat(np.arange(J), N // J)
    eta = 0.3 * (x - 5.0) + (0.7 * rng.normal(size=J))[g]
    n = rng.integers(1, 9, N)
    p = special.expit(eta)
    return pd.DataFrame(
        {
            "x": x,
            "g": g,
            "s": np.tile(["a", "b"], N // 2),
            "w": rng.uniform(0.5, 2.0, N),
            "o": 0.1 * rng.normal(size=N),
            "n": n,
            "k": rng.binomial(n, p),
            "yes": rng.uniform(size=N) < p,
            "count": rng.poisson(np.exp(eta)),
            "positive": rng.gamma(3.0, np.exp(eta) / 3.0),
            "share": rng.beta(5 * p, 5 - 5 * p),
            "rank": np.digitize(eta + rng.logistic(size=N), [-1.0, 0.0, 1.5]),
            "signed": eta + rng.standard_t(4, N),
        }
    )


TABLE = table()
MODELS = {
    "binomial": ("cbind(k, n - k) ~ x + (x | g)", hr.Binomial(), {}),
    "probit": ("k / n ~ x + (1 | g)", hr.Binomial("probit"), {}),
    "cloglog": ("yes ~ x + (1 | g)", hr.Bernoulli("cloglog"), {}),
    "poisson": ("count ~ x + (x || g)", hr.Poisson(), {"offset": "o", "weights": "w"}),
    "negative binomial": ("count ~ x + (x | g)", hr.NegativeBinomial(by="s"), {}),
    "gamma": ("positive ~ x + (1 | g)", hr.Gamma(), {}),
    "log normal": ("positive ~ x + (x | g)", hr.LogNormal(by="s"), {}),
    "student": ("signed ~ x + (1 | g)", hr.StudentT(by="s"), {"offset": "o", "weights": "w"}),
    "student slopes": ("signed ~ x + (x | g)", hr.StudentT(), {}),
    "beta": ("share ~ x + (1 | g)", hr.Beta(), {}),
    "ordered": ("rank ~ x + (1 | g)", hr.Cumulative(), {}),
    "ordered probit": ("rank ~ x + (1 | g)", hr.Cumulative("probit"), {}),
    "no groups": ("count ~ x", hr.Poisson(), {}),
}


def problem_of(name):
    formula, family, others = MODELS[name]
    return with_quadrature(assemble_family(formula, TABLE, family, None, **others))


def log_density_of_rows(problem, eta, auxiliary):
    """Return the log density of every row by SciPy (N,)."""
    y, n = problem.observed.y, problem.observed.trials
    a = auxiliary[problem.observed.stratum, 0] if auxiliary.shape[1] and not problem.auxiliary.has_order else None
    mean = problem.family.link_function.inverse(eta)
    name = type(problem.family).__name__
    if name == "Cumulative":
        edges = np.concatenate([[-np.inf], auxiliary[0], [np.inf]])
        F, k = problem.family.link_function.inverse, y.astype(int)
        return np.log(F(edges[k + 1] - eta) - F(edges[k] - eta))
    return {
        "Bernoulli": lambda: stats.binom.logpmf(y, 1, mean),
        "Binomial": lambda: stats.binom.logpmf(y, n, mean),
        "Poisson": lambda: stats.poisson.logpmf(y, mean),
        "NegativeBinomial": lambda: stats.nbinom.logpmf(y, 1 / a, 1 / (1 + a * mean)),
        "GammaResponse": lambda: stats.gamma.logpdf(y, a, scale=mean / a),
        "LogNormalResponse": lambda: stats.norm.logpdf(y, eta, a),
        "StudentTResponse": lambda: stats.t.logpdf(y, auxiliary[problem.observed.stratum, 1], eta, a),
        "Beta": lambda: stats.beta.logpdf(y, mean * a, (1 - mean) * a),
    }[name]()


def dense_log_likelihood(problem, phi, Lambda, auxiliary, points=61):
    """Return the log likelihood by the trapezoidal rule on a wide grid of effects."""
    X, Z = problem.X[:, problem.free], problem.Z
    base = problem.offset + X @ phi
    q = Z.shape[1]
    z = np.linspace(-7.5, 7.5, points)
    step = z[1] - z[0]
    total = 0.0
    grid = np.array(list(itertools.product(z, repeat=q)))
    log_weight = stats.norm.logpdf(grid).sum(axis=1) + q * np.log(step)
    values = np.empty((len(grid), problem.n_groups))
    for i, v in enumerate(grid):
        rows = problem.weights * log_density_of_rows(problem, base + Z @ Lambda @ v, auxiliary)
        values[i] = np.bincount(problem.index, rows, minlength=problem.n_groups)
    total = special.logsumexp(values + log_weight[:, None], axis=0).sum()
    return float(total)


def point(problem, seed=1):
    rng = np.random.default_rng(seed)
    q = problem.parameters.n_factor
    phi = 0.3 * rng.normal(size=len(problem.free))
    # In units of the columns, so that the effects of a group are wide enough for the grid.
    Lambda = (np.tril(0.5 * rng.normal(size=(q, q))) + 0.3 * np.eye(q)) / np.sqrt(np.mean(problem.Z**2, axis=0))[
        :, None
    ]
    return phi, Lambda, problem.auxiliary.natural(0.3 * rng.normal(size=problem.auxiliary.n))


@pytest.mark.parametrize("name", MODELS)
def test_many_nodes_equal_integration_on_a_grid(name):
    problem = problem_of(name)
    phi, Lambda, auxiliary = point(problem)
    # Rows with heavy tails leave more to the nodes: the error is 2e-5 with 25, and 1e-8 with 45.
    nodes = 45 if name == "student slopes" else 25
    found = problem.likelihood(nodes).value_and_gradient(phi, Lambda, auxiliary)[0]
    assert found == pytest.approx(dense_log_likelihood(problem, phi, Lambda, auxiliary), abs=2e-6)


def laplace_by_hand(problem, phi, Lambda, auxiliary):
    """Return Laplace's approximation with modes by SciPy and second derivatives by differences."""
    X, Z = problem.X[:, problem.free], problem.Z
    base, q = problem.offset + X @ phi, Z.shape[1]
    total = 0.0
    for j in range(problem.n_groups):
        mine = problem.index == j

        def f(v, mine=mine):
            rows = problem.weights * log_density_of_rows(problem, base + Z @ Lambda @ v, auxiliary)
            return -(rows[mine].sum() - 0.5 * v @ v)

        found = optimize.minimize(f, np.zeros(q), method="BFGS", options={"gtol": 1e-9})
        h, at = 1e-3, found.x
        H = np.empty((q, q))
        for i, k in itertools.product(range(q), repeat=2):
            e_i, e_k = h * np.eye(q)[i], h * np.eye(q)[k]
            H[i, k] = (f(at + e_i + e_k) - f(at + e_i - e_k) - f(at - e_i + e_k) + f(at - e_i - e_k)) / (4 * h * h)
        total += -f(at) - 0.5 * np.linalg.slogdet(H)[1]
    return total


@pytest.mark.parametrize("name", ["binomial", "probit", "poisson", "negative binomial", "beta", "ordered"])
def test_one_node_is_laplace(name):
    problem = problem_of(name)
    at = point(problem, seed=2)
    assert problem.likelihood(1).value_and_gradient(*at)[0] == pytest.approx(laplace_by_hand(problem, *at), abs=1e-4)


@pytest.mark.parametrize("nodes", [1, 41])
@pytest.mark.parametrize("name", MODELS)
def test_gradient_equals_differences(name, nodes):
    """One node: the gradient is exact; many: that of the integral, from which the rule differs by its error."""
    target = problem_of(name).target(nodes)
    psi = 0.3 * np.random.default_rng(4).normal(size=target.n)
    _, gradient = target(psi)
    h = 1e-5
    slopes = [(target(psi + h * e)[0] - target(psi - h * e)[0]) / (2 * h) for e in np.eye(target.n)]
    np.testing.assert_allclose(gradient, slopes, atol=1e-6 * max(1.0, np.abs(gradient).max()))


@pytest.mark.parametrize("name", ["poisson", "negative binomial", "ordered"])
def test_parts_threads_and_batches_give_the_same(name, monkeypatch):
    monkeypatch.setattr(engine, "_WORK_OF_THREAD", 1)
    target = problem_of(name).target(5)
    rng = np.random.default_rng(5)
    points = 0.3 * rng.normal(size=(7, target.n))
    values = target.values(points, threads=2)
    for psi, value in zip(points, values, strict=True):
        one, two = target(psi), target.on_threads(2)(psi)
        assert one[0] == pytest.approx(value, rel=1e-12)
        assert two[0] == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(one[1], two[1], rtol=1e-7, atol=1e-7)


def test_log_normal_is_the_gaussian_model_of_logarithms():
    """Laplace's approximation is exact there: the ML criterion and estimates are those of the Gaussian engine."""
    data = TABLE.assign(log_positive=np.log(TABLE["positive"]))
    of_logs = hr.Model("log_positive ~ x + (x | g)", data).estimate("ml")
    found = hr.Model("positive ~ x + (x | g)", data, family=hr.LogNormal()).estimate("laplace")
    assert found.criterion == pytest.approx(of_logs.criterion, abs=1e-7)
    np.testing.assert_allclose(found.beta, of_logs.beta, atol=1e-5)
    np.testing.assert_allclose(found.sd["g"], of_logs.sd["g"], atol=1e-4)
    assert float(found.auxiliary["error_sd"]) == pytest.approx(float(of_logs.error_sd), abs=1e-5)


def test_negative_binomial_without_dispersion_is_poisson():
    poisson = assemble_family("count ~ x + (1 | g)", TABLE, hr.Poisson(), None)
    other = assemble_family("count ~ x + (1 | g)", TABLE, hr.NegativeBinomial(dispersion=1e-12), None)
    phi, Lambda, _ = point(poisson)
    nothing = np.empty((1, 0))
    expected = poisson.likelihood(7).value_and_gradient(phi, Lambda, nothing)
    found = other.likelihood(7).value_and_gradient(phi, Lambda, np.array([[1e-12]]))
    assert found[0] == pytest.approx(expected[0], abs=1e-8)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6)


def test_without_variance_between_groups_the_rows_are_all_that_counts():
    problem = problem_of("binomial")
    phi, Lambda, auxiliary = point(problem)
    found = problem.likelihood(5).value_and_gradient(phi, 0.0 * Lambda, auxiliary)[0]
    rows = log_density_of_rows(problem, problem.X @ phi, auxiliary)
    assert found == pytest.approx(rows.sum(), rel=1e-12)


def test_a_row_of_weight_two_is_two_rows():
    data = TABLE.assign(two=2.0)
    once = assemble_family("count ~ x + (x | g)", data, hr.Poisson(), None, weights="two")
    twice = assemble_family("count ~ x + (x | g)", pd.concat([data, data]), hr.Poisson(), None)
    phi, Lambda, auxiliary = point(once)
    np.testing.assert_allclose(
        once.likelihood(5).value_and_gradient(phi, Lambda, auxiliary)[0],
        twice.likelihood(5).value_and_gradient(phi, Lambda, auxiliary)[0],
        rtol=1e-12,
    )


def test_counts_of_a_million_and_groups_of_one_row():
    data = pd.DataFrame({"y": [0, 3, 1_200_000, 900_000, 2, 1], "g": list("abcdef")})
    model = hr.Model("y ~ 1 + (1 | g)", data, family=hr.Poisson())
    problem = model.problem
    at = np.zeros(1), np.array([[6.0]]), np.empty((1, 0))
    exact = 0.0
    for y in data["y"]:
        centre = (np.log(y + 1.0) if y else -0.5) / 6.0
        width = 12.0 / np.sqrt(1.0 + 36.0 * (y + 0.1))
        v = np.linspace(centre - width, centre + width, 40_001)
        log_p = stats.poisson.logpmf(y, np.exp(6.0 * v)) + stats.norm.logpdf(v)
        exact += special.logsumexp(log_p) + np.log(v[1] - v[0])
    # Effects of a zero count have a long tail: 25 nodes are 6e-4 off.
    assert problem.likelihood(101).value_and_gradient(*at)[0] == pytest.approx(exact, abs=1e-5)
