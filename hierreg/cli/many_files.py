"""A folder or pattern of files as data: statistics collected in one pass, in memory that rows do not take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hierreg.exceptions import ModelError
from hierreg.gram import Gram
from hierreg.gram.sources import sources_of
from hierreg.likelihood.described import bytes_of
from hierreg.model import Model
from hierreg.model.describe import size_in_words

if TYPE_CHECKING:
    from argparse import Namespace

    from hierreg.errors.base import ErrorSpec
    from hierreg.priors import Priors

_PATTERN = "*?["
# What needs the rows, by option, and what to do instead.
_OF_ROWS = {
    "family": "responses that are not normal need all rows in memory",
    "effects": "group effects with heavy tails or mixtures are made of one table",
    "as_category": "write C(column) in the formula, which makes labels of numbers",
}


def is_many(path: Path) -> bool:
    """Whether a path is a folder, or a pattern such as ``rows/*.parquet``."""
    return path.is_dir() or (not path.exists() and any(sign in str(path) for sign in _PATTERN))


def model_of_files(options: Namespace, errors: ErrorSpec, priors: Priors | None) -> Model:
    """Return the model of the statistics of files, and say what was read and what it takes.

    Raises
    ------
    DataError, ModelError, PriorError, FormulaError
        As `Gram.scan` and `Model.from_gram` do, or if an option needs the rows.
    """
    for option, reason in _OF_ROWS.items():
        if getattr(options, option):
            name = option.replace("_", "-")
            raise ModelError(f"--{name} with {str(options.data)!r}, a folder or pattern of files: {reason}.")
    n = len(sources_of(options.data))
    gram = Gram.scan(options.data, options.formula, errors, progress=not options.quiet, weights=options.weights)
    print(
        f"Read {gram.n:,} rows of {n:,} file{'s' if n != 1 else ''}. The model is made of their statistics, "
        f"{size_in_words(bytes_of(gram))} of memory; the rows take none.\n"
    )
    return Model.from_gram(gram, priors=priors)
