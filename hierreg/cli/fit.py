"""`hierreg fit`: a table and a formula in, a summary and a file out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.cli.answers import Answer, about_attributes
from hierreg.cli.many_files import is_many, model_of_files
from hierreg.cli.parsing import entries_of, parse_effects, parse_priors, split_priors
from hierreg.cli.prior_files import read_priors
from hierreg.cli.response import family_class, family_of, further_parameters, with_categories
from hierreg.cli.tables import read_table
from hierreg.errors.structures import ar1, by, correlated, exchangeable, independent, known_cov, known_se
from hierreg.exceptions import DataError, ModelError
from hierreg.model import Model
from hierreg.problem.problem import check_has_no_family
from hierreg.reports import summary
from hierreg.results import save
from hierreg.results.files import check_path

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd
    import xarray as xr

    from hierreg.errors.base import ErrorSpec

# What --method calls a posterior, and what `Model.sample` calls its method.
_POSTERIORS: dict[str, Literal["nuts", "psis"]] = {"sample": "nuts", "psis": "psis"}


def fit(options: Namespace) -> Answer:
    """Fit the model that the options describe, print a summary, and keep the posterior where one is asked for."""
    if options.output is not None:
        if options.method not in _POSTERIORS:
            raise ModelError(f"--output keeps a posterior; --method {options.method} has none. Leave one of them out.")
        # Before the work, not after it.
        check_path(options.output)
    model = model_of(options)
    if options.method not in _POSTERIORS:
        return _estimate(model, options)
    if options.nodes is not None:
        raise ModelError("--nodes goes with --method quadrature; sampling finds how many are needed.")
    tree = model.sample(
        draws=options.draws,
        tune=options.tune,
        chains=options.chains,
        cores=options.cores,
        seed=options.seed,
        target_accept=options.target_accept,
        progress=not options.quiet,
        method=_POSTERIORS[options.method],
    )
    found = summary(tree)
    print(found)
    if options.output is not None:
        save(tree, options.output)
        print(f"\nPosterior kept in {options.output}; `hierreg report {options.output}` prints the other tables.")
    files = () if options.output is None else (options.output,)
    about = about_attributes(tree.attrs) | about_attributes(found.attrs)
    return Answer(tables={"summary": found.to_pandas()}, about=about, files=files)


def _estimate(model: Model, options: Namespace) -> Answer:
    est = model.estimate(options.method, nodes=options.nodes)
    print(est)
    about = {"formula": options.formula, "family": getattr(est, "family", ""), "method": options.method}
    names = ("n_rows", "criterion", "converged", "message", "boundary", "unidentified")
    about |= {name: getattr(est, name) for name in names if hasattr(est, name)}
    tables = {"estimate": est.to_pandas()} | {f"groups of {factor}": _groups(b) for factor, b in est.b.items()}
    return Answer(tables=tables, about=about)


def _groups(b: xr.DataArray) -> pd.DataFrame:
    """Return the coefficients of groups with a row for each group and coefficient."""
    frame = b.rename("estimate").to_dataframe().reset_index()
    return frame.rename(columns=dict(zip(b.dims, ("group", "coef"), strict=True)))


def model_of(options: Namespace) -> Model:
    """Return the model that the options describe."""
    kind = family_class(options)
    names = further_parameters(kind)
    entries = entries_of(options.prior) + (read_priors(options.priors) if options.priors is not None else [])
    given, further = split_priors(entries, names)
    priors = parse_priors(given, names)
    if is_many(options.data):
        check_has_no_family(offset=options.offset, trials=options.trials)
        return model_of_files(options, error_structure(options) or independent(), priors)
    table = read_table(options.data, options.as_category)
    common = {"weights": options.weights, "offset": options.offset, "trials": options.trials}
    effects = parse_effects(options.effects)
    if kind is None:
        errors = error_structure(options)
        return Model(options.formula, table, errors=errors, priors=priors, effects=effects, **common)
    table = with_categories(kind, options, table)
    family = family_of(kind, options, table, further)
    # Of a family --by is a column of strata with parameters of their own.
    errors = error_structure(options, without=("by",))
    model = Model(options.formula, table, errors=errors, priors=priors, effects=effects, family=family, **common)
    print(f"{model!r}\n")
    return model


def error_structure(options: Namespace, without: Sequence[str] = ()) -> ErrorSpec | None:
    """Return the error structure that the options name, some of them left aside; None where they name none."""
    for option, structure in _STRUCTURES.items():
        given = getattr(options, option)
        if given is not None and option not in without:
            return structure(given, options)
    if options.scale:
        raise ModelError("--scale goes with --known-se or --known-cov.")
    return None


def _read_matrix(path: Path) -> np.ndarray:
    try:
        return np.atleast_2d(np.loadtxt(path, delimiter=","))
    except ValueError as error:
        raise DataError(f"--known-cov {path} is not a table of numbers separated by commas: {error}") from error


# By option, which is called as the structure is; without any of them errors are independent.
_STRUCTURES: dict[str, Callable[[Any, Namespace], ErrorSpec]] = {
    "by": lambda column, _: by(column),
    "correlated": lambda columns, _: correlated(columns[0], unit=columns[1]),
    "exchangeable": lambda unit, _: exchangeable(unit),
    "ar1": lambda columns, _: ar1(columns[0], unit=columns[1]),
    "known_se": lambda column, options: known_se(column, scale=options.scale),
    "known_cov": lambda path, options: known_cov(_read_matrix(path), scale=options.scale),
}
