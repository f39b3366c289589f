"""Weights: error variances error_sd^2 / w, against lme4, the dense formula, and known errors times a factor."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, ModelError


def sleepstudy():
    """The weights are those of the R call below."""
    table = hr.load_dataset("sleepstudy")
    subject = pd.Categorical(table["Subject"]).codes + 1
    return table.assign(n=((subject * 7 + table["Days"] * 3) % 11 + 1) / 2)


FORMULA = "Reaction ~ Days + (Days | Subject)"


def test_estimates_are_those_of_lme4():
    """lme4 1.1.31, R 4.2.2: s <- sleepstudy; s$n <- ((as.integer(s$Subject) * 7 + s$Days * 3) %% 11 + 1) / 2;

    m <- lmer(Reaction ~ Days + (Days | Subject), s, weights = n, control = lmerControl(optimizer = "bobyqa", optCtrl =
    list(rhoend = 1e-10))); REMLcrit(m); fixef(m); sqrt(diag(vcov(m))); VarCorr(m); and update(m, REML = FALSE).
    """
    model = hr.Model(FORMULA, sleepstudy(), weights="n")
    est = model.estimate("reml")
    assert est.criterion == pytest.approx(1766.91205913, abs=2e-8)
    np.testing.assert_allclose(est.beta, [249.7618121069, 10.6129057921], rtol=1e-7)
    np.testing.assert_allclose(est.beta_se, [6.83844740197, 1.56355143437], rtol=1e-6)
    np.testing.assert_allclose(est.sd["Subject"], [25.18198473912852, 6.05038505700083], rtol=1e-5)
    assert float(est.corr["Subject"][0, 1]) == pytest.approx(-0.00261730483756, abs=1e-5)
    assert float(est.error_sd) == pytest.approx(42.47228298372192, rel=1e-6)
    ml = model.estimate("ml")
    assert ml.criterion == pytest.approx(1775.23772347, abs=2e-8)
    assert float(ml.error_sd) == pytest.approx(42.4766530195356, rel=1e-6)


def test_estimates_with_crossed_factors_are_those_of_lme4():
    """lme4 1.1.31: p <- Penicillin; p$w <- seq_len(nrow(p)) %% 5 + 1;

    m <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), p, weights = w); REMLcrit(m); VarCorr(m); fixef(m).
    """
    table = hr.load_dataset("penicillin")
    table = table.assign(w=np.arange(1, len(table) + 1) % 5 + 1)
    est = hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", table, weights="w").estimate()
    assert est.criterion == pytest.approx(344.947992546, abs=1e-8)
    found = [float(est.sd["plate"][0]), float(est.sd["sample"][0]), float(est.error_sd), float(est.beta[0])]
    np.testing.assert_allclose(found, [0.855600600477, 1.959377175257, 0.929373585381, 22.9673776265], rtol=1e-6)


@pytest.fixture
def table(rng):
    n = 48
    table = pd.DataFrame(
        {"x": rng.normal(size=n), "g": np.arange(n) % 7, "s": np.where(np.arange(n) % 3 == 0, "a", "b")}
    )
    w = rng.uniform(0.2, 5.0, n)
    y = 1 + table["x"] + rng.normal(size=7)[table["g"]] + rng.normal(size=n) / np.sqrt(w)
    return table.assign(y=y, w=w, se=1 / np.sqrt(w))


def dense_criterion(table, sd_group, error_variance):
    X, y = np.column_stack([np.ones(len(table)), table["x"]]), table["y"].to_numpy()
    g = table["g"].to_numpy()
    V = np.diag(error_variance / table["w"].to_numpy()) + sd_group**2 * (g[:, None] == g)
    P = X.T @ np.linalg.solve(V, X)
    r = y - X @ np.linalg.solve(P, X.T @ np.linalg.solve(V, y))
    log_dets = np.linalg.slogdet(V)[1] + np.linalg.slogdet(P)[1]
    return (len(y) - 2) * np.log(2 * np.pi) + log_dets + r @ np.linalg.solve(V, r)


def test_each_stratum_has_a_variance_of_its_own_over_the_weights(table):
    est = hr.Model("y ~ x + (1 | g)", table, errors=hr.by("s"), weights="w").estimate()
    variance = np.where(table["s"] == "a", *(est.error_sd.to_numpy() ** 2))
    sd = float(est.sd["g"][0])
    best = dense_criterion(table, sd, variance)
    assert est.criterion == pytest.approx(best, rel=1e-10)
    for factor in (0.97, 1.03):
        assert dense_criterion(table, sd * factor, variance) > best
        assert dense_criterion(table, sd, np.where(table["s"] == "a", variance * factor, variance)) > best


def test_weights_are_known_standard_errors_up_to_a_factor(table):
    one = hr.Model("y ~ x + (1 | g)", table, weights="w")
    other = hr.Model("y ~ x + (1 | g)", table, errors=hr.known_se("se", scale=True))
    assert one.estimate().criterion == pytest.approx(other.estimate().criterion, rel=1e-12)
    np.testing.assert_allclose(one.estimate().beta, other.estimate().beta, rtol=1e-8)
    np.testing.assert_allclose(
        one.solve({"g": 0.7}, 1.3).b["g"], other.solve({"g": 0.7}, 1.3).b["g"], rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("errors", [hr.independent(), hr.by("s")])
def test_the_unit_of_weights_does_not_matter(errors, table):
    """Weights times c: error_sd times root c, in estimates and default priors; everything else stays."""
    one = hr.Model("y ~ x + (1 | g)", table, errors=errors, weights="w")
    other = hr.Model("y ~ x + (1 | g)", table.assign(w=1e6 * table["w"]), errors=errors, weights="w")
    a, b = one.estimate("map"), other.estimate("map")
    np.testing.assert_allclose(b.beta, a.beta, rtol=1e-5)
    np.testing.assert_allclose(b.error_sd, 1e3 * a.error_sd, rtol=1e-5)
    for prior, larger in zip(one.priors.error_sd, other.priors.error_sd, strict=True):
        assert larger.sigma == pytest.approx(1e3 * prior.sigma, rel=1e-12)
    plain = hr.Model("y ~ x + (1 | g)", table.assign(w=1.0), errors=errors, weights="w").estimate()
    without = hr.Model("y ~ x + (1 | g)", table, errors=errors).estimate()
    assert plain.criterion == pytest.approx(without.criterion, rel=1e-12)


def test_statistics_of_parts_files_and_sums_have_weights(table, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    formula, errors = "y ~ x + (1 | g)", hr.by("s")
    model = hr.Model(formula, table, errors=errors, weights="w")
    expected = model.estimate("map")
    halves = [table[:20], table[20:]]
    pq.write_table(pa.Table.from_pandas(table), tmp_path / "rows.parquet")
    kept = hr.Gram.from_batches(halves, formula, errors, weights="w")
    kept.save(tmp_path / "kept.npz")
    grams = [
        kept,
        hr.Gram.load(tmp_path / "kept.npz"),
        hr.Gram.scan(tmp_path / "rows.parquet", formula, errors, weights="w", progress=False),
        model.gram,
        hr.Gram.from_batches([table[:30]], formula, errors, weights="w")
        + hr.Gram.from_batches([table[30:]], formula, errors, weights="w"),
    ]
    for gram in grams:
        again = hr.Model.from_gram(gram)
        assert again.problem.layout.spec == model.problem.layout.spec
        for prior, same in zip(model.priors.error_sd, again.priors.error_sd, strict=True):
            assert same.sigma == pytest.approx(prior.sigma, rel=1e-9)
        found = again.estimate("map")
        assert found.criterion == pytest.approx(expected.criterion, rel=1e-9)
        np.testing.assert_allclose(found.beta, expected.beta, rtol=1e-6)
    with pytest.raises(ModelError, match="error structures differ"):
        model.gram + hr.Model(formula, table, errors=errors).gram
    with pytest.raises(DataError, match="no column 'v'"):
        hr.Gram.scan(tmp_path / "rows.parquet", formula, weights="v", progress=False)


def test_predictions_replicates_and_densities_have_weights(table):
    fixed = hr.Priors(
        beta={"Intercept": hr.Normal(1, 2), "x": hr.Normal(0, 2)}, sd=hr.Fixed(0.8), error_sd=hr.Fixed(1.5)
    )
    model = hr.Model("y ~ x + (1 | g)", table, priors=fixed, weights="w")
    tree = model.sample(draws=400, tune=20, chains=2, seed=3, progress=False, include=["log_likelihood"])
    posterior = tree["posterior"]
    mu = posterior["beta"][..., 0].to_numpy()[..., None] + np.multiply.outer(
        posterior["beta"][..., 1].to_numpy(), table["x"].to_numpy()
    )
    mu = mu + posterior["b_g"].to_numpy()[:, :, table["g"], 0]
    sd = 1.5 / np.sqrt(table["w"].to_numpy())
    expected = -0.5 * ((table["y"].to_numpy() - mu) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(tree["log_likelihood"]["y"], expected, rtol=1e-9, atol=1e-9)
    y = hr.posterior_predictive(tree, model, seed=4)["posterior_predictive"]["y"].to_numpy()
    z = ((y - mu) / sd).reshape(-1, len(table))
    # Four standard errors of a standard deviation.
    np.testing.assert_allclose(z.std(axis=0), 1.0, atol=4 / np.sqrt(2 * len(z)))


def test_a_new_row_has_the_error_of_its_weight(table):
    model = hr.Model("y ~ x + (1 | g)", table, weights="w")
    at = model.solve({"g": 0.64}, 2.25)
    new = pd.DataFrame({"x": [0.5, 0.5, 0.5], "g": [1, 1, 1], "w": [1.0, 4.0, 0.25]})
    found = hr.predict(model, new, at=at)
    np.testing.assert_allclose(found["sd_new"] ** 2 - found["sd"] ** 2, 2.25 / new["w"], rtol=1e-9)
    without = hr.predict(model, new.drop(columns="w"), at=at, observation=False)
    np.testing.assert_allclose(without["sd"], found["sd"], rtol=1e-12)
    with pytest.raises(DataError, match="'w'"):
        hr.predict(model, new.drop(columns="w"), at=at)


@pytest.mark.parametrize("parametrization", ["marginal", "noncentered"])
def test_the_model_in_pymc_has_weights(parametrization, table):
    """log p up to a constant: differences between two points are those of known standard errors up to a factor."""
    pytest.importorskip("pymc")
    priors = hr.Priors(beta=hr.Normal(0, 3), sd=hr.HalfNormal(1), error_sd=hr.HalfNormal(2))
    values = []
    for options in ({"weights": "w"}, {"errors": hr.known_se("se", scale=True)}):
        built = hr.Model("y ~ x + (1 | g)", table, priors=priors, **options).to_pymc(parametrization)
        point = built.initial_point()
        logp = built.compile_logp()
        moved = {name: value + 0.3 for name, value in point.items()}
        values.append((float(logp(point)), float(logp(moved))))
    np.testing.assert_allclose(values[0], values[1], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(w=t["w"].where(t["g"] > 0, 0.0)), r"7 values that are not positive.*leave it out"),
        (lambda t: t.assign(w=-t["w"]), "48 values that are not positive"),
        (lambda t: t.assign(w=t["w"].where(t["g"] > 0)), "missing"),
        (lambda t: t.assign(w=np.where(t["g"] > 0, 1.0, np.inf)), "infinite"),
        (lambda t: t.assign(w=t["s"]), "numbers are required"),
        (lambda t: t.assign(w=t["g"] > 2), "numbers are required"),
        (lambda t: t.drop(columns="w"), "no column 'w'"),
    ],
)
def test_weights_that_are_none_are_refused(change, words, table):
    with pytest.raises(DataError, match=words):
        hr.Model("y ~ x + (1 | g)", change(table), weights="w")


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (hr.known_se("se"), r"se / sqrt\(weight\)"),
        (hr.known_cov(np.eye(48)), r"V / sqrt\(weight_i weight_j\)"),
        (hr.correlated("s", unit="u"), "not one thing.*known_cov"),
        (hr.exchangeable("g"), "not one thing.*known_cov"),
    ],
)
def test_errors_that_cannot_have_weights_say_what_can(errors, words, table):
    with pytest.raises(ModelError, match=words):
        hr.Model("y ~ x", table, errors=errors, weights="w")
    with pytest.raises(ModelError, match=words):
        hr.Gram.from_batches([table], "y ~ x", errors, weights="w")


def test_weights_are_the_name_of_a_column(table):
    with pytest.raises(ModelError, match="not the name of a column"):
        hr.Model("y ~ x", table, weights=table["w"])
    with pytest.raises(ModelError, match="not an error structure"):
        hr.Model("y ~ x", table, errors="independent", weights="w")
    assert "weights='w'" in repr(hr.Model("y ~ x", table, weights="w"))


def test_the_command_line_takes_weights(table, tmp_path, capsys):
    from hierreg.cli.main import main

    table.to_csv(tmp_path / "rows.csv", index=False)
    code = main(["fit", str(tmp_path / "rows.csv"), "y ~ x + (1 | g)", "--method", "reml", "--weights", "w"])
    assert code == 0
    expected = hr.Model("y ~ x + (1 | g)", table, weights="w").estimate().criterion
    assert f"criterion {expected:.4f}" in capsys.readouterr().out
