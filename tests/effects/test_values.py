"""What a user writes for group effects: values, checked where they are made, and models that cannot have them."""

from __future__ import annotations

import dataclasses

import pytest

import hierreg as hr
from hierreg.exceptions import ModelError, PriorError
from hierreg.problem.effects import REFUSED, EffectsProblem
from tests.likelihood.heavy_tails.dense import table


def test_values_are_plain_and_frozen():
    assert hr.StudentT() == hr.StudentT(None)
    assert hr.StudentT(4) == hr.StudentT(nu=4.0)
    assert hr.StudentT().nu is None
    assert [field.name for field in dataclasses.fields(hr.StudentT)] == ["nu", "error_scale", "by"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        hr.StudentT(4).nu = 5.0  # type: ignore[misc]
    assert str(hr.StudentT(hr.Exponential(0.1))) == "StudentT(nu ~ Exponential(0.1), nu > 2)"
    assert str(hr.Mixture(3, common=False)) == "Mixture(3, common=False)"
    assert hr.Mixture(2, mean_sd=3).mean_sd == (3.0,)
    assert hash(hr.Mixture(2, mean_sd=[1, 2])) == hash(hr.Mixture(2, mean_sd=(1.0, 2.0)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: hr.StudentT(1.0), "above 1"),
        (lambda: hr.StudentT("4"), "above 1"),
        (lambda: hr.StudentT(True), "above 1"),
        (lambda: hr.StudentT(float("inf")), "normal group effects leave"),
        (lambda: hr.StudentT(hr.Normal(4, 1)), "prior of them such as"),
        (lambda: hr.Mixture(1), "from 2 to 10"),
        (lambda: hr.Mixture(2.5), "from 2 to 10"),
        (lambda: hr.Mixture(True), "from 2 to 10"),
        (lambda: hr.Mixture(2, common="no"), "True or False"),
        (lambda: hr.Mixture(2, concentration=0), "positive number"),
        (lambda: hr.Mixture(2, mean_sd=-1), "positive number"),
        (lambda: hr.Mixture(2, mean_sd=()), "positive number"),
    ],
)
def test_values_that_make_no_sense(make, words):
    with pytest.raises(PriorError, match=words):
        make()


FORMULA = "y ~ x + (x | g)"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"effects": hr.StudentT()}, "a dictionary with the grouping factor"),
        ({"effects": {}}, "'g': hr.StudentT"),
        ({"effects": {"h": hr.StudentT()}}, "effects names 'h'"),
        ({"effects": {"g": "t"}}, "leave the factor out"),
        ({"effects": {"g": hr.StudentT(), "s": hr.StudentT()}}, "a dictionary with the grouping factor"),
        ({"formula": "y ~ x", "effects": {"g": hr.StudentT()}}, "has no grouping factor"),
        ({"formula": "y ~ x + (1 | g) + (1 | s)", "effects": {"g": hr.StudentT(3)}}, "models with one"),
        ({"errors": hr.exchangeable("s"), "effects": {"g": hr.StudentT()}}, "are not covered"),
        ({"errors": hr.correlated("s", unit="u"), "effects": {"g": hr.Mixture(2)}}, "are not covered"),
        ({"errors": hr.ar1("t", unit="g"), "effects": {"g": hr.Mixture(2)}}, "are not covered"),
        ({"effects": {"g": hr.Mixture(4)}}, "at least two groups for each"),
        ({"effects": {"g": hr.Mixture(2, mean_sd=(1, 2, 3))}}, "3 numbers for 2 group coefficients"),
    ],
)
def test_models_that_cannot_have_such_effects(arguments, words):
    rows = table().assign(u=lambda r: range(len(r)), t=lambda r: r.groupby("g").cumcount())
    rows = rows.assign(s=["a", "b"] * (len(rows) // 2), u=rows["u"] // 2)
    with pytest.raises(ModelError, match=words):
        hr.Model(**{"formula": FORMULA, "data": rows} | arguments)


def test_no_effects_are_the_same_model():
    assert not isinstance(hr.Model(FORMULA, table(), effects=None).problem, EffectsProblem)


def _asked(m: hr.Model, est: object) -> dict[str, object]:
    return {
        "estimate('reml')": lambda: m.estimate("reml"),
        "solve": lambda: m.solve({"g": [[1, 0], [0, 1]]}, 1.0),
        "gram": lambda: m.gram,
        "to_pymc('marginal')": m.to_pymc,
        "to_pymc('noncentered')": lambda: m.to_pymc("noncentered"),
        "sample(parametrization='noncentered')": lambda: m.sample(parametrization="noncentered"),
        "sample(parametrization='centered')": lambda: m.sample(parametrization="centered"),
        "sample(sampler='pymc')": lambda: m.sample(sampler="pymc"),
        "predict at an estimate": lambda: hr.predict(m, table(), at=est),
        "contrasts of an estimate": lambda: hr.contrasts(est, {"x": {"x": 1}}),
    }


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_there_is_refused_in_words(what):
    m = hr.Model(FORMULA, table(), effects={"g": hr.Mixture(2)})
    est = m.estimate("ml") if "estimate" in what and "reml" not in what else None
    asked = _asked(m, est)
    assert set(asked) == set(REFUSED)
    with pytest.raises(ModelError) as error:
        asked[what]()  # type: ignore[operator]
    assert what in str(error.value)
    assert "'g'" in str(error.value) or "g: " in str(error.value)
    assert "Mixture(2, common=True)" in str(error.value)


def test_student_t_has_both_explicit_parametrizations():
    m = hr.Model(FORMULA, table(), effects={"g": hr.StudentT(4)})
    for parametrization in ("noncentered", "centered"):
        assert "b_g" in m.to_pymc(parametrization).named_vars
