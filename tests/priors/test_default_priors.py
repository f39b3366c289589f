"""Default priors do not depend on how a model is coded: what it says of rows has the same posterior density.

The oracle is invariance: a recoded table is the same data, and the density at the same covariances must be the same
number. Both are asked at the same u, the variance parameters in the frame of the priors, up to the units of that frame.
"""

import itertools

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.likelihood.posterior import Target
from hierreg.variances.parameters import covariances

J, N_EACH = 9, 7


def rows():
    rng = np.random.default_rng(70)
    g = np.repeat(np.arange(J), N_EACH)
    x = rng.normal(size=g.size)
    a = np.where(rng.random(g.size) < 0.4, "treated", "control")
    y = 3 + x + (a == "treated") * (1 + 0.7 * x) + rng.normal(size=J)[g] * (1 + 0.5 * x) + 0.6 * rng.normal(size=g.size)
    return pd.DataFrame(
        {"y": y, "x": x, "a": a, "w": 0.4 * x + rng.normal(size=g.size), "se": 1 + rng.random(g.size), "g": g}
    )


def target_of(formula, table, **arguments):
    problem = hr.Model(formula, table, **arguments).problem
    return Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))


def scales(target):
    """Return the units of u: the logarithms of the scales of default priors."""
    free = target.parameters.sd_is_free
    return np.log(target.parameters.sd_parameters[free, 1])


def densities(target):
    """Return log densities at points that are the same in units of the priors, without the units of their sds."""
    rng, n_sd = np.random.default_rng(5), len(scales(target))
    out = []
    for _ in range(4):
        u = rng.normal(0, 0.8, target.parameters.n_free)
        u[:n_sd] += scales(target) - 0.5
        out.append(target(u)[0])
    return np.array(out)


SHIFTS = {"centred": 0.0, "years": 2012.0, "seconds": 1e6}
FORMULAS = (
    "y ~ x + (x | g)",
    "y ~ a * x + (1 | g)",
    "y ~ a * x + (a * x | g)",
    "y ~ x + I(x**2) + (x + I(x**2) | g)",
    "y ~ a * x + I(x**2) + (x | g)",
    "y ~ 0 + a + a:x + (0 + a + a:x | g)",
    "y ~ x + w + (w + x | g)",
    "y ~ x",
)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("unit", [1.0, 1e-3, 365.0])
@pytest.mark.parametrize("shift", [0.0, 50.0, 2012.0])
def test_zero_and_unit_of_a_predictor(formula, unit, shift):
    table = rows()
    recoded = table.assign(x=unit * (table["x"] + shift))
    np.testing.assert_allclose(
        densities(target_of(formula, recoded)), densities(target_of(formula, table)), rtol=0, atol=1e-8
    )


@pytest.mark.parametrize("formula", ["y ~ x + (0 + k | g)", "y ~ 0 + k + x + (0 + k | g)"])
def test_unit_of_a_column_that_is_constant(formula):
    table = rows()
    reference = target_of(formula.replace("0 + k", "1"), table)
    for size in (0.1, 3000.0):
        own = target_of(formula, table.assign(k=size))
        np.testing.assert_allclose(densities(own), densities(reference), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("y ~ x + I(x**2) + (1 | g)", "y ~ poly(x, 2) + (1 | g)"),
        ("y ~ x + I(x**2) + (x + I(x**2) | g)", "y ~ poly(x, 2) + (poly(x, 2) | g)"),
        ("y ~ a * x + (x | g)", "y ~ a * scale(x) + (scale(x) | g)"),
        ("y ~ a * x + (1 | g)", "y ~ a * I(x - 3) + (1 | g)"),
        ("y ~ a + (1 | g)", "y ~ 0 + a + (1 | g)"),
        ("y ~ x + w + (1 | g)", "y ~ I(x + w) + I(x - w) + (1 | g)"),
    ],
)
def test_codings_of_one_model(one, other):
    table = rows()
    np.testing.assert_allclose(densities(target_of(one, table)), densities(target_of(other, table)), rtol=0, atol=1e-8)


