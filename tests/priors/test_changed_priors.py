"""Priors raised to powers, rescaled, and of other families: against the densities themselves."""

import numpy as np
import pytest
from scipy import integrate

import hierreg as hr
from hierreg.exceptions import PriorError
from hierreg.priors.changed import changed, has_variance, median_of, priors_by_name, rescaled, to_power, with_median
from hierreg.priors.families import SD_FAMILIES

SDS = {
    "HalfNormal": hr.HalfNormal(2.0),
    "HalfStudentT": hr.HalfStudentT(4.0, 1.5),
    "HalfCauchy": hr.HalfCauchy(0.7),
    "Exponential": hr.Exponential(0.4),
    "Gamma": hr.Gamma(2.5, 1.3),
    "InverseGamma": hr.InverseGamma(3.5, 2.0),
    "LogNormal": hr.LogNormal(0.3, 0.6),
}
POWERS = (0.6, 0.9, 1.0, 1.7)
X = np.array([0.2, 0.9, 1.7, 4.0])


def test_every_family_is_here():
    assert set(SDS) == {family.__name__ for family in SD_FAMILIES}


@pytest.mark.parametrize("alpha", POWERS)
@pytest.mark.parametrize("name", SDS)
def test_a_power_of_a_density_is_that_density_but_for_a_constant(name, alpha):
    prior = SDS[name]
    powered = to_power(prior, alpha)
    np.testing.assert_allclose(
        np.diff(powered.log_density(X)), alpha * np.diff(prior.log_density(X)), rtol=1e-10, atol=1e-12
    )
    total = integrate.quad(lambda x: float(np.exp(powered.log_density(x))), 0, np.inf, limit=200)[0]
    assert total == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("alpha", POWERS)
def test_powers_of_normals_and_correlations(alpha):
    x = np.array([-1.0, 0.4, 3.0])
    normal = hr.Normal(0.5, 1.4)
    np.testing.assert_allclose(
        np.diff(to_power(normal, alpha).log_density(x)), alpha * np.diff(normal.log_density(x)), rtol=1e-12
    )
    matrices = np.array([[[1, r, 0.1], [r, 1, -0.3], [0.1, -0.3, 1]] for r in (-0.5, 0.0, 0.7)])
    lkj = hr.LKJ(2.5)
    np.testing.assert_allclose(
        np.diff(to_power(lkj, alpha).log_density(matrices)), alpha * np.diff(lkj.log_density(matrices)), rtol=1e-10
    )
    rho = np.array([-0.2, 0.1, 0.8])
    np.testing.assert_allclose(
        np.diff(to_power(lkj, alpha).log_density_within_units(rho, -0.25)),
        alpha * np.diff(lkj.log_density_within_units(rho, -0.25)),
        rtol=1e-10,
    )


@pytest.mark.parametrize("prior", [hr.Flat(), hr.Fixed(2.0), hr.Fixed([[1, 0.2], [0.2, 1]])])
def test_flat_and_fixed_ones_stay(prior):
    assert to_power(prior, 0.5) is prior
    assert rescaled(prior, 3.0) is prior


@pytest.mark.parametrize(
    ("prior", "alpha"),
    [(hr.HalfCauchy(2), 0.5), (hr.HalfStudentT(3, 1), 0.25), (hr.Gamma(3, 1), -1.0), (hr.LKJ(0.2), 2.0)],
)
def test_powers_that_are_no_priors(prior, alpha):
    with pytest.raises(PriorError, match=r"to the power .* no finite integral.*lighter tails"):
        to_power(prior, alpha)


@pytest.mark.parametrize("name", SDS)
def test_rescaled_is_the_prior_of_a_multiple(name):
    prior, other = SDS[name], rescaled(SDS[name], 2.5)
    np.testing.assert_allclose(other.log_density(2.5 * X), prior.log_density(X) - np.log(2.5), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SDS)
def test_medians(name):
    prior = SDS[name]
    below = integrate.quad(lambda x: float(np.exp(prior.log_density(x))), 0, median_of(prior), limit=200)[0]
    assert below == pytest.approx(0.5, abs=1e-7)
    assert median_of(with_median(prior, 7.0)) == pytest.approx(7.0)
    assert type(with_median(prior, 7.0)) is type(prior)


def test_variances_that_exist():
    without = [hr.Flat(), hr.HalfCauchy(1), hr.HalfStudentT(2, 1), hr.InverseGamma(2, 1)]
    assert not any(map(has_variance, without))
    assert has_variance(hr.Normal(0, 1))
    assert has_variance(hr.LKJ(1))


@pytest.mark.parametrize("prior", [*SDS.values(), hr.HalfStudentT(2.1, 1), hr.InverseGamma(2.1, 1)], ids=str)
def test_a_variance_is_one_of_the_tail(prior):
    with np.errstate(divide="ignore"):
        near, far = prior.log_density(np.array([1e6, 1e8]))
    power = -np.inf if far == -np.inf else (far - near) / np.log(100.0)
    assert has_variance(prior) == (power < -3.0)


def test_priors_of_a_model_are_changed_by_name():
    model = hr.Model(
        "Reaction ~ Days + (Days | Subject)",
        hr.load_dataset("sleepstudy"),
        priors=hr.Priors(error_sd=hr.Fixed(25.0), sd={"Subject": {"Days": hr.HalfNormal(3)}}),
    )
    priors = model.priors
    assert {name: len(own) for name, own in priors_by_name(priors).items()} == {
        "beta": 2,
        "sd_Subject": 2,
        "corr_Subject": 1,
    }
    other = changed(priors, lambda name, prior: rescaled(prior, 2.0) if name == "sd_Subject" else prior)
    assert other.sd["Subject"][1] == hr.HalfNormal(6.0)
    assert other.beta == priors.beta
    assert other.error_sd == (hr.Fixed(25.0),)
    assert other.frames is priors.frames
