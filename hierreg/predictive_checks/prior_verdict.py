"""What is absurd in a prior, in words: which draws say so, which prior is responsible, and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.display.numbers import number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.predictive_checks.prior_quantities import Columns, PriorDraws, Quantity

    Array = NDArray[np.float64]

# A weight of data beyond which groups are not shrunk at all, or pooled completely; a correlation that is none.
_ALL, _NOTHING, _CERTAIN = 0.999, 0.01, 0.99
# How many times the observed range is absurd, and how small a part of it.
_FAR, _NARROW = 10.0, 0.1
# Share of draws from which on something is said, and beyond which a draw of the prior predictive is an outlier.
_MOST, _OUTSIDE = 0.5, 0.005
# A spread this many times that of the response, or this part of it, is what makes something absurd.
_WIDE, _SMALL = 3.0, 1.0 / 30.0
# A prior at most so many times as wide as what is advised in general needs another advice.
_AS_NARROW = 1.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale:
    """What is known of the response: where it lies, how it varies, on the scale of the linear predictor.

    Attributes
    ----------
    centre, sd : float
    is_link : bool
        Whether that is not the scale of the response.
    intercept : str or None
        The population coefficient of a constant, if there is one.
    is_binary : bool
        Whether responses are zeros and ones, so that their spread follows from their mean.
    defaults : set of str
        Parameters whose priors are the defaults.
    """

    centre: float
    sd: float
    is_link: bool
    intercept: str | None
    is_binary: bool = False
    defaults: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdict:
    """One finding: the quantity it is of, the share of draws that are so, what is so, and what to do."""

    name: str
    share: float
    finding: str
    advice: str

    @property
    def words(self) -> str:
        """What is so, and what to do."""
        return f"{self.finding} {self.advice}".strip()


def verdicts(drawn: PriorDraws, size: int, scale: Scale) -> list[Verdict]:
    """Return what is absurd, in the order of the quantities.

    Parameters
    ----------
    drawn : PriorDraws
    size : int
        Rows of the group whose weight was asked for.
    scale : Scale
    """
    out = []
    for one in drawn.quantities:
        found = {"weight": _of_weight, "corr": _of_correlation, "response": _of_response, "line": _of_certainty}
        if one.kind in found:
            out += found[one.kind](one, drawn, size, scale)
    ranges = {one.of: one for one in drawn.quantities if one.kind == "response"}
    return _once([*out, *_of_range(ranges, drawn, scale)])


def _once(found: list[Verdict]) -> list[Verdict]:
    """Return verdicts whose advice stands once, with the first that needs it."""
    seen: dict[str, str] = {}
    out = []
    for one in found:
        out.append(replace(one, advice=f"(As for {seen[one.advice]}.)") if one.advice in seen else one)
        seen.setdefault(one.advice, one.name)
    return out


def _of_weight(one: Quantity, drawn: PriorDraws, size: int, scale: Scale) -> list[Verdict]:
    above, below = float(np.mean(one.draws > _ALL)), float(np.mean(one.draws < _NOTHING))
    mine = [column for column in drawn.columns if column.kind == "sd" and column.factor == one.of]
    # The weight of a slope is that of its own column.
    mine = [column for column in mine if one.name.startswith(f"{one.of}[{column.column}]")] or mine
    errors = [column for column in drawn.columns if column.kind == "error"]
    if above > _MOST:
        words = (
            f"{one.name}: a group of {size} rows keeps more than {_ALL} of its own estimate in {_percent(above)} of "
            "the draws: the prior says that groups are hardly shrunk."
        )
        blamed = _widest(mine, scale) or _narrowest(errors, scale) or _widest(mine, scale, least=0.0)
        return [Verdict(name=one.name, share=above, finding=words, advice=_advice(blamed, scale))]
    if below > _MOST:
        words = (
            f"{one.name}: a group of {size} rows keeps less than {_NOTHING} of its own estimate in {_percent(below)} "
            "of the draws: the prior says that groups do not differ."
        )
        blamed = _widest(errors, scale) or _narrowest(mine, scale, most=np.inf)
        return [Verdict(name=one.name, share=below, finding=words, advice=_advice(blamed, scale))]
    return []


def _of_correlation(one: Quantity, drawn: PriorDraws, size: int, scale: Scale) -> list[Verdict]:
    del drawn, size, scale  # a correlation has one prior alone
    share = float(np.mean(np.abs(one.draws) > _CERTAIN))
    if share <= _MOST:
        return []
    which = f'corr={{"{one.of}": hr.LKJ(2)}}' if one.of else "error_corr=hr.LKJ(2)"
    words = f"{one.name}: above {_CERTAIN} or below -{_CERTAIN} in {_percent(share)} of the draws."
    return [Verdict(name=one.name, share=share, finding=words, advice=f"Write hr.Priors({which}).")]


def _of_certainty(one: Quantity, drawn: PriorDraws, size: int, scale: Scale) -> list[Verdict]:
    del size
    if not one.of.startswith("rows with a probability"):
        return []
    share = float(np.mean(one.draws > _MOST))
    if share <= _MOST:
        return []
    words = (
        f"most rows have a probability that is nearly zero or one in {_percent(share)} of the draws: what looks wide "
        "on the scale of the linear predictor is certainty here."
    )
    return [
        Verdict(name=one.name, share=share, finding=words, advice=_advice(_widest(drawn.columns, scale, 0.0), scale))
    ]


def _of_response(one: Quantity, drawn: PriorDraws, size: int, scale: Scale) -> list[Verdict]:
    """Return whether the observed mean is where nearly no draw of the prior has it, or the observed sd beyond them.

    That a prior is wider than the data is no fault of it before `_of_range` says so.
    """
    del size
    if one.of not in {"mean", "sd"} or not np.isfinite(one.observed) or (one.of == "sd" and scale.is_binary):
        return []
    below, above = float(np.mean(one.draws < one.observed)), float(np.mean(one.draws > one.observed))
    if min(below, above) >= _OUTSIDE or (one.of == "sd" and above > below):
        return []
    low, high = np.quantile(one.draws, [_OUTSIDE, 1 - _OUTSIDE])
    side = "above" if below > above else "below"
    words = (
        f"{one.name}: observed {number(one.observed)}, {side} {_percent(max(below, above))} of the draws, 99 % of "
        f"which lie from {number(float(low))} to {number(float(high))}."
    )
    advice = (
        f"That is the prior of {scale.intercept!r}, and of predictors that are far from zero: leave the priors of beta "
        "out for the defaults, or centre them where the data may be."
        if scale.intercept
        else "The formula has no constant: see the priors of beta."
    )
    advice = advice if one.of == "mean" else _advice(_largest(drawn.columns), scale)
    return [Verdict(name=one.name, share=max(below, above), finding=words, advice=advice)]


def _of_range(ranges: dict[str, Quantity], drawn: PriorDraws, scale: Scale) -> list[Verdict]:
    """Return whether responses vary over far more than was observed, or far less."""
    if not {"smallest", "largest"} <= set(ranges):
        return []
    low, high = ranges["smallest"], ranges["largest"]
    observed = high.observed - low.observed
    if not observed > 0:
        return []
    with np.errstate(invalid="ignore"):
        made = np.nan_to_num(high.draws - low.draws, nan=np.inf)
    far, narrow = float(np.mean(made > _FAR * observed)), float(np.mean(made < _NARROW * observed))
    if far > _MOST:
        words = f"responses range over more than {_FAR:g} times what was observed in {_percent(far)} of the draws."
        blamed = _widest(drawn.columns, scale, 0.0)
        return [Verdict(name=high.name, share=far, finding=words, advice=_advice(blamed, scale, is_narrower=True))]
    if narrow > _MOST:
        words = f"responses range over less than a tenth of what was observed in {_percent(narrow)} of the draws."
        return [Verdict(name=high.name, share=narrow, finding=words, advice=_advice(_largest(drawn.columns), scale))]
    return []


def _median(column: Columns) -> float:
    return float(np.median(column.spread))


def _widest(columns: list[Columns], scale: Scale, least: float = _WIDE) -> Columns | None:
    """Return the column that adds most to the spread of rows, if that is so many times the spread observed."""
    found = max(columns, key=_median, default=None)
    return found if found is not None and _median(found) >= least * scale.sd else None


def _narrowest(columns: list[Columns], scale: Scale, most: float = _SMALL) -> Columns | None:
    found = min(columns, key=_median, default=None)
    return found if found is not None and _median(found) <= most * scale.sd else None


def _largest(columns: list[Columns]) -> Columns | None:
    return max(columns, key=_median, default=None)


def _advice(column: Columns | None, scale: Scale, *, is_narrower: bool = False) -> str:
    """Return which prior makes it so, and what to write in its place: a width like that of the response.

    Where a link makes far too much of it, `is_narrower`: a default has that width already.
    """
    if column is None:
        return "See model.priors."
    what = {"beta": f"beta[{column.column!r}]", "error": "error_sd"}.get(
        column.kind, f"sd[{column.factor!r}][{column.column!r}]"
    )
    row = {"beta": f"beta[{column.column}]", "error": "error_sd"}.get(
        column.kind, f"sd_{column.factor}[{column.column}]"
    )
    is_default = row in scale.defaults
    own = scale.sd / column.size
    # Half of the draws of a normal distribution lie within 0.67 of its standard deviations.
    width = _median(column) / 0.67 / scale.sd / (2.5 if column.kind == "beta" else 1.0)
    is_as_narrow = is_default or (is_narrower and scale.is_link and width < _AS_NARROW)
    shrunk = 0.4 * min(width, 1.0) if is_narrower and scale.is_link and is_as_narrow else 1.0
    centre = f"{round(scale.centre, 1 - int(np.floor(np.log10(own)))):g}" if column.column == scale.intercept else "0"
    instead = {
        "beta": f'beta={{"{column.column}": hr.Normal({centre}, {_round(2.5 * own * shrunk)})}}',
        "sd": f'sd={{"{column.factor}": {{"{column.column}": hr.HalfNormal({_round(own * shrunk)})}}}}',
        "error": f"error_sd=hr.HalfNormal({_round(own)})",
    }[column.kind]
    seen = (
        "on the scale of the linear predictor 1 is much" if scale.is_link else f"what was observed: {number(scale.sd)}"
    )
    which = "default prior" if is_default else "prior"
    return (
        f"The {which} of {what} makes it so (half of its draws spread rows by more than {number(_median(column))}; "
        f"{seen}). {'Write' if is_as_narrow else 'Leave it out for the default, or write'} hr.Priors({instead})."
    )


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"


def _round(value: float) -> str:
    return f"{float(f'{value:.1g}'):g}"
