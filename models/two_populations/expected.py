"""Answers about two populations: maximum likelihood by EM, and the truth of the simulation."""

import warnings
from functools import cache, partial
from typing import Any

import numpy as np
import xarray as xr

import hierreg as hr
from models.catalogue import Expectation, sample
from models.two_populations.model import SD, SEED, TRUTH, Mixed, build, by_em, trial

EM = "expectation and maximisation on the patients' own lines (`by_em`)"
GENERATOR = f"trial() in model.py: numpy default_rng({SEED}), TRUTH and SD"


@cache
def em() -> Mixed:
    """Return the maximum of the likelihood."""
    return by_em()


@cache
def ml() -> Any:
    """Return the estimate."""
    return build().estimate("ml")


@cache
def posterior() -> xr.DataTree:
    """Return draws under the default priors."""
    return sample(build())


@cache
def of_one_population() -> tuple[xr.DataTree, tuple[str, ...]]:
    """Return draws where the patients are of one population, and what is warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tree = sample(build(trial(two=False).table))
    found = [str(one.message) for one in caught if issubclass(one.category, hr.exceptions.IdentificationWarning)]
    return tree, tuple(found)


def component_means() -> Any:
    """Return the draws of level and change a week of both components, (chain, draw, 2, 2)."""
    p = posterior()["posterior"]
    return p["beta"].to_numpy()[:, :, None] + p["component_mean_patient"].to_numpy()


def probability() -> np.ndarray:
    """Return the posterior probability of each patient to be of the component that falls faster."""
    return posterior()["posterior"]["probability_patient"].mean(("chain", "draw")).to_numpy()[:, 0]


def calibration() -> list[float]:
    """Return responders less their expected number, and squared errors less those expected, in standard errors."""
    p, z = probability(), trial().responds
    square = (z - p) ** 2
    expected, variance = p * (1 - p), p * (1 - p) * (1 - 2 * p) ** 2
    return [
        float((z - p).sum() / np.sqrt(expected.sum())),
        float((square - expected).sum() / np.sqrt(variance.sum())),
    ]


def of_em() -> list[Expectation]:
    """Return the expectations about maximum likelihood."""
    known, exact = em(), partial(Expectation, kind="closed form", source=EM)
    return [
        exact(name="ML: criterion", value=known.criterion, found=lambda: ml().criterion, relative=1e-9),
        exact(
            name="ML: weights",
            value=known.weight,
            found=lambda: ml().component_weight["patient"],
            relative=1e-4,
        ),
        exact(
            name="ML: level and change of both components",
            value=known.mean,
            found=lambda: ml().beta.to_numpy() + ml().component_mean["patient"].to_numpy(),
            relative=1e-4,
        ),
        exact(
            name="ML: sds within a component",
            value=np.sqrt(np.diag(known.cov)),
            found=lambda: ml().component_sd["patient"],
            relative=1e-4,
        ),
        exact(name="ML: error sd", value=known.error_sd, found=lambda: ml().error_sd, relative=1e-5),
        exact(
            name="ML: probabilities of every patient",
            value=known.probability,
            found=lambda: ml().probability["patient"],
            absolute=1e-4,
        ),
    ]


def expectations() -> list[Expectation]:
    """Return all expectations."""
    true = partial(Expectation, kind="truth", source=GENERATOR)
    level = TRUTH["level"]
    return [
        *of_em(),
        true(
            name="posterior: level and change of both components",
            value=[[level, TRUTH["responders"]], [level, TRUTH["others"]]],
            found=component_means,
            sds=3,
        ),
        true(
            name="posterior: sds within a component",
            value=SD,
            found=lambda: posterior()["posterior"]["component_sd_patient"],
            sds=3,
        ),
        true(
            name="posterior: share that responds",
            value=TRUTH["share"],
            found=lambda: posterior()["posterior"]["component_weight_patient"][..., 0],
            sds=3,
        ),
        true(
            name="probabilities: number of responders and squared errors, in standard errors",
            value=[0.0, 0.0],
            found=calibration,
            absolute=3.0,
        ),
        true(
            name="one population: the warning that two are not supported",
            value=1.0,
            found=lambda: float(len(of_one_population()[1])),
            absolute=0.5,
        ),
    ]
