"""`hr.plots`: what is drawn is what the reports say, panel by panel."""

import functools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex
from scipy import stats

import hierreg as hr
from hierreg.plots.canvas import density, sorted_and_thinned
from hierreg.plots.colours import ALONE, PLUG_IN, POSTERIOR, PRIOR, lightness
from tests.helpers import report_trees as trees

ALL = [hr.plots.shrinkage, hr.plots.caterpillar, hr.plots.correlations, hr.plots.variances]


def line(axis, label):
    """Return x and y of the line of an axis with a label."""
    found = [artist for artist in axis.lines if artist.get_label() == label]
    assert len(found) == 1, [artist.get_label() for artist in axis.lines]
    return np.asarray(found[0].get_xdata(), dtype=float), np.asarray(found[0].get_ydata(), dtype=float)


def segments(axis):
    """Return y, start and end of every horizontal interval of an axis, by y."""
    parts = np.concatenate([np.array(c.get_segments()).reshape(-1, 2, 2) for c in axis.collections])
    parts = parts[np.argsort(parts[:, 0, 1], kind="stable")]
    np.testing.assert_array_equal(parts[:, 0, 1], parts[:, 1, 1])
    return parts[:, 0, 1], parts[:, 0, 0], parts[:, 1, 0]


def tick_labels(axis):
    """Return the names on the vertical axis."""
    return [text.get_text() for text in axis.get_yticklabels()]


def test_shrinkage_draws_the_report():
    tree = trees.tree("by")
    report = hr.shrinkage(tree, ci_prob=0.8)
    figure = hr.plots.shrinkage(tree, ci_prob=0.8)
    assert len(figure.axes) == 2
    order = np.argsort(report["mean"].sel(g_coef="Intercept").values)
    for axis, coef in zip(figure.axes, ("Intercept", "x"), strict=True):
        column = report.sel(g_coef=coef).isel(g=order)
        y = np.arange(5)
        for label, name in (
            ("posterior mean", "mean"),
            ("group alone", "no_pooling"),
            ("plug-in limit (REML)", "plug_in"),
        ):
            drawn = line(axis, label)
            np.testing.assert_array_equal(drawn[0], column[name])
            np.testing.assert_array_equal(drawn[1], y)
        drawn_y, lower, upper = segments(axis)
        np.testing.assert_array_equal(drawn_y, y)
        np.testing.assert_array_equal(lower, column["lower"])
        np.testing.assert_array_equal(upper, column["upper"])
        np.testing.assert_array_equal(line(axis, "population mean")[0], [column["population"]] * 2)
        assert coef in axis.get_xlabel()
        assert "of y" in axis.get_xlabel()
    assert tick_labels(figure.axes[0]) == [str(g) for g in report["g"].values[order]]


def test_arrows_go_from_the_group_alone_to_the_posterior_and_skip_what_does_not_exist():
    tree = trees.tree("independent")  # group e has a single row
    report = hr.shrinkage(tree).sel(g_coef="x")
    (axis,) = hr.plots.shrinkage(tree, "x").axes
    arrows = sorted((t.xyann[0], t.xy[0]) for t in axis.texts)
    kept = report.sel(g=list("abcd"))
    expected = sorted(zip(kept["no_pooling"].values.tolist(), kept["mean"].values.tolist(), strict=True))
    np.testing.assert_allclose(arrows, expected, rtol=1e-12)


def test_the_plane_shows_two_coefficients_against_each_other():
    tree = trees.sleepstudy()
    report = hr.shrinkage(tree)
    figure = hr.plots.shrinkage(tree, ["Days", "Intercept"], kind="plane")
    (axis,) = figure.axes
    order = np.argsort(report["mean"].sel(Subject_coef="Days").values)
    for label, name in (("group alone", "no_pooling"), ("posterior mean", "mean")):
        x, y = line(axis, label)
        np.testing.assert_array_equal(x, report[name].sel(Subject_coef="Days").values[order])
        np.testing.assert_array_equal(y, report[name].sel(Subject_coef="Intercept").values[order])
    x, y = line(axis, "population mean")
    np.testing.assert_array_equal([x[0], y[0]], report["population"].values[::-1])
    assert axis.get_xlabel().startswith("Days")
    assert {"308", "372"} <= {text.get_text() for text in axis.texts}


