"""Gram bases of files that are larger than memory, read through pyarrow datasets."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.design.build import columns_of_factors
from hierreg.design.first_pass import learn, needs_of
from hierreg.design.learned import LearnedState, expressions_of, restore
from hierreg.design.table import as_table
from hierreg.error_structure import By, Correlated, Exchangeable, Independent, KnownSE
from hierreg.exceptions import DataError, ModelError
from hierreg.formula import compile_expression, parse_formula
from hierreg.gram.batches import Total, checked_errors, checked_levels
from hierreg.gram.files import below, pack, read_arrays, under, unpack, write_arrays
from hierreg.gram.origin import Origin, errors_to_json, origin_from_json, origin_to_json
from hierreg.gram.part import Part, part_of
from hierreg.gram.progress import progress_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import narwhals as nw

    from hierreg.error_structure import ErrorSpec
    from hierreg.formula import FormulaSpec
    from hierreg.gram.basis import Gram

_ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".arrow": "feather", ".feather": "feather"}
_EVERY = 16  # batches between two checkpoints
_READ_ROWS = 1 << 17  # pyarrow reads up to sixteen batches ahead
_KIND = "hierreg.Gram.scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What is read, and how.

    Attributes
    ----------
    files : tuple of Path
    dataset : pyarrow.dataset.Dataset
    columns : tuple of str
    errors : ErrorSpec
    spec : FormulaSpec
    batch_rows : int
    """

    files: tuple[Path, ...]
    dataset: Any
    columns: tuple[str, ...]
    errors: ErrorSpec
    spec: FormulaSpec
    batch_rows: int

    def key(self) -> dict[str, Any]:
        """Return what a checkpoint has to agree with."""
        stats = [file.stat() for file in self.files]
        return {
            "formula": self.spec.text,
            "errors": errors_to_json(self.errors),
            "batch_rows": self.batch_rows,
            "files": [
                [str(file), stat.st_size, stat.st_mtime_ns] for file, stat in zip(self.files, stats, strict=True)
            ],
        }

    def tables(self, skip: int = 0) -> Iterator[nw.DataFrame[Any]]:
        """Return tables of about `batch_rows` rows, without the first rows; units are kept whole."""
        import pyarrow as pa

        held: list[Any] = []
        for batch in self._record_batches(skip):
            held.append(batch)
            if sum(len(one) for one in held) >= self.batch_rows:
                table = pa.Table.from_batches(held)
                end = self._end_of_unit(table)
                held = table.slice(end).to_batches()
                if end:
                    yield as_table(table.slice(0, end))
        if sum(len(one) for one in held):
            yield as_table(pa.Table.from_batches(held))

    def _record_batches(self, skip: int) -> Iterator[Any]:
        for fragment in self.dataset.get_fragments():
            if skip and skip >= (n := fragment.count_rows()):
                skip -= n
                continue
            for batch in fragment.to_batches(
                schema=self.dataset.schema, columns=list(self.columns), batch_size=min(self.batch_rows, _READ_ROWS)
            ):
                if skip >= len(batch):
                    skip -= len(batch)
                    continue
                yield batch.slice(skip)
                skip = 0

    def _end_of_unit(self, table: Any) -> int:
        """Return the rows before the unit that the last row belongs to, which may go on."""
        if not isinstance(self.errors, (Correlated, Exchangeable)):
            return len(table)
        import pyarrow.compute as pc

        unit = table[self.errors.unit].combine_chunks()
        other = np.flatnonzero(pc.not_equal(unit, unit[-1]).to_numpy(zero_copy_only=False))
        return int(other[-1]) + 1 if len(other) else 0


