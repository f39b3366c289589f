"""A model whose response is not normal, ready to be evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import check_whole, read_only
from hierreg.design_matrices import Design, DesignState, as_table, build_design, column
from hierreg.design_matrices.collinear import dropped_columns, warn_of_dropped
from hierreg.effects import StudentT
from hierreg.errors.base import ErrorLayout
from hierreg.errors.columns import positive_numbers
from hierreg.errors.known_se import KnownSE
from hierreg.exceptions import DataError, ModelError, PriorError
from hierreg.formula import parse_formula
from hierreg.gram import Gram, collect
from hierreg.likelihood.joint.laplace import JointLaplace, joint_laplace
from hierreg.likelihood.joint.structure import Structure, structure_of
from hierreg.likelihood.population import FixedBeta, fixed_beta
from hierreg.likelihood.quadrature.auxiliary import Auxiliary
from hierreg.likelihood.quadrature.density import Population, QuadratureTarget
from hierreg.likelihood.quadrature.engine import QuadratureLikelihood, quadrature_likelihood
from hierreg.priors import Flat, Normal, Priors, ResolvedPriors, measure_scales, resolve_priors
from hierreg.problem.family_priors import auxiliary_of, check_no_errors, with_auxiliary_rows
from hierreg.problem.labels import Labels
from hierreg.problem.problem import check_factors, labels_of
from hierreg.response import Family, Observed, checked_family
from hierreg.variances.parameters import VarianceParameters, variance_parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.design_matrices.kept import Kept
    from hierreg.priors.scales import PriorScales

    Array = NDArray[np.float64]

# Coefficients of a group that are integrated out by quadrature.
MOST_EFFECTS = 3
# Of the absolute value of a standard normal number.
MEDIAN_OF_NORMAL = 0.6744897501960817


@dataclass(frozen=True, kw_only=True)
class FamilyProblem:
    """A model whose response is not normal.

    Attributes
    ----------
    formula : str
    design : Design
        The arrays of the rows; its y is a working response, on the scale of the linear predictor.
    state : DesignState
    family : Family
    observed : Observed
    offset, weights : arrays (N,)
    offset_name, weights_name, trials_name : str or None
    gram : Gram
        Cross-products of the working response and its information: scales of priors, and where searches begin.
    priors : ResolvedPriors
    auxiliary : Auxiliary
    parameters : VarianceParameters
    labels : Labels
    fixed : FixedBeta
    X, Z : arrays (N, p), (N, q)
        Columns in the frames of the priors, Z those of all factors: X phi = X_raw beta, Z b* = Z_raw b.
    free : int array
        Elements of phi that are sampled; the others are `held`.
    held : array (p,)
        Values of those that are not, zero elsewhere.
    engine : {"quadrature", "joint"}
        Whether the effects of each group are integrated out, or those of all groups are sampled.
    unit : float
        Unit of the linear predictor, for searches and what counts as zero: that of the link, or of the response.
    kept : Kept or None
        What the model was made of, which results carry.
    """

    formula: str
    design: Design
    state: DesignState
    family: Family
    observed: Observed
    offset: Array
    weights: Array
    offset_name: str | None
    weights_name: str | None
    trials_name: str | None
    gram: Gram
    priors: ResolvedPriors
    auxiliary: Auxiliary
    parameters: VarianceParameters
    labels: Labels
    fixed: FixedBeta
    X: Array
    Z: Array
    free: NDArray[np.intp]
    held: Array
    engine: str
    unit: float = 1.0
    kept: Kept | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.design.y)

    @property
    def dropped_columns(self) -> tuple[str, ...]:
        """Columns that were left out because others determine them, "column" or "column | factor"."""
        return dropped_columns(self.state.determined)

    @property
    def layout(self) -> ErrorLayout:
        """One stratum of errors, known: what stands for the errors where families have none."""
        return as_layout(np.ones(self.n_rows))

    @property
    def indices(self) -> tuple[NDArray[np.intp], ...]:
        """Group of each row, by factor."""
        return tuple(factor.index for factor in self.design.factors)

    @property
    def index(self) -> NDArray[np.intp]:
        """Group of each row of one factor; zero where there are none."""
        factors = self.design.factors
        return factors[0].index if factors else np.zeros(self.n_rows, dtype=np.intp)

    @property
    def n_groups(self) -> int:
        """Number of groups of one factor; one where there are none."""
        return len(self.design.factors[0].levels) if self.design.factors else 1

    @property
    def n_effects(self) -> int:
        """Number of group coefficients, all factors together."""
        return sum(len(factor.levels) * len(factor.coef_names) for factor in self.design.factors)

    def likelihood(self, n_nodes: int) -> QuadratureLikelihood | JointLaplace:
        """Return the likelihood of phi (the free ones), Lambda* and the further parameters."""
        return _LIKELIHOODS[self.engine](self, n_nodes)

    @cached_property
    def structure(self) -> Structure:
        """How the precision of the effects of all factors together is factorised."""
        return self.structure_of(across=True)

    def structure_of(self, *, across: bool) -> Structure:
        """Return that structure, with or without what different factors have in common."""
        factors = self.design.factors
        return structure_of(
            self.indices,
            [len(factor.levels) for factor in factors],
            [len(factor.coef_names) for factor in factors],
            across=across,
        )

    def target(self, n_nodes: int, *, prior_on: bool = True) -> QuadratureTarget:
        """Return the log posterior density, or the log likelihood, of psi."""
        return QuadratureTarget(
            parameters=self.parameters,
            population=self.population,
            auxiliary=self.auxiliary,
            likelihood=self.likelihood(n_nodes),
            prior_on=prior_on,
        )

    def information(self, observed: Array, auxiliary: Array) -> Array:
        """Return the information of rows (N,) in working models, given what is observed; none is negative."""
        m, t = auxiliary.shape[1], self.observed.stratum
        a = auxiliary[t, 0] if m > 0 else np.zeros(self.n_rows)
        c = auxiliary[t, 1] if m > 1 else np.zeros(self.n_rows)
        return np.asarray(self.weights * self.family.information(observed / self.weights, a, c))

    @property
    def population(self) -> Population:
        """The priors of the free phi."""
        mean, precision = np.zeros(len(self.free)), np.zeros(len(self.free))
        for i, k in enumerate(self.free):
            prior = self.priors.beta[k]
            if isinstance(prior, Normal):
                mean[i], precision[i] = prior.mu, prior.sigma**-2
            else:
                assert isinstance(prior, Flat)
        return Population(mean=mean, precision=precision)

    @property
    def names(self) -> tuple[str, ...]:
        """Public names of what is sampled: variance parameters, population coefficients (in order), further ones."""
        beta = tuple(f"beta[{self.design.coef_names[k]}]" for k in self.free)
        return (*self.parameters.free_names, *beta, *self.auxiliary.free_names)

    def beta(self, phi: Array) -> Array:
        """Return the coefficients (..., p) of the columns as they stand, at the free phi."""
        whole = np.zeros((*phi.shape[:-1], len(self.held)))
        whole += self.held
        whole[..., self.free] = phi
        return whole @ np.linalg.inv(self.priors.beta_basis).T

    def beta_map(self) -> Array:
        """Return d beta / d phi (p, free)."""
        return np.linalg.inv(self.priors.beta_basis)[:, self.free]

    @property
    def to_raw(self) -> Array:
        """Return the map (q, q) from b* to b."""
        return self.parameters.to_raw

    def reported(self, beta: Array, auxiliary: Array) -> tuple[Array, Array]:
        """Return beta (..., p) and further parameters (..., T, m) as they are reported.

        Where thresholds stand for the level, the intercept is taken off them and left out.
        """
        kept = self.kept_coefficients
        if self.family.has_level or len(kept) == beta.shape[-1]:
            return beta, auxiliary
        out, value = self._level
        return beta[..., kept], auxiliary - (value * beta[..., out])[..., None, None]

    def as_sampled(self, beta: Array, thresholds: Array) -> tuple[Array, Array]:
        """Return phi (..., p) and thresholds (..., m) as they are sampled, from those that are reported.

        Where thresholds stand for the level: its phi is zero, and the thresholds are those at the origin of the frame.
        """
        out, value = self._level
        basis, kept = self.priors.beta_basis, self.kept_coefficients
        whole = np.zeros((*beta.shape[:-1], len(basis)))
        whole[..., kept] = beta
        whole[..., out] = -beta @ basis[out, kept] / basis[out, out]
        return whole @ basis.T, thresholds + value * whole[..., out, None]

    @property
    def _level(self) -> tuple[int, float]:
        """Place of the population column that thresholds stand for, and its constant value."""
        (out,) = set(range(len(self.design.coef_names))) - set(self.kept_coefficients.tolist())
        return out, float(self.design.X[0, out])

    @property
    def kept_coefficients(self) -> NDArray[np.intp]:
        """Population columns that are reported."""
        p = len(self.design.coef_names)
        if self.family.has_level:
            return np.arange(p)
        varies = np.ptp(self.design.X, axis=0) > 0
        return np.flatnonzero(varies)


def assemble_family(  # noqa: PLR0913  # the arguments of a model
    formula: str,
    data: Any,
    family: object,
    priors: Priors | None,
    *,
    collinear: Literal["refuse", "drop"] = "refuse",
    weights: str | None = None,
    offset: str | None = None,
    trials: str | None = None,
) -> FamilyProblem:
    """Return the problem that a formula, a table, a family and priors define.

    Raises
    ------
    FormulaError, DataError, PriorError, ModelError
        If one of them is malformed or does not fit the others.
    """
    family = _family_of(family)
    if priors is not None and not isinstance(priors, Priors):
        raise PriorError(f"priors={priors!r} is not a set of priors; use hr.Priors(beta=..., sd=..., ...).")
    spec, table = parse_formula(formula), as_table(data)
    observed = family.read(table, spec, trials)
    shift = np.zeros(len(observed.y)) if offset is None else _offset(table, offset)
    counts = np.ones(len(observed.y)) if weights is None else _weights(table, weights)
    working, information = family.working(observed)
    check_some_variation(observed, family, spec.response)
    _check_priors(family, priors)
    design, state = build_design(spec, table, collinear=collinear, y=read_only(working - shift))
    warn_of_dropped(state.determined)
    check_factors(design)
    _check_rows_are_no_groups(design, family, observed)
    layout = as_layout((counts * information) ** -0.5)
    gram = collect(design, layout)
    scales = _scales(measure_scales(gram, design, layout), family, observed, shift, counts)
    resolved = resolve_priors(priors, scales)
    auxiliary = auxiliary_of(family, observed, scales)
    resolved = with_auxiliary_rows(resolved, family, auxiliary)
    fixed = fixed_beta(resolved)
    p = len(design.coef_names)
    held = _held_phi(fixed, resolved)
    free = np.flatnonzero(~fixed.is_fixed)
    if not family.has_level:
        level = [k for k in range(p) if np.ptp(design.X[:, k]) == 0]
        if not level:
            raise ModelError(
                f"formula {formula!r} with family={family} has no intercept; the thresholds of ordered categories "
                "stand for it: write the formula with one (without '0 +')."
            )
        free = np.array([k for k in free if k not in level], dtype=np.intp)
    labels = labels_of(design, gram, layout, auxiliary.result_names)
    problem = FamilyProblem(
        formula=formula,
        design=design,
        state=state,
        family=family,
        observed=observed,
        offset=read_only(shift),
        weights=read_only(counts),
        offset_name=offset,
        weights_name=weights,
        trials_name=trials,
        gram=gram,
        priors=resolved,
        auxiliary=auxiliary,
        parameters=variance_parameters(
            gram.terms, resolved, factors=[(f.name, f.coef_names, f.term_sizes) for f in design.factors]
        ),
        labels=labels,
        fixed=fixed,
        X=_in_frame(design.X, scales, np.linalg.inv(_beta_inner(resolved))) if p else np.empty((len(shift), 0)),
        Z=_group_columns(design, scales, resolved),
        free=free,
        held=held,
        engine=_engine_of(family, design),
        unit=family.unit or unit_of(working - shift, family),
    )
    return problem if family.has_level else replace(problem, labels=_without_level(problem))


def _family_of(family: object) -> Family:
    """Return a family of responses, of a distribution that may be one of effects too."""
    if family is StudentT:
        family = StudentT()
    return checked_family(family.response if isinstance(family, StudentT) else family)


def unit_of(y: Array, family: Family) -> float:
    """Return the size of what varies in responses: their sd, or where some may be far out that of the middle ones."""
    if family.has_heavy_tails:
        middle = float(np.median(np.abs(y - np.median(y))))
        if middle > 0:
            return middle / MEDIAN_OF_NORMAL
    return float(np.std(y)) or 1.0


def _check_priors(family: Family, priors: Priors | None) -> None:
    """Raise where a prior is given of what there is not: errors, or an intercept that thresholds stand for."""
    if priors is None:
        return
    check_no_errors(family, priors)
    given = priors.beta
    if not family.has_level and isinstance(given, Mapping) and "Intercept" in given:
        raise PriorError(
            f"beta['Intercept'] has the prior {given['Intercept']}, but with family={family} thresholds stand for the "
            "intercept. Leave it out; the thresholds have normal priors."
        )


def as_layout(se: Array) -> ErrorLayout:
    """Return the layout of errors with these standard errors (N,)."""
    return ErrorLayout(spec=KnownSE("working"), n_sd=0, stratum=np.zeros(len(se), dtype=np.intp), se=se)


def _without_level(problem: FamilyProblem) -> Labels:
    """Return labels without the intercept, which thresholds stand for."""
    kept = problem.kept_coefficients
    place = {int(k): i for i, k in enumerate(kept)}
    factors = tuple(
        replace(one, theta_columns=tuple(None if c is None else place.get(c) for c in one.theta_columns))
        for one in problem.labels.factors
    )
    return replace(problem.labels, coef=tuple(problem.labels.coef[k] for k in kept), factors=factors)


def _beta_inner(resolved: ResolvedPriors) -> Array:
    assert resolved.beta_inner is not None
    return resolved.beta_inner


def _in_frame(X: Array, scales: PriorScales, from_frame: Array) -> Array:
    """Return columns (N, k) in the frame of their priors: X_internal @ from_frame."""
    columns = scales.columns
    return np.ascontiguousarray(np.linalg.solve(columns.inverse.T, (X - columns.centre).T).T @ from_frame)


def _group_columns(design: Design, scales: PriorScales, resolved: ResolvedPriors) -> Array:
    """Return the columns of the group effects of all factors (N, q) in the frame of their priors."""
    out = [np.empty((len(design.y), 0))]
    for factor in design.factors:
        columns = scales.factors[factor.name].columns
        inner = np.linalg.solve(columns.inverse.T, (factor.Z - columns.centre).T).T
        out.append(inner @ resolved.frames[factor.name].internal)
    return np.ascontiguousarray(np.concatenate(out, axis=1))


def _held_phi(fixed: FixedBeta, resolved: ResolvedPriors) -> Array:
    """Return the values of the phi that are fixed, whose rows of the frame are those of the identity."""
    return np.where(fixed.is_fixed, fixed.value, 0.0) if len(resolved.beta) else np.zeros(0)


def _offset(table: Any, name: str) -> Array:
    values = column(table, name, role="offset")
    if values.dtype == object:
        raise DataError(f"data[{name!r}] (offset) holds text or categories; an offset is a column of numbers.")
    return np.asarray(values, dtype=np.float64)


def _weights(table: Any, name: str) -> Array:
    return positive_numbers(
        table,
        name,
        role="weights",
        required="weights say how often a row counts and must be > 0. Leave rows of weight zero out.",
    )


def check_some_variation(observed: Observed, family: Family, name: str) -> None:
    """Raise where every response is at the same end of its range, so that the likelihood has no maximum."""
    y = observed.y
    if family.has_heavy_tails and np.ptp(y) == 0:
        raise DataError(
            f"the response `{name}` is {y[0]:g} in every row, so that nothing can be said of what it depends on. Is "
            "this the column that was meant?"
        )
    share = y / observed.trials
    if family.has_level and family.links[0] == "logit" and (np.all(share == 0) or np.all(share == 1)):
        what = "zero" if share[0] == 0 else "one"
        raise DataError(
            f"the response `{name}` is {what} in every row, so that nothing can be said of what it depends on. "
            "Is this the column that was meant?"
        )
    if family.links == ("log",) and np.all(y == 0):
        raise DataError(
            f"the response `{name}` is zero in every row, so that the data only bound its mean. Is this the column "
            "that was meant?"
        )


def _check_rows_are_no_groups(design: Design, family: Family, observed: Observed) -> None:
    """Raise where each row is a group of its own, and the responses say nothing of how groups vary."""
    for factor in design.factors:
        if len(factor.levels) == len(observed.y) and not family.says_of_one_row_groups(observed):
            raise ModelError(
                f"each of the {len(observed.y)} rows is a group of {factor.name!r} of its own: with family={family} "
                "the data say nothing of how much such groups vary. Choose a coarser grouping factor, or, where rows "
                "are answers to the same question, count them: hr.Binomial()."
            )


def engine_of(design: Design) -> str:
    """Return how group effects are dealt with: integrated out group by group, or all of them sampled."""
    few = all(len(factor.coef_names) <= MOST_EFFECTS for factor in design.factors)
    return "quadrature" if len(design.factors) <= 1 and few else "joint"


def _engine_of(family: Family, design: Design) -> str:
    """Return the engine: where rows may be far out, all effects are sampled, whatever their conditional densities are.

    By trial that is also several times faster than quadrature (`tests/benchmarks/README.md`).
    """
    return "joint" if family.has_heavy_tails and design.factors else engine_of(design)


def with_quadrature(problem: FamilyProblem) -> FamilyProblem:
    """Return the problem whose effects are integrated out by quadrature, itself where that cannot be."""
    return replace(problem, engine=engine_of(problem.design))


def _by_quadrature(problem: FamilyProblem, n_nodes: int) -> QuadratureLikelihood:
    return quadrature_likelihood(
        problem.family,
        problem.observed,
        X=problem.X[:, problem.free],
        Z=problem.Z,
        index=problem.index,
        n_groups=problem.n_groups,
        offset=problem.offset + problem.X @ problem.held,
        weights=problem.weights,
        n_nodes=n_nodes,
    )


def _by_laplace(problem: FamilyProblem, n_nodes: int) -> JointLaplace:
    assert n_nodes == 1
    return joint_laplace(
        problem.family,
        problem.observed,
        X=problem.X[:, problem.free],
        Z=problem.Z,
        structure=problem.structure,
        offset=problem.offset + problem.X @ problem.held,
        weights=problem.weights,
    )


# By engine: problem and number of nodes on each axis -> likelihood.
_LIKELIHOODS: dict[str, Callable[[FamilyProblem, int], QuadratureLikelihood | JointLaplace]] = {
    "quadrature": _by_quadrature,
    "joint": _by_laplace,
}


def _scales(scales: PriorScales, family: Family, observed: Observed, offset: Array, weights: Array) -> PriorScales:
    """Return what default priors are scaled by: the link's unit, and the link of the mean response."""
    if family.unit is None:
        return scales
    total = float(np.sum(weights * observed.trials))
    if not family.has_level:
        level = 0.0
    elif family.links == ("log",):
        # The rate, so that the unit of exposure does not matter.
        level = float(np.log(np.sum(weights * observed.y) / np.sum(weights * np.exp(offset))))
    else:
        level = float(family.link_function.forward(np.array(np.sum(weights * observed.y) / total))) - float(
            np.average(offset, weights=weights * observed.trials)
        )
    return replace(scales, y_mean=level, y_sd=family.unit, y_rms=family.unit)


def most_nodes(problem: FamilyProblem) -> int:
    """Return how many nodes on each axis quadrature may have."""
    from hierreg.likelihood.quadrature.engine import MOST_NODES

    return int(MOST_NODES ** (1 / max(problem.Z.shape[1], 1)) + 1e-9)


def checked_nodes(nodes: int, problem: FamilyProblem) -> int:
    """Return the number of nodes on each axis that is asked for."""
    check_whole("nodes", nodes, least=1)
    q, most = problem.Z.shape[1], most_nodes(problem)
    if q and nodes > most:
        raise ModelError(
            f"nodes={nodes} on each of {q} axes are {nodes**q} nodes a group; at most {most} on each axis are allowed."
        )
    return int(nodes)
