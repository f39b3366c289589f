"""Everything that follows from formula, table, errors and priors before anything is estimated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import listed
from hierreg.design_matrices import Design, DesignState, as_table, build_design
from hierreg.design_matrices.collinear import dropped_columns, warn_of_dropped
from hierreg.design_matrices.learned import learned_of
from hierreg.errors.structures import bind_errors, checked_structure
from hierreg.exceptions import ModelError, PriorError
from hierreg.formula import parse_formula
from hierreg.gram import Gram, collect
from hierreg.gram.collect import own_rows_layout
from hierreg.gram.origin import Origin
from hierreg.likelihood.engines import Likelihood, blocks_of, marginal_likelihood
from hierreg.likelihood.population import FixedBeta, PopulationPrior, fixed_beta, population_prior
from hierreg.likelihood.solution import JointWithFixed
from hierreg.priors import Priors, ResolvedPriors, measure_scales, resolve_priors
from hierreg.problem.exact_fit import check_response_varies
from hierreg.problem.labels import FactorLabels, Labels, result_dims, variable_name
from hierreg.variances.parameters import VarianceParameters, variance_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.design_matrices.kept import Kept
    from hierreg.errors.base import ErrorLayout, ErrorSpec
    from hierreg.likelihood.drawn import Recovered
    from hierreg.likelihood.groups.blocks import SplitBlocks
    from hierreg.likelihood.solution import Solution

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A model that is ready to be evaluated.

    Attributes
    ----------
    formula : str
    design : Design
        The arrays of the rows; of no rows, where the model was made of cross-products alone.
    state : DesignState
        What was learned from the table, to be applied to others.
    layout : ErrorLayout
        The error structure over the rows.
    gram : Gram
        The cross-products.
    priors : ResolvedPriors
    parameters : VarianceParameters
    labels : Labels
    fixed : FixedBeta
        Population coefficients held at known values.
    blocks : SplitBlocks or None
        The cross-products in the layout that every likelihood of the model reads; None with several factors.
    kept : Kept or None
        What the model was made of, which results carry.
    """

    formula: str
    design: Design
    state: DesignState
    layout: ErrorLayout
    gram: Gram
    priors: ResolvedPriors
    parameters: VarianceParameters
    labels: Labels
    fixed: FixedBeta
    blocks: SplitBlocks | None
    kept: Kept | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows, kept or not."""
        return self.gram.n

    @property
    def dropped_columns(self) -> tuple[str, ...]:
        """Columns that were left out because others determine them, "column" or "column | factor"."""
        return dropped_columns(self.state.determined)

    def likelihood(self, method: str) -> Likelihood:
        """Return the marginal likelihood with beta treated as "reml", "ml" or "prior" asks."""
        prior = population_prior(self.priors) if method == "prior" else None
        return marginal_likelihood(self.gram, prior=prior, fixed=self.fixed, profile=method == "ml", blocks=self.blocks)

    def likelihood_with_precision(self, precision: Array) -> Likelihood:
        """Return the marginal likelihood under beta ~ N(0, inverse of diag(precision)); zero is flat."""
        rows = np.flatnonzero(precision)
        prior = PopulationPrior(
            basis=np.eye(len(precision))[rows], mean=np.zeros(len(rows)), sd=precision[rows] ** -0.5
        )
        return marginal_likelihood(self.gram, prior=prior, fixed=self.fixed, blocks=self.blocks)

    def own_rows(self, factor: int = 0) -> Gram:
        """Return the cross-products in which each group of a factor sees its own rows alone."""
        if not self.gram.factors[factor].has_links or self.gram.own is not None:
            return self.gram.own or self.gram
        return collect(self.design, own_rows_layout(self.design, self.layout, factor))

    def complete_gram(self) -> Gram:
        """Return the cross-products with all that is needed to make a model of them."""
        if self.gram.origin is not None:
            return self.gram
        origin = Origin(learned=learned_of(self.state), errors=self.layout.spec)
        own = self.own_rows() if self.gram.has_links and len(self.gram.factors) == 1 else None
        return replace(self.gram, own=own, origin=origin)

    def with_fixed(self, solution: Solution) -> Solution:
        """Return a solution that includes the fixed coefficients, without variance."""
        if not self.fixed.is_fixed.any():
            return solution
        free = np.flatnonzero(~self.fixed.is_fixed)
        p = len(self.fixed.is_fixed)
        beta, cov = self.fixed.value.copy(), np.zeros((p, p))
        beta[free], cov[np.ix_(free, free)] = solution.beta, solution.beta_cov
        crosses = []
        for own in solution.beta_b_cov:
            cross = np.zeros((own.shape[0], p, own.shape[2]))
            cross[:, free] = own
            crosses.append(cross)
        joint = JointWithFixed(joint=solution.joint, free=free)
        return replace(solution, beta=beta, beta_cov=cov, beta_b_cov=tuple(crosses), joint=joint)

    def draws_with_fixed(self, recovered: Recovered) -> Recovered:
        """Return draws that include the fixed coefficients; summaries of theta are shifted by them."""
        if not self.fixed.is_fixed.any():
            return recovered
        beta = np.tile(self.fixed.value, (len(recovered.beta), 1))
        beta[:, ~self.fixed.is_fixed] = recovered.beta
        thetas = recovered.theta_summary
        if thetas is not None and recovered.b_summary is not None:
            shifted = []
            for factor, theta, b in zip(self.labels.factors, thetas, recovered.b_summary, strict=True):
                values = [0.0 if c is None else self.fixed.value[c] for c in factor.theta_columns]
                shift = np.array(values, dtype=float)
                # Where all matching population coefficients are fixed, theta is b but for a constant.
                own = theta or (b if factor.has_theta else None)
                shifted.append(own and replace(own, mean=own.mean + shift, quantiles=own.quantiles + shift))
            thetas = tuple(shifted)
        return replace(recovered, beta=beta, theta_summary=thetas)

    def free_theta_columns(self) -> tuple[tuple[int | None, ...], ...]:
        """Return, for each column of each factor, its match among the population columns that are not fixed."""
        place, is_fixed = np.cumsum(~self.fixed.is_fixed) - 1, self.fixed.is_fixed
        return tuple(
            tuple(None if c is None or is_fixed[c] else int(place[c]) for c in factor.theta_columns)
            for factor in self.labels.factors
        )


def assemble(
    formula: str,
    data: Any,
    errors: ErrorSpec | None,
    priors: Priors | None,
    *,
    collinear: Literal["refuse", "drop"] = "refuse",
) -> Problem:
    """Return the problem that a formula, a table, an error structure and priors define.

    Raises
    ------
    FormulaError, DataError, PriorError, ModelError
        If one of them is malformed or does not fit the others.
    """
    errors = checked_structure(errors)
    if priors is not None and not isinstance(priors, Priors):
        raise PriorError(f"priors={priors!r} is not a set of priors; use hr.Priors(beta=..., sd=..., ...).")
    spec = parse_formula(formula)
    design, state = build_design(spec, data, collinear=collinear)
    warn_of_dropped(state.determined)
    layout = bind_errors(errors, as_table(data))
    check_factors(design)
    gram = collect(design, layout)
    check_replication(gram, layout.spec)
    check_response_varies(gram, design, layout, priors)
    return of_parts(formula, design, state, layout, gram, resolve_priors(priors, measure_scales(gram, design, layout)))


def check_has_no_family(**arguments: str | None) -> None:
    """Raise where an argument of families of responses was given without one.

    Raises
    ------
    ModelError
    """
    for name, value in arguments.items():
        if value is not None:
            raise ModelError(
                f"{name}={value!r} without a family: it belongs to responses that are not normal, family=hr.Poisson() "
                "or hr.Binomial(). Of a normal response take an offset off before."
            )


def of_parts(  # the parts of a problem
    formula: str, design: Design, state: DesignState, layout: ErrorLayout, gram: Gram, resolved: ResolvedPriors
) -> Problem:
    """Return the problem of a design, an error structure, cross-products and priors."""
    fixed = fixed_beta(resolved)
    return Problem(
        formula=formula,
        design=design,
        state=state,
        layout=layout,
        gram=gram,
        priors=resolved,
        parameters=variance_parameters(
            gram.terms,
            resolved,
            factors=[(factor.name, factor.coef_names, factor.term_sizes) for factor in design.factors],
        ),
        labels=labels_of(design, gram, layout),
        fixed=fixed,
        blocks=blocks_of(gram, fixed),
    )


def labels_of(design: Design, gram: Gram, layout: ErrorLayout, further: Sequence[str] = ()) -> Labels:
    """Return what the parameters of a model are called; `further` are names of a family's parameters and dimensions."""
    place = {name: i for i, name in enumerate(design.coef_names)}
    names = [factor.name for factor in design.factors]
    columns = list(dict.fromkeys([*names, *([layout.dim] if layout.dim is not None else [])]))
    dims = result_dims(columns, names, further)
    factors = tuple(
        FactorLabels(
            name=groups.name,
            levels=groups.levels,
            coef=groups.coef_names,
            theta_columns=tuple(place.get(name) for name in groups.coef_names),
            has_corr=any(
                correlated and size > 1
                for size, correlated in zip(factor.term_sizes, factor.term_correlated, strict=True)
            ),
            own_dim=dims[factor.name],
        )
        for factor, groups in zip(design.factors, gram.factors, strict=True)
    )
    return Labels(
        response=design.response_name,
        coef=design.coef_names,
        factors=factors,
        error_dim=None if layout.dim is None else dims[layout.dim],
        error_labels=layout.labels,
        n_error_sd=layout.n_sd,
        has_error_corr=layout.has_corr,
        has_corr_by_stratum=gram.terms.components is not None,
        has_common_error_sd=layout.common_sd,
        error_corr_name=layout.spec.corr_name,
    )


