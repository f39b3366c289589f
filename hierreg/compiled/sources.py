"""What compiled code was made of: files that numba keeps of it are used only while all of its sources are the same.

numba compares the time and size of the file of the function that is called. A kernel takes in functions and constants
of many files: after an upgrade, or an edit, of one of those the old code would be found and used, without a word.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parents[1]
# Compiled functions stand in files of these names, and take constants from the others.
_KERNELS = ("compiled/*.py", "**/*kernels.py", "**/*entry.py")
_CONSTANTS = ("**/*record.py", "errors/within_units.py", "priors/families.py")


def source_files() -> tuple[Path, ...]:
    """Return the files that compiled functions come from, and those with constants that they take in."""
    patterns = (*_KERNELS, *_CONSTANTS)
    return tuple(sorted({path for pattern in patterns for path in _PACKAGE.glob(pattern)}))


@cache
def digest_of_sources() -> str:
    """Return a checksum of the files that compiled functions come from."""
    total = hashlib.sha256()
    for path in source_files():
        total.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def stamped(function: Any) -> Any:
    """Return a compiled function, whose files are left aside if they were made of other sources.

    Where this numba keeps its files in another way, they are not used at all.
    """
    files: Any = getattr(function._cache, "_cache_file", None)
    if hasattr(files, "_source_stamp"):
        files._source_stamp = digest_of_sources()
    else:
        from numba.core.caching import NullCache

        function._cache = NullCache()
    return function
