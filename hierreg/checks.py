"""Pieces of messages and checks of values that every layer needs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MOST_LISTED = 8
_MOST_ROWS = 3


def listed(names: Iterable[object], most: int = _MOST_LISTED) -> str:
    """Return names as they stand in a message: quoted, separated by commas, cut after `most`.

    Examples
    --------
    >>> listed(["a", "b"])
    "'a', 'b'"
    >>> listed(range(100), most=3)
    '0, 1, 2, ... (100 in all)'
    """
    names = list(names)
    text = ", ".join(repr(name) for name in names[:most])
    return text if len(names) <= most else f"{text}, ... ({len(names)} in all)"


def suggestion(name: object, valid: Iterable[object]) -> str:
    """Return the sentence " Did you mean ...?" with the valid name nearest to `name`, or nothing.

    Examples
    --------
    >>> suggestion("Dayz", ["Days", "Subject"])
    " Did you mean 'Days'?"
    >>> suggestion("zzz", ["Days", "Subject"])
    ''
    """
    by_text = {str(other).casefold(): other for other in valid}
    nearest = difflib.get_close_matches(str(name).casefold(), by_text, n=1)
    return f" Did you mean {by_text[nearest[0]]!r}?" if nearest else ""


def separator_hint(names: Iterable[object]) -> str:
    """Return a sentence where the only column of a table is a header that was not taken apart, or nothing.

    Examples
    --------
    >>> separator_hint(["y;x"])[:50]
    " That is a header whose columns are separated by '"
    >>> separator_hint(["y", "x"])
    ''
    """
    only, *others = [str(name) for name in names] or [""]
    found = [separator for separator in (";", "\t", "|") if separator in only]
    if others or not found:
        return ""
    return (
        f" That is a header whose columns are separated by {found[0]!r}, not by a comma: read the file with "
        f"pandas.read_csv(path, sep={found[0]!r}), and decimal=',' if its numbers have commas, and use the table."
    )


def check_choice(value: object, valid: Iterable[object], *, argument: str, error: type[Exception]) -> None:
    """Raise `error` unless `value` is one of the valid values of an argument.

    Examples
    --------
    >>> from hierreg.exceptions import ModelError
    >>> check_choice("remk", ["reml", "ml"], argument="method", error=ModelError)
    Traceback (most recent call last):
    hierreg.exceptions.ModelError: method='remk' is not one of 'reml', 'ml'. Did you mean 'reml'?
    """
    valid = list(valid)
    if value not in valid:
        raise error(f"{argument}={value!r} is not one of {listed(valid)}.{suggestion(value, valid)}")


def chosen_labels(groups: object, labels: Sequence[object], factor: str, otherwise: str) -> NDArray[np.intp]:
    """Return the places of chosen groups, by their labels or the text of these; of all of them for None.

    Parameters
    ----------
    groups : label, iterable of labels, or None
    labels : sequence
        Those of all groups.
    factor : str
    otherwise : str
        What to do where none are wanted, for the message.

    Raises
    ------
    ModelError
        If one is unknown, or there are none.
    """
    if groups is None:
        return np.arange(len(labels))
    texts = {str(label): place for place, label in enumerate(labels)}
    names = [groups] if isinstance(groups, str) or not isinstance(groups, Iterable) else list(groups)
    for name in names:
        if str(name) not in texts:
            raise ModelError(
                f"groups has {name!r}, which is no group of {factor!r}; these are {listed(labels)}."
                f"{suggestion(str(name), texts)}"
            )
    if not names:
        raise ModelError(f"groups is empty; name a group, or {otherwise}.")
    return np.array([texts[str(name)] for name in names], dtype=np.intp)


def first_rows(is_bad: NDArray[np.bool_], values: NDArray[Any] | None = None) -> str:
    """Return where a condition holds, as "3 ... (first at rows 4, 17, 18" does in a message.

    Parameters
    ----------
    is_bad : bool array (N,)
        Condition per row.
    values : array (N,), optional
        What stands there, to be shown beside the rows.

    Examples
    --------
    >>> first_rows(np.array([False, True, False, True]))
    'rows 1, 3'
    >>> first_rows(np.array([False, True]), np.array([1.0, -2.0]))
    'row 1: -2.0'
    """
    rows = np.flatnonzero(is_bad)[:_MOST_ROWS]
    text = ("row " if len(rows) == 1 else "rows ") + ", ".join(str(row) for row in rows)
    if values is None:
        return text
    return f"{text}: " + ", ".join(repr(value) for value in values[rows].tolist())


def counted(number: int, noun: str) -> str:
    """Return a count with its noun, in the plural where it is not one.

    Examples
    --------
    >>> counted(1, "missing value"), counted(3, "missing value")
    ('1 missing value', '3 missing values')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def read_only[Shape: tuple[int, ...], DType: np.dtype[Any]](
    array: np.ndarray[Shape, DType],
) -> np.ndarray[Shape, DType]:
    """Return the same array after forbidding writes to it."""
    array.flags.writeable = False
    return array


def check_whole(name: str, value: object, *, least: int) -> None:
    """Raise unless an argument is a whole number, `least` or more."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ModelError(f"{name}={value!r} must be a whole number, {least} or more.")
