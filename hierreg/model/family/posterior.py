"""`Model.sample` where the response is not normal: from a problem to the DataTree."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import BoundaryWarning, ModelError
from hierreg.gram.column_means import means_of_rows
from hierreg.likelihood.alone import group_statistics
from hierreg.likelihood.drawn import Recovered
from hierreg.model.family.draws import DRAWN
from hierreg.model.family.estimation import limit, starts_of_chains
from hierreg.predictive.of_family import attributes, observed_values, with_auxiliary
from hierreg.problem.family import with_quadrature
from hierreg.problem.reference import references
from hierreg.problem.row_moments import moments_of
from hierreg.results import build
from hierreg.results.carried import tree_of
from hierreg.results.prior_attributes import prior_attributes
from hierreg.threads import available_cores
from hierreg.variances.parameters import covariances
from hierreg.warning import warn

if TYPE_CHECKING:
    import xarray as xr

    from hierreg.model.family.draws import Drawn
    from hierreg.problem.family import FamilyProblem
    from hierreg.sampling.request import SampleRequest


_MAX_BYTES = 2**30


def sample(problem: FamilyProblem, request: SampleRequest) -> xr.DataTree:
    """Return the posterior as a DataTree."""
    request.check()
    problem = with_quadrature(problem) if request.method == "psis" else problem
    _check_request(problem, request)
    begin = time.perf_counter()
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if request.seed is None else int(request.seed)
    cores = available_cores() if request.cores is None else int(request.cores)
    plug_in, found = limit(problem)
    if plug_in.estimate.singular:
        warn(
            f"the Laplace estimate is on the boundary: {'; '.join(plug_in.estimate.boundary)}. The posterior averages "
            "over what the data leave open; the plug-in limit beside it does not.",
            BoundaryWarning,
        )
    drawn = DRAWN[problem.engine](problem, starts_of_chains(problem, found), request, seed, cores)
    stats, sampled = drawn.stats, time.perf_counter()
    posterior = _posterior(problem, drawn)
    sizes = {factor.name: factor.term_sizes for factor in problem.design.factors}
    for name, attrs in prior_attributes(problem.labels, problem.priors, sizes).items():
        posterior[name].attrs.update(attrs)
    own = found.working.gram
    constant = build.statistics_group(
        problem.labels,
        own.terms,
        own.terms,
        [group_statistics(own, f) for f in range(len(problem.labels.factors))],
        means_of_rows(problem.design, replace(found.working.layout, se=problem.weights**-0.5)),
        references(problem.labels, problem.state),
        moments_of(problem),
    )
    groups = {
        "posterior": posterior,
        "sample_stats": stats,
        "observed_data": build.observed_group(problem.labels, observed_values(problem)),
        "statistics": _with_population_means(problem, constant),
        "mixed_model_limit": build.limit_group(problem.labels, plug_in),
    }
    tree = tree_of(groups, problem)
    dropped = {"dropped_columns": json.dumps(problem.dropped_columns, ensure_ascii=False)}
    sampler = "psis" if request.method == "psis" else "nutpie"
    tree.attrs = build.versions(sampler) | attributes(problem) | (dropped if problem.dropped_columns else {})
    tree.attrs |= {
        "seed": seed,
        "method": request.method,
        "sampler": sampler,
        "parametrization": request.parametrization,
        "engine": drawn.engine,
        "unidentified": "",
        "sampling_time": sampled - begin,
        "recovery_time": time.perf_counter() - sampled,
        "wall_time": time.perf_counter() - begin,
    }
    if "interrupted" in stats.attrs:
        from hierreg.sampling.interrupted import warn_interrupted

        tree.attrs["interrupted"] = stats.attrs["interrupted"]
        warn_interrupted(tree.attrs["interrupted"])
    for name in request.include:
        from hierreg.predictive.of_family import with_family_group

        tree = with_family_group(tree, problem, name, seed=seed)
    return tree


def _with_population_means(problem: FamilyProblem, constant: xr.Dataset) -> xr.Dataset:
    """Return the group with the means of the population columns and of the offset: where the mean response is told."""
    X, share = problem.design.X[:, problem.kept_coefficients], problem.weights / problem.weights.sum()
    # Of differences from a first row: an offset takes no digits from them.
    means = X[0] + share @ (X - X[0])
    out = constant.assign_coords(coef=list(problem.labels.coef)).assign(population_column_means=(("coef",), means))
    return out.assign_attrs(offset_mean=float(share @ problem.offset))


def _check_request(problem: FamilyProblem, request: SampleRequest) -> None:
    """Raise where something is asked for that these models do not have."""
    what = f"family={problem.family}"
    if request.parametrization != "marginal":
        raise ModelError(
            f"parametrization={request.parametrization!r} with {what}: sample the model that "
            f"Model.to_pymc({request.parametrization!r}) returns, with pymc.sample."
        )
    if request.sampler != "nutpie":
        raise ModelError(f"sampler={request.sampler!r} with {what}: sample what Model.to_pymc() returns, with PyMC.")
    if request.group_effects in {"summary", "none"}:
        raise ModelError(
            f"group_effects={request.group_effects!r} with {what}: draws are kept; leave group_effects out."
        )
    if request.method == "psis" and problem.engine == "joint":
        raise ModelError(
            f"method='psis' with {problem.formula!r}: the {problem.n_effects} coefficients of its groups are sampled "
            "too, which is too many for importance sampling. Use method='nuts'."
        )
    size = request.chains * request.draws * max(problem.n_effects, 1) * 16
    if size > _MAX_BYTES and request.group_effects != "draws":
        raise ModelError(
            f"draws of {problem.n_effects} coefficients of groups would take {size / 2**30:.1f} GiB. Ask for fewer "
            "draws, or for all of them with group_effects='draws'."
        )
    from hierreg.predictive.of_family import check_family_groups

    check_family_groups(problem, request.include, request.chains * request.draws)


def _posterior(problem: FamilyProblem, drawn: Drawn) -> xr.Dataset:
    """Return the posterior group, one draw of the effects of every group for each draw of psi."""
    cov = covariances(problem.parameters, drawn.u)
    b = tuple(
        v @ np.swapaxes(cov.Lambda[:, mine, mine], 1, 2)
        for v, mine in zip(drawn.effects(), problem.parameters.factor_slices, strict=True)
    )
    beta, auxiliary = problem.reported(problem.beta(drawn.phi), problem.auxiliary.natural(drawn.w))
    recovered = Recovered(beta=beta, b=b, b_summary=None, theta_summary=None)
    out = build.posterior(problem.labels, drawn.shape, cov, recovered)
    return with_auxiliary(out, problem.auxiliary, auxiliary)