def scan(  # noqa: PLR0913  # the arguments of `Gram.scan`
    files: Any,
    formula: str,
    errors: ErrorSpec | None,
    *,
    levels: Mapping[str, Sequence[Any]] | None,
    batch_rows: int,
    progress: bool,
    checkpoint: str | Path | None,
) -> Gram:
    """Return the Gram basis of the rows of files; see `Gram.scan`."""
    given = checked_levels(levels)
    todo = prepare(files, formula, errors, batch_rows)
    saved = None if checkpoint is None else _resume(checkpoint, todo, given)
    with progress_of(_count_rows(todo), is_shown=progress) as shown:
        learned = saved.learned if saved is not None else _learn(todo, given, shown)
        state = restore(learned)
        total = Total(parts=list(saved.parts) if saved is not None else [])
        shown.begin("statistics", done=total.n)
        for i, table in enumerate(todo.tables(skip=total.n), start=1):
            total.add(part_of(state, todo.errors, table))
            shown.advance(len(table))
            if checkpoint is not None and i % _EVERY == 0:
                _write(checkpoint, todo, given, _Saved(learned=learned, parts=tuple(total.parts)))
    return total.finish(learned, todo.errors)


def _learn(todo: Scan, given: Mapping[str, Any], shown: Any) -> LearnedState:
    first = next(todo.tables(), None)
    if first is None:
        raise DataError(f"the files have no rows ({listed(str(file) for file in todo.files)}).")
    needs = needs_of(todo.spec, first)
    if not needs.unknown(given):
        return learn(todo.spec, needs, (), given)
    shown.begin("levels and transforms", done=0)
    return learn(todo.spec, needs, _counted(todo.tables(), shown), given)


def _counted(tables: Iterable[nw.DataFrame[Any]], shown: Any) -> Iterator[nw.DataFrame[Any]]:
    for table in tables:
        yield table
        shown.advance(len(table))


def _count_rows(todo: Scan) -> int | None:
    """Return the number of rows, where the files say it without being read."""
    return int(todo.dataset.count_rows()) if todo.files[0].suffix in {".parquet", ".pq"} else None


# ---- files


