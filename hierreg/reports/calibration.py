"""The report of a calibration: ranks of true values among draws of the posterior, and what they say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.checks import counted
from hierreg.display import Column
from hierreg.display.numbers import percent
from hierreg.reports.table import Report
from hierreg.reports.uniformity import evidence_of, holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.reports.uniformity import Evidence

    Array = NDArray[np.float64]

LEVELS = (0.5, 0.8, 0.95)
# Ends of intervals of these levels are ranks where draws + 1 is a multiple of it.
MULTIPLE = 40
# Below it a deviation is named.
ALPHA = 0.05
# Evidence of a quantity: its distribution function, its mean and its spread.
_TESTS = 3
_MOST_MESSAGES, _MOST_NAMED = 5, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Replication:
    """What became of one replication.

    Attributes
    ----------
    number : int
    ranks : tuple of int
        By quantity; empty where there is no posterior.
    ess : float
        Smallest effective sample size of the quantities.
    status : {"ok", "refused", "failed"}
        A response that is *refused* is so for what it is, before anything is fitted.
    message : str
        Why there is no posterior.
    warnings : tuple of str
    """

    number: int
    ranks: tuple[int, ...] = ()
    ess: float = float("nan")
    status: str = "ok"
    message: str = ""
    warnings: tuple[str, ...] = ()


@final
class Calibration(Report):
    """What `calibrate` returns; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"p_value": 1, "coverage": 2, "verdict": 1, "rank": 2}
    titles: ClassVar[dict[str, str]] = {
        "variance": "Standard deviations, correlations and further parameters",
        "coefficient": "Coefficients of the population",
        "group": "Coefficients of groups",
        "density": "Densities",
        "given": "Quantities of your own",
    }
    has_every_row: ClassVar[bool] = True

    def _columns(self) -> tuple[Column, ...]:
        levels = self["level"].to_numpy().tolist()
        covered = tuple(Column(key=f"coverage[{one}]", head=f"in {percent(one)}", form="fixed") for one in levels)
        return (
            *covered,
            Column(key="bias", head="bias", form="fixed", digits=2, fold=2),
            Column(key="width", head="width", form="fixed", digits=2, fold=2),
            Column(key="ecdf_p", head="p(ECDF)", form="significant", digits=2, fold=1),
            Column(key="p_value", head="p, all", form="significant", digits=2),
            Column(key="verdict", head="", form="text"),
        )


def report_of(  # what a calibration is
    found: Sequence[Replication], quantities: Sequence[tuple[str, str]], draws: int, attrs: dict[str, Any]
) -> Calibration:
    """Return the report of replications.

    Parameters
    ----------
    found : sequence of Replication
        One or more with ranks.
    quantities : sequence of (str, str)
        Name and kind of each.
    draws : int
        Nearly independent draws of each posterior: ranks are among 0 .. draws.
    attrs : dict
        With ``heading``, and what else is recorded.
    """
    Q = len(quantities)
    rank = np.array([one.ranks if one.status == "ok" else (np.nan,) * Q for one in found], dtype=float).reshape(-1, Q)
    good = rank[~np.isnan(rank[:, 0])].astype(np.intp)
    tests = evidence_of(good, draws)
    single = np.minimum(1.0, _TESTS * np.min([tests.ecdf, tests.bias, tests.spread], axis=0))
    together = holm(single)
    n = len(good)
    lower, upper = coverage_band(n)
    verdicts = [_verdict(tests, i, together[i], Q) for i in range(Q)]
    over = ("quantity",)
    return Calibration(
        {
            "coverage": (("quantity", "level"), coverage_of(good, draws)),
            "bias": (over, -tests.mean),
            "width": (over, 1.0 / np.sqrt(tests.square)),
            "ecdf_p": (over, tests.ecdf),
            "bias_p": (over, tests.bias),
            "spread_p": (over, tests.spread),
            "ecdf_p_all": (over, holm(tests.ecdf)),
            "p_value": (over, together),
            "verdict": (over, np.array(verdicts, dtype=object)),
            "coverage_lower": (("level",), lower),
            "coverage_upper": (("level",), upper),
            "rank": (("replication", "quantity"), rank),
            "ess": (("replication",), np.array([one.ess for one in found])),
            "status": (("replication",), np.array([one.status for one in found], dtype=object)),
            "message": (("replication",), np.array([one.message for one in found], dtype=object)),
            "warning": (("replication",), np.array(["\n".join(one.warnings) for one in found], dtype=object)),
        },
        coords={
            "quantity": [name for name, _ in quantities],
            "kind": (over, [kind for _, kind in quantities]),
            "level": list(LEVELS),
            "replication": [one.number for one in found],
        },
        attrs=attrs | {"draws": draws, "n": n, "note": _note(found, together, draws)},
    )


