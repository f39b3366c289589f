"""Gram bases of tables that arrive in parts, in memory that does not depend on the number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hierreg.checks import check_choice, listed
from hierreg.design_matrices.first_pass import Seen, needs_of
from hierreg.design_matrices.kinds import unite_kinds
from hierreg.design_matrices.learned import restore
from hierreg.design_matrices.table import as_table
from hierreg.errors.structures import checked_structure
from hierreg.exceptions import DataError, ModelError
from hierreg.formula import parse_formula
from hierreg.gram.part import Part, part_of, unite_parts, whole
from hierreg.threads import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import narwhals as nw

    from hierreg.design_matrices import DesignState
    from hierreg.design_matrices.kinds import ColumnKind
    from hierreg.design_matrices.learned import LearnedState
    from hierreg.errors.base import ErrorSpec
    from hierreg.gram.basis import Gram

    Batches = Iterable[Any] | Callable[[], Iterable[Any]]


MOST_THREADS = 4  # reading takes a tenth of what a batch does; each thread holds one
# Parts wait until they hold so many times what the parts joined before them hold, and are so many, or so many bytes.
_HELD, _WAIT, _WAIT_BYTES = 2, 32, 2**26


@dataclass(slots=True, kw_only=True)
class Total:
    """The statistics of the parts seen so far: those joined, and those that wait to be joined with them.

    Joining takes time and memory in proportion to the statistics that are joined. Parts wait until they hold twice what
    is joined, so that all joins together move the statistics of each part one and a half times, and what is held is
    three times the statistics of all groups; small parts wait for more, which keeps their digits. The result depends on
    the order of the parts and nothing else.

    Attributes
    ----------
    parts : list of Part
        Of which the first is joined.
    """

    parts: list[Part] = field(default_factory=list)

    @property
    def n(self) -> int:
        """Number of rows."""
        return sum(part.gram.n for part in self.parts)

    def add(self, part: Part) -> None:
        """Take in one part."""
        joined, *waiting = (one.size for one in (*self.parts, part))
        self.parts.append(part)
        held = sum(waiting)
        if held >= _HELD * joined and (len(waiting) >= _WAIT or held >= _WAIT_BYTES):
            self.parts = [unite_parts(self.parts)]

    def finish(self, learned: LearnedState, errors: ErrorSpec, *, collinear: str) -> Gram:
        """Return the Gram basis of all rows."""
        if not self.parts:
            raise DataError("there are no rows in any of the batches; at least one is required.")
        return whole(unite_parts(self.parts), learned, errors, collinear=collinear)


def from_batches(
    batches: Batches,
    formula: str,
    errors: ErrorSpec | None = None,
    levels: Mapping[str, Sequence[Any]] | None = None,
    collinear: str = "refuse",
) -> Gram:
    """Return the Gram basis of all rows of an iterable of tables; see `Gram.from_batches`."""
    errors = checked_structure(errors, in_parts=True)
    check_choice(collinear, ("refuse", "drop"), argument="collinear", error=ModelError)
    given = checked_levels(levels)
    passes = _Passes.of(batches)
    first = next(passes.tables(), None)
    if first is None:
        raise DataError("there are no rows in any of the batches; at least one is required.")
    spec = parse_formula(formula)
    needs = needs_of(spec, first)
    unknown = needs.unknown(given)
    if unknown and not passes.repeats:
        raise DataError(
            f"batches can be iterated only once, but {listed(unknown)} must be known of all rows before the first is "
            "used. Give a list, or a function that returns a new iterator (both are gone through twice), give levels= "
            "of categorical predictors, or transform the columns beforehand."
        )
    seen = Seen.nothing(spec, needs, given)
    if seen.has_work:
        for batch in _numbered(passes.again(first)):
            with batch.named():
                seen.see(batch.table)
    learned = seen.learned()
    state = restore(learned)
    total = Total()
    kinds: Mapping[str, ColumnKind] = {}
    batches_and_parts = in_order(
        lambda batch: (batch, batch.part(state, errors)), _numbered(passes.again(first)), most=MOST_THREADS
    )
    with closing(batches_and_parts):
        for batch, part in batches_and_parts:
            with batch.named():
                kinds = unite_kinds(kinds, part.kinds)
            total.add(part)
    return total.finish(learned, errors, collinear=collinear)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """A table, and where it stands in words."""

    table: nw.DataFrame[Any]
    where: str

    @contextmanager
    def named(self) -> Iterator[None]:
        """Say in errors of the data where they are."""
        try:
            yield
        except DataError as error:
            raise DataError(f"{self.where}: {error}") from error

    def part(self, state: DesignState, errors: ErrorSpec) -> Part:
        """Return the statistics."""
        with self.named():
            return part_of(state, errors, self.table)


def _numbered(tables: Iterable[nw.DataFrame[Any]]) -> Iterator[_Batch]:
    begin = 0
    for i, table in enumerate(tables):
        where = f"batch {i} (rows from {begin} of all; rows below are counted from there)"
        yield _Batch(table=table, where=where)
        begin += len(table)


@dataclass(slots=True, kw_only=True)
class _Passes:
    """Passes over batches: as many as are asked for, or one.

    Attributes
    ----------
    begin : callable
        Starts a pass.
    repeats : bool
        Whether it can be called again.
    """

    begin: Callable[[], Iterable[Any]]
    repeats: bool
    rest: Iterator[nw.DataFrame[Any]] | None = None

    @classmethod
    def of(cls, batches: Batches) -> _Passes:
        """Return the passes over what the user gave."""
        import narwhals as nw

        if isinstance(nw.from_native(batches, pass_through=True), (nw.DataFrame, nw.LazyFrame)) or isinstance(
            batches, (Mapping, str)
        ):
            raise DataError(
                "batches must be an iterable of tables, or a function that returns one, not a table; give [table], or "
                "use hr.Model(formula, table)."
            )
        if callable(batches):
            return cls(begin=batches, repeats=True)
        if not isinstance(batches, Iterable):
            raise DataError(
                f"batches must be an iterable of tables, or a function that returns one, not {type(batches).__name__}."
            )
        return cls(begin=lambda: batches, repeats=iter(batches) is not batches)

    def tables(self) -> Iterator[nw.DataFrame[Any]]:
        """Return the tables of a new pass."""
        self.rest = non_empty(self.begin())
        return self.rest

    def again(self, first: nw.DataFrame[Any]) -> Iterator[nw.DataFrame[Any]]:
        """Return the tables from the beginning, of which the first has been taken."""
        if self.repeats:
            yield from self.tables()
        elif self.rest is not None:
            yield first
            yield from self.rest


def non_empty(batches: Iterable[Any]) -> Iterator[nw.DataFrame[Any]]:
    """Return the tables that have rows."""
    import narwhals as nw

    for batch in batches:
        native = nw.from_native(batch, pass_through=True)
        if not (isinstance(native, nw.DataFrame) and len(native) == 0):
            yield as_table(batch)


def checked_levels(levels: Mapping[str, Sequence[Any]] | None) -> dict[str, tuple[Any, ...]]:
    """Return the levels of categorical predictors that the user knows."""
    if levels is None:
        return {}
    if not isinstance(levels, Mapping) or any(isinstance(one, str) or len(one) < 2 for one in levels.values()):
        raise DataError(
            f"levels={levels!r} must be a dictionary of the levels, at least two, of each column: "
            "{'sector': ['public', 'private']}."
        )
    return {name: tuple(one) for name, one in levels.items()}
