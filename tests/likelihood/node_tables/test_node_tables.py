"""Tables at fixed nodes against adaptive quadrature with many, which shares no formula with them, and their limits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import hierreg as hr
from hierreg.exceptions import SamplingError
from hierreg.likelihood.node_tables.density import NodeTableTarget
from hierreg.likelihood.node_tables.draws import draw_effects
from hierreg.likelihood.node_tables.error import beyond, edge_of, error_of
from hierreg.likelihood.node_tables.table import maps_of_groups, places_of_nodes, tabulated
from hierreg.problem.family import assemble_family
from hierreg.response.special_kernels import exp_of_negative, log1p_of_share

# More than one strip of groups, of which the last is not full.
J = 37


def table():
    """Return rows of groups of 1 to 7 rows; one group answers yes in all of them, and counts nothing."""
    rng = np.random.default_rng(8)
    sizes = 1 + np.arange(J) % 7
    g = np.repeat(np.arange(J), sizes)
    N = len(g)
    x, z = rng.normal(size=(2, N))
    b = rng.multivariate_normal([0, 0, 0], np.diag([0.5, 0.3, 0.2]), J)[g]
    eta = 0.2 + 0.4 * x + b[:, 0] + b[:, 1] * x + b[:, 2] * z
    n = rng.integers(1, 12, N)
    p = special.expit(eta)
    extreme = g == 6
    return pd.DataFrame(
        {
            "x": x + 3.0,
            "z": z,
            "sector": np.array(["a", "b", "c"])[g % 3],
            "g": [f"group {k}" for k in g],
            "n": n,
            "k": np.where(extreme, n, rng.binomial(n, p)),
            "yes": np.where(extreme, True, rng.uniform(size=N) < p),
            "count": np.where(extreme, 0, rng.poisson(np.exp(eta))),
            "o": 0.2 * rng.normal(size=N),
            "w": rng.uniform(0.5, 2.0, N),
        }
    )


TABLE = table()
MODELS = {
    "logit": ("yes ~ x + (x | g)", hr.Bernoulli(), {}),
    "probit, intercepts": ("yes ~ 1 + (1 | g)", hr.Bernoulli("probit"), {}),
    "probit": ("yes ~ z + (z || g)", hr.Bernoulli("probit"), {}),
    "cloglog": ("yes ~ sector * x + (x | g)", hr.Bernoulli("cloglog"), {}),
    "cloglog, intercepts": ("yes ~ sector + (1 | g)", hr.Bernoulli("cloglog"), {"weights": "w"}),
    "binomial": ("cbind(k, n - k) ~ sector * x + (x | g)", hr.Binomial(), {"offset": "o"}),
    "binomial, no population": ("cbind(k, n - k) ~ 0 + (1 | g)", hr.Binomial(), {}),
    "poisson": ("count ~ x + (x | g)", hr.Poisson(), {"offset": "o", "weights": "w"}),
    "poisson, intercepts": ("count ~ sector + (1 | g)", hr.Poisson(), {}),
    "three effects": ("cbind(k, n - k) ~ x + z + (x + z | g)", hr.Binomial(), {}),
}
# Nodes on each axis, and how near to 25 (13) of adaptive quadrature they are, by number of effects.
NODES, ALLOWED = {1: 25, 2: 25, 3: 11}, {1: 1e-8, 2: 1e-5, 3: 1e-4}


def problem_of(name):
    formula, family, others = MODELS[name]
    return assemble_family(formula, TABLE, family, None, **others)


def laid(target, psi, points, n_nodes):
    """Return the density by a table whose nodes are laid by these points of the posterior."""
    maps = maps_of_groups(target.likelihood)
    place, root = places_of_nodes(target, maps, psi, points)
    made = tabulated(target.likelihood, maps, place, root, n_nodes)
    return NodeTableTarget(parameters=target.parameters, population=target.population, table=made)


def both(problem, *, n_nodes=None):
    """Return adaptive quadrature with many nodes, a table, and points near where its nodes were laid."""
    q, target = problem.Z.shape[1], problem.target(25 if problem.Z.shape[1] < 3 else 13)
    rng, n_free = np.random.default_rng(5), problem.parameters.n_free
    psi = np.concatenate([np.full(n_free, -0.3), 0.2 * rng.normal(size=target.n - n_free)])
    points = psi + 0.1 * rng.normal(size=(8, target.n))
    target = target.with_modes_at(psi)
    return target, laid(target, psi, points, NODES[q] if n_nodes is None else n_nodes), points


@pytest.mark.parametrize("name", MODELS)
def test_equals_adaptive_quadrature(name):
    target, table_target, points = both(problem_of(name))
    expected, allowed = target.values(points), ALLOWED[target.parameters.n_factor]
    np.testing.assert_allclose(table_target.values(points, threads=2), expected, rtol=0, atol=allowed)
    np.testing.assert_allclose(table_target(points[0])[0], expected[0], rtol=0, atol=allowed)


@pytest.mark.parametrize("name", MODELS)
def test_gradient_equals_differences(name):
    """That of the sum over nodes itself, also with few of them, and far from where they were laid."""
    _, target, points = both(problem_of(name), n_nodes=4)
    psi, h = points[0] + 0.5, 1e-5
    _, gradient = target(psi)
    slopes = [(target(psi + h * e)[0] - target(psi - h * e)[0]) / (2 * h) for e in np.eye(target.n)]
    np.testing.assert_allclose(gradient, slopes, atol=1e-7 * max(1.0, np.abs(gradient).max()))


def test_signed_standard_deviations():
    target, found, points = both(problem_of("logit"))
    unit = np.concatenate([np.full(2, 0.8), [0.0]])
    signed = points.copy()
    signed[:, :2] = -np.arcsinh(np.exp(points[:, :2]) / 0.8)
    np.testing.assert_allclose(
        found.with_signed(unit).values(signed), target.with_signed(unit).values(signed), rtol=0, atol=1e-5
    )


def test_samplers_are_given_the_same_density():
    """In x, psi = centre + scale x, by the address of the compiled function."""
    import ctypes

    _, target, points = both(problem_of("poisson"))
    scale = 0.1 * np.random.default_rng(1).normal(size=(target.n, target.n)) + np.eye(target.n)
    address, table_of = target.native(points[0], scale)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)(address)
    x = np.linspace(-0.1, 0.1, target.n)
    gradient, value = np.empty(target.n), np.empty(1)
    status = function(target.n, *(a.ctypes.data for a in (x, gradient, value)), table_of.address)
    expected = target(points[0] + scale @ x)
    assert status == 0
    assert value[0] == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(gradient, scale.T @ expected[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("change", ["zero of x", "unit of x", "order of rows", "order of levels"])
def test_does_not_depend_on_coding(change):
    rng = np.random.default_rng(2)
    data = {
        "zero of x": TABLE.assign(x=TABLE["x"] - 1e3),
        "unit of x": TABLE.assign(x=40.0 * TABLE["x"]),
        "order of rows": TABLE.iloc[rng.permutation(len(TABLE))],
        "order of levels": TABLE.assign(g="z" + TABLE["g"].str[::-1]),
    }[change]
    formula, family, others = MODELS["poisson"]
    target, other = (
        problem.target(25)
        for problem in (problem_of("poisson"), assemble_family(formula, data, family, None, **others))
    )
    _, _, points = both(problem_of("poisson"), n_nodes=7)
    moved = points.copy()
    if change == "unit of x":
        # The sd and the coefficient of the slope are those of the column as it stands.
        moved[:, 1] -= np.log(40.0)
        moved[:, 4] /= 40.0
    ours, theirs = (
        replace(laid(one, at.mean(axis=0), at, 7), prior_on=False).values(at)
        for one, at in ((target, points), (other, moved))
    )
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-7)


def test_exp():
    x = np.concatenate([-np.logspace(-18, np.log10(64.0), 400), [0.0]])
    np.testing.assert_allclose([exp_of_negative.alone(one) for one in x], np.exp(x), rtol=4e-14)
    assert 0 < exp_of_negative.alone(-1e300) < 1e-27
    e = np.concatenate([[0.0], np.logspace(-20, 0, 200), np.linspace(0, 1, 200)])
    np.testing.assert_allclose([log1p_of_share.alone(one) for one in e], np.log1p(e), rtol=6e-16)
    assert 0 < exp_of_negative.alone(-np.inf) < 1e-27


def test_maps():
    likelihood = problem_of("cloglog").likelihood(1)
    maps, X, Z, starts = maps_of_groups(likelihood), *likelihood.rows[:2], likelihood.rows[9]
    for j in range(J):
        mine = slice(starts[j], starts[j + 1])
        np.testing.assert_allclose(Z[mine] @ maps[j], X[mine], atol=1e-10)
    common = maps_of_groups(problem_of("logit").likelihood(1))
    np.testing.assert_allclose(common, np.broadcast_to(np.eye(2), (J, 2, 2)), atol=1e-10)


@pytest.mark.parametrize(
    "formula", ["yes ~ x + (1 | g)", "yes ~ x + z + (x | g)", "yes ~ x", "yes ~ sector * z + (x | g)"]
)
def test_there_are_no_maps_where_groups_do_not_fit_the_population(formula):
    assert maps_of_groups(assemble_family(formula, TABLE, hr.Bernoulli(), None).likelihood(1)) is None


def test_error_grows_where_nodes_do_not_reach_and_is_measured():
    """Half the standard deviations of the effects, and less: groups that say little have densities between nodes."""
    target, found, points = both(problem_of("logit"), n_nodes=9)
    errors = []
    for shift in (0.0, -0.7, -1.4, -2.8):
        moved = points.copy()
        moved[:, :2] += shift
        errors.append(np.max(np.abs(found.values(moved) - target.values(moved))))
    assert errors[0] < 1e-3
    assert errors[0] < errors[1] < errors[2] < errors[3]
    assert errors[3] > 0.3
    among = points, target.values(points)
    assert error_of(found, among, among, threads=1).is_small
    far = points.copy()
    far[:, :2] -= 2.8
    assert not error_of(found, among, (far, target.values(far)), threads=1).is_small


def test_points_at_the_edge():
    draws = np.random.default_rng(1).normal(size=(50, 3)) + 4.0
    np.testing.assert_allclose(beyond(draws) - draws.mean(axis=0), 1.5 * (draws - draws.mean(axis=0)))
    scale = np.diag([1.0, 2.0])
    assert sorted(map(tuple, edge_of(np.ones(2), scale))) == [(-2.0, 1.0), (1.0, -5.0), (1.0, 7.0), (4.0, 1.0)]


@pytest.mark.long
def test_effects_have_their_conditional_distribution():
    problem = problem_of("poisson, intercepts")
    _, found, points = both(problem, n_nodes=9)
    likelihood = problem.likelihood(3)
    S = 2000
    u, phi, _ = problem.target(3).split(points[:1])
    sd = float(problem.target(3).factor(u[0])[0, 0])
    v = draw_effects(likelihood, found.table, np.tile(phi, (S, 1)), np.full((S, 1, 1), sd), seed=1, threads=1)
    base = problem.X[:, problem.free] @ phi[0]
    for j in (0, 5, 6, 20):
        mine = problem.index == j

        def density(x, mine=mine):
            return np.exp(stats.poisson.logpmf(problem.observed.y[mine], np.exp(base[mine] + sd * x)).sum() - x * x / 2)

        total = integrate.quad(density, -8, 8)[0]
        mean = integrate.quad(lambda x: x * density(x), -8, 8)[0] / total
        own = np.sqrt(integrate.quad(lambda x: x * x * density(x), -8, 8)[0] / total - mean**2)
        assert np.mean(v[:, j, 0]) == pytest.approx(mean, abs=4 * own / np.sqrt(S))
        assert np.std(v[:, j, 0]) == pytest.approx(own, rel=4 / np.sqrt(2 * S))
        cdf = np.vectorize(lambda x: integrate.quad(density, -8, x)[0] / total)  # noqa: B023  # used at once
        assert stats.kstest(v[:200, j, 0], cdf).pvalue > 1e-3


def test_effects_of_two_coefficients_at_parameters_that_differ():
    """Their means and covariances at each of three values of the parameters, against sums over a grid."""
    problem = problem_of("logit")
    _, found, points = both(problem, n_nodes=9)
    target, S = problem.target(3), 1500
    u, phi, _ = target.split(points[:3])
    Lambda = np.stack([target.factor(one) for one in u])
    which = np.tile(np.arange(3), S)
    v = draw_effects(problem.likelihood(3), found.table, phi[which], Lambda[which], seed=1, threads=2)
    axis = np.linspace(-6, 6, 121)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    z = []
    for s in range(3):
        for j in (0, 6, 20):
            mine = problem.index == j
            eta = problem.X[mine][:, problem.free] @ phi[s] + (grid @ Lambda[s].T) @ problem.Z[mine].T
            y, n = problem.observed.y[mine], problem.observed.trials[mine]
            log_density = (y * eta - n * np.logaddexp(0.0, eta)).sum(axis=1) - 0.5 * np.sum(grid**2, axis=1)
            share = np.exp(log_density - log_density.max())
            share /= share.sum()
            mean = share @ grid
            cov = (grid - mean).T @ (share[:, None] * (grid - mean))
            own = v[which == s, j]
            z += list((own.mean(axis=0) - mean) / np.sqrt(np.diag(cov) / S))
            spread = np.sqrt(np.outer(np.diag(cov), np.diag(cov)) + cov**2)
            z += list(((np.cov(own.T) - cov) / spread * np.sqrt(S))[np.tril_indices(2)])
    assert np.max(np.abs(z)) < 4.5
    again = draw_effects(problem.likelihood(3), found.table, phi[which], Lambda[which], seed=1, threads=1)
    np.testing.assert_array_equal(again, v)


def test_effects_where_no_bound_holds_are_those_of_a_chain():
    """Every proposal is above a bound that is far too low."""
    from hierreg.likelihood.node_tables import draws

    problem = problem_of("poisson, intercepts")
    _, found, points = both(problem, n_nodes=9)
    likelihood, S = problem.likelihood(3), 1500
    u, phi, _ = problem.target(3).split(points[:1])
    Lambda = np.tile(problem.target(3).factor(u[0]), (S, 1, 1))
    right = draw_effects(likelihood, found.table, np.tile(phi, (S, 1)), Lambda, seed=1, threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draws, "_MARGIN", -30.0)
        other = draw_effects(likelihood, found.table, np.tile(phi, (S, 1)), Lambda, seed=2, threads=1)
    z = (right.mean(axis=0) - other.mean(axis=0)) / np.sqrt((right.var(axis=0) + other.var(axis=0)) / S)
    assert np.max(np.abs(z)) < 4.5
    np.testing.assert_allclose(np.log(right.std(axis=0) / other.std(axis=0)).mean(), 0.0, atol=0.02)


def test_shapes_are_checked():
    _, target, points = both(problem_of("poisson, intercepts"), n_nodes=3)
    with pytest.raises(ValueError, match="there are 4 parameters"):
        target(points[0, 1:])
    assert replace(target, prior_on=False)(points[0])[0] != target(points[0])[0]


def test_groups_without_a_covariance_are_refused():
    problem = problem_of("poisson, intercepts")
    _, found, points = both(problem, n_nodes=9)
    # All of the density of a group at one node.
    logs = found.table.log_likelihood.copy()
    logs[3] = np.where(np.arange(logs.shape[1]) == 4, 0.0, -1e6)
    u, phi, _ = problem.target(3).split(points[:1])
    Lambda = problem.target(3).factor(u[0])[None]
    with pytest.raises(SamplingError, match="no covariance"):
        draw_effects(problem.likelihood(3), replace(found.table, log_likelihood=logs), phi, Lambda, seed=1, threads=1)