def coverage_of(ranks: NDArray[np.intp], draws: int) -> Array:
    """Return the share (Q, levels) of true values within the equal-tailed intervals of the draws."""
    tails = [round((1 - level) / 2 * (draws + 1)) for level in LEVELS]
    return np.stack([np.mean((ranks >= k) & (ranks <= draws - k), axis=0) for k in tails], axis=1)


def coverage_band(n: int) -> tuple[Array, Array]:
    """Return the ends (levels,) of what 95 % of calibrated quantities cover in n replications: binomial quantiles."""
    from scipy.stats import binom

    levels = np.array(LEVELS)
    return binom.ppf(0.025, n, levels) / n, binom.ppf(0.975, n, levels) / n


def _verdict(tests: Evidence, i: int, p: float, Q: int) -> str:
    """Return in words how the posterior of a quantity deviates; empty where nothing is seen."""
    if p > ALPHA:
        return ""
    limit = max(ALPHA / (_TESTS * Q), min(tests.bias[i], tests.spread[i], tests.ecdf[i]))
    words = []
    if tests.bias[i] <= limit:
        # True values above most draws: the posterior is too low.
        words.append("biased down" if tests.mean[i] > 0 else "biased up")
    if tests.spread[i] <= limit:
        words.append("too narrow" if tests.square[i] > 1 else "too wide")
    return ", ".join(words) or "of another shape"


def _note(found: Sequence[Replication], together: Array, draws: int) -> str:
    from scipy.special import ndtri

    Q, good = len(together), [one for one in found if one.status == "ok"]
    n = len(good)
    bad = int(np.sum(together <= ALPHA))
    lower, upper = coverage_band(n)
    bands = "; ".join(f"{percent(c)}: {a:.3f} to {b:.3f}" for c, a, b in zip(LEVELS, lower, upper, strict=True))
    # Seen with probability 0.8: beyond the limit by 0.84 standard errors.
    reach = (float(ndtri(1 - ALPHA / (2 * _TESTS * Q))) + 0.84) / np.sqrt(n)
    narrow = 100 * (1 - 1 / np.sqrt(1 + np.sqrt(2) * reach))
    verdict = (
        f"{bad} of {Q} quantities deviate from a calibrated posterior."
        if bad
        else f"No quantity deviates from a calibrated posterior. With {n} replications a bias above {reach:.2f} "
        f"posterior sds, or intervals too narrow by {narrow:.0f} %, would most likely be seen."
    )
    columns = (
        f"Columns: share of true values in intervals (95 % of calibrated ones within {bands}); bias in posterior sds "
        "and width relative to the right one, by normal scores of ranks; p(ECDF) of one quantity alone, exact; p, all: "
        f"of {_TESTS} tests (ECDF, bias, spread) and all {Q} quantities together (Bonferroni, Holm), valid whatever "
        "their dependence, and on the safe side."
    )
    return "\n".join([verdict, columns, *_of_replications(found, draws)])


def _of_replications(found: Sequence[Replication], draws: int) -> list[str]:
    """Return what is said of replications without a posterior, with warnings, and with few effective draws."""
    lines = []
    reasons = {
        "refused": "have a response that no model is made of; the response alone decides that, and ranks of the others "
        "stay uniform",
        "failed": "failed: what is said of the others is said without them",
    }
    for status, words in reasons.items():
        own = [one for one in found if one.status == status]
        if own:
            lines.append(f"{counted(len(own), 'replication')} ({_numbers(own)}) {words}: {_messages(own)}")
    good = [one for one in found if one.status == "ok"]
    warned = [one for one in good if one.warnings]
    if warned:
        kinds = Counter(kind for one in warned for kind in {text.partition(":")[0] for text in one.warnings})
        words = ", ".join(f"{kind} {times}" for kind, times in kinds.most_common())
        who = f"{counted(len(warned), 'replication')} ({_numbers(warned)})"
        lines.append(f"{who}, counted above, with warnings: {words}.")
    few = [one for one in good if one.ess < draws]
    if few:
        lines.append(
            f"{counted(len(few), 'replication')} ({_numbers(few)}) with fewer effective draws than the {draws} that "
            f"ranks are of (least: {min(one.ess for one in few):.0f}): their ranks are less exact."
        )
    return lines


def _numbers(found: Sequence[Replication]) -> str:
    shown = ", ".join(str(one.number) for one in found[:_MOST_NAMED])
    return shown if len(found) <= _MOST_NAMED else f"{shown}, ..."


def _messages(found: Sequence[Replication]) -> str:
    counts = Counter(one.message for one in found).most_common(_MOST_MESSAGES)
    return "; ".join(f"{times} x {text}" if times > 1 else text for text, times in counts)