def check_factors(design: Design) -> None:
    """Raise where grouping factors cannot be told apart, by their groups or by the names of their results."""
    for one, other in permutations(design.factors, 2):
        if other.name in {f"cov_{one.name}", f"cond_cov_{one.name}"} or (
            variable_name(one.name) == variable_name(other.name)
        ):
            raise ModelError(
                f"the grouping factors {one.name!r} and {other.name!r} would share names of results, such as "
                f"'b_cov_{variable_name(one.name)}'; rename the column {other.name!r}."
            )
    for one, other in combinations(design.factors, 2):
        shared = [name for name in one.coef_names if name in other.coef_names]
        J = len(one.levels)
        if shared and len(other.levels) == J and len(np.unique(one.index * J + other.index)) == J:
            raise ModelError(
                f"the groups of {one.name!r} and of {other.name!r} are the same, so the variances of {listed(shared)} "
                "between them cannot be told apart. Leave one of the two out."
            )


def check_replication(gram: Gram, spec: ErrorSpec) -> None:
    """Raise where groups are single rows, or units of exchangeable errors, so that their variance is that of errors."""
    terms = gram.terms
    for factor in gram.factors:
        if factor.n_levels == gram.n and not spec.rows_can_be_groups:
            raise _not_replicated(gram.n, factor.name)
        has_constant = factor.frame is not None and factor.frame.constant is not None
        if spec.units_can_be_groups or terms.components is None or not has_constant:
            continue
        n_units = float(terms.counts[terms.components.size > 0].sum())
        # With no links each unit is in one group, so that as many groups as units are the units.
        if not factor.has_links and n_units == factor.n_levels:
            raise _units_are_groups(factor.name, spec)


def _not_replicated(n: int, factor: str) -> ModelError:
    """Return the error of a factor that has a group for each row."""
    return ModelError(
        f"each of the {n} rows is a group of {factor!r} of its own, so the variance between "
        "groups cannot be told from the error variance. Choose a coarser grouping factor, or give known "
        "standard errors with errors=hr.known_se(column)."
    )


def _units_are_groups(factor: str, spec: ErrorSpec) -> ModelError:
    """Return the error of a factor whose groups are the units of exchangeable errors."""
    return ModelError(
        f"the groups of {factor!r} are the units of errors={spec}, so the variance of their "
        "intercept cannot be told from the correlation of errors within units. Leave the intercept out of the "
        f"group term, (0 + x | {factor}), or give the errors another structure."
    )
