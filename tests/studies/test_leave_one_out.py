"""`hr.loo`: against fits without a row or group, against ArviZ, and what it refuses."""

import warnings

import arviz_stats
import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr
from scipy.stats import kstest

import hierreg as hr
from hierreg.exceptions import ConvergenceWarning
from hierreg.predictive.left_out.sets import sets_of
from hierreg.studies.refits import exact_value, problem_of_rows

BETA = {"Intercept": hr.Normal(1.0, 2.0), "x": hr.Normal(-0.5, 1.5)}
ALL_PRIORS = hr.Priors(beta=BETA, sd={"g": hr.HalfNormal(1)}, error_sd=hr.HalfNormal(1))
FORMULA = "y ~ x + (x | g)"
SD = {"g": hr.HalfNormal(2)}


def made(seed, groups=7, size=5):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), size)[: groups * size - 2]
    x = rng.standard_normal(len(g))
    b = rng.standard_normal((2, groups)) * [[1.0], [0.5]]
    out = pd.DataFrame({"x": x, "g": [f"g{j}" for j in g], "half": np.where(np.arange(len(g)) < len(g) // 2, 1, 2)})
    out["v"], out["t"] = g * 2 + (np.arange(len(g)) % size > 1), np.arange(len(g)) % size
    out["y"] = 1.0 + 0.7 * x + b[0, g] + b[1, g] * x + 0.6 * rng.standard_normal(len(g))
    return out


@pytest.fixture(scope="module")
def table():
    return made(3)


def sampled(formula, data, *, draws, seed=1, chains=4, method="nuts", **arguments):
    """Return a posterior, whatever is said of estimates on the boundary and of few draws."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = {"draws": draws, "chains": chains, "seed": seed, "method": method, "progress": False}
        return hr.Model(formula, data, **arguments).sample(**how)


def quietly(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hr.loo(*args, **kwargs)


def check_against_refits(table, by, labels, arguments, tolerance):
    tree = sampled(FORMULA, table, draws=2000, **arguments)
    found, problem = quietly(tree, by=by), hr.Model(FORMULA, table, **arguments).problem
    sets = sets_of(problem, table, by)
    for label in labels:
        k = sets.labels.index(label)
        assert float(found.pareto_k[k]) < 0.7
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exact, probability = exact_value(problem, tree, sets, k)
        assert float(found.elpd_i[k]) == pytest.approx(exact, abs=tolerance)
        if by is None:
            assert float(found.pit[k]) == pytest.approx(probability, abs=0.02)


@pytest.mark.long
@pytest.mark.parametrize(("by", "labels"), [("g", ["g0", "g4"]), (None, [3, 17]), ("v", [4, 9])])
def test_weights_find_what_fits_without_it_say(by, labels, table):
    # Of 8,000 draws with weights and 8,000 without: about 0.01 where k is below 0.5.
    errors = {"errors": hr.exchangeable("v")} if by == "v" else {}
    check_against_refits(table, by, labels, {"priors": ALL_PRIORS} | errors, 0.06)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_weights_find_what_fits_without_it_say_on_ten_tables(seed):
    table = made(seed, groups=9, size=6)
    errors = [None, hr.by("half"), hr.exchangeable("v"), hr.ar1("t", unit="g"), None][seed % 5]
    arguments = {"errors": errors, "priors": ALL_PRIORS}
    tree = sampled(FORMULA, table, draws=2000, **arguments)
    problem = hr.Model(FORMULA, table, **arguments).problem
    for by in ("g", None):
        found, sets = quietly(tree, by=by), sets_of(problem, table, by)
        assert (found.pareto_k < 0.7).any()
        for k in np.flatnonzero(found.pareto_k.to_numpy() < 0.7)[:3]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exact, _ = exact_value(problem, tree, sets, int(k))
            assert float(found.elpd_i[k]) == pytest.approx(exact, abs=0.1)


def test_the_problem_of_other_rows_is_that_of_a_model_of_them(table):
    """Under priors that do not depend on the data, correlations within units included: their bound is that of all."""
    rest = table["g"] != "g2"
    for errors in (None, hr.exchangeable("v"), hr.ar1("t", unit="v")):
        whole = hr.Model(FORMULA, table, priors=ALL_PRIORS, errors=errors).problem
        part = problem_of_rows(whole, np.flatnonzero(rest), "g2")
        own = hr.Model(FORMULA, table[rest], priors=ALL_PRIORS, errors=errors).problem
        n = own.parameters.n_free
        from hierreg.likelihood.posterior import Target

        u = np.linspace(-0.4, 0.3, n)
        one, other = (Target(parameters=p.parameters, likelihood=p.likelihood("prior")) for p in (part, own))
        assert one(u)[0] == pytest.approx(other(u)[0], abs=1e-9)
    pairs = table.assign(v=np.where(np.arange(len(table)) < 4, 0, 1 + np.arange(len(table)) // 2))
    whole = hr.Model("y ~ x", pairs, errors=hr.exchangeable("v")).problem
    part = problem_of_rows(whole, np.arange(4, len(pairs)), "the first unit")
    np.testing.assert_array_equal(part.parameters.within_units.lowest, [-1 / 3])


def test_a_refit_replaces_what_weights_cannot_leave_out():
    sleep = hr.load_dataset("sleepstudy")
    sleep.loc[sleep["Subject"] == "335", "Reaction"] += 400.0
    tree = hr.Model("Reaction ~ Days + (Days | Subject)", sleep).sample(seed=1, progress=False)
    with pytest.warns(ConvergenceWarning, match=r"leaving out Subject .*'335'.*\(Pareto k.*refit=True"):
        weighed = hr.loo(tree, by="Subject")
    found = hr.loo(tree, by="Subject", refit=True)
    bad = weighed.pareto_k.to_numpy() > weighed.good_k
    assert found.refitted == tuple(weighed.elpd_i["Subject"].to_numpy()[bad])
    each = "it" if bad.sum() == 1 else "each"
    assert f"{bad.sum()} of 18 left out by a refit without {each}." in str(found)
    assert not found.warning
    np.testing.assert_array_equal(found.pareto_k.to_numpy()[bad], 0.0)
    np.testing.assert_array_equal(found.elpd_i.to_numpy()[~bad], weighed.elpd_i.to_numpy()[~bad])
    assert float(found.elpd) == pytest.approx(float(found.elpd_i.sum()))
    # Far out: weights of the posterior that knows it make it look less strange than it is.
    assert float(found.elpd_i.sel(Subject="335")) < float(weighed.elpd_i.sel(Subject="335")) - 3.0


def test_rows_are_left_out_nearly_as_arviz_does_where_it_can(table):
    big = made(11, groups=8, size=30)
    tree = sampled(FORMULA, big, draws=1000, priors=ALL_PRIORS)
    found = quietly(tree)
    expected = arviz_stats.loo(hr.log_likelihood(tree), pointwise=True)
    assert float(found.elpd) == pytest.approx(expected.elpd, abs=0.5)
    assert float(found.se) == pytest.approx(expected.se, rel=0.02)
    assert found.p == pytest.approx(expected.p, abs=0.7)
    # The largest of 238 is noise.
    assert float(found.pareto_k.mean()) < float(expected.pareto_k.mean())
    np.testing.assert_allclose(found.elpd_i, expected.elpd_i, atol=0.25)


def test_probabilities_of_rows_are_uniform_where_the_model_is_right_and_like_arviz(table):
    big = made(11, groups=12, size=30)
    tree = sampled(FORMULA, big, draws=1000, priors=ALL_PRIORS)
    pit = quietly(tree).pit.to_numpy()
    assert kstest(pit, "uniform").pvalue > 0.01
    full = hr.posterior_predictive(hr.log_likelihood(tree), seed=1)
    by_arviz = arviz_stats.loo_pit(full, random_state=1)
    # ArviZ's are of 4,000 replicates: an error of at most 0.008 in each.
    np.testing.assert_allclose(pit, by_arviz["y"].to_numpy(), atol=0.05)


def test_the_probability_of_a_row_of_known_variances_is_normal(table):
    fixed = hr.Priors(beta=BETA, sd={"g": hr.Fixed(0.8)}, corr={"g": hr.Fixed(np.eye(2))}, error_sd=hr.Fixed(0.6))
    tree = sampled(FORMULA, table, draws=10, priors=fixed)
    found = quietly(tree)
    X, y = np.column_stack([np.ones(len(table)), table["x"]]), table["y"].to_numpy()
    same = table["g"].to_numpy()[:, None] == table["g"].to_numpy()
    V = X @ np.diag([4.0, 2.25]) @ X.T + np.where(same, 0.64 * X @ X.T, 0.0) + 0.36 * np.eye(len(y))
    Q = np.linalg.inv(V)
    z = Q @ (y - X @ [1.0, -0.5]) / np.sqrt(np.diag(Q))
    np.testing.assert_allclose(found.pit, ndtr(z), atol=1e-6)
    np.testing.assert_allclose(found.elpd_i, 0.5 * (np.log(np.diag(Q) / (2 * np.pi)) - z**2), atol=1e-9)


@pytest.mark.long
def test_results_compare_and_come_from_files(table, tmp_path):
    trees = [sampled(formula, table, draws=500) for formula in (FORMULA, "y ~ 1 + (1 | g)")]
    kept = hr.load(hr.save(trees[0], tmp_path / "kept.nc"))
    for by in ("g", None):
        found = [quietly(tree, by=by) for tree in trees]
        np.testing.assert_array_equal(quietly(kept, by=by).elpd_i, found[0].elpd_i)
        compared = arviz_stats.compare({"slopes": found[0], "intercepts": found[1]})
        assert set(compared.index) == {"slopes", "intercepts"}
        assert found[0].left_out == (by or "row")
        assert isinstance(found[0], arviz_stats.utils.ELPDDataLOO)
    assert list(quietly(trees[0], by="g").elpd_i["g"].to_numpy()) == [f"g{j}" for j in range(7)]


def test_odd_names(table):
    odd = table.rename(columns={"g": "a group (1)", "y": "the response", "x": "x 1"})
    tree = sampled("`the response` ~ `x 1` + (1 | `a group (1)`)", odd, draws=100)
    assert quietly(tree, by="a group (1)").elpd_i.sizes == {"a group (1)": 7}
    assert quietly(tree).elpd_i.sizes == {"obs": len(odd)}


@pytest.mark.parametrize(
    ("formula", "arguments", "how", "words"),
    [
        (FORMULA, {}, {"by": "G"}, r"by='G' is no grouping factor and no column that.*Did you mean 'g'\?"),
        (FORMULA, {"effects": {"g": hr.StudentT()}}, {"by": "g"}, "those of this model are not normal"),
        (FORMULA, {"effects": {"g": hr.StudentT()}}, {"refit": True}, "refit=True is for models whose coefficients"),
        (FORMULA, {}, {"draws": 6}, "24 draws have no tail to smooth; at least 25"),
        (FORMULA, {}, {"draws": 51}, "draws=51 per chain were asked for, but the tree has 50"),
    ],
)
def test_what_cannot_be_left_out_is_said(formula, arguments, how, words, table):
    tree = sampled(formula, table, draws=50, **arguments)
    with pytest.raises(hr.HierregError, match=words):
        hr.loo(tree, **how)


def test_counts_are_left_out_by_rows_alone(table):
    counts = table.assign(y=np.random.default_rng(0).poisson(3, len(table)))
    tree = sampled("y ~ x + (1 | g)", counts, draws=100, family=hr.Poisson())
    with pytest.raises(hr.HierregError, match="normal"):
        hr.loo(tree, by="g")
    with pytest.raises(hr.HierregError, match="a response or group effects that are not normal"):
        hr.loo(tree, refit=True)
    found = quietly(tree, draws=50)
    assert found.n_samples == 200
    assert found.pit is None
    with warnings.catch_warnings():
        # Of so few draws a Pareto k may be above ArviZ's limit.
        warnings.simplefilter("ignore", UserWarning)
        expected = arviz_stats.loo(hr.log_likelihood(tree), pointwise=True).elpd_i
    np.testing.assert_array_equal(quietly(tree).elpd_i, expected)


def test_a_model_of_statistics_alone_has_no_rows(table):
    gram = hr.Gram.from_batches([table], FORMULA)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = hr.Model.from_gram(gram).sample(draws=50, seed=1, progress=False)
    for by in (None, "g"):
        with pytest.raises(hr.HierregError, match="statistics alone"):
            hr.loo(tree, by=by)


def test_a_data_set_that_is_a_group_is_left_out_by_a_refit():
    """Its errors keep their parameters, whose coordinate is that of the groups while all are there."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"d": np.repeat(["a", "b", "c"], 12), "u": np.tile(np.arange(12), 3)})
    data["y"] = np.repeat([0.0, 1.0, 9.0], 12) + rng.standard_normal(36)
    tree = sampled("y ~ 1 + (1 | d)", data, draws=100, method="psis", errors=hr.correlated("d", unit="u"))
    problem = hr.Model("y ~ 1 + (1 | d)", data, errors=hr.correlated("d", unit="u")).problem
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value, _ = exact_value(problem, tree, sets_of(problem, data, "d"), 2)
    assert np.isfinite(value)


def test_a_model_without_population_coefficients():
    """Against the one with a constant that is fixed at zero."""
    data = made(6)
    found = [
        quietly(sampled(formula, data, draws=200, method="psis", priors=hr.Priors(sd=SD, error_sd=SD["g"], **fixed)))
        for formula, fixed in (
            ("y ~ 0 + (1 | g)", {}),
            ("y ~ 1 + (1 | g)", {"beta": {"Intercept": hr.Fixed(0.0)}}),
        )
    ]
    np.testing.assert_allclose(found[0].elpd_i, found[1].elpd_i, rtol=1e-8)
