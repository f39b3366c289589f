"""Answers: lme4's fits by Laplace and by quadrature, brute-force integration, and the posterior of PyMC."""

from functools import cache
from typing import Any

import xarray as xr

from models.catalogue import Expectation, sample
from models.comparisons import answers, of_an_estimate, of_other_draws
from models.contraception.model import build, log_likelihood, without_slopes


@cache
def estimate(method: str = "laplace", nodes: int | None = None) -> Any:
    """Return an estimate."""
    return build().estimate(method, nodes=nodes)  # type: ignore[arg-type]


@cache
def without() -> Any:
    """Return the estimate of one effect of each district, with 25 nodes."""
    return without_slopes().estimate("quadrature", nodes=25)


@cache
def posterior() -> xr.DataTree:
    """Return independent draws under the default priors, by importance sampling, with the correlation by itself."""
    tree = sample(build(), method="psis", draws=300)
    corr = tree["posterior"]["corr_district"].to_numpy()[..., 0]
    tree["posterior"] = tree["posterior"].to_dataset().assign(corr=(("chain", "draw"), corr))
    return tree


@cache
def by_brute_force(nodes: int) -> Expectation:
    """Return the expectation that so many nodes give the likelihood at their estimate."""
    e = estimate("quadrature", nodes)
    return Expectation(
        name=f"criterion by {nodes} x {nodes} nodes",
        kind="closed form",
        source="the effects of every district summed over a grid of 121 x 121 points (`log_likelihood`)",
        value=-2.0 * log_likelihood(e.beta.to_numpy(), e.cov["district"].to_numpy()),
        found=lambda: e.criterion,
        absolute=1e-6,
    )


def expectations() -> list[Expectation]:
    """Return all expectations."""
    known = answers("contraception")
    out = of_an_estimate("Laplace", estimate, known["laplace"], relative=1e-5)
    out += of_an_estimate("no slopes, 25 nodes", without, known["without slopes"], relative=1e-5)
    out.append(by_brute_force(15))
    return out + of_other_draws(known["pymc"], posterior, lambda _: False, is_chain=False)
