"""A part of the rows: its cross-products, and what has to be known of it when all parts are together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.design_matrices.batch import design_of_part
from hierreg.design_matrices.build import columns_of_factors
from hierreg.design_matrices.collinear import warn_of_dropped
from hierreg.design_matrices.kinds import in_order_of, kinds_of, unite_kinds
from hierreg.design_matrices.learned import RESPONSE, expressions_of
from hierreg.design_matrices.levels import (
    FactorLevels,
    factor_levels,
    unite_factors,
    united_levels,
    with_column_levels,
)
from hierreg.errors.base import Repeats
from hierreg.errors.structures import bind_errors
from hierreg.exceptions import DataError
from hierreg.formula import compile_expression
from hierreg.gram.addition import join
from hierreg.gram.bare import filled
from hierreg.gram.collect import collect_part, own_rows_layout
from hierreg.gram.dropping import determined_of, without_determined
from hierreg.gram.known import check_known_errors
from hierreg.gram.ordering import with_labels, with_levels
from hierreg.gram.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import narwhals as nw
    from numpy.typing import NDArray

    from hierreg.design_matrices import DesignState
    from hierreg.design_matrices.kinds import ColumnKind
    from hierreg.design_matrices.learned import LearnedState
    from hierreg.design_matrices.values import Level
    from hierreg.errors.base import ErrorSpec
    from hierreg.formula import FormulaSpec
    from hierreg.gram.basis import Gram


_OF_NO_GROUP = 4096  # bytes, roughly, that any statistics take


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The statistics of a part of the rows.

    Attributes
    ----------
    gram : Gram
        Need not have full rank.
    factors : tuple of FactorLevels
        Levels of the grouping factors.
    error_levels : tuple of str or int
        Levels of the column of data sets or strata, in order; none for other errors.
    units : uint64 array, sorted
        Hashes of the units that the part has, where errors are correlated within units.
    kinds : mapping column -> ColumnKind
        What the columns that are used hold.
    """

    gram: Gram
    factors: tuple[FactorLevels, ...]
    error_levels: tuple[Level, ...]
    units: NDArray[np.uint64]
    kinds: Mapping[str, ColumnKind] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that it holds, roughly: of groups, and of units."""
        grams = [one for one in (self.gram, self.gram.own) if one is not None]
        of_groups = [f.ZtZ.nbytes + f.ZtW.nbytes + f.triangle.nbytes for one in grams for f in one.factors]
        of_pairs = [crossed.ZtZ.nbytes for one in grams for crossed in one.crossed]
        return _OF_NO_GROUP + self.units.nbytes + sum(of_groups) + sum(of_pairs)


def part_of(state: DesignState, errors: ErrorSpec, table: nw.DataFrame[Any]) -> Part:
    """Return the statistics of one part of the rows.

    Raises
    ------
    DataError, ModelError
        If a column cannot be used.
    """
    design, factors = design_of_part(state, table)
    layout = bind_errors(errors, table, is_whole=False)
    gram = collect_part(design, layout, is_bare=True)
    if gram.has_links:
        gram = replace(gram, own=collect_part(design, own_rows_layout(design, layout), is_bare=True))
    return Part(
        gram=gram,
        factors=factors,
        error_levels=_error_levels(errors, table),
        units=_hashes_of_units(errors, table),
        kinds=kinds_of(table, columns_of(state.spec, errors)),
    )


def _error_levels(errors: ErrorSpec, table: nw.DataFrame[Any]) -> tuple[Level, ...]:
    from hierreg.design_matrices.levels import column_levels

    name = errors.columns.stratum
    return column_levels(table, name, role="error stratum")[0] if name is not None else ()


def columns_of(spec: FormulaSpec, errors: ErrorSpec) -> dict[str, str]:
    """Return the columns that a formula and its errors need, with their roles in words."""
    columns: dict[str, str] = {}
    for name, text in expressions_of(spec).items():
        role = "response" if name == RESPONSE else "predictor"
        columns |= dict.fromkeys(compile_expression(text).column_names, role)
    for own in columns_of_factors(spec).values():
        columns |= {name: "grouping factor" for name in own if name not in columns}
    return columns | {
        name: "errors" for name in (*errors.columns.labels, *errors.columns.numbers) if name not in columns
    }


def _hashes_of_units(errors: ErrorSpec, table: nw.DataFrame[Any]) -> NDArray[np.uint64]:
    from pandas.util import hash_array

    from hierreg.design_matrices.levels import column_levels

    if errors.columns.unit is None:
        return np.empty(0, dtype=np.uint64)
    levels, _ = column_levels(table, errors.columns.unit, role="unit of the errors")
    labels = np.asarray(levels)
    return np.sort(hash_array(labels if labels.dtype.kind in "iu" else labels.astype(object)))


def unite_parts(parts: Sequence[Part]) -> Part:
    """Return the statistics of the rows of all.

    Raises
    ------
    DataError
        If a unit of correlated errors has rows in two of them, or a column holds something else in each.
    """
    if len(parts) == 1:
        return parts[0]
    kinds = reduce(unite_kinds, [part.kinds for part in parts])
    units = np.concatenate([part.units for part in parts])
    units.sort(kind="stable")
    again = np.flatnonzero(units[1:] == units[:-1])
    if len(again):
        raise DataError(
            f"{len(again)} units of the errors have rows in more than one batch. All rows of a unit must be in one "
            "batch, since the correlation of its errors joins them: sort the rows by unit and cut batches between "
            "units, or give larger batches."
        )
    gram = join([part.gram for part in parts])
    each = zip(*(part.factors for part in parts), strict=True)
    return Part(
        gram=gram,
        factors=tuple(_united(own, groups.levels) for own, groups in zip(each, gram.factors, strict=True)),
        error_levels=united_levels(*(part.error_levels for part in parts)),
        units=units,
        kinds=kinds,
    )


def _united(parts: Sequence[FactorLevels], levels: NDArray[np.generic]) -> FactorLevels:
    """Return the levels of all parts; of one column they are those of the statistics."""
    first = parts[0]
    if len(first.columns) > 1:
        return unite_factors(*parts)
    if len(levels) == len(first.levels):
        return first
    own = tuple(levels.tolist())
    return factor_levels(first.name, first.columns, (own,), np.arange(len(own)))


def whole(part: Part, learned: LearnedState, errors: ErrorSpec, *, collinear: str = "refuse") -> Gram:
    """Return the Gram basis of all rows, checked and in the order that one table would have.

    Columns that others determine are dropped where `collinear` is "drop", with a warning.

    Raises
    ------
    DataError, ModelError
        If columns are collinear, a grouping factor has one level, or the errors cannot be told apart.
    """
    gram = filled(part.gram)
    factors = tuple(_in_order(factor, part.kinds) for factor in part.factors)
    for factor in factors:
        if len(factor.levels) == 1:
            raise DataError(
                f"the grouping factor {factor.name!r} has the single level {factor.levels[0]!r}; a variance between "
                f"groups needs at least two. Leave the terms on {factor.name!r} out of the formula."
            )
    determined = determined_of(gram, drop=collinear == "drop")
    warn_of_dropped(determined)
    gram = without_determined(gram, determined)
    check_known_errors(gram)
    errors.check(_repeats(gram))
    error_levels = in_order_of(part.kinds.get(str(errors.columns.stratum)), part.error_levels)
    labels = tuple(str(level) for level in error_levels) or ("sigma",)
    learned = replace(learned, factors=factors, determined=determined)
    gram = with_labels(with_levels(gram, [factor.levels for factor in factors]), labels)
    return replace(gram, origin=Origin(learned=learned, errors=errors))


def _in_order(factor: FactorLevels, kinds: Mapping[str, ColumnKind]) -> FactorLevels:
    pairs = zip(factor.columns, factor.column_levels, strict=True)
    return with_column_levels(factor, [in_order_of(kinds.get(column), levels) for column, levels in pairs])


def _repeats(gram: Gram) -> Repeats:
    terms, labels = gram.terms, gram.terms.labels
    largest = np.full(len(labels), 2, dtype=np.intp)
    if terms.components is not None:
        labels = terms.components.strata
        largest = np.ones(len(labels), dtype=np.intp)
        np.maximum.at(largest, terms.components.stratum, terms.components.size)
    gaps, n_units = terms.gaps[terms.gaps > 0], int(terms.counts.sum())
    return Repeats(labels=labels, n_rows=gram.n, n_units=n_units, largest=largest, gaps=gaps)
