"""Gram bases of files that are larger than memory, read through pyarrow datasets."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import check_choice, listed
from hierreg.design_matrices.build import columns_of_factors
from hierreg.design_matrices.first_pass import Seen, learn, needs_of
from hierreg.design_matrices.learned import LearnedState, expressions_of, restore
from hierreg.design_matrices.table import as_table
from hierreg.errors.structures import checked_structure
from hierreg.exceptions import DataError, ModelError
from hierreg.formula import compile_expression, parse_formula
from hierreg.gram.batches import MOST_THREADS, Total, checked_levels
from hierreg.gram.checkpoint import Saved, resume, write
from hierreg.gram.part import columns_of, part_of
from hierreg.gram.progress import Shown, progress_of
from hierreg.gram.source_types import Types, Use, settled_types, sorted_text
from hierreg.gram.sources import Source, sources_of
from hierreg.threads import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import narwhals as nw

    from hierreg.design_matrices import DesignState
    from hierreg.errors.base import ErrorSpec
    from hierreg.formula import FormulaSpec
    from hierreg.gram.basis import Gram
    from hierreg.gram.part import Part

_EVERY = 16  # batches between two checkpoints
_READ_ROWS = 1 << 17  # pyarrow reads up to sixteen batches ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What is read, and how.

    Attributes
    ----------
    sources : tuple of Source
    columns : dict column -> Use
    errors : ErrorSpec
    spec : FormulaSpec
    batch_rows : int
    """

    sources: tuple[Source, ...]
    columns: dict[str, Use]
    errors: ErrorSpec
    spec: FormulaSpec
    batch_rows: int

    def key(self) -> dict[str, Any]:
        """Return what a checkpoint has to agree with."""
        files = [(source.path, source.path.stat()) for source in self.sources]
        return {
            "formula": self.spec.text,
            "errors": self.errors.to_json(),
            "batch_rows": self.batch_rows,
            "files": [[str(file), stat.st_size, stat.st_mtime_ns] for file, stat in files],
        }

    def tables(self, types: Types, skip: int = 0) -> Iterator[Rows]:
        """Return tables of about `batch_rows` rows, without the first rows; units are kept whole."""
        import pyarrow as pa

        held: list[Any] = []
        files: list[str] = []
        begin = skip
        for source, batch in self._record_batches(types, skip):
            held.append(batch)
            files.append(str(source.path))
            if sum(len(one) for one in held) >= self.batch_rows:
                table = pa.Table.from_batches(held)
                end = self._end_of_unit(table)
                held = table.slice(end).to_batches()
                if end:
                    yield self._rows(table.slice(0, end), types, files, begin)
                    files, begin = files[-1:], begin + end
        if sum(len(one) for one in held):
            yield self._rows(pa.Table.from_batches(held), types, files, begin)

    def _rows(self, table: Any, types: Types, files: list[str], begin: int) -> Rows:
        return Rows(table=table, encoded=types.encoded, files=tuple(dict.fromkeys(files)), begin=begin)

    def _record_batches(self, types: Types, skip: int) -> Iterator[tuple[Source, Any]]:
        """Return the batches of all files, the first rows left out."""
        rows = min(self.batch_rows, _READ_ROWS)
        for source in self.sources:
            n = source.count_rows() if skip else None
            if n is not None and skip >= n:
                skip -= n
                continue
            for batch in source.batches(list(self.columns), rows, types.arrow, types.encoded):
                if skip >= len(batch):
                    skip -= len(batch)
                    continue
                yield source, types.cast(batch.slice(skip), source)
                skip = 0

    def _end_of_unit(self, table: Any) -> int:
        """Return the rows before the unit that the last row belongs to, which may go on."""
        if self.errors.columns.unit is None:
            return len(table)
        import pyarrow.compute as pc

        unit = table[self.errors.columns.unit].combine_chunks()
        other = np.flatnonzero(pc.not_equal(unit, unit[-1]).to_numpy(zero_copy_only=False))
        return int(other[-1]) + 1 if len(other) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A table of a scan, and where it stands.

    Attributes
    ----------
    table : pyarrow.Table
    encoded : frozenset of str
        See `Types`.
    files : tuple of str
    begin : int
        Rows of all files before its first.
    """

    table: Any
    encoded: frozenset[str]
    files: tuple[str, ...]
    begin: int

    def read(self) -> nw.DataFrame[Any]:
        """Return the table as all tables are read."""
        return as_table(sorted_text(self.table, self.encoded))

    @contextmanager
    def named(self) -> Iterator[None]:
        """Say in errors of the data where they are."""
        try:
            yield
        except DataError as error:
            where = f"{listed(self.files)} (rows from {self.begin} of all; rows below are counted from there)"
            raise DataError(f"{where}: {error}") from error


def scan(  # noqa: PLR0913  # the arguments of `Gram.scan`
    files: Any,
    formula: str,
    errors: ErrorSpec | None,
    *,
    levels: Mapping[str, Sequence[Any]] | None,
    batch_rows: int,
    progress: bool,
    checkpoint: str | Path | None,
    collinear: str = "refuse",
) -> Gram:
    """Return the Gram basis of the rows of files; see `Gram.scan`."""
    given = checked_levels(levels)
    check_choice(collinear, ("refuse", "drop"), argument="collinear", error=ModelError)
    todo = prepare(files, formula, errors, batch_rows)
    saved = None if checkpoint is None else resume(checkpoint, todo.key(), given)
    with progress_of(_count_rows(todo), is_shown=progress) as shown:
        if todo.sources[0].kind == "csv":
            shown.begin("types of columns", done=0)
        types = settled_types(todo.sources, todo.columns, shown.advance)
        learned = saved.learned if saved is not None else _learn(todo, types, given, shown)
        state = restore(learned)
        total = Total(parts=list(saved.parts) if saved is not None else [])
        shown.begin("statistics", done=total.n)
        tables = todo.tables(types, skip=total.n)
        parts = in_order(lambda rows: _part_of(state, todo.errors, rows), tables, most=MOST_THREADS)
        with closing(parts):
            for i, part in enumerate(parts, start=1):
                total.add(part)
                shown.advance(part.gram.n)
                if checkpoint is not None and i % _EVERY == 0:
                    saved = Saved(learned=learned, parts=tuple(total.parts))
                    write(checkpoint, todo.key(), todo.errors, given, saved)
    return total.finish(learned, todo.errors, collinear=collinear)


def _part_of(state: DesignState, errors: ErrorSpec, rows: Rows) -> Part:
    with rows.named():
        return part_of(state, errors, rows.read())


def _learn(todo: Scan, types: Types, given: Mapping[str, Any], shown: Shown) -> LearnedState:
    first = next(todo.tables(types), None)
    if first is None:
        raise DataError(f"the files have no rows ({listed(str(source.path) for source in todo.sources)}).")
    with first.named():
        needs = needs_of(todo.spec, first.read())
    if not needs.unknown(given):
        return learn(todo.spec, needs, (), given)
    shown.begin("levels and transforms", done=0)
    seen = Seen.nothing(todo.spec, needs, given)
    for rows in todo.tables(types):
        with rows.named():
            seen.see(rows.read())
        shown.advance(len(rows.table))
    return seen.learned()


def _count_rows(todo: Scan) -> int | None:
    """Return the number of rows, where the files say it without being read."""
    counts = [source.count_rows() for source in todo.sources]
    return None if None in counts else sum(count or 0 for count in counts)


def prepare(files: Any, formula: str, errors: ErrorSpec | None, batch_rows: int) -> Scan:
    """Return what is to be read.

    Raises
    ------
    DataError, ModelError
        If there are no such files, or they are of several kinds.
    """
    if not isinstance(batch_rows, (int, np.integer)) or isinstance(batch_rows, bool) or batch_rows < 1:
        raise ModelError(f"batch_rows={batch_rows!r} must be a whole number, 1 or more.")
    spec, errors = parse_formula(formula), checked_structure(errors, in_parts=True)
    sources, columns = sources_of(files), uses_of(spec, errors)
    return Scan(sources=sources, columns=columns, errors=errors, spec=spec, batch_rows=int(batch_rows))


def uses_of(spec: FormulaSpec, errors: ErrorSpec) -> dict[str, Use]:
    """Return what the columns of a formula and its errors are used for."""
    columns = columns_of(spec, errors)
    expressions = [compile_expression(text) for text in expressions_of(spec).values()]
    numbers = {column.name for one in expressions for column in one.columns if column.use != "level"}
    labels = {column.name for one in expressions for column in one.columns if column.use == "level"}
    groups = {name for own in columns_of_factors(spec).values() for name in own} - labels - numbers
    groups -= {*errors.columns.numbers, *errors.columns.labels}
    labels |= {name for own in columns_of_factors(spec).values() for name in own}
    numbers.update(errors.columns.numbers)
    labels.update(errors.columns.labels)
    return {
        name: Use(role=role, is_label=name in labels, is_only_label=name not in numbers, is_group=name in groups)
        for name, role in columns.items()
    }
