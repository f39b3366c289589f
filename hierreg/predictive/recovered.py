"""Coefficients of groups of a posterior that has no draws of them: draws of some groups, summaries of all.

Given the variance parameters the coefficients are normal, and their distribution follows from the cross-products: each
draw of the variance parameters gives one draw of all coefficients again, of which those asked for are kept, and their
means, standard deviations and quantiles.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.likelihood.engines import recover
from hierreg.linalg import semidefinite_factor
from hierreg.predictive.of_model import gaussian, problem_of
from hierreg.predictive.rows import Draws
from hierreg.problem.effects import EffectsProblem
from hierreg.results import build
from hierreg.results.carried import draws_in, with_group
from hierreg.threads import available_cores
from hierreg.variances.parameters import Covariances

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.predictive.of_model import ModelLike
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]

_MOST_BYTES = 2**28
_STREAM = 211


def recovered_draws(
    problem: Problem, posterior: xr.Dataset, groups: Mapping[str, NDArray[np.intp]], seed: int
) -> Draws:
    """Return draws of a posterior with b of some groups, (S, m, q) for each factor.

    Population coefficients are drawn again with them, since the two are one draw.

    Parameters
    ----------
    problem : Problem
    posterior : Dataset
        Without draws of b; correlations as matrices.
    groups : dict factor -> int array (m,)
    seed : int

    Raises
    ------
    ModelError
        Of models whose group coefficients do not follow from the variance parameters and cross-products alone.
    """
    if isinstance(problem, EffectsProblem) or problem.labels.has_corr_by_stratum:
        raise ModelError(
            "the tree has no draws of the group coefficients, only summaries: sample with group_effects='draws'."
        )
    cov = covariances_of(problem, posterior)
    likelihood = problem.likelihood("prior")
    S, n_all = len(cov.sd), sum(len(f.levels) * len(f.coef) for f in problem.labels.factors)
    size = max(1, _MOST_BYTES // (8 * max(n_all, 1)))
    beta: list[Array] = []
    b: dict[str, list[Array]] = {name: [] for name in groups}
    for k, begin in enumerate(range(0, S, size)):
        part = slice(begin, begin + size)
        own = Covariances(**{field.name: getattr(cov, field.name)[part] for field in fields(cov)})
        stream = int(np.random.SeedSequence([seed, _STREAM, k]).generate_state(1)[0])
        drawn = problem.draws_with_fixed(recover(likelihood, own, seed=stream))
        assert drawn.b is not None
        beta.append(drawn.beta)
        for factor, values in zip(problem.labels.factors, drawn.b, strict=True):
            b[factor.name].append(values[:, groups[factor.name]])
    return Draws(
        beta=np.concatenate(beta),
        b={name: np.concatenate(parts) for name, parts in b.items()},
        error_sd=cov.error_sd,
        error_corr=cov.error_corr,
    )


def group_effects(tree: xr.DataTree, model: ModelLike | None = None) -> xr.DataTree:
    """Return the tree with summaries of the coefficients of all groups, of a posterior that has none or only draws.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample`, with ``group_effects="none"``, say.
    model : Model, optional
        The model that it was sampled from; by default the one that the tree carries (`Model.from_tree`).

    Returns
    -------
    DataTree
        With the group ``effects`` that ``group_effects="summary"`` has. The data are shared, not copied.

    Raises
    ------
    ModelError
        If tree and model do not match, the model has no grouping factor, or its group coefficients do not follow from
        the variance parameters and cross-products alone.

    See Also
    --------
    shrinkage : Reports them.
    Model.sample : What of the group coefficients is kept.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> tree = model.sample(draws=200, seed=1, method="psis", group_effects="none")
    >>> sorted(map(str, hr.group_effects(tree)["effects"].data_vars))[:2]
    ['b_Batch_mean', 'b_Batch_quantiles']
    """
    problem = gaussian(problem_of(tree, model), "hr.group_effects")
    if not problem.labels.factors:
        raise ModelError(f"hr.group_effects: {problem.formula!r} has no group term such as (x | g).")
    if isinstance(problem, EffectsProblem):
        raise ModelError(
            "hr.group_effects needs group coefficients that are normal given the parameters that are kept: sample with "
            "group_effects='summary'."
        )
    recovered = recover(
        problem.likelihood("prior"),
        covariances_of(problem, draws_in(tree)),
        seed=int(tree.attrs.get("seed", 0)),
        probs=build.PROBS,
        theta_columns=problem.free_theta_columns(),
        threads=available_cores(),
    )
    effects = build.effect_summaries(problem.labels, problem.draws_with_fixed(recovered), build.PROBS)
    return with_group(tree, "effects", effects)


def covariances_of(problem: Problem, posterior: xr.Dataset) -> Covariances:
    """Return the covariances at the draws of a posterior, whose correlations are matrices."""
    labels = problem.labels

    def array(name: str) -> Array:
        values = posterior[name].transpose("chain", "draw", ...).to_numpy()
        return values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])

    S, q = len(array("beta")), sum(len(factor.coef) for factor in labels.factors)
    sd, corr, Lambda, start = np.empty((S, q)), np.zeros((S, q, q)), np.zeros((S, q, q)), 0
    for factor in labels.factors:
        mine = slice(start, start + len(factor.coef))
        sd[:, mine] = array(f"sd_{factor.key}")
        name = f"corr_{factor.key}"
        corr[:, mine, mine] = array(name) if name in posterior else np.eye(len(factor.coef))
        # Factor by factor: Lambda is block diagonal, and a factor of the whole need not be.
        own = sd[:, mine]
        Lambda[:, mine, mine] = semidefinite_factor(own[:, :, None] * corr[:, mine, mine] * own[:, None, :])
        start = mine.stop
    D = len(problem.layout.labels)
    error_sd = array("error_sd").reshape(S, -1) if labels.n_error_sd else np.ones((S, D))
    if labels.has_corr_by_stratum:
        error_corr = array("error_corr").reshape(S, D)
        error_cov = problem.parameters.within_units.covariance(error_sd, error_corr)
    else:
        error_corr = array("error_corr") if labels.has_error_corr else np.broadcast_to(np.eye(D), (S, D, D))
        error_cov = error_sd[:, :, None] * error_corr * error_sd[:, None, :]
    return Covariances(sd=sd, corr=corr, Lambda=Lambda, error_sd=error_sd, error_corr=error_corr, error_cov=error_cov)
