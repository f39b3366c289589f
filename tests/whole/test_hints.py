"""Names of other packages are met with what to write instead, and what is offered is what is meant to be used."""

import copy
import inspect
import pickle

import pytest

import hierreg as hr
from hierreg.hints import understands
from tests.helpers import report_trees as trees

ModelError, MissingNameError = hr.exceptions.ModelError, hr.exceptions.MissingNameError


@pytest.fixture(scope="module")
def model():
    return hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))


def test_random_seed_is_seed(model):
    short = {"draws": 5, "chains": 1, "progress": False, "method": "psis"}
    one, other = model.sample(seed=3, **short), model.sample(random_seed=3, **short)
    assert one["posterior"].identical(other["posterior"])
    rows = {"Batch": ["new"]}
    first = hr.predict(model, rows, at=one, level="new group", seed=7)
    assert first.identical(hr.predict(model, rows, at=one, level="new group", random_seed=7))
    prior = [
        hr.prior_predictive(model, 3, **given)["prior"].to_dataset() for given in ({"seed": 2}, {"random_seed": 2})
    ]
    assert prior[0].identical(prior[1])


@pytest.mark.parametrize("arguments", [((), {"seed": 1, "random_seed": 1}), ((9, 9, 1, 1), {"random_seed": 1})])
def test_two_seeds_are_refused(model, arguments):
    positional, named = arguments
    with pytest.raises(ModelError, match=r"random_seed= and seed= are two names of one argument"):
        model.sample(*positional, **named)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.sample(samples=500), r"Model.sample has no argument 'samples': .* is draws="),
        (lambda m: m.sample(drawz=500), r"no argument 'drawz'; it has 'draws', 'tune'.*Did you mean 'draws'"),
        (lambda m: m.estimate(REML=False), r"Model.estimate has no argument 'REML': write method='reml'"),
        (
            lambda m: hr.Model("Yield ~ 1", None, REML=True),
            r"hr.Model has no argument 'REML': Model.estimate\('reml'\)",
        ),
        (lambda m: hr.summary(trees.tree("by"), hdi_prob=0.9), r"hr.summary has no argument 'hdi_prob': .* ci_prob="),
        (lambda m: hr.plots.variances(trees.tree("by"), var_names=["sd"]), r"plots.variances .* 'var_names': .* coef="),
    ],
)
def test_arguments_of_other_packages_are_answered(model, call, words):
    with pytest.raises(ModelError, match=words) as caught:
        call(model)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("name", ["fit", "predict", "summary", "ranef", "plot"])
def test_methods_of_other_packages_are_answered(model, name):
    assert not hasattr(model, name)
    with pytest.raises(MissingNameError, match=rf"Model has no '{name}': .*(hr|model)\.\w+"):
        getattr(model, name)


def test_attributes_of_other_packages_are_answered(model):
    found = model.estimate()
    assert not hasattr(found, "params")
    with pytest.raises(MissingNameError, match=r"Estimate has no 'fixef': population coefficients are .beta"):
        found.fixef  # noqa: B018
    with pytest.raises(AttributeError, match=r"Estimate has no attribute 'bet'"):
        found.bet  # noqa: B018
    assert not hasattr(hr, "lmer")
    with pytest.raises(MissingNameError, match=r"write hr.Model\(formula, data\).estimate\(\)"):
        hr.lmer  # noqa: B018
    assert copy.copy(found).criterion == found.criterion
    assert pickle.loads(pickle.dumps(found)).criterion == found.criterion  # noqa: S301 -- written in the same line


def test_every_hint_is_about_what_does_not_exist(model):
    from hierreg.model import foreign
    from hierreg.results.point import _FOREIGN, Estimate

    assert not [name for name in foreign.METHODS if name in dir(hr.Model)]
    assert not [name for name in _FOREIGN if name in dir(Estimate)]
    assert not [name for name in hr._FOREIGN if name in hr.__all__]
    for function, hints in (
        (hr.Model.sample, foreign.SAMPLE),
        (hr.Model.estimate, foreign.ESTIMATE),
        (hr.Model, foreign.MODEL),
    ):
        assert not set(hints) & set(inspect.signature(function).parameters)


def test_signatures_are_those_of_the_functions():
    assert list(inspect.signature(hr.Model).parameters)[:3] == ["formula", "data", "errors"]
    assert "random_seed" not in inspect.signature(hr.Model.sample).parameters
    assert hr.predict.__module__ == "hierreg.linear.prediction.predict"

    @understands("f", same={"b": "a"})
    def f(a=1, **others):
        return a, others

    assert f(b=2, c=3) == (2, {"c": 3})


def test_completion_offers_what_is_public():
    assert dir(hr.plots) == sorted(hr.plots.__all__)
    offered = {name for name in dir(hr.Gram) if not name.startswith("_")}
    assert {"scan", "load", "save", "from_batches", "from_dask", "n", "factors"} <= offered
    assert not {"WtW", "x_map", "y_shift", "remainder", "left_term", "triangles"} & offered
    assert {name for name in dir(hr) if not name.startswith("_")} == set(hr.__all__)
    assert {"available_datasets", "describe_dataset", "table"} <= set(hr.__all__)
