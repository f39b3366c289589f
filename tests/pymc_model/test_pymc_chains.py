"""Chains through PyMC's models: the arrays they become, and that they sample the same posterior."""

import arviz_stats as azs
import numpy as np
import pytest
import xarray as xr

import hierreg as hr
from hierreg.exceptions import ConvergenceWarning
from hierreg.reports.draws import mcse_mean
from hierreg.sampling import pymc_chains
from hierreg.variances.parameters import covariances
from tests.helpers.sampled_models import FORMULA, STRUCTURES, model, table

SHAPE = (2, 7)


def trace_of(problem, u: np.ndarray, rng: np.random.Generator) -> xr.DataTree:
    """Return what PyMC would hand over for draws u, with its names and dimensions."""
    parameters, labels = problem.parameters, problem.labels
    cov = covariances(parameters, u.reshape(-1, u.shape[2]))
    (factor,) = labels.factors
    J, q, p = len(factor.levels), len(factor.coef), len(labels.coef)
    n_sd = int(parameters.sd_is_free.sum())
    v = 1 / (1 + np.exp(-2 * u[:, :, n_sd:]))
    variables = {
        "beta": rng.normal(size=(*SHAPE, p)),
        "b_g": rng.normal(size=(*SHAPE, J, q)),
        "sd_g_at_means": np.exp(u[:, :, :q]),  # the default priors are those of the coefficients at the means
        "corr_g_at_means_partial": v[:, :, : q * (q - 1) // 2],
    }
    if labels.n_error_sd:
        D = len(parameters.error_labels)
        variables["error_sd"] = cov.error_sd.reshape(SHAPE if labels.error_dim is None else (*SHAPE, D))
    if labels.has_error_corr:
        variables["error_corr_partial"] = v[:, :, q * (q - 1) // 2 :]
    posterior = xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_{i}" for i in range(values.ndim - 2))), values)
            for name, values in variables.items()
        }
    )
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros(SHAPE, dtype=bool))})
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})


@pytest.mark.parametrize("structure", STRUCTURES)
def test_unconstrained_parameters_come_back(structure: str, rng: np.random.Generator) -> None:
    problem = model(structure).problem
    u = rng.normal(0, 1.5, (*SHAPE, problem.parameters.n_free))
    trace = trace_of(problem, u, rng)
    back = pymc_chains.unconstrained(problem.parameters, trace["posterior"], SHAPE)
    np.testing.assert_allclose(back, u, rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning")
@pytest.mark.parametrize("structure", STRUCTURES)
def test_explicit_draws_become_the_same_tree(
    structure: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = model(structure)
    problem = subject.problem
    u = rng.normal(0, 0.5, (*SHAPE, problem.parameters.n_free))
    trace = trace_of(problem, u, rng)
    monkeypatch.setattr(pymc_chains, "_sample", lambda *_: trace)
    arguments = {"draws": SHAPE[1], "chains": SHAPE[0], "seed": 1, "progress": False}
    tree = subject.sample(parametrization="centered", include=["log_likelihood"], **arguments)
    reference = subject.sample(**arguments)
    assert list(tree["posterior"].data_vars) == list(reference["posterior"].data_vars)
    for name, values in reference["posterior"].data_vars.items():
        assert tree["posterior"][name].dims == values.dims
        assert tree["posterior"][name].attrs == values.attrs
    for name, coord in reference["posterior"].coords.items():
        assert tree["posterior"].coords[name].equals(coord)
    np.testing.assert_array_equal(tree["posterior"]["b_g"], trace["posterior"]["b_g"])
    sd = covariances(problem.parameters, u.reshape(-1, u.shape[2])).sd.reshape(*SHAPE, -1)
    np.testing.assert_allclose(tree["posterior"]["sd_g"], sd, rtol=1e-12)
    theta = tree["posterior"]["theta_g"].sel(g_coef="x")
    expected = trace["posterior"]["b_g"][..., 1] + trace["posterior"]["beta"][..., 1].to_numpy()[..., None]
    np.testing.assert_allclose(theta, expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning")
def test_draws_of_several_factors_come_back(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = hr.Model("y ~ x + (x | g) + (w | set)", table())
    problem = subject.problem
    u = rng.normal(0, 0.5, (*SHAPE, problem.parameters.n_free))
    cov = covariances(problem.parameters, u.reshape(-1, u.shape[2]))
    v = 1 / (1 + np.exp(-2 * u[:, :, 5:]))
    variables = {"beta": rng.normal(size=(*SHAPE, 2)), "error_sd": cov.error_sd[:, 0].reshape(SHAPE)}
    for f, (name, levels) in enumerate({"g": 5, "set": 3}.items()):
        variables[f"b_{name}"] = rng.normal(size=(*SHAPE, levels, 2))
        variables[f"sd_{name}_at_means"] = np.exp(u[:, :, 2 * f : 2 * f + 2])
        variables[f"corr_{name}_at_means_partial"] = v[:, :, f : f + 1]
    posterior = xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_{i}" for i in range(values.ndim - 2))), values)
            for name, values in variables.items()
        }
    )
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros(SHAPE, dtype=bool))})
    back = pymc_chains.unconstrained(problem.parameters, posterior, SHAPE)
    np.testing.assert_allclose(back, u, rtol=1e-10, atol=1e-12)
    trace = xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})
    monkeypatch.setattr(pymc_chains, "_sample", lambda *_: trace)
    arguments = {"draws": SHAPE[1], "chains": SHAPE[0], "seed": 1, "progress": False}
    tree = subject.sample(parametrization="noncentered", include=["log_likelihood"], **arguments)
    assert list(tree["posterior"].data_vars) == list(subject.sample(**arguments)["posterior"].data_vars)
    for f, name in enumerate(("g", "set")):
        np.testing.assert_array_equal(tree["posterior"][f"b_{name}"], variables[f"b_{name}"])
        mine = slice(2 * f, 2 * f + 2)
        np.testing.assert_allclose(tree["posterior"][f"sd_{name}"], cov.sd[:, mine].reshape(*SHAPE, 2), rtol=1e-12)
        corr = tree["posterior"][f"corr_{name}"].to_numpy()[..., 0]
        np.testing.assert_allclose(corr, cov.corr[:, 2 * f + 1, 2 * f].reshape(SHAPE), rtol=1e-10)


