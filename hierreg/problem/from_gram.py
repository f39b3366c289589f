"""The problem of a model whose rows are gone: everything that follows from the cross-products."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.design_matrices.build import assemble_design
from hierreg.design_matrices.kept import Kept
from hierreg.design_matrices.learned import restore
from hierreg.errors.base import ErrorLayout
from hierreg.exceptions import ModelError, PriorError
from hierreg.gram import Gram
from hierreg.gram.ordering import with_levels
from hierreg.priors import Priors, measure_scales, resolve_priors
from hierreg.problem.exact_fit import check_response_varies
from hierreg.problem.given import Given
from hierreg.problem.problem import Problem, check_replication, of_parts

if TYPE_CHECKING:
    from hierreg.design_matrices import Design, DesignState


def problem_of_gram(gram: Gram, priors: Priors | None) -> Problem:
    """Return the problem that a Gram basis and priors define.

    Raises
    ------
    ModelError, PriorError
        If the basis does not say where it comes from, or priors do not fit.
    """
    if not isinstance(gram, Gram):
        raise ModelError(
            f"gram has type {type(gram).__name__}; a Gram is required, from Gram.from_batches, Gram.scan, Gram.load or "
            "Model.gram."
        )
    if gram.origin is None or gram.frame is None:
        raise ModelError(
            "gram does not say which formula it comes from; take it from Gram.from_batches, Gram.scan, Gram.load or "
            "Model.gram."
        )
    if priors is not None and not isinstance(priors, Priors):
        raise PriorError(f"priors={priors!r} is not a set of priors; use hr.Priors(beta=..., sd=..., ...).")
    if gram.has_links and len(gram.factors) > 1:
        raise ModelError(
            f"errors={gram.origin.errors} link groups of several grouping factors, and statistics alone do not say "
            "what each group sees by itself: use hr.Model(formula, table, errors) with the rows."
        )
    if gram.has_links and gram.own is None:
        raise ModelError("gram does not say what each group sees alone; take it from Gram.from_batches or Model.gram.")
    state = restore(gram.origin.learned)
    gram = with_levels(gram, [factor.levels for factor in state.factors])
    design, layout = _without_rows(state), _layout(gram)
    check_replication(gram, layout.spec)
    check_response_varies(gram, design, layout, priors)
    resolved = resolve_priors(priors, measure_scales(gram, design, layout))
    problem = of_parts(state.spec.text, design, state, layout, gram, resolved)
    arguments = Given(formula=problem.formula, priors=priors).to_json()
    return replace(problem, kept=Kept(arguments=arguments, columns=None))


def _without_rows(state: DesignState) -> Design:
    matrices = {text: (fitted, np.empty((0, len(fitted.names)))) for text, fitted in state.expressions.items()}
    none = np.empty(0, dtype=np.intp)
    factors = [(factor, none) for factor in state.factors]
    return assemble_design(state.spec, state.response_name, np.empty(0), matrices, factors, state.determined)


def _layout(gram: Gram) -> ErrorLayout:
    """Return the error structure over no rows."""
    assert gram.origin is not None
    terms, spec = gram.terms, gram.origin.errors
    none = np.empty(0, dtype=np.intp)
    return ErrorLayout(
        spec=spec,
        labels=terms.labels if terms.components is None else terms.components.strata,
        dim=terms.dim,
        n_sd=terms.n_sd,
        has_corr=terms.has_corr,
        stratum=none,
        unit=none if spec.has_units else None,
        time=none if spec.is_in_time else None,
        V=spec.known_matrix,
        common_sd=terms.components is not None and terms.components.common_sd,
    )
