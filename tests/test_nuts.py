"""NUTS on the marginal density: the two entries of nutpie, and the seeds."""

import numpy as np
import pytest

import hierreg as hr
from hierreg.marginal.target import Target
from hierreg.sampling import nuts


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
    return target_of(
        hr.Model("invest ~ value + (value | firm)", paired, errors=hr.correlated("firm", unit="year"))
    )


def test_compiled_entry_and_python_entry_give_the_same_chains(target, monkeypatch):
    mode = nuts.find_mode(target)
    settings = {"draws": 60, "tune": 60, "chains": 2, "seed": 3, "cores": 2, "progress": False}
    native = nuts.sample_chains(target, mode, **settings)
    through_python = nuts.nutpie_model
    monkeypatch.setattr(nuts, "nutpie_model", lambda t, m: through_python(t, m, native=False))
    python = nuts.sample_chains(target, mode, **settings)
    np.testing.assert_allclose(native.u, python.u, rtol=1e-6, atol=1e-8)
    assert native.stats["n_steps"].sum() == python.stats["n_steps"].sum()


def test_seed_decides_and_cores_do_not(target):
    mode = nuts.find_mode(target)
    settings = {"draws": 40, "tune": 40, "chains": 3, "progress": False}
    one = nuts.sample_chains(target, mode, seed=5, cores=1, **settings)
    two = nuts.sample_chains(target, mode, seed=5, cores=2, **settings)
    other = nuts.sample_chains(target, mode, seed=6, cores=2, **settings)
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
