"""Bad errors, priors and arguments of Model's methods: what is given, which error, and the words it must say."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, HierregError, ModelError, PriorError

N = 12
TABLE = pd.DataFrame(
    {
        "y": [1.0, 3.0, 2.0, 5.0, 4.0, 8.0, 7.0, 9.0, 4.5, 3.5, 6.5, 5.5],
        "x": [0.5, 1.0, 4.0, 2.0, 3.0, 7.0, 5.0, 6.0, 2.5, 1.5, 3.5, 0.0],
        "g": list("uvwuvwuvwuvw"),
        "row": [f"r{i}" for i in range(N)],
        "d": ["a", "b"] * 6,
        "unit": np.repeat(range(6), 2),
        "one": ["same"] * N,
        "alone": range(N),
        "se": np.linspace(0.5, 1.5, N),
        "zero_se": [0.0, *np.linspace(0.5, 1.5, N - 1)],
    }
)
F = "y ~ x + (x | g)"
PAIRS = hr.correlated("d", unit="unit")
NOT_DEFINITE = np.eye(N) - 1.5 * np.outer(np.eye(N)[0], np.eye(N)[0])


def model(formula=F, *, table=TABLE, errors=None, priors=None):
    return hr.Model(formula, table, errors=errors, priors=priors)


def sampled(**options):
    return model().sample(**({"draws": 5, "chains": 1, "progress": False} | options))


# Units of two rows in stratum u, of one in stratum v.
SOME, PART = ["a", "a", "b", "b", "c", "c", *"defghi"], ["u"] * 6 + ["v"] * 6


def many_sizes():
    unit = np.repeat(np.arange(260), np.arange(1, 261))
    return pd.DataFrame({"u": unit, "y": np.sin(np.arange(len(unit)))})


def duplicated():
    return pd.concat([TABLE, TABLE.iloc[:2]], ignore_index=True)


# what is done, exception, words that must appear
CASES = {
    # error structures
    "errors is a string": (lambda: model(errors="correlated"), ModelError, ["errors='correlated'", "hr.correlated("]),
    "errors is the function": (lambda: model(errors=hr.independent), ModelError, ["not an error structure", "hr.by"]),
    "unknown stratum": (lambda: model(errors=hr.by("sx")), DataError, ["'sx'", "error stratum"]),
    "unknown data set": (lambda: model(errors=hr.correlated("dd", unit="unit")), DataError, ["'dd'", "'d'"]),
    "unknown unit": (lambda: model(errors=hr.correlated("d", unit="units")), DataError, ["'units'", "'unit'"]),
    "one data set only": (
        lambda: model(errors=hr.correlated("one", unit="alone")),
        ModelError,
        ["'same'", "at least two data sets", "hr.independent()"],
    ),
    "unit and data set twice": (
        lambda: model(table=duplicated(), errors=PAIRS),
        DataError,
        ["2 pairs of unit and data set", "'0', 'a'", "rows [0, 12]", "average the repeats"],
    ),
    "no unit in two data sets": (
        lambda: model(errors=hr.correlated("d", unit="alone")),
        DataError,
        ["no unit of column 'alone'", "hr.by('d')"],
    ),
    "unknown unit of exchangeable errors": (
        lambda: model(errors=hr.exchangeable("unti")),
        DataError,
        ["'unti'", "unit of the errors", "'unit'"],
    ),
    "unknown stratum of exchangeable errors": (
        lambda: model(errors=hr.exchangeable("unit", by="dd")),
        DataError,
        ["'dd'", "error stratum"],
    ),
    "units in several strata": (
        lambda: model(errors=hr.exchangeable("unit", by="d")),
        DataError,
        ["6 units have rows in several strata of 'd'", "'0'", "rows [0, 1]", "names of their own"],
    ),
    "units of one row": (
        lambda: model(errors=hr.exchangeable("alone")),
        DataError,
        ["no unit of column 'alone' has two rows", "hr.independent()"],
    ),
    "units of one row in a stratum": (
        lambda: model(errors=hr.exchangeable("some", by="part"), table=TABLE.assign(some=SOME, part=PART)),
        DataError,
        ["no unit of stratum 'v' of 'part' has two rows", "hr.by('part')"],
    ),
    "units of too many sizes": (
        lambda: hr.Model("y ~ 1", many_sizes(), errors=hr.exchangeable("u")),
        ModelError,
        ["260 different sizes", "at most 249", "(1 | unit)"],
    ),
    "unknown standard errors": (
        lambda: model(errors=hr.known_se("ste")),
        DataError,
        ["'ste'", "known standard errors"],
    ),
    "standard error zero": (
        lambda: model(errors=hr.known_se("zero_se")),
        DataError,
        ["zero_se", "not positive", "rows [0]", "must be > 0"],
    ),
    "standard errors are words": (lambda: model(errors=hr.known_se("g")), DataError, ["'g'", "known standard errors"]),
    # known covariances
    "V not square": (lambda: hr.known_cov(np.ones((3, 4))), ModelError, ["(3, 4)", "square"]),
    "V a vector": (lambda: hr.known_cov(np.ones(3)), ModelError, ["(3,)", "square"]),
    "V empty": (lambda: hr.known_cov(np.ones((0, 0))), ModelError, ["(0, 0)"]),
    "V with NaN": (lambda: hr.known_cov([[1, np.nan], [np.nan, 1]]), ModelError, ["not finite", "[0, 1]"]),
    "V not symmetric": (lambda: hr.known_cov([[1, 0.5], [0.2, 1]]), ModelError, ["not symmetric", "0.3", "[0, 1]"]),
    "V not definite": (
        lambda: hr.known_cov(NOT_DEFINITE),
        ModelError,
        ["not positive definite", "variance of row 0 is -0.5"],
    ),
    "V from too few samples": (
        lambda: hr.known_cov(np.cov(np.random.default_rng(1).normal(size=(8, 5)))),
        ModelError,
        ["not positive definite", "smallest eigenvalue", "more samples", "shrink"],
    ),
    "V of another size": (
        lambda: model(errors=hr.known_cov(np.eye(5))),
        ModelError,
        ["(5, 5)", "12 rows", "(12, 12)"],
    ),
    # the design against the errors
    "every row a group": (
        lambda: model("y ~ x + (1 | row)"),
        ModelError,
        ["12 rows", "'row'", "coarser", "hr.known_se"],
    ),
    "every row a group, by stratum": (lambda: model("y ~ x + (1 | row)", errors=hr.by("d")), ModelError, ["'row'"]),
    "every row a group, exchangeable": (
        lambda: model("y ~ x + (1 | row)", errors=hr.exchangeable("unit")),
        ModelError,
        ["'row'", "coarser"],
    ),
    "a random intercept of the units": (
        lambda: model(
            "y ~ x + (1 | unit)", errors=hr.exchangeable("unit"), table=TABLE.assign(unit=list("abcdef") * 2)
        ),
        ModelError,
        ["'unit'", "correlation of errors within units", "(0 + x | unit)"],
    ),
    # priors
    "priors is a dictionary": (lambda: model(priors={"beta": 1}), PriorError, ["hr.Priors"]),
    "prior of an unknown coefficient": (
        lambda: model(priors=hr.Priors(beta={"X": hr.Normal(0, 1)})),
        PriorError,
        ["'X'", "Did you mean 'x'?"],
    ),
    "prior of an unknown factor": (
        lambda: model(priors=hr.Priors(sd={"G": hr.HalfNormal(1)})),
        PriorError,
        ["'G'", "'g'"],
    ),
    "sd with a normal prior": (lambda: model(priors=hr.Priors(sd={"g": hr.Normal(0, 1)})), PriorError, ["HalfNormal"]),
    "beta with a half-normal prior": (
        lambda: model(priors=hr.Priors(beta=hr.HalfNormal(1))),
        PriorError,
        ["Normal, Flat or Fixed"],
    ),
    "negative fixed sd": (
        lambda: model(priors=hr.Priors(sd={"g": hr.Fixed(-1.0)})),
        PriorError,
        ["cannot be negative"],
    ),
    "error sd fixed at zero": (
        lambda: model(priors=hr.Priors(error_sd=hr.Fixed(0.0))),
        PriorError,
        ["must be positive"],
    ),
    "LKJ of negative eta": (lambda: hr.LKJ(-1), PriorError, ["eta", "positive"]),
    "scale zero": (lambda: hr.HalfNormal(0), PriorError, ["sigma", "positive"]),
    "scale NaN": (lambda: hr.Normal(0, np.nan), PriorError, ["sigma"]),
    "scale a string": (lambda: hr.HalfCauchy("wide"), PriorError, ["beta", "one number"]),
    "fixed correlation not definite": (
        lambda: hr.Model(F, TABLE, priors=hr.Priors(corr={"g": hr.Fixed([[1, 1.2], [1.2, 1]])})),
        PriorError,
        ["Fixed"],
    ),
    "error correlation without correlated errors": (
        lambda: model(priors=hr.Priors(error_corr=hr.LKJ(2))),
        PriorError,
        ["error_corr"],
    ),
    "error sd where errors are known": (
        lambda: model(errors=hr.known_se("se"), priors=hr.Priors(error_sd=hr.HalfNormal(1))),
        PriorError,
        ["error_sd"],
    ),
    # the method of estimation
    "unknown method": (lambda: model().estimate("remel"), ModelError, ["method='remel'", "Did you mean 'reml'?"]),
    "method is empty": (lambda: model().estimate(""), ModelError, ["method=''", "'reml', 'ml', 'map'"]),
    # known covariances of the equations
    "solve without cov": (lambda: model().solve(error_cov=1.0), ModelError, ["cov", "'g'"]),
    "solve with another factor": (
        lambda: model().solve({"h": np.eye(2)}, 1.0),
        ModelError,
        ["'h'", "'g'", "one covariance matrix per grouping factor"],
    ),
    "solve with cov of another shape": (lambda: model().solve({"g": np.eye(3)}, 1.0), ModelError, ["(3, 3)", "(2, 2)"]),
    "solve with a number for two columns": (lambda: model().solve({"g": 1.0}, 1.0), ModelError, ["()", "(2, 2)"]),
    "solve with a covariance that is not": (
        lambda: model().solve({"g": [[1, 2], [2, 1]]}, 1.0),
        ModelError,
        ["cov['g']", "positive semidefinite", "smallest eigenvalue -1"],
    ),
    "solve with an asymmetric covariance": (
        lambda: model().solve({"g": [[1, 0.5], [0.1, 1]]}, 1.0),
        ModelError,
        ["not symmetric"],
    ),
    "solve with NaN": (lambda: model().solve({"g": [[1, np.nan], [np.nan, 1]]}, 1.0), ModelError, ["not finite"]),
    "solve with words": (
        lambda: model().solve({"g": [["a", "b"], ["c", "d"]]}, 1.0),
        ModelError,
        ["cov['g']", "not a matrix of numbers"],
    ),
    "solve with words for errors": (
        lambda: model().solve({"g": np.eye(2)}, "one"),
        ModelError,
        ["error_cov", "not a matrix of numbers"],
    ),
    "solve with a matrix for cov": (lambda: model().solve(np.eye(2), 1.0), ModelError, ["cov=", "dictionary", "'g'"]),
    "solve with a number for exchangeable errors": (
        lambda: model(errors=hr.exchangeable("unit")).solve({"g": np.eye(2)}, 1.0),
        ModelError,
        ["error_cov=1.0", "{'sd': sd, 'corr': rho}"],
    ),
    "solve without error_cov of exchangeable errors": (
        lambda: model(errors=hr.exchangeable("unit")).solve({"g": np.eye(2)}),
        ModelError,
        ["error_cov is missing", "{'sd': sd, 'corr': rho}"],
    ),
    "solve with too many correlations": (
        lambda: model(errors=hr.exchangeable("unit")).solve({"g": np.eye(2)}, {"sd": 1, "corr": [0.1, 0.2]}),
        ModelError,
        ["error_cov['corr']", "(2,)", "one number"],
    ),
    "solve with an impossible correlation": (
        lambda: model(errors=hr.exchangeable("unit")).solve({"g": np.eye(2)}, {"sd": 1, "corr": -1.0}),
        ModelError,
        ["error_cov['corr']=-1.0", "-1 / (n - 1)"],
    ),
    "solve with a negative sd": (
        lambda: model(errors=hr.exchangeable("unit")).solve({"g": np.eye(2)}, {"sd": -1, "corr": 0.3}),
        ModelError,
        ["error_cov['sd']=-1", "positive"],
    ),
    "solve without error_cov": (
        lambda: model().solve({"g": np.eye(2)}),
        ModelError,
        ["error_cov is missing", "a variance"],
    ),
    "solve with error variance zero": (
        lambda: model().solve({"g": np.eye(2)}, 0.0),
        ModelError,
        ["error_cov", "positive definite"],
    ),
    "solve with one variance for two data sets": (
        lambda: model("y ~ x", errors=PAIRS).solve(error_cov=1.0),
        ModelError,
        ["(1, 1)", "(2, 2)", "'a', 'b'"],
    ),
    "solve with covariances of independent errors": (
        lambda: model("y ~ x", errors=hr.by("d")).solve(error_cov=[[1, 0.5], [0.5, 1]]),
        ModelError,
        ["independent", "diagonal"],
    ),
    "solve with error_cov where errors are known": (
        lambda: model("y ~ x", errors=hr.known_se("se")).solve(error_cov=1.0),
        ModelError,
        ["fully known", "scale=True"],
    ),
    "solve with negative precision": (
        lambda: model().solve({"g": np.eye(2)}, 1.0, beta_precision=-1.0),
        ModelError,
        ["beta_precision", "not negative"],
    ),
    "solve with too many precisions": (
        lambda: model().solve({"g": np.eye(2)}, 1.0, beta_precision=[1, 2, 3]),
        ModelError,
        ["beta_precision", "'Intercept', 'x'"],
    ),
    "solve with cov in a model without groups": (
        lambda: model("y ~ x").solve({"g": np.eye(2)}, 1.0),
        ModelError,
        ["'g'", "none"],
    ),
    # settings of the sampler
    "no draws": (lambda: sampled(draws=0), ModelError, ["draws=0", "1 or more"]),
    "draws not whole": (lambda: sampled(draws=10.5), ModelError, ["draws=10.5", "whole number"]),
    "draws is True": (lambda: sampled(draws=True), ModelError, ["draws=True"]),
    "negative tune": (lambda: sampled(tune=-1), ModelError, ["tune=-1"]),
    "no chains": (lambda: sampled(chains=0), ModelError, ["chains=0"]),
    "negative seed": (lambda: sampled(seed=-3), ModelError, ["seed=-3"]),
    "no cores": (lambda: sampled(cores=0), ModelError, ["cores=0"]),
    "unknown parametrization": (
        lambda: sampled(parametrization="non-centered"),
        ModelError,
        ["parametrization='non-centered'", "Did you mean 'noncentered'?"],
    ),
    "unknown sampler": (lambda: sampled(sampler="nuts"), ModelError, ["sampler='nuts'", "'nutpie'"]),
    "unknown group": (lambda: sampled(include=["priors"]), ModelError, ["include='priors'", "Did you mean 'prior'?"]),
    "target_accept of one": (lambda: sampled(target_accept=1.0), ModelError, ["target_accept=1.0", "between 0 and 1"]),
    "target_accept in words": (lambda: sampled(target_accept="high"), ModelError, ["target_accept='high'", "0.95"]),
    "unknown group_effects": (lambda: sampled(group_effects="all"), ModelError, ["group_effects='all'", "'summary'"]),
    "unknown parametrization of to_pymc": (
        lambda: model().to_pymc("centred"),
        ModelError,
        ["'centred'", "Did you mean 'centered'?"],
    ),
}


@pytest.mark.parametrize(("action", "exception", "words"), CASES.values(), ids=CASES)
def test_bad_argument(action, exception, words):
    with pytest.raises(exception) as caught:
        action()
    assert isinstance(caught.value, HierregError)
    message = str(caught.value)
    for word in words:
        assert word in message, message
    assert "Traceback" not in message


def test_good_arguments_next_to_the_bad_ones_pass():
    assert model(errors=hr.known_se("se")).estimate().converged
    at = model("y ~ x", errors=PAIRS).solve(error_cov=[1.0, 2.0])
    other = model("y ~ x", errors=PAIRS).solve(error_cov=np.diag([1.0, 2.0]))
    np.testing.assert_array_equal(at.beta, other.beta)
    assert model().solve({"g": np.zeros((2, 2))}, 1.0, beta_precision=[0, 1]).beta.shape == (2,)
