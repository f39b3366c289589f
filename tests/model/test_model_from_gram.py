"""Models of statistics alone: the same priors, estimates, draws and reports as with the rows."""

import numpy as np
import pytest
import xarray as xr

import hierreg as hr
from hierreg.exceptions import ModelError, PriorError
from hierreg.gram import Gram, collect
from tests.helpers.tables import ERRORS, cut, table
from tests.oracles.cases import random_case

FORMULA = "y ~ x + c + (x | g)"


@pytest.fixture
def data(rng):
    frame = table(rng, n=120)
    frame["stratum"] = np.where(frame["unit"] % 3 == 0, "P", "Q")
    return frame


def both(data, kind, tmp_path, formula=FORMULA):
    """Return the model of the rows, and that of a file of statistics that came in batches."""
    gram = Gram.from_batches(cut(data), formula, ERRORS[kind])
    return hr.Model(formula, data, errors=ERRORS[kind]), hr.Model.from_gram(Gram.load(gram.save(tmp_path / "a.npz")))


def close(a, b, rtol=1e-6):
    xr.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("kind", ERRORS)
def test_default_priors_are_those_of_the_rows(kind, data, tmp_path):
    with_rows, without = both(data, kind, tmp_path)
    assert str(without.priors) == str(with_rows.priors)
    assert without.problem.labels.error_labels == with_rows.problem.labels.error_labels
    assert str(without.problem.layout.spec) == str(with_rows.problem.layout.spec)


@pytest.mark.parametrize("kind", ["by", "correlated", "exchangeable, by stratum", "known_se"])
def test_estimates_are_those_of_the_rows(kind, data, tmp_path):
    with_rows, without = both(data, kind, tmp_path)
    first, second = with_rows.estimate(), without.estimate()
    assert second.criterion == pytest.approx(first.criterion, abs=1e-6)
    close(second.beta, first.beta, 1e-4)
    close(second.b["g"], first.b["g"], 1e-3)
    if kind == "by":
        S = {"cov": {"g": np.array([[1.0, 0.2], [0.2, 0.5]])}, "error_cov": [1.0, 2.0]}
        close(without.solve(**S).b["g"], with_rows.solve(**S).b["g"], 1e-9)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["independent", "correlated"])
def test_draws_and_reports_are_those_of_the_rows(kind, data, tmp_path):
    with_rows, without = both(data, kind, tmp_path)
    options = {"draws": 60, "tune": 100, "chains": 2, "seed": 3, "progress": False, "cores": 1}
    with pytest.warns(hr.exceptions.HierregWarning):
        first = with_rows.sample(**options)
    with pytest.warns(hr.exceptions.HierregWarning):
        second = without.sample(**options)
    assert set(first.children) - set(second.children) == {"observed_data", "constant_data"}
    assert second.attrs["n_rows"] == 120
    close(second["mixed_model_limit"]["no_pooling_g"], first["mixed_model_limit"]["no_pooling_g"], 1e-6)
    back = hr.load(hr.save(second, tmp_path / "tree.nc"))
    for report in (hr.summary, hr.correlations, hr.shrinkage):
        assert set(report(back)) == set(report(first))
    assert float(hr.contrasts(second, {"d": {"x": 1.0}})["mean"].squeeze()) == pytest.approx(
        float(hr.contrasts(first, {"d": {"x": 1.0}})["mean"].squeeze()), abs=0.2
    )


@pytest.mark.parametrize(
    "formula", [FORMULA, "y ~ scale(x) + C(h, contr.sum) + (1 | g:h)", "y ~ bs(x, df=4) + (1 | g)"]
)
def test_predictions_are_those_of_the_rows(formula, data, tmp_path):
    with_rows, without = both(data, "independent", tmp_path, formula)
    new = data.iloc[:5].assign(g=["g1", "g2", "none", "g3", "g1"])
    first, second = (hr.predict(model, new, at=model.estimate(), level="new group") for model in (with_rows, without))
    close(second["mean"], first["mean"], 1e-4)
    close(second["sd_new"], first["sd_new"], 1e-4)


