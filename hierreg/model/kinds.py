"""The kinds of models side by side: what a model does with each of its problems, one entry for each class of problem.

The modules behind an entry are imported when the first model of that kind is asked for something.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from hierreg.problem.effects import EffectsProblem
from hierreg.problem.family import FamilyProblem
from hierreg.problem.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import xarray as xr

    from hierreg.results.effects import EffectsEstimate
    from hierreg.results.point import Estimate
    from hierreg.sampling.request import SampleRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What `Model` does for one kind of problem.

    Attributes
    ----------
    methods : tuple of str
        Those of `Model.estimate`.
    default : function
        Problem -> the method where none is asked for.
    elsewhere : dict of str
        Methods of other kinds: why they are not here, and what is.
    estimate : function
        Problem, method and nodes (None where none were asked for) -> Estimate.
    sample : function
        Problem and request -> DataTree.
    describe : function
        Problem and whether to measure the time -> what prints how the model is evaluated.
    to_pymc : function
        Problem and parametrization -> pymc.Model.
    shown : function
        Problem -> further lines of what a model prints.
    """

    methods: tuple[str, ...]
    default: Callable[[Any], str]
    elsewhere: Mapping[str, str]
    estimate: Callable[[Any, str, int | None], Estimate | EffectsEstimate]
    sample: Callable[[Any, SampleRequest], xr.DataTree]
    describe: Callable[[Any, bool], Any]
    to_pymc: Callable[[Any, Any], Any]
    shown: Callable[[Any], list[str]]


_EXACT = (
    "is for responses that are not normal, family=...: of normal ones all coefficients are integrated exactly. Use "
    "'ml', or 'reml' with normal group effects"
)
_INTEGRALS = dict.fromkeys(("laplace", "quadrature"), _EXACT)
_WITH_FAMILY = {
    "reml": "is for normal responses. Use 'laplace' or 'quadrature', which are maximum likelihood",
    "ml": "is for normal responses. Use 'laplace' or 'quadrature', which maximise the likelihood by an approximation",
    "map": "is for normal responses. Use 'laplace' or 'quadrature' without priors, or model.sample() with them",
}


@cache
def _gaussian() -> Kind:
    from hierreg.model.describe import describe, engine_of
    from hierreg.model.estimation import estimate_without_nodes
    from hierreg.model.posterior import sample
    from hierreg.model.translation import to_pymc

    return Kind(
        methods=("reml", "ml", "map"),
        default=lambda _: "reml",
        elsewhere=_INTEGRALS,
        estimate=estimate_without_nodes,
        sample=sample,
        describe=lambda problem, time_it: describe(problem, time_it=time_it),
        to_pymc=to_pymc,
        shown=lambda problem: [f"  errors: {problem.layout.spec}", f"  engine: {engine_of(problem)}"],
    )


@cache
def _family() -> Kind:
    from hierreg.model.family.describe import describe, shown
    from hierreg.model.family.estimation import default_method, estimate
    from hierreg.model.family.posterior import sample
    from hierreg.model.family.translation import to_pymc

    return Kind(
        methods=("laplace", "quadrature"),
        default=default_method,
        elsewhere=_WITH_FAMILY,
        estimate=estimate,
        sample=sample,
        describe=describe,
        to_pymc=to_pymc,
        shown=shown,
    )


@cache
def _of_effects() -> Kind:
    from hierreg.model.describe import describe_effects, engine_of
    from hierreg.model.effects import estimate_effects, sample_effects, to_pymc_with_effects
    from hierreg.model.estimation import check_no_nodes

    def estimate(problem: Any, method: str, nodes: int | None) -> EffectsEstimate:
        check_no_nodes(nodes)
        return estimate_effects(problem, method)

    def shown(problem: Any) -> list[str]:
        effects = f"  effects of {problem.labels.factors[0].name}: {problem.effects}"
        return [effects, f"  errors: {problem.layout.spec}", f"  engine: {engine_of(problem)}"]

    return Kind(
        methods=("ml", "map", "reml"),  # the last is refused in words
        default=lambda _: "ml",
        elsewhere=_INTEGRALS,
        estimate=estimate,
        sample=sample_effects,
        describe=lambda problem, time_it: describe_effects(problem, time_it=time_it),
        to_pymc=to_pymc_with_effects,
        shown=shown,
    )


# By class of problem; each is a function, so that what it needs is imported when it is needed.
KINDS: dict[type[Any], Callable[[], Kind]] = {Problem: _gaussian, EffectsProblem: _of_effects, FamilyProblem: _family}


def kind_of(problem: object) -> Kind:
    """Return what a model does with its problem."""
    return KINDS[type(problem)]()
