"""Columns of the user's with the names of dimensions and variables of results, in every role."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.problem.labels import result_dims

N = 36
RNG = np.random.default_rng(5)
TABLE = {
    "Y": RNG.normal(size=N) + np.repeat(RNG.normal(size=6), 6),
    "X": RNG.normal(size=N),
    "G": np.repeat(np.arange(6), 6),
    "H": np.tile(np.arange(6), 6),
    "S": np.tile(["a", "b"], 18),
    "T": np.repeat(["a", "b"], 18),
    "U": np.arange(N) // 2,
    "V": np.full(N, 0.5),
}
# The column that is renamed, the formula, and the errors.
ROLES = {
    "factor": ("G", "Y ~ X + (X | {G})", lambda _: None),
    "crossed": ("G", "Y ~ X + (1 | H) + (X | {G})", lambda _: None),
    "stratum": ("S", "Y ~ X + (1 | G)", lambda c: hr.by(c("S"))),
    "data set": ("S", "Y ~ X + (X | {S})", lambda c: hr.correlated(c("S"), unit="U")),
    "unit": ("U", "Y ~ X", lambda c: hr.correlated("S", unit=c("U"))),
    "exchangeable unit": ("U", "Y ~ X", lambda c: hr.exchangeable(c("U"))),
    "exchangeable stratum": ("T", "Y ~ X + (1 | H)", lambda c: hr.exchangeable("U", by=c("T"))),
    "standard error": ("V", "Y ~ X + (1 | G)", lambda c: hr.known_se(c("V"), scale=True)),
    "predictor": ("X", "Y ~ {X} + ({X} | G)", lambda _: None),
    "response": ("Y", "{Y} ~ X + (1 | G)", lambda _: None),
}


def model_of(role, name):
    """Return a small model in which one column has the name."""
    column, formula, errors = ROLES[role]

    def called(other):
        return name if other == column else other

    table = pd.DataFrame({called(one): values for one, values in TABLE.items()})
    return hr.Model(formula.format_map({one: f"`{called(one)}`" for one in TABLE}), table, errors(called)), table


def sampled(model, **arguments):
    return model.sample(draws=25, chains=2, seed=1, progress=False, method="psis", **arguments)


def run_everything(role, name, path):
    """Sample, save, load, and make every report; warnings of so few draws are no matter here."""
    model, table = model_of(role, name)
    estimate = model.estimate()
    assert repr(estimate)
    factors = model.problem.labels.factor_names
    new = table.drop(columns="Y", errors="ignore").head(2).assign(U=[998, 999])
    if role in {"unit", "exchangeable unit"}:
        new = new.drop(columns="U").assign(**{name: [998, 999]})
    drawn, short = sampled(model), sampled(model, group_effects="summary")
    of_gram = sampled(hr.Model.from_gram(model.gram))
    kept = hr.load(hr.save(drawn, path))
    for tree in (kept, short, of_gram):
        reports = [hr.summary(tree), hr.correlations(tree), hr.contrasts(tree, {"c": {"Intercept": 1.0}})]
        reports += [hr.shrinkage(tree, factor=factor) for factor in factors]
        assert all(str(report.text()) for report in reports)
    if not role.startswith("exchangeable"):
        for result in (drawn, kept, of_gram, estimate):
            assert np.isfinite(hr.predict(model, new, at=result, observation=False)["mean"]).all()
    replicated = hr.posterior_predictive(drawn, model)
    assert "posterior_predictive" in replicated.children


WARNINGS = pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")


@pytest.mark.long
@WARNINGS
@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("factor", "beta"),
        ("factor", "error"),
        ("factor", "1/2 a"),
        ("crossed", "chain"),
        ("crossed", "sd_H"),
        ("crossed", "column_means_H"),
        ("stratum", "error_sd"),
        ("stratum", "pattern"),
        ("data set", "draw"),
        ("unit", "obs"),
        ("exchangeable stratum", "error_corr"),
        ("predictor", "coef"),
        ("response", "obs"),
    ],
)
def test_names_of_results_can_be_columns(role, name, tmp_path):
    run_everything(role, name, tmp_path / "tree.nc")


@WARNINGS
@pytest.mark.parametrize("role", ["crossed", "data set", "exchangeable stratum"])
def test_no_variable_of_a_tree_may_be_a_dimension(role):
    """Whatever is added to a result is known to `result_dims`: the walk of `test_every_name` takes minutes."""
    model, _ = model_of(role, ROLES[role][0])
    factors = list(model.problem.labels.factor_names)
    for effects in ("draws", "summary"):
        tree = sampled(model, group_effects=effects)
        # What is carried of the model has no dimension of groups or strata.
        for group in set(tree.children) - {"sample_stats", "observed_data", "constant_data", "model"}:
            for name in map(str, tree[group].data_vars):
                assert result_dims([*factors, name], factors)[name] != name, f"{group}/{name}"


def test_a_dimension_is_called_like_its_column_unless_something_else_is():
    assert result_dims(["g", "unit", "sample"], ["g", "unit"]) == {"g": "g", "unit": "unit", "sample": "sample"}
    assert result_dims(["g", "sd_g", "g_coef"], ["g", "sd_g", "g_coef"]) == {
        "g": "g",
        "sd_g": "sd_g_",
        "g_coef": "g_coef_",
    }
    assert result_dims(["error_sd", "a/b", "chain"], ["a/b"]) == {
        "error_sd": "error_sd_",
        "a/b": "a per b",
        "chain": "chain_",
    }


@WARNINGS
def test_variables_keep_the_name_of_the_factor():
    model, _ = model_of("factor", "beta")
    estimate = model.estimate()
    assert estimate.b["beta"].dims == ("beta_", "beta__coef")
    tree = sampled(model)
    assert tree["posterior"]["b_beta"].dims == ("chain", "draw", "beta_", "beta__coef")
    assert tree["posterior"]["beta"].dims == ("chain", "draw", "coef")


@pytest.mark.parametrize(
    ("role", "name"),
    [("factor", "beta"), ("factor", "chain"), ("factor", "a/b"), ("factor", "obs"), ("response", "G_coef")],
)
def test_names_that_pymc_cannot_have_are_refused_there(role, name):
    model, _ = model_of(role, name)
    with pytest.raises(hr.exceptions.ModelError, match=f"a PyMC model cannot have .*'{name}'.* [Rr]ename"):
        model.to_pymc("noncentered")


def test_usual_names_are_names_of_a_pymc_model():
    for role in ("factor", "data set", "stratum"):
        model, _ = model_of(role, ROLES[role][0])
        assert ROLES[role][0] in model.to_pymc("marginal").coords