def prepare(files: Any, formula: str, errors: ErrorSpec | None, batch_rows: int) -> Scan:
    """Return what is to be read.

    Raises
    ------
    DataError, ModelError
        If there are no such files, they are of several kinds, or lack a column.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    if not isinstance(batch_rows, (int, np.integer)) or isinstance(batch_rows, bool) or batch_rows < 1:
        raise ModelError(f"batch_rows={batch_rows!r} must be a whole number, 1 or more.")
    spec, errors = parse_formula(formula), checked_errors(errors)
    paths = _paths(files)
    kinds = {_ENDINGS[path.suffix] for path in paths}
    if len(kinds) > 1:
        raise DataError(f"files: Parquet, CSV and Arrow files cannot be read together ({listed(map(str, paths))}).")
    try:
        dataset = ds.dataset([str(path) for path in paths], format=kinds.pop())
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"files={files!r} cannot be read: {' '.join(str(error).split())}") from error
    columns = columns_of(spec, errors)
    for column, role in columns.items():
        if column not in dataset.schema.names:
            raise DataError(
                f"the files have no column {column!r} ({role}).{suggestion(column, dataset.schema.names)} Their "
                f"columns are {listed(dataset.schema.names)}."
            )
    return Scan(
        files=paths, dataset=dataset, columns=tuple(columns), errors=errors, spec=spec, batch_rows=int(batch_rows)
    )


def columns_of(spec: FormulaSpec, errors: ErrorSpec) -> dict[str, str]:
    """Return the columns that a formula and its errors need, with their roles in words."""
    columns: dict[str, str] = {}
    for name, text in expressions_of(spec).items():
        role = "response" if name == "~" else "predictor"
        columns |= dict.fromkeys(compile_expression(text).column_names, role)
    for own in columns_of_factors(spec).values():
        columns |= {name: "grouping factor" for name in own if name not in columns}
    match errors:
        case Independent():
            used: tuple[str | None, ...] = (errors.weights,)
        case By():
            used = (errors.column, errors.weights)
        case KnownSE():
            used = (errors.column,)
        case Correlated():
            used = (errors.dataset, errors.unit)
        case Exchangeable():
            used = (errors.unit, errors.by)
        case _:
            used = ()
    return columns | {name: "errors" for name in used if name is not None and name not in columns}


def _paths(files: Any) -> tuple[Path, ...]:
    if isinstance(files, (str, Path)):
        path = Path(files)
        if path.is_dir():
            paths = sorted(one for one in path.rglob("*") if one.suffix in _ENDINGS)
        elif path.exists():
            paths = [path]
        else:
            paths = [Path(one) for one in sorted(glob.glob(str(files), recursive=True))]  # noqa: PTH207  # absolute too
    elif isinstance(files, Iterable):
        paths = [Path(one) for one in files]
    else:
        raise DataError(f"files={files!r} must be a path, a pattern such as 'rows/*.parquet', or a list of paths.")
    missing = [str(path) for path in paths if not path.is_file()]
    if not paths or missing:
        raise DataError(f"files={files!r}: no such file{': ' + listed(missing) if missing else ''}.")
    unknown = [str(path) for path in paths if path.suffix not in _ENDINGS]
    if unknown:
        raise DataError(f"files={files!r}: {listed(unknown)} must end in one of {', '.join(_ENDINGS)}.")
    return tuple(paths)


# ---- checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saved:
    """What a checkpoint holds: what was learned, and the parts so far."""

    learned: LearnedState
    parts: tuple[Part, ...]


def _write(checkpoint: str | Path, todo: Scan, given: Mapping[str, Any], saved: _Saved) -> None:
    head = {"kind": _KIND, "key": todo.key() | {"levels": _plain(given)}, "parts": len(saved.parts)}
    arrays = under("learned", origin_to_json(Origin(learned=saved.learned, errors=todo.errors)))
    for i, part in enumerate(saved.parts):
        learned = replace(saved.learned, factors=part.factors)
        gram = replace(part.gram, origin=Origin(learned=learned, errors=todo.errors))
        error_levels = np.array(json.dumps(list(part.error_levels)))
        arrays |= under(f"part{i}", {**under("gram", pack(gram)), "units": part.units, "error_levels": error_levels})
    write_arrays(Path(checkpoint), head, arrays)


def _plain(given: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: [str(level) for level in levels] for name, levels in given.items()}


def _resume(checkpoint: str | Path, todo: Scan, given: Mapping[str, Any]) -> _Saved | None:
    """Return what a checkpoint holds, or None where there is none yet."""
    path = Path(checkpoint)
    if path.suffix != ".npz":
        raise DataError(f"checkpoint={str(path)!r} must end in .npz.")
    if not path.parent.is_dir():
        raise DataError(f"checkpoint={str(path)!r}: the folder {str(path.parent)!r} does not exist; create it first.")
    if not path.exists():
        return None
    head, arrays = read_arrays(path, _KIND)
    key, now = head["key"], todo.key() | {"levels": _plain(given)}
    for what, words in (
        ("formula", "formula"),
        ("errors", "error structure"),
        ("levels", "levels"),
        ("batch_rows", "batch_rows"),
        ("files", "files, their sizes or times of change"),
    ):
        if key.get(what) != json.loads(json.dumps(now[what])):
            raise DataError(
                f"checkpoint={str(path)!r} was written for another scan: the {words} differ. Delete it to begin anew."
            )
    parts = []
    for i in range(int(head["parts"])):
        own = below(arrays, f"part{i}")
        gram = unpack(below(own, "gram"), str(path))
        assert gram.origin is not None
        parts.append(
            Part(
                gram=replace(gram, origin=None),
                factors=gram.origin.learned.factors,
                error_levels=tuple(json.loads(str(own["error_levels"]))),
                units=own["units"],
            )
        )
    return _Saved(learned=origin_from_json(below(arrays, "learned")).learned, parts=tuple(parts))
