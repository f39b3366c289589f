"""All effects together: Laplace's approximation and the transported density against dense formulas and differences."""

from dataclasses import replace

import numpy as np
import pytest

import hierreg as hr
from hierreg.likelihood.joint.structure import structure_of
from hierreg.model.family.joint import effects_of, joint_target
from hierreg.problem.family import assemble_family
from tests.likelihood.joint.cases import CASES, dense, problem, table


def point(problem, rng, spread=0.4):
    """Return psi somewhere."""
    target = problem.target(1)
    u, phi, w = target.split(np.zeros(target.n))
    u = rng.normal(-0.3, spread, len(u))
    phi = rng.normal(0.0, spread, len(phi))
    return np.concatenate([u, phi, rng.normal(0.0, 0.3, len(w))])


def difference(function, x, k, h=1e-5):
    high, low = x.copy(), x.copy()
    high[k] += h
    low[k] -= h
    return (function(high) - function(low)) / (2 * h)


@pytest.mark.parametrize("name", CASES)
def test_laplace_is_that_of_whole_matrices(name, rng):
    p = problem(name)
    target = p.target(1)
    assert p.engine == "joint"
    psi = point(p, rng)
    u, phi, w = target.split(psi)
    arguments = phi, target.factor(u), p.auxiliary.natural(w)
    value = target.likelihood.value_and_gradient(*arguments)[0]
    # Curvatures of the oracle are by differences of a sum of all rows.
    assert value == pytest.approx(dense(p).laplace(*arguments), abs=2e-5)


