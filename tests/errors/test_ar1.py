"""AR(1) errors within units: the covariance written out entry by entry, nlme's answers, cases that others know."""

from dataclasses import replace

import mpmath as mp
import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.likelihood.posterior import Target
from hierreg.results.carried import draws_in
from hierreg.variances.parameters import covariances
from tests.helpers.targets import assert_a_sampler_reads_the_same
from tests.reference import load_reference, reference_data

AR1 = hr.ar1("day", unit="unit")


def table(seed=3, n_units=14, rho=0.6):
    """Return units of 1 to 7 rows with gaps, times of some negative, rows in no order.

    ``w`` contains units, ``c`` crosses them.
    """
    rng, rows = np.random.default_rng(seed), []
    for u in range(n_units):
        n = (1, 4, 6, 2, 5, 3, 7)[u % 7]
        days = np.sort(rng.choice(np.arange(-3, 9), n, replace=False))
        R = rho ** np.abs(days[:, None] - days).astype(float) if rho > 0 else np.eye(n)
        rows += zip([f"u{u}"] * n, days, np.linalg.cholesky(R) @ rng.normal(0, 1.3, n), strict=True)
    frame = pd.DataFrame(rows, columns=["unit", "day", "y"])
    n = len(frame)
    frame["x"] = rng.normal(2, 1, n)
    frame["w"] = frame["unit"].map(lambda name: "klm"[int(name[1:]) % 3])
    frame["c"] = np.array(list("pqrs"))[rng.integers(0, 4, n)]
    frame["y"] += 1 + 0.5 * frame["x"] + frame["w"].map({"k": 1.0, "l": -1.0, "m": 0.3})
    return frame.sample(frac=1.0, random_state=1).reset_index(drop=True)


def error_covariance(data, sd, rho):
    """R (N, N), entry by entry."""
    n = len(data)
    R = np.zeros((n, n))
    for i, (unit, day) in enumerate(zip(data["unit"], data["day"], strict=True)):
        for j, (other, then) in enumerate(zip(data["unit"], data["day"], strict=True)):
            if unit == other:
                R[i, j] = sd**2 * rho ** abs(int(day) - int(then))
    return R


def total_covariance(model, data, at):
    """V (N, N), and its part that is R."""
    R = error_covariance(data, at.error_sd[0, 0], at.error_corr[0, 0])
    V = R.copy()
    problem = model.problem
    for factor, mine in zip(problem.design.factors, problem.parameters.factor_slices, strict=True):
        Lambda = at.Lambda[0][mine, mine]
        same = factor.index[:, None] == factor.index
        V += same * (factor.Z @ Lambda @ Lambda.T @ factor.Z.T)
    return V, R


def dense_log_likelihood(model, data, at, method):
    V, _ = total_covariance(model, data, at)
    X, y = model.problem.design.X, model.problem.design.y
    P = X.T @ np.linalg.solve(V, X)
    rest = y - X @ np.linalg.solve(P, X.T @ np.linalg.solve(V, y))
    value = -0.5 * (len(y) * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + rest @ np.linalg.solve(V, rest))
    if method == "reml":
        value += 0.5 * X.shape[1] * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(P)[1]
    return value


def target_of(model, method):
    problem = model.problem
    return Target(parameters=problem.parameters, likelihood=problem.likelihood(method), prior_on=False)


# ---- the density


FORMULAS = {
    "no groups": "y ~ x",
    "groups contain units": "y ~ x + (x | w)",
    "groups are units": "y ~ x + (1 | unit)",
    "groups are units, two columns": "y ~ x + (x | unit)",
    "groups cross units": "y ~ x + (1 | c)",
    "nested factors": "y ~ x + (1 | w) + (1 | unit)",
}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_gradient_are_those_of_the_covariance_written_out(name, method, sign, rng):
    data = table()
    model = hr.Model(FORMULAS[name], data, errors=AR1)
    target = target_of(model, method)
    u = rng.normal(0, 0.5, target.parameters.n_free)
    u[-1] = sign * (0.2 + abs(u[-1]))

    def criterion(v):
        return dense_log_likelihood(model, data, covariances(target.parameters, v[None]), method)

    value, gradient = target(u)
    assert value == pytest.approx(criterion(u), rel=1e-12)
    for i, e in enumerate(np.eye(len(u))):
        slopes = [(criterion(u + h * e) - criterion(u - h * e)) / (2 * h) for h in (2e-3, 1e-3)]
        slope = (4 * slopes[1] - slopes[0]) / 3
        assert gradient[i] == pytest.approx(slope, abs=1e-8 * (1 + np.abs(gradient).max()))


