"""The DataTree of a posterior: structure, saving and loading, seeds, and the limits at known variances."""

import json
import pathlib
import pickle

import h5netcdf
import numpy as np
import pytest
import xarray as xr

import hierreg as hr
from hierreg.exceptions import DataError, ModelError
from hierreg.results.carried import draws_in
from tests.helpers.sampled_models import FORMULA, STRUCTURES, known_covariance, model, sampled, table

# Runs here are short on purpose, and five groups are few.
pytestmark = [
    pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning"),
]
SAMPLE = ("chain", "draw")
QUIET = {"progress": False, "seed": 7}
ERROR_DIM = {"by": ("set",), "correlated": ("set",), "exchangeable_by": ("kind",)}
HAS_ERROR_SD = [s for s in STRUCTURES if s not in {"known_se", "known_cov"}]


# ---- structure


@pytest.mark.parametrize("structure", STRUCTURES)
def test_groups_variables_and_dimensions(structure: str) -> None:
    tree = sampled(structure)
    assert list(tree.children) == [
        *("posterior", "sample_stats", "observed_data", "statistics", "mixed_model_limit", "constant_data", "model"),
        *("log_prior", "prior", "prior_predictive", "log_likelihood", "posterior_predictive"),
        *(["log_likelihood_units"] if structure.startswith(("correlated", "exchangeable", "ar1")) else []),
    ]
    error = ERROR_DIM.get(structure, ())
    expected = {
        "beta": ("coef",),
        "b_g": ("g", "g_coef"),
        "theta_g": ("g", "g_coef"),
        "sd_g": ("g_coef",),
        "corr_g": ("g_coef_pair",),
    }
    if structure in HAS_ERROR_SD:
        expected["error_sd"] = error
    if structure == "correlated":
        expected["error_corr"] = ("set_pair",)
    if structure.startswith(("exchangeable", "ar1")):
        expected["error_corr"] = error
    posterior = tree["posterior"]
    assert {name: v.dims for name, v in posterior.data_vars.items()} == {
        name: ("chain", "draw", *dims) for name, dims in expected.items()
    }
    coords = {
        "chain": [0, 1, 2],
        "draw": list(range(40)),
        "coef": ["Intercept", "x", "w"],
        "g": list("abcde"),
        "g_coef": ["Intercept", "x"],
        "g_coef_pair": ["x, Intercept"],
    }
    if error == ("kind",):
        coords["kind"] = ["u", "v"]
    elif error:
        coords["set"] = ["p", "q", "r"]
    if structure == "correlated":
        coords["set_pair"] = ["q, p", "r, p", "r, q"]
    assert {name: c.values.tolist() for name, c in posterior.coords.items()} == coords
    np.testing.assert_array_equal(tree["observed_data"]["y"], table()["y"])


@pytest.mark.parametrize("structure", STRUCTURES)
def test_attributes_say_where_the_numbers_come_from(structure: str) -> None:
    attrs, subject = sampled(structure).attrs, model(structure)
    assert attrs["formula"] == FORMULA
    assert attrs["errors"] == str(subject.problem.layout.spec)
    assert attrs["priors"] == subject.priors.for_files()
    assert (attrs["response"], attrs["factors"], attrs["n_rows"]) == ("y", '["g"]', 42)
    assert attrs["error_dim"] == (ERROR_DIM.get(structure) or ("",))[0]
    assert (attrs["seed"], attrs["sampler"], attrs["parametrization"]) == (11, "nutpie", "marginal")
    assert attrs["hierreg_version"] == hr.__version__
    assert {"numpy_version", "numba_version", "nutpie_version"} <= set(attrs)
    assert attrs["wall_time"] >= attrs["sampling_time"] > 0
    assert attrs["recovery_time"] > 0


@pytest.mark.parametrize("structure", STRUCTURES)
def test_derived_variables_follow_from_the_others(structure: str) -> None:
    posterior = draws_in(sampled(structure))
    for coef in ("Intercept", "x"):
        theta = posterior["theta_g"].sel(g_coef=coef)
        expected = posterior["beta"].sel(coef=coef) + posterior["b_g"].sel(g_coef=coef)
        np.testing.assert_allclose(theta, expected.transpose(*theta.dims), rtol=1e-12)
    for name in ("corr_g", "error_corr"):
        if name in posterior and posterior[name].ndim == 4:
            corr = posterior[name].to_numpy()
            assert np.all(np.diagonal(corr, axis1=-2, axis2=-1) == 1)
            np.testing.assert_allclose(corr, np.swapaxes(corr, -1, -2), rtol=1e-14)
            assert np.all(np.linalg.eigvalsh(corr) > -1e-12)


