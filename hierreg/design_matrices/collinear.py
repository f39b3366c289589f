"""Columns that the columns before them determine: found, named, refused or dropped.

One judgement for rows and for cross-products: both give R, upper triangular, with R'R the cross-products of the columns
(centred where one of them is constant), and a column is determined where what it adds to those before it is less than
1e-7 of its own size, or less than the rounding of its values. Cross-products, which square it, would have no correct
digit of it; R's lm has the same tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import counted, first_rows, listed
from hierreg.design_matrices.moments import moments_of
from hierreg.exceptions import DataError, HierregWarning
from hierreg.warning import warn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_TOLERANCE = 1e-7
_TOLERANCE_OF_NEW_ROWS = 1e-6
_ROUNDING = 8 * np.finfo(float).eps
_NO_VARIATION = 4 * np.finfo(float).eps
_ROWS_AT_ONCE = 1 << 14
_WELL_CONDITIONED = 1e8  # no column of length one is within 1e-4 of what others determine, far from the tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is measured of p columns.

    Attributes
    ----------
    names : tuple of str
    R : array (m, p)
        R'R is proportional to the cross-products of the columns divided by `unit`, centred where there is a constant.
    unit : array (p,)
    mean : array (p,)
        Of the columns themselves.
    is_zero, is_constant : bool arrays (p,)
        Whether a column is zero throughout, or has one other value, up to rounding.
    constant : int or None
        The first column that has one value other than zero.
    n : int
        Number of rows.
    """

    names: tuple[str, ...]
    R: Array
    unit: Array
    mean: Array
    is_zero: NDArray[np.bool_]
    is_constant: NDArray[np.bool_]
    constant: int | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Determined:
    """Columns of a matrix that those before them determine, ``A[:, dropped] = centre + (A[:, kept] - centre) weights``.

    Attributes
    ----------
    names : tuple of str
        All p columns.
    kept, dropped : tuples of int
        Places of the others, and of the determined ones.
    weights : array (kept, dropped)
    centre : array (p,)
        What is taken off each column first; zero for all where no column is constant.
    scale : array (p,)
        Size of each column after that.
    findings : tuple of str
        For each dropped column, in words, what determines it.
    """

    names: tuple[str, ...]
    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    weights: Array
    centre: Array
    scale: Array
    findings: tuple[str, ...]

    @property
    def dropped_names(self) -> tuple[str, ...]:
        """Labels of the dropped columns."""
        return tuple(self.names[j] for j in self.dropped)

    def is_same(self, other: Determined) -> bool:
        """Whether another table says the same of the same columns."""
        if self.names != other.names or self.dropped != other.dropped:
            return False
        kept, dropped = list(self.kept), list(self.dropped)
        gap = np.abs(self.weights - other.weights) * self.scale[kept, None]
        # The dropped columns, by this table, where the others are at the other's centre.
        step = other.centre[kept] - self.centre[kept]
        apart = np.abs(self.centre[dropped] + step @ self.weights - other.centre[dropped])
        size = np.abs(step) @ np.abs(self.weights) + self.scale[dropped]
        rounding = _ROUNDING * (np.abs(self.centre[dropped]) + np.abs(self.centre[kept]) @ np.abs(self.weights))
        return bool(
            np.all(gap <= _TOLERANCE_OF_NEW_ROWS * self.scale[dropped])
            and np.all(apart <= _TOLERANCE_OF_NEW_ROWS * size + rounding)
        )


def measured_rows(X: Array, names: Sequence[str]) -> Measured:
    """Return what is measured of the columns of a matrix (N, p)."""
    n, p = X.shape
    moments = moments_of(np.ascontiguousarray(X))
    low, high, constant = moments.low, moments.high, moments.constant_before(p)
    largest = np.maximum(np.abs(low), np.abs(high))
    centre = moments.mean if constant is not None else np.zeros(p)
    unit = np.where(largest > 0, largest, 1.0)
    return Measured(
        names=tuple(names),
        R=_triangle(X, centre, unit, moments.about(centre)),
        unit=unit / np.sqrt(n),
        mean=moments.mean,
        is_zero=largest == 0,
        is_constant=(largest > 0) & (high - low <= _NO_VARIATION * largest),
        constant=constant,
        n=n,
    )


def _triangle(X: Array, centre: Array, unit: Array, G: Array) -> Array:
    """Return R with R'R the products G of X - centre, divided by unit: from them where that costs few digits."""
    size = np.sqrt(np.diagonal(G))
    used = np.flatnonzero(size > 0)
    of_length_one = (G / np.where(size > 0, size, 1.0) / np.where(size > 0, size, 1.0)[:, None])[np.ix_(used, used)]
    if len(X) > _ROWS_AT_ONCE and len(used) and np.linalg.cond(of_length_one) < _WELL_CONDITIONED:
        R = np.zeros((len(used), len(size)))
        R[:, used] = np.linalg.cholesky(of_length_one).T * (size / unit)[used]
        return R
    R = np.empty((0, len(size)))
    for start in range(0, len(X), _ROWS_AT_ONCE):
        R = np.linalg.qr(np.vstack([R, (X[start : start + _ROWS_AT_ONCE] - centre) / unit]), mode="r")
    return R


