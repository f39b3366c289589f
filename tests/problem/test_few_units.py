"""Correlated errors of few units: where the likelihood has no bound, and which prior gives it one."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import ConvergenceWarning, PriorError
from hierreg.likelihood.posterior import Target
from hierreg.problem.few_units import check_density_is_bounded, spike_of


def table(units, sets, seed=0, drop=()):
    rng = np.random.default_rng(seed)
    rows = [(i, f"d{k}", rng.normal()) for i in range(units) for k in range(sets) if (i, k) not in drop]
    out = pd.DataFrame(rows, columns=["unit", "set", "x"])
    return out.assign(y=1 + out.x + rng.normal(size=len(out)))


def model(units, sets, formula="y ~ 0 + set", eta=1.0, drop=()):
    priors = hr.Priors(error_corr=hr.LKJ(eta))
    return hr.Model(formula, table(units, sets, drop=drop), errors=hr.correlated("set", unit="unit"), priors=priors)


def spike(built):
    problem = built.problem
    return spike_of(problem.gram, problem.fixed)


def restricted_log_likelihood(S, Y):
    """One mean for each of D data sets, n units: the density of n - 1 residual vectors, as in a textbook."""
    n = len(Y)
    E = Y - Y.mean(axis=0)
    return -0.5 * (n - 1) * np.linalg.slogdet(S)[1] - 0.5 * np.trace(np.linalg.solve(S, E.T @ E))


@pytest.mark.parametrize(("units", "sets"), [(3, 3), (4, 4), (4, 6), (6, 6)])
def test_the_likelihood_grows_as_half_the_residuals(units, sets):
    """Along a combination without residuals, S loses rank as lambda -> 0, the likelihood grows as lambda^(-k / 2)."""
    Y = table(units, sets).y.to_numpy().reshape(units, sets)
    E = Y - Y.mean(axis=0)
    v = np.linalg.svd(E)[2][-1]
    small, smaller = 1e-6, 1e-8
    rest = np.eye(sets) - np.outer(v, v)
    values = [restricted_log_likelihood(rest + eps * np.outer(v, v), Y) for eps in (small, smaller)]
    k = 2 * (values[1] - values[0]) / np.log(small / smaller)
    assert k == pytest.approx(units - 1, abs=1e-3)
    found = spike(model(units, sets))
    assert found.n_units == units
    # one combination asks for k / 2; several at once may ask for more
    assert found.eta >= k / 2 - 1e-3


def test_the_least_eta_bounds_the_density_of_u():
    """Six units, six means: eta = 5 / 2. Below it the density grows along a path to singular correlations, above falls.

    The path is in u: the last data set becomes the regression of its residuals on the others', and less and less is
    left of it.
    """
    built = model(6, 6)
    assert spike(built).eta == pytest.approx(2.5)
    Y = table(6, 6).y.to_numpy().reshape(6, 6)
    E = Y - Y.mean(axis=0)
    c = np.linalg.lstsq(E[:, :5], E[:, 5], rcond=None)[0]
    assert np.abs(E[:, 5] - E[:, :5] @ c).max() < 1e-10

    def heights(eta):
        problem = model(6, 6, eta=eta).problem
        target = Target(parameters=problem.parameters, likelihood=problem.likelihood("reml"))
        out = []
        for small in (1e-3, 1e-4, 1e-5):
            L = np.zeros((6, 6))
            L[:5, :5] = np.eye(5)
            L[5, :5], L[5, 5] = c, small
            sd = np.linalg.norm(L, axis=1)
            factor = L / sd[:, None]
            z = [np.arcsinh(factor[5, j] / np.linalg.norm(factor[5, j + 1 :])) for j in range(5)]
            out.append(target(np.concatenate([np.log(sd), np.zeros(10), z]))[0])
        return np.diff(out)

    assert np.all(heights(2.0) > 0.5)
    assert np.all(np.abs(heights(2.5)) < 0.1)
    assert np.all(heights(3.0) < -0.5)


CASES = [  # units, data sets, formula, eta of the bound; None where there is none
    (6, 7, "y ~ x", 2.25),
    (5, 5, "y ~ x", 1.5),
    (3, 3, "y ~ 0 + set", 1.0),
    (4, 3, "y ~ 0 + set", None),
    (2, 2, "y ~ 0 + set", 0.5),
    (60, 2, "y ~ x", None),
    (8, 7, "y ~ x + (1 | set)", 3.0),
]


@pytest.mark.parametrize(("units", "sets", "formula", "eta"), CASES)
def test_the_bound_follows_from_units_columns_and_data_sets(units, sets, formula, eta):
    found = spike(model(units, sets, formula))
    assert (found and found.eta) == (eta and pytest.approx(eta))


def test_units_count_that_have_the_data_sets():
    """Forty units, of which five have the last two of five data sets."""
    missing = {(i, k) for i in range(5, 40) for k in (3, 4)}
    found = spike(model(40, 5, drop=missing))
    assert (found.n_units, found.labels) == (5, ("d0", "d1", "d2", "d3", "d4"))
    assert spike(model(40, 5, drop={(i, 4) for i in range(10, 40)})) is None


@pytest.mark.parametrize("method", ["nuts", "psis"])
def test_a_prior_that_is_too_weak_is_refused_before_sampling(method):
    with pytest.raises(PriorError, match=r"LKJ\(1\) is too weak for so few units: 6 units .*hr.LKJ\(3.5\)"):
        model(6, 7, "y ~ x").sample(method=method, draws=10, seed=1, progress=False)


def test_the_prior_that_is_named_mends_it():
    with warnings.catch_warnings(record=True):  # of the REML limit, which has no maximum, and of a single divergence
        warnings.simplefilter("always")
        tree = model(6, 7, "y ~ x", eta=3.5).sample(draws=300, chains=2, seed=1, progress=False)
    assert int(tree["sample_stats"]["diverging"].sum()) <= 3


def test_few_units_under_a_prior_that_is_just_strong_enough_are_said():
    with pytest.warns(ConvergenceWarning, match="few units for error_corr"):
        check_density_is_bounded(model(2, 2, eta=1.2).problem)
    check_density_is_bounded(model(2, 2, eta=1.5).problem)


def test_reml_has_no_maximum_and_says_why():
    est = model(6, 7, "y ~ x").estimate()
    assert not est.converged
    assert "6 units have the 7 data sets" in est.message
    assert "has no maximum" in est.message


def test_the_prior_that_is_named_can_be_sampled_where_reml_ends_at_singular_correlations():
    """Six means for six units: the equations at the REML estimate, which has none, have no digits."""
    built = model(6, 6, eta=3.5)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        tree = built.sample(draws=20, tune=50, chains=1, seed=1, progress=False)
    limit = tree["mixed_model_limit"]
    assert not limit.attrs["converged"]
    means = table(6, 6).groupby("set").y.mean().to_numpy()  # least squares, whatever the covariance
    np.testing.assert_allclose(limit["beta"], means, rtol=1e-6)


def test_steps_are_small_where_the_density_is_a_funnel():
    """Of two units for two data sets 0.5 to 3 in a hundred draws diverged with steps of the usual size."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        usual, small = (
            model(2, 2, eta=1.5).sample(draws=500, chains=2, seed=1, progress=False, target_accept=accept)
            for accept in (0.8, None)
        )
    steps = [float(tree["sample_stats"]["step_size"].mean()) for tree in (usual, small)]
    assert steps[1] < 0.7 * steps[0]
    assert int(small["sample_stats"]["diverging"].sum()) <= 3


