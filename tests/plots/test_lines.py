"""`hr.plots.lines`: what is drawn is what the model says, by hand and by `hr.predict`."""

import functools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, ndtri

import hierreg as hr
from hierreg.plots.colours import lightness
from hierreg.results.carried import draws_in
from tests.helpers import report_trees as trees

ModelError, DataError = hr.exceptions.ModelError, hr.exceptions.DataError


def table() -> pd.DataFrame:
    """Return 90 rows of 9 groups in two sectors, counts and truth values; columns of all kinds, sizes all different."""
    rng = np.random.default_rng(5)
    n = 90
    g = rng.integers(0, 9, n)
    frame = pd.DataFrame({"g": [f"g{j}" for j in g], "h": np.array(list("uvw"))[rng.integers(0, 3, n)]})
    frame["sector"] = np.where(g % 3 == 0, "private", "public")
    frame["size"] = 1.0 + 0.5 * g
    frame["cond"] = np.array(["a", "b", "b", "c"])[rng.integers(0, 4, n)]
    frame["x"], frame["w"] = rng.uniform(1, 5, n), rng.normal(3, 2, n)
    eta = 0.3 + 0.2 * frame["x"] + rng.normal(0, 0.7, 9)[g]
    frame["y"] = eta + rng.normal(0, 0.5, n)
    frame["log_t"] = rng.normal(0, 0.3, n)
    frame["count"] = rng.poisson(np.exp(eta + frame["log_t"]))
    frame["yes"] = (rng.uniform(size=n) < expit(eta - 1)).astype(int)
    frame["grade"] = pd.Categorical(np.array(["low", "mid", "high"])[np.digitize(frame["y"], [0.4, 1.3])],
                                    categories=["low", "mid", "high"], ordered=True)  # fmt: skip
    return frame


@functools.cache
def model(formula: str, **options) -> hr.Model:
    return hr.Model(formula, table(), **options)


@functools.cache
def tree(formula: str, **options):
    return trees.run(model(formula, **options))


def thick(axis):
    """Return the population lines of a panel, x and y, in order."""
    return [line.get_xydata().T for line in axis.lines if line.get_linewidth() == 2.2]


def thin(axis):
    return [line.get_xydata().T for line in axis.lines if line.get_linewidth() == 0.8]


def band(collection):
    """Return x, lower and upper of a band."""
    path = collection.get_paths()[0].vertices
    n = (len(path) - 3) // 2
    return path[1 : n + 1, 0], path[1 : n + 1, 1], path[n + 2 : -1, 1][::-1]


def said(axis):
    """Return what stands above a figure, in one line."""
    return axis.figure.get_suptitle().replace("\n", " ")


def flat(found, name):
    values = found["posterior"][name].transpose("chain", "draw", ...).to_numpy()
    return values.reshape(-1, *values.shape[2:])


def assert_line(axis, k, draws, prob=0.95):
    """Compare the k-th population line and its band with draws (S, G) by hand."""
    np.testing.assert_allclose(thick(axis)[k][1], draws.mean(axis=0), rtol=1e-10)
    _, lower, upper = band(axis.collections[k])
    ends = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    np.testing.assert_allclose([lower, upper], ends, rtol=1e-10)


def test_a_population_line_is_the_draws_of_x_beta():
    found = tree("y ~ x + w + (x | g)")
    (axis,) = hr.plots.lines(found, "x", ci_prob=0.8).axes
    data = table()
    x = np.linspace(data["x"].min(), data["x"].max(), 101)
    beta = flat(found, "beta")
    np.testing.assert_array_equal(thick(axis)[0][0], x)
    assert_line(axis, 0, beta[:, [0]] + beta[:, [1]] * x + beta[:, [2]] * data["w"].mean(), prob=0.8)
    assert f"held: w = {data['w'].mean():.3g}" in said(axis)
    assert "points: 90 rows" in said(axis)
    points = [line for line in axis.lines if line.get_linestyle() == "None"]
    np.testing.assert_array_equal(np.concatenate([p.get_xydata() for p in points]), data[["x", "y"]].to_numpy())
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("x", "y")


