"""Posteriors against numerical integration; see tests/reference/README.md for how that was done."""

import numpy as np
import pytest

import hierreg as hr
from hierreg.exceptions import BoundaryWarning
from tests.helpers.posteriors import DYE, SLEEP, assert_agrees, assert_quantiles_agree
from tests.reference import load_reference, reference_data


def sampled(model, **options):
    settings = {"draws": 2000, "chains": 4, "seed": 11, "progress": False, "cores": 2}
    return model.sample(**(settings | options))


@pytest.fixture(scope="module")
def sleep():
    table = reference_data("oracle_sleepstudy")
    return sampled(hr.Model("Reaction ~ Days + (Days | Subject)", table, priors=SLEEP))


@pytest.fixture(scope="module")
def dye():
    return sampled(hr.Model("Yield ~ 1 + (1 | Batch)", reference_data("oracle_dyestuff"), priors=DYE))


def test_sleepstudy(sleep):
    expected = load_reference("oracle_sleepstudy")["models"]["posterior"]["posterior"]
    variances, posterior = expected["variance_parameters"], sleep["posterior"]
    sd = posterior["sd_Subject"]
    pairs = [
        (sd.sel(Subject_coef="Intercept"), variances["sd_Intercept"]),
        (sd.sel(Subject_coef="Days"), variances["sd_Days"]),
        (posterior["corr_Subject"].values[:, :, 0], variances["cor"]),
        (posterior["error_sd"], variances["sigma"]),
        (posterior["beta"].sel(coef="Intercept"), expected["fixef"]["(Intercept)"]),
        (posterior["beta"].sel(coef="Days"), expected["fixef"]["Days"]),
    ]
    for subject, coefs in expected["ranef"]["Subject"].items():
        b = posterior["b_Subject"].sel(Subject=subject)
        pairs += [
            (b.sel(Subject_coef="Intercept"), coefs["(Intercept)"]),
            (b.sel(Subject_coef="Days"), coefs["Days"]),
        ]
    assert len(pairs) > 10
    for draws, answer in pairs:
        assert_agrees(draws, answer)
        assert_quantiles_agree(draws, answer)
    assert int(sleep["sample_stats"]["diverging"].sum()) == 0


def test_dyestuff(dye):
    expected = load_reference("oracle_dyestuff")["models"]["posterior"]["posterior"]
    variances, posterior = expected["variance_parameters"], dye["posterior"]
    pairs = [
        (posterior["sd_Batch"][..., 0], variances["sd_batch"]),
        (posterior["error_sd"], variances["sigma"]),
        (posterior["beta"][..., 0], expected["fixef"]["(Intercept)"]),
    ]
    pairs += [
        (posterior["b_Batch"].sel(Batch=batch)[..., 0], coefs["(Intercept)"])
        for batch, coefs in expected["ranef"]["Batch"].items()
    ]
    assert len(pairs) == 9
    for draws, answer in pairs:
        assert_agrees(draws, answer)
        assert_quantiles_agree(draws, answer)
    assert int(dye["sample_stats"]["diverging"].sum()) == 0


@pytest.mark.parametrize("case", ["oracle_sleepstudy", "oracle_dyestuff"])
def test_log_density_at_the_points_that_the_oracle_checked(case):
    """Likelihood with beta integrated, at given variance parameters."""
    from hierreg.likelihood.engines import marginal_likelihood
    from hierreg.likelihood.population import population_prior

    priors, formula = {
        "oracle_sleepstudy": (SLEEP, "Reaction ~ Days + (Days | Subject)"),
        "oracle_dyestuff": (DYE, "Yield ~ 1 + (1 | Batch)"),
    }[case]
    problem = hr.Model(formula, reference_data(case), priors=priors)._problem
    likelihood = marginal_likelihood(problem.gram, prior=population_prior(problem.priors))
    checks = load_reference(case)["models"]["posterior"]["logp_checks"]
    assert checks
    for check in checks:
        at = check["theta"]
        if case == "oracle_sleepstudy":
            rho = at["cor"]
            factor = np.array([[1.0, 0.0], [rho, np.sqrt(1 - rho**2)]])
            Lambda = np.array([[at["sd_Intercept"]], [at["sd_Days"]]]) * factor
        else:
            Lambda = np.array([[at["sd_batch"]]])
        value = likelihood.value_and_gradient(Lambda, np.array([[at["sigma"] ** 2]]))[0]
        assert value == pytest.approx(check["log_likelihood"], abs=1e-6)


