"""The files of a scan: which there are, and how each is read. A file of a folder is read, or it is named."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hierreg.checks import listed, separator_hint
from hierreg.exceptions import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

_KINDS = {
    ".parquet": "parquet",
    ".parq": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".arrow": "feather",
    ".feather": "feather",
}
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
# What Spark and Dask leave beside the rows; names with a dot in front are hidden everywhere.
_MARKERS = ("_SUCCESS", "_metadata", "_common_metadata", "_started_", "_committed_")
# What pandas takes for missing.
_MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null"),
)
ENDINGS = ", ".join(_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file.

    Attributes
    ----------
    path : Path
    kind : str
        "parquet", "csv" or "feather".
    delimiter : str
        Between the columns of a text file.
    compression : str or None
        Of a text file.
    """

    path: Path
    kind: str
    delimiter: str = ","
    compression: str | None = None

    @classmethod
    def of(cls, path: Path) -> Source | None:
        """Return how a file is read, by the endings of its name in small or large letters, or None."""
        endings = [ending.lower() for ending in path.suffixes]
        if not endings:
            return None
        compression = _COMPRESSIONS.get(endings[-1])
        ending = endings[-1] if compression is None else endings[-2] if len(endings) > 1 else ""
        kind = _KINDS.get(ending)
        if kind is None or (compression is not None and kind != "csv"):
            return None
        return cls(path=path, kind=kind, delimiter="\t" if ending == ".tsv" else ",", compression=compression)

    @property
    def bare_name(self) -> str:
        """The path without its endings, in small letters."""
        path, n = self.path, 1 if self.compression is None else 2
        for _ in range(n):
            path = path.with_suffix("")
        return str(path).lower()

    def schema(self) -> Any:
        """Return the Arrow schema of the file; of text, what its first megabyte suggests.

        Raises
        ------
        DataError
            If the file cannot be read.
        """
        with _named(self):
            return self._text().schema if self.kind == "csv" else self._dataset().schema

    def count_rows(self) -> int | None:
        """Return the number of rows, where the file says it without being read."""
        with _named(self):
            return int(self._dataset().count_rows()) if self.kind == "parquet" else None

    def has_hexadecimal(self) -> bool:
        """Whether a text file may have numbers such as 0x1A, which Arrow takes for whole numbers."""
        import pyarrow as pa

        with _named(self), pa.input_stream(str(self.path), compression=self.compression) as stream:
            last = b""
            while block := stream.read(1 << 20):
                # Most blocks have no such letter, which is found out ten times faster.
                if (b"x" in block or b"X" in block) and (b"0x" in last + block or b"0X" in last + block):
                    return True
                last = block[-1:]
        return False

    def batches(
        self,
        columns: Sequence[str],
        rows: int,
        types: Mapping[str, Any] | None = None,
        encoded: Collection[str] = (),
    ) -> Iterator[Any]:
        """Return Arrow batches of some columns, of so many rows at most; those of text have the types given.

        Columns of text that are `encoded` are dictionaries, as Parquet stores them.

        Raises
        ------
        DataError
            If the file cannot be read.
        """
        with _named(self):
            if self.kind == "csv":
                for block in self._text(columns, types):
                    yield from (block.slice(begin, rows) for begin in range(0, len(block), rows))
            else:
                for fragment in self._dataset(encoded).get_fragments():
                    yield from fragment.to_batches(columns=list(columns), batch_size=rows)

    def _dataset(self, encoded: Collection[str] = ()) -> Any:
        import pyarrow.dataset as ds

        kind = (
            ds.ParquetFileFormat(dictionary_columns=set(encoded)) if encoded and self.kind == "parquet" else self.kind
        )
        return ds.dataset(str(self.path), format=kind)

    def _text(self, columns: Sequence[str] | None = None, types: Mapping[str, Any] | None = None) -> Any:
        import pyarrow as pa
        from pyarrow import csv

        return csv.open_csv(
            pa.input_stream(str(self.path), compression=self.compression),
            parse_options=csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                include_columns=columns,
                column_types=dict(types or {}),
                null_values=list(_MISSING),
                true_values=["true", "TRUE", "True"],
                false_values=["false", "FALSE", "False"],
                strings_can_be_null=True,
            ),
        )