def test_a_group_whose_chains_disagree_is_named(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = model("independent")
    shape = (2, 400)
    monkeypatch.setattr("tests.pymc_model.test_pymc_chains.SHAPE", shape)
    u = rng.normal(size=(*shape, subject.problem.parameters.n_free))
    trace = trace_of(subject.problem, u, rng)
    trace["posterior"]["b_g"].data[0, :, 2, 1] += 5
    monkeypatch.setattr(pymc_chains, "_sample", lambda *_: trace)
    with pytest.warns(ConvergenceWarning) as caught:
        subject.sample(draws=400, chains=2, seed=1, parametrization="noncentered", progress=False)
    messages = [str(warning.message) for warning in caught]
    assert any("R-hat" in message and "b_g[c, x]" in message for message in messages)
    assert not any("b_g[a" in message or "beta" in message for message in messages)


def test_nothing_to_sample_needs_no_pymc(monkeypatch: pytest.MonkeyPatch) -> None:
    priors = hr.Priors(sd=hr.Fixed(0.8), corr=hr.Fixed(np.eye(2)), error_sd=hr.Fixed(0.5))
    subject = hr.Model(FORMULA, table(), priors=priors)
    monkeypatch.setattr(pymc_chains, "_sample", None)
    tree = subject.sample(draws=50, chains=2, seed=1, sampler="pymc", progress=False)
    other = subject.sample(draws=50, chains=2, seed=1, progress=False)
    assert tree["posterior"].identical(other["posterior"])
    assert set(tree["sample_stats"].data_vars) <= set(other["sample_stats"].data_vars)


# ---- the same posterior

NAMES = ["beta", "sd_Subject", "error_sd", "b_Subject"]


@pytest.fixture(scope="module")
def sleepstudy() -> hr.Model:
    return hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def reference(sleepstudy: hr.Model) -> xr.DataTree:
    return sleepstudy.sample(draws=2500, seed=3, progress=False)


def standard_errors(tree: xr.DataTree, method: str) -> xr.Dataset:
    return azs.mcse(tree["posterior"].to_dataset()[NAMES], method=method)


# 41 numbers per moment, correlated, and one seed: 4 standard errors fail once in hundreds of seeds.
@pytest.mark.slow  # PyTensor compiles for tens of seconds
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")  # short chains
@pytest.mark.parametrize(
    ("parametrization", "sampler"),
    [
        ("marginal", "pymc"),
        ("noncentered", "nutpie"),
        ("centered", "nutpie"),
        ("noncentered", "pymc"),
    ],
)
def test_every_route_has_the_same_posterior(
    sleepstudy: hr.Model, reference: xr.DataTree, parametrization: str, sampler: str
) -> None:
    tree = sleepstudy.sample(
        draws=500, chains=2, seed=4, parametrization=parametrization, sampler=sampler, progress=False
    )
    assert list(tree["posterior"].data_vars) == list(reference["posterior"].data_vars)
    assert {"lp", "diverging", "n_steps", "tree_depth", "energy", "acceptance_rate"} <= set(
        tree["sample_stats"].data_vars
    )
    for moment in ("mean", "sd"):
        error, other_error = standard_errors(tree, moment), standard_errors(reference, moment)
        for name in NAMES:
            values, others = (
                getattr(t["posterior"][name], {"mean": "mean", "sd": "std"}[moment])(("chain", "draw"))
                for t in (tree, reference)
            )
            gap = np.abs(values - others) / np.hypot(error[name], other_error[name])
            assert gap.max() < 4, (moment, name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")  # short chains
def test_a_seed_determines_explicit_draws_whatever_the_cores(sleepstudy: hr.Model) -> None:
    one, other = (
        sleepstudy.sample(
            draws=20, tune=100, chains=2, seed=4, cores=cores, parametrization="noncentered", progress=False
        )
        for cores in (1, 2)
    )
    assert one["posterior"].identical(other["posterior"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")  # short chains
# ArviZ, which nutpie calls, has another use for the name of this factor.
@pytest.mark.filterwarnings("ignore:Found dimension named 'sample':UserWarning")
@pytest.mark.parametrize(("parametrization", "sampler"), [("marginal", "pymc"), ("noncentered", "nutpie")])
def test_every_route_has_the_same_posterior_of_two_factors(parametrization: str, sampler: str) -> None:
    subject = hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin"))
    mine = subject.sample(draws=2500, seed=3, progress=False)["posterior"]
    options = {"parametrization": parametrization, "sampler": sampler, "target_accept": 0.95, "progress": False}
    theirs = subject.sample(draws=500, seed=4, **options)["posterior"]
    for name in ("beta", "sd_plate", "sd_sample", "error_sd", "b_plate", "b_sample"):
        draws = [group[name].transpose("chain", "draw", ...).to_numpy() for group in (mine, theirs)]
        gap = np.abs(draws[0].mean(axis=(0, 1)) - draws[1].mean(axis=(0, 1)))
        assert np.all(gap <= 5 * np.hypot(*(mcse_mean(values) for values in draws))), name
