"""Reading the shipped tables."""

import csv
import difflib
import gzip
from importlib import resources
from typing import TYPE_CHECKING, Final

from hierreg.datasets.record import Dataset
from hierreg.datasets.shipped import SHIPPED
from hierreg.exceptions import DataError

if TYPE_CHECKING:
    import pandas as pd

_NUMBER: Final = {"float": float, "integer": int}


def available_datasets() -> tuple[str, ...]:
    """Return the names that `load_dataset` takes, in alphabetical order.

    Returns
    -------
    tuple of str

    See Also
    --------
    describe_dataset : What a data set is.
    load_dataset : Its table.

    Examples
    --------
    >>> available_datasets()[:3]
    ('cbpp', 'contraception', 'dyestuff')
    """
    return tuple(sorted(SHIPPED))


def describe_dataset(name: str) -> Dataset:
    """Return the record of a shipped data set: rows, columns with units, source, citation, licence, notes.

    Parameters
    ----------
    name : str
        One of `available_datasets`.

    Returns
    -------
    Dataset
        A frozen value; ``print`` shows all of it.

    Raises
    ------
    DataError
        If there is no data set of this name.

    See Also
    --------
    available_datasets : Their names.
    load_dataset : The table.

    Examples
    --------
    >>> print(describe_dataset("dyestuff").columns[1])
    Yield (float): yield of dyestuff [grams of standard colour]
    """
    if isinstance(name, str) and name in SHIPPED:
        return SHIPPED[name]
    raise DataError(_unknown_name_message(name))


def load_dataset(name: str) -> "pd.DataFrame":
    """Return a shipped data set as a new DataFrame.

    Every call reads the table again, so changing the result changes nothing else. Grouping columns are
    unordered categoricals of strings (also where the source labels them with numbers), with the levels in the
    order of the source.

    =============  =====  ====================================================================================
    name           rows   content (`describe_dataset` gives columns, units, source, citation and licence)
    =============  =====  ====================================================================================
    cbpp              56  incidence among size animals, by herd and period (Lesnoff et al. 2004)
    contraception   1934  use of contraception in 60 districts, rural and urban (Huq and Cleland 1990)
    dyestuff          30  Yield by Batch: six batches, five preparations each (Davies and Goldsmith 1972)
    dyestuff2         30  the same layout, constructed: batch variance estimated as zero (Box and Tiao 1973)
    eight_schools      8  effect of coaching with its standard error se, by school (Rubin 1981)
    grouseticks      403  TICKS on chicks by BROOD and LOCATION, YEAR and HEIGHT (Elston et al. 2001)
    grunfeld         100  invest, value and capital of 5 firms over 20 years, as printed by Greene (2003)
    math_achieve    7185  MathAch of students in 160 schools (Raudenbush and Bryk 2002)
    orthodont        108  distance by age of 27 children, by Sex (Potthoff and Roy 1964)
    pastes            60  strength by cask within batch, two assays each (Davies and Goldsmith 1972)
    penicillin       144  diameter by plate and sample, fully crossed (Davies and Goldsmith 1972)
    sleepstudy       180  Reaction by Days of 18 subjects (Belenky et al. 2003)
    verbagg         7584  answers of 316 persons to 24 items, fully crossed (De Boeck and Wilson 2004)
    =============  =====  ====================================================================================

    Parameters
    ----------
    name : str
        One of `available_datasets`.

    Returns
    -------
    pandas.DataFrame
        The table, with the columns of ``describe_dataset(name).columns``.

    Raises
    ------
    DataError
        If there is no data set of this name.

    See Also
    --------
    available_datasets : Their names.
    describe_dataset : Source, citation and units.

    Examples
    --------
    >>> load_dataset("eight_schools").head(2)
      school  effect    se
    0      A    28.0  15.0
    1      B     8.0  10.0
    """
    dataset = describe_dataset(name)
    import pandas as pd  # lazy: `import hierreg` must stay fast

    texts = _read_columns(dataset.file)
    data: dict[str, object] = {}
    for column in dataset.columns:
        values = texts[column.name]
        if column.kind == "category":
            levels = tuple(dict.fromkeys(values)) if column.levels is None else column.levels
            data[column.name] = pd.Categorical(values, categories=list(levels))
        else:
            data[column.name] = [_NUMBER[column.kind](value) for value in values]
    return pd.DataFrame(data)


def _read_columns(file: str) -> dict[str, list[str]]:
    """Return the columns of a shipped table as text.

    Python converts text to the nearest double; some versions of pandas' own reader do not by default.
    """
    content = resources.files("hierreg.datasets").joinpath("tables", file).read_bytes()
    if file.endswith(".gz"):
        content = gzip.decompress(content)
    names, *rows = csv.reader(content.decode("utf-8").splitlines())
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _unknown_name_message(name: object) -> str:
    """Return the message for a name that is not a shipped data set, with the nearest one that is."""
    known = ", ".join(available_datasets())
    message = f"`name` must be the name of a shipped data set, not {name!r}. Available: {known}."
    near = difflib.get_close_matches(str(name).lower(), SHIPPED, n=1, cutoff=0.5)
    return f"{message} Did you mean {near[0]!r}?" if near else message