def test_many_groups_are_thinned_and_this_is_said():
    tree = trees.many_groups()
    figure = hr.plots.shrinkage(tree)
    assert len(line(figure.axes[0], "posterior mean")[0]) == 40
    assert "40 of 45" in figure.axes[0].get_ylabel()
    means = hr.shrinkage(tree)["mean"].values[:, 0]
    drawn = line(figure.axes[0], "posterior mean")[0]
    assert (np.diff(drawn) > 0).all()
    assert {means.min(), means.max()} <= set(drawn)
    assert sorted_and_thinned(np.array([3.0, 1.0, 2.0]), 2).tolist() == [1, 0]


def test_estimates_far_outside_do_not_squeeze_the_rest():
    tree = trees.tree("by").copy()
    limit = tree["mixed_model_limit"].to_dataset().copy(deep=True)
    limit["no_pooling_g"][0, 0] = 1e6
    tree["mixed_model_limit"] = xr.DataTree(limit)
    axis = hr.plots.shrinkage(tree, "Intercept").axes[0]
    assert axis.get_xlim()[1] < 1e3
    assert axis.get_title() == "1 of the groups' own estimates lies outside"


def test_caterpillar_is_sorted_and_colours_what_differs():
    tree = trees.sleepstudy()
    theta, b = (tree["posterior"][f"{name}_Subject"].sel(Subject_coef="Days") for name in ("theta", "b"))
    axis = hr.plots.caterpillar(tree, "Days").axes[0]
    _, lower, upper = segments(axis)
    expected = np.sort([theta.sel(Subject=s).values.mean() for s in theta["Subject"].values])
    names = tick_labels(axis)
    for place, name in enumerate(names):
        draws = theta.sel(Subject=name).values
        assert draws.mean() == pytest.approx(expected[place], rel=1e-12)
        assert lower[place] == pytest.approx(np.quantile(draws, 0.025), rel=1e-12)
        assert upper[place] == pytest.approx(np.quantile(draws, 0.975), rel=1e-12)
    blue = next(artist for artist in axis.lines if artist.get_color() == POSTERIOR)
    differs = [
        place
        for place, name in enumerate(names)
        if np.quantile(b.sel(Subject=name), 0.025) > 0 or np.quantile(b.sel(Subject=name), 0.975) < 0
    ]
    assert list(blue.get_ydata()) == differs
    assert axis.get_title().startswith(f"{len(differs)} of 18 groups of Subject differ")


def test_caterpillar_of_many_groups_has_no_names():
    axis = hr.plots.caterpillar(trees.many_groups(), "x").axes[0]
    assert not tick_labels(axis)
    assert len(segments(axis)[0]) == 45
    # Intervals touch each other: neither the centres nor the population may be lost behind them.
    above = min(line.get_zorder() for line in axis.lines)
    assert all(each.get_zorder() < above and each.get_alpha() < 0.5 for each in axis.collections)


def test_correlations_have_their_marginal_prior():
    tree = trees.tree("correlated")
    figure = hr.plots.correlations(tree)
    names = ["corr_g[x, Intercept]", "error_corr[q, p]", "error_corr[r, p]", "error_corr[r, q]"]
    assert [axis.get_xlabel() for axis in figure.axes] == names
    for axis, name, (eta, size) in zip(figure.axes, names, [(None, 2), (1, 3), (1, 3), (1, 3)], strict=True):
        row = hr.correlations(tree).sel(correlation=name)
        if eta is None:
            r, prior = line(axis, "prior")  # that of another correlation, at the means: from draws
            assert np.sum(prior) * (r[1] - r[0]) == pytest.approx(1, abs=1e-9)
        else:
            r, prior = line(axis, f"prior LKJ({eta})")
            a = eta - 1 + size / 2
            np.testing.assert_allclose(prior, stats.beta(a, a, loc=-1, scale=2).pdf(r), rtol=1e-9)
        r, posterior = line(axis, "posterior")
        assert np.trapezoid(posterior, r) == pytest.approx(1, abs=0.01)
        assert np.trapezoid(r * posterior, r) == pytest.approx(float(row["mean"]), abs=0.03)
        np.testing.assert_array_equal(line(axis, "REML")[0], [float(row["reml"])])
        assert axis.get_title() == f"P(> 0) = {float(row['prob_positive']):.2f}"