# ---- from statistics alone


def rank_of_rows(frame, columns, members, m):
    """How many units have all members, and the rank of V'[X Z] of them, V in general position, from the rows."""
    X = columns(frame)
    V = np.random.default_rng(1).normal(size=(len(members), m))
    stacked = []
    for unit in frame.unit.unique():
        at = [np.flatnonzero((frame.unit == unit) & (frame.set == f"d{k}")) for k in members]
        if all(len(rows) for rows in at):
            stacked.append(V.T @ X[np.concatenate(at)])
    return len(stacked), np.linalg.matrix_rank(np.concatenate(stacked))


DESIGNS = {
    "y ~ x": lambda frame: np.column_stack([np.ones(len(frame)), frame.x]),
    "y ~ 0 + set": lambda frame: pd.get_dummies(frame.set).to_numpy(float),
    "y ~ x + (1 | set)": lambda frame: np.column_stack([frame.x, pd.get_dummies(frame.set)]).astype(float),
    "y ~ 0 + x + (0 + x | unit)": lambda frame: (
        pd.get_dummies(frame.unit).to_numpy(float) * frame.x.to_numpy()[:, None]
    ),
}


@pytest.mark.parametrize("formula", DESIGNS)
@pytest.mark.parametrize(("units", "sets", "drop"), [(6, 7, ()), (5, 4, ()), (12, 5, {(i, 4) for i in range(3, 12)})])
def test_cross_products_know_how_many_residuals_there_are(formula, units, sets, drop):
    """k is as (1) has it, with the rank of the rows themselves, for whatever number of combinations asks for most."""
    frame = table(units, sets, drop=drop)
    found = spike(model(units, sets, formula, drop=drop))
    possible = []
    for members in [range(sets), range(sets - 1)] if drop else [range(sets)]:
        a = len(members)
        for m in range(1, a):
            n, rank = rank_of_rows(frame, DESIGNS[formula], members, m)
            k = n * m - rank
            if 0 < k <= m * (a - m):
                eta = (k / 2 - sum(sets - 2 - j for j in range(a - 1 - m, a - 1)) / 2) / m
                possible.append((eta, n, k))
    if found is None:
        assert not possible
    else:
        assert found.eta == pytest.approx(max(possible)[0])
        assert (found.eta, found.n_units, found.residuals) in possible


