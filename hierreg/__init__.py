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
    from hierreg.criticism import check
    from hierreg.datasets import available_datasets, describe_dataset, load_dataset
    from hierreg.design_matrices import stack
    from hierreg.effects import Mixture, StudentT
    from hierreg.errors.from_samples import covariance_from_samples
    from hierreg.errors.structures import ar1, by, correlated, exchangeable, independent, known_cov, known_se
    from hierreg.exceptions import HierregError
    from hierreg.gram import Gram
    from hierreg.inference import compare_fits, intervals, residuals, t_tests
    from hierreg.linear import comparisons, contrasts, datagrid, means, predict, ranks, row_weights, slopes
    from hierreg.model import Model
    from hierreg.page import report
    from hierreg.predictive import group_effects, log_likelihood, log_prior, posterior_predictive, prior_predictive
    from hierreg.predictive_checks import predictive_check, prior_check
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
    from hierreg.reports import correlations, r2, shrinkage, summary, table
    from hierreg.response import Bernoulli, Beta, Binomial, Cumulative, NegativeBinomial, Poisson
    from hierreg.results import correlation_matrices, load, parameters, save
    from hierreg.studies import calibrate, design, loo, map_chains, map_fits, sensitivity

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
    "available_datasets",
    "by",
    "calibrate",
    "check",
    "compare_fits",
    "comparisons",
    "contrasts",
    "correlated",
    "correlation_matrices",
    "correlations",
    "covariance_from_samples",
    "datagrid",
    "describe_dataset",
    "design",
    "exceptions",
    "exchangeable",
    "group_effects",
    "independent",
    "intervals",
    "known_cov",
    "known_se",
    "load",
    "load_dataset",
    "log_likelihood",
    "log_prior",
    "loo",
    "map_chains",
    "map_fits",
    "means",
    "parameters",
    "plots",
    "posterior_predictive",
    "predict",
    "predictive_check",
    "prior_check",
    "prior_predictive",
    "r2",
    "ranks",
    "report",
    "residuals",
    "row_weights",
    "save",
    "sensitivity",
    "shrinkage",
    "slopes",
    "stack",
    "summary",
    "t_tests",
    "table",
]

# The same table as the imports above, for use at run time; tests/whole/test_import.py keeps the two equal.
_NAMES_BY_MODULE = {
    "hierreg": ("exceptions", "plots"),
    "hierreg.criticism": ("check",),
    "hierreg.datasets": ("available_datasets", "describe_dataset", "load_dataset"),
    "hierreg.design_matrices": ("stack",),
    "hierreg.effects": ("Mixture", "StudentT"),
    "hierreg.errors.structures": ("ar1", "by", "correlated", "exchangeable", "independent", "known_cov", "known_se"),
    "hierreg.exceptions": ("HierregError",),
    "hierreg.gram": ("Gram",),
    "hierreg.inference": ("compare_fits", "intervals", "residuals", "t_tests"),
    "hierreg.linear": ("comparisons", "contrasts", "datagrid", "means", "predict", "ranks", "row_weights", "slopes"),
    "hierreg.model": ("Model",),
    "hierreg.page": ("report",),
    "hierreg.predictive": ("group_effects", "log_likelihood", "log_prior", "posterior_predictive", "prior_predictive"),
    "hierreg.predictive_checks": ("predictive_check", "prior_check"),
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
    "hierreg.reports": ("correlations", "r2", "shrinkage", "summary", "table"),
    "hierreg.errors.from_samples": ("covariance_from_samples",),
    "hierreg.studies": ("calibrate", "loo", "map_chains", "map_fits", "design", "sensitivity"),
    "hierreg.response": ("Bernoulli", "Beta", "Binomial", "Cumulative", "NegativeBinomial", "Poisson"),
    "hierreg.results": ("correlation_matrices", "load", "parameters", "save"),
}
# Names that users of lme4, brms, bambi and ArviZ try first.
_FOREIGN = {
    **dict.fromkeys(("lmer", "glmer", "brm", "lm", "glm", "mixedlm"), "write hr.Model(formula, data).estimate()"),
    **dict.fromkeys(("fit", "sample"), "write hr.Model(formula, data).sample(seed=1)"),
    **dict.fromkeys(("summarize", "describe"), "write hr.summary(tree)"),
    **dict.fromkeys(("ranef", "VarCorr", "fixef"), "model.estimate() has .b, .sd, .corr and .beta"),
    "plot": "the functions are in hr.plots",
}
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name the first time that it is asked for."""
    if name.startswith("__"):
        raise AttributeError(f"module 'hierreg' has no attribute {name!r}")
    if name not in _MODULE_OF:
        from hierreg.hints import missing

        raise missing("module 'hierreg'", name, _FOREIGN)
    module = _MODULE_OF[name]
    value = import_module(f"hierreg.{name}") if module == "hierreg" else getattr(import_module(module), name)
    globals()[name] = value  # later look-ups do not come through here
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return [*__all__, "__version__"]