def test_marginal_prior_is_that_of_draws_of_the_matrix(rng):
    r, prior = line(hr.plots.correlations(trees.tree("correlated")).axes[3], "prior LKJ(1)")
    draws = hr.LKJ(1).draw(rng, 20000, 3)[:, 2, 1]
    inside = r[:-1][np.cumsum(prior[:-1] * np.diff(r)) < 0.3][-1]
    assert np.mean(draws < inside) == pytest.approx(0.3, abs=0.015)


def test_variances_have_their_prior_and_reml_value():
    data = trees.table()
    priors = hr.Priors(
        sd={"g": {"Intercept": hr.Gamma(2, 0.5), "x": hr.Exponential(1.5)}}, error_sd=hr.LogNormal(0, 0.5)
    )
    tree = trees.run(hr.Model("y ~ x + (x | g)", data, priors=priors))
    expected = [stats.gamma(2, scale=2), stats.expon(scale=1 / 1.5), stats.lognorm(0.5)]
    figure = hr.plots.variances(tree)
    limit = tree["mixed_model_limit"]
    reml = [*limit["sd_g"].values, float(limit["error_sd"])]
    for axis, prior, value in zip(figure.axes, expected, reml, strict=True):
        x, drawn = line(axis, "prior")
        np.testing.assert_allclose(drawn, prior.pdf(x), rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(line(axis, "REML")[0], [value])
        x, posterior = line(axis, "posterior")
        assert np.trapezoid(posterior, x) == pytest.approx(1, abs=0.03)
    assert [axis.get_xlabel() for axis in figure.axes] == ["sd_g[Intercept]", "sd_g[x]", "error_sd"]


def test_what_is_fixed_is_not_drawn():
    figure = hr.plots.variances(trees.plain())
    assert [axis.get_xlabel() for axis in figure.axes] == ["error_sd[p]", "error_sd[r]"]


def test_density_is_that_of_a_half_normal_up_to_its_bound(rng):
    draws = np.abs(rng.normal(size=20000))
    x = np.linspace(-0.5, 3, 50)
    np.testing.assert_allclose(density(draws, 0.0, np.inf, x), stats.halfnorm.pdf(x), atol=0.04)


@pytest.mark.parametrize("plot", ALL)
def test_a_saved_file_is_enough(tmp_path, plot):
    tree = trees.tree("correlated")
    loaded = plot(hr.load(hr.save(tree, tmp_path / "fit.nc")))
    for axis, other in zip(loaded.axes, plot(tree).axes, strict=True):
        for artist, twin in zip(axis.lines, other.lines, strict=True):
            np.testing.assert_array_equal(artist.get_xydata(), twin.get_xydata())


@pytest.mark.parametrize("plot", [hr.plots.shrinkage, hr.plots.caterpillar])
def test_summaries_of_groups_are_enough(plot):
    assert len(plot(trees.summarised()).axes) == 2


@pytest.mark.parametrize("plot", ALL)
def test_figures_are_those_of_pyplot(plot):
    """A loop, a script and ``plt.show()`` show them, each once: the second does not take the place of the first."""
    first, second = plot(trees.tree("correlated")), plot(trees.tree("correlated"))
    assert isinstance(first, mpl.figure.Figure)
    assert [plt.figure(number) for number in plt.get_fignums()] == [first, second]


NOTEBOOK = """
import hierreg as hr
tree = hr.load("fit.nc")
---
hr.plots.variances(tree)
---
for pair in [("Intercept", "x"), ("p", "q")]:
    figure = hr.plots.correlations(tree, pair)
print("after")
---
hr.plots.caterpillar(tree)
import matplotlib.pyplot as plt
plt.show()
---
figure
"""


@pytest.mark.long
def test_a_notebook_shows_each_figure_once(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.delenv("MPLBACKEND")
    hr.save(trees.tree("correlated"), tmp_path / "fit.nc")
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in NOTEBOOK.split("---")]
    run = NotebookClient(
        nbformat.v4.new_notebook(cells=cells), timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    images = [sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in run.cells]
    assert images == [0, 1, 2, 1, 1]


@pytest.mark.parametrize("plot", [hr.plots.shrinkage, hr.plots.caterpillar])
def test_a_panel_can_be_drawn_into_axes(plot):
    figure, (left, right) = plt.subplots(1, 2)
    assert plot(trees.tree("by"), "x", ax=right) is figure
    assert right.lines
    assert not left.lines
    with pytest.raises(hr.exceptions.ModelError, match="ax= takes one panel, but there are 2"):
        plot(trees.tree("by"), ax=right)
    plt.close(figure)


@pytest.mark.parametrize("plot", ALL)
def test_other_trees_are_refused(plot):
    with pytest.raises(hr.exceptions.DataError, match="not made by hierreg"):
        plot(xr.DataTree())


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: hr.plots.shrinkage(trees.tree("by"), "X"), r"coef='X'.*'Intercept', 'x'.*Did you mean 'x'"),
        (lambda: hr.plots.shrinkage(trees.tree("by"), []), r"coef is empty"),
        (lambda: hr.plots.shrinkage(trees.tree("by"), "x", kind="plane"), r"kind='plane' shows two"),
        (lambda: hr.plots.shrinkage(trees.tree("by"), kind="map"), r"kind='map' is not one of"),
        (lambda: hr.plots.caterpillar(trees.plain()), r"plots.caterpillar needs a grouping factor"),
        (lambda: hr.plots.correlations(trees.plain()), r"no free correlation"),
    ],
)
def test_impossible_requests_are_refused(draw, words):
    with pytest.raises(hr.exceptions.ModelError, match=words):
        draw()


