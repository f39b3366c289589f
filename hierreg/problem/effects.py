"""Models whose group effects are not normal: what they are made of, and what cannot be asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.effects import Mixture, StudentT
from hierreg.exceptions import ModelError
from hierreg.likelihood.heavy_tails.data import group_data
from hierreg.likelihood.heavy_tails.shape import Effects, Shape
from hierreg.likelihood.heavy_tails.target import EffectsTarget
from hierreg.likelihood.population import population_prior
from hierreg.priors import measure_scales, resolve_priors
from hierreg.priors.families import HalfStudentT
from hierreg.priors.resolved import PriorRow
from hierreg.problem.problem import Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.priors import GroupFrame, ResolvedPriors

    Array = NDArray[np.float64]

_ERRORS = ("independent", "by", "known_se")
_SCALE_NOTE = (
    "scale_{0}, and the prior of it, is the scale of the t distribution of group effects; their standard deviation is "
    "sd_{0} = scale_{0} sqrt(nu / (nu - 2)), where nu > 2."
)
_MIXTURE_NOTE = (
    "sd_{0} and corr_{0} in this table are those within a component: component_sd_{0} and component_corr_{0} in "
    "results, whose sd_{0} and corr_{0} are those of all groups together. Components are in the order of "
    "the mean of {1}{2}."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectsProblem(Problem):
    """A problem of which everything but the distribution of the group effects is that of `Problem`.

    What it inherits as a likelihood is that of normal effects, whose REML estimate is the limit that results show.

    Attributes
    ----------
    shape : Shape
        The distribution of the effects of its one grouping factor.
    """

    shape: Shape

    @property
    def effects(self) -> Effects:
        """The distribution of the group effects."""
        return self.shape.effects

    def target(self, centre: Array, scale: Array, *, with_prior: bool) -> EffectsTarget:
        """Return the log density of all that is sampled or estimated.

        Parameters
        ----------
        centre, scale : arrays (p,), (p, p)
            beta = centre + scale beta*, for the free coefficients of columns as they stand.
        with_prior : bool
            Whether beta and the other parameters have their priors.
        """
        data = group_data(self.gram, population_prior(self.priors) if with_prior else None, self.fixed)
        inner = np.linalg.solve(data.gram.x_map, scale) if len(scale) else scale
        return EffectsTarget(
            parameters=self.parameters,
            data=data,
            shape=self.shape,
            centre=data.from_user(centre),
            scale=inner,
            prior_on=with_prior,
        )


def with_effects(problem: Problem, effects: Any) -> Problem:
    """Return the problem with the distributions of group effects that are asked for; itself for None.

    Parameters
    ----------
    problem : Problem
    effects : dict factor -> StudentT or Mixture, or None

    Raises
    ------
    ModelError
        If `effects` is malformed, or the model has what their likelihood does not cover.
    """
    if effects is None:
        return problem
    factor, chosen = _chosen(problem, effects)
    what = f"effects={{{factor!r}: {chosen}}}"
    if len(problem.labels.factors) > 1:
        raise ModelError(
            f"{what}: the model has the grouping factors {listed(problem.labels.factor_names)}, and heavy tails or "
            "mixtures are for models with one. Leave the others out, or make them population columns."
        )
    if problem.layout.kind not in _ERRORS or problem.gram.has_links or not problem.gram.has_triangles:
        raise ModelError(
            f"{what} with errors={problem.layout.spec}: errors that are correlated between rows are not covered with "
            "heavy tails or mixtures of group effects. Use hr.independent(), hr.by(column) or hr.known_se(column)."
        )
    J = len(problem.labels.factors[0].levels)
    if isinstance(chosen, Mixture) and 2 * chosen.components > J:
        raise ModelError(
            f"{what}: {chosen.components} components of {J} groups; at least two groups for each component are "
            "required, and many more for an answer. Use fewer components."
        )
    shape = _shape(problem, chosen)
    _check_names(problem, chosen)
    own = {field.name: getattr(problem, field.name) for field in fields(problem)}
    return EffectsProblem(**own | {"priors": _with_rows(problem.priors, shape), "shape": shape})


def _chosen(problem: Problem, effects: Any) -> tuple[str, Effects]:
    names = problem.labels.factor_names
    if not isinstance(effects, Mapping) or len(effects) != 1:
        raise ModelError(
            f"effects={effects!r}: a dictionary with the grouping factor is required, such as "
            f"{{{names[0] if names else 'group'!r}: hr.StudentT()}}."
        )
    factor, chosen = next(iter(effects.items()))
    if factor not in names:
        known = f"the grouping factors are {listed(names)}" if names else "the model has no grouping factor"
        raise ModelError(f"effects names {factor!r}; {known}.{suggestion(factor, names)}")
    if not isinstance(chosen, StudentT | Mixture):
        raise ModelError(
            f"effects[{factor!r}]={chosen!r}: hr.StudentT(...) or hr.Mixture(...) is required; for normal group "
            "effects leave the factor out."
        )
    if isinstance(chosen, StudentT) and (chosen.error_scale is not None or chosen.by is not None):
        raise ModelError(
            f"effects[{factor!r}] has error_scale={chosen.error_scale!r} and by={chosen.by!r}, which are of responses, "
            f"family=hr.StudentT(...). The scale of group effects has the prior of hr.Priors(sd={{{factor!r}: ...}})."
        )
    return factor, chosen


def _shape(problem: Problem, effects: Effects) -> Shape:
    factor = problem.labels.factors[0]
    q = len(factor.coef)
    given: Any = effects.mean_sd if isinstance(effects, Mixture) else None
    z_map_inverse = np.linalg.inv(problem.gram.z_map)
    tau, to_raw, internal = np.ones(q), np.eye(q), z_map_inverse
    if given is not None:
        if len(given) not in {1, q}:
            raise ModelError(
                f"Mixture(mean_sd={given}): {len(given)} numbers for {q} group coefficients ({listed(factor.coef)}); "
                "give one for each."
            )
        tau = np.broadcast_to(np.array(given), q).copy()
    elif isinstance(effects, Mixture):
        default = resolve_priors(None, measure_scales(problem.gram, problem.design, problem.layout))
        tau = np.array([prior.sigma for prior in default.sd[factor.name] if isinstance(prior, HalfStudentT)])
        frame: GroupFrame | None = default.frames.get(factor.name)
        if frame is not None:
            to_raw, internal = frame.to_raw, frame.internal
    return Shape(
        effects=effects, factor=factor.key, coef=factor.coef, tau=tau, to_raw=to_raw, internal=np.asarray(internal)
    )


def _with_rows(priors: ResolvedPriors, shape: Shape) -> ResolvedPriors:
    """Return priors whose table says what shapes the effects."""
    effects, name = shape.effects, shape.factor
    is_default = getattr(effects, "nu", None) is None and getattr(effects, "mean_sd", None) is None
    origin = "default" if is_default else "given"
    if isinstance(effects, StudentT):
        rows = tuple(
            replace(row, parameter=f"scale_{row.parameter.removeprefix('sd_')}")
            if row.parameter.startswith(f"sd_{name}[")
            else row
            for row in priors.rows
        )
        of_nu = f"{effects.nu:g}, known" if effects.prior is None else f"{effects.prior}, nu > 2"
        rows += (PriorRow(parameter=f"nu_{name}", prior=of_nu, origin=origin),)
        return replace(priors, rows=rows, notes=(*priors.notes, _SCALE_NOTE.format(name)))
    moved = np.any(np.linalg.inv(shape.to_raw) != np.eye(len(shape.coef)), axis=1)
    where = [" at the predictors' means" if is_moved else "" for is_moved in moved]
    weights = f"Dirichlet({', '.join([f'{effects.concentration:g}'] * effects.components)})"
    own = [PriorRow(parameter=f"component_weight_{name}", prior=weights, origin="default")]
    own += [
        PriorRow(
            parameter=f"component_mean_{name}[{coef}]",
            prior=f"Normal(0, {tau:.5g}){where[i]}" + (", in order" if i == 0 else ""),
            origin=origin,
        )
        for i, (coef, tau) in enumerate(zip(shape.coef, shape.tau, strict=True))
    ]
    note = _MIXTURE_NOTE.format(name, shape.coef[0], where[0])
    return replace(priors, rows=(*priors.rows, *own), notes=(*priors.notes, note))


def _check_names(problem: Problem, effects: Effects) -> None:
    """Raise where variables of results would be called like a dimension."""
    key = problem.labels.factors[0].key
    own = [f"{what}_{key}" for what in variables_of_effects(effects)]
    taken = set(problem.labels.coords) & {*own, f"{problem.labels.factors[0].dim}_component"}
    if taken:
        raise ModelError(
            f"the column {min(taken)!r} is called like a result of effects={{{key!r}: {effects}}}; rename it."
        )


def variables_of_effects(effects: Effects) -> tuple[str, ...]:
    """Return what results call the variables that these effects add, before ``_<factor>``."""
    if isinstance(effects, StudentT):
        return ("scale", "nu", "weight")
    return ("component_weight", "component_mean", "component_sd", "component_corr", "probability")


# What is refused: by what was asked for, what to do instead.
REFUSED: dict[str, str] = {
    "estimate('reml')": (
        "beta cannot be integrated in closed form, and there is no restricted likelihood. Use estimate('ml') or "
        "estimate('map')"
    ),
    "solve": (
        "the mixed-model equations are those of normal group effects. Use hr.Model without effects, or sample and "
        "hr.shrinkage"
    ),
    "to_pymc('marginal')": (
        "the marginal density has beta among its parameters, and is not one of covariances alone. Use "
        "to_pymc('noncentered') or to_pymc('centered')"
    ),
    "to_pymc('noncentered')": (
        "a component is a discrete parameter, which the sum over components does without and this form does not. Use "
        "to_pymc('centered')"
    ),
    "sample(parametrization='noncentered')": (
        "sampling all coefficients is left to PyMC. Use model.to_pymc('noncentered') with pymc.sample or nutpie"
    ),
    "sample(parametrization='centered')": (
        "sampling all coefficients is left to PyMC. Use model.to_pymc('centered') with pymc.sample or nutpie"
    ),
    "sample(sampler='pymc')": "the marginal density is sampled by nutpie. Leave sampler out",
    "predict at an estimate": (
        "the distribution of a group's coefficients is not normal at an estimate either. Give the tree of model.sample"
    ),
    "contrasts of an estimate": (
        "the distribution of a group's coefficients is not normal at an estimate either. Give the tree of model.sample"
    ),
    "gram": (
        "cross-products do not say what shapes group effects, and a model made of them would have normal ones. Use "
        "Model.gram of a model without effects"
    ),
}


def refuse(problem: Problem, what: str) -> None:
    """Raise where something is asked for that is not there with such group effects; nothing for normal ones.

    Parameters
    ----------
    problem : Problem
    what : str
        One of `REFUSED`.

    Raises
    ------
    ModelError
        Which names what was asked for, and for which effects.
    """
    if isinstance(problem, EffectsProblem):
        raise refusal(what, f"{{{problem.labels.factors[0].name!r}: {problem.effects}}}")


def refusal(what: str, effects: str) -> ModelError:
    """Return the error of what is not there with some group effects."""
    return ModelError(f"{what} is not available with effects={effects}: {REFUSED[what]}.")


def name_of_prior(problem: Problem, name: str) -> str:
    """Return what results call the variable whose prior is that of ``sd_<factor>`` or ``corr_<factor>``."""
    if not isinstance(problem, EffectsProblem):
        return name
    what, key = name.partition("_")[0], problem.shape.factor
    if name == f"{what}_{key}":
        if isinstance(problem.effects, StudentT):
            return f"scale_{key}" if what == "sd" else name
        return f"component_{name}" if what in {"sd", "corr"} else name
    return name
