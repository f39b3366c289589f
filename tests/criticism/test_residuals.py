"""Residuals, their variances and what follows from leaving a group out: against dense algebra and refits."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.criticism.checks.groups import standardised
from hierreg.criticism.checks.influence import deletion
from hierreg.criticism.checks.order import neighbours
from hierreg.criticism.checks.slopes import variance_forms
from hierreg.criticism.checks.variance_influence import contributions, without_group
from hierreg.criticism.point import point_of_estimate, point_of_posterior
from hierreg.criticism.rows import covariance_of_errors, group_columns, rows_of
from hierreg.results.carried import draws_in

N, UNITS = 117, 60


@pytest.fixture(scope="module")
def table():
    """Rows of 8 groups, 12 series, 60 units of two data sets; three rows are missing."""
    rng = np.random.default_rng(1)
    out = pd.DataFrame({"unit": np.repeat(np.arange(UNITS), 2), "d": ["a", "b"] * UNITS})
    n = len(out)
    out["x"], out["w"] = rng.normal(2, 1, n), rng.normal(0, 3, n)
    out["s"] = np.repeat(np.arange(12), 10)
    out["g"] = out["s"] // 3 * 2 + rng.integers(0, 2, n)
    out["time"] = np.concatenate([rng.permutation(10) for _ in range(12)])
    out["se"] = rng.uniform(0.5, 2.0, n)
    e = rng.normal(size=(UNITS, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    b = rng.normal(size=(2, 8)) * [[1.0], [0.6]]
    out["y"] = 1 + out["x"] + b[0, out["g"]] + b[1, out["g"]] * out["x"] + e.ravel()
    return out.drop(index=[3, 10, 77]).reset_index(drop=True)


CASES = {
    "independent": ("y ~ x + w + (x | g)", lambda t: None),
    "uncorrelated terms": ("y ~ x + (x || g)", lambda t: None),
    "by": ("y ~ x + (1 | g)", lambda t: hr.by("d")),
    "correlated": ("y ~ x + (1 | g)", lambda t: hr.correlated("d", unit="unit")),
    "group is data set": ("y ~ x + (x | d)", lambda t: hr.correlated("d", unit="unit")),
    "exchangeable": ("y ~ x + w", lambda t: hr.exchangeable("s")),
    "ar1": ("y ~ x + (1 | s)", lambda t: hr.ar1("time", unit="s")),
    "known_se": ("y ~ x + (1 | g)", lambda t: hr.known_se("se", scale=True)),
    "known_cov": ("y ~ x + (1 | g)", lambda t: hr.known_cov(known(len(t)))),
    "crossed": ("y ~ x + (1 | g) + (1 | time)", lambda t: None),
}


def known(n):
    root = np.tril(np.random.default_rng(5).normal(size=(n, n))) * 0.05 + np.eye(n)
    return root @ root.T


@pytest.fixture(scope="module", params=CASES)
def case(request, table):
    formula, errors = CASES[request.param]
    est = hr.Model(formula, table, errors=errors(table)).estimate()
    return est, rows_of(point_of_estimate(est))


def dense(est):
    """Return y, X, V, R and P of an estimate."""
    point = point_of_estimate(est)
    R = covariance_of_errors(point).toarray()
    V = R.copy()
    for factor in est.problem.design.factors:
        Z = group_columns(factor).toarray()
        V += Z @ np.kron(np.eye(len(factor.levels)), est.cov[factor.name].to_numpy()) @ Z.T
    X, y = est.problem.design.X, est.problem.design.y
    Vi = np.linalg.inv(V)
    return y, X, V, R, Vi - Vi @ X @ np.linalg.solve(X.T @ Vi @ X, X.T @ Vi)


def whitened(rows, P):
    W = np.linalg.inv(rows.whiten.toarray())
    return W.T @ P @ W


def test_marginal_residuals_and_their_variances_are_dense(case):
    est, rows = case
    y, _, _, R, P = dense(est)
    np.testing.assert_allclose(rows.whiten.toarray() @ R @ rows.whiten.toarray().T, np.eye(len(y)), atol=1e-10)
    np.testing.assert_allclose(rows.whiten.T @ rows.data().marginal[:, 0], P @ y, atol=1e-9 * np.abs(P @ y).max())
    Pw = whitened(rows, P)
    np.testing.assert_allclose(rows.model.diagonal(), np.diag(Pw), atol=1e-10)
    np.testing.assert_allclose(rows.predicted, est.problem.design.X @ est.beta.to_numpy(), atol=1e-8)
    for Z, factor in zip(rows.Z, rows.factors, strict=True):
        q, full = factor.Z.shape[1], Z.toarray().T @ Pw @ Z.toarray()
        own = [full[j * q : (j + 1) * q, j * q : (j + 1) * q] for j in range(len(factor.levels))]
        np.testing.assert_allclose(rows.model.own_blocks(Z, q), own, atol=1e-9 * np.abs(full).max())


def test_residuals_of_errors_alone_have_no_part_of_groups(case):
    est, rows = case
    assert rows.is_alone
    W, design = rows.whiten.toarray(), est.problem.design
    A = W @ np.column_stack([design.X, *(group_columns(factor).toarray() for factor in design.factors)])
    U, s, _ = np.linalg.svd(A, full_matrices=False)
    Q = U[:, s > 1e-9 * s[0]]
    P = np.eye(rows.n) - Q @ Q.T
    np.testing.assert_allclose(rows.alone(rows.y[:, None])[:, 0], P @ rows.y, atol=1e-4)
    np.testing.assert_allclose(rows.sd**2, np.diag(P), atol=1e-5)
    # Effects of groups of any size change nothing.
    moved = rows.y.copy()
    for Z in rows.Z:
        moved = moved + Z @ np.random.default_rng(2).standard_cauchy(Z.shape[1])
    np.testing.assert_allclose(rows.sample(moved[:, None]).errors, rows.data().errors, atol=1e-3)
    square = np.mean(rows.data().errors[rows.stratum == 0] ** 2)
    assert square == pytest.approx(1.0)


def test_group_effects_are_standardised_by_their_marginal_covariance(case):
    est, rows = case
    for place, factor in enumerate(rows.factors):
        one, q = standardised(rows, place), factor.Z.shape[1]
        _, _, V, _, P = dense(est)
        Z = group_columns(factor).toarray()
        if np.linalg.eigvalsh(est.cov[factor.name].to_numpy())[0] < 1e-8:
            continue
        S = np.kron(np.eye(len(factor.levels)), est.cov[factor.name].to_numpy())
        b = np.asarray(est.b[factor.name])
        var = S @ Z.T @ P @ V @ P @ Z @ S
        w = []
        for j in range(len(factor.levels)):
            own = var[j * q : (j + 1) * q, j * q : (j + 1) * q]
            w.append(b[j] @ np.linalg.solve(own, b[j]))
        u = np.asarray(rows.Z[place].T @ rows.data().marginal).reshape(-1, q)
        mine = np.sum(np.matmul(one.roots, u[:, :, None])[..., 0] ** 2, axis=1)
        np.testing.assert_allclose(mine, w, rtol=1e-5)
        # Over the groups their mean is the number of columns, whatever the scale of Sigma.
        assert one.distances(rows.data()).mean() == pytest.approx(q, rel=1e-6)


@pytest.mark.parametrize("name", ["independent", "uncorrelated terms", "by", "correlated", "known_cov", "crossed"])
def test_influence_is_that_of_refits_without_the_group(name, table):
    formula, errors = CASES[name]
    model = hr.Model(formula, table, errors=errors(table))
    est = model.estimate()
    rows = rows_of(point_of_estimate(est))
    y, X, V, _, _ = dense(est)
    for place, factor in enumerate(rows.factors):
        one = deletion(rows, place)
        changes = one.coef @ one.of(rows.data().marginal)[:, :, 0].T
        for j in range(len(factor.levels)):
            kept = factor.index != j
            Vi, Xk = np.linalg.inv(V[np.ix_(kept, kept)]), X[kept]
            without = np.linalg.solve(Xk.T @ Vi @ Xk, Xk.T @ Vi @ y[kept])
            np.testing.assert_allclose(est.beta.to_numpy() - changes[:, j], without, atol=1e-7)
            d = est.beta.to_numpy() - without
            cook = d @ np.linalg.solve(est.beta_cov.to_numpy(), d) / len(d)
            assert one.distances(rows.data().marginal)[j, 0] == pytest.approx(cook, rel=1e-5)


@pytest.mark.parametrize(
    ("formula", "data"),
    [
        ("Reaction ~ Days + (Days | Subject)", "sleepstudy"),
        ("distance ~ age * Sex + (1 | Subject)", "orthodont"),
        ("Yield ~ 1 + (1 | Batch)", "dyestuff"),
    ],
)
def test_influence_is_that_of_models_without_the_group(formula, data):
    """The same through `Model.solve` at the covariances of all, and REML without the group."""
    rows_table = hr.load_dataset(data)
    est = hr.Model(formula, rows_table).estimate()
    rows = rows_of(point_of_estimate(est))
    (factor,) = rows.factors
    one = deletion(rows, 0)
    for j in (0, 3):
        kept = rows_table[(factor.index != j)]
        part = hr.Model(formula, kept)
        found = part.solve(cov=est.cov, error_cov=float(est.error_sd) ** 2)
        change = one.coef @ one.of(rows.data().marginal)[j, :, 0]
        np.testing.assert_allclose(est.beta - change, found.beta, rtol=1e-6)
        again, exact = without_group(est.problem, j), part.estimate()
        np.testing.assert_allclose(again.sd, exact.sd[factor.name], rtol=1e-5)
        assert again.error_sd[0] == pytest.approx(float(exact.error_sd), rel=1e-6)


def test_groups_without_which_a_coefficient_is_not_determined_are_set_apart(table):
    only = table.assign(z=np.where(table["g"] == 2, table["w"], 0.0))
    est = hr.Model("y ~ x + z + (1 | g)", only).estimate()
    one = deletion(rows_of(point_of_estimate(est)), 0)
    assert one.is_possible.tolist() == [j != 2 for j in range(8)]
    assert "2 alone determines" in hr.check(est, checks="influence")["evidence"].item()


def test_steps_of_the_variances_add_to_nothing_at_reml(table):
    """The scores of all groups, of which REML is the root, and their expectations."""
    est = hr.Model("y ~ x + (x | g)", table, errors=hr.by("d")).estimate()
    assert not est.singular
    rows = rows_of(point_of_estimate(est))
    of = contributions(rows)
    from hierreg.criticism.checks.variance_influence import _forms

    own = _forms(rows, rows.data().marginal)[:, :, 0]
    np.testing.assert_allclose((own - of.mean).sum(axis=0) / of.sd, 0.0, atol=2e-3)
    total = variance_forms(rows)(rows.data())[:3, 0]
    np.testing.assert_allclose(own.sum(axis=0)[:3], total, rtol=1e-10)


@pytest.mark.parametrize("unit", [1e-6, 1e3, 1e7])
def test_steps_of_the_variances_do_not_depend_on_the_unit_of_the_response(table, unit):
    """The information on variances of coefficients and of errors has the units of both."""
    reports = [
        hr.check(
            hr.Model("y ~ x + (x | g)", table.assign(y=table["y"] * scale)).estimate(),
            checks="variance_influence",
            replicates=199,
        )
        for scale in (1.0, unit)
    ]
    assert reports[0]["verdict"].item() != "not made"
    np.testing.assert_allclose(reports[1]["statistic"], reports[0]["statistic"], rtol=1e-4)


def test_replicates_are_those_of_the_model(table):
    est = hr.Model("y ~ x + (1 | s)", table, errors=hr.ar1("time", unit="s")).estimate()
    rows = rows_of(point_of_estimate(est))
    made = np.concatenate([sample.marginal for sample in rows.replicates(4000, 3)], axis=1)
    P = whitened(rows, dense(est)[-1])
    error = np.sqrt((np.diag(P)[:, None] * np.diag(P) + P**2) / 4000)
    assert np.max(np.abs(made @ made.T / 4000 - P) / error) < 5.0


def test_whitening_of_ar1_is_in_order_of_time(table):
    est = hr.Model("y ~ x", table, errors=hr.ar1("time", unit="s")).estimate()
    W, rho = rows_of(point_of_estimate(est)).whiten.toarray(), float(est.error_corr)
    first, second = neighbours(table["time"].to_numpy(float), table["s"].to_numpy(), np.ones(N, dtype=bool))
    step = table["time"].to_numpy()[second] - table["time"].to_numpy()[first]
    np.testing.assert_allclose(W[second, first] / W[second, second], -(rho**step), atol=1e-10)
    assert np.all(np.count_nonzero(np.abs(W) > 1e-12, axis=1) <= 2)


def test_the_centre_of_a_posterior(table):
    model = hr.Model("y ~ x + (x | g)", table, errors=hr.correlated("d", unit="unit"))
    tree = model.sample(draws=200, seed=1, progress=False, method="psis")
    point = point_of_posterior(draws_in(tree), model.problem)
    sd = np.median(tree["posterior"]["sd_g"].to_numpy().reshape(-1, 2), axis=0)
    np.testing.assert_allclose(np.sqrt(np.diag(point.cov["g"])), sd)
    assert rows_of(point).n == N