def test_colours_differ_in_lightness():
    def grey(colour):
        red, green, blue = mpl.colors.to_rgb(to_hex(colour))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    shades = sorted(grey(colour) for colour in (POSTERIOR, ALONE, "#000000"))
    assert min(np.diff(shades)) > 0.2
    assert len({POSTERIOR, ALONE, PLUG_IN, PRIOR}) == 4


def test_several_axes_and_their_other_name():
    figure, axes = plt.subplots(2, 2)
    assert hr.plots.caterpillar(trees.tree("by"), axes=axes[0]) is figure
    assert hr.plots.shrinkage(trees.tree("by"), ax=list(axes[1])) is figure
    assert [axis.get_xlabel().split()[0] for axis in axes.ravel()] == ["Intercept", "x", "Intercept", "x"]
    hr.plots.variances(trees.tree("by"), "error_sd", axes=plt.subplots(1, 3)[1])
    with pytest.raises(hr.exceptions.ModelError, match=r"ax= takes 4 panels, but there are 2"):
        hr.plots.caterpillar(trees.tree("by"), axes=axes)
    with pytest.raises(hr.exceptions.ModelError, match=r"two names of one thing"):
        hr.plots.caterpillar(trees.tree("by"), ax=axes[0], axes=axes[0])
    with pytest.raises(hr.exceptions.ModelError, match=r"neither Axes of matplotlib"):
        hr.plots.caterpillar(trees.tree("by"), ax="left")


def xlabels(figure):
    return [axis.get_xlabel() for axis in figure.axes]


