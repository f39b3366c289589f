"""The arrays of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Level = str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorDesign:
    """All bar terms on one grouping factor, their columns side by side in the formula's order.

    Attributes
    ----------
    name : str
        The factor: a column, or "a:b" for the combinations of two.
    levels : tuple of str or int, length J
        Labels of the groups, in order.
    index : int array (N,)
        Group of each row; -1 for a level that was not in the data the model was made from.
    Z : float array (N, q)
        Group columns. The same array as `Design.X` where both come from one expression.
    coef_names : tuple of str, length q
        Labels of the columns of Z.
    term_sizes : tuple of int
        Columns per bar term; they sum to q.
    term_correlated : tuple of bool
        Whether the effects within each term are correlated (``|``) or not (``||``).
    """

    name: str
    levels: tuple[Level, ...]
    index: NDArray[np.intp]
    Z: NDArray[np.float64]
    coef_names: tuple[str, ...]
    term_sizes: tuple[int, ...]
    term_correlated: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Response, population columns and group columns of N rows; arrays are read-only.

    Attributes
    ----------
    response_name : str
        Label of the response, for example "log(y)".
    y : float array (N,)
        Response; NaN throughout where new data came without one.
    X : float array (N, p), C-contiguous
        Population columns.
    coef_names : tuple of str, length p
        Labels of the columns of X, as formulaic gives them.
    factors : tuple of FactorDesign
        The grouping factors.
    """

    response_name: str
    y: NDArray[np.float64]
    X: NDArray[np.float64]
    coef_names: tuple[str, ...]
    factors: tuple[FactorDesign, ...]
