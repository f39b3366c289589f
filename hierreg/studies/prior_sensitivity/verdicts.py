"""What the numbers say of one quantity, in words: whose answer it is, by which evidence, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

THRESHOLD = 0.05
# Kallioinen et al. (2024): a sensitivity of 0.05 is about what moves the mean of a normal posterior by 0.3 of its
# standard deviations where the power is doubled.
MOVED = 0.3
# A posterior that is no narrower than this beside its prior has learned nothing, whatever powers do.
LEARNED = 0.1
# And one that has lost this share of its prior's variance does not rest on the prior alone.
MOSTLY_LEARNED = 0.5
# A sensitivity that is not so many times what unrelated weights give cannot be read.
ABOVE_NOISE = 2.0

DATA = "determined by the data"
PRIOR = "rests on the prior"
BOTH = "prior and data both count"
DISAGREE = "prior and data disagree"
UNKNOWN = "not known from these draws"
VERDICTS = (DATA, PRIOR, BOTH, DISAGREE, UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The numbers of one quantity.

    Attributes
    ----------
    name : str
    prior, likelihood : float
        Sensitivities.
    noise : (float, float)
        What weights that say nothing of the quantity would give, of each.
    moved_by_prior, moved_by_likelihood : float
        Posterior standard deviations by which the mean moves where the power is doubled.
    contraction : float
    overlap : float
    is_flat : bool
        Whether it has no prior distribution.
    most : str
        The variable whose prior it depends on most.
    weights_are_bad : (bool, bool)
        Whether the weights of a power of the prior, of the likelihood, cannot be trusted.
    """

    name: str
    prior: float
    likelihood: float
    noise: tuple[float, float]
    moved_by_prior: float
    moved_by_likelihood: float
    contraction: float
    overlap: float
    is_flat: bool
    most: str
    weights_are_bad: tuple[bool, bool] = (False, False)


def verdict(e: Evidence, threshold: float = THRESHOLD) -> str:
    """Return one of `VERDICTS`."""
    by_prior, by_likelihood = (
        value >= threshold and value >= ABOVE_NOISE * noise
        for value, noise in zip((e.prior, e.likelihood), e.noise, strict=True)
    )
    is_noise = e.prior >= threshold and not by_prior
    if is_noise or e.weights_are_bad[0] or (by_prior and e.weights_are_bad[1]):
        return UNKNOWN
    if not by_prior:
        # A prior that is constant over the posterior has the same powers: contraction is what is left to ask.
        return PRIOR if not e.is_flat and e.contraction < LEARNED and e.overlap > 1.0 - MOVED else DATA
    if not by_likelihood:
        # More of the same data would say no more, but those that there are have said most.
        return BOTH if e.contraction >= MOSTLY_LEARNED else PRIOR
    shifts = e.moved_by_prior, e.moved_by_likelihood
    is_opposed = shifts[0] * shifts[1] < 0 and min(map(abs, shifts)) >= MOVED
    return DISAGREE if is_opposed else BOTH


def in_words(e: Evidence, said: str) -> str:
    """Return the evidence for a verdict and what to do; empty where the data determine a quantity."""
    if said == DATA:
        return ""
    numbers = (
        f"{e.name} {said}: it answers to powers of the priors by {e.prior:.2f}"
        + (f" (most to that of {e.most})" if e.most else "")
        + f", of the likelihood by {e.likelihood:.2f}; twice the power moves its mean by {e.moved_by_prior:+.2f} and "
        f"{e.moved_by_likelihood:+.2f} posterior sds; contraction {e.contraction:.2f}, overlap {e.overlap:.2f}."
    )
    return f"{numbers} {_remedy(e, said)}"


def _remedy(e: Evidence, said: str) -> str:
    grid = f"hr.sensitivity(model, {_other_priors(e.most)})"
    if said == PRIOR:
        return f"Say what you know of it, and report it under several priors: {grid}."
    if said == BOTH:
        return f"See what other priors that you could defend make of it: {grid}."
    if said == DISAGREE:
        return (
            "Ask whether the prior is what you know, and whether the data are what the model takes them for; "
            f"hr.prior_predictive(model) shows what the prior expects, {grid} what a wider one makes of it."
        )
    if any(e.weights_are_bad):
        return "The weights have too long a tail: fit again under the powers, hr.sensitivity(model, powers=[0.5, 2])."
    return "Weights that say nothing of it would give as much: take more draws."


def _other_priors(variable: str) -> str:
    """Return the argument that asks for other priors of a variable."""
    if variable.startswith(("corr_", "error_corr")):
        return f"eta={{{variable!r}: [1, 2, 4]}}"
    if variable.startswith(("sd_", "error_sd", "beta")):
        return f"scales={{{variable!r}: [0.5, 1, 2]}}"
    return "powers=[0.5, 2]"
