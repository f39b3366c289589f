"""hierreg's density equals PyMC's, and the explicit parametrizations integrate to the marginal one.

The points are random and the designs asymmetric: p, q, D and group sizes are all different.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

import hierreg as hr
import hierreg.priors as hp
from hierreg.design_matrices import Design, FactorDesign
from hierreg.errors.base import ErrorLayout
from hierreg.exceptions import ModelError
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.likelihood.population import fixed_beta, population_prior
from hierreg.likelihood.posterior import Target
from hierreg.pymc_model import build_pymc_model
from hierreg.variances.parameters import covariances, variance_parameters
from tests.oracles import dense
from tests.oracles.cases import make_layout

J = 4


def make_factor(rng, n, *, name="g", names=("Intercept", "x", "w"), sizes=(2, 1), correlated=(True, True), index=None):
    levels = tuple("abcdefgh"[: J if index is None else index.max() + 1])
    columns = {"Intercept": np.ones(n), "x": rng.normal(2, 1, n), "w": rng.normal(0, 3, n)}
    return FactorDesign(
        name=name,
        levels=levels,
        index=rng.integers(0, J, n) if index is None else index,
        Z=np.column_stack([columns[c] for c in names]),
        coef_names=names,
        term_sizes=sizes,
        term_correlated=correlated,
    )


def make_design(rng, n, factors=(), *, coef_names=("Intercept", "x")):
    X = np.column_stack([np.ones(n), rng.normal(3, 1, n), rng.normal(-1, 2, n)])[:, : len(coef_names)]
    return Design(response_name="y", y=rng.normal(2, 3, n), X=X, coef_names=coef_names, factors=factors)


def correlated_layout(rng, n_units, labels, *, dim="dataset"):
    """Every non-empty pattern of data sets, in shuffled row order."""
    D = len(labels)
    present = [[d for d in range(D) if (i % (2**D - 1) + 1) >> d & 1] for i in range(n_units)]
    rows = rng.permutation([(i, d) for i, pattern in enumerate(present) for d in pattern])
    unit, stratum = rows.T.astype(np.intp)
    return make_layout(
        "correlated", len(rows), labels=labels, dim=dim, n_sd=D, has_corr=True, stratum=stratum, unit=unit
    )


@dataclass(frozen=True, kw_only=True)
class Case:
    design: Design
    layout: ErrorLayout
    priors: hp.ResolvedPriors

    @property
    def likelihood(self):
        prior, fixed = population_prior(self.priors), fixed_beta(self.priors)
        return marginal_likelihood(collect(self.design, self.layout), prior=prior, fixed=fixed)

    @property
    def target(self):
        factors = [(factor.name, factor.coef_names, factor.term_sizes) for factor in self.design.factors]
        parameters = variance_parameters(self.likelihood.gram.terms, self.priors, factors=factors)
        return Target(parameters=parameters, likelihood=self.likelihood)

    def model(self, parametrization):
        return build_pymc_model(self.design, self.layout, self.priors, self.likelihood, parametrization)


CENTRED = np.array([[1, 2.9], [0, 1]])
NORMALS = (hp.Normal(1, 2), hp.Normal(-0.5, 1))


def independent_two_terms(rng):
    n = 17
    priors = hp.ResolvedPriors(
        beta=NORMALS,
        beta_basis=CENTRED,
        sd={"g": (hp.HalfStudentT(3, 2.5), hp.Gamma(2.2, 1.3), hp.HalfCauchy(0.7))},
        corr={"g": (hp.LKJ(2.3), None)},
        error_sd=(hp.HalfStudentT(4, 1.5),),
    )
    return Case(
        design=make_design(rng, n, (make_factor(rng, n),)),
        layout=make_layout("independent", n),
        priors=priors,
    )


def by_stratum_uncorrelated(rng):
    n = 19
    names = ("Intercept", "x", "w")
    factor = make_factor(rng, n, sizes=(3,), correlated=(False,))
    layout = make_layout("by", n, labels=("u", "v"), dim="site", n_sd=2, stratum=rng.integers(0, 2, n))
    priors = hp.ResolvedPriors(
        beta=(hp.Flat(), hp.Normal(0, 2), hp.Fixed(0.7)),
        beta_basis=np.eye(3),
        sd={"g": (hp.Exponential(0.8), hp.Exponential(1.7), hp.Exponential(0.3))},
        corr={"g": (None,)},
        error_sd=(hp.LogNormal(0.2, 0.6), hp.InverseGamma(3, 2.5)),
    )
    return Case(design=make_design(rng, n, (factor,), coef_names=names), layout=layout, priors=priors)


def correlated_three_data_sets(rng):
    layout = correlated_layout(rng, 16, ("p", "q", "r"))
    n = len(layout.stratum)
    factor = make_factor(rng, n, names=("Intercept", "x"), sizes=(2,), correlated=(True,))
    priors = hp.ResolvedPriors(
        beta=NORMALS,
        beta_basis=CENTRED,
        sd={"g": (hp.HalfNormal(1.4), hp.HalfNormal(0.6))},
        corr={"g": (hp.LKJ(1.2),)},
        error_sd=(hp.HalfNormal(1), hp.HalfNormal(2), hp.HalfNormal(3)),
        error_corr=hp.LKJ(0.9),
    )
    return Case(design=make_design(rng, n, (factor,)), layout=layout, priors=priors)


def data_set_is_the_group(rng):
    layout = correlated_layout(rng, 9, ("a", "b"), dim="g")
    n = len(layout.stratum)
    factor = make_factor(rng, n, names=("x", "w", "Intercept"), sizes=(3,), correlated=(True,), index=layout.stratum)
    priors = hp.ResolvedPriors(
        beta=NORMALS,
        beta_basis=np.eye(2),
        sd={"g": (hp.HalfNormal(1.4), hp.Fixed(0.8), hp.HalfNormal(0.6))},
        corr={"g": (hp.LKJ(1.7),)},
        error_sd=(hp.HalfNormal(1), hp.Fixed(1.6)),
        error_corr=hp.LKJ(2),
    )
    return Case(design=make_design(rng, n, (factor,)), layout=layout, priors=priors)


def known_standard_errors(rng):
    n = 11
    factor = make_factor(rng, n, names=("Intercept",), sizes=(1,), correlated=(True,))
    priors = hp.ResolvedPriors(
        beta=NORMALS[:1],
        beta_basis=np.eye(1),
        sd={"g": (hp.HalfCauchy(2),)},
        corr={"g": (None,)},
    )
    layout = make_layout("known_se", n, n_sd=0, se=rng.uniform(0.5, 2, n))
    return Case(design=make_design(rng, n, (factor,), coef_names=("Intercept",)), layout=layout, priors=priors)


def known_standard_errors_scaled(rng):
    case = known_standard_errors(rng)
    n = len(case.design.y)
    priors = hp.ResolvedPriors(
        beta=(hp.Flat(),),
        beta_basis=np.eye(1),
        sd=case.priors.sd,
        corr=case.priors.corr,
        error_sd=(hp.Gamma(3, 2),),
    )
    return Case(design=case.design, layout=make_layout("known_se", n, se=case.layout.se), priors=priors)


def known_covariance_scaled(rng):
    n = 13
    factor = make_factor(rng, n, names=("x", "w"), sizes=(2,), correlated=(True,))
    A = rng.normal(size=(n, n + 2))
    priors = hp.ResolvedPriors(
        beta=NORMALS,
        beta_basis=CENTRED,
        sd={"g": (hp.HalfNormal(1.4), hp.HalfNormal(0.6))},
        corr={"g": (hp.Fixed([[1, -0.4], [-0.4, 1]]),)},
        error_sd=(hp.HalfNormal(1),),
    )
    layout = make_layout("known_cov", n, V=A @ A.T / n)
    return Case(design=make_design(rng, n, (factor,)), layout=layout, priors=priors)


def no_groups(rng):
    layout = correlated_layout(rng, 13, ("p", "q", "r"))
    n = len(layout.stratum)
    corr = hp.LKJ(2).draw(rng, (), 3)
    priors = hp.ResolvedPriors(
        beta=NORMALS,
        beta_basis=CENTRED,
        error_sd=(hp.HalfNormal(1), hp.Gamma(2, 1), hp.HalfNormal(3)),
        error_corr=hp.Fixed(corr),
    )
    return Case(design=make_design(rng, n), layout=layout, priors=priors)


def exchangeable_layout(rng, n_units, **changes):
    """Units of one to four rows in two strata, in shuffled order; the largest units are in the first stratum only."""
    sizes = [1, 4, 2, 3, 2]
    unit = rng.permutation(np.repeat(np.arange(n_units), [sizes[i % len(sizes)] for i in range(n_units)]))
    stratum = np.array([0, 0, 1, 1, 0])[unit % len(sizes)]
    return make_layout(
        "exchangeable",
        len(unit),
        **({"labels": ("u", "v"), "dim": "kind", "has_corr": True, "stratum": stratum, "unit": unit} | changes),
    )


def exchangeable_by_stratum(rng):
    layout = exchangeable_layout(rng, 11, n_sd=2)
    n = len(layout.stratum)
    priors = hp.ResolvedPriors(
        beta=NORMALS,
        beta_basis=CENTRED,
        sd={"g": (hp.HalfNormal(1.4), hp.HalfNormal(0.6))},
        corr={"g": (hp.LKJ(1.2),)},
        error_sd=(hp.HalfNormal(1), hp.Gamma(2, 3)),
        error_corr=(hp.LKJ(1.7), hp.LKJ(0.8)),
    )
    factor = make_factor(rng, n, names=("Intercept", "x"), sizes=(2,), correlated=(True,))
    return Case(design=make_design(rng, n, (factor,)), layout=layout, priors=priors)


def exchangeable_with_common_sd(rng):
    layout = exchangeable_layout(rng, 9, common_sd=True)
    n = len(layout.stratum)
    priors = hp.ResolvedPriors(
        beta=NORMALS,
        beta_basis=np.eye(2),
        error_sd=(hp.HalfNormal(1.5),),
        error_corr=(hp.LKJ(1.3), hp.Fixed(-0.3)),
    )
    return Case(design=make_design(rng, n), layout=layout, priors=priors)


def ar1_with_gaps(rng):
    """Units of one to four rows at times of their own, in shuffled order."""
    unit = rng.permutation(np.repeat(np.arange(9), [1, 4, 2, 3, 2, 4, 1, 3, 2]))
    n = len(unit)
    layout = make_layout("ar1", n, has_corr=True, unit=unit, time=rng.permutation(n), common_sd=True)
    priors = hp.ResolvedPriors(
        beta=NORMALS,
        beta_basis=CENTRED,
        sd={"g": (hp.HalfNormal(1.4), hp.HalfNormal(0.6))},
        corr={"g": (hp.LKJ(1.2),)},
        error_sd=(hp.Gamma(2, 3),),
        error_corr=(hp.LKJ(1.7),),
    )
    factor = make_factor(rng, n, names=("Intercept", "x"), sizes=(2,), correlated=(True,))
    return Case(design=make_design(rng, n, (factor,)), layout=layout, priors=priors)


def crossed_factors(rng):
    """Two factors that cross, one with two bar terms, the other with a single family of priors."""
    n = 23
    crossing = np.arange(n, dtype=np.intp) % 5
    second = make_factor(rng, n, name="h", names=("x", "w"), sizes=(2,), correlated=(True,), index=crossing)
    priors = hp.ResolvedPriors(
        beta=NORMALS,
        beta_basis=CENTRED,
        sd={
            "g": (hp.HalfNormal(2.5), hp.Gamma(2.2, 1.3), hp.Exponential(0.7)),
            "h": (hp.HalfNormal(1.5), hp.HalfNormal(0.4)),
        },
        corr={"g": (hp.LKJ(2.3), None), "h": (hp.LKJ(0.8),)},
        error_sd=(hp.Gamma(3, 1.5),),
    )
    return Case(
        design=make_design(rng, n, (make_factor(rng, n), second)), layout=make_layout("independent", n), priors=priors
    )


def nested_factors(rng):
    """Inner groups "g:h" of each group "g", strata of the errors beside them, one sd fixed."""
    n = 21
    inner = np.arange(n, dtype=np.intp) % 7
    one = {"names": ("Intercept",), "sizes": (1,), "correlated": (True,)}
    outer = make_factor(rng, n, index=inner // 3, **one)
    layout = make_layout("by", n, labels=("u", "v"), dim="site", n_sd=2, stratum=rng.integers(0, 2, n))
    priors = hp.ResolvedPriors(
        beta=(hp.Flat(), hp.Normal(0, 2)),
        beta_basis=np.eye(2),
        sd={"g": (hp.HalfNormal(1.2),), "g:h": (hp.Fixed(0.8),)},
        corr={"g": (None,), "g:h": (None,)},
        error_sd=(hp.HalfNormal(2), hp.HalfNormal(0.7)),
    )
    factors = (outer, make_factor(rng, n, name="g:h", index=inner, **one))
    return Case(design=make_design(rng, n, factors), layout=layout, priors=priors)


MAKERS = [
    crossed_factors,
    nested_factors,
    exchangeable_by_stratum,
    exchangeable_with_common_sd,
    ar1_with_gaps,
    independent_two_terms,
    by_stratum_uncorrelated,
    correlated_three_data_sets,
    data_set_is_the_group,
    known_standard_errors,
    known_standard_errors_scaled,
    known_covariance_scaled,
    no_groups,
]


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def case(request):
    return request.param(np.random.default_rng(20))


def u_and_point(case, model, seed=3):
    """A random unconstrained vector of hierreg and the same point in PyMC's unconstrained space."""
    parameters = case.target.parameters
    u = np.random.default_rng(seed).normal(0, 0.5, parameters.n_free)
    at = covariances(parameters, u[None])
    group = {f"sd_{factor}_{name}": sd for (factor, name), sd in zip(parameters.group_columns, at.sd[0], strict=True)}
    error = dict(zip(parameters.error_labels, at.error_sd[0], strict=True))
    partials = 2 * u[parameters.sd_is_free.sum() :]
    names = [name.split("[")[0] for name in parameters.free_names][len(u) - len(partials) :]
    values = {
        **{f"sd_{f}": np.log(at.sd[0, s]) for f, s in zip(parameters.factors, parameters.factor_slices, strict=True)},
        "error_sd": np.log(at.error_sd[0] if case.layout.dim and not case.layout.common_sd else at.error_sd[0, 0]),
        **{f"{name}_partial": partials[[other == name for other in names]] for name in names},
        **{name: np.log(sd) for name, sd in group.items()},
        **{f"error_sd_{label}": np.log(sd) for label, sd in error.items()},
    }
    free = [rv for rv in model.free_RVs if rv.name in values]
    return u, {model.rvs_to_values[rv].name: np.asarray(values[rv.name]) for rv in free}