def small_groups():
    """Return groups of one to three rows, the units, most of which two columns can fit; with gaps."""
    rng, rows = np.random.default_rng(7), []
    for g in range(12):
        rows += [(g, g, k * (1 + g % 3)) for k in range((1, 2, 2, 3)[g % 4])]
    frame = pd.DataFrame(rows, columns=["g", "unit", "day"])
    frame["x"], noise = rng.standard_normal((2, len(frame)))
    b = rng.standard_normal((12, 2))[frame["g"]]
    frame["y"] = 1 + b[:, 0] + (1 + 0.5 * b[:, 1]) * frame["x"] + 0.5 * noise
    return frame


def restricted_in_many_digits(data, Lambda, v, rho):
    """Return log p(y), beta integrated under a flat prior, by one dense matrix of mpmath."""
    n = len(data)
    Z = mp.matrix(np.column_stack([np.ones(n), data["x"]]).tolist())
    y, g = mp.matrix(data["y"].tolist()), data["g"].to_numpy()
    unit, day = data["unit"].to_numpy(), data["day"].to_numpy()
    V = Z * Lambda * Lambda.T * Z.T
    for i in range(n):
        for j in range(n):
            V[i, j] = V[i, j] if g[i] == g[j] else mp.mpf(0)
            if unit[i] == unit[j]:
                V[i, j] += v * rho ** abs(int(day[i]) - int(day[j]))
    inverse = mp.inverse(V)
    P = Z.T * inverse * Z
    rest = y - Z * (mp.inverse(P) * (Z.T * (inverse * y)))
    quadratic = (rest.T * inverse * rest)[0]
    return -(mp.log(mp.det(V)) + mp.log(mp.det(P)) + quadratic + (n - 2) * mp.log(2 * mp.pi)) / 2


@pytest.mark.long
@pytest.mark.parametrize("rho", [0.6, -0.7])
def test_value_and_gradient_as_errors_vanish(rho):
    """Against sixty digits, down to error sds of 2e-9: nothing is a difference of large numbers."""
    data = small_groups()
    likelihood = marginal_likelihood(hr.Model("y ~ x + (x | g)", data, errors=AR1).problem.gram)
    Lambda = np.array([[1.0, 0.0], [0.2, 0.6]])
    for log_sd in (0, -10, -20):
        v = float(np.exp(2.0 * log_sd))
        S = v * np.array([[1.0, rho], [rho, 1.0]])
        value, g_Lambda, g_S = likelihood.value_and_gradient(Lambda, S)
        with mp.workdps(60):
            L, h = mp.matrix(Lambda.tolist()), mp.mpf(10) ** -20

            def density(a=0, b=0, c=0, L=L, v=v, S=S):
                # S[0, 1] / S[0, 0], as doubles have them
                at = mp.mpf(S[0, 0]) * (1 + b)
                return restricted_in_many_digits(data, L + a * mp.matrix([[1, 0], [1, 2]]), at, (S[0, 1] + c * v) / at)

            expected = float(density())
            slopes = [float((density(*h * e) - density(*-h * e)) / (2 * h)) for e in np.eye(3, dtype=object)]
        size = max(abs(expected), float(len(data)))
        assert value == pytest.approx(expected, abs=1e-9 * size)
        assert np.sum(g_Lambda * [[1, 0], [1, 2]]) == pytest.approx(slopes[0], abs=1e-8 * size)
        assert g_S[0, 0] * v == pytest.approx(slopes[1], abs=1e-8 * size)
        assert (g_S[0, 1] + g_S[1, 0]) * v == pytest.approx(slopes[2], abs=1e-8 * size)


@pytest.mark.parametrize("rho", [1 - 1e-9, -1 + 1e-9, 0.0])
def test_near_the_ends_of_its_interval_the_correlation_keeps_its_digits(rho):
    data = table(n_units=7)
    likelihood = marginal_likelihood(hr.Model("y ~ x", data, errors=AR1).problem.gram)
    value = likelihood.value_and_gradient(np.empty((0, 0)), np.array([[1.0, rho], [rho, 1.0]]))[0]
    with mp.workdps(60):
        one = data.assign(g=0)
        expected = float(restricted_in_many_digits(one, mp.zeros(2, 2), mp.mpf(1), mp.mpf(rho)))
    assert value == pytest.approx(expected, rel=1e-11)


def test_a_sampler_reads_the_same_density_from_memory(rng):
    assert_a_sampler_reads_the_same(hr.Model("y ~ x + (x | w)", table(), errors=AR1).problem, rng)


# ---- cases that other structures know


def test_without_correlation_errors_are_independent():
    data, none = table(), hr.Priors(error_corr=hr.Fixed(0.0))
    mine = hr.Model("y ~ x + (x | w)", data, errors=AR1, priors=none).estimate("reml")
    other = hr.Model("y ~ x + (x | w)", data).estimate("reml")
    assert mine.criterion == pytest.approx(other.criterion, abs=1e-8)
    assert float(mine.error_sd) == pytest.approx(float(other.error_sd), rel=1e-5)
    np.testing.assert_allclose(mine.beta, other.beta, rtol=1e-5)


