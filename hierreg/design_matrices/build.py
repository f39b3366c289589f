"""The design of a model: made from one table, and made again for others."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import check_choice, listed, read_only
from hierreg.design_matrices.collinear import (
    Determined,
    check_or_drop,
    check_some_left,
    measured_rows,
    what_group_columns,
    without_determined,
)
from hierreg.design_matrices.levels import FactorLevels, learn_factor, locate
from hierreg.design_matrices.matrices import ColumnSource, FittedExpression, apply_expression, fit_expression
from hierreg.design_matrices.table import as_table
from hierreg.design_matrices.values import Design, FactorDesign
from hierreg.exceptions import FormulaError, ModelError
from hierreg.formula import compile_expression

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import narwhals as nw
    from numpy.typing import NDArray

    from hierreg.design_matrices.matrices import Learned
    from hierreg.formula import FormulaSpec, GroupTerm

    Matrices = dict[str, tuple[FittedExpression, NDArray[np.float64]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignState:
    """What a design learned from its table, to be applied to other tables.

    Attributes
    ----------
    spec : FormulaSpec
    response : FittedExpression or None
        None of a response that a family reads (`response`).
    expressions : mapping str -> FittedExpression
        The population expression and those left of the bars, by their text.
    learned : mapping (column, use) -> levels
        Levels of the categorical predictors.
    factors : tuple of FactorLevels
    determined : mapping str -> Determined
        Columns that were dropped because others determine them, by grouping factor; "" for the population columns.
    """

    spec: FormulaSpec
    response: FittedExpression | None
    expressions: Mapping[str, FittedExpression]
    learned: Learned
    factors: tuple[FactorLevels, ...]
    determined: Mapping[str, Determined] = field(default_factory=dict)

    def apply(self, data: Any, *, response: bool, new_levels: Literal["error", "allow"] = "error") -> Design:
        """Return the design of a new table, with the levels and transforms of the one that was learned from.

        Parameters
        ----------
        data : table
            Must have the columns of the predictors and grouping factors.
        response : bool
            Whether the table has the response too; without, y is NaN.
        new_levels : str
            What to do with a level of a grouping factor that was not seen: "error", or "allow" (index -1).

        Raises
        ------
        DataError
            If the table lacks a column, has missing values, or has levels that must not be new.
        """
        check_choice(new_levels, ("error", "allow"), argument="new_levels", error=ModelError)
        table = as_table(data)
        y, matrices = evaluate(self, table, response=response)
        indices = [locate(factor, table, allow_new=new_levels == "allow") for factor in self.factors]
        factors = list(zip(self.factors, indices, strict=True))
        return assemble_design(self.spec, self.response_name, y, matrices, factors, self.determined)

    @property
    def response_name(self) -> str:
        """Label of the response."""
        return self.spec.response if self.response is None else self.response.names[0]


def build_design(
    spec: FormulaSpec,
    data: Any,
    *,
    collinear: Literal["refuse", "drop"] = "refuse",
    y: NDArray[np.float64] | None = None,
) -> tuple[Design, DesignState]:
    """Return the arrays of a model for a table, and what was learned on the way.

    Parameters
    ----------
    spec : FormulaSpec
        As `parse_formula` gives it.
    data : table
        Anything narwhals reads eagerly, or a dictionary of columns. All rows are used.
    collinear : str
        What to do with columns that those before them determine: "refuse", or "drop".
    y : array (N,), optional
        The response, where a family has read it; by default that of the formula.

    Raises
    ------
    FormulaError
        If the formula asks for what this version cannot do, or a function in it cannot be evaluated.
    DataError
        If a column is absent, incomplete, not finite, constant, collinear or of an unusable type.

    Examples
    --------
    >>> from hierreg.formula import parse_formula
    >>> data = {"y": [1.0, 2.0, 4.0, 3.0], "x": [0, 1, 0, 1], "g": ["a", "a", "b", "b"]}
    >>> design, state = build_design(parse_formula("y ~ x + (x | g)"), data)
    >>> design.coef_names, design.factors[0].levels
    (('Intercept', 'x'), ('a', 'b'))
    >>> state.apply({"x": [2.0], "g": ["b"]}, response=False).X
    array([[1., 2.]])
    """
    check_choice(collinear, ("refuse", "drop"), argument="collinear", error=ModelError)
    terms_by_factor = _terms_by_factor(spec)
    table = as_table(data)
    learned: Learned = {}
    response = None
    if y is None:
        response, y = _response(spec, ColumnSource(table=table, role="response", learned=learned, is_learning=True))
    source = ColumnSource(table=table, role="predictor", learned=learned, is_learning=True)
    texts = dict.fromkeys([spec.population, *(term.expression for term in spec.group_terms)])
    matrices = {text: fit_expression(compile_expression(text), source) for text in texts}
    factors = [learn_factor(table, name, terms[0].columns) for name, terms in terms_by_factor.items()]
    name = spec.response if response is None else response.names[0]
    design = assemble_design(spec, name, y, matrices, factors)
    _check_design(design, spec)
    determined = _determined(design, drop=collinear == "drop")
    if determined:
        design = assemble_design(spec, name, design.y, matrices, factors, determined)
    state = DesignState(
        spec=spec,
        response=response,
        expressions={text: fitted for text, (fitted, _) in matrices.items()},
        learned=learned,
        factors=tuple(factor for factor, _ in factors),
        determined=determined,
    )
    return design, state


def _response(spec: FormulaSpec, source: ColumnSource) -> tuple[FittedExpression, NDArray[np.float64]]:
    """Return the response of a formula as one column of numbers (N,)."""
    if spec.second is not None:
        raise FormulaError(
            f"formula {spec.text!r}: a response of successes and {spec.second.what} is that of a family: "
            "hr.Model(..., family=hr.Binomial())."
        )
    response, y = fit_expression(compile_expression(f"0 + {spec.response}"), source)
    return response, _single_column(y)


def evaluate(state: DesignState, table: nw.DataFrame[Any], *, response: bool) -> tuple[NDArray[np.float64], Matrices]:
    """Return the response (NaN where it is not asked for) and the matrices of the expressions, for another table."""
    if response:
        assert state.response is not None
        source = ColumnSource(table=table, role="response", learned=state.learned, is_learning=False)
        y = _single_column(apply_expression(state.response, source))
    else:
        y = read_only(np.full(len(table), np.nan))
    source = ColumnSource(table=table, role="predictor", learned=state.learned, is_learning=False)
    return y, {text: (fitted, apply_expression(fitted, source)) for text, fitted in state.expressions.items()}


def columns_of_factors(spec: FormulaSpec) -> dict[str, tuple[str, ...]]:
    """Return the columns that make each grouping factor of a formula."""
    return {name: terms[0].columns for name, terms in _terms_by_factor(spec).items()}


def _terms_by_factor(spec: FormulaSpec) -> dict[str, list[GroupTerm]]:
    terms: dict[str, list[GroupTerm]] = {}
    for term in spec.group_terms:
        terms.setdefault(term.factor, []).append(term)
    return terms


def _single_column(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    if matrix.shape[1] != 1:
        raise FormulaError(f"the response must be one column of numbers, not {matrix.shape[1]} columns.")
    return read_only(matrix[:, 0])


def assemble_design(  # the parts of a design
    spec: FormulaSpec,
    response_name: str,
    y: NDArray[np.float64],
    matrices: Matrices,
    factors: Sequence[tuple[FactorLevels, NDArray[np.intp]]],
    determined: Mapping[str, Determined] | None = None,
) -> Design:
    """Return the arrays of a model from response, matrices of expressions, and groups of rows.

    Raises
    ------
    DataError
        If columns were dropped from the model, and in these rows they are not what the others determine.
    """
    determined = determined or {}
    population, X = matrices[spec.population]
    dropped = determined.get("")
    design = Design(
        response_name=response_name,
        y=y,
        X=read_only(without_determined(X, dropped, what="population columns")),
        coef_names=_kept_names(population.names, dropped),
        factors=tuple(_factor_design(spec, factor, index, matrices) for factor, index in factors),
    )
    if not determined:
        return design
    return replace(design, factors=tuple(_trimmed(factor, X, design.X, determined) for factor in design.factors))


def _factor_design(
    spec: FormulaSpec, factor: FactorLevels, index: NDArray[np.intp], matrices: Matrices
) -> FactorDesign:
    terms = [term for term in spec.group_terms if term.factor == factor.name]
    parts = [matrices[term.expression] for term in terms]
    Z = parts[0][1] if len(parts) == 1 else read_only(np.concatenate([matrix for _, matrix in parts], axis=1))
    return FactorDesign(
        name=factor.name,
        levels=factor.levels,
        index=read_only(index),
        Z=Z,
        coef_names=tuple(name for fitted, _ in parts for name in fitted.names),
        term_sizes=tuple(len(fitted.names) for fitted, _ in parts),
        term_correlated=tuple(term.correlated for term in terms),
    )


def _kept_names(names: tuple[str, ...], dropped: Determined | None) -> tuple[str, ...]:
    return names if dropped is None else tuple(names[j] for j in dropped.kept)


def _trimmed(
    factor: FactorDesign, X: NDArray[np.float64], kept_X: NDArray[np.float64], determined: Mapping[str, Determined]
) -> FactorDesign:
    """Return the columns of a factor that are not dropped; of X, if they are the same there, the array itself."""
    own = determined.get(factor.name)
    if own is None:
        return factor
    terms = np.repeat(np.arange(len(factor.term_sizes)), factor.term_sizes)[list(own.kept)]
    sizes = np.bincount(terms, minlength=len(factor.term_sizes))
    is_shared = factor.Z is X and "" in determined and determined[""].dropped == own.dropped
    Z = kept_X if is_shared else without_determined(factor.Z, own, what=what_group_columns(factor.name))
    return replace(
        factor,
        Z=read_only(Z),
        coef_names=_kept_names(factor.coef_names, own),
        term_sizes=tuple(int(size) for size in sizes if size),
        term_correlated=tuple(one for one, size in zip(factor.term_correlated, sizes, strict=True) if size),
    )


def _determined(design: Design, *, drop: bool) -> dict[str, Determined]:
    """Return the columns that those before them determine, by factor; "" for the population columns.

    Raises
    ------
    DataError
        If there are such columns and they must not be dropped, or a factor would have no column left.
    """
    n, out = len(design.y), {}
    own = check_or_drop(measured_rows(design.X, design.coef_names), what="population columns", n=n, drop=drop)
    if own is not None:
        out[""] = own
    for factor in design.factors:
        if factor.Z is not design.X:
            measured = measured_rows(factor.Z, factor.coef_names)
            own = check_or_drop(measured, what=what_group_columns(factor.name), n=n, drop=drop)
        else:
            own = out.get("")
        if own is not None:
            check_some_left(own, factor.name)
            out[factor.name] = own
    return out


def _check_design(design: Design, spec: FormulaSpec) -> None:
    if not design.coef_names and not design.factors:
        raise FormulaError(f"formula {spec.text!r} has no terms at all; give at least an intercept: 'y ~ 1'.")
    for factor in design.factors:
        repeated = [name for name in dict.fromkeys(factor.coef_names) if factor.coef_names.count(name) > 1]
        if repeated:
            raise FormulaError(
                f"formula {spec.text!r}: {listed(repeated)} occurs in more than one bar term on "
                f"{factor.name!r}. A bar term has an intercept unless it begins with `0 +`: write "
                "(1 | g) + (0 + x | g) or (x || g) for uncorrelated effects, (x | g) for correlated ones."
            )
