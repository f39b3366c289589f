"""What draws say of rows whose response is not normal: linear predictors, replicates, log densities, prior draws."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import check_choice, check_whole
from hierreg.design_matrices.predictors import linear_predictors as of_rows
from hierreg.exceptions import ModelError
from hierreg.predictive.family_prior import log_prior_with_family
from hierreg.predictive.prior_draws import check_priors, draw_coefficients
from hierreg.predictive.rows import check_size, chunks
from hierreg.priors import Fixed
from hierreg.priors.above import draw_above
from hierreg.problem.labels import factors_attribute, response_variable
from hierreg.response import Bernoulli, Binomial, Cumulative, LogNormalResponse, NegativeBinomial, Poisson
from hierreg.results import build
from hierreg.results.carried import draws_in, tree_of, with_group, with_mu

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.likelihood.quadrature.auxiliary import Auxiliary
    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]

GROUPS = ("prior", "prior_predictive", "posterior_predictive", "log_likelihood", "log_prior", "mu")
PRIOR_DRAWS = 500
# Families of counts and categories, and above which whole numbers are no longer told apart in a double.
_WHOLE, _LARGEST = (Bernoulli, Binomial, Poisson, NegativeBinomial, Cumulative), 2.0**53
_PRIOR_STREAM, _PRIOR_PREDICTIVE_STREAM, _POSTERIOR_PREDICTIVE_STREAM = 101, 102, 103
_ALL = slice(None)


def attributes(problem: FamilyProblem) -> dict[str, Any]:
    """Return what a result records of its model."""
    return {
        "formula": problem.formula,
        "errors": str(problem.family),
        "family": str(problem.family),
        "link": problem.family.link,
        "offset": problem.offset_name or "",
        "weights": problem.weights_name or "",
        "trials": problem.trials_name or "",
        "categories": json.dumps(problem.observed.categories, ensure_ascii=False),
        "auxiliary": json.dumps(problem.auxiliary.names),
        "latent_variance": problem.family.link_function.variance if problem.family.is_latent else 0.0,
        "priors": problem.priors.for_files(),
        "response": problem.labels.response,
        "factors": factors_attribute(problem.labels),
        "error_dim": "",
        "n_rows": problem.n_rows,
    }


def observed_values(problem: FamilyProblem) -> Array:
    """Return the responses (N,) as they were given: successes, counts, values, or categories counted from zero."""
    y = problem.observed.y
    return np.exp(y) if isinstance(problem.family, LogNormalResponse) else _whole(problem, y)


def _whole(problem: FamilyProblem, y: Array) -> Array:
    """Return counts and categories as integers, which ArviZ tells from values by their type; others as they are.

    Counts that a wide prior makes may be too large, or infinite: then all of them stay numbers of double precision.
    """
    is_whole = isinstance(problem.family, _WHOLE) and bool(np.all(np.abs(y) < _LARGEST))
    return y.astype(np.int64) if is_whole else y


def check_family_groups(problem: FamilyProblem, names: Sequence[str], n_draws: int) -> None:
    """Raise where a group that is asked for cannot be made."""
    for name in names:
        if name == "log_likelihood_units":
            raise ModelError(
                f"include={name!r} with family={problem.family}: its rows are independent given the coefficients, so "
                f"that there are no units. Here there are {', '.join(GROUPS)}."
            )
        check_choice(name, GROUPS, argument="include", error=ModelError)
        if name in {"prior", "prior_predictive"}:
            check_priors(problem, PRIOR_DRAWS)
        elif name != "log_prior":
            check_size(n_draws, problem.n_rows, name, "Use fewer draws.")


def with_family_group(tree: xr.DataTree, problem: FamilyProblem, name: str, *, seed: int) -> xr.DataTree:
    """Return the tree with one more group; with ``prior_predictive`` comes ``prior``."""
    if name == "posterior_predictive":
        return with_group(tree, name, replicates(problem, draws_in(tree), seed))
    if name == "log_likelihood":
        return with_group(tree, name, row_log_likelihood(problem, draws_in(tree)))
    if name == "log_prior":
        return with_group(tree, name, log_prior(problem, tree))
    if name == "mu":
        return with_mu(tree, expected_responses(problem, draws_in(tree)))
    prior = prior_group(problem, PRIOR_DRAWS, seed)
    tree = with_group(tree, "prior", prior)
    if name == "prior":
        return tree
    return with_group(tree, name, replicates(problem, prior, seed, stream=_PRIOR_PREDICTIVE_STREAM))


def prior_predictive(problem: FamilyProblem, draws: int, seed: int) -> xr.DataTree:
    """Return draws of the parameters from their priors, and of the response from them."""
    check_size(draws, problem.n_rows, "prior_predictive", "Use fewer draws, draws=...")
    prior = prior_group(problem, draws, seed)
    tree = tree_of(
        {
            "prior": prior,
            "prior_predictive": replicates(problem, prior, seed, stream=_PRIOR_PREDICTIVE_STREAM),
            "observed_data": build.observed_group(problem.labels, observed_values(problem)),
        },
        problem,
    )
    tree.attrs = build.versions() | attributes(problem) | {"seed": seed}
    return tree


def posterior_predictive(problem: FamilyProblem, tree: xr.DataTree, draws: int | None, seed: int) -> xr.Dataset:
    """Return replicated responses, one for each draw, or for some of each chain."""
    posterior = draws_in(tree)
    available = posterior.sizes["draw"]
    if draws is not None:
        check_whole("draws", draws, least=1)
        if draws > available:
            raise ModelError(f"draws={draws} per chain were asked for, but the tree has {available}.")
        posterior = posterior.isel(draw=np.arange(draws) * available // draws)
    n = posterior.sizes["chain"] * posterior.sizes["draw"]
    check_size(n, problem.n_rows, "posterior_predictive", "Use fewer draws, draws=...")
    return replicates(problem, posterior, seed)


def log_likelihood(problem: FamilyProblem, tree: xr.DataTree, *, by: str, joint: bool) -> xr.Dataset:
    """Return the log density of every row, or of all together."""
    if by == "unit":
        raise ModelError(f"by='unit' with family={problem.family}: its rows are independent; use by='row'.")
    posterior = draws_in(tree)
    if not joint:
        n = posterior.sizes["chain"] * posterior.sizes["draw"]
        check_size(n, problem.n_rows, "log_likelihood", "Thin the tree, or use joint=True.")
    rows = row_log_likelihood(problem, posterior)
    return rows.sum("obs").assign_attrs(element="all rows") if joint else rows


def log_prior(problem: FamilyProblem, tree: xr.DataTree) -> xr.Dataset:
    """Return the log prior densities of the draws."""
    import xarray as xr

    return xr.Dataset(log_prior_with_family(problem, draws_in(tree)))


def prior_group(problem: FamilyProblem, draws: int, seed: int) -> xr.Dataset:
    """Return draws of all parameters from their priors, with the variables of the posterior."""
    check_priors(problem, draws)
    rng = np.random.default_rng([seed, _PRIOR_STREAM])
    recovered, cov = draw_coefficients(problem, draws, rng)
    phi = recovered.beta @ problem.priors.beta_basis.T
    beta, auxiliary = problem.reported(problem.beta(phi[:, problem.free]), _draw_auxiliary(problem, draws, rng))
    out = build.posterior(problem.labels, (1, draws), cov, replace(recovered, beta=beta))
    return with_auxiliary(out, problem.auxiliary, auxiliary)


def _draw_auxiliary(problem: FamilyProblem, draws: int, rng: np.random.Generator) -> Array:
    auxiliary = problem.auxiliary
    T, m = auxiliary.shape
    columns = [_draw_one(prior, auxiliary, k % m, draws, rng) for k, prior in enumerate(auxiliary.flat)]
    values = np.stack(columns, axis=1) if columns else np.empty((draws, 0))
    # The density of increasing thresholds is that of sorted ones.
    values = (np.sort(values, axis=1) if auxiliary.has_order else values).reshape(draws, T, m)
    for k, name in enumerate(auxiliary.names[:m]):
        if name in auxiliary.common:
            values[:, :, k] = values[:, :1, k]
    return values


def _draw_one(prior: Any, auxiliary: Auxiliary, k: int, draws: int, rng: np.random.Generator) -> Array:
    """Return draws (draws,) of one further parameter, the k-th of its stratum."""
    if isinstance(prior, Fixed):
        return np.full(draws, float(prior.array))
    if auxiliary.has_order:
        return np.asarray(prior.draw(rng, draws))
    return draw_above(prior, auxiliary.lowest.get(auxiliary.names[k], 0.0), draws, rng)


def with_auxiliary(posterior: xr.Dataset, auxiliary: Auxiliary, values: Array) -> xr.Dataset:
    """Return a posterior group with the further parameters (S, T, m) of the family."""
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    out = posterior
    for name, (dims, mine) in auxiliary.arrays(values).items():
        out[name] = (("chain", "draw", *dims), mine.reshape(*shape, *mine.shape[1:]))
        out = out.assign_coords({dim: auxiliary.coords[dim] for dim in dims})
    return out


def auxiliary_draws(problem: FamilyProblem, posterior: xr.Dataset) -> Array:
    """Return the further parameters (S, T, m) of a posterior or prior group, as they are reported."""
    auxiliary = problem.auxiliary
    T, m = auxiliary.shape
    S = posterior.sizes["chain"] * posterior.sizes["draw"]
    if auxiliary.has_order:
        return posterior[auxiliary.names[0]].transpose("chain", "draw", ...).to_numpy().reshape(S, 1, m)
    columns = (posterior[name].transpose("chain", "draw", ...).to_numpy().reshape(S, -1) for name in auxiliary.names)
    out = np.empty((S, T, m))
    for k, values in enumerate(columns):
        out[:, :, k] = values
    return out


def coefficient_draws(problem: FamilyProblem, posterior: xr.Dataset) -> tuple[Array, tuple[Array, ...]]:
    """Return beta (S, p), those that are reported, and b (S, J, q) of each grouping factor."""
    S = posterior.sizes["chain"] * posterior.sizes["draw"]
    beta = posterior["beta"].transpose("chain", "draw", ...).to_numpy().reshape(S, -1)
    b = (posterior[f"b_{factor.key}"].transpose("chain", "draw", ...).to_numpy() for factor in problem.labels.factors)
    return beta, tuple(one.reshape(S, *one.shape[2:]) for one in b)


def linear_predictors(problem: FamilyProblem, beta: Array, b: Sequence[Array], rows: slice = _ALL) -> Array:
    """Return the linear predictors (S, N) of the rows, the offset included; thresholds are not taken off."""
    return problem.offset[rows] + of_rows(problem.design, beta, b, columns=problem.kept_coefficients, rows=rows)


def replicates(
    problem: FamilyProblem, draws: xr.Dataset, seed: int, *, stream: int = _POSTERIOR_PREDICTIVE_STREAM
) -> xr.Dataset:
    """Return replicated responses (chain, draw, obs), one for each draw of a posterior or prior group."""
    rng = np.random.default_rng([seed, stream])
    beta, b = coefficient_draws(problem, draws)
    auxiliary = auxiliary_draws(problem, draws)
    out = np.empty((len(beta), problem.n_rows))
    for part in chunks(len(beta), problem.n_rows):
        eta = linear_predictors(problem, beta[part], [one[part] for one in b])
        out[part] = drawn(problem, rng, eta, auxiliary[part], problem.observed.stratum, problem.observed.trials)
    return as_family_group(problem, draws, out)


def as_family_group(problem: FamilyProblem, draws: xr.Dataset, values: Array) -> xr.Dataset:
    """Return responses (S, N) at draws of a posterior or prior group as a group of a tree."""
    return _group(problem, draws, _whole(problem, values), attrs=labels_of_numbers(problem))


def labels_of_numbers(problem: FamilyProblem) -> dict[str, Any]:
    """Return what the numbers of a response stand for, from zero on, as an attribute; nothing where they are values."""
    categories = problem.observed.categories
    return {"categories": list(categories)} if categories else {}


def expected_responses(problem: FamilyProblem, draws: xr.Dataset) -> Array:
    """Return the expected response of every row (S, N): of binomial ones, the probability of success."""
    if isinstance(problem.family, Cumulative):
        raise ModelError(
            f"include='mu' with family={problem.family}: an ordered category has no expected value. Use hr.predict for "
            "the probabilities of the categories."
        )
    beta, b = coefficient_draws(problem, draws)
    a, c = row_auxiliaries(auxiliary_draws(problem, draws), problem.observed.stratum)
    out = np.empty((len(beta), problem.n_rows))
    for part in chunks(len(beta), problem.n_rows):
        eta = linear_predictors(problem, beta[part], [one[part] for one in b])
        out[part] = problem.family.mean(eta, a[part], c[part])
    return out


def drawn(  # what a response depends on
    problem: FamilyProblem, rng: np.random.Generator, eta: Array, auxiliary: Array, stratum: Any, trials: Array
) -> Array:
    """Return responses (S, M) drawn at linear predictors (S, M), as they are given: counts, values, categories."""
    family = problem.family
    if isinstance(family, Cumulative):
        latent = family.draw(rng, eta, trials, eta, eta)
        return np.sum(latent[:, :, None] > auxiliary[:, 0][:, None, :], axis=2).astype(np.float64)
    a, c = row_auxiliaries(auxiliary, stratum)
    y = family.draw(rng, eta, np.broadcast_to(trials, eta.shape), a, c)
    return np.exp(y) if isinstance(family, LogNormalResponse) else y


def row_auxiliaries(auxiliary: Array, stratum: Any) -> tuple[Array, Array]:
    """Return a and c (S, M) of `response.kernels` from further parameters (S, T, m) by stratum."""
    m = auxiliary.shape[2]
    nothing = np.zeros((len(auxiliary), len(stratum)))
    return (
        auxiliary[:, stratum, 0] if m > 0 else nothing,
        auxiliary[:, stratum, 1] if m > 1 else nothing,
    )


def row_log_likelihood(problem: FamilyProblem, posterior: xr.Dataset) -> xr.Dataset:
    """Return the log density of every row given all coefficients (chain, draw, obs)."""
    beta, b = coefficient_draws(problem, posterior)
    auxiliary = auxiliary_draws(problem, posterior)
    likelihood = problem.likelihood(1)
    out = np.empty((len(beta), problem.n_rows))
    for part in chunks(len(beta), problem.n_rows):
        eta = linear_predictors(problem, beta[part], [one[part] for one in b])
        for s, one in zip(range(*part.indices(len(beta))), eta, strict=True):
            out[s] = likelihood.row_densities(one, auxiliary[s])
    if isinstance(problem.family, LogNormalResponse):
        # The response is the exponential.
        out -= problem.weights * problem.observed.y
    return _group(problem, posterior, out).assign_attrs(element="row")


def _group(
    problem: FamilyProblem, draws: xr.Dataset, values: Array, attrs: Mapping[str, Any] | None = None
) -> xr.Dataset:
    import xarray as xr

    shape = draws.sizes["chain"], draws.sizes["draw"]
    name = response_variable(problem.labels.response)
    coords = {d: draws.coords[d].to_numpy() for d in ("chain", "draw")} | {"obs": np.arange(values.shape[1])}
    variable = (("chain", "draw", "obs"), values.reshape(*shape, -1), dict(attrs or {}))
    return xr.Dataset({name: variable}, coords=coords)