def unread_theta():
    """Return theta of which nothing has been read, and what it must be."""
    posterior = model("independent").sample(draws=20, chains=3, group_effects="draws", **QUIET)["posterior"]
    beta = posterior["beta"].sel(coef=["Intercept", "x"]).to_numpy()
    return posterior["theta_g"], beta[:, :, None] + posterior["b_g"].to_numpy()


@pytest.mark.parametrize(
    "place",
    [
        {"g": 1},
        {"chain": 2, "draw": slice(3, 15, 4), "g_coef": 1},
        {"draw": [5, 0, 5], "g": slice(None, None, -1)},
        {"g_coef": [1, 0], "g": [4, 1]},
        {"draw": xr.DataArray([3, 7], dims="pair"), "g": xr.DataArray([0, 4], dims="pair")},
    ],
    ids=["a group", "slices", "draws in another order", "lists", "pairs"],
)
def test_any_part_of_theta_can_be_read_before_the_whole(place: dict) -> None:
    theta, expected = unread_theta()
    np.testing.assert_array_equal(theta.isel(place), theta.copy(data=expected).isel(place))
    np.testing.assert_array_equal(theta, expected)


@pytest.mark.parametrize(
    "copied",
    [
        lambda t: pickle.loads(pickle.dumps(t)),  # noqa: S301  # written in the same line
        lambda t: t.copy(deep=True),
        lambda t: t.transpose("g", ...) + 0.0,
    ],
    ids=["pickled", "copied", "with the groups first"],
)
def test_copies_of_theta_that_was_not_read_have_its_values(copied) -> None:
    theta, expected = unread_theta()
    np.testing.assert_array_equal(copied(theta).transpose("chain", "draw", ...), expected)


def test_theta_can_be_stacked_before_it_is_read() -> None:
    theta, expected = unread_theta()
    stacked = theta.isel(g=[3, 1]).stack(sample=("chain", "draw")).transpose("sample", ...)
    np.testing.assert_array_equal(stacked.to_numpy(), expected[:, :, [3, 1]].reshape(-1, 2, 2))


def test_what_is_written_into_beta_and_b_before_theta_is_read_is_part_of_it() -> None:
    posterior = model("independent").sample(draws=20, chains=3, group_effects="draws", **QUIET)["posterior"]
    posterior["b_g"].values[:] = 0.0
    posterior["beta"].values[..., :2] = 2.0
    np.testing.assert_array_equal(posterior["theta_g"], np.full(posterior["b_g"].shape, 2.0))


def test_theta_keeps_the_values_that_are_written_into_it() -> None:
    theta, expected = unread_theta()
    theta[{"g": 2}] = 7.0
    theta.values[0, 0, 0, 0] = -1.0
    expected[:, :, 2], expected[0, 0, 0, 0] = 7.0, -1.0
    np.testing.assert_array_equal(theta, expected)


def test_a_group_column_without_a_population_column_has_no_beta_in_theta() -> None:
    tree = hr.Model("y ~ x + (w | g)", table()).sample(draws=5, chains=1, **QUIET)
    posterior = tree["posterior"]
    np.testing.assert_array_equal(posterior["theta_g"].sel(g_coef="w"), posterior["b_g"].sel(g_coef="w"))


def test_uncorrelated_group_coefficients_have_no_correlations() -> None:
    tree = hr.Model("y ~ x + (x || g)", table()).sample(draws=5, chains=1, **QUIET)
    assert "corr_g" not in tree["posterior"]
    assert "theta_g" in tree["posterior"]


def test_a_plain_regression_has_no_groups() -> None:
    tree = hr.Model("y ~ x", table()).sample(draws=5, chains=1, **QUIET)
    assert list(tree["posterior"].data_vars) == ["beta", "error_sd"]
    assert tree.attrs["factors"] == "[]"


