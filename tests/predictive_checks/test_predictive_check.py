"""`hr.predictive_check`: the same statistics by loops over whole replicates, and what they find."""

import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, skew

import hierreg as hr
from hierreg.exceptions import DataError, ModelError


@pytest.fixture(scope="module")
def children():
    data = hr.load_dataset("orthodont")
    model = hr.Model("distance ~ age11 * Sex + (age11 | Subject)", data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return data, model, model.sample(draws=250, seed=1, progress=False)


def value(report, check, of="p"):
    return float(report[of].sel(check=check))


@pytest.mark.parametrize("level", ["group", "new group"])
def test_statistics_are_those_of_whole_replicates(level, children):
    data, _, tree = children
    report = hr.predictive_check(
        tree, "Sex", ["mean", "sd", "skewness", "min", "max", "zeros", 0.9], level=level, seed=5
    )
    # New groups are made by the same numbers; the same groups by others, so that they agree up to their number.
    made = hr.posterior_predictive(tree, seed=5, level=level)["posterior_predictive"]["distance"].to_numpy()
    made = made.reshape(1000, -1)
    functions = {
        "mean": np.mean,
        "sd": lambda y: np.std(y, ddof=1),
        "skewness": skew,
        "min": np.min,
        "max": np.max,
        "zeros": lambda y: np.mean(y == 0),
        "quantile 0.9": lambda y: np.quantile(y, 0.9),
    }
    for label in ("Male", "Female"):
        rows = (data["Sex"] == label).to_numpy()
        for name, function in functions.items():
            check = f"{name}, {label}"
            seen = function(data["distance"].to_numpy()[rows])
            assert value(report, check, "observed") == pytest.approx(seen, rel=1e-12, abs=1e-12)
            values = np.array([function(y) for y in made[:, rows]])
            p = np.mean(values > seen) + 0.5 * np.mean(values == seen)
            if level == "new group":
                assert value(report, check) == pytest.approx(p, abs=1e-12)
                assert value(report, check, "mean") == pytest.approx(values.mean(), rel=1e-9, abs=1e-12)
                assert value(report, check, "upper") == pytest.approx(np.quantile(values, 0.975), rel=1e-9, abs=1e-12)
            else:
                assert value(report, check) == pytest.approx(p, abs=0.09)  # 4 standard errors of both


def test_errors_of_two_sizes_are_found_by_sex(children):
    """The scatter of girls is smaller than that of boys; one error sd for both is what the replicates have."""
    data, _, tree = children

    def scatter(y):
        lines = y.reshape(-1, 4)
        hat = np.linalg.pinv(np.column_stack([np.ones(4), [-3, -1, 1, 3]]))
        fit = lines @ hat.T @ np.array([[1, 1, 1, 1], [-3, -1, 1, 3]])
        return np.sqrt(np.mean((lines - fit) ** 2))

    ordered = data.sort_values(["Sex", "Subject", "age11"])
    model = hr.Model("distance ~ age11 * Sex + (age11 | Subject)", ordered)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = model.sample(draws=250, seed=1, progress=False)
    report = hr.predictive_check(fit, "Sex", {"scatter": scatter})
    assert value(report, "scatter, Female") > 0.99
    assert value(report, "scatter, Male") < 0.2
    assert report.attrs["n_extreme"] >= 1
    assert "scatter, Female" in report.attrs["note"]
    assert tree["posterior"].sizes["draw"] == 250


def outlying(n_far):
    rng = np.random.default_rng(4)
    J, n = 40, 5
    b = rng.normal(0, 1, J)
    b[:n_far] += 12.0
    g = np.repeat(np.arange(J), n)
    return pd.DataFrame({"y": b[g] + rng.normal(0, 1, J * n), "g": [f"g{j:02d}" for j in g]})


def test_groups_far_out_are_found_by_new_groups_alone():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = hr.Model("y ~ 1 + (1 | g)", outlying(1)).sample(draws=500, seed=1, progress=False)
    same = hr.predictive_check(tree, "g", "mean")
    new = hr.predictive_check(tree, "g", "mean", level="new group")
    # Coefficients that have seen the group are like it.
    assert 0.1 < value(same, "mean, g00") < 0.9
    assert "Mild" in same.attrs["note"]
    assert value(new, "mean, g00") < 0.005
    assert value(new, "max of the means") < 0.01
    assert "Mild" not in new.attrs["note"]
    assert not any(name.endswith("of the means") for name in same["check"].values.tolist())


def test_p_is_about_uniform_for_new_groups_of_a_right_model_and_crowds_for_the_same():
    rng = np.random.default_rng(9)
    J, n = 300, 4
    g = np.repeat(np.arange(J), n)
    table = pd.DataFrame({"y": rng.normal(0, 1, J)[g] + rng.normal(0, 1, J * n), "g": g})
    tree = hr.Model("y ~ 1 + (1 | g)", table).sample(draws=250, seed=1, progress=False)
    p = hr.predictive_check(tree, "g", "mean", level="new group")["p"].to_numpy()[3:]
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.std(hr.predictive_check(tree, "g", "mean")["p"].to_numpy()) < 0.6 * np.std(p)


def test_counts_have_a_share_of_zeros():
    rng = np.random.default_rng(2)
    n = 120
    table = pd.DataFrame({"x": rng.normal(size=n), "g": np.arange(n) % 8})
    table["n"] = np.where(rng.random(n) < 0.4, 0, rng.poisson(6, n))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = hr.Model("n ~ x + (1 | g)", table, family=hr.Poisson()).sample(draws=250, seed=1, progress=False)
    report = hr.predictive_check(tree)
    assert value(report, "zeros", "observed") == pytest.approx(np.mean(table["n"] == 0))
    assert value(report, "zeros") < 0.001
    new = hr.predictive_check(tree, level="new group", statistics="zeros")
    assert value(new, "zeros") < 0.01


def test_columns_are_cut_into_ranges(children):
    data, _, _ = children
    table = data.assign(noise=np.random.default_rng(0).normal(size=len(data)))
    model = hr.Model("distance ~ age11 + (1 | Subject)", table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = model.sample(draws=50, seed=1, progress=False)
    report = hr.predictive_check(tree, "noise", "mean", model=model, bins=3)
    assert report.sizes["check"] == 3
    edges = np.quantile(table["noise"], [0, 1 / 3, 2 / 3, 1])
    part = table["distance"][(table["noise"] >= edges[1]) & (table["noise"] < edges[2])]
    assert float(report["observed"][1]) == pytest.approx(part.mean())
    assert hr.predictive_check(tree, "age11", "mean").sizes["check"] == 4
    with pytest.raises(ModelError, match=r"by='noise' is no grouping factor and no column that the result carries"):
        hr.predictive_check(tree, "noise")


def test_data_sets_given_others(tmp_path):
    rng = np.random.default_rng(3)
    e = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 60)
    table = pd.DataFrame({"set": np.tile(["p", "q"], 60), "unit": np.repeat(np.arange(60), 2), "y": e.ravel()})
    errors = hr.correlated("set", unit="unit")
    tree = hr.Model("y ~ 0 + set", table, errors=errors).sample(draws=250, seed=1, progress=False)
    report = hr.predictive_check(tree, statistics="sd", given="p")
    alone = hr.predictive_check(tree, "set", statistics="sd")
    assert value(report, "sd", "observed") == pytest.approx(table["y"][1::2].std())
    # What was observed of the units leaves less to chance.
    assert value(report, "sd", "sd") < 0.8 * value(alone, "sd, q", "sd")
    assert "given p" in report.attrs["heading"]
    kept = hr.load(hr.save(tree, tmp_path / "kept.nc"))
    np.testing.assert_array_equal(hr.predictive_check(kept, statistics="sd", given="p")["p"], report["p"])


@pytest.mark.long
def test_replicates_are_not_kept():
    rng = np.random.default_rng(1)
    n = 200_000
    table = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": rng.integers(0, 200, n)})
    model = hr.Model("y ~ x + (1 | g)", table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = model.sample(draws=100, chains=2, seed=1, progress=False)
    hr.predictive_check(tree, model=model, draws=2)
    tracemalloc.start()
    hr.predictive_check(tree, model=model, draws=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 100 tables of 200,000 rows would be 160 MB.
    assert peak < 130e6


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"statistics": "kurtosis"}, ModelError, "statistics has 'kurtosis'; there are 'mean'"),
        ({"statistics": 1.5}, ModelError, "a number between 0 and 1"),
        ({"statistics": {"f": lambda y: y}}, ModelError, r"statistics\['f'\] returned"),
        ({"statistics": {"f": 3}}, ModelError, "no function of an array"),
        ({"statistics": ["mean", "mean"]}, ModelError, "each of them once"),
        ({"by": "sex"}, ModelError, "Did you mean 'Sex'?"),
        ({"draws": 1001}, ModelError, "draws=1001 replicates were asked for, but the tree has 1000"),
        ({"draws": 0}, ModelError, "draws"),
        ({"level": "groups"}, ModelError, "level='groups'"),
        ({"ci_prob": 0}, ModelError, "ci_prob"),
        ({"bins": 1}, ModelError, "bins"),
        ({"seed": -1}, ModelError, "seed"),
    ],
)
def test_what_is_refused(how, error, words, children):
    with pytest.raises(error, match=words.replace("?", r"\?")):
        hr.predictive_check(children[2], **how)


def test_missing_values_and_statistics_alone(children):
    data, model, tree = children
    gap = data.assign(gap=np.where(np.arange(len(data)) < 5, np.nan, 1.0))
    with pytest.raises(DataError, match="what a check is by"):
        hr.predictive_check(tree, "gap", model=hr.Model(model.formula, gap))
    gram = hr.Gram.from_batches([data], "distance ~ age11 + (1 | Subject)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = hr.Model.from_gram(gram).sample(draws=20, seed=1, progress=False)
    with pytest.raises(ModelError, match="statistics alone"):
        hr.predictive_check(alone)


def test_factors_may_be_called_sample_and_be_several_of_a_family():
    rng = np.random.default_rng(6)
    table = pd.DataFrame({"sample": np.repeat(list("abcdef"), 10), "plate": np.tile(list("klmno"), 12)})
    table["n"] = rng.poisson(3, 60)
    model = hr.Model("n ~ 1 + (1 | sample) + (1 | plate)", table, family=hr.Poisson())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = model.sample(draws=100, chains=2, progress=False, seed=1)
    for level in ("group", "new group"):
        found = hr.predictive_check(tree, "sample", "mean", level=level, draws=100)
        assert found.sizes["check"] >= 6
        assert np.isfinite(found["p"]).all()