def compiled(model, outputs):
    return model.compile_fn(outputs, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")


def float32_slip(priors):
    """PyMC 6.4 takes log(2) in float32 in these two families."""
    families = [p for row in priors.sd.values() for p in row] + list(priors.error_sd)
    count = sum(isinstance(p, hp.HalfStudentT | hp.HalfCauchy) for p in families)
    return count * (float(np.log(np.float32(2))) - np.log(2))


def test_marginal_density_and_gradient_equal_the_target_of_the_sampler(case):
    model = case.model("marginal")
    u, point = u_and_point(case, model)
    value, gradient = compiled(model, [model.logp(), model.dlogp()])(point)

    n_sd, n_pairs = case.target.parameters.sd_is_free.sum(), 0
    expected, expected_gradient = case.target(u)
    n_pairs = len(u) - n_sd
    # PyMC's unconstrained partial correlation is the log-odds 2 u
    assert value - float32_slip(case.priors) + n_pairs * np.log(2) == pytest.approx(expected, rel=1e-10, abs=1e-10)
    names = [name for rv in model.free_RVs for name in free_names_of(case, rv.name)]
    order = [case.target.parameters.free_names.index(name) for name in names]
    step = np.where(np.arange(len(u)) < n_sd, 1.0, 2.0)
    np.testing.assert_allclose(gradient, (expected_gradient / step)[order], rtol=1e-8, atol=1e-8)


def test_marginal_density_equals_the_target_where_priors_are_those_of_coefficients_at_the_means():
    model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    problem = model.problem
    target = Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))
    pymc_model = model.to_pymc()
    (sds,) = pymc_model.replace_rvs_by_values([pymc_model["sd_Subject"]])
    evaluate, sds_at = compiled(pymc_model, [pymc_model.logp(), pymc_model.dlogp()]), compiled(pymc_model, [sds])
    for seed in range(3):
        u = np.random.default_rng(seed).normal(0, 0.5, 4) + np.array([3.0, 1.5, 3.0, 0.0])
        by_name = {"sd_Subject_at_means": u[:2], "corr_Subject_at_means_partial": 2 * u[3:], "error_sd": u[2]}
        point = {pymc_model.rvs_to_values[rv].name: np.asarray(by_name[rv.name]) for rv in pymc_model.free_RVs}
        value, gradient = evaluate(point)
        expected, expected_gradient = target(u)
        assert value - float32_slip(problem.priors) + np.log(2) == pytest.approx(expected, rel=1e-10)
        order = {"sd_Subject_at_means": [0, 1], "corr_Subject_at_means_partial": [3], "error_sd": [2]}
        places = [i for rv in pymc_model.free_RVs for i in order[rv.name]]
        step = np.array([1.0, 1.0, 1.0, 2.0])
        np.testing.assert_allclose(gradient, (expected_gradient / step)[places], rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(sds_at(point)[0], covariances(problem.parameters, u[None]).sd[0], rtol=1e-12)


def free_names_of(case, name):
    """The names in `VarianceParameters.free_names` of the elements of one PyMC variable."""
    every = case.target.parameters.free_names
    if name.endswith("_partial"):
        return [other for other in every if other.split("[")[0] == name.removesuffix("_partial")]
    if name == "error_sd" or any(other.startswith(f"{name}[") for other in every):
        return [other for other in every if other.split("[")[0] == name]
    stem, label = name.rsplit("_", 1)
    return [f"{stem}[{label}]"]


def test_marginal_density_equals_the_dense_likelihood_and_the_priors(case):
    model = case.model("marginal")
    u, point = u_and_point(case, model)
    value = compiled(model, model.logp(jacobian=False))(point)

    at = covariances(case.target.parameters, u[None])
    Sigma = at.Lambda[0] @ at.Lambda[0].T
    V = dense.total_covariance(case.design, case.layout, Sigma, at.error_cov[0])
    expected = population_evidence(case, V)
    sds = [prior for factor in case.design.factors for prior in case.priors.sd[factor.name]]
    pairs = [*zip(sds, at.sd[0], strict=True)]
    pairs += [*zip(case.priors.error_sd, at.error_sd[0][: len(case.priors.error_sd)], strict=True)]
    expected += sum(float(prior.log_density(sd)) for prior, sd in pairs if not isinstance(prior, hp.Fixed))
    expected += partial_log_density(case, u)
    assert value - float32_slip(case.priors) == pytest.approx(expected, rel=1e-9)


def population_evidence(case, V):
    """log of the integral over beta of p(y | beta) p(beta): normal, flat and fixed coefficients mixed."""
    design, priors = case.design, case.priors
    C = priors.beta_basis
    fixed = np.array([float(p.value) if isinstance(p, hp.Fixed) else 0.0 for p in priors.beta])
    is_free = np.array([not isinstance(p, hp.Fixed) for p in priors.beta])
    K = (design.X @ np.linalg.inv(C))[:, is_free]
    y = design.y - design.X @ np.linalg.inv(C) @ fixed
    free = [p for p in priors.beta if not isinstance(p, hp.Fixed)]
    precision = np.diag([p.sigma**-2 if isinstance(p, hp.Normal) else 0.0 for p in free])
    mean = np.array([p.mu if isinstance(p, hp.Normal) else 0.0 for p in free])
    P = precision + K.T @ np.linalg.solve(V, K)
    mode = np.linalg.solve(P, precision @ mean + K.T @ np.linalg.solve(V, y))
    log_joint = dense.normal_log_density(y, K @ mode, V)
    log_joint += sum(float(p.log_density(b)) for p, b in zip(free, mode, strict=True))
    return log_joint + 0.5 * len(free) * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(P)[1]


def partial_log_density(case, u):
    """Densities of (z + 1) / 2, symmetric beta, block by block and row by row."""
    parameters, total = case.target.parameters, 0.0
    place = int(parameters.sd_is_free.sum())
    blocks = zip(parameters.block_sizes, parameters.corr_is_free, parameters.eta, strict=True)
    for size, is_free, eta in blocks:
        for column in [j for i in range(size) for j in range(i)] if is_free else []:
            b = eta + (size - 2 - column) / 2
            total += stats.beta(b, b).logpdf((np.tanh(u[place]) + 1) / 2)
            place += 1
    within = parameters.within_units
    for eta in within.eta[within.is_free]:
        total += stats.beta(eta, eta).logpdf((np.tanh(u[place]) + 1) / 2)
        place += 1
    return total


# Each model in one of the two, turn by turn, and in the other where there is time.
INTEGRATED = [
    pytest.param(make, form, id=f"{make.__name__}-{form}", marks=[pytest.mark.slow] if (i + j) % 2 else [])
    for i, make in enumerate(MAKERS)
    for j, form in enumerate(("noncentered", "centered"))
]


@pytest.mark.long
@pytest.mark.parametrize(("make", "parametrization"), INTEGRATED)
def test_explicit_parametrization_integrates_to_the_marginal_one(make, parametrization):
    case = make(np.random.default_rng(20))
    marginal, explicit = case.model("marginal"), case.model(parametrization)
    _, point = u_and_point(case, marginal)
    expected = compiled(marginal, marginal.logp(jacobian=False))(point)

    gaussian = [rv for rv in explicit.free_RVs if not rv.name.startswith(("sd_", "corr_", "error_"))]
    sizes = {explicit.rvs_to_values[rv].name: rv.shape.eval() for rv in gaussian}
    outputs = [explicit.logp(jacobian=False), explicit.dlogp(gaussian, jacobian=False)]
    function = compiled(explicit, outputs)

    def at(vector):
        ends = np.cumsum([int(np.prod(shape)) for shape in sizes.values()])[:-1]
        parts = np.split(vector, ends)
        values = {n: v.reshape(s) for (n, s), v in zip(sizes.items(), parts, strict=True)}
        return function(point | values)

    # the log joint density is quadratic in the coefficients: gradients at zero and at unit vectors say it all
    dim = sum(int(np.prod(shape)) for shape in sizes.values())
    start = at(np.zeros(dim))[1]
    precision = -np.column_stack([at(e)[1] - start for e in np.eye(dim)])
    mode = np.linalg.solve(precision, start)
    integral = at(mode)[0] + 0.5 * dim * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(precision)[1]
    assert integral == pytest.approx(expected, rel=1e-9)


def test_variables_carry_the_names_dims_and_values_of_the_tree():
    case = independent_two_terms(np.random.default_rng(5))
    model = case.model("noncentered")
    names = ["sd_g", "corr_g", "error_sd", "beta", "b_g", "theta_g"]
    assert {n: tuple(model.named_vars_to_dims.get(n, ())) for n in names} == {
        "sd_g": ("g_coef",),
        "corr_g": ("g_coef", "g_coef_col"),
        "error_sd": (),
        "beta": ("coef",),
        "b_g": ("g", "g_coef"),
        "theta_g": ("g", "g_coef"),
    }
    assert model.coords["g"] == ("a", "b", "c", "d")
    u, point = u_and_point(case, model)
    start = model.initial_point() | point
    start["z_g"] = np.random.default_rng(6).normal(size=(4, 3))
    start["beta_at_means"] = np.array([5.0, 2.0])
    sd, corr, _, beta, b, theta = compiled(model, model.replace_rvs_by_values([model[n] for n in names]))(start)

    at = covariances(case.target.parameters, u[None])
    np.testing.assert_allclose(sd, at.sd[0], rtol=1e-12)
    np.testing.assert_allclose(corr, at.corr[0], atol=1e-12)
    np.testing.assert_allclose(beta, np.linalg.solve(CENTRED, [5.0, 2.0]), rtol=1e-12)
    np.testing.assert_allclose(b, start["z_g"] @ at.Lambda[0].T, rtol=1e-10)
    # the third group column is no population column
    np.testing.assert_allclose(theta, b + np.array([*beta, 0.0]), rtol=1e-12)


def test_dims_of_errors_by_data_set():
    model = data_set_is_the_group(np.random.default_rng(5)).model("marginal")
    assert model.named_vars_to_dims["error_sd"] == ("g",)
    assert model.named_vars_to_dims["error_corr"] == ("g", "g_col")
    assert model.coords["corr_g_pair"] == ("w, x", "Intercept, x", "Intercept, w")
    assert {rv.name for rv in model.free_RVs} >= {
        "sd_g_x",
        "sd_g_Intercept",
        "error_sd_a",
        "error_corr_partial",
    }


def test_constants_stay_as_variables_of_their_own_names():
    rng = np.random.default_rng(8)
    n = 9
    priors = hp.ResolvedPriors(
        beta=(hp.Fixed(1), hp.Fixed(2)),
        beta_basis=np.eye(2),
        sd={"g": (hp.Fixed(0), hp.Fixed(2))},
        corr={"g": (hp.Fixed([[1, 1], [1, 1]]),)},
        error_sd=(hp.Fixed(1.5),),
    )
    factor = make_factor(rng, n, names=("Intercept", "x"), sizes=(2,), correlated=(True,))
    case = Case(design=make_design(rng, n, (factor,)), layout=make_layout("independent", n), priors=priors)
    model = case.model("noncentered")
    assert [rv.name for rv in model.free_RVs] == ["z_g"]
    values = {name: model[name].eval(mode="FAST_COMPILE").tolist() for name in ("beta", "sd_g", "corr_g", "error_sd")}
    assert values == {"beta": [1, 2], "sd_g": [0, 2], "corr_g": [[1, 1], [1, 1]], "error_sd": 1.5}


def test_prior_draws_of_the_correlations_follow_lkj():
    import pymc as pm

    case = correlated_three_data_sets(np.random.default_rng(5))
    model = case.model("marginal")
    draws = pm.draw(model["error_corr"], draws=3000, random_seed=4, mode="FAST_COMPILE")
    shape = 0.9 - 1 + 3 / 2
    marginal = stats.beta(shape, shape, loc=-1, scale=2)
    for i, j in [(1, 0), (2, 0), (2, 1)]:
        assert stats.kstest(draws[:, i, j], marginal.cdf).pvalue > 0.001


def test_op_compiles_with_numba_and_refuses_second_derivatives():
    import pytensor
    import pytensor.tensor as pt

    from hierreg.pymc_model.likelihood_op import MarginalLogLikelihood

    case = correlated_three_data_sets(np.random.default_rng(5))
    Lambda, error_cov = pt.matrix("Lambda"), pt.matrix("error_cov")
    value = MarginalLogLikelihood(case.likelihood)(Lambda, error_cov)[0]
    gradients = pt.grad(value, [Lambda, error_cov])
    function = pytensor.function([Lambda, error_cov], [value, *gradients], mode="NUMBA")
    at = np.array([[1.2, 0.0], [0.3, 0.7]]), np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 3.0]])
    for result, expected in zip(function(*at), case.likelihood.value_and_gradient(*at), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-12)
    with pytest.raises(NotImplementedError, match="second derivatives"):
        pt.grad(gradients[0].sum(), Lambda)


