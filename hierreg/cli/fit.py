"""`hierreg fit`: a table and a formula in, a summary and a file out."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg import priors as families
from hierreg.checks import listed
from hierreg.effects import Mixture, StudentT
from hierreg.errors.structures import ar1, by, correlated, exchangeable, independent, known_cov, known_se
from hierreg.exceptions import DataError, ModelError, PriorError
from hierreg.model import Model
from hierreg.priors import Priors
from hierreg.priors.families import SD_FAMILY_NAMES
from hierreg.reports import summary
from hierreg.results import save
from hierreg.results.files import check_path

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from hierreg.errors.base import ErrorSpec

_FAMILIES = ("Normal", "Flat", "Fixed", *SD_FAMILY_NAMES, "LKJ")
# What --method calls a posterior, and what `Model.sample` calls its method.
_POSTERIORS: dict[str, Literal["nuts", "psis"]] = {"sample": "nuts", "psis": "psis"}
_EFFECTS: dict[str, Callable[..., Any]] = {"StudentT": StudentT, "Mixture": Mixture}
_PARTS = ("beta", "sd", "corr", "error_sd", "error_corr")


def fit(options: Namespace) -> None:
    """Fit the model that the options describe, print a summary, and keep the posterior where one is asked for."""
    if options.output is not None:
        if options.method not in _POSTERIORS:
            raise ModelError(f"--output keeps a posterior; --method {options.method} has none. Leave one of them out.")
        # Before the work, not after it.
        check_path(options.output)
    table = read_table(options.data, options.as_category)
    model = Model(
        options.formula,
        table,
        errors=error_structure(options),
        priors=parse_priors(options.prior),
        weights=options.weights,
        effects=parse_effects(options.effects),
    )
    if options.method not in _POSTERIORS:
        print(model.estimate(options.method))
        return
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
    print(summary(tree))
    if options.output is not None:
        save(tree, options.output)
        print(f"\nPosterior kept in {options.output}; `hierreg report {options.output}` prints the other tables.")


def read_table(path: Path, as_category: Sequence[str]) -> Any:
    """Return the table of a file, with some columns as labels."""
    import pandas as pd

    readers = {
        ".csv": pd.read_csv,
        ".tsv": lambda p: pd.read_csv(p, sep="\t"),
        ".parquet": pd.read_parquet,
        ".feather": pd.read_feather,
    }
    if path.suffix not in readers:
        raise DataError(f"data={str(path)!r}: the ending must be one of {listed(readers)}.")
    if not path.is_file():
        raise DataError(f"data={str(path)!r}: no such file.")
    try:
        table = readers[path.suffix](path)
    except (ValueError, ImportError) as error:
        raise DataError(f"data={str(path)!r} cannot be read: {error}") from error
    for name in as_category:
        if name not in table.columns:
            raise DataError(f"--as-category {name}: the table has the columns {listed(table.columns)}.")
        table[name] = table[name].astype(str)
    return table


def error_structure(options: Namespace) -> ErrorSpec:
    """Return the error structure that the options name."""
    for option, structure in _STRUCTURES.items():
        given = getattr(options, option)
        if given is not None:
            return structure(given, options)
    if options.scale:
        raise ModelError("--scale goes with --known-se or --known-cov.")
    return independent()


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


def parse_priors(texts: Sequence[str]) -> Priors | None:
    """Return the priors that "NAME = FAMILY(numbers)" texts describe; nothing in them is run as code.

    Examples
    --------
    >>> parse_priors(["beta.Days = Normal(0, 5)", "sd.Subject = HalfNormal(50)"])
    Priors(beta={'Days': Normal(mu=0.0, sigma=5.0)}, sd={'Subject': HalfNormal(sigma=50.0)})
    """
    if not texts:
        return None
    parts: dict[str, Any] = {}
    for text in texts:
        name, equals, family = (piece.strip() for piece in text.partition("="))
        part, *path = name.split(".")
        if not equals or part not in _PARTS or len(path) > 2:
            raise PriorError(
                f"--prior {text!r}: write NAME = FAMILY(numbers), where NAME begins with one of {listed(_PARTS)}, "
                "as in 'sd.Subject.Days = HalfNormal(50)'."
            )
        _put(parts, [part, *path], _parse_family(family, text), text)
    return Priors(**parts)


def parse_effects(texts: Sequence[str]) -> dict[str, Any] | None:
    """Return the group effects that "FACTOR = DISTRIBUTION(...)" texts describe; nothing in them is run as code.

    Examples
    --------
    >>> parse_effects(["Subject = StudentT(4)"])
    {'Subject': StudentT(nu=4.0)}
    """
    out: dict[str, Any] = {}
    for text in texts:
        factor, equals, distribution = (piece.strip() for piece in text.partition("="))
        problem = ModelError(
            f"--effects {text!r}: write FACTOR = StudentT(), FACTOR = StudentT(4) or FACTOR = Mixture(2), as in "
            "'Subject = StudentT()'."
        )
        if not equals or not factor or factor in out:
            raise problem
        out[factor] = _call(distribution, _EFFECTS, problem)
    return out or None


def _put(parts: dict[str, Any], path: list[str], prior: Any, text: str) -> None:
    *parents, last = path
    here = parts
    for parent in parents:
        here = here.setdefault(parent, {})
        if not isinstance(here, dict):
            raise PriorError(f"--prior {text!r}: {parent!r} already has a prior for all of its parameters.")
    if last in here:
        raise PriorError(f"--prior {text!r}: {'.'.join(path)} has a prior already.")
    here[last] = prior


def _parse_family(family: str, text: str) -> Any:
    problem = PriorError(
        f"--prior {text!r}: {family!r} is not a family with numbers, such as HalfNormal(50); the families are "
        f"{', '.join(_FAMILIES)}."
    )
    return _call(family, {name: getattr(families, name) for name in _FAMILIES}, problem)


def _call(text: str, known: Mapping[str, Callable[..., Any]], problem: Exception) -> Any:
    """Return what a call with literal arguments makes, as in HalfNormal(50); nothing is run as code."""
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise problem from None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in known):
        raise problem
    try:
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
        return known[call.func.id](*positional, **named)
    except (ValueError, TypeError) as error:
        if isinstance(error, PriorError):
            raise
        raise problem from error