def test_lines_are_those_of_predict_at_a_grid():
    found, formula = tree("y ~ poly(x, 2) * cond + (x | g)"), "y ~ poly(x, 2) * cond + (x | g)"
    (axis,) = hr.plots.lines(found, "x", by="cond", groups=False).axes
    x = np.linspace(table()["x"].min(), table()["x"].max(), 101)
    for k, level in enumerate("abc"):
        rows = hr.datagrid(model(formula), x=x, cond=level)
        rows_of = hr.predict(found, rows, level="population", observation=False)
        np.testing.assert_allclose(thick(axis)[k][1], rows_of["mean"], rtol=1e-12)
        np.testing.assert_allclose(band(axis.collections[k])[1:], [rows_of["lower"], rows_of["upper"]], rtol=1e-12)
        assert np.ptp(np.diff(thick(axis)[k][1])) > 1e-4  # a curve
    assert [text.get_text() for text in axis.figure.legends[0].get_texts()] == ["a", "b", "c"]
    assert axis.figure.legends[0].get_title().get_text() == "cond"


@pytest.mark.parametrize("method", ["reml", "solve"])
def test_an_estimate_has_its_normal_interval(method):
    of = model("y ~ x + w + (x | g)")
    est = of.estimate()
    if method == "solve":
        est = of.solve(cov={"g": est.cov["g"].to_numpy()}, error_cov=float(est.error_sd) ** 2)
    (axis,) = hr.plots.lines(est, {"x": [0, 4]}, at={"w": 1.5}, ci_prob=0.9).axes
    x = np.linspace(0, 4, 101)
    X = np.column_stack([np.ones(101), x, np.full(101, 1.5)])
    mean = X @ est.beta.to_numpy()
    half = ndtri(0.95) * np.sqrt(np.einsum("ij,jk,ik->i", X, est.beta_cov.to_numpy(), X))
    np.testing.assert_allclose(thick(axis)[0], [x, mean], rtol=1e-10)
    np.testing.assert_allclose(band(axis.collections[0])[1:], [mean - half, mean + half], rtol=1e-9)


def test_groups_have_thin_lines_over_their_own_rows_at_their_own_level():
    found = tree("y ~ x * sector + size + (x | g)")
    (axis,) = hr.plots.lines(found, "x", by="sector", groups=["g3", "g1"]).axes
    data, beta, b = table(), flat(found, "beta").mean(axis=0), found["posterior"]["b_g"].mean(("chain", "draw"))
    assert [str(c) for c in found["posterior"]["coef"].values] == [
        "Intercept", "x", "sector[T.public]", "size", "x:sector[T.public]",
    ]  # fmt: skip
    for (x, y), g, public in zip(thin(axis), ("g3", "g1"), (0, 1), strict=True):
        own = data[data["g"] == g]
        assert (x.min(), x.max()) == (own["x"].min(), own["x"].max())
        mine = b.sel(g=g).to_numpy()
        level = beta[0] + public * beta[2] + beta[3] * own["size"].iloc[0] + mine[0]
        np.testing.assert_allclose(y, level + (beta[1] + public * beta[4] + mine[1]) * x, rtol=1e-10)
    assert f"size = {data['size'].mean():.3g} (each g's own in its line)" in said(axis)
    assert "thin lines: 2 of 9 groups of g" in said(axis)
    colours = [line.get_color() for line in axis.lines if line.get_linewidth() == 0.8]
    of_levels = [line.get_color() for line in axis.lines if line.get_linewidth() == 2.2]
    assert colours == of_levels


def test_panels_show_a_group_with_its_band_and_the_population():
    found = tree("y ~ x + size + (x | g)")
    figure = hr.plots.lines(found, "x", panels="group", groups=["g4", "g0"])
    beta, b, data = flat(found, "beta"), found["posterior"]["b_g"], table()
    assert [axis.get_title() for axis in figure.axes] == ["g4", "g0"]
    for axis, g in zip(figure.axes, ("g4", "g0"), strict=True):
        own = data[data["g"] == g]
        solid, dashed = (next(a for a in axis.lines if a.get_linestyle() == style) for style in ("-", "--"))
        x = solid.get_xdata()
        population = beta[:, [0]] + beta[:, [1]] * x + beta[:, [2]] * own["size"].iloc[0]
        np.testing.assert_allclose(dashed.get_ydata(), population.mean(axis=0), rtol=1e-10)
        mine = b.sel(g=g).transpose("chain", "draw", ...).to_numpy().reshape(len(beta), 2)
        draws = population + mine[:, [0]] + mine[:, [1]] * x
        np.testing.assert_allclose(solid.get_ydata(), draws.mean(axis=0), rtol=1e-10)
        np.testing.assert_allclose(band(axis.collections[0])[1:], np.quantile(draws, [0.025, 0.975], axis=0), rtol=1e-9)
        points = next(a for a in axis.lines if a.get_linestyle() == "None")
        np.testing.assert_array_equal(points.get_xydata(), own[["x", "y"]].to_numpy())