def test_numbers_stay_numbers_as_labels_of_groups() -> None:
    data = table().assign(year=lambda t: t["g"].map({name: 1990 + i for i, name in enumerate("abcde")}))
    tree = hr.Model("y ~ x + (1 | year)", data).sample(draws=5, chains=1, **QUIET)
    assert tree["posterior"]["year"].dtype.kind == "i"
    assert tree["posterior"]["b_year"].sel(year=1992).shape == (1, 5, 1)


def test_limit_is_the_reml_estimate_and_least_squares_on_each_group() -> None:
    data, limit = table(), sampled("independent")["mixed_model_limit"]
    estimate = model("independent").estimate("reml")
    for name, mine in (
        ("beta", estimate.beta),
        ("beta_cov", estimate.beta_cov),
        ("b_g", estimate.b["g"]),
        ("theta_g", estimate.theta["g"]),
        ("sd_g", estimate.sd["g"]),
        ("error_sd", estimate.error_sd),
    ):
        assert limit[name].dims == mine.dims
        np.testing.assert_array_equal(limit[name], mine)
    for level in "abcde":
        own = data[data["g"] == level]
        y = own["y"] - own["w"] * float(estimate.beta.sel(coef="w"))
        Z = np.column_stack([np.ones(len(own)), own["x"]])
        alone = np.linalg.lstsq(Z, y, rcond=None)[0]
        cov = float(estimate.error_sd) ** 2 * np.linalg.inv(Z.T @ Z)
        np.testing.assert_allclose(limit["no_pooling_g"].sel(g=level), alone, rtol=1e-8)
        np.testing.assert_allclose(limit["no_pooling_cov_g"].sel(g=level), cov, rtol=1e-8)


def test_statistics_have_the_cross_products_of_each_group() -> None:
    data, constant = table(), sampled("independent")["statistics"]
    for j, level in enumerate("abcde"):
        own = data[data["g"] == level]
        Z = np.column_stack([np.ones(len(own)), own["x"]])
        (entry,) = np.flatnonzero(constant["group_index_g"] == j)
        np.testing.assert_allclose(constant["group_ZtZ_g"][entry], Z.T @ Z, rtol=1e-10)


# ---- saving and loading


def assert_same(one: xr.DataTree, other: xr.DataTree) -> None:
    """Values, dimensions and order are equal, text may have another dtype and lists be arrays."""
    assert list(one.children) == list(other.children)
    nodes = [(one, other), *((one[name], other[name]) for name in one.children)]
    for mine, theirs in nodes:
        assert list(mine.data_vars) == list(theirs.data_vars)
        # ArviZ labels elements in this order
        assert [d for d in mine.sizes if d not in SAMPLE] == [d for d in theirs.sizes if d not in SAMPLE]
        for name in mine.variables:
            assert mine[name].dims == theirs[name].dims
            np.testing.assert_array_equal(mine[name].to_numpy(), theirs[name].to_numpy())
            if mine[name].dtype.kind in "biuf":
                assert mine[name].dtype == theirs[name].dtype
            assert_same_attributes(mine[name].attrs, theirs[name].attrs)
        assert_same_attributes(mine.attrs, theirs.attrs)


def assert_same_attributes(one: dict, other: dict) -> None:
    assert set(one) == set(other)
    for key, value in one.items():
        np.testing.assert_array_equal(np.atleast_1d(value), np.atleast_1d(other[key]))


@pytest.mark.long
@pytest.mark.parametrize(
    ("structure", "ending"),
    [*(("correlated", ending) for ending in (".nc", ".netcdf", ".h5", ".zarr")), ("known_cov_scaled", ".nc")],
)
def test_what_is_saved_is_loaded(structure: str, ending: str, tmp_path: pathlib.Path) -> None:
    tree = sampled(structure)
    path = hr.save(tree, tmp_path / f"fit{ending}")
    assert path == tmp_path / f"fit{ending}"
    loaded = hr.load(str(path))
    assert_same(tree, loaded)
    if ending in {".nc", ".zarr"}:  # a second time, over the first
        hr.save(loaded, path)
        assert_same(tree, hr.load(path))
    # What was loaded serves as well as what was sampled.
    again = hr.posterior_predictive(loaded, model(structure), seed=11)
    np.testing.assert_array_equal(again["posterior_predictive"]["y"], tree["posterior_predictive"]["y"])