def determined_columns(columns: Measured) -> Determined | None:
    """Return the columns that those before them determine, or None where there are none."""
    p, constant = len(columns.names), columns.constant
    is_zero = columns.is_zero
    is_constant = columns.is_constant & (np.arange(p) != constant) & (constant is not None)
    size = np.linalg.norm(columns.R, axis=0)
    size[size == 0] = 1.0
    R = columns.R / size
    candidates = [j for j in range(p) if j != constant and not is_zero[j] and not is_constant[j]]
    rounding = 2 * np.finfo(float).eps * np.abs(columns.mean) / (size * columns.unit)
    # Rounding of cross-products must not let more columns be independent than rows can tell.
    most = columns.n - (constant is not None)
    solved = _determined(R, candidates, np.maximum(_TOLERANCE, rounding), most)
    dropped = tuple(j for j in range(p) if is_zero[j] or is_constant[j] or j in solved)
    if not dropped:
        return None
    kept = tuple(j for j in range(p) if j not in dropped)
    weights = np.zeros((len(kept), len(dropped)))
    findings = []
    for d, j in enumerate(dropped):
        used = {}
        for k, weight in solved.get(j, {}).items():
            weights[kept.index(k), d] = own = weight * (size[j] * columns.unit[j]) / (size[k] * columns.unit[k])
            if abs(weight) > _TOLERANCE_OF_NEW_ROWS:
                used[k] = own
        of_constant = _weight_of_constant(columns, j, used)
        if constant is not None:
            weights[kept.index(constant), d] = of_constant
        findings.append(_finding(columns, j, list(used), is_zero=bool(is_zero[j]), has_constant=of_constant != 0))
    return Determined(
        names=columns.names,
        kept=kept,
        dropped=dropped,
        weights=weights,
        centre=columns.mean.copy() if constant is not None else np.zeros(p),
        scale=np.where(is_constant | is_zero, 0.0, size * columns.unit),
        findings=tuple(findings),
    )


def _determined(R: Array, candidates: Sequence[int], tolerance: Array, most: int) -> dict[int, dict[int, float]]:
    """Return, for each column of length one that those before it, at most so many, determine, its weights of them."""
    if not len(candidates):
        return {}
    pivots = np.abs(np.diagonal(np.linalg.qr(R[:, candidates], mode="r")))
    if len(pivots) == len(candidates) <= most and np.all(pivots > tolerance[candidates]):
        return {}
    independent: list[int] = []
    out: dict[int, dict[int, float]] = {}
    for j in candidates:
        weights = np.linalg.lstsq(R[:, independent], R[:, j], rcond=None)[0]
        if len(independent) == most or np.linalg.norm(R[:, j] - R[:, independent] @ weights) <= tolerance[j]:
            out[j] = dict(zip(independent, weights.tolist(), strict=True))
        else:
            independent.append(j)
    return out


def _weight_of_constant(columns: Measured, j: int, used: Mapping[int, float]) -> float:
    """Return what the constant column contributes to a column, beside the others by their weights."""
    mean = columns.mean
    parts = np.array([mean[j], *(-weight * mean[k] for k, weight in used.items())])
    if columns.constant is None or abs(parts.sum()) <= _TOLERANCE_OF_NEW_ROWS * np.abs(parts).sum():
        return 0.0
    return float(parts.sum() / mean[columns.constant])


def _finding(columns: Measured, j: int, used: Sequence[int], *, is_zero: bool, has_constant: bool) -> str:
    """Return, in words, what determines a column: other columns, the constant among them."""
    name, constant = columns.names[j], columns.constant
    if is_zero:
        return f"{name!r} is zero in every row"
    beside = "" if constant is None else _shown_constant(columns.names[constant])
    if not used:
        return f"{name!r} is constant ({columns.mean[j]:g} in every row) beside {beside}"
    together = f" and {beside}" if has_constant else ""
    return f"{name!r} is a linear combination of {listed(columns.names[k] for k in used)}{together}"


def _shown_constant(name: str) -> str:
    return "the intercept" if name == "Intercept" else f"the constant {name!r}"


def refusal(determined: Determined, what: str) -> DataError:
    """Return the error of columns that others determine.

    Parameters
    ----------
    determined : Determined
    what : str
        What the columns are, for the message: "population columns".
    """
    has_spline = any(name.startswith(("cs(", "cr(", "cc(")) for name in determined.names)
    hint = " The splines cs, cr and cc contain the intercept unless constraints='center'." if has_spline else ""
    return DataError(
        f"the {what} are collinear: {_shown(determined)}. What such a column adds cannot be told from the others: "
        f"leave one column out for each, or pass collinear='drop', which drops these and names them.{hint}"
    )


