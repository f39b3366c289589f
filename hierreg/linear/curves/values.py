"""Names and values that are asked of curves, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import DataError, ModelError
from hierreg.problem.row_moments import moments_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from hierreg.linear.curves.source import Source

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


def shown(value: Any) -> str:
    """Return a value as it stands in a figure.

    Examples
    --------
    >>> [shown(value) for value in (0.123456, 12345.678, 3, "Public")]
    ['0.123', '12346', '3', 'Public']
    """
    if not isinstance(value, (float, np.floating)):
        return str(value)
    number = float(value)
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def one_name(given: Any, argument: str) -> tuple[str, Any]:
    """Return a name and the values that are asked of it, None where none are."""
    if isinstance(given, str):
        return given, None
    if isinstance(given, Mapping) and len(given) == 1:
        name, values = next(iter(given.items()))
        if isinstance(values, (list, tuple, range, np.ndarray)) and len(values):
            return str(name), list(values)
    raise ModelError(
        f"{argument}={given!r} must be the name of a predictor, or a dictionary of one name and its values, as in "
        f"{argument}={{'Days': [0, 9]}}."
    )


def numbers_of(values: Any, what: str) -> Array:
    """Return values as finite numbers, or raise where they are none."""
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if numbers.ndim != 1 or not np.all(np.isfinite(numbers)):
        raise ModelError(f"{what} has values {values!r}; finite numbers are required.")
    return numbers


def moments_of_column(source: Source, name: str, instead: str) -> tuple[float, float]:
    """Return mean and standard deviation of a predictor, of a model that has no rows.

    Raises
    ------
    DataError
        If the statistics do not say them.
    """
    found, coefs = moments_of(source.problem), list(source.problem.labels.coef)
    if found is None or name not in coefs:
        raise DataError(
            f"the model was made of statistics alone, and these do not say which values {name!r} has in the rows; give "
            f"{instead}."
        )
    k = coefs.index(name)
    share = found.n / found.n.sum()
    mean = float(share @ found.mean[:, k])
    return mean, float(np.sqrt(share @ (found.cov[:, k, k] + (found.mean[:, k] - mean) ** 2)))


def places_of(values: Any, levels: Sequence[Any]) -> Index:
    """Return the place of each value among levels; -1 for none of them."""
    place = {level: i for i, level in enumerate(levels)}
    text = {str(level): i for i, level in enumerate(levels)}
    found = [place.get(value, text.get(str(value), -1)) for value in np.asarray(values, dtype=object).tolist()]
    return np.array(found, dtype=np.intp)


def is_within(values: pd.Series[Any], index: Index) -> bool:
    """Return whether a column has one value in each group, and not the same in all."""
    import pandas as pd

    codes = pd.factorize(values)[0]
    first = np.zeros(int(index.max()) + 1, dtype=np.intp)
    first[index[::-1]] = codes[::-1]
    return bool(np.all(first[index] == codes)) and len(np.unique(codes)) > 1