def test_summaries_are_saved(tmp_path: pathlib.Path) -> None:
    tree = model("by").sample(draws=10, chains=2, group_effects="summary", **QUIET)
    assert_same(tree, hr.load(hr.save(tree, tmp_path / "fit.nc")))


def test_a_response_with_a_slash_can_be_saved(tmp_path: pathlib.Path) -> None:
    subject = hr.Model("I(y / se) ~ x + (1 | g)", table())
    tree = subject.sample(draws=5, chains=1, include=["posterior_predictive"], **QUIET)
    loaded = hr.load(hr.save(tree, tmp_path / "fit.nc"))
    assert loaded.attrs["response"] == "I(y / se)"
    np.testing.assert_allclose(next(iter(loaded["observed_data"].data_vars.values())), table()["y"] / table()["se"])


def test_netcdf_holds_numbers_and_text_only(tmp_path: pathlib.Path) -> None:
    path = hr.save(sampled("correlated"), tmp_path / "fit.nc")
    kinds = set()

    def visit(group) -> None:
        for variable in group.variables.values():
            kinds.add("text" if variable.dtype is str or variable.dtype.kind in "OSU" else variable.dtype.kind)
        for child in group.groups.values():
            visit(child)

    with h5netcdf.File(path, "r") as file:
        visit(file)
    assert kinds <= {"text", "b", "i", "u", "f"}


def test_zarr_holds_numbers_and_text_only(tmp_path: pathlib.Path) -> None:
    path = hr.save(sampled("correlated"), tmp_path / "fit.zarr")
    types, codecs = set(), set()
    for file in path.rglob("zarr.json"):
        content = json.loads(file.read_text())
        if content["node_type"] == "array":
            kind = content["data_type"]
            types.add(kind["name"] if isinstance(kind, dict) else kind)
            codecs |= {codec["name"] for codec in content["codecs"]}
    assert types <= {"bool", "int8", "int64", "uint64", "float64", "fixed_length_utf32", "string"}
    assert codecs <= {"bytes", "zstd", "vlen-utf8"}


@pytest.mark.parametrize("name", ["fit", "fit.txt", "fit.pkl", "fit.nc.gz"])
def test_other_endings_are_refused(name: str, tmp_path: pathlib.Path) -> None:
    for call in (lambda p: hr.save(sampled("by"), p), hr.load):
        with pytest.raises(DataError, match=r"must end in one of \.nc, .*\.zarr"):
            call(tmp_path / name)


def test_a_folder_must_exist(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DataError, match=r"folder .*missing.* does not exist; create it first"):
        hr.save(sampled("by"), tmp_path / "missing" / "fit.nc")


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_a_file_must_exist(ending: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        hr.load(tmp_path / f"fit{ending}")


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_files_of_other_programs_are_refused(ending: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / f"other{ending}"
    other = xr.DataTree(xr.Dataset({"temperature": ("day", [1.0, 2.0])}))
    if ending == ".zarr":
        other.to_zarr(path, consolidated=False)
    else:
        other.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(DataError, match=r"other.*was not written by hierreg\.save"):
        hr.load(path)


def test_files_of_no_known_format_are_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "text.nc").write_text("some text")
    (tmp_path / "half.nc").write_bytes(hr.save(sampled("by"), tmp_path / "fit.nc").read_bytes()[:3000])
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "folder.nc").mkdir()
    for name in ("text.nc", "half.nc", "empty.zarr", "folder.nc"):
        with pytest.raises(DataError, match=f"{name}.*cannot be read"):
            hr.load(tmp_path / name)


@pytest.mark.parametrize("value", [None, xr.Dataset({"a": 1.0}), xr.DataTree(xr.Dataset({"a": 1.0}))])
def test_only_results_are_saved(value: object, tmp_path: pathlib.Path) -> None:
    with pytest.raises(DataError, match=r"tree .*Model\.sample"):
        hr.save(value, tmp_path / "fit.nc")
    assert not (tmp_path / "fit.nc").exists()


# ---- seeds


