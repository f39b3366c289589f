"""The explicit PyMC models of heavy tails and mixtures: their joint density against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import dirichlet, gamma, multivariate_normal, multivariate_t, norm

import hierreg as hr
from hierreg.priors.above import log_mass_above
from tests.likelihood.heavy_tails.dense import table

PRIORS = hr.Priors(beta=hr.Normal(0, 5), sd=hr.HalfNormal(2), error_sd=hr.HalfNormal(3))
FORMULA = "y ~ x + (x || g)"


def _at_a_point(m: hr.Model, parametrization: str) -> tuple[float, dict[str, np.ndarray], hr.Model]:
    """The log density of all variables without Jacobians at a random point, and their values there."""
    pm_model = m.to_pymc(parametrization)
    rng = np.random.default_rng(3)
    start = pm_model.initial_point()
    at = {name: np.asarray(value + 0.3 * rng.normal(size=np.shape(value))) for name, value in start.items()}
    variables = pm_model.unobserved_value_vars
    values = pm_model.compile_fn(variables, mode="FAST_COMPILE")(at)
    found = pm_model.compile_fn(pm_model.logp(jacobian=False), mode="FAST_COMPILE")(at)
    return float(found), {v.name: np.asarray(x) for v, x in zip(variables, values, strict=True)}, m


def _shared(m: hr.Model, value: dict[str, np.ndarray], sd: str) -> float:
    """Priors of beta, sds and error_sd, and the rows given the coefficients."""
    design = m.problem.design
    factor = design.factors[0]
    mu = design.X @ value["beta"] + np.sum(factor.Z * value["b_g"][factor.index], axis=1)
    error_sd = float(value["error_sd"])
    return float(
        norm.logpdf(value["beta"], 0, 5).sum()
        + hr.HalfNormal(2).log_density(value[sd]).sum()
        + hr.HalfNormal(3).log_density(error_sd)
        + norm.logpdf(design.y, mu, error_sd).sum()
    )


def test_student_t_centered():
    m = hr.Model(FORMULA, table(), None, PRIORS, effects={"g": hr.StudentT()})
    found, value, _ = _at_a_point(m, "centered")
    nu, scale = float(value["nu_g"]), value["scale_g"]
    prior = hr.Gamma(2, 0.1)
    expected = _shared(m, value, "scale_g") + float(prior.log_density(nu)) - log_mass_above(prior, 2.0)
    expected += multivariate_t(shape=np.diag(scale**2), df=nu).logpdf(value["b_g"]).sum()
    assert found == pytest.approx(expected, abs=1e-8)


def test_student_t_noncentered():
    m = hr.Model(FORMULA, table(), None, PRIORS, effects={"g": hr.StudentT(3.5)})
    found, value, _ = _at_a_point(m, "noncentered")
    z, weight = value["z_g"], value["weight_g"]
    np.testing.assert_allclose(value["b_g"], z * value["scale_g"] / np.sqrt(weight)[:, None])
    expected = _shared(m, value, "scale_g") + norm.logpdf(z).sum() + gamma.logpdf(weight, 1.75, scale=1 / 1.75).sum()
    assert found == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("common", [True, False])
def test_mixture(common):
    effects = hr.Mixture(2, common=common, mean_sd=(4.0, 2.0))
    m = hr.Model(FORMULA, table(), None, PRIORS, effects={"g": effects})
    found, value, _ = _at_a_point(m, "centered")
    w, mean = value["component_weight_g"], value["component_mean_g"]
    names = ["component_sd_g"] if common else ["component_sd_g_0", "component_sd_g_1"]
    expected = _shared(m, value, names[0]) + dirichlet.logpdf(w, [2, 2])
    expected += sum(hr.HalfNormal(2).log_density(value[name]).sum() for name in names[1:])
    expected += norm.logpdf(value["component_place_g"]).sum() + norm.logpdf(value["component_places_g"]).sum()
    density = sum(
        w[k] * multivariate_normal.pdf(value["b_g"], mean[k], np.diag(value[names[k if not common else 0]] ** 2))
        for k in range(2)
    )
    expected += np.log(density).sum()
    np.testing.assert_allclose(w @ mean, 0.0, atol=1e-12)
    assert mean[1, 0] > mean[0, 0]
    np.testing.assert_allclose((mean[1] - mean[0])[0], 4.0 * np.diff(value["component_place_g"])[0])
    assert found == pytest.approx(expected, abs=1e-8)
