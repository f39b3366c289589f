"""Group coefficients that were not kept: their summaries from the cross-products, and what refuses without them."""

import numpy as np
import pytest
import xarray as xr

import hierreg as hr
from hierreg.exceptions import DataError, ModelError
from tests.helpers import report_trees as trees

SHORT = {"draws": 40, "chains": 2, "method": "psis"}


def in_time():
    """Return 60 rows of 12 units of 5 groups, in time, one time missing."""
    rng = np.random.default_rng(5)
    frame = trees.table().iloc[np.zeros(60, dtype=int)].reset_index(drop=True)
    frame["unit"], frame["time"] = np.repeat(np.arange(12), 5), np.tile([0, 1, 2, 4, 5], 12)
    frame["g"] = np.array(list("abcde"))[np.repeat(np.arange(12), 5) % 5]
    frame["x"], frame["w"] = rng.normal(size=60), rng.normal(size=60)
    frame["y"] = frame["x"] + rng.normal(size=12)[frame["unit"]] + rng.normal(size=60)
    return frame


MODELS = {
    **{name: lambda name=name: trees.model(name) for name in trees.STRUCTURES},
    "exchangeable": lambda: hr.Model("y ~ x + (x | g)", in_time(), errors=hr.exchangeable("unit")),
    "ar1": lambda: hr.Model("y ~ x + (x | g)", in_time(), errors=hr.ar1("time", unit="unit")),
    "uncorrelated": lambda: hr.Model("y ~ x + w + (x + w || g)", trees.table()),
    "crossed": lambda: hr.Model("y ~ x + (x | g) + (1 | set)", trees.table()),
    "a fixed slope": lambda: hr.Model("y ~ x + (x | g)", trees.table(), priors=hr.Priors(beta={"x": hr.Fixed(0.4)})),
    "statistics alone": lambda: hr.Model.from_gram(hr.Model("y ~ x + (x | g)", trees.table()).gram),
}


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_summaries_that_are_added_are_those_of_sampling(name, tmp_path):
    model = MODELS[name]()
    short, none = trees.run(model, **SHORT, group_effects="summary"), trees.run(model, **SHORT, group_effects="none")
    assert "effects" not in none.children
    assert not [v for v in none["posterior"].data_vars if str(v).startswith(("b_", "theta_"))]
    if name != "crossed":  # whose population coefficients are drawn with those of groups
        xr.testing.assert_identical(none["posterior"].to_dataset(), short["posterior"].to_dataset())
    hr.save(none, tmp_path / "none.nc")
    for tree in (none, hr.load(tmp_path / "none.nc")):
        added = hr.group_effects(tree)
        assert "effects" not in tree.children
        mine, theirs = added["effects"].to_dataset(), short["effects"].to_dataset()
        if name == "crossed":  # whose quantiles are those of draws
            quantiles = [v for v in mine.data_vars if str(v).endswith("quantiles")]
            mine, theirs = mine.drop_vars(quantiles), theirs.drop_vars(quantiles)
        xr.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)


def test_shrinkage_of_added_summaries():
    none = trees.run(trees.model("by"), **SHORT, group_effects="none")
    short = trees.run(trees.model("by"), **SHORT, group_effects="summary")
    with pytest.raises(ModelError, match=r"theta_g \(group_effects='none'\).*hr.group_effects\(tree\)"):
        hr.shrinkage(none)
    mine, theirs = hr.shrinkage(hr.group_effects(none)).to_pandas(), hr.shrinkage(short).to_pandas()
    numbers = mine.select_dtypes("number")
    np.testing.assert_allclose(numbers, theirs[numbers.columns], rtol=1e-6, atol=1e-8)


@pytest.mark.long
def test_a_page_without_group_coefficients_has_no_table_of_them(tmp_path):
    none = trees.run(trees.model("by"), **SHORT, group_effects="none")
    page = hr.report(none, tmp_path / "page.html").read_text()
    assert "Shrinkage" not in page
    assert "Correlations" in page


def test_predictions_draw_the_groups_that_they_need():
    model = trees.model("independent")
    options = {"draws": 500, "chains": 2, "method": "psis"}
    none, drawn = trees.run(model, **options, group_effects="none"), trees.run(model, **options, group_effects="draws")
    rows = trees.table().iloc[:4]
    mine, theirs = (hr.predict(model, rows, at=tree).to_pandas() for tree in (none, drawn))
    assert np.all(np.abs(mine["mean"] - theirs["mean"]) < 5 * theirs["sd"] / np.sqrt(300))


@pytest.mark.parametrize("name", ["contrasts", "ranks"])
def test_what_needs_draws_of_all_groups_says_so(name):
    none = trees.run(trees.model("by"), **SHORT, group_effects="none")
    ask = {"contrasts": lambda: hr.contrasts(none, {"a": {("g", "a", "x"): 1}}), "ranks": lambda: hr.ranks(none)}[name]
    with pytest.raises(ModelError, match="group_effects='draws'"):
        ask()


def test_models_whose_effects_do_not_follow_refuse():
    table = trees.table()
    heavy = hr.Model("y ~ x + (1 | g)", table, effects={"g": hr.StudentT()})
    with pytest.raises(ModelError, match=r"group_effects='none' with effects=.*'summary'"):
        trees.run(heavy, **SHORT, group_effects="none")
    plain = trees.run(hr.Model("y ~ x", table), **SHORT, group_effects="none")
    with pytest.raises(ModelError, match="has no group term"):
        hr.group_effects(plain)
    none = trees.run(trees.model("by"), **SHORT, group_effects="none")
    with pytest.raises(DataError, match="does not say which model"):
        hr.group_effects(none.drop_nodes("model"))
    with pytest.raises(ModelError, match="group_effects='none' with parametrization='centered'"):
        trees.model("by").sample(group_effects="none", parametrization="centered")
