"""`hr.ranks`: against loops over draws, a normal distribution in closed form, and identities of ranks."""

import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtr

import hierreg as hr
from tests.helpers import report_trees as trees


def dataset(draws, labels):
    """Return a report of draws (chain, draw, J) by label."""
    coords = {"chain": np.arange(draws.shape[0]), "draw": np.arange(draws.shape[1]), "contrast": labels}
    return xr.Dataset({"draws": (("chain", "draw", "contrast"), draws)}, coords=coords)


def test_summaries_are_those_of_a_loop_over_draws(rng):
    draws = rng.normal(size=(2, 50, 5)) + np.arange(5) * 0.4
    report = hr.ranks(dataset(draws, list("abcde")), k=2, ci_prob=0.8, pairwise=True)
    place = np.array([[1 + sum(other > own for other in row) for own in row] for row in draws.reshape(-1, 5)])
    np.testing.assert_allclose(report["expected_rank"], place.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(report["rank_sd"], place.std(axis=0, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(report["prob_best"], (place <= 2).mean(axis=0), rtol=1e-12)
    ordered = np.sort(place, axis=0)
    np.testing.assert_array_equal(report["lower"], ordered[9])  # the smallest rank with a tenth at or below it
    np.testing.assert_array_equal(report["upper"], ordered[89])
    np.testing.assert_array_equal(report["integer_rank"], 1 + np.argsort(np.argsort(place.mean(axis=0))))
    above = [[np.mean(x > y) if i != j else 0.5 for j, y in enumerate(draws.reshape(-1, 5).T)]
             for i, x in enumerate(draws.reshape(-1, 5).T)]  # fmt: skip
    np.testing.assert_allclose(report["prob_above"], above, rtol=1e-12)


def test_identities_of_ranks():
    """Lin et al. (2006): a rank counts those above; Lin's percentile; and the lowest is the other end."""
    tree = trees.many_groups()
    high, low = (hr.ranks(tree, "x", best=best, k=5, pairwise=True) for best in ("highest", "lowest"))
    np.testing.assert_allclose(high["prob_above"].sum("g_first") + 0.5, high["expected_rank"], rtol=1e-12)
    np.testing.assert_allclose(high["prob_above"] + high["prob_above"].values.T, 1.0, rtol=1e-12)
    np.testing.assert_allclose(high["prob_best"].sum(), 5, rtol=1e-12)
    np.testing.assert_allclose(low["expected_rank"], 46 - high["expected_rank"], rtol=1e-12)
    np.testing.assert_allclose(low["prob_above"], high["prob_above"].values.T, rtol=1e-12)
    np.testing.assert_allclose(high["percentile"] + low["percentile"], 100, rtol=1e-12)


def test_probabilities_are_normal_where_variances_are_known():
    data = hr.load_dataset("dyestuff")
    priors = hr.Priors(beta=hr.Flat(), sd={"Batch": {"Intercept": hr.Fixed(42.0)}}, error_sd=hr.Fixed(50.0))
    model = hr.Model("Yield ~ 1 + (1 | Batch)", data, priors=priors)
    tree = trees.run(model, draws=4000, chains=2)
    at = model.solve({"Batch": [[42.0**2]]}, 2500.0)
    report = hr.ranks(tree, pairwise=["A", "C", "F"])
    for first, second in (("A", "C"), ("C", "F"), ("A", "F")):
        gap = hr.contrasts(at, {"gap": {(first, "Intercept"): 1, (second, "Intercept"): -1}})
        expected = ndtr(float(gap["mean"][0] / gap["sd"][0]))
        mine = float(report["prob_above"].sel(Batch_first=first, Batch_second=second))
        assert mine == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 8000))


def test_expected_values_are_means_of_predictions_over_the_rows_of_a_group():
    tree, model = trees.tree("independent"), trees.model("independent")
    table = trees.table()
    rows = hr.predict(model, table, at=tree, draws=True, observation=False)["draws"]
    means = np.stack([rows[..., np.flatnonzero(table["g"] == name)].mean("row") for name in "abcde"], axis=-1)
    mine, expected = hr.ranks(tree, model=model), hr.ranks(dataset(means, list("abcde")))
    for name in ("mean", "sd", "expected_rank", "lower", "upper", "prob_best"):
        np.testing.assert_allclose(mine[name], expected[name], rtol=1e-9, err_msg=name)
    assert "own" not in mine.attrs["note"]
    assert "rows of each g" in mine.attrs["note"]


def test_expected_values_of_a_crossed_factor_leave_the_others_at_zero():
    model = hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin"))
    tree = trees.run(model, draws=50, chains=2)
    own, coef = hr.ranks(tree, model=model, factor="sample"), hr.ranks(tree, factor="sample")
    np.testing.assert_allclose(own["mean"], coef["mean"], rtol=1e-12)
    assert "'plate' are zero" in own.attrs["note"]


def test_predictions_are_ranked_by_their_groups():
    tree, model = trees.tree("independent"), trees.model("independent")
    rows = {"g": list("ec"), "x": [1.0, 1.0], "w": [0.0, 2.0]}
    predicted = hr.predict(model, rows, at=tree, draws=True, observation=False)
    report = hr.ranks(predicted, pairwise=True)
    assert report["group"].values.tolist() == ["e", "c"]
    above = float(np.mean(predicted["draws"][..., 0] > predicted["draws"][..., 1]))
    assert float(report["prob_above"][0, 1]) == pytest.approx(above, abs=1e-12)
    assert float(report["expected_rank"][0]) == pytest.approx(2 - above, abs=1e-12)


def test_where_groups_are_compared_is_said():
    table = trees.table().assign(kind=lambda rows: np.where(rows["g"].isin(["a", "b"]), "new", "old"))
    tree = trees.run(hr.Model("y ~ kind + (1 | g)", table), draws=20, chains=2)
    assert "kind = new" in str(hr.ranks(tree))
    assert "model=" in str(hr.ranks(tree))


def test_the_same_from_a_file(tmp_path):
    tree = trees.tree("by")
    hr.save(tree, tmp_path / "fit.nc")
    xr.testing.assert_identical(hr.ranks(tree), hr.ranks(hr.load(tmp_path / "fit.nc")))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"coef": "z"}, "not a group coefficient"),
        ({"best": "high"}, "best='high'"),
        ({"k": 0}, "k=0"),
        ({"k": 6}, "there are 5"),
        ({"pairwise": ["a", "q"]}, "'q'"),
        ({"pairwise": "a"}, "sequence of labels"),
        ({"factor": "h"}, "factor='h'"),
        ({"model": trees.model("by")}, "another model|another errors"),
        ({"ci_prob": 1}, "ci_prob"),
    ],
)
def test_refusals(arguments, words):
    with pytest.raises(hr.exceptions.ModelError, match=words):
        hr.ranks(trees.tree("independent"), **arguments)


def test_summaries_and_estimates_have_no_ranks():
    with pytest.raises(hr.exceptions.ModelError, match="joint distribution"):
        hr.ranks(trees.summarised())
    with pytest.raises(hr.exceptions.DataError, match="no draws"):
        hr.ranks(trees.model("independent").estimate())
