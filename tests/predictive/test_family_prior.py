"""Log prior densities of models whose response is not normal, against PyMC, and what ArviZ makes of them."""

import arviz_stats
import numpy as np
import pytest
from scipy import special, stats

import hierreg as hr
from tests.likelihood.quadrature.test_quadrature import TABLE

pytestmark = pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
HERDS = hr.load_dataset("cbpp")
PRIORS = hr.Priors(beta={"period[T.2]": hr.Normal(0, 1)}, sd=hr.Exponential(1))
MODELS = {
    "binomial": (
        "cbind(incidence, size - incidence) ~ period + (1 | herd)",
        HERDS,
        hr.Binomial(),
        PRIORS,
    ),
    "negative binomial": ("count ~ x + (1 | g)", TABLE, hr.NegativeBinomial(by="s", dispersion=hr.HalfNormal(1)), None),
    "log normal": ("positive ~ x + (1 | g)", TABLE, hr.LogNormal(), None),
    "student t": ("signed ~ x + (1 | g)", TABLE, hr.StudentT(hr.Gamma(3, 0.5), by="s"), None),
    "student t, known nu": ("signed ~ x + (1 | g)", TABLE, hr.StudentT(4, error_scale=hr.HalfNormal(2)), None),
    "ordered": ("rank ~ x + s + (1 | g)", TABLE, hr.Cumulative(), None),
    "ordered, a fixed coefficient": (
        "rank ~ x + s + (1 | g)",
        TABLE,
        hr.Cumulative("probit"),
        hr.Priors(beta={"s[T.b]": hr.Fixed(0.3)}),
    ),
    "ordered, thresholds alone": ("rank ~ 1 + (1 | g)", TABLE, hr.Cumulative("probit"), None),
}


def pymc_point(problem, draw, names):
    """Return the value of each of PyMC's variables at one draw."""
    beta, thresholds = draw["beta"], draw.get("thresholds")
    if thresholds is None:
        phi = problem.priors.beta_basis @ beta
    else:
        phi, thresholds = problem.as_sampled(beta, thresholds)
        phi = phi[problem.kept_coefficients]
    factor = problem.design.factors[0].name
    out = {f"sd_{factor}_log__": np.log(draw[f"sd_{factor}"]), f"b_{factor}": draw[f"b_{factor}"]}
    for name in names:
        if name.startswith("beta"):
            # Those that are not fixed have variables of their own where another one is.
            place = name.removeprefix("beta_at_means").removeprefix("beta").lstrip("_")
            coef = [problem.design.coef_names[k] for k in problem.kept_coefficients]
            out[name] = phi if place not in coef else phi[coef.index(place)]
        elif name.startswith("thresholds"):
            out[name] = np.concatenate([thresholds[:1], np.log(np.diff(thresholds))])
    for i, stratum in enumerate(problem.auxiliary.strata):
        for name in problem.auxiliary.names if thresholds is None else ():
            value, lowest = draw[name], problem.auxiliary.lowest.get(name)
            own = name if lowest is None else f"{name}_above_{lowest:g}"
            own, value = (own, value) if value.ndim == 0 else (f"{own}_{stratum}", value[i])
            with np.errstate(invalid="ignore"):  # of a known value there is no variable
                out[f"{own}_log__"] = np.log(value - (lowest or 0.0))
    return {name: out[name] for name in names}


@pytest.mark.parametrize("name", MODELS)
def test_prior_likelihood_and_effects_are_the_density_of_the_pymc_model(name):
    formula, table, family, priors = MODELS[name]
    model = hr.Model(formula, table, family=family, priors=priors)
    tree = model.sample(draws=30, chains=1, tune=60, seed=1, progress=False, include=["log_likelihood", "log_prior"])
    again = hr.log_prior(tree, model)["log_prior"].to_dataset()
    pymc_model = model.to_pymc("centered")
    density = pymc_model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    posterior, factor = tree["posterior"].to_dataset(), model.problem.design.factors[0].name
    # Increasing thresholds: PyMC's density is that of unordered ones.
    m = model.problem.auxiliary.shape[1]
    constant = special.gammaln(m + 1) if model.problem.auxiliary.has_order else 0.0
    for s in (0, 11, 29):
        draw = {key: values.to_numpy()[0, s] for key, values in posterior.data_vars.items()}
        theirs = float(density(pymc_point(model.problem, draw, list(pymc_model.initial_point()))))
        prior = sum(float(values.isel(chain=0, draw=s).sum()) for values in tree["log_prior"].data_vars.values())
        rows = sum(float(values.isel(chain=0, draw=s).sum()) for values in tree["log_likelihood"].data_vars.values())
        effects = stats.norm.logpdf(draw[f"b_{factor}"], 0, draw[f"sd_{factor}"]).sum()
        assert prior + rows + effects == pytest.approx(theirs + constant, abs=1e-8)
    assert all(again[key].equals(values) for key, values in tree["log_prior"].data_vars.items())


def test_log_prior_of_several_coefficients_is_that_of_the_sampler():
    """Sd and correlation of the frame, in which densities have no Jacobian; against the density that is sampled."""
    model = hr.Model("count ~ x + (x | g)", TABLE, family=hr.Poisson())
    tree = model.sample(draws=30, chains=1, tune=60, seed=1, progress=False, include=["log_prior"])
    prior = tree["log_prior"].to_dataset()
    assert set(prior.data_vars) == {"beta", "sd_g", "corr_g"}
    problem = model.problem
    phi = tree["posterior"]["beta"].to_numpy()[0] @ problem.priors.beta_basis.T
    expected = np.array([problem.population.log_density(one)[0] for one in phi])
    np.testing.assert_allclose(prior["beta"].sum("coef").to_numpy()[0], expected, rtol=1e-12)


def test_sensitivity_to_priors_and_likelihood():
    formula, table, family, _ = MODELS["binomial"]
    found = {}
    for name, priors in {"default": None, "strong": hr.Priors(beta={"period[T.2]": hr.Normal(2.0, 0.2)})}.items():
        model = hr.Model(formula, table, family=family, priors=priors)
        tree = model.sample(draws=500, seed=1, progress=False, include=["log_likelihood", "log_prior"])
        found[name] = arviz_stats.psense_summary(tree, var_names=["beta"]).loc["beta[period[T.2]]"]
    # A prior that contradicts the data is what the summary is for.
    assert found["strong"]["prior"] > 0.05 > found["default"]["prior"]
    assert "conflict" in found["strong"]["diagnosis"]
    assert "conflict" not in found["default"]["diagnosis"]
    assert found["default"]["likelihood"] > 0.05