def test_parameters_can_be_chosen():
    tree = trees.tree("correlated")
    group, *errors = ["corr_g[x, Intercept]", "error_corr[q, p]", "error_corr[r, p]", "error_corr[r, q]"]
    assert xlabels(hr.plots.correlations(tree, ("Intercept", "x"))) == [group]
    assert xlabels(hr.plots.correlations(tree, pair=[("p", "r"), group])) == [errors[1], group]
    assert xlabels(hr.plots.correlations(tree, "error_corr")) == errors
    assert xlabels(hr.plots.variances(tree, "x")) == ["sd_g[x]"]
    assert xlabels(hr.plots.variances(tree, coef=["q", "sd_g[Intercept]"])) == ["error_sd[q]", "sd_g[Intercept]"]
    with pytest.raises(hr.exceptions.ModelError, match=r"pair has \('x', 'q'\), which is none of 'corr_g"):
        hr.plots.correlations(tree, ("x", "q"))
    with pytest.raises(hr.exceptions.ModelError, match=r"coef has 'sd_g\[y\]'.*Did you mean 'sd_g\[x\]'"):
        hr.plots.variances(tree, "sd_g[y]")


def test_groups_can_be_chosen():
    tree = trees.sleepstudy()
    axis = hr.plots.caterpillar(tree, "Days", groups=["308", 335, "309"]).axes[0]
    assert tick_labels(axis) == ["335", "309", "308"]
    assert (
        axis.get_title()
        .replace("\n", " ")
        .endswith("of 3 groups of Subject differ from the population (blue: 95 % interval of b without 0)")
    )
    mean = hr.shrinkage(tree)["mean"].sel(Subject=["335", "309"])
    figure = hr.plots.shrinkage(tree, groups=["309", "335"])
    for axis, coef in zip(figure.axes, ("Intercept", "Days"), strict=True):
        # Both in ascending order of the intercept.
        np.testing.assert_array_equal(line(axis, "posterior mean")[0], mean.sel(Subject_coef=coef)[::-1])
    names = {text.get_text() for text in hr.plots.shrinkage(tree, groups=["309"], kind="plane").axes[0].texts}
    assert names == {"", "309"}
    with pytest.raises(hr.exceptions.ModelError, match=r"groups has '30', which is no group of 'Subject'"):
        hr.plots.caterpillar(tree, groups=["30"])


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_colours_stand_out_from_the_background(style):
    with plt.style.context(style):
        for plot in (*ALL, functools.partial(hr.plots.shrinkage, kind="plane")):
            figure = plot(trees.tree("correlated"))
            behind = lightness(figure.axes[0].get_facecolor())
            drawn = [artist.get_color() for axis in figure.axes for artist in axis.lines]
            drawn += [text.get_color() for axis in figure.axes for text in axis.texts]
            assert min(abs(lightness(colour) - behind) for colour in drawn) > 0.12
            # What looks open is.
            open_ones = [a for axis in figure.axes for a in axis.lines if a.get_label() == "group alone"]
            filled = {to_hex(artist.get_markerfacecolor()) for artist in open_ones}
            assert filled <= {to_hex(figure.axes[0].get_facecolor())}


def test_long_names_of_parameters_break_at_brackets_and_colons():
    from hierreg.plots.parameters import _label

    pair = "corr_person[condition[incongruent]:load, condition[congruent]:load]"
    assert _label(pair).split("\n") == ["corr_person[", "condition[incongruent]:load,", "condition[congruent]:load]"]
    assert _label("sd_person[Intercept]") == "sd_person[Intercept]"
    words = f"sd_{'x' * 40}[of several words and then some::more]"
    assert "".join(_label(words).split()) == "".join(words.split())
    assert max(map(len, _label(words).split("\n"))) <= 32


@pytest.mark.parametrize("plot", [hr.plots.shrinkage, hr.plots.caterpillar, hr.plots.variances, hr.plots.correlations])
def test_long_names_stay_inside_the_figure(plot):
    figure = plot(long_names())
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    for axis in figure.axes:
        for text in [*axis.get_yticklabels(), axis.title, axis.xaxis.label, axis.yaxis.label]:
            box = text.get_window_extent()
            if text.get_text():
                assert box.x0 > -2
                assert box.y0 > -2
                assert box.x1 < width + 2
                assert box.y1 < height + 2
        assert axis.get_window_extent().width > 200


@functools.cache
def long_names():
    """Return a run whose groups have names of 50 letters, and whose columns are long too."""
    data = trees.table().assign(g=lambda rows: "the school of the northern district by the river " + rows["g"])
    names = {"x": "socioeconomic_status_of_parents", "y": "achievement_in_mathematics"}
    formula = "{y} ~ {x} + w + ({x} | g)".format(**names)
    return trees.run(hr.Model(formula, data.rename(columns=names)))


