"""Errors whose spread changes with a predictor, the fitted value, or between strata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.criticism.sums import sums_by
from hierreg.criticism.values import Finding, NotMade, Test, as_normal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.criticism.examined import Examined
    from hierreg.criticism.values import Array, Outcome, Sample

_FEWEST = 20
# A column that is zero in more than a quarter of the rows, and has more values than this elsewhere, belongs to a part.
_NEARLY_ALL, _FEW_VALUES = 0.75, 4
FITTED = "the fitted value"


def spread(x: Examined) -> Test | NotMade:
    """Relate absolute residuals of errors alone to columns and strata (Levene's idea, which heavy tails do not fool).

    References
    ----------
    Brown and Forsythe (1974), Journal of the American Statistical Association 69(346), 364-367.
    """
    assert x.residuals is not None
    some = x.residuals.has_residual
    columns = dict(x.varying())
    # Where no column varies, what is left of the fitted value is rounding, and follows the size of responses.
    if columns:
        columns[FITTED] = x.residuals.predicted
    strata = x.strata()
    if not (columns or strata) or some.sum() < _FEWEST:
        return NotMade(
            reason="no predictor varies, and no column of labels is known" if some.sum() >= _FEWEST else "too few rows"
        )
    names = (*columns, *strata)
    directions = [centred(h[some]) for h in columns.values()]

    def scores(sample: Sample) -> Array:
        size = np.abs(sample.errors[some])
        size = size - size.mean(axis=0)
        own = np.sqrt(np.sum(size**2, axis=0))
        linear = [np.sqrt(len(size)) * np.abs(h @ size) / own for h in directions]
        return np.stack([*linear, *(between_levels(size, own, codes[some]) for codes in strata.values())])

    def conclude(o: Outcome) -> Finding:
        name = names[o.worst]
        size = np.abs(o.data.errors[some, 0])
        is_stratum = o.worst >= len(columns)
        words, ratio = (
            _of_levels(size, x.columns[name][some]) if is_stratum else _of_halves(size, columns[name][some], name)
        )
        return Finding(
            found=f"{name}, x {ratio:.1f}",
            evidence=words,
            remedy=_remedy(name, is_stratum=is_stratum, is_normal=x.rows is not None),
            statistic=ratio,
        )

    return Test(labels=names, scores=scores, conclude=conclude)


def centred(h: Array) -> Array:
    """Return a direction of length one, without its mean."""
    h = h - h.mean()
    length = float(np.linalg.norm(h))
    return h / length if length > 0 else h


def between_levels(size: Array, own: Array, codes: NDArray[np.intp]) -> Array:
    """Return n R^2 of centred values (n, b) explained by levels, as nearly normal numbers (b,)."""
    counts = np.bincount(codes)
    present = counts > 0
    sums = sums_by(codes, size, len(counts))
    explained = np.sum(sums[present] ** 2 / counts[present][:, None], axis=0)
    return as_normal(len(size) * explained / own**2, max(int(present.sum()) - 1, 1))


def _of_levels(size: Array, labels: NDArray[np.generic]) -> tuple[str, float]:
    levels = np.unique(labels.astype(str))
    rms = {level: float(np.sqrt(np.mean(size[labels.astype(str) == level] ** 2))) for level in levels}
    low, high = min(rms, key=lambda k: rms[k]), max(rms, key=lambda k: rms[k])
    ratio = rms[high] / rms[low]
    return f"Errors are {ratio:.2f} times as large where it is {high} as where it is {low}.", ratio


def _of_halves(size: Array, h: Array, name: str) -> tuple[str, float]:
    # A slope of one data set or stratum alone is zero in all others, where errors have nothing to do with it.
    some = h != 0
    is_part = bool(np.mean(some) < _NEARLY_ALL and len(np.unique(h[some])) > _FEW_VALUES)
    size, h = (size[some], h[some]) if is_part else (size, h)
    upper = h > np.median(h)
    upper = h == h.max() if not upper.any() else upper
    above, below = (float(np.sqrt(np.mean(size[part] ** 2))) for part in (upper, ~upper))
    where = ", where that is not zero" if is_part else ""
    words = f"Errors are {above / below:.2f} times as large in the upper half of {name} as in the lower{where}."
    return words, above / below


def _remedy(name: str, *, is_stratum: bool, is_normal: bool) -> str:
    if not is_normal:
        return (
            f"a further parameter of the family by strata, errors=hr.by(column), or {name} in the formula another way"
        )
    if is_stratum:
        return f"errors=hr.by({name!r}), an error standard deviation for each level"
    if name == FITTED:
        return "log(y), or family=hr.Gamma() or hr.LogNormal(), where the spread grows with the mean"
    return (
        f"errors=hr.by(column) with a column of strata of {name}, weights= where variances are known up to a factor, "
        "or a distributional model of brms (sigma ~ x)"
    )
