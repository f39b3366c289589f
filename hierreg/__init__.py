"""Hierarchical and correlated linear regressions, with a calibrated posterior in seconds.

The usual start is::

    import hierreg as hr

    model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    tree = model.sample(seed=1)
    print(hr.summary(tree))

Names are loaded on first use, so that ``import hierreg`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hierreg import exceptions, plots
    from hierreg.datasets import load_dataset
    from hierreg.design import stack
    from hierreg.effects import Mixture, StudentT
    from hierreg.errors.from_samples import covariance_from_samples
    from hierreg.errors.structures import ar1, by, correlated, exchangeable, independent, known_cov, known_se
    from hierreg.exceptions import HierregError
    from hierreg.gram import Gram
    from hierreg.linear import contrasts, predict, row_weights
    from hierreg.model import Model
    from hierreg.predictive import log_likelihood, log_prior, posterior_predictive, prior_predictive
    from hierreg.priors import (
        LKJ,
        Exponential,
        Fixed,
        Flat,
        Gamma,
        HalfCauchy,
        HalfNormal,
        HalfStudentT,
        InverseGamma,
        LogNormal,
        Normal,
        Priors,
    )
    from hierreg.reports import correlations, shrinkage, summary
    from hierreg.response import Bernoulli, Beta, Binomial, Cumulative, NegativeBinomial, Poisson
    from hierreg.results import load, save
    from hierreg.studies import map_chains, map_fits

__version__ = "0.1.0"

__all__ = [
    "LKJ",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Cumulative",
    "Exponential",
    "Fixed",
    "Flat",
    "Gamma",
    "Gram",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "HierregError",
    "InverseGamma",
    "LogNormal",
    "Mixture",
    "Model",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "Priors",
    "StudentT",
    "ar1",
    "by",
    "contrasts",
    "correlated",
    "correlations",
    "covariance_from_samples",
    "exceptions",
    "exchangeable",
    "independent",
    "known_cov",
    "known_se",
    "load",
    "load_dataset",
    "log_likelihood",
    "log_prior",
    "map_chains",
    "map_fits",
    "plots",
    "posterior_predictive",
    "predict",
    "prior_predictive",
    "row_weights",
    "save",
    "shrinkage",
    "stack",
    "summary",
]

# The same table as the imports above, for use at run time; tests/whole/test_import.py keeps the two equal.
_NAMES_BY_MODULE = {
    "hierreg": ("exceptions", "plots"),
    "hierreg.datasets": ("load_dataset",),
    "hierreg.design": ("stack",),
    "hierreg.effects": ("Mixture", "StudentT"),
    "hierreg.errors.structures": ("ar1", "by", "correlated", "exchangeable", "independent", "known_cov", "known_se"),
    "hierreg.exceptions": ("HierregError",),
    "hierreg.gram": ("Gram",),
    "hierreg.linear": ("contrasts", "predict", "row_weights"),
    "hierreg.model": ("Model",),
    "hierreg.predictive": ("log_likelihood", "log_prior", "posterior_predictive", "prior_predictive"),
    "hierreg.priors": (
        "LKJ",
        "Exponential",
        "Fixed",
        "Flat",
        "Gamma",
        "HalfCauchy",
        "HalfNormal",
        "HalfStudentT",
        "InverseGamma",
        "LogNormal",
        "Normal",
        "Priors",
    ),
    "hierreg.reports": ("correlations", "shrinkage", "summary"),
    "hierreg.errors.from_samples": ("covariance_from_samples",),
    "hierreg.studies": ("map_chains", "map_fits"),
    "hierreg.response": ("Bernoulli", "Beta", "Binomial", "Cumulative", "NegativeBinomial", "Poisson"),
    "hierreg.results": ("load", "save"),
}
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name the first time that it is asked for."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'hierreg' has no attribute {name!r}")
    module = _MODULE_OF[name]
    value = import_module(f"hierreg.{name}") if module == "hierreg" else getattr(import_module(module), name)
    globals()[name] = value  # later look-ups do not come through here
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return [*__all__, "__version__"]