def _shown(determined: Determined) -> str:
    most = 8
    rest = len(determined.findings) - most
    return "; ".join(determined.findings[:most]) + (f"; and {rest} more" if rest > 0 else "")


def check_or_drop(columns: Measured, *, what: str, n: int, drop: bool) -> Determined | None:
    """Return the columns to drop, or None where there are none.

    Parameters
    ----------
    columns : Measured
    what : str
        What the columns are, for the message: "population columns".
    n : int
        Number of rows.
    drop : bool
        Whether determined columns are dropped; otherwise they are an error.

    Raises
    ------
    DataError
        If columns are determined by others and must not be dropped, or no column would be left.
    """
    p = len(columns.names)
    if p > n and not drop:
        raise DataError(
            f"there are {p} {what} ({listed(columns.names)}) but only {n} rows; more rows or fewer terms are required."
        )
    determined = determined_columns(columns)
    if determined is not None and not drop:
        raise refusal(determined, what)
    return determined


def check_some_left(determined: Determined, factor: str) -> None:
    """Raise where every column of a grouping factor is dropped."""
    if not determined.kept:
        raise DataError(
            f"no column of the terms on {factor!r} varies: {_shown(determined)}. Leave these terms out of the formula."
        )


def what_group_columns(factor: str) -> str:
    """Return what the columns of a grouping factor are called in messages."""
    return f"group columns of {factor!r}"


def dropped_columns(determined: Mapping[str, Determined]) -> tuple[str, ...]:
    """Return the columns that were dropped: "column" of the population, "column | factor" of a factor."""
    return tuple(
        f"{name} | {factor}" if factor else name for factor, own in determined.items() for name in own.dropped_names
    )


def warn_of_dropped(determined: Mapping[str, Determined]) -> None:
    """Warn of columns that were dropped, if any were, and say why.

    Parameters
    ----------
    determined : mapping str -> Determined
        By grouping factor; "" for the population columns.
    """
    for factor, own in determined.items():
        what = what_group_columns(factor) if factor else "population columns"
        warn(
            f"collinear='drop': of the {what}, {listed(own.dropped_names)} "
            f"{'is' if len(own.dropped) == 1 else 'are'} left out, since {_shown(own)}. What the model says holds for "
            "rows in which this is so; predictions for others are refused.",
            HierregWarning,
        )


def without_determined(matrix: Array, determined: Determined | None, *, what: str) -> Array:
    """Return a matrix (N, p) without the columns that were dropped from the model.

    Raises
    ------
    DataError
        If a dropped column is not what the others made of it in the rows of the model, so that nothing is known of its
        effect.
    """
    if determined is None:
        return matrix
    kept, dropped = list(determined.kept), list(determined.dropped)
    centred = matrix - determined.centre
    expected = centred[:, kept] @ determined.weights
    size = np.abs(centred[:, dropped]) + np.abs(centred[:, kept]) @ np.abs(determined.weights)
    size = _TOLERANCE_OF_NEW_ROWS * (size + determined.scale[dropped])
    centre = np.abs(determined.centre)
    size += _ROUNDING * (centre[dropped] + centre[kept] @ np.abs(determined.weights))
    is_other = np.abs(centred[:, dropped] - expected) > size
    if is_other.any():
        worst = int(np.argmax(is_other.any(axis=0)))
        rows = is_other.any(axis=1)
        raise DataError(
            f"data has {counted(int(rows.sum()), 'row')} (first at {first_rows(rows)}) that the model cannot predict: "
            f"of the {what} of the model's table, {determined.findings[worst]}, so that it was dropped "
            "(collinear='drop'), and here that is not so. What it adds was never observed; leave these rows out."
        )
    out: Array = np.ascontiguousarray(matrix[:, kept])
    return out


# ---- as JSON


def determined_to_json(determined: Mapping[str, Determined]) -> list[dict[str, Any]]:
    """Return dropped columns as values that JSON has."""
    return [
        {
            "factor": factor,
            "names": list(own.names),
            "dropped": list(own.dropped),
            "weights": own.weights.tolist(),
            "centre": own.centre.tolist(),
            "scale": own.scale.tolist(),
            "findings": list(own.findings),
        }
        for factor, own in determined.items()
    ]


def determined_from_json(described: Sequence[Mapping[str, Any]]) -> dict[str, Determined]:
    """Return what `determined_to_json` was given."""
    out = {}
    for one in described:
        names, dropped = tuple(one["names"]), tuple(one["dropped"])
        kept = tuple(j for j in range(len(names)) if j not in dropped)
        out[str(one["factor"])] = Determined(
            names=names,
            kept=kept,
            dropped=dropped,
            weights=np.array(one["weights"], dtype=float).reshape(len(kept), len(dropped)),
            centre=np.array(one["centre"], dtype=float),
            scale=np.array(one["scale"], dtype=float),
            findings=tuple(one["findings"]),
        )
    return out
