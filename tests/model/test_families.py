"""Models whose response is not normal: what they refuse, invariances, and what follows the fit."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import hierreg as hr
from hierreg.exceptions import (
    ConvergenceWarning,
    DataError,
    FormulaError,
    HierregWarning,
    ModelError,
    PriorError,
)
from tests.likelihood.quadrature.test_quadrature import TABLE

HERDS = hr.load_dataset("cbpp")
QUIET = pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")


def herds(**options):
    return hr.Model("cbind(incidence, size - incidence) ~ period + (1 | herd)", HERDS, family=hr.Binomial(), **options)


@pytest.fixture(scope="module")
def drawn():
    model = herds()
    return model, model.sample(seed=1, progress=False)


REFUSED = {
    "two parts without a family": (
        lambda: hr.Model("cbind(k, n - k) ~ x", TABLE),
        FormulaError,
        ["successes and failures", "family=hr.Binomial()"],
    ),
    "three parts": (
        lambda: hr.Model("cbind(k, n, w) ~ x", TABLE, family=hr.Binomial()),
        FormulaError,
        ["3 parts", "cbind(successes, failures)"],
    ),
    "two parts of another family": (
        lambda: hr.Model("k / n ~ x", TABLE, family=hr.Poisson()),
        ModelError,
        ["hr.Binomial()"],
    ),
    "no trials": (
        lambda: hr.Model("k ~ x", TABLE, family=hr.Binomial()),
        ModelError,
        ["number of trials is missing", "trials='n'"],
    ),
    "trials twice": (
        lambda: hr.Model("k / n ~ x", TABLE, family=hr.Binomial(), trials="w"),
        ModelError,
        ["trials='w'", "give one of the two"],
    ),
    "trials of counts": (
        lambda: hr.Model("count ~ x", TABLE, family=hr.Poisson(), trials="n"),
        ModelError,
        ["only hr.Binomial() has trials"],
    ),
    "more successes than trials": (
        lambda: hr.Model("n / k ~ x", TABLE, family=hr.Binomial()),
        DataError,
        ["no more than there are trials"],
    ),
    "fractions as counts": (
        lambda: hr.Model("share ~ x", TABLE, family=hr.Poisson()),
        DataError,
        ["whole numbers"],
    ),
    "negative positives": (
        lambda: hr.Model("x0 ~ 1", TABLE.assign(x0=-TABLE["x"]), family=hr.Gamma()),
        DataError,
        ["positive numbers"],
    ),
    "shares of one": (
        lambda: hr.Model("s1 ~ x", TABLE.assign(s1=1.0), family=hr.Beta()),
        DataError,
        ["between 0 and 1"],
    ),
    "three labels as yes and no": (
        lambda: hr.Model("c ~ x", TABLE.assign(c=np.tile(["a", "b", "c"], 20)), family=hr.Bernoulli()),
        DataError,
        ["3 labels", "hr.Cumulative()"],
    ),
    "no such success": (
        lambda: hr.Model("s ~ x", TABLE, family=hr.Bernoulli(success="z")),
        DataError,
        ["success='z'", "'a'", "'b'"],
    ),
    "text as counts": (lambda: hr.Model("s ~ x", TABLE, family=hr.Poisson()), DataError, ["text or categories"]),
    "two ordered categories": (
        lambda: hr.Model("s ~ x", TABLE, family=hr.Cumulative()),
        DataError,
        ["three or more", "hr.Bernoulli()"],
    ),
    "only zeros": (
        lambda: hr.Model("z ~ x", TABLE.assign(z=0), family=hr.Poisson()),
        DataError,
        ["zero in every row"],
    ),
    "only successes": (
        lambda: hr.Model("yes ~ x", TABLE.assign(yes=True), family=hr.Bernoulli()),
        DataError,
        ["one in every row"],
    ),
    "unknown link": (lambda: hr.Bernoulli(link="log"), ModelError, ["link='log'", "'logit'"]),
    "no family": (
        lambda: hr.Model("count ~ x", TABLE, family="poisson"),
        ModelError,
        ["family='poisson'", "hr.Poisson()"],
    ),
    "errors with a family": (
        lambda: hr.Model("count ~ x", TABLE, hr.by("s"), family=hr.Poisson()),
        ModelError,
        ["errors are those of normal responses"],
    ),
    "effects with a family": (
        lambda: hr.Model("count ~ x + (1 | g)", TABLE, family=hr.Poisson(), effects={"g": hr.StudentT()}),
        ModelError,
        ["Leave one of the two out"],
    ),
    "offset without a family": (lambda: hr.Model("x ~ 1", TABLE, offset="o"), ModelError, ["offset='o'"]),
    "ordered without intercept": (
        lambda: hr.Model("rank ~ 0 + x + (1 | g)", TABLE, family=hr.Cumulative()),
        ModelError,
        ["no intercept"],
    ),
    "prior of an intercept that is not there": (
        lambda: hr.Model(
            "rank ~ x", TABLE, family=hr.Cumulative(), priors=hr.Priors(beta={"Intercept": hr.Normal(0, 1)})
        ),
        PriorError,
        ["beta['Intercept']", "thresholds"],
    ),
    "negative dispersion": (
        lambda: hr.Model("count ~ x", TABLE, family=hr.NegativeBinomial(dispersion=-1.0)),
        PriorError,
        ["dispersion=-1.0"],
    ),
    "MAP": (lambda: herds().estimate("map"), ModelError, ["method='map'", "model.sample()"]),
    "Laplace of a normal response": (
        lambda: hr.Model("x ~ 1 + (1 | g)", TABLE).estimate("laplace"),
        ModelError,
        ["method='laplace'", "not normal", "'reml'"],
    ),
    "REML": (lambda: herds().estimate("reml"), ModelError, ["method='reml'", "'laplace'"]),
    "nodes of Laplace": (lambda: herds().estimate("laplace", nodes=9), ModelError, ["nodes=9", "one node"]),
    "nodes of a normal response": (
        lambda: hr.Model("x ~ 1 + (1 | g)", TABLE).estimate(nodes=3),
        ModelError,
        ["nodes=3"],
    ),
    "solve": (lambda: herds().solve(cov={"herd": [[1.0]]}), ModelError, ["Model.solve", "normal responses"]),
    "gram": (lambda: herds().gram, ModelError, ["Model.gram", "normal responses"]),
    "marginal PyMC model": (lambda: herds().to_pymc(), ModelError, ["'noncentered'"]),
    "explicit parametrization": (
        lambda: herds().sample(parametrization="centered"),
        ModelError,
        ["Model.to_pymc('centered')"],
    ),
    "summaries only": (lambda: herds().sample(group_effects="summary"), ModelError, ["draws are kept"]),
    "units": (lambda: herds().sample(include=["log_likelihood_units"]), ModelError, ["no units"]),
    "prior of errors": (
        lambda: herds(priors=hr.Priors(error_sd=hr.HalfNormal(1))),
        PriorError,
        ["error_sd", "Binomial", "normal responses"],
    ),
    "prior of errors that the family has": (
        lambda: hr.Model("positive ~ x", TABLE, family=hr.LogNormal(), priors=hr.Priors(error_sd=hr.HalfNormal(1))),
        PriorError,
        ["parameter of the family", "hr.LogNormal(error_sd=...)"],
    ),
    "prior of errors beside another parameter": (
        lambda: hr.Model("count ~ x", TABLE, family=hr.NegativeBinomial(), priors=hr.Priors(error_corr=hr.LKJ(1))),
        PriorError,
        ["error_corr", "hr.NegativeBinomial(dispersion=...)"],
    ),
}


@QUIET
@pytest.mark.parametrize(("action", "exception", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_in_words(action, exception, words):
    with pytest.raises(exception) as caught:
        action()
    for word in words:
        assert word in str(caught.value)


def test_what_a_model_prints():
    text = repr(hr.Model("s ~ x", TABLE, family=hr.Bernoulli(success="a")))
    assert "success: a (failure: b)" in text
    assert "categories: 0 < 1 < 2 < 3" in repr(hr.Model("rank ~ x", TABLE, family=hr.Cumulative()))
    assert "Binomial(link='logit')" in repr(herds())
    assert "adaptive Gauss-Hermite" in repr(herds().describe())


@pytest.mark.long
@QUIET
@pytest.mark.parametrize(
    ("name", "formula", "family"),
    [
        ("threshold", "rank ~ x + (1 | threshold)", hr.Cumulative()),
        ("thresholds", "rank ~ x + (1 | thresholds)", hr.Cumulative()),
        ("stratum", "count ~ x + (1 | stratum)", hr.NegativeBinomial(by="s")),
        ("shape", "positive ~ x + (1 | shape)", hr.Gamma()),
    ],
)
def test_factors_may_be_called_like_further_parameters(name, formula, family):
    table = TABLE.rename(columns={"g": name})
    model = hr.Model(formula, table, family=family)
    tree = model.sample(draws=30, chains=1, tune=50, seed=1, progress=False)
    assert tree["posterior"][f"b_{name}"].dims == ("chain", "draw", f"{name}_", f"{name}__coef")
    plain = hr.Model(formula.replace(name, "g"), TABLE, family=family)
    other = plain.sample(draws=30, chains=1, tune=50, seed=1, progress=False)
    np.testing.assert_array_equal(tree["posterior"][f"b_{name}"], other["posterior"]["b_g"])
    assert hr.summary(tree).sizes == hr.summary(other).sizes
    assert hr.predict(model, {"x": [4.0], name: [3], "s": ["a"]}, at=tree).sizes["row"] == 1
    with pytest.raises(ModelError, match="Rename the columns"):
        model.to_pymc("noncentered")


def test_text_has_no_order_of_its_own():
    words = np.array(["high", "low", "middle", "top"])[TABLE["rank"]]
    with pytest.warns(HierregWarning, match="alphabetical order: high < low < middle < top"):
        hr.Model("words ~ x", TABLE.assign(words=words), family=hr.Cumulative())
    ordered = pd.Categorical(words, categories=["low", "middle", "high", "top"], ordered=True)
    model = hr.Model("words ~ x", TABLE.assign(words=ordered), family=hr.Cumulative())
    assert "low < middle < high < top" in repr(model)


def test_gamma_and_log_normal_are_priors_with_arguments():
    assert str(hr.Gamma(2, 0.1)) == "Gamma(2, 0.1)"
    assert isinstance(hr.Gamma(alpha=2, beta=1), hr.Gamma)
    assert not isinstance(hr.Gamma(), hr.Gamma)
    assert not isinstance(hr.LogNormal(by="s"), hr.LogNormal)


@pytest.mark.parametrize(
    "formula", ["incidence / size ~ period + (1 | herd)", "incidence ~ period + (1 | herd)"], ids=["share", "trials"]
)
def test_ways_to_write_trials_are_the_same(formula):
    trials = "size" if "/" not in formula else None
    other = hr.Model(formula, HERDS, family=hr.Binomial(), trials=trials).estimate()
    assert other.criterion == pytest.approx(herds().estimate().criterion, abs=1e-9)


def test_single_trials_are_yes_and_no():
    one = hr.Model("yes ~ x + (1 | g)", TABLE, family=hr.Bernoulli()).estimate()
    numbers = TABLE.assign(yes=TABLE["yes"].astype(int), one=1)
    other = hr.Model("yes ~ x + (1 | g)", numbers, family=hr.Binomial(), trials="one").estimate()
    labels = TABLE.assign(yes=np.where(TABLE["yes"], "sick", "healthy"))
    third = hr.Model("yes ~ x + (1 | g)", labels, family=hr.Bernoulli(success="sick")).estimate()
    assert one.criterion == pytest.approx(other.criterion, abs=1e-9)
    assert one.criterion == pytest.approx(third.criterion, abs=1e-9)


def test_probit_laplace_is_that_of_the_observed_information():
    """glmer of lme4 1.1-31 takes the expected one where the link is not canonical: 185.2424 at its optimum."""
    est = hr.Model("incidence / size ~ period + (1 | herd)", HERDS, family=hr.Binomial("probit")).estimate()
    y, n = HERDS["incidence"].to_numpy(), HERDS["size"].to_numpy()
    period, herd = HERDS["period"].cat.codes.to_numpy(), HERDS["herd"].cat.codes.to_numpy()
    beta = np.concatenate([[0.0], est.beta[1:]])[period] + float(est.beta[0])
    sd, total = float(est.sd["herd"][0]), 0.0
    for j in range(15):
        mine = herd == j

        def f(v, mine=mine):
            return stats.binom.logpmf(y[mine], n[mine], special.ndtr(beta[mine] + sd * v)).sum() - 0.5 * v**2

        v = np.linspace(-4, 4, 80_001)
        values = np.array([f(x) for x in v[::400]])
        at = v[::400][np.argmax(values)]
        for _ in range(30):
            h = 1e-4
            slope, curve = (f(at + h) - f(at - h)) / (2 * h), (f(at + h) - 2 * f(at) + f(at - h)) / h**2
            at -= slope / curve
        total += f(at) - 0.5 * np.log(-(f(at + h) - 2 * f(at) + f(at - h)) / h**2)
    assert est.criterion == pytest.approx(-2 * total, abs=1e-5)


# Formula, family, change of the table, change of psi = (u, phi, w), and of the log density: (place from the start of u
# or of phi, what is added or multiplied).
SHIFT, KILO, MEGA = 2000.0, np.log(1e3), np.log(1e6)
CODINGS = {
    "zero of a predictor": ("count ~ x + (x | g)", hr.Poisson(), lambda t: t.assign(x=t["x"] - SHIFT), None, 0.0),
    "zero of a quadratic": (
        "k / n ~ x + I(x**2) + (x | g)",
        hr.Binomial(),
        lambda t: t.assign(x=t["x"] - 5.0),
        None,
        0.0,
    ),
    "zero, ordered categories": (
        "rank ~ x + (1 | g)",
        hr.Cumulative(),
        lambda t: t.assign(x=t["x"] + 100.0),
        None,
        0.0,
    ),
    "order of rows": (
        "count ~ x + (x | g)",
        hr.Poisson(),
        lambda t: t.iloc[np.random.default_rng(1).permutation(len(t))],
        None,
        0.0,
    ),
    # A slope by 1000 smaller: its density is 1000 times as high.
    "unit of a predictor": (
        "count ~ x + (x | g)",
        hr.Poisson(),
        lambda t: t.assign(x=1e3 * t["x"]),
        lambda u, phi: (u - np.array([0.0, KILO, 0.0]), phi / np.array([1.0, 1e3])),
        KILO,
    ),
    # A response by 10^6 larger: 60 densities by 10^6 smaller.
    "unit of the response": (
        "positive ~ x + (1 | g)",
        hr.Gamma(),
        lambda t: t.assign(positive=1e6 * t["positive"]),
        lambda u, phi: (u, phi + np.array([MEGA, 0.0])),
        -len(TABLE) * MEGA,
    ),
}


@pytest.mark.parametrize(("formula", "family", "change", "moved", "constant"), CODINGS.values(), ids=CODINGS)
def test_the_posterior_does_not_depend_on_coding(formula, family, change, moved, constant):
    problems = [hr.Model(formula, table, family=family).problem for table in (TABLE, change(TABLE))]
    targets = [problem.target(9) for problem in problems]
    psi = 0.2 * np.random.default_rng(2).normal(size=targets[0].n)
    u, phi, w = targets[0].split(psi)
    other = psi if moved is None else np.concatenate([*moved(u, phi), w])
    assert targets[1](other)[0] - targets[0](psi)[0] == pytest.approx(constant, abs=1e-7)


def test_reports_of_a_posterior(drawn, tmp_path):
    model, tree = drawn
    tree = hr.load(hr.save(tree, tmp_path / "herds.nc"))
    summary = hr.summary(tree)
    assert "Laplace" in summary.text()
    assert "family Binomial" in summary.text()
    assert list(summary["parameter"].values)[-1] == "sd_herd[Intercept]"
    assert np.all(np.abs(summary["mean"] - summary["reml"]) < 0.5 * summary["sd"] + 0.05)
    weights = hr.shrinkage(tree)["weight"].to_numpy()
    assert np.all((weights > 0) & (weights < 1))
    share = hr.correlations(tree)
    found = float(share["mean"].sel(correlation=[c for c in share["correlation"].values if "herd" in str(c)])[0])
    sd = tree["posterior"]["sd_herd"].to_numpy()
    assert found == pytest.approx(float(np.mean(sd**2 / (sd**2 + np.pi**2 / 3))), rel=1e-10)
    assert hr.contrasts(tree, {"c": {"Intercept": 1.0}})["mean"] == pytest.approx(float(summary["mean"][0]))
    (axis,) = hr.plots.shrinkage(tree).axes
    # Coefficients are not in the units of the response.
    assert axis.get_xlabel().startswith(f"Intercept (in units of logit({tree.attrs['response']}))")
    assert hr.plots.variances(tree)
    assert tree.attrs["engine"] == "joint"
    assert model.formula == tree.attrs["formula"]


def test_effects_of_groups_have_their_conditional_distribution():
    """Draws of b given the parameters, against integrals over the effect of one group."""
    from hierreg.likelihood.quadrature.draws import draw_effects

    problem = hr.Model("count ~ 1 + (1 | g)", TABLE, family=hr.Poisson()).problem
    S, phi, sd = 4000, np.array([0.3]), 1.5
    likelihood = problem.likelihood(3)
    v = draw_effects(likelihood, np.tile(phi, (S, 1)), np.full((S, 1, 1), sd), np.empty((S, 1, 0)), seed=1, threads=1)
    x0 = problem.X[:, problem.free] @ phi
    for j in range(3):
        mine = problem.index == j

        def density(x, mine=mine):
            return np.exp(stats.poisson.logpmf(problem.observed.y[mine], np.exp(x0[mine] + sd * x)).sum() - 0.5 * x * x)

        total = integrate.quad(density, -6, 6)[0]
        mean = integrate.quad(lambda x: x * density(x), -6, 6)[0] / total
        square = integrate.quad(lambda x: x * x * density(x), -6, 6)[0] / total
        own = np.sqrt(square - mean**2)
        assert np.mean(v[:, j, 0]) == pytest.approx(mean, abs=4 * own / np.sqrt(S))
        assert np.std(v[:, j, 0]) == pytest.approx(own, rel=4 / np.sqrt(2 * S))


def test_predictions_of_the_population_are_means_over_groups(drawn):
    model, tree = drawn
    new = {"period": ["1", "2"]}
    found = hr.predict(model, new, at=tree, level="population", observation=False, draws=True)
    posterior = tree["posterior"]
    eta = posterior["beta"].to_numpy()[..., 0].ravel()
    sd = posterior["sd_herd"].to_numpy()[..., 0].ravel()
    z, w = np.polynomial.hermite_e.hermegauss(60)
    expected = special.expit(eta[:, None] + sd[:, None] * z) @ (w / w.sum())
    np.testing.assert_allclose(found["draws"].to_numpy()[..., 0].ravel(), expected, rtol=1e-8)
    link = hr.predict(model, new, at=tree, level="population", scale="link")
    assert float(link["mean"][0]) == pytest.approx(eta.mean(), rel=1e-12)
    # The response of a group with b = 0 is another one.
    assert float(found["mean"][0]) > special.expit(eta).mean() + 0.005


def test_predictions_of_groups_from_draws_and_at_an_estimate(drawn):
    model, tree = drawn
    rows = {"period": ["1", "3"], "herd": ["1", "14"]}
    of_draws = hr.predict(model, rows, at=tree, observation=False)
    at_point = hr.predict(model, rows, at=model.estimate())
    np.testing.assert_allclose(of_draws["mean"], at_point["mean"], atol=0.03)
    new = hr.predict(model, {"period": ["1"], "herd": ["99"]}, at=tree, level="new group", observation=False)
    population = hr.predict(model, {"period": ["1"]}, at=tree, level="population", observation=False)
    assert float(new["mean"][0]) == pytest.approx(float(population["mean"][0]), abs=0.03)
    assert float(new["sd"][0]) > 2 * float(population["sd"][0])
    with pytest.raises(DataError, match="level='new group'"):
        hr.predict(model, {"period": ["1"], "herd": ["99"]}, at=tree)


def test_replicates_and_log_densities(drawn):
    model, tree = drawn
    tree = hr.log_likelihood(hr.posterior_predictive(tree, model, seed=2), model)
    y = tree["posterior_predictive"]["incidence"].to_numpy()
    size = HERDS["size"].to_numpy()
    assert np.all((y >= 0) & (y <= size))
    # ArviZ tells counts from values by their type.
    assert y.dtype == tree["observed_data"]["incidence"].dtype == np.int64
    assert y.sum(axis=-1).mean() == pytest.approx(HERDS["incidence"].sum(), rel=0.1)
    posterior = tree["posterior"]
    theta = posterior["beta"].to_numpy() @ model.problem.design.X.T
    theta += posterior["b_herd"].to_numpy()[..., model.problem.index, 0]
    expected = stats.binom.logpmf(HERDS["incidence"].to_numpy(), size, special.expit(theta))
    np.testing.assert_allclose(tree["log_likelihood"]["incidence"], expected, rtol=1e-9)


@QUIET
def test_predictions_with_two_factors():
    table = TABLE.assign(h=np.tile(np.arange(6), 10))
    model = hr.Model("count ~ x + (1 | g) + (1 | h)", table, family=hr.Poisson())
    tree = model.sample(draws=300, chains=2, seed=1, progress=False)
    posterior = tree["posterior"]
    beta = posterior["beta"].to_numpy().reshape(-1, 2)
    b, c = (posterior[f"b_{name}"].to_numpy()[..., 0].reshape(len(beta), -1) for name in "gh")
    sd = posterior["sd_h"].to_numpy().ravel()
    row = {"x": [4.0], "g": [3], "h": [5]}
    known = hr.predict(model, row, at=tree, observation=False, draws=True)
    eta = beta @ [1.0, 4.0] + b[:, 3]
    np.testing.assert_allclose(known["draws"].to_numpy().ravel(), np.exp(eta + c[:, 5]), rtol=1e-10)
    # Averaged over h alone: a log-normal mean.
    some = hr.predict(model, row, at=tree, level={"h": "population"}, observation=False, draws=True)
    np.testing.assert_allclose(some["draws"].to_numpy().ravel(), np.exp(eta + 0.5 * sd**2), rtol=1e-7)
    at = hr.predict(model, row, at=model.estimate(), level={"h": "population"})
    assert float(at["mean"][0]) == pytest.approx(float(some["mean"][0]), rel=0.4)


@QUIET
def test_offsets_are_needed_and_used_in_predictions():
    table = TABLE.assign(log_n=np.log(TABLE["n"]))
    model = hr.Model("count ~ x + (1 | g)", table, family=hr.Poisson(), offset="log_n")
    tree = model.sample(draws=100, chains=2, seed=1, progress=False)
    one, ten = (
        hr.predict(model, {"x": [5.0], "g": [1], "log_n": [np.log(n)]}, at=tree, observation=False)["mean"][0]
        for n in (1.0, 10.0)
    )
    assert float(ten) == pytest.approx(10.0 * float(one), rel=1e-12)
    with pytest.raises(DataError, match="log_n"):
        hr.predict(model, {"x": [5.0], "g": [1]}, at=tree)


@QUIET
def test_separation_is_said_and_has_a_posterior():
    table = pd.DataFrame({"x": np.arange(12.0), "y": np.arange(12) >= 6})
    model = hr.Model("y ~ x", table, family=hr.Bernoulli())
    with pytest.warns(ConvergenceWarning, match="separation"):
        assert not model.estimate().converged
    tree = model.sample(draws=200, chains=2, seed=1, progress=False)
    assert 0 < float(tree["posterior"]["beta"][..., 1].mean()) < 10


def test_quadrature_has_as_many_nodes_as_its_search_needs():
    rng = np.random.default_rng(8)
    g, x = np.repeat(np.arange(300), 2), np.tile([0.0, 1.0], 300)
    y = rng.random(600) < special.expit(-0.5 + x + 3.0 * rng.standard_normal(300)[g])
    model = hr.Model("y ~ x + (1 | g)", pd.DataFrame({"y": y, "x": x, "g": g}), family=hr.Bernoulli())
    with pytest.warns(ConvergenceWarning, match="9 nodes on each axis are too few"):
        coarse = model.estimate("quadrature", nodes=9)
    found, exact = model.estimate("quadrature"), model.estimate("quadrature", nodes=41)
    assert "15 nodes" in str(found)
    assert found.converged
    assert not coarse.converged
    assert found.criterion == pytest.approx(exact.criterion, abs=0.02)
    assert model.estimate("laplace").criterion > exact.criterion + 10


@pytest.mark.long
@QUIET
@pytest.mark.parametrize(
    ("formula", "family", "names"),
    [
        ("count ~ x + (1 | g)", hr.NegativeBinomial(by="s"), ["dispersion[a]", "dispersion[b]"]),
        ("positive ~ x + (1 | g)", hr.Gamma(), ["shape"]),
        ("share ~ x + (1 | g)", hr.Beta(), ["precision"]),
        ("positive ~ x + (1 | g)", hr.LogNormal(), ["error_sd"]),
        ("rank ~ x + (1 | g)", hr.Cumulative(), ["thresholds[1]", "thresholds[2]", "thresholds[3]"]),
    ],
)
def test_further_parameters_in_results(formula, family, names, tmp_path):
    model = hr.Model(formula, TABLE, family=family)
    options = {"draws": 100, "chains": 2, "seed": 1, "progress": False}
    include = ["prior", "prior_predictive", "posterior_predictive", "log_likelihood"]
    tree = hr.load(hr.save(model.sample(include=include, **options), tmp_path / "tree.nc"))
    table = hr.summary(tree)
    assert set(names) <= {str(name) for name in table["parameter"].values}
    assert all(name.split("[")[0] in str(model.priors) for name in names)
    assert ("beta[Intercept]" in str(model.priors)) is (names[0] != "thresholds[1]")
    again = model.sample(**options)
    np.testing.assert_array_equal(again["posterior"]["beta"], tree["posterior"]["beta"])
    observed = next(iter(tree["observed_data"].data_vars.values())).to_numpy()
    replicated = next(iter(tree["posterior_predictive"].data_vars.values())).to_numpy()
    assert replicated.mean() == pytest.approx(observed.mean(), rel=0.25)
    is_whole = isinstance(family, hr.NegativeBinomial | hr.Cumulative)
    assert observed.dtype == replicated.dtype == (np.int64 if is_whole else np.float64)
    assert np.isfinite(next(iter(tree["log_likelihood"].data_vars.values()))).all()
    if family == hr.Cumulative():
        # Categories are numbers, as ArviZ wants them, with their labels beside.
        values = tree["posterior_predictive"]["rank"]
        assert list(values.attrs["categories"]) == ["0", "1", "2", "3"]
        assert set(np.unique(values)) == {0.0, 1.0, 2.0, 3.0}


def test_importance_sampling_agrees_with_nuts(drawn):
    model, tree = drawn
    other = model.sample(draws=500, seed=3, method="psis")
    assert other["sample_stats"].attrs["pareto_k"] < 0.5
    for name in ("beta", "sd_herd"):
        one, two = tree["posterior"][name], other["posterior"][name]
        error = 5 * one.std(("chain", "draw")) / np.sqrt(1000)
        assert np.all(np.abs(one.mean(("chain", "draw")) - two.mean(("chain", "draw"))) < error)


@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("cbind(k, n - k) ~ x + (x | g)", hr.Binomial()),
        ("yes ~ x + (1 | g)", hr.Bernoulli()),
        ("count ~ x + (1 | g)", hr.Poisson()),
        ("count ~ x + (1 | g)", hr.NegativeBinomial(by="s")),
        ("positive ~ x + (1 | g)", hr.Gamma()),
        ("positive ~ x + (1 | g)", hr.LogNormal()),
        ("share ~ x + (1 | g)", hr.Beta()),
        ("yes ~ x + (1 | g)", hr.Bernoulli("probit")),
        ("rank ~ x + (1 | g)", hr.Cumulative()),
        ("rank ~ x + s + (x | g)", hr.Cumulative("probit")),
    ],
)
def test_pymc_has_the_same_density_of_rows(formula, family):
    """The log density of the response at one point, by PyMC and by ours."""
    model = hr.Model(formula, TABLE, family=family)
    problem = model.problem
    pymc_model = model.to_pymc("noncentered")
    point = pymc_model.initial_point()
    rng = np.random.default_rng(1)
    point = {name: 0.2 * rng.normal(size=np.shape(value)) for name, value in point.items()}
    T, m = problem.auxiliary.shape
    names = [
        [name if T == 1 else f"{name}_{label}" for name in problem.auxiliary.names]
        for label in problem.auxiliary.strata
    ]
    wanted = ["beta", "b_g", *(name for row in names for name in row)]
    outputs = pymc_model.replace_rvs_by_values([pymc_model[name] for name in wanted])
    function = pymc_model.compile_fn(
        outputs, inputs=pymc_model.value_vars, on_unused_input="ignore", mode="FAST_COMPILE"
    )
    values = dict(zip(wanted, function(point), strict=True))
    eta = problem.offset + problem.design.X[:, problem.kept_coefficients] @ values["beta"]
    eta += np.einsum("nq,nq->n", problem.design.factors[0].Z, values["b_g"][problem.index])
    auxiliary = np.array([[values[name] for name in row] for row in names], dtype=float).reshape(T, m)
    ours = problem.likelihood(1).row_densities(eta, auxiliary).sum()
    if isinstance(family, hr.LogNormal().__class__):
        ours -= problem.observed.y.sum()
    theirs = pymc_model.compile_logp(vars=pymc_model.observed_RVs, jacobian=False, mode="FAST_COMPILE")(point)
    assert float(theirs) == pytest.approx(float(ours), rel=1e-9)


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")
def test_a_handful_of_draws_has_weights_without_a_tail():
    model = hr.Model("cbind(incidence, size - incidence) ~ period + (1 | herd)", HERDS, family=hr.Binomial())
    tree = model.sample(draws=10, tune=50, chains=2, seed=1, progress=False)
    assert tree["posterior"]["beta"].shape == (2, 10, 4)


@pytest.mark.parametrize(
    ("priors", "words"),
    [
        (hr.Priors(sd=hr.Fixed(0.3)), r"sd\['g'\] = Fixed\(0.3\)"),
        (hr.Priors(corr=hr.Fixed([[1.0, 0.2], [0.2, 1.0]])), r"corr\['g'\]"),
    ],
)
def test_estimates_do_not_leave_out_what_a_prior_holds(priors, words):
    model = hr.Model("count ~ x + (x | g)", TABLE, family=hr.Poisson(), priors=priors)
    with pytest.raises(ModelError, match=words + r".*model\.sample"):
        model.estimate()
