"""Groups that can fit all their rows, as the error variances go to zero: against the dense formula in 60 digits."""

import mpmath as mp
import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.likelihood.engines import marginal_likelihood, solve_equations

DIGITS = 60
LOG_SDS = (0, -5, -10, -15, -20)


def rows(sizes, seed=0, times=None):
    """Return a table with groups of the given sizes."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(len(sizes)), sizes)
    t = rng.standard_normal(len(g)) if times is None else np.tile(times, len(sizes))
    x, noise = rng.standard_normal((2, len(g)))
    b = rng.standard_normal((len(sizes), 2))
    y = 1.0 + b[g, 0] + (1.0 + 0.5 * b[g, 1]) * t + 0.3 * x + 0.5 * noise
    position = np.concatenate([np.arange(size) for size in sizes])
    return pd.DataFrame({"y": y, "t": t, "x": x, "g": g, "half": g % 2, "position": position})


# Formula, sizes of groups, times of the rows of each, and the column of error strata.
CASES = {
    "as many rows as coefficients": ("y ~ t + (t | g)", [2] * 30, None, None),
    "the same times in all groups": ("y ~ t + (t | g)", [2] * 30, [0.0, 1.0], None),
    "a column that does not vary": ("y ~ t + x + (t | g)", [2] * 30, None, None),
    "groups of one row": ("y ~ t + (t | g)", [1, 2, 2] * 10, None, None),
    "groups of one row and another column": ("y ~ t + x + (t | g)", [1, 2, 2] * 10, None, None),
    "intercepts": ("y ~ t + (1 | g)", [1] * 28 + [2], None, None),
    "intercepts, no other column": ("y ~ 1 + (1 | g)", [1] * 28 + [2], None, None),
    "three coefficients": ("y ~ t + (t + x | g)", [1, 2, 3] * 10, None, None),
    "three coefficients, one row": ("y ~ t + x + (t + x | g)", [1] * 28 + [2], None, None),
    "variances of halves": ("y ~ t + (t | g)", [2] * 30, None, "half"),
    "variances of halves, three coefficients": ("y ~ t + (t + x | g)", [1, 2, 3] * 10, None, "half"),
    "rows to spare": ("y ~ t + x + (t | g)", [5] * 12, None, None),
    "a column that does not vary first": ("y ~ x + t + (t | g)", [5] * 12, None, None),
}


def columns(formula, data):
    """Return X and Z by name of the columns."""
    names = {"1": np.ones(len(data)), "t": data["t"], "x": data["x"]}
    population, group = formula.split("~")[1].split("(")
    inside = group.split("|")[0].split("+")
    X = [names[c.strip()] for c in population.split("+") if c.strip() in {"t", "x"}]
    Z = [names[c.strip()] for c in inside if c.strip() in {"t", "x"}]
    return np.column_stack([names["1"], *X]), np.column_stack([names["1"], *Z])


def restricted_log_likelihood(X, Z, y, groups, Lambda, variances):
    """Return log p(y | Lambda, error variances by row), beta integrated under a flat prior; mpmath throughout."""
    p = X.shape[1]
    Sigma = Lambda * Lambda.T
    C, log_det = mp.zeros(p + 1, p + 1), mp.mpf(0)
    for j in np.unique(groups):
        own = np.flatnonzero(groups == j)
        Zj, Wj = mp.matrix(Z[own].tolist()), mp.matrix(np.column_stack([X, y])[own].tolist())
        V = Zj * Sigma * Zj.T + mp.diag([variances[r] for r in own])
        log_det += mp.log(mp.det(V))
        C += Wj.T * mp.inverse(V) * Wj
    P, c = C[:p, :p], C[:p, p]
    quadratic = C[p, p] - (c.T * mp.inverse(P) * c)[0]
    return -(log_det + mp.log(mp.det(P)) + quadratic + (len(y) - p) * mp.log(2 * mp.pi)) / 2


def point(q):
    rng = np.random.default_rng(q)
    return np.tril(0.3 * rng.standard_normal((q, q))) + np.diag([1.0, 0.6, 0.4][:q])


def model_of(case):
    formula, sizes, times, stratum = CASES[case]
    data = rows(sizes, times=times)
    model = hr.Model(formula, data, errors=None if stratum is None else hr.by(stratum))
    X, Z = columns(formula, data)
    labels = np.zeros(len(data), dtype=int) if stratum is None else data[stratum].to_numpy()
    return model, (X, Z, data["y"].to_numpy(), data["g"].to_numpy()), labels


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradient_as_errors_vanish(case):
    model, arrays, stratum = model_of(case)
    likelihood, Lambda = marginal_likelihood(model.problem.gram), point(arrays[1].shape[1])
    q, D = len(Lambda), int(stratum.max()) + 1
    direction = np.tril(np.random.default_rng(3).standard_normal((q, q)))
    with mp.workdps(DIGITS):
        for log_sd in LOG_SDS:
            variances = np.exp(2.0 * (log_sd + 0.5 * np.arange(D)))
            value, g_Lambda, g_error = likelihood.value_and_gradient(Lambda, np.diag(variances))

            def density(a, b, variances=variances):
                L = mp.matrix(Lambda.tolist()) + a * mp.matrix(direction.tolist())
                return restricted_log_likelihood(*arrays, L, [mp.mpf(v) * (1 + b) for v in variances[stratum]])

            step = mp.mpf(10) ** -20
            expected = float(density(0, 0))
            along_Lambda = float((density(step, 0) - density(-step, 0)) / (2 * step))
            along_errors = float((density(0, step) - density(0, -step)) / (2 * step))
            # Numbers in the sums are of the order of n, or of the value itself.
            size = max(abs(expected), float(len(stratum)))
            assert value == pytest.approx(expected, abs=1e-9 * size)
            assert np.sum(g_Lambda * direction) == pytest.approx(along_Lambda, abs=1e-8 * size)
            assert np.sum(np.diagonal(g_error) * variances) == pytest.approx(along_errors, abs=1e-8 * size)


PREDICTED = (
    "groups of one row",
    "a column that does not vary",
    "three coefficients",
    "rows to spare",
    "a column that does not vary first",
)


@pytest.mark.parametrize("case", PREDICTED)
def test_predictions_as_errors_vanish(case):
    model, (X, Z, y, groups), _ = model_of(case)
    Lambda, p = point(Z.shape[1]), X.shape[1]
    likelihood = marginal_likelihood(model.problem.gram)
    for log_sd in LOG_SDS:
        solution = solve_equations(likelihood, Lambda, np.diag([np.exp(2.0 * log_sd)]))
        with mp.workdps(DIGITS):
            Sigma, variance = mp.matrix(Lambda.tolist()) * mp.matrix(Lambda.tolist()).T, mp.exp(2 * mp.mpf(log_sd))
            C, parts = mp.zeros(p + 1, p + 1), []
            for j in range(3):
                own = np.flatnonzero(groups == j)
                Zj, Wj = mp.matrix(Z[own].tolist()), mp.matrix(np.column_stack([X, y])[own].tolist())
                parts.append((Zj, Wj, mp.inverse(Zj * Sigma * Zj.T + variance * mp.eye(len(own)))))
            for j in np.unique(groups):
                own = np.flatnonzero(groups == j)
                Zj, Wj = mp.matrix(Z[own].tolist()), mp.matrix(np.column_stack([X, y])[own].tolist())
                C += Wj.T * mp.inverse(Zj * Sigma * Zj.T + variance * mp.eye(len(own))) * Wj
            beta = mp.inverse(C[:p, :p]) * C[:p, p]
            np.testing.assert_allclose(solution.beta, np.array(beta.tolist(), dtype=float)[:, 0], rtol=1e-9)
            for j, (Zj, Wj, V_inv) in enumerate(parts):
                b = Sigma * Zj.T * V_inv * (Wj[:, p] - Wj[:, :p] * beta)
                cov = Sigma - Sigma * Zj.T * V_inv * Zj * Sigma
                np.testing.assert_allclose(solution.b[0][j], np.array(b.tolist(), dtype=float)[:, 0], atol=1e-8)
                expected = np.array(cov.tolist(), dtype=float)
                np.testing.assert_allclose(solution.b_cond_cov[0][j], expected, rtol=1e-7, atol=1e-9 * expected.max())


@pytest.mark.parametrize("sd", [1e-2, 1e-4, 1e-6, 1e-7])
def test_the_intercept_has_its_digits_beside_a_slope_within_groups(sd):
    rng = np.random.default_rng(0)
    g = np.arange(12) // 3
    x = rng.normal(size=12)
    y = x + rng.normal(size=12) + rng.normal(size=4)[g]
    model = hr.Model("y ~ x + (1 | g)", pd.DataFrame({"y": y, "x": x, "g": g}))
    solution = model.solve({"g": [[1.0]]}, sd**2)
    slope = model.problem.likelihood("reml").value_and_gradient(np.array([[1.0]]), np.array([[sd**2]]))[1]
    with mp.workdps(DIGITS):
        X, Z = np.column_stack([np.ones(12), x]), np.ones((12, 1))
        W, V = mp.matrix(np.column_stack([X, y]).tolist()), mp.matrix((g[:, None] == g).astype(float).tolist())
        V_inv = mp.inverse(V + mp.mpf(sd**2) * mp.eye(12))
        C = W.T * V_inv * W
        beta = mp.inverse(C[:2, :2]) * C[:2, 2]
        step = mp.mpf(10) ** -20
        ahead, behind = (
            restricted_log_likelihood(X, Z, y, g, mp.matrix([[1 + s]]), [mp.mpf(sd**2)] * 12) for s in (step, -step)
        )
        expected = float((ahead - behind) / (2 * step))
    np.testing.assert_allclose(solution.beta.values, [float(beta[0]), float(beta[1])], rtol=1e-10)
    assert slope.item() == pytest.approx(expected, rel=1e-10)


def test_rows_of_a_group_in_two_tables():
    formula, sizes, _, _ = CASES["as many rows as coefficients"]
    data = rows(sizes)
    X, Z = columns(formula, data)
    gram = hr.Gram.from_batches([data[data.position == 0], data[data.position == 1]], formula)
    likelihood, Lambda = marginal_likelihood(gram), point(2)
    for log_sd in LOG_SDS:
        variance = np.exp(2.0 * log_sd)
        with mp.workdps(DIGITS):
            arrays = X, Z, data["y"].to_numpy(), data["g"].to_numpy()
            expected = restricted_log_likelihood(*arrays, mp.matrix(Lambda.tolist()), [mp.mpf(variance)] * len(data))
        value = likelihood.value_and_gradient(Lambda, np.diag([variance]))[0]
        assert value == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.long
def test_several_factors_have_eight_digits_or_no_density():
    data = rows([2] * 20)
    data["h"] = np.arange(len(data)) % 5
    likelihood = marginal_likelihood(hr.Model("y ~ t + (t | g) + (1 | h)", data).problem.gram)
    X, Z = columns("y ~ t + (t | g)", data)
    H, groups = np.eye(5)[data["h"]], data["g"].to_numpy()
    values = []
    for log_sd in (-2, -5, -7, -10, -13, -20):
        variance = np.exp(2.0 * log_sd)
        values.append(likelihood.value_and_gradient(np.diag([1.0, 0.5, 0.7]), np.diag([variance]))[0])
        with mp.workdps(DIGITS):
            same = mp.matrix((groups[:, None] == groups).astype(float).tolist())
            ZZ = mp.matrix((Z @ np.diag([1.0, 0.25]) @ Z.T).tolist())
            V = mp.mpf(0.7) ** 2 * mp.matrix((H @ H.T).tolist()) + mp.mpf(variance) * mp.eye(len(data))
            for r in range(len(data)):
                for s in range(len(data)):
                    V[r, s] += same[r, s] * ZZ[r, s]
            W = mp.matrix(np.column_stack([X, data["y"]]).tolist())
            C = W.T * mp.inverse(V) * W
            P, c = C[:2, :2], C[:2, 2]
            quadratic = C[2, 2] - (c.T * mp.inverse(P) * c)[0]
            rest = mp.log(mp.det(V)) + mp.log(mp.det(P)) + (len(data) - 2) * mp.log(2 * mp.pi)
            expected = float(-(rest + quadratic) / 2)
        assert values[-1] == -np.inf or values[-1] == pytest.approx(expected, rel=1e-8, abs=1e-8 * len(data))
    assert np.isfinite(values[:3]).all()
    assert values[-2:] == [-np.inf, -np.inf]


def graded(variances, by):
    """Return a model, what its errors are, and beta, its standard errors and the restricted density in 120 digits."""
    # Two rows that are precise, four coefficients: the covariance of beta has eigenvalues of both variances, on no axis
    # of its own.
    rng = np.random.default_rng(8)
    X = np.column_stack([np.ones(8), rng.standard_normal((8, 3))])
    y = rng.standard_normal(8)
    s = np.array([0, 0, 1, 1, 1, 1, 1, 1])
    table = pd.DataFrame({"y": y, "a": X[:, 1], "b": X[:, 2], "c": X[:, 3], "s": s, "u": [0, 1, 0, 2, 3, 4, 5, 6]})
    errors = hr.by("s") if by else hr.correlated("s", unit="u")
    sd = np.sqrt(np.array(variances))
    S = np.diag(variances) if by else np.array([[1.0, 0.6], [0.6, 1.0]]) * np.outer(sd, sd)
    with mp.workdps(120):
        A, Y = mp.matrix(X.tolist()), mp.matrix(y.tolist())
        units = table.u.to_numpy() if not by else np.arange(8)
        R = mp.matrix(
            [[mp.mpf(S[s[i], s[j]]) if units[i] == units[j] else mp.mpf(0) for j in range(8)] for i in range(8)]
        )
        R_inv = mp.inverse(R)
        P = A.T * R_inv * A
        cov = mp.inverse(P)
        beta = cov * (A.T * R_inv * Y)
        left = Y - A * beta
        density = -(4 * mp.log(2 * mp.pi) + mp.log(mp.det(R)) + mp.log(mp.det(P)) + (left.T * R_inv * left)[0]) / 2
        se = [float(mp.sqrt(cov[i, i])) for i in range(4)]
    model = hr.Model("y ~ a + b + c", table, errors=errors)
    return model, S, (np.array(beta.tolist(), dtype=float)[:, 0], np.array(se), float(density))


@pytest.mark.parametrize("by", [True, False], ids=["by stratum", "correlated"])
@pytest.mark.parametrize("variance", [1e-6, 1e-10, 1e-14, 1e-16, 1e-20])
def test_a_stratum_all_but_without_errors_has_all_digits(variance, by):
    model, S, (beta, se, density) = graded([variance, 1.0], by)
    solution = model.solve(error_cov=np.diagonal(S).copy() if by else S)
    np.testing.assert_allclose((solution.beta.values - beta) / se, 0.0, atol=1e-9)
    np.testing.assert_allclose(solution.beta_se.values, se, rtol=1e-9)
    likelihood = model.problem.likelihood("reml")
    value, _, gradient = likelihood.value_and_gradient(np.zeros((0, 0)), S)
    assert value == pytest.approx(density, rel=1e-10)
    ahead, behind = (graded([variance * (1 + step), 1.0], by)[2][2] for step in (1e-4, -1e-4))
    along = 0.5 * np.array([[2.0, 1.0], [1.0, 0.0]]) * S
    # Two rows and four coefficients: nothing is left of them as their variance goes to zero.
    assert np.sum(gradient * along) == pytest.approx((ahead - behind) / 2e-4, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("variance", [1e-30, 1e-40])
def test_a_stratum_without_errors_is_refused(variance):
    # What other rows say is less than the rounding of those of the stratum.
    with pytest.raises(hr.exceptions.ModelError, match="many orders of magnitude"):
        graded([variance, 1.0], True)[0].solve(error_cov=np.array([variance, 1.0]))


def test_a_group_variance_of_zero_beside_errors_that_are_nothing_has_all_digits():
    """The direction without variance is no axis of the columns about their means."""
    data = rows([5] * 6)
    data["t"] = np.round(data["t"] * 2.0**20) / 2.0**20 + 3.0
    model, s, variance = hr.Model("y ~ t + x + (t | g)", data), np.array([0.0, 1.3]), 1e-10
    solution = model.solve({"g": np.diag(s**2)}, variance)
    with mp.workdps(80):
        X = np.column_stack([np.ones(30), data.t, data.x])
        same = data.g.to_numpy()[:, None] == data.g.to_numpy()
        V = mp.eye(30) * mp.mpf(variance)
        for i, j in zip(*np.nonzero(same), strict=True):
            V[int(i), int(j)] += mp.mpf(s[1]) ** 2 * mp.mpf(data.t[i]) * mp.mpf(data.t[j])
        A, V_inv = mp.matrix(X.tolist()), mp.inverse(V)
        cov = mp.inverse(A.T * V_inv * A)
        beta = cov * (A.T * V_inv * mp.matrix(data.y.tolist()))
        se = np.array([float(mp.sqrt(cov[i, i])) for i in range(3)])
    found = solution.beta.values - np.array(beta.tolist(), dtype=float)[:, 0]
    np.testing.assert_allclose(found / se, 0.0, atol=1e-4)  # residuals of 1e5 error sds, slopes of 1e5
    np.testing.assert_allclose(solution.beta_se.values, se, rtol=1e-8)


def test_several_factors_are_solved_or_refused_in_words():
    data = rows([2] * 20)
    data["h"] = np.arange(len(data)) % 5
    model = hr.Model("y ~ t + (1 | g) + (1 | h)", data)
    for variance in (1e-18, 1e-25, 1e-40):
        with pytest.raises(hr.exceptions.ModelError, match="many orders of magnitude"):
            model.solve({"g": [[1.0]], "h": [[0.5]]}, variance)


def crossed_rows(error_sd):
    rng = np.random.default_rng(0)
    g, h = np.divmod(np.arange(240), 10)
    y = 1.0 + rng.standard_normal(24)[g] + rng.standard_normal(10)[h] + error_sd * rng.standard_normal(240)
    return pd.DataFrame({"y": y, "g": g, "h": h})


@pytest.mark.parametrize(
    "ask", [hr.Model.estimate, lambda m: m.estimate("map"), lambda m: m.sample(method="psis", seed=1, progress=False)]
)
def test_a_posterior_that_the_edge_of_digits_cuts_off_is_refused(ask):
    model = hr.Model("y ~ 1 + (1 | g) + (1 | h)", crossed_rows(3e-4))
    with pytest.raises(hr.exceptions.ModelError, match="fewer than eight digits"):
        ask(model)


def test_an_estimate_far_from_the_edge_of_digits_is_that_of_least_squares():
    data = crossed_rows(1e-2)
    found = hr.Model("y ~ 1 + (1 | g) + (1 | h)", data).estimate()
    X = np.column_stack([np.eye(24)[data["g"]], np.eye(10)[data["h"]][:, 1:]])
    left = data["y"] - X @ np.linalg.lstsq(X, data["y"], rcond=None)[0]
    # Groups are as good as fixed effects where they differ by a hundred times the errors.
    assert float(found.error_sd.item()) == pytest.approx(np.sqrt(np.sum(left**2) / (240 - 33)), rel=1e-4)