@pytest.mark.long
@pytest.mark.parametrize("structure", ["independent", "correlated"])
def test_a_seed_determines_every_draw_whatever_the_cores(structure: str) -> None:
    include = ["prior_predictive", "posterior_predictive"]
    one, again, other = (
        model(structure).sample(draws=30, chains=3, seed=5, cores=cores, progress=False, include=include)
        for cores in (1, 1, 2)
    )
    for group in ("posterior", "sample_stats", "prior", "prior_predictive", "posterior_predictive"):
        assert one[group].identical(again[group])
        assert one[group].identical(other[group])


def test_summaries_do_not_depend_on_the_cores() -> None:
    one, other = (
        model("by").sample(draws=30, chains=2, seed=5, cores=cores, progress=False, group_effects="summary")
        for cores in (1, 2)
    )
    assert one["effects"].identical(other["effects"])


def test_chains_and_seeds_differ() -> None:
    tree = sampled("by")["posterior"]["error_sd"]
    assert not np.array_equal(tree[0], tree[1])
    other = model("by").sample(draws=40, chains=3, seed=12, progress=False)["posterior"]["error_sd"]
    assert not np.array_equal(tree, other)


def test_a_seed_is_chosen_and_recorded() -> None:
    one = model("by").sample(draws=10, chains=2, progress=False)
    other = model("by").sample(draws=10, chains=2, progress=False, seed=int(one.attrs["seed"]))
    assert one["posterior"].identical(other["posterior"])


# ---- summaries in place of draws


@pytest.mark.long
@pytest.mark.parametrize("structure", ["independent", "correlated"])
def test_summaries_are_those_of_the_draws(structure: str) -> None:
    priors = hr.Priors(beta={"x": hr.Fixed(0.4)})
    errors = model(structure).problem.layout.spec
    subject = hr.Model(FORMULA, table(), errors=errors, priors=priors)
    draws = subject.sample(draws=400, chains=2, group_effects="draws", **QUIET)
    summary = subject.sample(draws=400, chains=2, group_effects="summary", **QUIET)
    assert not {"b_g", "theta_g"} & set(summary["posterior"].data_vars)
    assert "effects" not in draws.children
    for name in ("beta", "sd_g", "corr_g", "error_sd"):
        np.testing.assert_array_equal(summary["posterior"][name], draws["posterior"][name])
    effects = summary["effects"]
    for name in ("b_g", "theta_g"):
        values = draws["posterior"][name].stack(sample=("chain", "draw"))
        # four standard errors at half the effective size of 800 nearly independent draws
        sd = values.std("sample")
        assert np.all(np.abs(effects[f"{name}_mean"] - values.mean("sample")) < 4 * sd / np.sqrt(400))
        assert np.all(np.abs(effects[f"{name}_sd"] / sd - 1) < 4 * np.sqrt(2 / 400))
        for prob in effects["quantile"].to_numpy().tolist():
            below = (values < effects[f"{name}_quantiles"].sel(quantile=prob)).mean("sample")
            assert np.all(np.abs(below - prob) < 4 * np.sqrt(prob * (1 - prob) / 400))
    # all 800 draws, of variances of which five groups say little
    assert 0 < effects.attrs["monte_carlo_error"] < 3 / np.sqrt(800)


# ---- the limits at known variances


FIXED = hr.Priors(
    beta=hr.Flat(),
    sd={"g": {"Intercept": hr.Fixed(0.9), "x": hr.Fixed(0.4)}},
    corr=hr.Fixed([[1, -0.3], [-0.3, 1]]),
)
SIGMA = np.array([[0.81, -0.3 * 0.36], [-0.3 * 0.36, 0.16]])


def known_case(structure: str) -> tuple[hr.Model, object]:
    """Return a model whose variances are all fixed, and its error covariance for `solve`."""
    errors = {
        "independent": hr.independent(),
        "by": hr.by("set"),
        "correlated": hr.correlated("set", unit="unit"),
    }
    errors |= {
        "known_se": hr.known_se("se"),
        "known_cov_scaled": hr.known_cov(known_covariance(42), scale=True),
    }
    sds = np.array([0.5, 0.8, 1.1])
    psi = np.array([[1, 0.6, 0.2], [0.6, 1, 0.4], [0.2, 0.4, 1]])
    priors: dict[str, object] = {"beta": FIXED.beta, "sd": FIXED.sd, "corr": FIXED.corr}
    if structure in {"by", "correlated"}:
        priors["error_sd"] = {name: hr.Fixed(sd) for name, sd in zip("pqr", sds, strict=True)}
    elif structure != "known_se":
        priors["error_sd"] = hr.Fixed(0.7)
    if structure == "correlated":
        priors["error_corr"] = hr.Fixed(psi)
    error_cov = {
        "known_se": None,
        "by": sds**2,
        "correlated": sds[:, None] * psi * sds,
    }.get(structure, 0.49)
    return hr.Model(FORMULA, table(), errors=errors[structure], priors=hr.Priors(**priors)), error_cov