@pytest.mark.slow
def test_nutpie_samples_the_marginal_model():
    import nutpie

    case = independent_two_terms(np.random.default_rng(5))
    program = nutpie.compile_pymc_model(case.model("marginal"))
    tree = nutpie.sample(program, draws=200, tune=300, chains=2, seed=1, progress_bar=False)
    assert hr.correlation_matrices(tree)["corr_g"].shape == (2, 200, 3, 3)
    assert np.isfinite(tree.posterior["error_sd"]).all()


SINGULAR = [
    ({"sd": {"g": (hp.Fixed(0), hp.HalfNormal(1))}}, ["sd_g[Intercept]", "fixed to 0", "'noncentered'"]),
    ({"corr": {"g": (hp.Fixed(np.ones((2, 2))),)}}, ["corr_g", "singular", "'noncentered'"]),
]


@pytest.mark.parametrize(("changes", "words"), SINGULAR)
def test_centered_needs_a_regular_covariance(changes, words):
    rng = np.random.default_rng(8)
    values = {
        "beta": NORMALS,
        "beta_basis": np.eye(2),
        "sd": {"g": (hp.HalfNormal(1), hp.HalfNormal(1))},
        "corr": {"g": (hp.LKJ(1),)},
        "error_sd": (hp.HalfNormal(1),),
    }
    factor = make_factor(rng, 9, names=("Intercept", "x"), sizes=(2,), correlated=(True,))
    case = Case(
        design=make_design(rng, 9, (factor,)),
        layout=make_layout("independent", 9),
        priors=hp.ResolvedPriors(**(values | changes)),
    )
    with pytest.raises(ModelError) as caught:
        case.model("centered")
    assert all(word in str(caught.value) for word in words)


def test_unknown_parametrization_is_named():
    case = known_standard_errors(np.random.default_rng(5))
    with pytest.raises(ModelError, match="Did you mean 'noncentered'"):
        case.model("noncentred")
