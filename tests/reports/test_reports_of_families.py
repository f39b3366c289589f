"""Intraclass correlations of families with a log link: R's fits with the paper's formulas, draws by hand, and words."""

import numpy as np
import pytest
from scipy import special

import hierreg as hr
from hierreg.exceptions import ModelError
from hierreg.results.carried import draws_in
from tests.likelihood.quadrature.test_quadrature import TABLE

pytestmark = pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
TICKS = hr.load_dataset("grouseticks")
QUICK = {"draws": 30, "chains": 2, "tune": 60, "seed": 1, "progress": False}
# glmer of lme4 1.1-31 (Poisson) and glmmTMB 1.1.5 with R 4.2.2: v the variances between groups, lambda =
# exp(mean(X %*% fixef) + sum(v) / 2), c = 1 / lambda (+ 1 / sigma for nbinom2; sigma^2 for Gamma(link = "log")), and
# v / (sum(v) + log(1 + c)), v / (sum(v) + trigamma(1 / c)), v / (sum(v) + c).
IN_R = {
    "poisson": (
        ("TICKS ~ YEAR + I(HEIGHT / 100) + (1 | BROOD)", TICKS, hr.Poisson()),
        {"BROOD": (0.7538463999, 0.6887154797, 0.7247944080)},
    ),
    "two factors": (
        ("TICKS ~ 1 + (1 | BROOD) + (1 | LOCATION)", TICKS, hr.Poisson()),
        {
            "BROOD": (0.5711735825, 0.5654467444, 0.5685214430),
            "LOCATION": (0.3713915742, 0.3676678386, 0.3696670857),
        },
    ),
    "negative binomial": (
        ("TICKS ~ YEAR + (1 | LOCATION)", TICKS, hr.NegativeBinomial()),
        {"LOCATION": (0.7267556990, 0.5776280486, 0.6655195250)},
    ),
    "gamma": (
        ("Reaction ~ Days + (1 | Subject)", hr.load_dataset("sleepstudy"), hr.Gamma()),
        {"Subject": (0.6254237315, 0.6232365997, 0.6243333410)},
    ),
}


def rows(tree, **options):
    report = hr.correlations(tree, **options)
    return report.isel(correlation=report["kind"].values == "intraclass")


@pytest.mark.parametrize("name", IN_R)
def test_shares_at_the_estimate_are_those_of_r(name):
    (formula, table, family), expected = IN_R[name]
    tree = hr.Model(formula, table, family=family).sample(**QUICK)
    for i, observation in enumerate(("lognormal", "trigamma", "delta")):
        found = rows(tree, observation=observation)
        for factor, shares in expected.items():
            where = "Intercept" if name in {"two factors", "gamma"} else "at the means"
            mine = found.sel(correlation=f"{factor}[{where}]")
            assert float(mine["reml"]) == pytest.approx(shares[i], abs=3e-4)
            assert abs(float(mine["mean"]) - shares[i]) < 4 * float(mine["sd"])


def draws_of(tree, *names):
    return [draws_in(tree)[name].to_numpy() for name in names]


def test_shares_of_negative_binomial_responses_by_stratum_at_values_that_are_asked_for():
    table = TABLE.assign(log_n=np.log(TABLE["n"]))
    model = hr.Model("count ~ x + s + (x | g)", table, family=hr.NegativeBinomial(by="s"), offset="log_n")
    tree = model.sample(**QUICK)
    beta, sd, corr, dispersion = draws_of(tree, "beta", "sd_g", "corr_g", "dispersion")
    offset = float(np.mean(table["log_n"]))
    share_b = float(np.mean(table["s"] == "b"))
    for x, options in [(float(np.mean(table["x"])), {}), (4.0, {"at": {"x": 4.0}})]:
        z = np.array([1.0, x])
        between = np.einsum("...ij,i,j->...", sd[..., :, None] * corr * sd[..., None, :], z, z)
        rate = np.exp(beta @ [1.0, x, share_b] + offset + 0.5 * between)
        found = rows(tree, observation="trigamma", **options)
        where = "at x = 4" if options else "at the means"
        for i, stratum in enumerate("ab"):
            within = special.polygamma(1, 1.0 / (1.0 / rate + dispersion[..., i]))
            mine = found.sel(correlation=f"g[{where}], stratum[{stratum}]")
            assert float(mine["mean"]) == pytest.approx(np.mean(between / (between + within)), rel=1e-10)
    assert "s[T.b] = 0.5" in str(found["at"].values[0])


def test_shares_of_gamma_and_log_normal_responses(tmp_path):
    """Of gamma responses trigamma(shape) is the variance of the logarithm; of log-normal ones error_sd^2."""
    gamma = hr.Model("positive ~ x + (1 | g)", TABLE, family=hr.Gamma()).sample(**QUICK)
    sd, shape = draws_of(gamma, "sd_g", "shape")
    between = sd[..., 0] ** 2
    for observation, within in [
        ("lognormal", np.log1p(1.0 / shape)),
        ("trigamma", special.polygamma(1, shape)),
        ("delta", 1.0 / shape),
    ]:
        found = rows(gamma, observation=observation)
        assert float(found["mean"][0]) == pytest.approx(np.mean(between / (between + within)), rel=1e-10)
        assert found.sizes["correlation"] == 1
    logs = hr.Model("positive ~ x + (1 | g)", TABLE, family=hr.LogNormal(by="s")).sample(**QUICK)
    logs = hr.load(hr.save(logs, tmp_path / "logs.nc"))
    sd, error_sd = draws_of(logs, "sd_g", "error_sd")
    found = rows(logs)
    for i, stratum in enumerate("ab"):
        share = np.mean(sd[..., 0] ** 2 / (sd[..., 0] ** 2 + error_sd[..., i] ** 2))
        mine = found.sel(correlation=f"g[Intercept], stratum[{stratum}]")
        assert float(mine["mean"]) == pytest.approx(share, rel=1e-10)


def test_what_is_said_and_refused():
    poisson = hr.Model("count ~ x + I(x**2) + (1 | g)", TABLE, family=hr.Poisson()).sample(**QUICK)
    text = str(hr.correlations(poisson))
    assert "ln(1 + 1/lambda)" in text
    assert "at the means of the predictors (x = 4.9" in text
    assert "trigamma(1/(1/lambda))" in str(hr.correlations(poisson, observation="trigamma"))
    with pytest.raises(ModelError, match="observation='squared'"):
        hr.correlations(poisson, observation="squared")
    with pytest.raises(ModelError, match=r"I\(x \*\* 2\).*same predictor"):
        hr.correlations(poisson, at={"x": 4.0})
    with pytest.raises(ModelError, match="no column of the model"):
        hr.correlations(poisson, at={"y": 4.0})
    shares = hr.Model("share ~ x + (1 | g)", TABLE, family=hr.Beta()).sample(**QUICK)
    assert "family Beta are left out" in str(hr.correlations(shares))
    with pytest.raises(ModelError, match="belongs to counts"):
        hr.correlations(shares, observation="delta")
    poisson["statistics"] = poisson["statistics"].to_dataset().drop_vars("population_column_means")
    assert "Sample again" in str(hr.correlations(poisson))