@pytest.mark.parametrize("name", CASES)
def test_laplace_gradient_is_that_of_differences(name, rng):
    target = problem(name).target(1)
    psi = point(problem(name), rng)
    _, gradient = target(psi)
    expected = [difference(lambda x: target(x)[0], psi, k) for k in range(target.n)]
    np.testing.assert_allclose(gradient, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("across", [True, False], ids=["whole", "by group"])
@pytest.mark.parametrize("name", CASES)
def test_density_is_that_of_whole_matrices(name, across, rng):
    p = problem(name)
    marginal = p.target(1)
    target = joint_target(p, marginal, point(p, rng), most_work=np.inf if across else 0.0)
    # Away from where the working model was made.
    x = np.concatenate([point(p, rng), rng.normal(size=p.n_effects)])
    u, phi, w, t = target.split(x)
    Lambda, auxiliary = marginal.factor(u), p.auxiliary.natural(w)
    (v,) = target.standardised(phi[None], Lambda[None], t[None])
    by_factor = p.structure.by_factor(v)
    oracle = dense(p)
    eta = p.offset + oracle.X @ phi + oracle.Z @ oracle.Lambda(Lambda) @ np.concatenate([b.ravel() for b in by_factor])
    # The determinant of the transport, by differences.
    at = lambda y: target.standardised(phi[None], Lambda[None], y[None])[0]  # noqa: E731
    jacobian = np.stack([difference(at, t, k, 1e-3) for k in range(len(t))])
    expected = oracle.log_likelihood(eta, auxiliary) - 0.5 * v @ v - 0.5 * len(v) * np.log(2 * np.pi)
    expected += np.linalg.slogdet(jacobian)[1]
    prior = marginal(x[: target.n_psi])[0] - marginal.likelihood.value_and_gradient(phi, Lambda, auxiliary)[0]
    assert target(x)[0] == pytest.approx(expected + prior, abs=1e-6)


@pytest.mark.parametrize("across", [True, False], ids=["whole", "by group"])
@pytest.mark.parametrize("name", CASES)
def test_gradient_is_that_of_differences(name, across, rng):
    p = problem(name)
    target = joint_target(p, p.target(1), point(p, rng), most_work=np.inf if across else 0.0)
    x = np.concatenate([point(p, rng), rng.normal(size=p.n_effects)])
    _, gradient = target(x)
    some = [*range(target.n_psi), *rng.choice(np.arange(target.n_psi, target.n), 8, replace=False)]
    expected = [difference(lambda y: target(y)[0], x, k) for k in some]
    np.testing.assert_allclose(gradient[some], expected, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(target.values(np.stack([x, x])), target(x)[0], rtol=1e-13)


def test_signed_standard_deviations_are_the_same_density(rng):
    p = problem("crossed slopes")
    target = joint_target(p, p.target(1), point(p, rng))
    n = int(p.parameters.sd_is_free.sum())
    signed = target.with_signed(np.full(p.parameters.n_columns, 0.7))
    x = np.concatenate([point(p, rng), rng.normal(size=p.n_effects)])
    w = x.copy()
    w[:n] = np.arcsinh(np.exp(x[:n]) / 0.7)
    # The density of w is half that of log sd times d log sd / dw.
    shift = np.sum(np.log(1 / np.tanh(w[:n])) - np.log(2))
    assert signed(w)[0] == pytest.approx(target(x)[0] + shift, rel=1e-12)
    # A column of Lambda with the other sign: its partial correlations and its transported effects change theirs.
    sign = np.ones(p.parameters.n_columns)
    sign[1] = -1
    other = w.copy()
    other[1] *= -1
    other[n] *= -1
    other[target.n_psi :] *= sign[p.structure.column_of_effect]
    assert signed(other)[0] == pytest.approx(signed(w)[0], rel=1e-12)
    _, gradient = signed(other)
    expected = [difference(lambda y: signed(y)[0], other, k) for k in range(target.n_psi)]
    np.testing.assert_allclose(gradient[: target.n_psi], expected, rtol=1e-6, atol=1e-5)
    at_x = effects_of(p, target, x[None], None)
    flipped = x.copy()
    flipped[target.n_psi :] = other[target.n_psi :]
    for one, same in zip(at_x, effects_of(p, target, flipped[None], sign[None]), strict=True):
        np.testing.assert_allclose(one, same, rtol=1e-12)


def test_neither_order_of_rows_nor_of_factors_matters(rng):
    d = table()
    one = assemble_family("count ~ x + (x | a) + (1 | c) + (1 | n)", d, hr.Poisson(), None)
    other = assemble_family(
        "count ~ x + (1 | n) + (1 | c) + (x | a)", d.sample(frac=1, random_state=4), hr.Poisson(), None
    )
    # sds of the intercept and x by a, by c, by n; by n, by c, by a.
    u = rng.normal(-0.5, 0.3, 5)
    moved = u[[3, 2, 0, 1, 4]]
    phi = rng.normal(size=2)
    first, second = (p.target(1)(np.concatenate([x, phi])) for p, x in ((one, u), (other, moved)))
    assert first[0] == pytest.approx(second[0], rel=1e-12)
    np.testing.assert_allclose(first[1][[3, 2, 0, 1, 4, 5, 6]], second[1], rtol=1e-8, atol=1e-8)


def test_weights_are_rows_that_stand_several_times():
    d = table().assign(k=np.tile([1, 2, 3], 30))
    weighted = assemble_family("yes ~ x + (1 | a) + (1 | c)", d, hr.Bernoulli(), None, weights="k")
    repeated = assemble_family(
        "yes ~ x + (1 | a) + (1 | c)", d.loc[d.index.repeat(d["k"])].reset_index(drop=True), hr.Bernoulli(), None
    )
    raw = np.array([0.2, -0.4])
    values = []
    for p in (weighted, repeated):
        phi = p.priors.beta_basis @ raw
        values.append(p.target(1).likelihood.value_and_gradient(phi, np.diag([0.7, 0.5]), np.empty((1, 0)))[0])
    assert values[0] == pytest.approx(values[1], rel=1e-12)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1, 3), (1, 2, 2)])