@pytest.mark.parametrize("formula", FORMULAS)
def test_zero_and_unit_of_the_response(formula):
    table = rows()
    unit = 1e3
    change = densities(target_of(formula, table.assign(y=unit * table["y"] + 5e6))) - densities(
        target_of(formula, table)
    )
    np.testing.assert_allclose(change, -len(table) * np.log(unit), rtol=0, atol=1e-7)


def test_errors_with_a_factor_follow_the_units_of_response_and_errors():
    table = rows()
    errors = hr.known_se("se", scale=True)
    base = densities(target_of("y ~ x + (1 | g)", table, errors=errors))
    for y_unit, se_unit in itertools.product([1.0, 1e3], [1.0, 1e-2]):
        other = table.assign(y=y_unit * table["y"], se=se_unit * table["se"])
        found = densities(target_of("y ~ x + (1 | g)", other, errors=errors))
        np.testing.assert_allclose(found - base, -len(table) * np.log(y_unit), rtol=0, atol=1e-7)
    V = np.diag(table["se"] ** 2)
    known = densities(target_of("y ~ x + (1 | g)", table, errors=hr.known_cov(V, scale=True)))
    np.testing.assert_allclose(known, base, rtol=0, atol=1e-8)


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ 0 + x + a + (1 | g)"])
def test_the_scale_of_a_factor_of_known_errors_does_not_depend_on_the_zero_of_the_response(formula):
    """Without an intercept the levels of a hold the constant between them, and the fit is of the size of y."""
    errors = hr.known_se("se", scale=True)
    # In steps of 2^-10, so that shifts are exact.
    table = rows().assign(y=lambda d: np.round(1024 * d["y"]) / 1024)

    def scale(shift):
        return hr.Model(formula, table.assign(y=table["y"] + shift), errors=errors).priors.error_sd[0].sigma

    for shift, digits in ((1e4, 1e-10), (1e6, 1e-8), (1e8, 1e-6), (1e9, 1e-5)):
        assert scale(shift) == pytest.approx(scale(0.0), rel=digits)


def test_the_prior_of_fits_is_that_of_one_row():
    """beta ~ N(m, (X'X / (n s^2))^-1) with X m = mean(y), s = 2.5 sd(y): written with X alone."""
    table = rows()
    model = hr.Model("y ~ a * x + (1 | g)", table)
    X, y = model.problem.design.X, table["y"].to_numpy()
    priors = model.priors
    precision = priors.beta_basis.T @ np.diag([1 / prior.sigma**2 for prior in priors.beta]) @ priors.beta_basis
    np.testing.assert_allclose(precision, X.T @ X / len(X) / (2.5 * y.std()) ** 2, rtol=1e-10)
    mean = np.linalg.solve(priors.beta_basis, [prior.mu for prior in priors.beta])
    np.testing.assert_allclose(X @ mean, y.mean(), rtol=1e-10)


def test_uncorrelated_columns_have_the_familiar_scales():
    table = pd.DataFrame({"x": [-1.0, 1, -1, 1] * 3, "w": [-2.0, -2, 2, 2] * 3, "y": np.arange(12.0) ** 1.5})
    model = hr.Model("y ~ x + w", table)
    sd = table["y"].std(ddof=0)
    assert [prior.sigma for prior in model.priors.beta] == pytest.approx([2.5 * sd, 2.5 * sd / 1, 2.5 * sd / 2])
    assert model.priors.beta[0].mu == pytest.approx(table["y"].mean())