def test_a_model_of_statistics_says_the_same():
    data = table(6, 7)
    errors = hr.correlated("set", unit="unit")
    gram = hr.Gram.from_batches([data[:14], data[14:]], "y ~ x", errors)
    assert spike(hr.Model.from_gram(gram)) == spike(model(6, 7, "y ~ x"))
    with pytest.raises(PriorError, match=r"LKJ\(1\) is too weak for so few units: 6 units .*hr.LKJ\(3.5\)"):
        hr.Model.from_gram(gram).sample(draws=10, seed=1, progress=False)
    assert "has no maximum" in hr.Model.from_gram(gram).estimate().message


def pairs(units, formula, seed=0):
    """Return a table of two data sets in so many units, each a group, and a model; predictors differ within units."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"set": np.tile([0, 1], units), "unit": np.repeat(np.arange(units), 2)})
    for name in ("y", "x", "z", "w"):
        frame[name] = rng.standard_normal(len(frame))
    frame["g"] = frame.unit
    return frame, hr.Model(formula, frame, errors=hr.correlated("set", unit="unit"))


def test_ml_has_no_maximum_where_coefficients_fit_a_combination_of_data_sets():
    """Four units, four coefficients: the sd of a combination goes to zero, and the density of four numbers grows."""
    frame, built = pairs(4, "y ~ x + z + w")
    assert spike(built) is None
    est = built.estimate("ml")
    assert not est.converged
    assert "can be fitted exactly in the 4 units" in est.message
    # So it grows, by the dense formula at coefficients that fit y_0 + y_1: as a^-1 in the variance of the combination.
    X = np.column_stack([np.ones(8), frame.x, frame.z, frame.w])
    both = X[0::2] + X[1::2]
    y = frame.y.to_numpy()
    residual = y - X @ np.linalg.solve(both, y[0::2] + y[1::2])
    growth = []
    for a in (1e-4, 1e-6, 1e-8):
        S = 0.5 * np.array([[1.0 + a, a - 1.0], [a - 1.0, 1.0 + a]])
        e = residual.reshape(-1, 2)
        growth.append(-0.5 * (len(e) * np.linalg.slogdet(S)[1] + np.sum(e @ np.linalg.inv(S) * e)))
    np.testing.assert_allclose(np.diff(growth), 0.5 * 4 * np.log(100), rtol=1e-2)


def test_ml_of_more_units_than_coefficients_has_one():
    assert "no maximum" not in pairs(6, "y ~ x + z + w")[1].estimate("ml").message


def test_reml_has_no_maximum_where_it_has_none_without_the_groups():
    """Groups of known variance take up residuals; an unknown one may be zero."""
    _, built = pairs(2, "y ~ 1 + (1 | g)")
    assert "2 units have the 2 data sets" in built.estimate().message