def test_prediction_for_observed_units_needs_the_rows(data, tmp_path):
    _, without = both(data, "correlated", tmp_path)
    with pytest.raises(ModelError, match=r"column of units, 'unit'.*Leave it out"):
        hr.predict(without, data.iloc[:5], at=without.estimate())
    predicted = hr.predict(without, data.iloc[:5].drop(columns="unit"), at=without.estimate(), observation=False)
    assert np.isfinite(predicted["mean"]).all()


def test_sums_and_known_covariances_are_models(data, tmp_path):
    halves = [hr.Model(FORMULA, data.iloc[i::2]).gram for i in (1, 0)]
    total = hr.Model.from_gram(halves[0] + halves[1])
    assert total.estimate().criterion == pytest.approx(hr.Model(FORMULA, data).estimate().criterion, abs=1e-6)
    errors = hr.known_cov(np.eye(120) + 0.1)
    with_rows = hr.Model(FORMULA, data, errors=errors)
    without = hr.Model.from_gram(Gram.load(with_rows.gram.save(tmp_path / "a.npz")))
    assert without.estimate().criterion == pytest.approx(with_rows.estimate().criterion, abs=1e-6)


@pytest.mark.parametrize(
    ("formula", "errors"),
    [
        ("y ~ x + (x | g) + (1 | h)", None),
        ("y ~ x + c + (1 | g) + (x || h) + (1 | site)", hr.by("dataset")),
        ("y ~ x + (1 | h) + (1 | h:stratum)", hr.correlated("dataset", unit="unit")),
    ],
)
def test_several_grouping_factors(formula, errors, data, tmp_path):
    with_rows = hr.Model(formula, data, errors=errors)
    gram = Gram.from_batches(cut(data.sort_values(["h", "unit"])), formula, errors)
    without = hr.Model.from_gram(Gram.load(gram.save(tmp_path / "a.npz")))
    assert str(without.priors) == str(with_rows.priors)
    first, second = with_rows.estimate(), without.estimate()
    assert second.criterion == pytest.approx(first.criterion, abs=1e-5)
    for factor in first.b:
        close(second.b[factor], first.b[factor], 1e-2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.to_pymc("centered"), "parametrization='centered' needs the rows"),
        (lambda m: m.sample(parametrization="noncentered"), "parametrization='noncentered' needs the rows"),
        (lambda m: m.sample(include="posterior_predictive"), "posterior_predictive needs the rows"),
        (lambda m: m.sample(include="log_likelihood"), "log_likelihood needs the rows"),
        (hr.prior_predictive, "prior_predictive needs the rows"),
    ],
)
def test_what_needs_rows_says_so(call, words, data):
    model = hr.Model.from_gram(hr.Model("y ~ x + (x | g)", data).gram, hr.Priors(beta=hr.Normal(0, 10)))
    with pytest.raises(ModelError, match=words):
        call(model)


def test_repr_names_the_rows(data):
    model = hr.Model.from_gram(hr.Model(FORMULA, data).gram)
    assert "120 rows" in repr(model)
    assert "7 groups of g" in repr(model)


def test_bad_arguments(data, rng):
    case = random_case(rng, "independent")
    with pytest.raises(ModelError, match="has type DataFrame"):
        hr.Model.from_gram(data)
    with pytest.raises(ModelError, match="does not say which formula"):
        hr.Model.from_gram(collect(case.design, case.layout))
    with pytest.raises(PriorError, match="not a set of priors"):
        hr.Model.from_gram(hr.Model(FORMULA, data).gram, "flat")
    each = data.assign(g=range(120))
    with pytest.raises(ModelError, match="group of 'g' of its own"):
        hr.Model.from_gram(Gram.from_batches([each], "y ~ x + (1 | g)"))
    with pytest.raises(ModelError, match="are the units of errors"):
        hr.Model.from_gram(Gram.from_batches([data], "y ~ x + (1 | unit)", ERRORS["exchangeable"]))
