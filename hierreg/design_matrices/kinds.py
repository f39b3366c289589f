"""What the columns of tables that belong together hold: the same in all of them, or an error.

Each table may be sound, and all of them together not: 3 and "3" would be two groups, a number in one and a level in
another two different columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hierreg.design_matrices.levels import categories_of
from hierreg.design_matrices.table import kind_of
from hierreg.exceptions import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import narwhals as nw

    from hierreg.design_matrices.values import Level

_WORDS = {"number": "numbers", "bool": "truth values", "label": "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnKind:
    """What a column holds.

    Attributes
    ----------
    words : str
        "numbers", "truth values", "text", or "numbers as categories".
    categories : tuple, optional
        All categories in their order, where the column has one; none where tables had different ones.
    """

    words: str
    categories: tuple[Level, ...] | None = None


def kinds_of(table: nw.DataFrame[Any], columns: Iterable[str]) -> dict[str, ColumnKind]:
    """Return what columns hold; those that are absent or of an unusable type, which is said elsewhere, are left out."""
    out = {}
    for name in columns:
        kind = kind_of(table[name]) if name in table.columns else "other"
        if kind in _WORDS:
            categories = categories_of(table[name]) if kind == "label" else None
            numeric = bool(categories) and not any(isinstance(level, str) for level in categories or ())
            out[name] = ColumnKind(words="numbers as categories" if numeric else _WORDS[kind], categories=categories)
    return out


def unite_kinds(a: Mapping[str, ColumnKind], b: Mapping[str, ColumnKind]) -> dict[str, ColumnKind]:
    """Return what the columns of both tables hold.

    Raises
    ------
    DataError
        If a column holds something else in each.
    """
    out = dict(a)
    for name, theirs in b.items():
        mine = out.setdefault(name, theirs)
        if mine.words != theirs.words:
            raise DataError(
                f"data[{name!r}] holds {mine.words} in one part of the rows and {theirs.words} in another, which are "
                "not the same labels or values (3 and '3' differ). Convert the column to one type in all parts."
            )
        if mine.categories != theirs.categories:
            out[name] = ColumnKind(words=mine.words)
    return out


def in_order_of(kind: ColumnKind | None, levels: tuple[Level, ...]) -> tuple[Level, ...]:
    """Return levels in the order of the categories of their column, where all tables had the same."""
    if kind is None or kind.categories is None:
        return levels
    place = {level: i for i, level in enumerate(kind.categories)}
    return tuple(sorted(levels, key=place.__getitem__)) if set(levels) <= set(place) else levels