def test_pairs_one_step_apart_are_exchangeable():
    """The same density in the same unconstrained vector, prior included."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"unit": np.repeat(np.arange(15), 2), "day": np.tile([4, 5], 15), "x": rng.normal(size=30)})
    data["g"], data["y"] = data["unit"] % 4, rng.normal(size=30) + data["x"]
    priors = hr.Priors(error_corr=hr.LKJ(1.7))
    models = [
        hr.Model("y ~ x + (1 | g)", data, errors=errors, priors=priors) for errors in (AR1, hr.exchangeable("unit"))
    ]
    assert str(models[0].priors) == str(models[1].priors)
    u = rng.normal(0, 0.5, 3)
    for natural in (False, True):
        one, two = (replace(target_of(model, "reml"), prior_on=True, natural=natural) for model in models)
        assert one.parameters.free_names == two.parameters.free_names
        assert one(u)[0] == pytest.approx(two(u)[0], rel=1e-12)
        np.testing.assert_allclose(one(u)[1], two(u)[1], rtol=1e-9)


def test_order_of_rows_names_and_zero_of_time_change_nothing():
    data = table()
    est = hr.Model("y ~ x + (1 | w)", data, errors=AR1).estimate("reml")
    again = data.sample(frac=1.0, random_state=5).assign(
        unit=lambda rows: "z" + rows["unit"].str[::-1], day=lambda rows: 2000.0 - rows["day"]
    )
    other = hr.Model("y ~ x + (1 | w)", again, errors=AR1).estimate("reml")
    assert est.criterion == pytest.approx(other.criterion, abs=1e-9)
    assert float(est.error_corr) == pytest.approx(float(other.error_corr), rel=1e-6)
    thrice = data.assign(day=3 * data["day"])
    slow = hr.Model("y ~ x + (1 | w)", thrice, errors=AR1).estimate("reml")
    assert est.criterion == pytest.approx(slow.criterion, abs=1e-7)
    assert float(slow.error_corr) ** 3 == pytest.approx(float(est.error_corr), rel=1e-4)


# ---- nlme's answers


@pytest.fixture(scope="module")
def ovary():
    return reference_data("ovary")


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("kind", ["gls", "lme"])
def test_estimates_are_those_of_nlme(ovary, kind, method):
    answers = load_reference("ovary")["models"][f"{kind}_{method}"]
    formula = "follicles ~ s + c" + (" + (1 | mare)" if kind == "lme" else "")
    est = hr.Model(formula, ovary, errors=hr.ar1("step", unit="mare")).estimate(method)
    assert est.converged
    assert -0.5 * est.criterion == pytest.approx(answers["loglik"], abs=1e-8)
    assert float(est.error_corr) == pytest.approx(answers["rho"], rel=1e-6)
    assert float(est.error_sd) == pytest.approx(answers["sigma"], rel=1e-6)
    np.testing.assert_allclose(est.beta, answers["beta"], rtol=1e-6)
    # gls divides by rows less coefficients in standard errors of ML too
    n, p = (len(ovary), 3) if (kind, method) == ("gls", "ml") else (1, 0)
    np.testing.assert_allclose(est.beta_se, np.array(answers["beta_se"]) * np.sqrt((n - p) / n), rtol=1e-6)
    if kind == "lme":
        assert float(est.sd["mare"][0]) == pytest.approx(answers["sd_mare"], rel=1e-6)


@pytest.mark.parametrize("kind", ["gls", "lme"])
def test_criteria_at_known_correlations_are_those_of_nlme(ovary, kind):
    answers = load_reference("ovary")["models"][f"{kind}_reml"]["profile"]
    formula = "follicles ~ s + c" + (" + (1 | mare)" if kind == "lme" else "")
    for rho, expected in zip(answers["rho"], answers["loglik"], strict=True):
        priors = hr.Priors(error_corr=hr.Fixed(rho))
        est = hr.Model(formula, ovary, errors=hr.ar1("step", unit="mare"), priors=priors).estimate("reml")
        assert -0.5 * est.criterion == pytest.approx(expected, abs=1e-8)
        assert float(est.error_corr) == rho


def test_standard_errors_are_those_of_the_curvature():
    data = table()
    model = hr.Model("y ~ x", data, errors=AR1)
    est, target = model.estimate("ml"), target_of(model, "ml")
    sd, rho = float(est.error_sd), float(est.error_corr)

    def minus(a, b):
        at = replace_errors(covariances(target.parameters, np.zeros((1, 2))), a, b)
        return -dense_log_likelihood(model, data, at, "ml")

    h, H = 1e-3, np.zeros((2, 2))
    for i, e in enumerate(np.eye(2)):
        for j, f in enumerate(np.eye(2)):
            corners = [s * t * minus(*(np.array([sd, rho]) + h * (s * e + t * f))) for s in (1, -1) for t in (1, -1)]
            H[i, j] = sum(corners) / (4 * h * h)
    np.testing.assert_allclose(est.variance_cov, np.linalg.inv(H), rtol=1e-3)


def replace_errors(at, sd, rho):
    return replace(at, error_sd=np.array([[sd]]), error_corr=np.array([[rho]]))


def test_equations_at_known_sd_and_correlation_are_those_of_a_known_covariance():
    data = table()
    Sigma = np.array([[1.3, 0.2], [0.2, 0.4]])
    solution = hr.Model("y ~ x + (x | w)", data, errors=AR1).solve({"w": Sigma}, {"sd": 1.2, "corr": -0.4})
    known = hr.Model("y ~ x + (x | w)", data, errors=hr.known_cov(error_covariance(data, 1.2, -0.4)))
    other = known.solve({"w": Sigma})
    np.testing.assert_allclose(solution.beta_cov, other.beta_cov, rtol=1e-9)
    np.testing.assert_allclose(solution.b["w"], other.b["w"], rtol=1e-9)
    np.testing.assert_allclose(solution.b_cov["w"], other.b_cov["w"], rtol=1e-9)


# ---- draws and reports


@pytest.fixture(scope="module")
def run():
    data = table()
    place = data["c"].map({"p": 0, "q": 1, "r": 2, "s": 3}).to_numpy()
    data["y"] += np.array([2.0, -1.0, 0.5, -2.0])[place] + np.array([0.8, 0.6, -1.3, -0.4])[place] * (data["x"] - 2)
    model = hr.Model("y ~ x + (x | c)", data, errors=AR1)
    include = ["log_prior", "log_likelihood", "log_likelihood_units", "posterior_predictive", "prior_predictive"]
    return data, model, model.sample(draws=150, chains=2, seed=4, progress=False, method="psis", include=include)


def draw_of(run, chain=1, draw=7):
    data, model, tree = run
    at = tree["posterior"].to_dataset().isel(chain=chain, draw=draw)
    design = model.problem.design
    mean = design.X @ at["beta"].to_numpy()
    b = at["b_c"].to_numpy()[design.factors[0].index]
    mean += np.sum(design.factors[0].Z * b, axis=1)
    R = error_covariance(data, float(at["error_sd"]), float(at["error_corr"]))
    return tree, design.y - mean, R


def test_densities_of_rows_given_the_others_and_of_units_are_those_of_the_joint_normal(run):
    data, model, _ = run
    tree, residual, R = draw_of(run)
    at = {"chain": 1, "draw": 7}
    P = np.linalg.inv(R)
    mean, variance = (P @ residual) / np.diagonal(P), 1 / np.diagonal(P)
    expected = -0.5 * (np.log(2 * np.pi * variance) + mean**2 / variance)
    np.testing.assert_allclose(tree["log_likelihood"]["y"].isel(at), expected, rtol=1e-9, atol=1e-12)
    units = tree["log_likelihood_units"]["y"].isel(at)
    for unit in ("u2", "u0", "u11"):
        mine = np.flatnonzero(data["unit"] == unit)
        own, r = R[np.ix_(mine, mine)], residual[mine]
        density = -0.5 * (len(mine) * np.log(2 * np.pi) + np.linalg.slogdet(own)[1] + r @ np.linalg.solve(own, r))
        assert float(units.sel(unit=unit)) == pytest.approx(density, rel=1e-10)
    joint = hr.log_likelihood(tree, model, joint=True)["log_likelihood"]["y"].isel(at)
    assert float(joint) == pytest.approx(float(units.sum()), rel=1e-10)


def test_replicated_errors_have_the_covariance_of_the_errors():
    from hierreg.errors.ar1 import chain_of, errors_of

    data = table(n_units=7)
    chain = chain_of(hr.Model("y ~ x", data, errors=AR1).problem.layout)
    for rho in (0.7, -0.5):
        root = errors_of(chain, np.full(len(data), 1.4), np.full(len(data), rho), np.eye(len(data)))
        np.testing.assert_allclose(root.T @ root, error_covariance(data, 1.4, rho), rtol=1e-12, atol=1e-12)


def test_each_group_alone_and_its_weights(run):
    """Groups that cross units: alone, a group has its own rows of each unit, with the gaps between them."""
    data, _, tree = run
    limit, group = tree["mixed_model_limit"], "q"
    rows = data[data["c"] == group]
    X = np.column_stack([np.ones(len(rows)), rows["x"]])
    R = error_covariance(rows, float(limit["error_sd"]), float(limit["error_corr"]))
    precision = X.T @ np.linalg.solve(R, X)
    expected = np.linalg.solve(precision, X.T @ np.linalg.solve(R, rows["y"]))
    np.testing.assert_allclose(limit["no_pooling_c"].sel(c=group), expected, rtol=1e-8)
    np.testing.assert_allclose(limit["no_pooling_cov_c"].sel(c=group), np.linalg.inv(precision), rtol=1e-8)
    posterior, weights = draws_in(tree), []
    for chain in range(2):
        for draw in range(150):
            at = posterior.isel(chain=chain, draw=draw)
            R = error_covariance(rows, float(at["error_sd"]), float(at["error_corr"]))
            own, s = X.T @ np.linalg.solve(R, X), at["sd_c"].to_numpy()
            Sigma = s[:, None] * at["corr_c"].to_numpy() * s
            weights.append(np.eye(2) - np.linalg.solve(own + np.linalg.inv(Sigma), np.linalg.inv(Sigma)))
    report = hr.shrinkage(tree)["weight"].sel(c=group)
    np.testing.assert_allclose(report, np.mean(weights, axis=0), rtol=1e-7, atol=1e-9)


def test_reports_names_and_files(run, tmp_path):
    data, model, tree = run
    assert tree["posterior"]["error_corr"].dims == ("chain", "draw")
    assert tree["posterior"]["error_corr"].attrs["prior_lowest"] == [-1.0]
    rho = tree["prior"]["error_corr"].to_numpy()
    assert rho.min() < -0.9
    assert rho.max() > 0.9
    np.testing.assert_allclose(tree["log_prior"]["error_corr"], -np.log(2))
    rows = hr.correlations(tree).sel(correlation="error_corr")
    assert rows["kind"].item() == "error"
    assert float(rows["reml"]) == pytest.approx(float(tree["mixed_model_limit"]["error_corr"]))
    assert "error_corr" in str(hr.summary(tree))
    hr.save(tree, tmp_path / "fit.nc")
    again = hr.load(tmp_path / "fit.nc")
    assert str(hr.shrinkage(again)) == str(hr.shrinkage(tree))
    assert str(hr.correlations(again)) == str(hr.correlations(tree))
    assert "Correlations of errors one step apart" in str(model.estimate("map"))
    assert "ar1('day', unit='unit')" in str(model.describe())
    means = hr.Model("y ~ x + (x | w)", data, errors=AR1)
    other = hr.Model("y ~ x + (x | w)", data)
    from hierreg.gram.column_means import means_of_gram

    found, expected = (means_of_gram(m.problem.gram, 0) for m in (means, other))
    np.testing.assert_allclose(found.overall, expected.overall, rtol=1e-10)


def test_a_short_run_of_nuts_and_importance_sampling_agree():
    model = hr.Model("y ~ x", table(), errors=AR1)
    nuts = model.sample(draws=400, chains=2, seed=1, progress=False)["posterior"]
    psis = model.sample(draws=400, chains=2, seed=1, progress=False, method="psis")["posterior"]
    for name in ("error_sd", "error_corr"):
        difference = float(nuts[name].mean() - psis[name].mean())
        # effective sizes of a fifth of the draws
        assert abs(difference) < 4.5 * float(psis[name].std()) * np.sqrt(2 / 160)


# ---- prediction


HELD_BACK = [1, 4, 6, 9, 14, 15, 21, 30, 31, 33, 40, 44]


@pytest.mark.parametrize("rho", [0.7, -0.6])
@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + (x | w)"])
def test_new_times_of_observed_units_and_new_units_are_predicted_as_one_joint_normal(formula, rho):
    whole = table()
    whole.loc[whole["unit"] == "u9", "unit"] = "new"
    held = sorted({*HELD_BACK, *np.flatnonzero(whole["unit"] == "new").tolist()})
    old = np.setdiff1d(np.arange(len(whole)), held)
    model = hr.Model(formula, whole.iloc[old].reset_index(drop=True), errors=AR1)
    Sigma = np.array([[0.9, 0.2], [0.2, 0.3]])
    at = model.solve({"w": Sigma} if "|" in formula else None, {"sd": 1.3, "corr": rho})
    report = hr.predict(model, whole.iloc[held], at, covariance=True)

    X, R = np.column_stack([np.ones(len(whole)), whole["x"]]), error_covariance(whole, 1.3, rho)
    w, y, inside = whole["w"].to_numpy(), whole["y"].to_numpy(), np.ix_(old, old)
    V = R + ((w[:, None] == w) * (X @ Sigma @ X.T) if "|" in formula else 0.0)
    V_inv, psi = np.linalg.inv(V[inside]), V[np.ix_(held, old)]
    beta_cov = np.linalg.inv(X[old].T @ V_inv @ X[old])
    beta = beta_cov @ X[old].T @ V_inv @ y[old]
    rest = X[held] - psi @ V_inv @ X[old]
    cov = V[np.ix_(held, held)] - psi @ V_inv @ psi.T + rest @ beta_cov @ rest.T
    K = R[np.ix_(held, old)]
    error = R[np.ix_(held, held)] - K @ np.linalg.solve(R[inside], K.T)
    np.testing.assert_allclose(report["mean"], X[held] @ beta + psi @ V_inv @ (y[old] - X[old] @ beta), rtol=1e-9)
    np.testing.assert_allclose(report["cov_new"], cov, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(report["cov"], cov - error, rtol=1e-8, atol=1e-10)
    expected = hr.predict(model, whole.iloc[held], at, observation=False)
    np.testing.assert_allclose(expected["sd"], report["sd"], rtol=1e-12)
    plain = hr.predict(model, whole.iloc[held].drop(columns=["unit", "day"]), at)
    np.testing.assert_allclose(plain["sd_new"] ** 2 - plain["sd"] ** 2, 1.3**2, rtol=1e-9)


def test_draws_predict_as_the_plug_in_where_the_variances_are_known():
    priors = hr.Priors(beta=hr.Flat(), error_sd=hr.Fixed(1.3), error_corr=hr.Fixed(0.7))
    model = hr.Model("y ~ x", table(), errors=AR1, priors=priors)
    new = pd.DataFrame({"unit": ["u2", "u2", "u2", "z", "z"], "day": [40, 9, 11, 0, 2], "x": [0.0, 1, 2, 3, 1]})
    tree = model.sample(draws=2000, chains=2, seed=2, progress=False)
    drawn = hr.predict(model, new, tree, covariance=True, draws=True, seed=1)
    plug_in = hr.predict(model, new, model.solve(None, {"sd": 1.3, "corr": 0.7}), covariance=True)
    for suffix in ("", "_new"):
        sd = np.sqrt(np.diagonal(plug_in[f"cov{suffix}"]))
        assert np.all(np.abs(drawn[f"draws{suffix}"].mean(("chain", "draw")) - plug_in["mean"]) < 4.5 * sd / 4000**0.5)
        gap = (drawn[f"cov{suffix}"] - plug_in[f"cov{suffix}"]) / np.outer(sd, sd)
        assert np.abs(gap).max() < 4.5 * np.sqrt(2 / 4000)


# ---- statistics without rows


def same_density(one, other):
    values = [
        marginal_likelihood(gram).value_and_gradient(
            np.array([[0.8, 0.0], [0.1, 0.4]]), 1.7 * np.array([[1, -0.3], [-0.3, 1]])
        )
        for gram in (one, other)
    ]
    assert values[0][0] == pytest.approx(values[1][0], rel=1e-11)
    np.testing.assert_allclose(values[0][2], values[1][2], rtol=1e-8)


def test_tables_of_other_units_and_gaps_add(tmp_path):
    data, formula = table(), "y ~ x + (x | w)"
    whole = hr.Model(formula, data, errors=AR1).gram
    few = data["unit"].isin(["u0", "u1", "u2", "u4", "u5", "u10"])
    parts = [hr.Model(formula, rows, errors=AR1).gram for rows in (data[few], data[~few])]
    assert parts[0].terms.gaps.tolist() != parts[1].terms.gaps.tolist()
    total = parts[0] + parts[1]
    assert (total.n, total.terms.counts.sum()) == (len(data), len(data))
    assert total.terms.gaps.tolist() == whole.terms.gaps.tolist()
    assert total.terms.counts.tolist() == whole.terms.counts.tolist()
    same_density(total, whole)
    path = total.save(tmp_path / "gram.npz")
    again = hr.Gram.load(path)
    assert again.terms.gaps.tolist() == total.terms.gaps.tolist()
    same_density(again, whole)
    est = hr.Model.from_gram(again).estimate("reml")
    expected = hr.Model(formula, data, errors=AR1).estimate("reml")
    assert est.criterion == pytest.approx(expected.criterion, abs=1e-8)
    np.testing.assert_allclose(est.error_corr, expected.error_corr, rtol=1e-5)
    with pytest.raises(hr.exceptions.ModelError, match="column of units, 'unit'"):
        hr.predict(hr.Model.from_gram(again), data[:1], est)


def test_batches_and_files_are_one_table(tmp_path):
    data = table().sort_values(["unit", "day"])
    whole = hr.Model("y ~ x + (x | w)", data, errors=AR1).gram
    cuts = [rows for _, rows in data.groupby(data["unit"].isin(["u0", "u7"]))]
    same_density(hr.Gram.from_batches(cuts, "y ~ x + (x | w)", AR1), whole)
    data.to_csv(tmp_path / "rows.csv", index=False)
    scanned = hr.Gram.scan(tmp_path / "rows.csv", "y ~ x + (x | w)", AR1, batch_rows=9, progress=False)
    same_density(scanned, whole)
    with pytest.raises(hr.exceptions.DataError, match="rows in more than one batch"):
        hr.Gram.from_batches([data[:10], data[10:]], "y ~ x + (x | w)", AR1)
    alone = data.drop_duplicates("unit")
    with pytest.raises(hr.exceptions.DataError, match="no unit of column 'unit' has two rows"):
        hr.Gram.from_batches([alone[:5], alone[5:]], "y ~ x", AR1)


# ---- what cannot be


def long_gaps():
    day = np.concatenate([[0], np.cumsum(np.arange(1, 600))])
    return pd.DataFrame({"unit": 1, "day": day, "y": np.sin(day), "x": np.cos(day), "w": 1})


REFUSED = {
    "no such time": (lambda d: d, hr.ar1("dya", unit="unit"), hr.exceptions.DataError, r"dya"),
    "no such unit": (lambda d: d, hr.ar1("day", unit="unti"), hr.exceptions.DataError, r"unti"),
    "halves of days": (
        lambda d: d.assign(day=d["day"] + 0.5),
        AR1,
        hr.exceptions.DataError,
        r"data\['day'\].*not whole numbers.*first at rows \[0, 1, 2\]",
    ),
    "names of days": (
        lambda d: d.assign(day=d["day"].astype(str)),
        AR1,
        hr.exceptions.DataError,
        r"data\['day'\], the time.*whole numbers are required",
    ),
    "a time twice": (
        lambda d: pd.concat([d, d[3:4]], ignore_index=True),
        AR1,
        hr.exceptions.DataError,
        r"1 rows repeat a time of their unit; first 'u.*rows \[3, 56\]",
    ),
    "units of one row": (
        lambda d: d.drop_duplicates("unit"),
        AR1,
        hr.exceptions.DataError,
        r"no unit of column 'unit' has two rows",
    ),
    "even gaps": (
        lambda d: d.assign(day=4 * d["day"]),
        AR1,
        hr.exceptions.DataError,
        r"multiples of 4, so that nothing tells the sign.*in units of 4",
    ),
    "many gaps": (lambda d: long_gaps(), AR1, hr.exceptions.ModelError, r"599 different gaps; at most 500"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_tables(name):
    change, errors, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words):
        hr.Model("y ~ x", change(table()), errors=errors)


def test_refused_arguments():
    data = table()
    model = hr.Model("y ~ x", data, errors=AR1)
    for given, words in (
        (1.0, "dictionary"),
        ({"sd": 1.0, "corr": -1.0}, "one step apart, must be between -1 and 1"),
        ({"sd": -1.0, "corr": 0.0}, "finite and positive"),
    ):
        with pytest.raises(hr.exceptions.ModelError, match=words):
            model.solve(None, given)
    with pytest.raises(hr.exceptions.PriorError, match="one step of time apart is fixed with one number"):
        hr.Model("y ~ x", data, errors=AR1, priors=hr.Priors(error_corr=hr.Fixed(1.0)))
    with pytest.raises(hr.exceptions.ModelError, match="weights"):
        hr.Model("y ~ x", data.assign(n=1.0), errors=AR1, weights="n")
    with pytest.raises(hr.exceptions.ModelError, match="each unit must lie within one group of every factor"):
        hr.Model("y ~ x + (1 | w) + (1 | c)", data, errors=AR1)
    at = model.estimate()
    new = {"x": [0.0, 1.0], "unit": ["u1", "u1"]}
    with pytest.raises(hr.exceptions.DataError, match="not that of times, 'day'"):
        hr.predict(model, new, at)
    with pytest.raises(hr.exceptions.DataError, match=r"more than one row of the unit u1 at 'day' = 30"):
        hr.predict(model, new | {"day": [30, 30]}, at)
    with pytest.raises(hr.exceptions.DataError, match=r"were observed: first the unit u1 at 'day'"):
        hr.predict(model, data[data["unit"] == "u1"], at)


def test_a_response_that_columns_fit_exactly_is_refused():
    data = table()
    with pytest.raises(hr.exceptions.DataError, match="fitted exactly"):
        hr.Model("y ~ x", data.assign(y=2 * data["x"] + 1), errors=AR1).estimate()


@pytest.mark.parametrize("gap", [1, 3])
def test_pairs_cannot_tell_a_correlation_from_an_intercept_of_the_unit(gap, rng):
    unit = np.repeat(np.arange(20), 2)
    data = pd.DataFrame({"unit": unit, "day": gap * np.tile([0, 1], 20), "x": rng.normal(size=40)})
    data["y"] = rng.normal(size=40) + rng.normal(size=20)[unit]
    model = hr.Model("y ~ x + (1 | unit)", data, errors=AR1)
    with pytest.warns(hr.exceptions.IdentificationWarning, match="do not determine"):
        est = model.estimate("reml")
    assert est.unidentified == ("sd_unit[Intercept]", "error_sd", "error_corr")
    # a third row tells them apart
    more = pd.concat([data, data[::2].assign(day=2 * gap, y=rng.normal(size=20))], ignore_index=True)
    est = hr.Model("y ~ x + (1 | unit)", more, errors=AR1).estimate("reml")
    assert est.unidentified == ()
    fixed = hr.Priors(error_corr=hr.Fixed(0.4))
    est = hr.Model("y ~ x + (1 | unit)", data, errors=AR1, priors=fixed).estimate("reml")
    assert est.unidentified == ()


@pytest.mark.parametrize("kind", ["equal", "alternating", "within groups"])
def test_units_whose_rows_repeat_each_other_are_refused(kind, rng):
    """The density of differences grows without bound as the correlation goes to one: the posterior is improper."""
    unit = np.repeat(np.arange(10), 4)
    data = pd.DataFrame({"unit": unit, "day": np.tile([0, 1, 2, 5], 10), "x": rng.normal(size=40), "w": unit % 2})
    sign = 1.0 if kind != "alternating" else (-1.0) ** data["day"]
    data["y"] = sign * rng.normal(size=10)[unit]
    formula = "y ~ 0 + I((-1) ** day)" if kind == "alternating" else "y ~ 1"
    if kind == "within groups":
        data["y"], formula = data["y"] + 2 * data["x"] * (1 + data["w"]), "y ~ x + (x | w)"
    for method in ("reml", "map"):
        with pytest.raises(
            hr.exceptions.DataError, match="within or between units, the response 'y' is fitted exactly"
        ):
            hr.Model(formula, data, errors=AR1).estimate(method)
    fixed = hr.Priors(error_corr=hr.Fixed(0.3))
    assert hr.Model(formula, data, errors=AR1, priors=fixed).estimate("reml").converged


def test_ml_without_a_maximum_is_said():
    """Columns that fit all differences of neighbours: one more row, each unit's first, keeps the sd from zero."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"unit": np.repeat([0, 1], 3), "day": np.tile([0, 1, 2], 2), "y": rng.normal(size=6)})
    for k in range(1, 5):
        data[f"x{k}"] = rng.normal(size=6)
    formula = "y ~ 1 + x1 + x2 + x3 + x4"
    est = hr.Model(formula, data, errors=AR1).estimate("ml")
    assert not est.converged
    assert "all differences of neighbours in time (4) can be fitted exactly" in est.message
    assert "ML has no maximum" in est.message