@pytest.mark.parametrize("structure", ["independent", "by", "correlated", "known_se", "known_cov_scaled"])
def test_draws_agree_with_the_mixed_model_equations_at_known_variances(structure: str) -> None:
    subject, error_cov = known_case(structure)
    tree = subject.sample(draws=2000, chains=2, **QUIET)
    solution = subject.solve(cov={"g": SIGMA}, error_cov=error_cov)
    S = 4000  # independent draws: nothing is sampled by a chain
    for name, mean, cov in (
        ("beta", solution.beta, solution.beta_cov),
        ("b_g", solution.b["g"], solution.b_cov["g"]),
        ("theta_g", solution.theta["g"], solution.theta_cov["g"]),
    ):
        values = tree["posterior"][name]
        sd = np.sqrt(np.diagonal(cov, axis1=-2, axis2=-1))
        assert np.all(np.abs(values.mean(("chain", "draw")) - mean) < 4 * sd / np.sqrt(S))
        assert np.all(np.abs(values.std(("chain", "draw")) / sd - 1) < 4 / np.sqrt(2 * S))
    beta = tree["posterior"]["beta"].to_numpy().reshape(S, -1)
    np.testing.assert_allclose(np.corrcoef(beta.T), correlation(solution.beta_cov.to_numpy()), atol=4 / np.sqrt(S))
    assert np.all(tree["posterior"]["sd_g"].values == [0.9, 0.4])


def correlation(cov: np.ndarray) -> np.ndarray:
    sd = np.sqrt(np.diagonal(cov))
    return cov / sd / sd[:, None]


def test_known_variances_need_no_chains_but_all_groups_can_be_had(tmp_path: pathlib.Path) -> None:
    subject, _ = known_case("correlated")
    include = ["posterior_predictive", "log_likelihood", "log_prior"]
    tree = subject.sample(draws=5, chains=2, include=include, **QUIET)
    assert int(tree["sample_stats"]["diverging"].sum()) == 0
    assert np.all(tree["log_prior"]["sd_g"] == 0)
    assert_same(tree, hr.load(hr.save(tree, tmp_path / "fit.nc")))


def test_all_coefficients_known_as_well() -> None:
    priors = hr.Priors(beta={"Intercept": hr.Fixed(2), "x": hr.Fixed(0.5), "w": hr.Fixed(-0.3)})
    tree = hr.Model(FORMULA, table(), priors=priors).sample(draws=5, chains=2, **QUIET)
    assert np.all(tree["posterior"]["beta"].values == [2, 0.5, -0.3])
    assert tree["posterior"]["b_g"].std("draw").min() > 0


# ---- what is refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"draws": 0}, "draws=0 must be a whole number, 1 or more"),
        ({"chains": 1.5}, r"chains=1\.5"),
        ({"tune": -1}, "tune=-1 must be a whole number, 0 or more"),
        ({"cores": True}, "cores=True"),
        ({"seed": "a"}, "seed='a'"),
        ({"sampler": "nuts"}, "sampler='nuts' is not one of 'nutpie', 'pymc'"),
        ({"parametrization": "noncentred"}, "Did you mean 'noncentered'"),
        ({"group_effects": "all"}, "group_effects='all'"),
        ({"group_effects": "summary", "parametrization": "centered"}, "group_effects='summary'.*marginal"),
        ({"include": ["posterior_predicitve"]}, "Did you mean 'posterior_predictive'"),
        ({"include": "priors"}, "include='priors'.*Did you mean 'prior'"),
    ],
)
def test_impossible_arguments_of_sample(arguments: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        model("by").sample(**arguments)