@contextmanager
def _named(source: Source) -> Iterator[None]:
    """Make what a library says of a file an error that names it."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        hint = separator_hint(_header(source)) if source.kind == "csv" else ""
        raise DataError(f"{str(source.path)!r} cannot be read: {reason}.{hint}") from error


def _header(source: Source) -> list[str]:
    """Return the names in the first line of a text file."""
    import pyarrow as pa

    try:
        with pa.input_stream(str(source.path), compression=source.compression) as stream:
            line = stream.read(1 << 16).decode(errors="replace").splitlines()[:1]
    except (pa.ArrowException, OSError):
        return []
    return line[0].split(source.delimiter) if line else []


def sources_of(files: Any) -> tuple[Source, ...]:
    """Return the files that a path, a pattern or a list of paths means, in order.

    Raises
    ------
    DataError
        If there is none, one cannot be read, several kinds are mixed, or two look like the same rows.
    """
    paths, were_named = _paths(files)
    sources = [Source.of(path) for path in paths]
    unknown = [str(path) for path, source in zip(paths, sources, strict=True) if source is None]
    if unknown:
        raise DataError(
            f"files={files!r}: {listed(unknown)} cannot be read. Files must end in one of {ENDINGS} (.csv and .tsv "
            f"also compressed: {', '.join(_COMPRESSIONS)}). Nothing is left out of a folder: move other files "
            "elsewhere, or name those to read, 'rows/*.parquet'."
        )
    known = tuple(source for source in sources if source is not None)
    if len({source.kind for source in known}) > 1:
        raise DataError(f"files: Parquet, CSV and Arrow files cannot be read together ({listed(map(str, paths))}).")
    _check_distinct(known, were_named=were_named)
    return known


def _check_distinct(sources: Sequence[Source], *, were_named: bool) -> None:
    """Raise where rows would be read twice: one file twice, or rows.csv and rows.csv.gz of one folder."""
    seen: dict[str, Path] = {}
    for source in sources:
        key = str(source.path.resolve()) if were_named else source.bare_name
        if key in seen:
            raise DataError(
                f"files: {str(seen[key])!r} and {str(source.path)!r} look like the same rows, which would count twice. "
                "Remove or rename one of them, or give a list of the files to read."
            )
        seen[key] = source.path


def _paths(files: Any) -> tuple[list[Path], bool]:
    """Return the files, and whether each was named."""
    if isinstance(files, (str, Path)):
        path = Path(files)
        were_named = path.is_file()
        if path.is_dir():
            paths = _below(path)
        elif path.exists():
            paths = [path]
        else:
            paths = [Path(one) for one in sorted(glob.glob(str(files), recursive=True))]  # noqa: PTH207  # absolute too
    elif isinstance(files, Iterable):
        paths, were_named = [Path(one) for one in files], True
    else:
        raise DataError(f"files={files!r} must be a path, a pattern such as 'rows/*.parquet', or a list of paths.")
    missing = [str(path) for path in paths if not path.is_file()]
    if not paths or missing:
        raise DataError(f"files={files!r}: no such file{': ' + listed(missing) if missing else ''}.")
    return paths, were_named


def _below(folder: Path) -> list[Path]:
    """Return the files of a folder and of those in it, without hidden ones and markers.

    Raises
    ------
    DataError
        If something is neither to be read nor to be ignored.
    """
    paths: list[Path] = []
    odd: list[Path] = []
    for here, folders, names in os.walk(folder, onerror=_cannot_list):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        odd += [Path(here, name) for name in folders if name.startswith("_") or Path(here, name).is_symlink()]
        for name in sorted(names):
            if not name.startswith((".", *_MARKERS)):
                (odd if name.startswith("_") else paths).append(Path(here, name))
    if odd:
        raise DataError(
            f"files={str(folder)!r}: {listed(map(str, odd))} may be rows or not: a link to a folder, or a name that "
            "begins with '_', as programs call unfinished or deleted rows (for a table of versions, such as Delta, ask "
            "its own library for the files). Give a list of the files to read."
        )
    return sorted(paths)


def _cannot_list(error: OSError) -> NoReturn:
    raise DataError(f"the folder {error.filename!r} cannot be read: {error.strerror}.") from error
