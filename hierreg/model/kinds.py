"""The kinds of models side by side: what a model does with each of its problems, one entry for each class of problem.

The modules behind an entry are imported when the first model of that kind is asked for something.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from hierreg.problem.effects import EffectsProblem
from hierreg.problem.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from hierreg.model.describe import Description
    from hierreg.results.effects import EffectsEstimate
    from hierreg.results.point import Estimate
    from hierreg.sampling.request import SampleRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What `Model` does for one kind of problem.

    Attributes
    ----------
    methods : tuple of str
        Those of `Model.estimate`, the default first.
    estimate : function
        Problem, method and nodes (None where none were asked for) -> Estimate.
    sample : function
        Problem and request -> DataTree.
    describe : function
        Problem and whether to measure the time -> Description.
    to_pymc : function
        Problem and parametrization -> pymc.Model.
    """

    methods: tuple[str, ...]
    estimate: Callable[[Any, str, int | None], Estimate | EffectsEstimate]
    sample: Callable[[Any, SampleRequest], xr.DataTree]
    describe: Callable[[Any, bool], Description]
    to_pymc: Callable[[Any, Any], Any]


@cache
def _gaussian() -> Kind:
    from hierreg.model.describe import describe
    from hierreg.model.estimation import estimate
    from hierreg.model.posterior import sample
    from hierreg.model.translation import to_pymc

    return Kind(
        methods=("reml", "ml", "map"),
        estimate=lambda problem, method, _: estimate(problem, method),
        sample=sample,
        describe=lambda problem, time_it: describe(problem, time_it=time_it),
        to_pymc=to_pymc,
    )


@cache
def _of_effects() -> Kind:
    from hierreg.model.describe import describe_effects
    from hierreg.model.effects import estimate_effects, sample_effects, to_pymc_with_effects

    return Kind(
        methods=("reml", "ml", "map"),
        estimate=lambda problem, method, _: estimate_effects(problem, method),
        sample=sample_effects,
        describe=lambda problem, time_it: describe_effects(problem, time_it=time_it),
        to_pymc=to_pymc_with_effects,
    )


# By class of problem; each is a function, so that what it needs is imported when it is needed.
KINDS: dict[type[Any], Callable[[], Kind]] = {Problem: _gaussian, EffectsProblem: _of_effects}


def kind_of(problem: object) -> Kind:
    """Return what a model does with its problem."""
    return KINDS[type(problem)]()