def test_with_all_variances_fixed_the_draws_are_those_of_the_mixed_model_equations():
    table = hr.load_dataset("sleepstudy")
    corr = np.array([[1.0, 0.3], [0.3, 1.0]])
    priors = hr.Priors(
        beta=hr.Flat(),
        sd={"Subject": {"Intercept": hr.Fixed(20.0), "Days": hr.Fixed(5.0)}},
        corr={"Subject": hr.Fixed(corr)},
        error_sd=hr.Fixed(30.0),
    )
    model = hr.Model("Reaction ~ Days + (Days | Subject)", table, priors=priors)
    posterior = sampled(model)["posterior"]
    sd = np.array([20.0, 5.0])
    at = model.solve({"Subject": sd[:, None] * corr * sd}, 900.0)
    beta = posterior["beta"].values.reshape(-1, 2)
    b = posterior["b_Subject"].values.reshape(8000, -1)
    # independent draws: standard errors of means, and of variances and covariances of a Gaussian
    root_n = np.sqrt(8000)
    assert np.all(np.abs(beta.mean(0) - at.beta.values) < 4.5 * at.beta_se.values / root_n)
    exact_sd = np.sqrt(np.diagonal(at.b_cov["Subject"].values, axis1=1, axis2=2)).ravel()
    assert np.all(np.abs(b.mean(0) - at.b["Subject"].values.ravel()) < 4.5 * exact_sd / root_n)
    np.testing.assert_allclose(b.std(0), exact_sd, rtol=4.5 / np.sqrt(2) / root_n)
    theta = posterior["theta_Subject"].values.reshape(8000, -1)
    theta_sd = np.sqrt(np.diagonal(at.theta_cov["Subject"].values, axis1=1, axis2=2)).ravel()
    np.testing.assert_allclose(theta.std(0), theta_sd, rtol=4.5 / np.sqrt(2) / root_n)


# ---- no divergences on any reference case

QUICK = [
    ("Reaction ~ Days + (Days | Subject)", "sleepstudy", None),
    ("Reaction ~ Days + (Days || Subject)", "sleepstudy", None),
    ("Reaction ~ Days + (1 | Subject)", "sleepstudy", None),
    ("Yield ~ 1 + (1 | Batch)", "dyestuff", None),
    ("distance ~ age11 * Sex + (age11 | Subject)", "orthodont", hr.by("Sex")),
    ("effect ~ 1 + (1 | school)", "eight_schools", hr.known_se("se")),
    ("invest ~ 0 + firm + firm:value + firm:capital", "grunfeld", hr.correlated("firm", unit="year")),
]


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning")
@pytest.mark.parametrize(("formula", "name", "errors"), QUICK, ids=lambda x: str(x)[:30])
def test_no_divergences(formula, name, errors):
    tree = sampled(hr.Model(formula, hr.load_dataset(name), errors=errors), draws=1000)
    assert int(tree["sample_stats"]["diverging"].sum()) == 0


def test_no_divergences_where_the_variance_estimate_is_zero():
    model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2"))
    with pytest.warns(BoundaryWarning, match="variance of Intercept"):
        tree = sampled(model, draws=1000)
    assert int(tree["sample_stats"]["diverging"].sum()) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning")
@pytest.mark.parametrize(
    "formula",
    [
        "MathAch ~ MEANSES + Sector + SES + (SES | School)",
        "MathAch ~ SES * MEANSES + SES * Sector + (SES | School)",
    ],
)
def test_no_divergences_on_math_achieve(formula):
    tree = sampled(hr.Model(formula, hr.load_dataset("math_achieve")), draws=1000)
    assert int(tree["sample_stats"]["diverging"].sum()) == 0