def test_correlated_data_sets_are_told_apart_by_their_factor():
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"unit": np.repeat(np.arange(30), 3), "set": list("pqr") * 30, "x": rng.uniform(0, 3, 90)})
    noise = rng.normal(0, 0.4, 90) + rng.normal(0, 0.4, 30)[data["unit"]]
    data["y"] = 1 + data["x"] * data["set"].map({"p": 0.3, "q": 0.6, "r": 1.1}) + noise
    found = trees.run(hr.Model("y ~ x + (x | set)", data, errors=hr.correlated("set", unit="unit")))
    (axis,) = hr.plots.lines(found, "x", by="set").axes
    theta = found["posterior"]["theta_set"].transpose("chain", "draw", ...)
    for k, name in enumerate("pqr"):
        own = theta.sel(set=name).to_numpy().reshape(-1, 2)
        assert_line(axis, k, own[:, [0]] + own[:, [1]] * thick(axis)[k][0])
    assert not thin(axis)


@pytest.mark.parametrize("structure", ["independent", "by", "correlated", "known_se", "known_cov"])
def test_every_error_structure(structure):
    est = trees.model(structure).estimate()
    (axis,) = hr.plots.lines(est, "x", groups=["b"]).axes
    x, y = thin(axis)[0]
    theta, w = est.theta["g"].sel(g="b").to_numpy(), trees.table()["w"].mean()
    np.testing.assert_allclose(y, theta[0] + theta[1] * x + float(est.beta.sel(coef="w")) * w, rtol=1e-10)


@pytest.mark.parametrize("errors", [hr.ar1("time", unit="g"), hr.exchangeable("g")])
def test_residuals_of_a_unit_are_no_part_of_the_line_of_a_group(errors):
    data = table().sort_values("g", ignore_index=True)
    data["time"] = data.groupby("g").cumcount()
    est = hr.Model("y ~ x + (0 + x | g)", data, errors=errors).estimate()
    (axis,) = hr.plots.lines(est, "x", groups=["g2"]).axes
    x, y = thin(axis)[0]
    slope = float(est.beta.sel(coef="x")) + float(est.b["g"].sel(g="g2", g_coef="x"))
    np.testing.assert_allclose(y, float(est.beta.sel(coef="Intercept")) + slope * x, rtol=1e-10)


def test_counts_of_the_population_are_averaged_over_new_groups():
    found = tree("count ~ x + (x | g)", family=hr.Poisson(), offset="log_t")
    (axis,) = hr.plots.lines(found, "x", groups=["g1"]).axes
    x, beta, data = thick(axis)[0][0], flat(found, "beta"), table()
    sd = flat(found, "sd_g")
    corr = draws_in(found)["corr_g"].transpose("chain", "draw", ...).to_numpy().reshape(-1, 2, 2)
    variance = sd[:, [0]] ** 2 + 2 * x * (sd[:, 0] * sd[:, 1] * corr[:, 0, 1])[:, None] + (x * sd[:, [1]]) ** 2
    offset = data["log_t"].mean()
    assert_line_close(axis, np.exp(offset + beta[:, [0]] + beta[:, [1]] * x + variance / 2))
    points = np.concatenate([line.get_ydata() for line in axis.lines if line.get_linestyle() == "None"])
    np.testing.assert_allclose(points, data["count"] * np.exp(offset - data["log_t"]), rtol=1e-12)
    assert axis.get_ylabel() == "expected count\n(population: mean over new g)"
    assert "points are scaled to the log_t that is held" in said(axis)
    b = found["posterior"]["b_g"].sel(g="g1").transpose("chain", "draw", ...).to_numpy().reshape(-1, 2)
    x, y = thin(axis)[0]
    own = np.exp(offset + beta[:, [0]] + b[:, [0]] + (beta[:, [1]] + b[:, [1]]) * x)
    np.testing.assert_allclose(y, own.mean(axis=0), rtol=1e-10)