def test_ranks_are_drawn_as_reported():
    report = hr.ranks(trees.tree("by"), "x", k=2, ci_prob=0.8)
    (axis,) = hr.plots.ranks(trees.tree("by"), "x", k=2, ci_prob=0.8).axes
    order = np.argsort(-report["expected_rank"].values, kind="stable")
    y, start, end = segments(axis)
    np.testing.assert_array_equal(y, np.arange(5))
    np.testing.assert_array_equal(start, report["lower"][order])
    np.testing.assert_array_equal(end, report["upper"][order])
    assert tick_labels(axis) == [str(name) for name in report["g"].values[order]]
    is_blue = [to_hex(c.get_color()[0]).upper() == POSTERIOR for c in axis.collections if len(c.get_segments())]
    likely = report["prob_best"].values > 0.5
    assert is_blue.count(True) == int(likely.any())


def test_ranks_of_many_groups_lose_their_names():
    (axis,) = hr.plots.ranks(trees.many_groups()).axes
    assert not tick_labels(axis)
    assert "g, sorted" in axis.get_ylabel()


def test_ranks_of_chosen_groups_are_those_among_all():
    report = hr.ranks(trees.many_groups())
    _, (_, given) = plt.subplots(1, 2)
    figure = hr.plots.ranks(trees.many_groups(), groups=["g30", "g02", "g17"], axes=[given])
    assert figure.axes[1] is given
    own = report.sel(g=["g30", "g02", "g17"]).sortby("expected_rank", ascending=False)
    assert tick_labels(given) == own["g"].values.tolist()
    _, start, end = segments(given)
    np.testing.assert_array_equal(start, own["lower"])
    np.testing.assert_array_equal(end, own["upper"])
    np.testing.assert_array_equal(given.lines[0].get_xdata(), own["integer_rank"])
    assert given.get_xlim() == (0.5, 45.5)
    width = float((own["upper"] - own["lower"]).mean()) + 1
    assert f"hold {width:.0f} of 45 places" in " ".join(given.get_title().split())


def test_the_line_of_ranks_is_that_of_a_known_order():
    (axis,) = hr.plots.ranks(trees.tree("by")).axes
    np.testing.assert_array_equal(axis.lines[0].get_xdata(), [5, 4, 3, 2, 1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"groups": ["f"]}, r"groups has 'f', which is no group of 'g'; these are 'a', 'b'"),
        ({"groups": []}, "groups is empty"),
        ({"hdi_prob": 0.9}, r"plots.ranks has no argument 'hdi_prob': .* ci_prob="),
        ({"var_names": ["x"]}, r"plots.ranks .* 'var_names': .* groups="),
        ({"ax": 1, "axes": 1}, "ax= and axes= are two names"),
        ({"axes": "left"}, "neither Axes of matplotlib"),
    ],
)
def test_ranks_refuse_in_words(arguments, words):
    with pytest.raises(hr.exceptions.ModelError, match=words):
        hr.plots.ranks(trees.tree("by"), **arguments)


@pytest.mark.parametrize("kind", ["groups", "plane"])
def test_shrinkage_of_an_estimate_draws_its_report(kind):
    est = trees.model("by").estimate()
    report = hr.shrinkage(est)
    figure = hr.plots.shrinkage(est, kind=kind)
    texts = {text.get_text() for text in figure.legends[0].get_texts()}
    assert "prediction (REML)" in texts
    assert not any("posterior" in text or "plug-in" in text for text in texts)
    if kind == "plane":
        return
    order = np.argsort(report["plug_in"].sel(g_coef="Intercept").values)
    x, _ = line(figure.axes[0], "prediction (REML)")
    np.testing.assert_allclose(x, report["plug_in"].sel(g_coef="Intercept").values[order], rtol=1e-12)
    _, lower, _ = segments(figure.axes[0])
    np.testing.assert_allclose(lower, report["lower"].sel(g_coef="Intercept").values[order], rtol=1e-12)
