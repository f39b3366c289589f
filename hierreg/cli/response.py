"""Responses that are not normal, as the command line names them."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from hierreg.checks import listed, suggestion
from hierreg.exceptions import DataError, ModelError
from hierreg.formula import compile_expression, parse_formula
from hierreg.response import FAMILIES, Cumulative

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from hierreg.response import Family

# Arguments of families that are options of the command line.
_ARGUMENTS = ("link", "by", "success")
_TRUTH = {"true": True, "false": False}


def _name(family: type[Family]) -> str:
    """Return what the command line calls a family, as in negative_binomial."""
    words = re.findall("[A-Z][a-z0-9]*", family.__name__.removesuffix("Response"))
    return "_".join(words).lower()


FAMILY_NAMES = tuple(_name(family) for family in FAMILIES)


def family_class(options: Namespace) -> type[Family] | None:
    """Return the family that is named, with or without underscores; None where none is.

    Raises
    ------
    ModelError
        If there is no such family, or an option belongs to families and none is named.
    """
    if options.family is None:
        for option in ("link", "success", "categories"):
            if getattr(options, option) is not None:
                raise ModelError(f"--{option} goes with --family; the families are {listed(FAMILY_NAMES, most=12)}.")
        return None
    known = {name.replace("_", ""): family for name, family in zip(FAMILY_NAMES, FAMILIES, strict=True)}
    found = known.get(re.sub(r"[\s_-]", "", options.family).lower())
    if found is None:
        hint = suggestion(options.family, FAMILY_NAMES)
        raise ModelError(f"--family {options.family}: the families are {listed(FAMILY_NAMES, most=12)}.{hint}")
    return found


def further_parameters(kind: type[Family] | None) -> tuple[str, ...]:
    """Return the further parameters of a family whose priors can be given."""
    if kind is None:
        return ()
    return tuple(name for name in kind.auxiliary if name in _names_of(kind))


def family_of(kind: type[Family], options: Namespace, table: Any, priors: Mapping[str, Any]) -> Family:
    """Return the family with the arguments that the options give.

    Raises
    ------
    DataError, ModelError
        If an option is not one of this family, or does not fit the table.
    """
    given = {name: getattr(options, name) for name in _ARGUMENTS if getattr(options, name) is not None}
    for name in given:
        if name not in _names_of(kind):
            able = [other for other, one in zip(FAMILY_NAMES, FAMILIES, strict=True) if name in _names_of(one)]
            raise ModelError(f"--{name} goes with --family {' or '.join(able)}, not with {_name(kind)}.")
    if "success" in given:
        given["success"] = _as_value(options, table)
    return kind(**given, **priors)


def _names_of(family: type[Family]) -> set[str]:
    return {one.name for one in fields(family)}  # type: ignore[arg-type]  # every final class is a dataclass


def _response_column(options: Namespace, table: Any) -> str | None:
    """Return the column that is the response, where it is one column as it stands."""
    text = parse_formula(options.formula).response
    names = compile_expression(text).column_names
    return names[0] if len(names) == 1 and names[0] in table.columns and text.strip("`") == names[0] else None


def _as_value(options: Namespace, table: Any) -> Any:
    """Return the label of a success as the column has it: text, a number or a truth value."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    label, name = options.success, _response_column(options, table)
    if name is None:
        return label
    if is_bool_dtype(table[name]):
        return _TRUTH.get(label.lower(), label)
    if not is_numeric_dtype(table[name]):
        return label
    try:
        return float(label)
    except ValueError:
        raise DataError(
            f"--success {label}: the response {name!r} is a column of numbers; give one of them, or make labels of "
            f"them with --as-category {name}."
        ) from None


def with_categories(kind: type[Family], options: Namespace, table: Any) -> Any:
    """Return the table, whose response is an ordered category where one is wanted.

    Raises
    ------
    DataError, ModelError
        If the order of labels is not given, or is not that of all labels.
    """
    import pandas as pd

    if kind is not Cumulative:
        if options.categories is not None:
            raise ModelError(f"--categories goes with --family cumulative, not with {_name(kind)}.")
        return table
    name = _response_column(options, table)
    if name is None or pd.api.types.is_numeric_dtype(table[name]):
        if options.categories is not None:
            raise ModelError("--categories orders labels; the response of this formula is a column of numbers.")
        return table
    labels = [str(value) for value in pd.unique(table[name].dropna())]
    if options.categories is None:
        if getattr(table[name].dtype, "ordered", False):
            return table
        raise ModelError(
            f"the response {name!r} has the labels {listed(sorted(labels))}, whose order a file does not say: give it "
            "from lowest to highest, --categories 'low,middle,high'."
        )
    order = [label.strip() for label in options.categories.split(",")]
    if len(set(order)) != len(order) or not set(labels) <= set(order):
        raise DataError(
            f"--categories {options.categories!r}: each label of {name!r} is needed once; they are "
            f"{listed(sorted(labels))}."
        )
    return table.assign(**{name: pd.Categorical(table[name].astype(str), categories=order, ordered=True)})