def test_noise_of_rows_beside_a_process_in_time_is_found():
    """Each row a group of its own: a nugget. The dense criterion has no higher value about the estimate."""
    data = table(n_units=28)
    data["row"] = np.arange(len(data))
    data["y"] += np.random.default_rng(3).normal(0, 0.8, len(data))
    model = hr.Model("y ~ x + (1 | row)", data, errors=AR1)
    est, target = model.estimate("ml"), target_of(model, "ml")
    at = np.array([np.log(float(est.sd["row"][0])), np.log(float(est.error_sd)), np.arctanh(float(est.error_corr))])
    values = [
        dense_log_likelihood(model, data, covariances(target.parameters, (at + step)[None]), "ml")
        for step in (np.zeros(3), *(0.02 * np.eye(3)), *(-0.02 * np.eye(3)))
    ]
    assert values[0] == pytest.approx(-0.5 * est.criterion, rel=1e-10)
    assert max(values) == values[0]


def test_a_correlation_of_one_is_said_to_be_on_its_boundary():
    """Units of equal rows but for one: the likelihood has its maximum at one, unless columns take it up."""
    from hierreg.estimate.boundary import boundary

    parameters = hr.Model("y ~ x", table(), errors=AR1).problem.parameters
    for rho, words in ((1 - 1e-10, "is one"), (-1 + 1e-10, "is minus one")):
        at = replace_errors(covariances(parameters, np.zeros((1, 2))), 1.0, rho)
        (found,) = boundary(parameters, np.zeros(0, dtype=bool), [], at)
        assert words in found
        assert "one step of time apart" in found


def test_the_command_line_takes_time_and_unit(tmp_path, capsys):
    from hierreg.cli import main

    data = table()
    data.to_csv(tmp_path / "rows.csv", index=False)
    assert main(["fit", str(tmp_path / "rows.csv"), "y ~ x", "--ar1", "day", "unit", "--method", "reml"]) == 0
    est = hr.Model("y ~ x", data, errors=AR1).estimate()
    assert f"criterion {est.criterion:.4f}" in capsys.readouterr().out
