"""Writing a tree to netCDF and zarr, such that a full disk or an end of the process leaves what was there before."""

from __future__ import annotations

import io
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from hierreg.exceptions import DataError
from hierreg.results.checksums import check_checksums
from hierreg.stored import beside, replacing, unwritten

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import xarray as xr

_TRIES, _LONG_ENOUGH, _PAUSE = 200, 15, 0.02  # times; seconds
_METADATA = 1 << 20  # bytes; what HDF5 writes at once and reads again is smaller


class SpareFile(io.RawIOBase):
    """A file that takes in what the disk does not, and says so later.

    HDF5 cannot be left in the middle: once a write has failed, closing the file fails too, and the process ends with a
    segmentation fault when Python collects it. Here the first error is kept, and HDF5 finishes as if all were well:
    metadata, which it reads again, are kept in memory, values are dropped.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.error: OSError | None = None
        self._file = path.open("x+b", buffering=0)
        self._at = self._size = 0
        self._kept: list[tuple[int, bytes]] = []

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def writable(self) -> bool:
        """Whether it can be written."""
        return True

    def seekable(self) -> bool:
        """Whether it has places."""
        return True

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def truncate(self, size: int | None = None, /) -> int:
        """Set the size."""
        self._size = self._at if size is None else size
        try:
            if self.error is None:
                self._file.truncate(self._size)
        except OSError as error:
            self.error = error
        return self._size

    def write(self, data: Any, /) -> int:
        """Write bytes, or keep them."""
        view = memoryview(data).cast("B")
        try:
            done = 0
            while self.error is None and done < len(view):
                done += os.pwrite(self._file.fileno(), view[done:], self._at + done)
        except OSError as error:
            self.error = error
        if self.error is not None and len(view) < _METADATA:
            self._kept.append((self._at, bytes(view)))
        self._at += len(view)
        self._size = max(self._size, self._at)
        return len(view)

    def readinto(self, buffer: Any, /) -> int:
        """Read bytes, those that were kept included."""
        view = memoryview(buffer).cast("B")
        n = min(len(view), max(self._size - self._at, 0))
        stored = os.pread(self._file.fileno(), n, self._at)
        view[:n] = stored + bytes(n - len(stored))
        for begin, kept in self._kept:
            low, high = max(begin, self._at), min(begin + len(kept), self._at + n)
            if low < high:
                view[low - self._at : high - self._at] = kept[low - begin : high - begin]
        self._at += n
        return n

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def write_netcdf(tree: xr.DataTree, path: Path) -> None:
    """Write a tree to a netCDF file, read it back and compare, and only then put it in place.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    if path.is_dir():
        raise DataError(f"path={str(path)!r} is a folder; name a file in it.")
    with replacing(path) as partial:
        file = SpareFile(partial)
        _written(lambda: _undisturbed(lambda: tree.to_netcdf(file, engine="h5netcdf"), file), path)
        file.close()
        if file.error is not None:
            raise file.error
        _compare(partial, "h5netcdf", path)


def write_zarr(tree: xr.DataTree, path: Path) -> None:
    """Write a tree to a folder beside, read it back and compare, and only then put it in place.

    Raises
    ------
    DataError
        If it cannot be written, or there is something else in its place.
    """
    _check_replaceable(path)
    partial, old = beside(path, "partial"), beside(path, "old")
    try:
        # one file of all metadata is no part of the zarr format, and other programs may not know it
        _written(lambda: tree.to_zarr(partial, mode="w-", consolidated=False), path)
        _compare(partial, "zarr", path)
        if path.exists():
            path.rename(old)
        try:
            partial.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    except BaseException as error:
        _remove(partial)
        if isinstance(error, OSError):
            raise unwritten(path, error.strerror or str(error)) from error
        raise
    finally:
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)


def _remove(folder: Path) -> None:
    """Remove a folder into which zarr's threads may be writing what they had begun when one of them failed.

    A thread that comes later makes the folder again, so it has to stay away for a while.
    """
    absent = 0
    for _ in range(_TRIES):
        absent = 0 if folder.exists() else absent + 1
        if absent == _LONG_ENOUGH:
            return
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(_PAUSE)


def _check_replaceable(path: Path) -> None:
    if path.is_file():
        raise DataError(f"path={str(path)!r} is a file, not a zarr store; give another name.")
    if path.is_dir() and any(path.iterdir()) and not any((path / name).exists() for name in ("zarr.json", ".zgroup")):
        raise DataError(
            f"path={str(path)!r} is a folder of other files than a zarr store, which would be lost; give another name."
        )


def _undisturbed(write: Callable[[], object], file: SpareFile) -> None:
    """Write in a thread of its own, where no Ctrl-C ends HDF5 in the middle; the rest is then left out."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            pool.submit(write).result()
        except BaseException:
            file.error = file.error or InterruptedError("interrupted")
            raise


def _written(write: Callable[[], object], path: Path) -> None:
    try:
        write()
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise unwritten(path, f"{type(error).__name__}: {error}") from error


def _compare(partial: Path, engine: str, path: Path) -> None:
    """Read what was written from the disk, a variable at a time, and raise unless it is what was meant."""
    try:
        with open_stored(partial, engine, cache=False) as stored:
            check_checksums(stored, str(path))
    except MemoryError:
        raise
    except Exception as error:
        raise unwritten(path, f"what was written reads back otherwise: {error}") from error


def open_stored(path: Path, engine: str, **options: Any) -> xr.DataTree:
    """Return a tree whose values are read when they are asked for."""
    import xarray as xr

    if engine == "zarr":
        options["consolidated"] = False
    return xr.open_datatree(path, engine=engine, **options)
