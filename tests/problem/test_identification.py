"""Variance parameters that a design cannot tell apart are named, and others are not."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.estimate.identification import flat_directions
from hierreg.exceptions import IdentificationWarning
from tests.reference import reference_data


def two_rows(more=0):
    """Hundred groups of two rows, at t = 0 and t = 1; one more row in some."""
    rng = np.random.default_rng(1)
    g, t = np.tile(np.arange(100), 2), np.repeat([0.0, 1.0], 100)
    g, t = np.append(g, np.arange(more)), np.append(t, np.full(more, 2.0))
    y = 0.5 * rng.normal(size=100)[g] + 0.3 * rng.normal(size=100)[g] * t + 0.4 * rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "t": t, "g": g, "s": t.astype(int).astype(str)})


def six_rows():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(12), 6)
    table = pd.DataFrame({"g": g, "h": [f"a{j}" for j in g], "k": rng.integers(0, 4, 72), "x": rng.normal(size=72)})
    return table.assign(y=1 + 0.5 * table.x + rng.normal(size=12)[g] + rng.normal(size=72))


FLAT = {
    "as many group coefficients as rows": (
        lambda: hr.Model("y ~ t + (t | g)", two_rows()),
        {"sd_g[Intercept]", "sd_g[t]", "error_sd", "corr_g[t, Intercept]"},
    ),
    "the same, years": (
        lambda: hr.Model("y ~ t + (t | g)", two_rows().assign(t=lambda rows: rows["t"] + 2000)),
        {"sd_g[Intercept]", "sd_g[t]", "error_sd", "corr_g[t, Intercept]"},
    ),
    "the same, errors by stratum": (
        lambda: hr.Model("y ~ t + (t | g)", two_rows(), errors=hr.by("s")),
        {"sd_g[Intercept]", "sd_g[t]", "error_sd[0]", "error_sd[1]", "corr_g[t, Intercept]"},
    ),
    "groups are the units of correlated errors": (
        lambda: hr.Model("y ~ t + (1 | g)", two_rows(), errors=hr.correlated("s", unit="g")),
        {"sd_g[Intercept]", "error_sd[0]", "error_sd[1]", "error_corr[1, 0]"},
    ),
    "the factor in the population": (lambda: hr.Model("y ~ x + C(g) + (1 | g)", six_rows()), {"sd_g[Intercept]"}),
    "the factor in the population, slopes too": (
        lambda: hr.Model("y ~ C(g) * x + (x | g)", six_rows()),
        {"sd_g[Intercept]", "sd_g[x]", "corr_g[x, Intercept]"},
    ),
    "beside a factor that is told": (
        lambda: hr.Model("y ~ C(g) + (1 | g) + (1 | k)", six_rows()),
        {"sd_g[Intercept]"},
    ),
}


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("case", FLAT.values(), ids=FLAT)
def test_what_the_data_do_not_determine_is_named(case, method):
    build, names = case
    with pytest.warns(IdentificationWarning, match="the data do not determine"):
        est = build().estimate(method)
    assert set(est.unidentified) == names
    assert all(name in est.message for name in names)
    se = est.variance_se.to_series()
    assert se[sorted(names)].isna().all()


def test_what_is_determined_beside_it_keeps_its_standard_error():
    """With the groups' levels taken out the errors are those of a regression on x and 12 levels."""
    table = six_rows()
    with pytest.warns(IdentificationWarning):
        est = hr.Model("y ~ x + C(g) + (1 | g)", table).estimate()
    X = np.column_stack([table.x, pd.get_dummies(table.g).to_numpy(float)])
    residual = table.y - X @ np.linalg.lstsq(X, table.y, rcond=None)[0]
    sigma = np.sqrt(residual @ residual / (72 - 13))
    assert float(est.error_sd) == pytest.approx(sigma, rel=1e-7)
    assert float(est.variance_se.sel(parameter="error_sd")) == pytest.approx(sigma / np.sqrt(2 * (72 - 13)), rel=1e-5)


TOLD = {
    "one row more in one group": lambda: hr.Model("y ~ t + (t | g)", two_rows(more=1)),
    "uncorrelated": lambda: hr.Model("y ~ t + (t || g)", two_rows()),
    "known errors": lambda: hr.Model("y ~ t + (t | g)", two_rows().assign(se=0.4), errors=hr.known_se("se")),
    "fixed errors": lambda: hr.Model("y ~ t + (t | g)", two_rows(), priors=hr.Priors(error_sd=hr.Fixed(0.4))),
    "strata": lambda: hr.Model("y ~ t + (1 | g)", two_rows(), errors=hr.by("s")),
    "slopes of the same groups under another name": lambda: hr.Model("y ~ x + (1 | g) + (0 + x | h)", six_rows()),
    "exchangeable": lambda: hr.Model("y ~ x + (x | g)", six_rows(), errors=hr.exchangeable("k")),
    "sleepstudy": lambda: hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")),
    "zero variance": lambda: hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2")),
    "orthodont": lambda: hr.Model("distance ~ age11 * Sex + (age11 | Subject)", reference_data("orthodont")),
}


@pytest.mark.parametrize("build", TOLD.values(), ids=TOLD)
def test_nothing_is_said_of_what_the_data_determine(build):
    model = build()
    problem = model.problem
    assert flat_directions(problem.likelihood("reml"), problem.parameters) is None
    assert model.estimate().unidentified == ()


def test_a_posterior_that_is_the_priors_says_so():
    model = hr.Model("y ~ x + C(g) + (1 | g)", six_rows())
    with pytest.warns(IdentificationWarning, match="posterior is their prior's"):
        tree = model.sample(draws=200, chains=2, seed=1, progress=False, method="psis")
    assert tree.attrs["unidentified"] == "sd_g[Intercept]"
