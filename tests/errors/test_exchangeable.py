"""Exchangeable errors: compound symmetry written out, cases that other structures know, and published answers."""

from dataclasses import replace

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import hierreg as hr
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.results.carried import draws_in
from hierreg.variances.parameters import covariances
from tests.helpers.targets import assert_a_sampler_reads_the_same
from tests.oracles import dense
from tests.oracles.cases import spec_of
from tests.reference import load_reference, reference_data

FORMULA = "y ~ x + (x | g)"


def table(seed=4, *, sizes=(1, 2, 3, 5, 2), n_units=25, rho=(0.6, -0.2)):
    """Return units of many sizes in strata p and q, across groups, the rows in no order."""
    rng = np.random.default_rng(seed)
    rows = []
    for unit in range(n_units):
        n, s = sizes[unit % len(sizes)], int(unit % 3 == 0)
        errors = np.linalg.cholesky((1 - rho[s]) * np.eye(n) + rho[s]) @ rng.normal(0, (1.0, 1.6)[s], n)
        rows += [(f"u{unit}", "pq"[s], error) for error in errors]
    frame = pd.DataFrame(rows, columns=["unit", "kind", "y"])
    n = len(frame)
    frame["g"], frame["x"] = np.array(list("abcdef"))[rng.integers(0, 6, n)], rng.normal(2, 1, n)
    intercept, slope = rng.normal(0, 1, 6), rng.normal(0, 0.5, 6)
    g = frame["g"].map({name: i for i, name in enumerate("abcdef")}).to_numpy()
    frame["y"] += 1 + intercept[g] + (0.5 + slope[g]) * frame["x"]
    return frame.sample(frac=1.0, random_state=2).reset_index(drop=True)


STRUCTURES = {
    "one stratum": hr.exchangeable("unit"),
    "common sd": hr.exchangeable("unit", by="kind"),
    "sd by stratum": hr.exchangeable("unit", by="kind", common_sd=False),
}


def target_of(model, method):
    from hierreg.likelihood.posterior import Target

    problem = model.problem
    return Target(parameters=problem.parameters, likelihood=problem.likelihood(method), prior_on=False)


def dense_criterion(model, at, beta):
    """Return log p by one dense matrix, from sds and correlations alone."""
    problem = model.problem
    T = len(problem.layout.labels)
    R = dense.compound_symmetry(problem.layout, np.broadcast_to(at.error_sd[0], T), at.error_corr[0])
    known = replace(problem.layout, spec=spec_of("known_cov", R), V=R)
    return dense.log_likelihood(problem.design, known, at.Lambda[0] @ at.Lambda[0].T, np.eye(1), beta=beta)