@pytest.mark.parametrize("share", [0.05, 0.4])
def test_the_factor_is_cholesky_s(sizes, share, rng):
    levels = (30, 12, 7)
    n_rows = int(share * 300) + 40
    indices = [np.concatenate([np.arange(J), rng.integers(0, J, n_rows - J)]) for J in levels]
    structure = structure_of(indices, levels, sizes)
    from hierreg.likelihood.joint import factor_kernels, kernels

    Z, w = rng.normal(size=(n_rows, sum(sizes))), rng.uniform(0.1, 2, n_rows)
    Lambda = np.zeros((sum(sizes),) * 2)
    start = 0
    for q in sizes:
        Lambda[start : start + q, start : start + q] = np.tril(rng.normal(size=(q, q)))
        start += q
    entries, values = np.empty(structure.n_entries), np.empty(structure.n_values)
    rows = (np.empty((0, n_rows)), np.ascontiguousarray(Z.T), w, w, w, w, np.zeros(n_rows, dtype=np.int64), 1, 3)
    rows = (*rows, structure.place, structure.row_block)
    kernels.entries_at(rows, structure.factors, w, entries)
    kernels.precision_at(structure.form, structure.blocks, structure.factors, Lambda, entries, values)
    P = structure.matrix(values).toarray()
    whole = np.zeros((n_rows, structure.n_effects))
    for i, f in enumerate(structure.order):
        columns = slice(int(structure.column[i]), int(structure.column[i] + sizes[f]))
        ZL = Z[:, columns] @ Lambda[columns, columns]
        for k in range(sizes[f]):
            whole[np.arange(n_rows), structure.place[:, i] + k] = ZL[:, k]
    np.testing.assert_allclose(P, np.eye(len(P)) + whole.T @ (w[:, None] * whole), rtol=1e-12, atol=1e-12)
    bar = np.zeros_like(values)
    assert factor_kernels.factorise.alone(structure.form, values)
    x = rng.normal(size=len(P))
    solved = x.copy()
    factor_kernels.solve_lower.alone(structure.form, values, solved)
    np.testing.assert_allclose(solved, np.linalg.solve(np.linalg.cholesky(P), x), rtol=1e-9, atol=1e-9)
    factor_kernels.add_log_determinant.alone(structure.form, values, 1.0, bar)
    factor_kernels.pull_back_factor.alone(structure.form, values, bar)
    inverse = np.linalg.inv(P)
    for i, f in enumerate(structure.order):
        for j, block in enumerate(structure.inverse_blocks(bar)[f]):
            mine = slice(int(structure.first[i]) + j * sizes[f], int(structure.first[i]) + (j + 1) * sizes[f])
            np.testing.assert_allclose(block, inverse[mine, mine], rtol=1e-9, atol=1e-9)


def test_a_dense_rest_and_a_sparse_one_are_both_there():
    crossed, nested = problem("crossed").structure, problem("three, one of them rows").structure
    assert crossed.form[5] == 4
    assert nested.form[5] == 0
    # Nothing is filled in where factors are nested.
    assert nested.n_values == nested.n_effects + 2 * 90 + len(set(table()["n"]))


def test_groups_without_rows_have_the_prior():
    p = problem("crossed")
    structure = structure_of(p.indices, [12, 4], [1, 1])
    likelihood = replace(p.likelihood(1), structure=structure, start=np.zeros(16))
    arguments = np.array([0.1, 0.2]), np.diag([0.6, 0.4]), np.empty((1, 0))
    assert likelihood.value_and_gradient(*arguments)[0] == pytest.approx(
        p.likelihood(1).value_and_gradient(*arguments)[0], rel=1e-12
    )
    found = likelihood.modes(*arguments)
    np.testing.assert_array_equal(found.v[9:12], 0.0)
    np.testing.assert_array_equal(found.inverse[0][9:], 1.0)


@pytest.mark.parametrize("n_rows", [0, 1, 63, 64, 200])
def test_sums_over_rows_are_those_of_matrices(n_rows, rng):
    """Of a factor whose rows stand together, and of one whose rows do not."""
    from hierreg.likelihood.joint import kernels

    indices = [np.sort(rng.integers(0, 8, n_rows)), rng.integers(0, 5, n_rows)]
    structure = structure_of(indices, (8, 5), (2, 1))
    X, Z, d = rng.normal(size=(3, n_rows)), rng.normal(size=(3, n_rows)), rng.normal(size=n_rows)
    rows = (X, Z, d, d, d, d, np.zeros(n_rows, dtype=np.int64), 1, 3, structure.place, structure.row_block)
    whole = np.zeros((n_rows, structure.n_effects))
    for i in range(2):
        for k in range(structure.size[i]):
            whole[np.arange(n_rows), structure.place[:, i] + k] = Z[structure.column[i] + k]
    found, g, b, out = np.ones(3), np.empty(structure.n_effects), rng.normal(size=structure.n_effects), d.copy()
    kernels.add_population.alone(rows, d, 2.0, found)
    kernels.gather.alone(rows, structure.factors, d, g)
    kernels.add_effects.alone(rows, structure.factors, b, out)
    np.testing.assert_allclose(found, 1.0 + 2.0 * X @ d, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(g, whole.T @ d, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(out, d + whole @ b, rtol=1e-12, atol=1e-12)
    if n_rows == 200:
        assert np.all(structure.place[:, 2] > 0)
        assert np.all(structure.place[:, 3] < 0)
