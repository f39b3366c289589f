"""Standard deviations of which the posterior is little more than the prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.criticism.values import Finding, NotMade
from hierreg.priors import Fixed
from hierreg.results.carried import draws_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hierreg.criticism.examined import Examined
    from hierreg.criticism.values import Array

# Range after the data over that before, from which on data say little.
_LITTLE = 0.75
_DRAWS, _SEED = 4000, 17


def prior(x: Examined) -> Finding | NotMade:
    """Compare the interquartile range of each sd, and of its logarithm, with that of its prior.

    Group effects have it in the frame that default priors are stated in, at the predictors' means.
    """
    if x.tree is None:
        return NotMade(reason="an estimate has no prior")
    if not x.has_normal_effects or hasattr(x.problem, "family"):
        return NotMade(reason="made of models with normal responses and normal group effects")
    rng = np.random.default_rng(_SEED)
    ratios = {name: _ratio(draws, family.draw(rng, _DRAWS)) for name, draws, family in _free_sds(x)}
    if not ratios:
        return NotMade(reason="all standard deviations are held at values")
    little = {name: ratio for name, ratio in ratios.items() if ratio > _LITTLE}
    worst = max(ratios, key=lambda name: ratios[name])
    return Finding(
        found=f"{worst}, {100 * ratios[worst]:.0f} % of its prior's range",
        evidence=(
            f"The posteriors of {', '.join(little)} are little more than their priors; the widest is that of {worst}"
            if little
            else f"The widest posterior beside its prior is that of {worst}"
        )
        + f": its interquartile range is {100 * ratios[worst]:.0f} % of that of the prior.",
        remedy="a prior from what is known elsewhere, stated with the result, and the same fit under a narrower and a "
        "wider one; more groups rather than more rows",
        statistic=ratios[worst],
        is_alarm=bool(little),
    )


def _ratio(draws: Array, before: Array) -> float:
    """Return the range of draws over that of the prior: of themselves or their logarithms, whichever says less.

    An sd that is known to be small has a logarithm that is not, and one that is known to be large has itself a wide
    range.
    """
    tiny = np.finfo(float).tiny
    return min(_range(draws) / _range(before), _range(np.log(draws + tiny)) / _range(np.log(before + tiny)))


def _range(draws: Array) -> float:
    low, high = np.quantile(draws, [0.25, 0.75])
    return float(high - low)


def _free_sds(x: Examined) -> Iterator[tuple[str, Array, Any]]:
    """Yield name, draws (S,) and prior of each standard deviation that is free."""
    from hierreg.predictive.densities import in_frame

    posterior, priors, labels = draws_in(x.tree), x.problem.priors, x.problem.labels  # type: ignore[arg-type]  # not None
    for factor in labels.factors:
        sd, _ = in_frame(
            priors.frames.get(factor.name), posterior[f"sd_{factor.key}"], posterior.get(f"corr_{factor.key}")
        )
        for i, (coef, family) in enumerate(zip(factor.coef, priors.sd[factor.name], strict=True)):
            if not isinstance(family, Fixed):
                yield f"sd_{factor.key}[{coef}]", sd.to_numpy()[..., i].ravel(), family
    if labels.n_error_sd:
        errors = posterior["error_sd"].to_numpy().reshape(posterior.sizes["chain"] * posterior.sizes["draw"], -1)
        for i, family in enumerate(priors.error_sd):
            if not isinstance(family, Fixed):
                label = f"[{labels.error_labels[i]}]" if len(priors.error_sd) > 1 else ""
                yield f"error_sd{label}", errors[:, i], family
