"""Test statistics of the rows of each set, of many replicates at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.predictive_checks.sets import CheckSets

    Array = NDArray[np.float64]
    type Statistic = Callable[[Array, CheckSets], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A statistic: rows (B, n), sorted by set, -> (B, K).

    Attributes
    ----------
    name : str
    of : function
    """

    name: str
    of: Callable[[Array, CheckSets], Array]


def _mean(y: Array, sets: CheckSets) -> Array:
    return np.asarray(np.add.reduceat(y, sets.starts, axis=1) / sets.sizes)


def _about_mean(y: Array, sets: CheckSets) -> Array:
    return np.asarray(y - np.repeat(_mean(y, sets), sets.sizes, axis=1))


def _sd(y: Array, sets: CheckSets) -> Array:
    squares = np.add.reduceat(_about_mean(y, sets) ** 2, sets.starts, axis=1)
    # A single row has none.
    return np.sqrt(squares / np.where(sets.sizes > 1, sets.sizes - 1.0, np.nan))


def _skewness(y: Array, sets: CheckSets) -> Array:
    about = _about_mean(y, sets)
    second, third = (np.add.reduceat(about**k, sets.starts, axis=1) / sets.sizes for k in (2, 3))
    return np.asarray(third / np.where(second > 0, second, np.nan) ** 1.5)


def _smallest(y: Array, sets: CheckSets) -> Array:
    return np.asarray(np.minimum.reduceat(y, sets.starts, axis=1))


def _largest(y: Array, sets: CheckSets) -> Array:
    return np.asarray(np.maximum.reduceat(y, sets.starts, axis=1))


def _zeros(y: Array, sets: CheckSets) -> Array:
    return np.asarray(np.add.reduceat((y == 0).astype(float), sets.starts, axis=1) / sets.sizes)


STATISTICS: dict[str, Callable[[Array, CheckSets], Array]] = {
    "mean": _mean,
    "sd": _sd,
    "skewness": _skewness,
    "min": _smallest,
    "max": _largest,
    "zeros": _zeros,
}


def named_statistics(asked: Any, default: tuple[str, ...]) -> list[Named]:
    """Return statistics by name, quantile or function.

    Parameters
    ----------
    asked : str, float, mapping name -> function, or a sequence of these; None for the default
    default : tuple of str

    Raises
    ------
    ModelError
        If one is unknown.
    """
    one_alone = isinstance(asked, (str, float, Mapping)) or callable(asked)
    wanted = list(default) if asked is None else [asked] if one_alone else list(asked)
    out: list[Named] = []
    for one in wanted:
        out += _functions(one) if isinstance(one, Mapping) else [_one(one)]
    names = [one.name for one in out]
    if not out or len(set(names)) < len(names):
        raise ModelError(f"statistics={asked!r} must name at least one, each of them once.")
    return out


def _one(one: Any) -> Named:
    if isinstance(one, str):
        if one not in STATISTICS:
            raise ModelError(
                f"statistics has {one!r}; there are {listed(STATISTICS)}, a number between 0 and 1 for a quantile, and "
                f"functions of an array as {{name: function}}.{suggestion(one, STATISTICS)}"
            )
        return Named(name=one, of=STATISTICS[one])
    if isinstance(one, (float, np.floating)) and 0 < one < 1:
        return Named(name=f"quantile {float(one):g}", of=_each(lambda y: np.quantile(y, float(one), axis=1)))
    if callable(one) and getattr(one, "__name__", "<lambda>") != "<lambda>":
        return _functions({one.__name__: one})[0]
    raise ModelError(
        f"statistics has {one!r}: a name ({listed(STATISTICS)}), a number between 0 and 1 for a quantile, or "
        "{name: function} is required."
    )


def _functions(functions: Mapping[Any, Any]) -> list[Named]:
    out = []
    for name, function in functions.items():
        if not callable(function):
            raise ModelError(f"statistics[{name!r}]={function!r} is no function of an array of responses.")
        out.append(Named(name=str(name), of=_each(_by_draw(str(name), function))))
    return out


def _by_draw(name: str, function: Callable[[Array], Any]) -> Callable[[Array], Array]:
    """Return a user's function of the rows of a set, for each draw."""

    def made(y: Array) -> Array:
        values = [function(one) for one in y]
        if any(np.ndim(value) for value in values):
            raise ModelError(f"statistics[{name!r}] returned {values[0]!r:.80}; one number is required.")
        return np.array(values, dtype=float)

    return made


def _each(function: Callable[[Array], Array]) -> Callable[[Array, CheckSets], Array]:
    """Return a statistic that looks at each set by itself."""

    def of(y: Array, sets: CheckSets) -> Array:
        ends = sets.starts + sets.sizes
        return np.stack([function(y[:, a:b]) for a, b in zip(sets.starts, ends, strict=True)], axis=1)

    return of