def assert_line_close(axis, draws):
    np.testing.assert_allclose(thick(axis)[0][1], draws.mean(axis=0), rtol=1e-6)
    ends = np.quantile(draws, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(band(axis.collections[0])[1:], ends, rtol=1e-6)


@pytest.mark.parametrize("scale", ["response", "link"])
def test_probabilities_are_those_of_predict(scale):
    formula = "yes ~ x + sector + (1 | g)"
    found = tree(formula, family=hr.Bernoulli())
    (axis,) = hr.plots.lines(found, "x", by="sector", scale=scale, groups=False).axes
    for k, sector in enumerate(("private", "public")):
        rows = hr.datagrid(model(formula, family=hr.Bernoulli()), x=thick(axis)[k][0], sector=sector)
        rows_of = hr.predict(found, rows, level="population", observation=False, scale=scale)
        np.testing.assert_allclose(thick(axis)[k][1], rows_of["mean"], rtol=1e-12)
    beta = flat(found, "beta")
    if scale == "link":
        assert_line(axis, 0, beta[:, [0]] + beta[:, [1]] * thick(axis)[0][0])
        assert axis.get_ylabel() == "linear predictor, logit(yes)\n(population: g with b = 0)"
        assert len(axis.lines) == 2  # no points
    else:
        # Averaging over groups draws probabilities towards one half.
        inner = expit(beta[:, [0]] + beta[:, [1]] * thick(axis)[0][0]).mean(axis=0)
        assert np.all(np.abs(thick(axis)[0][1] - 0.5) <= np.abs(inner - 0.5) + 0.02)
        assert axis.get_ylabel().startswith("probability of yes")


def test_shares_stand_for_rows_of_two_categories():
    est = model("yes ~ x + (1 | g)", family=hr.Bernoulli()).estimate()
    (axis,) = hr.plots.lines(est, "x", groups=False).axes
    circles = next(line for line in axis.lines if line.get_linestyle() == "None")
    data = table()
    np.testing.assert_allclose(circles.get_xydata(), [[data["x"].mean(), data["yes"].mean()]], rtol=1e-12)
    assert "shares among 90 rows, in bins of about 90 rows" in said(axis)


def test_shares_are_of_all_rows_of_their_colour():
    data = pd.concat([table().assign(x=lambda rows, k=k: rows["x"] + k) for k in range(30)], ignore_index=True)
    data = data.assign(sector=np.where(np.arange(len(data)) % 9 < 2, "a", "b"))
    est = hr.Model("yes ~ x + sector + (1 | g)", data, family=hr.Bernoulli()).estimate()
    (axis,) = hr.plots.lines(est, "x", by="sector", groups=False).axes
    assert "shares among 2700 rows, in bins of about 50 to 175 rows" in said(axis)
    circles = [line.get_xydata() for line in axis.lines if line.get_linestyle() == "None"]
    for sector, n_bins, found in zip("ab", (12, 12), circles, strict=True):
        own = data[data["sector"] == sector].sort_values("x", kind="stable")
        bins = np.array_split(own["yes"].to_numpy(), n_bins)
        np.testing.assert_allclose(found[:, 1], [part.mean() for part in bins], rtol=1e-12)


def test_ordered_categories_have_a_colour_each():
    est = model("grade ~ x + sector + (1 | g)", family=hr.Cumulative()).estimate()
    figure = hr.plots.lines(est, "x", by="sector")
    assert [axis.get_title() for axis in figure.axes] == ["private", "public"]
    for axis in figure.axes:
        assert len(thick(axis)) == 3
        np.testing.assert_allclose(np.sum([y for _, y in thick(axis)], axis=0), 1.0, rtol=1e-9)
    with pytest.raises(ModelError, match="each category has a line already"):
        hr.plots.lines(est, "x", groups=["g1"])


def test_lines_are_drawn_from_the_prior_before_the_fit():
    before = hr.prior_predictive(model("y ~ x + w + (x | g)"), draws=200, seed=3)
    (axis,) = hr.plots.lines(before, "x", draws=7).axes
    beta = before["prior"]["beta"].to_numpy()[0]
    drawn = [line.get_xydata().T for line in axis.lines if line.get_linewidth() == 0.6]
    assert len(drawn) == 7
    x = drawn[0][0]
    own = beta[:, [0]] + beta[:, [1]] * x + beta[:, [2]] * table()["w"].mean()
    for (_, y), s in zip(drawn, np.linspace(0, 199, 7).round().astype(int), strict=True):
        np.testing.assert_allclose(y, own[s], rtol=1e-10)
    np.testing.assert_allclose(band(axis.collections[0])[1:], np.quantile(own, [0.025, 0.975], axis=0), rtol=1e-10)
    assert not thick(axis)
    assert "7 draws of the prior" in said(axis)
    low, high = axis.get_ylim()
    assert low < table()["y"].min()
    assert high > table()["y"].max()


def test_a_tree_with_both_shows_the_group_that_is_named():
    found = trees.run(model("y ~ x + (1 | g)"), include=["prior"])
    after, before = hr.plots.lines(found, "x"), hr.plots.lines(found, "x", group="prior", draws=0)
    assert thick(after.axes[0])
    own = found["prior"]["beta"].to_numpy()[0]
    x, lower, _ = band(before.axes[0].collections[0])
    np.testing.assert_allclose(lower, np.quantile(own[:, [0]] + own[:, [1]] * x, 0.025, axis=0), rtol=1e-10)


def test_a_family_has_lines_from_its_prior():
    before = hr.prior_predictive(model("yes ~ x + (1 | g)", family=hr.Bernoulli()), draws=50, seed=3)
    (axis,) = hr.plots.lines(before, "x", scale="link", draws=0).axes
    beta = before["prior"]["beta"].to_numpy()[0]
    x, lower, _ = band(axis.collections[0])
    np.testing.assert_allclose(lower, np.quantile(beta[:, [0]] + beta[:, [1]] * x, 0.025, axis=0), rtol=1e-10)


def test_a_predictor_with_levels_has_points_and_intervals():
    est = model("y ~ cond + x + (cond | g)").estimate()
    (axis,) = hr.plots.lines(est, "cond", groups=["g1"], points=False).axes
    beta, x = est.beta.to_numpy(), table()["x"].mean()
    dots = next(line for line in axis.lines if line.get_marker() == "o")
    mean = beta[0] + np.array([0, beta[1], beta[2]]) + beta[3] * x
    np.testing.assert_allclose(dots.get_xydata(), np.column_stack([[0, 1, 2], mean]), rtol=1e-10)
    X = np.array([[1, 0, 0, x], [1, 1, 0, x], [1, 0, 1, x]])
    half = ndtri(0.975) * np.sqrt(np.diagonal(X @ est.beta_cov.to_numpy() @ X.T))
    ends = np.array([segment[:, 1] for segment in axis.collections[0].get_segments()])
    np.testing.assert_allclose(ends, np.column_stack([mean - half, mean + half]), rtol=1e-9)
    assert [text.get_text() for text in axis.get_xticklabels()] == ["a", "b", "c"]


def test_a_numeric_predictor_tells_lines_apart_by_its_quantiles():
    est = model("y ~ x * w + (1 | g)").estimate()
    (axis,) = hr.plots.lines(est, "x", by="w").axes
    w, beta = np.quantile(table()["w"], [0.1, 0.5, 0.9]), est.beta.to_numpy()
    for (x, y), value in zip(thick(axis), w, strict=True):
        np.testing.assert_allclose(y, beta[0] + beta[1] * x + (beta[2] + beta[3] * x) * value, rtol=1e-9)
    assert "w: its quantiles 0.1, 0.5, 0.9" in said(axis)
    assert "groups at the mean of w" in said(axis)
    (x, y), b = thin(axis)[0], est.b["g"].to_numpy()
    at_mean = beta[0] + beta[1] * x + (beta[2] + beta[3] * x) * table()["w"].mean()
    np.testing.assert_allclose(y, at_mean + b[0, 0], rtol=1e-9)
    assert len(thick(hr.plots.lines(est, "x", by={"w": [0, 1]}).axes[0])) == 2


def test_several_factors_have_lines_one_at_a_time():
    est = model("y ~ x + (1 | h/g)").estimate()
    assert not thin(hr.plots.lines(est, "x").axes[0])
    (axis,) = hr.plots.lines(est, "x", factor="h:g", groups=["v:g3"]).axes
    x, y = thin(axis)[0]
    level = float(est.beta[0]) + float(est.b["h:g"].sel({est.b["h:g"].dims[0]: "v:g3"})[0])
    np.testing.assert_allclose(y, level + float(est.beta[1]) * x, rtol=1e-10)
    rows = table().query("h == 'v' and g == 'g3'")["x"]
    assert (x.min(), x.max()) == (rows.min(), rows.max())
    (axis,) = hr.plots.lines(est, "x", by="h", points=False).axes
    assert [text.get_text() for text in axis.figure.legends[0].get_texts()] == ["u", "v", "w"]
    level = float(est.beta[0]) + float(est.b["h"].sel(h="w")[0])
    np.testing.assert_allclose(thick(axis)[2][1], level + float(est.beta[1]) * thick(axis)[2][0], rtol=1e-10)


def test_a_predictor_of_group_terms_alone_and_a_group_at_one_value():
    est = model("y ~ 1 + size + (0 + x | g)").estimate()
    (axis,) = hr.plots.lines(est, "x", groups=["g5"], points=False).axes
    assert np.ptp(thick(axis)[0][1]) == 0
    x, y = thin(axis)[0]
    slope = float(est.b["g"].sel(g="g5")[0])
    np.testing.assert_allclose(y, float(est.beta[0]) + float(est.beta[1]) * 3.5 + slope * x, rtol=1e-9)
    (axis,) = hr.plots.lines(est, "size", points=False).axes
    crosses = [line for line in axis.lines if line.get_marker() == "x"]
    assert sorted(float(line.get_xdata()[0]) for line in crosses) == (1.0 + 0.5 * np.arange(9)).tolist()
    assert "crosses: all 9 groups of g" in said(axis)


@pytest.mark.long
def test_many_groups_and_rows_are_thinned_and_this_is_said():
    est = hr.Model("MathAch ~ SES * Sector + (SES | School)", hr.load_dataset("math_achieve")).estimate()
    (axis,) = hr.plots.lines(est, "SES", by="Sector").axes
    words = said(axis)
    assert len(thin(axis)) == 40
    assert "thin lines: 40 of 160 groups of School, evenly chosen" in words
    assert "points: 2000 of 7185 rows, evenly spaced" in words
    assert sum(len(line.get_xdata()) for line in axis.lines if line.get_linestyle() == "None") == 2000
    assert len(hr.plots.lines(est, "SES", panels="group").axes) == 24
    assert len(thin(hr.plots.lines(est, "SES", groups=True).axes[0])) == 160


def test_statistics_alone_have_lines_without_points():
    data = table()
    found = hr.Model.from_gram(hr.Model("y ~ x + w + sector + (x | g)", data).gram)
    est = found.estimate()
    (axis,) = hr.plots.lines(est, "x", groups=["g1"]).axes
    x, y = thick(axis)[0]
    spread = 2 * data["x"].std(ddof=0)
    np.testing.assert_allclose([x[0], x[-1]], [data["x"].mean() - spread, data["x"].mean() + spread], rtol=1e-9)
    beta = dict(zip(est.beta["coef"].values, est.beta.to_numpy(), strict=True))
    np.testing.assert_allclose(y, beta["Intercept"] + beta["x"] * x + beta["w"] * data["w"].mean(), rtol=1e-9)
    assert "no points: the model was made of statistics alone" in said(axis)
    with pytest.raises(DataError, match=r"statistics alone.*at=\{'x': value\}"):
        hr.plots.lines(hr.Model.from_gram(hr.Model("y ~ log(x) + sector + (1 | g)", data).gram).estimate(), "sector")
    with pytest.raises(ModelError, match="which do not say which sector a group has"):
        hr.plots.lines(est, "x", by="sector", groups=["g1"])


def test_a_saved_file_is_enough(tmp_path):
    found = tree("y ~ x + w + (x | g)")
    loaded = hr.plots.lines(hr.load(hr.save(found, tmp_path / "fit.nc")), "x", panels="group")
    for axis, other in zip(loaded.axes, hr.plots.lines(found, "x", panels="group").axes, strict=True):
        for artist, twin in zip(axis.lines, other.lines, strict=True):
            np.testing.assert_array_equal(artist.get_xydata(), twin.get_xydata())


def test_summaries_of_groups_are_enough():
    found = trees.summarised()
    (axis,) = hr.plots.lines(found, "x", groups=False).axes
    beta, w = flat(found, "beta"), trees.table()["w"].mean()
    assert_line(axis, 0, beta[:, [0]] + beta[:, [1]] * thick(axis)[0][0] + beta[:, [2]] * w)
    assert len(thin(hr.plots.lines(found, "x").axes[0])) == 4  # and one group of a single row


def test_lines_can_be_drawn_into_axes():
    est = model("y ~ x + (x | g)").estimate()
    figure, (left, right) = plt.subplots(1, 2)
    assert hr.plots.lines(est, "x", ax=right) is figure
    assert not left.lines
    assert "REML" in right.get_title()
    assert hr.plots.lines(est, "x", panels="group", groups=["g1", "g2"], axes=[left, right]) is figure
    with pytest.raises(ModelError, match="ax= takes one panel, but there are 2; choose one group"):
        hr.plots.lines(est, "x", panels="group", groups=["g1", "g2"], ax=left)


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_colours_stand_out_from_the_background(style):
    with plt.style.context(style):
        est = model("y ~ x * cond + (1 | g)").estimate()
        many = hr.Model("y ~ x + (1 | g)", table()).estimate()
        for figure in (hr.plots.lines(est, "x", by="cond"), hr.plots.lines(many, "x", by="g")):
            behind = lightness(figure.axes[0].get_facecolor())
            drawn = [line.get_color() for line in figure.axes[0].lines]
            assert min(abs(lightness(colour) - behind) for colour in drawn) > 0.12
            assert len({line.get_color() for line in figure.axes[0].lines if line.get_linewidth() == 2.2}) in {3, 9}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"x": "X"}, r"x='X' is no predictor of the model; these are 'x', 'sector', 'w'. Did you mean 'x'"),
        ({"x": ["x", "w"]}, r"x=\['x', 'w'\] must be the name of a predictor"),
        ({"x": {"x": [1, "b"]}}, r"finite numbers are required"),
        ({"x": {"x": [1, 1]}}, r"a line needs two values"),
        ({"x": {"sector": ["privat"]}}, r"knows the levels 'private', 'public'"),
        ({"by": "sectors"}, r"by='sectors' is neither .*Did you mean 'sector'"),
        ({"by": "x"}, r"by='x' is x already"),
        ({"by": {"sector": ["privat"]}}, r"knows the levels 'private', 'public'"),
        ({"by": {"g": ["g10"]}}, r"by=\{'g': ...\} has 'g10', which is no group of 'g'"),
        ({"groups": ["g11"]}, r"groups has 'g11', which is no group of 'g'.*Did you mean 'g1'"),
        ({"groups": []}, r"groups is empty"),
        ({"by": "g", "groups": ["g1"]}, r"by='g' shows those of its only grouping factor"),
        ({"factor": "h"}, r"factor='h' is none of the grouping factors 'g'"),
        ({"at": {"v": 1}}, r"at has 'v', which is no predictor that is held"),
        ({"at": {"w": "high"}}, r"at\['w'\]='high' must be a finite number"),
        ({"at": {"sector": "x"}}, r"at\['sector'\]='x': the model knows the levels"),
        ({"panels": "groups"}, r"panels='groups' is not one of None, 'group'"),
        ({"scale": "log"}, r"scale='log' is not one of"),
        ({"draws": 5}, r"draws=5: an estimate has none"),
        ({"group": "prior"}, r"an estimate has none"),
        ({"hue": "sector"}, r"plots.lines has no argument 'hue': x= is the predictor"),
    ],
)
def test_impossible_requests_are_refused(options, words):
    est = model("y ~ x + sector + w + (x | g)").estimate()
    with pytest.raises(ModelError, match=words):
        hr.plots.lines(est, **({"x": "x"} | options))


def test_other_results_are_refused():
    with pytest.raises(ModelError, match=r"result has type Model; give what Model.sample"):
        hr.plots.lines(model("y ~ x + (x | g)"), "x")
    with pytest.raises(DataError, match=r"group='prior', but the result has the groups posterior"):
        hr.plots.lines(tree("y ~ x + w + (x | g)"), "x", group="prior")
    before = hr.prior_predictive(model("y ~ x + (1 | g)"), draws=20, seed=1)
    with pytest.raises(ModelError, match="before it all groups have one distribution"):
        hr.plots.lines(before, "x", groups=["g1"])
    with pytest.raises(ModelError, match="the model has no group term"):
        hr.plots.lines(model("y ~ x").estimate(), "x", panels="group")
    with pytest.raises(ModelError, match=r"say which is meant, factor='h'"):
        hr.plots.lines(model("y ~ x + (1 | h/g)").estimate(), "x", groups=["u"])
    many = hr.Model("y ~ x + (1 | i)", table().assign(i=np.arange(90) // 6)).estimate()
    with pytest.raises(ModelError, match=r"by='i' has 15 values, of which a figure tells 12 apart: groups="):
        hr.plots.lines(many, "x", by="i")
