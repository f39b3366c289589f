"""The models of the calibration programme: every error structure, engine, family and distribution of effects."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import hierreg as hr
from tests.helpers import structures


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One model of the programme.

    Attributes
    ----------
    name : str
    structure : str
        Errors, family or effects.
    model : function
        Without arguments, -> Model.
    """

    name: str
    structure: str
    model: Callable[[], hr.Model]


PRIORS = hr.Priors(beta={"Intercept": hr.Normal(0, 1), "x": hr.Normal(0, 0.7)}, sd={"g": hr.HalfNormal(0.7)})


def sleepstudy() -> hr.Model:
    """Return the model of the README."""
    return hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))


def two_firms() -> hr.Model:
    """Return the two firms of the README, whose errors are correlated."""
    firms = hr.load_dataset("grunfeld")
    each = {name: firms[firms["firm"] == name].drop(columns="firm") for name in ("General Electric", "Westinghouse")}
    formula = "invest ~ 0 + dataset + dataset:value + dataset:capital"
    return hr.Model(formula, hr.stack(each, unit="year"), errors=hr.correlated("dataset", unit="year"))


def linked() -> hr.Model:
    """Return data sets as groups, with errors that are correlated between them."""
    table = structures.rows()
    given = hr.Priors(
        beta={"Intercept": hr.Normal(0.5, 1), "x": hr.Normal(0.5, 1)},
        sd={"side": hr.HalfNormal(0.8)},
        error_sd=hr.HalfNormal(1),
        error_corr=hr.LKJ(2),
    )
    return hr.Model("y ~ x + (1 | side)", table, errors=hr.correlated("side", unit="pair"), priors=given)


def of_family(family: object, start: np.ndarray, formula: str = "y ~ x + (1 | g)", **given: object) -> hr.Model:
    """Return a model of a family; of its responses only the kind matters."""
    table = structures.rows().assign(trials=5)
    return hr.Model(
        formula,
        table.assign(y=np.resize(start, len(table))),
        family=family,
        priors=given.pop("priors", PRIORS),
        **given,
    )


def with_effects(effects: object) -> hr.Model:
    """Return a model with effects that are not normal."""
    given = structures.priors(error_sd=hr.HalfNormal(1))
    return hr.Model("y ~ x + (1 | g)", structures.rows(), priors=given, effects={"g": effects})


def _gaussian(name: str) -> Case:
    structure = name.partition(",")[0]
    return Case(name=name, structure=structure, model=lambda: structures.gaussian(name))


_YES, _COUNT, _POSITIVE = np.array([1.0, 0.0, 1.0]), np.array([1.0, 0.0, 3.0]), np.array([1.0, 2.0, 3.0])
_CATEGORY = np.array([1.0, 2.0, 3.0])
# The thresholds are the level.
WITHOUT_LEVEL = hr.Priors(beta={"x": PRIORS.beta["x"]}, sd=PRIORS.sd)
CROSSED = hr.Priors(beta=PRIORS.beta, sd={"g": hr.HalfNormal(0.7), "h": hr.HalfNormal(0.7)})
FURTHER = {
    "sleepstudy": ("independent", sleepstudy),
    "two firms": ("correlated", two_firms),
    "correlated, linked groups": ("correlated", linked),
    "bernoulli": ("family", lambda: of_family(hr.Bernoulli(), _YES)),
    "binomial": ("family", lambda: of_family(hr.Binomial(), _YES, trials="trials")),
    "poisson": ("family", lambda: of_family(hr.Poisson(), _COUNT)),
    "poisson, crossed": (
        "family",
        lambda: of_family(hr.Poisson(), _COUNT, "y ~ x + (1 | g) + (1 | h)", priors=CROSSED),
    ),
    "negative binomial": ("family", lambda: of_family(hr.NegativeBinomial(), _COUNT)),
    "gamma": ("family", lambda: of_family(hr.Gamma(), _POSITIVE)),
    "beta": ("family", lambda: of_family(hr.Beta(precision=hr.Gamma(4, 0.4)), np.array([0.2, 0.4, 0.6]))),
    "log normal": ("family", lambda: of_family(hr.LogNormal(error_sd=hr.HalfNormal(1)), _POSITIVE)),
    "ordered": ("family", lambda: of_family(hr.Cumulative(), _CATEGORY, priors=WITHOUT_LEVEL)),
    "student t": ("family", lambda: of_family(hr.StudentT(4, error_scale=hr.HalfNormal(1)), _POSITIVE)),
    "student t effects": ("effects", lambda: with_effects(hr.StudentT(5))),
    "mixture effects": ("effects", lambda: with_effects(hr.Mixture(2, mean_sd=2.0))),
}
CASES = {name: _gaussian(name) for name in structures.GAUSSIAN} | {
    name: Case(name=name, structure=structure, model=model) for name, (structure, model) in FURTHER.items()
}
