"""NUTS on the marginal density: the two entries of nutpie, and the seeds."""

import numpy as np
import pytest

import hierreg as hr
from hierreg.compiled.densities import as_function
from hierreg.likelihood.posterior import Target
from hierreg.sampling import nuts
from hierreg.sampling.native import NativeModel, native_model


def target_of(model):
    problem = model.problem
    return Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))


@pytest.fixture(scope="module")
def paired():
    firms = hr.load_dataset("grunfeld")
    two = firms[firms["firm"].isin(["General Electric", "Westinghouse"])]
    # Two units lose a data set, so that there are three missingness patterns.
    return two.drop(index=[two.index[3], two.index[25]])


@pytest.fixture(scope="module")
def target(paired):
    return target_of(hr.Model("invest ~ value + (value | firm)", paired, errors=hr.correlated("firm", unit="year")))


def layouts(paired):
    """Return models of the two compiled entries: linked groups; groups of two coefficients, and of three."""
    sleep, children = hr.load_dataset("sleepstudy"), hr.load_dataset("orthodont")
    return [
        hr.Model("invest ~ value + (value | firm)", paired, errors=hr.correlated("firm", unit="year")),
        hr.Model("Reaction ~ Days + (Days | Subject)", sleep),
        hr.Model("distance ~ age + (age + I(age**2) | Subject)", children),
    ]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_compiled_entry_has_the_density_of_the_python_function(which, paired, rng):
    target = target_of(layouts(paired)[which])
    mode = nuts.find_mode(target)
    model = native_model(target, mode.u, mode.scale, start=None)
    n = len(mode.u)
    for _ in range(5):
        x, gradient, value = rng.normal(size=n), np.empty(n), np.empty(1)
        arguments = (a.ctypes.data for a in (x, gradient, value))
        status = as_function(model.function)(n, *arguments, model.table.address)
        expected, slope = target(mode.u + mode.scale @ x)
        assert status == 0
        assert value[0] == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, mode.scale.T @ slope, rtol=1e-8, atol=1e-9)


def test_compiled_entry_reports_an_impossible_point(target):
    mode = nuts.find_mode(target)
    model = native_model(target, mode.u, mode.scale, start=None)
    n = len(mode.u)
    x, gradient, value = np.full(n, 1e6), np.empty(n), np.empty(1)
    arguments = (a.ctypes.data for a in (x, gradient, value))
    status = as_function(model.function)(n, *arguments, model.table.address)
    assert status != 0


def test_without_the_compiled_entry_the_python_function_is_sampled(target, monkeypatch):
    mode = nuts.find_mode(target)
    settings = nuts.Settings(draws=300, tune=200, chains=2, seed=3, cores=2, progress=False)
    native = nuts.sample_chains(target, mode, settings).u
    monkeypatch.delattr("nutpie._lib.LogpFunc")
    assert not isinstance(nuts.nutpie_model(target, mode), NativeModel)
    python = nuts.sample_chains(target, mode, settings).u
    # Rounding separates the chains after a while; their distribution is one.
    error = np.sqrt(2) * native.std(axis=(0, 1)) / np.sqrt(200)
    assert np.all(np.abs(native.mean(axis=(0, 1)) - python.mean(axis=(0, 1))) < 4 * error)


def test_seed_decides_and_cores_do_not(target):
    mode = nuts.find_mode(target)

    def chains(seed, cores):
        settings = nuts.Settings(draws=40, tune=40, chains=3, seed=seed, cores=cores, progress=False)
        return nuts.sample_chains(target, mode, settings)

    one = chains(seed=5, cores=1)
    two = chains(seed=5, cores=2)
    other = chains(seed=6, cores=2)
    np.testing.assert_array_equal(one.u, two.u)
    assert not np.array_equal(one.u, other.u)


def test_mode_has_no_slope_and_its_scale_whitens(target):
    mode = nuts.find_mode(target)
    value, gradient = target(mode.u)
    assert mode.converged
    assert value == pytest.approx(mode.log_density)
    # Slopes in units of posterior sds.
    assert np.abs(mode.scale.T @ gradient).max() < 1e-3
    h = 1e-4
    steps = h * mode.scale.T
    curvature = [(target(mode.u + s)[0] - 2 * value + target(mode.u - s)[0]) / h**2 for s in steps]
    np.testing.assert_allclose(curvature, -1.0, atol=0.02)


def test_target_accept_makes_steps_smaller(target):
    mode = nuts.find_mode(target)

    def steps(target_accept):
        settings = nuts.Settings(
            draws=200, tune=200, chains=2, seed=1, cores=1, progress=False, target_accept=target_accept
        )
        return nuts.sample_chains(target, mode, settings).stats["step_size"].mean()

    assert steps(0.98) < 0.8 * steps(0.8)
