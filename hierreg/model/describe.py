"""How a model is evaluated, and what that costs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from hierreg.display.html import preformatted
from hierreg.effects import StudentT
from hierreg.likelihood.described import Described, Part, bytes_of
from hierreg.likelihood.groups.described import engine_of as engine_of_blocks
from hierreg.problem.effects import EffectsProblem

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from hierreg.likelihood.heavy_tails.target import EffectsTarget
    from hierreg.likelihood.posterior import Target
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]

_ENGINES = {
    "least squares": "no groups",
    "theta strips": "one factor of one or two coefficients, whose columns span those of the population",
    "strips": "one factor of one or two coefficients",
    "tiles": "one factor",
    "rows": "one factor, rows of several error terms",
    "crossed": "several factors",
    "heavy tails": "one factor, effects with a t distribution; beta is sampled",
    "mixture": "one factor, effects from several components; beta is sampled",
}
_MOST_NAMES = 6
_MOST_PARTS = 12
_SECONDS = 0.2
_FEWEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """How a model is evaluated, and what that costs; print it.

    Attributes
    ----------
    formula : str
    n_rows : int
    errors : str
    n_error_terms : int
        Terms K of the error precision, R^-1 = sum over k of omega[k] K[k].
    n_integrated : int
        Coefficients of the population and of groups that are integrated out.
    sampled : tuple of str
        The variance parameters: what NUTS draws, and what REML maximises over; with heavy tails or mixtures beta too.
    layout : Described
        Engine, parts and tail.
    statistics_bytes : int
        What the cross-products of the data take.
    milliseconds : float or None
        For one value of the log posterior density with its gradient, on one thread: measured here and now, where that
        was asked for.
    """

    formula: str
    n_rows: int
    errors: str
    n_error_terms: int
    n_integrated: int
    sampled: tuple[str, ...]
    layout: Described
    statistics_bytes: int
    milliseconds: float | None

    def __repr__(self) -> str:
        layout, terms = self.layout, _counted(self.n_error_terms, "error term")
        lines = [
            self.formula,
            f"  {_counted(self.n_rows, 'row')}; errors: {self.errors}, {terms}",
            f"  integrated out: {_counted(self.n_integrated, 'coefficient')}",
            *_sampled(
                self.sampled, "parameter" if layout.engine in {"heavy tails", "mixture"} else "variance parameter"
            ),
            f"  engine: {layout.engine} ({_ENGINES[layout.engine]})",
            *_table(layout),
        ]
        if layout.tail is not None:
            lines.append(f"  dense tail: {layout.tail:,} columns, with those of the population and the response")
        if layout.sampling:
            lines += wrap(f"posterior: {layout.sampling}", 100, initial_indent="  ", subsequent_indent="    ")
        lines.append(
            f"  memory: statistics {size_in_words(self.statistics_bytes)}, engine {size_in_words(layout.n_bytes)}"
        )
        if self.milliseconds is not None:
            lines.append(f"  one value with its gradient: {self.milliseconds:.3g} ms on one thread, measured now")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return preformatted(repr(self))

    def to_pandas(self) -> pd.DataFrame:
        """Return a row for each part of the model that is evaluated in one way."""
        import pandas as pd

        columns = ("factor", "how", "groups", "blocks", "coefficients", "at_once")
        rows = [[getattr(part, name) for name in columns] for part in self.layout.parts]
        return pd.DataFrame(rows, columns=list(columns))


def describe(problem: Problem, *, time_it: bool) -> Description:
    """Return how a problem is evaluated; with ``time_it`` also how long that takes."""
    from hierreg.likelihood.posterior import Target

    likelihood = problem.likelihood("prior")
    target = Target(parameters=problem.parameters, likelihood=likelihood)
    gram = problem.gram
    n_free = int((~problem.fixed.is_fixed).sum())
    return Description(
        formula=problem.formula,
        n_rows=problem.n_rows,
        errors=str(problem.layout.spec),
        n_error_terms=gram.terms.n_terms,
        n_integrated=n_free + sum(factor.n_levels * factor.n_coef for factor in gram.factors),
        sampled=problem.parameters.free_names,
        layout=likelihood.described(),
        statistics_bytes=bytes_of(gram),
        milliseconds=_milliseconds(target, problem) if time_it else None,
    )


def describe_effects(problem: EffectsProblem, *, time_it: bool) -> Description:
    """Return the same where group effects have heavy tails or are mixtures."""
    p = int((~problem.fixed.is_fixed).sum())
    target = problem.target(np.zeros(p), np.eye(p), with_prior=True)
    data, factor = target.data, problem.gram.factors[0]
    arrays = (data.C, data.D, data.left, data.start, data.term)
    part = Part(
        factor=factor.name,
        how=f"sum over {_n_terms(problem)}",
        groups=factor.n_levels,
        blocks=factor.n_levels,
        coefficients=factor.n_coef,
        at_once=1,
    )
    return Description(
        formula=problem.formula,
        n_rows=problem.n_rows,
        errors=str(problem.layout.spec),
        n_error_terms=problem.gram.terms.n_terms,
        n_integrated=factor.n_levels * factor.n_coef,
        sampled=target.names,
        layout=Described(engine=engine_of(problem), parts=(part,), tail=None, n_bytes=sum(a.nbytes for a in arrays)),
        statistics_bytes=bytes_of(problem.gram),
        milliseconds=_shortest(target, np.zeros(target.n)) if time_it and target.n else None,
    )


def _n_terms(problem: EffectsProblem) -> str:
    from hierreg.likelihood.heavy_tails.shape_kernels import N_SCALES

    if isinstance(problem.effects, StudentT):
        return f"{N_SCALES} scales"
    return f"{problem.effects.components} components"


def engine_of(problem: Problem) -> str:
    """Return the name of the engine that evaluates a problem."""
    if isinstance(problem, EffectsProblem):
        return "heavy tails" if isinstance(problem.effects, StudentT) else "mixture"
    return engine_of_blocks(problem.blocks, problem.gram)


def _milliseconds(target: Target, problem: Problem) -> float | None:
    """Return the shortest of a few evaluations at the starting point: other work on the machine only ever adds.

    None where nothing is sampled.
    """
    from hierreg.estimate.starting_values import starting_point
    from hierreg.likelihood.crossed.blas_threads import blas_threads_for
    from hierreg.likelihood.first_use import announce_compilation

    if not target.parameters.n_free:
        return None
    announce_compilation(problem.blocks)
    u = starting_point(target.likelihood.gram, target.parameters)
    with blas_threads_for(problem.gram):
        return _shortest(target, u)


def _shortest(target: Target | EffectsTarget, u: Array) -> float:
    """Return the shortest of a few evaluations, in milliseconds."""
    times: list[float] = []
    target(u)  # compiles
    end = time.perf_counter() + _SECONDS
    while len(times) < _FEWEST or time.perf_counter() < end:
        begin = time.perf_counter()
        target(u)
        times.append(time.perf_counter() - begin)
    return 1000.0 * min(times)


def _table(layout: Described) -> list[str]:
    if not layout.parts:
        return []
    rows = [["groups of", "evaluated as", "groups", "blocks", "coefficients", "at once"]]
    for part in layout.parts[:_MOST_PARTS]:
        numbers = (part.groups, part.blocks, part.coefficients, part.at_once)
        rows.append([part.factor, part.how, *(f"{number:,}" for number in numbers)])
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    lines = []
    for row in rows:
        cells = [cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("    " + "  ".join(cells).rstrip())
    more = len(layout.parts) - _MOST_PARTS
    return [*lines, f"    and {more} more factors"] if more > 0 else lines


def _sampled(names: tuple[str, ...], what: str = "variance parameter") -> list[str]:
    if not names:
        return ["  sampled: nothing, every variance is known"]
    more = len(names) - _MOST_NAMES
    shown = ", ".join(names[:_MOST_NAMES]) + (f", and {more} more" if more > 0 else "")
    return [
        f"  sampled: {_counted(len(names), what)}",
        *wrap(shown, 100, initial_indent="    ", subsequent_indent="    "),
    ]


def _counted(number: int, what: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> _counted(1, "row"), _counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def size_in_words(n_bytes: int) -> str:
    """Return a number of bytes as a reader wants it.

    Examples
    --------
    >>> size_in_words(900), size_in_words(3 * 2**20)
    ('0.9 KiB', '3.0 MiB')
    """
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:.1f} {name}"
    return f"{n_bytes / 2**10:.1f} KiB"