def test_given_priors_stay_literal_beside_defaults():
    """The prior of the last column is one of its own coefficient, whatever the zero of x; the rest stays invariant."""
    table = rows()
    priors = hr.Priors(beta={"a[T.treated]:x": hr.Normal(0, 0.3)}, sd={"g": {"x": hr.HalfStudentT(4, 0.4)}})
    formula = "y ~ a * x + (x | g)"
    base = target_of(formula, table, priors=priors)
    moved = target_of(formula, table.assign(x=table["x"] + 2012), priors=priors)
    np.testing.assert_allclose(densities(moved), densities(base), rtol=0, atol=1e-8)
    resolved = hr.Model(formula, table, priors=priors).priors
    np.testing.assert_array_equal(resolved.beta_basis[3], [0, 0, 0, 1])
    np.testing.assert_array_equal(resolved.frames["g"].from_raw[1], [0, 1])


def test_given_correlations_are_those_of_the_columns_as_they_stand():
    table = rows()
    model = hr.Model("y ~ x + (x | g)", table.assign(x=table["x"] + 4), priors=hr.Priors(corr={"g": hr.LKJ(3)}))
    frame = model.priors.frames["g"]
    np.testing.assert_array_equal(frame.to_raw, np.eye(2))
    # sd of the intercept at x = 0: the level's and the slope's over the way there, as their defaults have it
    level, slope = hr.Model("y ~ x + (x | g)", table).priors.sd["g"]
    mean = float(np.mean(table["x"])) + 4
    assert model.priors.sd["g"][0].sigma == pytest.approx(np.hypot(level.sigma, mean * slope.sigma))


def test_sds_and_correlations_in_results_are_those_of_the_columns():
    table = rows()
    problem = hr.Model("y ~ x + (x | g)", table.assign(x=table["x"] + 10)).problem
    u = np.array([[np.log(0.7), np.log(0.2), 0.3, np.log(1.1)]])
    u[0, 2:] = u[0, [3, 2]]  # sds first, the partial correlation last
    at = covariances(problem.parameters, u)
    mean = float(np.mean(table["x"])) + 10
    rho = np.tanh(0.3)
    cov = np.array([[0.49, rho * 0.14], [rho * 0.14, 0.04]])
    T = np.array([[1, -mean], [0, 1]])
    want = T @ cov @ T.T
    np.testing.assert_allclose(at.Lambda[0] @ at.Lambda[0].T, want, rtol=1e-12)
    np.testing.assert_allclose(at.sd[0], np.sqrt(np.diagonal(want)), rtol=1e-12)
    np.testing.assert_allclose(at.corr[0, 0, 1], want[0, 1] / np.sqrt(want[0, 0] * want[1, 1]), rtol=1e-12)


@pytest.mark.parametrize("ratio", [1e3, 1e5, 1e7])
def test_given_priors_where_a_predictor_is_far_from_zero(ratio):
    """A fixed slope and flat rest: the same model as with the predictor centred by hand."""
    rng = np.random.default_rng(1)
    x, z = ratio + rng.normal(size=60), rng.normal(size=60)
    y = 1 + 0.5 * (x - ratio) + z + rng.normal(size=60)
    priors = hr.Priors(beta={"Intercept": hr.Flat(), "x": hr.Fixed(0.0), "z": hr.Flat()})
    found = []
    for column in (x, x - ratio):
        table = pd.DataFrame({"y": y, "x": column, "z": z})
        target = target_of("y ~ x + z", table, priors=priors)
        target = Target(parameters=target.parameters, likelihood=target.likelihood, prior_on=False)
        found.append(target(np.log([1.0]))[0] - target(np.log([0.5]))[0])
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_a_constant_response_with_known_errors_has_their_scale():
    table = pd.DataFrame({"y": np.full(8, 0.1), "se": np.tile([0.5, 2.0], 4), "g": np.repeat([0, 1, 2, 3], 2)})
    model = hr.Model("y ~ 1 + (1 | g)", table, errors=hr.known_se("se"))
    assert model.priors.sd["g"][0].sigma == pytest.approx(1.0)  # the geometric mean of 0.5 and 2
    assert float(model.estimate().beta[0]) == pytest.approx(0.1)