# ---- the dense model


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("formula", [FORMULA, "y ~ x"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_value_and_gradient_are_those_of_compound_symmetry_written_out(name, formula, method, rng):
    model = hr.Model(formula, table(), errors=STRUCTURES[name])
    target, beta = target_of(model, method), {"reml": "flat", "ml": "ml"}[method]
    u = rng.normal(0, 0.6, target.parameters.n_free)

    def criterion(v):
        return dense_criterion(model, covariances(target.parameters, v[None]), beta)

    value, gradient = target(u)
    assert value == pytest.approx(criterion(u), rel=1e-9)
    for i, e in enumerate(np.eye(len(u))):
        slopes = [(criterion(u + h * e) - criterion(u - h * e)) / (2 * h) for h in (2e-3, 1e-3)]
        slope = (4 * slopes[1] - slopes[0]) / 3
        assert gradient[i] == pytest.approx(slope, abs=1e-8 * (1 + np.abs(gradient).max()))


@pytest.mark.parametrize("corr", [0.9999999, 1e-9, -0.2499999])
def test_near_the_ends_of_its_interval_the_correlation_keeps_its_digits(corr):
    """Rows within a unit nearly equal, or unit sums nearly zero: the value against two independent contrasts."""
    model = hr.Model("y ~ 1", table(), errors=hr.exchangeable("unit"))
    likelihood, terms = model.problem.likelihood("ml"), model.problem.gram.terms
    a, n = 1.0 - corr, terms.components.size[1:].astype(float)
    c = 1.0 + (n - 1.0) * corr
    value = likelihood.value_and_gradient(np.empty((0, 0)), np.diag([a, *c]))[0]
    y, unit = model.problem.design.y, model.problem.layout.unit
    size = np.bincount(unit)
    mean = np.bincount(unit, y) / size
    weight = size / (1.0 + (size - 1.0) * corr)
    mu = weight @ mean / weight.sum()
    within = np.sum((y - mean[unit]) ** 2)
    log_det = (len(y) - len(size)) * np.log(a) + np.sum(np.log(size / weight))
    expected = -0.5 * (within / a + weight @ (mean - mu) ** 2 + log_det + len(y) * np.log(2 * np.pi))
    assert value == pytest.approx(expected, rel=1e-9)


def test_a_sampler_reads_the_same_density_from_memory(rng):
    assert_a_sampler_reads_the_same(hr.Model(FORMULA, table(), errors=STRUCTURES["common sd"]).problem, rng)


# ---- cases that other structures know


@pytest.mark.parametrize("method", ["ml", "reml"])
def test_without_correlation_errors_are_independent(method):
    data = table()
    none = hr.Priors(error_corr=hr.Fixed(0.0))
    for errors, other in (
        (STRUCTURES["one stratum"], hr.independent()),
        (STRUCTURES["common sd"], hr.independent()),
        (STRUCTURES["sd by stratum"], hr.by("kind")),
    ):
        mine = hr.Model(FORMULA, data, errors=errors, priors=none).estimate(method)
        expected = hr.Model(FORMULA, data, errors=other).estimate(method)
        assert mine.criterion == pytest.approx(expected.criterion, abs=1e-7)
        np.testing.assert_allclose(mine.error_sd, expected.error_sd, rtol=1e-5)
        np.testing.assert_allclose(mine.beta, expected.beta, rtol=1e-5)


def test_pairs_are_two_data_sets_with_equal_standard_deviations(rng):
    """The same density in the same unconstrained vector, prior included, and the same estimate."""
    data = table(sizes=(2,), rho=(0.7, 0.7))
    data["place"] = data.groupby("unit").cumcount().map({0: "first", 1: "second"})
    pairs = hr.Model(FORMULA, data, errors=hr.exchangeable("unit"), priors=hr.Priors(error_corr=hr.LKJ(1.7)))
    both = hr.Model(FORMULA, data, errors=hr.correlated("place", unit="unit"), priors=hr.Priors(error_corr=hr.LKJ(1.7)))
    for prior_on in (False, True):
        for natural in (False, True):
            one, two = (replace(target_of(m, "reml"), prior_on=prior_on, natural=natural) for m in (pairs, both))
            u = rng.normal(0, 0.5, one.parameters.n_free)
            log_sd, corr = u[2], u[3:]
            # sds of groups and errors, then correlations of groups and errors
            equal = np.concatenate([u[:2], [log_sd, log_sd], corr])
            names = two.parameters.free_names
            assert [name.split("[")[0] for name in names] == ["sd_g", "sd_g", *["error_sd"] * 2, "corr_g", "error_corr"]
            difference = two(equal)[0] - one(u)[0]
            if not prior_on:
                assert difference == pytest.approx(0, abs=1e-9)
            else:
                # two error sds have two priors and two Jacobians
                expected = extra_prior(pairs, both, float(np.exp(log_sd))) + (0 if natural else log_sd)
                assert difference == pytest.approx(expected, abs=1e-9)


def extra_prior(pairs, both, sd):
    (one,), two = pairs.priors.error_sd, both.priors.error_sd
    return float(sum(prior.log_density(sd) for prior in two) - one.log_density(sd))


def test_a_positive_correlation_is_a_random_intercept_of_the_unit():
    """Balanced pairs, variances free in each stratum: v rho between units and v (1 - rho) within."""
    data = table(sizes=(3,), rho=(0.7, 0.7))
    mine = hr.Model("y ~ x", data, errors=hr.exchangeable("unit")).estimate("reml")
    other = hr.Model("y ~ x + (1 | unit)", data).estimate("reml")
    assert mine.criterion == pytest.approx(other.criterion, abs=1e-7)
    v, rho = float(mine.error_sd) ** 2, float(mine.error_corr)
    assert v * rho == pytest.approx(float(other.sd["unit"][0]) ** 2, rel=1e-5)
    assert v * (1 - rho) == pytest.approx(float(other.error_sd) ** 2, rel=1e-5)


def test_strata_with_their_own_parameters_are_separate_fits():
    data = table()
    mine = hr.Model("y ~ kind + kind:x", data, errors=STRUCTURES["sd by stratum"]).estimate("reml")
    for kind in "pq":
        alone = hr.Model("y ~ x", data[data["kind"] == kind], errors=hr.exchangeable("unit")).estimate("reml")
        assert float(mine.error_sd.sel(kind=kind)) == pytest.approx(float(alone.error_sd), rel=1e-6)
        assert float(mine.error_corr.sel(kind=kind)) == pytest.approx(float(alone.error_corr), rel=1e-6)


def test_a_negative_correlation_is_found_where_a_random_intercept_stops_at_zero():
    rng = np.random.default_rng(12)
    unit = np.repeat(np.arange(40), 3)
    errors = rng.multivariate_normal(np.zeros(3), 1.3 * np.eye(3) - 0.3, 40).ravel()
    data = pd.DataFrame({"unit": unit, "y": 2 + errors})
    est = hr.Model("y ~ 1", data, errors=hr.exchangeable("unit")).estimate("ml")
    # closed form of the balanced layout: mean squares within units and between them
    mean = data.groupby("unit")["y"].transform("mean")
    a = np.sum((data["y"] - mean) ** 2) / (2 * 40)
    c = np.sum((mean - data["y"].mean()) ** 2) / 40
    assert float(est.error_corr) == pytest.approx((c - a) / (c + 2 * a), rel=1e-6)
    assert float(est.error_sd) ** 2 == pytest.approx((c + 2 * a) / 3, rel=1e-6)
    assert float(est.error_corr) < -0.2
    assert not est.singular
    intercept = hr.Model("y ~ 1 + (1 | unit)", data).estimate("ml")
    assert intercept.singular


def test_units_of_one_row_change_the_variance_alone():
    """Rows that are units of their own have no correlation: their place in the table and names do not matter."""
    data = table()
    est = hr.Model(FORMULA, data, errors=STRUCTURES["common sd"]).estimate("reml")
    again = data.sample(frac=1.0, random_state=5).assign(unit=lambda rows: "z" + rows["unit"].str[::-1])
    other = hr.Model(FORMULA, again, errors=STRUCTURES["common sd"]).estimate("reml")
    assert est.criterion == pytest.approx(other.criterion, abs=1e-9)
    np.testing.assert_allclose(est.error_corr, other.error_corr, rtol=1e-6)


# ---- published answers


@pytest.fixture(scope="module")
def two_kinds():
    return reference_data("sim_b_two_correlations")


def test_two_correlations_under_one_variance(two_kinds):
    answers = load_reference("sim_b_two_correlations")["models"]["direct_ml"]
    est = hr.Model("y ~ 1", two_kinds, errors=hr.exchangeable("f", by="R")).estimate("ml")
    assert est.converged
    assert est.criterion == pytest.approx(answers["minus2_loglik"], abs=1e-6)
    mu, sigma2, r1, r2 = answers["estimate"]
    assert float(est.beta[0]) == pytest.approx(mu, abs=1e-7)
    assert float(est.error_sd) ** 2 == pytest.approx(sigma2, rel=1e-7)
    np.testing.assert_allclose(est.error_corr.sel(R=["P", "T"]), [r1, r2], rtol=1e-7)
    np.testing.assert_allclose(float(est.beta_se[0]), answers["se"][0], rtol=1e-5)
    names = ["error_sd", "error_corr[P]", "error_corr[T]"]
    se = est.variance_se.sel(parameter=names).to_numpy()
    np.testing.assert_allclose(se * [2 * float(est.error_sd), 1, 1], answers["se"][1:], rtol=1e-5)
    covariance = est.variance_cov.sel(parameter=names, parameter_col=names).to_numpy()
    scale = np.array([2 * float(est.error_sd), 1, 1])
    np.testing.assert_allclose(
        scale[:, None] * covariance * scale, np.array(answers["vcov"])[1:, 1:], rtol=1e-4, atol=1e-12
    )


@pytest.mark.parametrize("kind", ["P", "T"])
def test_compound_symmetry_of_one_kind(two_kinds, kind):
    answers = load_reference("sim_b_two_correlations")["models"]["gls_compound_symmetry_by_subset"][kind]
    est = hr.Model("y ~ 1", two_kinds[two_kinds["R"] == kind], errors=hr.exchangeable("f")).estimate("reml")
    assert -0.5 * est.criterion == pytest.approx(answers["logLik"], abs=1e-6)
    # nlme stops a little early
    assert float(est.error_corr) == pytest.approx(answers["rho"], rel=1e-6)
    assert float(est.error_sd) == pytest.approx(answers["sigma"], rel=1e-6)
    assert float(est.beta[0]) == pytest.approx(answers["mu"], rel=1e-6)


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_own_variances_recover_both_correlations(two_kinds, method):
    """Random intercept and residual sd by kind: the same likelihood with own sds and correlations by stratum."""
    answers = load_reference("sim_b_two_correlations")["models"][f"own_residual_{method}"]
    errors = hr.exchangeable("f", by="R", common_sd=False)
    est = hr.Model("y ~ 1", two_kinds, errors=errors).estimate(method)
    name = {"reml": "minus2_restricted_loglik", "ml": "minus2_loglik"}[method]
    assert est.criterion == pytest.approx(answers["criterion"][name], abs=1e-6)
    recovered = answers["recovered"]
    np.testing.assert_allclose(est.error_corr.sel(R=["P", "T"]), [recovered["r1"], recovered["r2"]], rtol=1e-6)
    total = [recovered["total_variance_P"], recovered["total_variance_T"]]
    np.testing.assert_allclose(est.error_sd.sel(R=["P", "T"]) ** 2, total, rtol=1e-6)
    se = est.variance_se.sel(parameter=["error_corr[P]", "error_corr[T]"])
    np.testing.assert_allclose(se, [recovered["se_r1"], recovered["se_r2"]], rtol=1e-4)


# ---- estimates, equations and draws


@pytest.mark.parametrize("name", STRUCTURES)
def test_estimate_is_the_maximum_of_the_dense_criterion(name):
    model = hr.Model("y ~ x + (0 + x | g)", table(), errors=STRUCTURES[name])
    est, target = model.estimate("ml"), target_of(model, "ml")
    result = optimize.minimize(
        lambda u: -dense_criterion(model, covariances(target.parameters, u[None]), "ml"),
        np.zeros(target.parameters.n_free),
        method="BFGS",
        options={"gtol": 1e-6},
    )
    assert est.converged
    assert est.criterion == pytest.approx(2 * result.fun, abs=1e-6)
    at = covariances(target.parameters, result.x[None])
    np.testing.assert_allclose(np.ravel(est.error_corr), at.error_corr[0], atol=1e-4)
    np.testing.assert_allclose(np.ravel(est.error_sd), at.error_sd[0], rtol=1e-4)


def test_equations_at_known_sd_and_correlation_are_the_dense_ones():
    model = hr.Model(FORMULA, table(), errors=STRUCTURES["common sd"])
    Sigma = np.array([[1.3, 0.2], [0.2, 0.4]])
    solution = model.solve({"g": Sigma}, {"sd": 1.2, "corr": [0.5, -0.1]})
    problem = model.problem
    R = dense.compound_symmetry(problem.layout, [1.2, 1.2], [0.5, -0.1])
    known = hr.Model(FORMULA, table(), errors=hr.known_cov(R)).solve({"g": Sigma})
    np.testing.assert_allclose(solution.beta, known.beta, rtol=1e-9)
    np.testing.assert_allclose(solution.beta_cov, known.beta_cov, rtol=1e-8)
    np.testing.assert_allclose(solution.b["g"], known.b["g"], rtol=1e-8)
    np.testing.assert_allclose(solution.b_cov["g"], known.b_cov["g"], rtol=1e-8)


def test_each_group_alone_is_least_squares_on_its_own_rows():
    """Units cross the groups: alone, a group has its own parts of units."""
    data = table()
    model = hr.Model(FORMULA, data, errors=STRUCTURES["sd by stratum"])
    with pytest.warns(hr.exceptions.HierregWarning):
        tree = model.sample(draws=20, chains=2, seed=1, progress=False)
    limit = tree["mixed_model_limit"]
    sd, rho = (limit[name].to_series() for name in ("error_sd", "error_corr"))
    for group in ("b", "e"):
        rows = data[data["g"] == group]
        X = np.column_stack([np.ones(len(rows)), rows["x"]])
        same = rows["unit"].to_numpy()[:, None] == rows["unit"].to_numpy()
        k = rows["kind"].to_numpy()
        R = same * np.array(
            [[sd[a] * sd[b] * (1.0 if i == j else rho[a]) for j, b in enumerate(k)] for i, a in enumerate(k)]
        )
        precision = X.T @ np.linalg.solve(R, X)
        expected = np.linalg.solve(precision, X.T @ np.linalg.solve(R, rows["y"]))
        np.testing.assert_allclose(limit["no_pooling_g"].sel(g=group), expected, rtol=1e-8)
        np.testing.assert_allclose(limit["no_pooling_cov_g"].sel(g=group), np.linalg.inv(precision), rtol=1e-8)
    check_weights(tree, data)


def check_weights(tree, data):
    """The posterior mean of one weight matrix of the shrinkage report, by loops."""
    posterior, group = draws_in(tree), "b"
    rows = data[data["g"] == group]
    X = np.column_stack([np.ones(len(rows)), rows["x"]])
    same = rows["unit"].to_numpy()[:, None] == rows["unit"].to_numpy()
    kind = (rows["kind"] == "q").to_numpy().astype(int)
    weights = []
    for chain in range(2):
        for draw in range(20):
            at = posterior.isel(chain=chain, draw=draw)
            sd, rho, s = (at[name].to_numpy() for name in ("error_sd", "error_corr", "sd_g"))
            R = same * sd[kind][:, None] * sd[kind] * np.where(np.eye(len(rows)) > 0, 1.0, rho[kind][:, None])
            precision = X.T @ np.linalg.solve(R, X)
            Sigma = s[:, None] * at["corr_g"].to_numpy() * s
            weights.append(np.eye(2) - np.linalg.solve(precision + np.linalg.inv(Sigma), np.linalg.inv(Sigma)))
    report = hr.shrinkage(tree)
    expected = np.mean(weights, axis=0)
    np.testing.assert_allclose(report["weight"].sel(g=group), expected, rtol=1e-8, atol=1e-10)


def test_sampling_and_reports(tmp_path):
    model = hr.Model("y ~ x + (1 | g)", table(n_units=60), errors=STRUCTURES["common sd"])
    tree = model.sample(draws=500, chains=4, seed=3, progress=False)
    assert int(tree["sample_stats"]["diverging"].sum()) == 0
    assert tree["posterior"]["error_sd"].dims == ("chain", "draw")
    assert tree["posterior"]["error_corr"].dims == ("chain", "draw", "kind")
    est = model.estimate("map")
    mean, sd = (
        tree["posterior"]["error_corr"].mean(("chain", "draw")),
        tree["posterior"]["error_corr"].std(("chain", "draw")),
    )
    assert np.all(np.abs(mean - est.error_corr) < 1.5 * sd)
    text = str(hr.summary(tree))
    assert "error_corr[p]" in text
    assert "error_corr[q]" in text
    found = hr.correlations(tree)
    rows = found.sel(correlation=["error_corr[p]", "error_corr[q]"])
    assert rows["kind"].values.tolist() == ["error", "error"]
    np.testing.assert_allclose(rows["reml"], tree["mixed_model_limit"]["error_corr"])
    hr.save(tree, tmp_path / "fit.nc")
    again = hr.load(tmp_path / "fit.nc")
    assert str(hr.correlations(again)) == str(found)
    figure = hr.plots.correlations(again)
    assert [axis.get_xlabel() for axis in figure.axes] == ["error_corr[p]", "error_corr[q]"]
    dashed = [line for line in figure.axes[1].get_lines() if line.get_linestyle() == "--"]
    x, y = dashed[0].get_xdata(), dashed[0].get_ydata()
    inside = np.isfinite(y)
    assert x[inside].min() == pytest.approx(-0.25, abs=0.01)
    np.testing.assert_allclose(y[inside], 0.8)


def test_estimate_prints_a_correlation_for_each_stratum():
    text = str(hr.Model("y ~ x", table(), errors=STRUCTURES["common sd"]).estimate())
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Correlations of errors within units"))
    assert [line.split()[0] for line in lines[start + 1 : start + 3]] == ["error_corr[p]", "error_corr[q]"]


def test_tables_add_where_strata_and_sizes_differ():
    data = table()
    units = data["unit"].unique()
    whole = hr.Model(FORMULA, data, errors=STRUCTURES["common sd"]).gram
    parts = []
    for chosen in (units[::2], units[1::2]):
        rows = data[data["unit"].isin(chosen)]
        parts.append(hr.Model(FORMULA, rows, errors=STRUCTURES["common sd"]).gram)
    total = parts[0] + parts[1]
    assert sorted(total.terms.labels) == sorted(whole.terms.labels)
    variances = {label: 0.5 + 0.3 * i for i, label in enumerate(whole.terms.labels)}
    values = [
        marginal_likelihood(gram).value_and_gradient(
            np.array([[0.8, 0.0], [0.1, 0.4]]), np.diag([variances[label] for label in gram.terms.labels])
        )[0]
        for gram in (whole, total)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-10)
    with pytest.raises(hr.exceptions.ModelError, match="one error standard deviation"):
        _ = parts[0] + hr.Model(FORMULA, data, errors=STRUCTURES["sd by stratum"]).gram


def test_rows_of_a_column_that_is_constant_within_units_leave_nothing_within_them():
    data = table().assign(x=lambda rows: rows["unit"].str[1:].astype(float))
    design = hr.Model("y ~ x", data, errors=hr.exchangeable("unit")).problem
    products = collect(design.design, design.layout).WtW[0]
    np.testing.assert_allclose(products[:2], 0, atol=1e-12 * len(data))


@pytest.mark.parametrize("u", [-200.0, -23.4, 0.3, 23.4])
def test_variances_of_components_keep_their_digits_where_rho_is_nearest_its_bounds(u):
    """No double is between such a rho and its bound, -1/4 or 1; variances are rho's exact ones all the same."""
    parameters = hr.Model("y ~ x", table(), errors=STRUCTURES["one stratum"]).problem.parameters
    found = np.diagonal(covariances(parameters, np.array([[0.3, u]])).error_cov[0])
    with mp.workdps(400):
        rho, v = -mp.mpf(1) / 4 + mp.mpf(5) / 4 / (1 + mp.exp(-2 * mp.mpf(u))), mp.exp(2 * mp.mpf(0.3))
        sizes = parameters.within_units.component_size.tolist()
        want = [float(v * (1 - rho) if n == 0 else v * (1 + (n - 1) * rho)) for n in sizes]
    assert sizes == [0, 1, 2, 3, 5]
    np.testing.assert_allclose(found, want, rtol=1e-13)
