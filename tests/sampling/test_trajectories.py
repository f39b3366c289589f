"""How chains move: rotations where the posterior is nearly normal, and NUTS elsewhere."""

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base.array import array_stats

import hierreg as hr
from hierreg.likelihood.posterior import Target
from hierreg.sampling import importance, nuts, trajectories
from hierreg.sampling.approximation import Mode


def target_of(model):
    problem = model.problem
    return Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))


@pytest.fixture(scope="module")
def many():
    """A model of 600 groups, and its mode."""
    rng = np.random.default_rng(4)
    g, x = np.repeat(np.arange(600), 5), rng.standard_normal(3000)
    b = rng.standard_normal((2, 600)) * [[0.8], [0.5]]
    y = 1.0 + b[0, g] + (0.4 + b[1, g]) * x + 0.7 * rng.standard_normal(3000)
    target = target_of(hr.Model("y ~ x + (x | g)", pd.DataFrame({"y": y, "x": x, "g": g})))
    return target, nuts.find_mode(target)


@pytest.fixture(scope="module")
def few():
    target = target_of(hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")))
    return target, nuts.find_mode(target)


def settings(**other):
    return nuts.Settings(
        **({"draws": 1000, "tune": None, "chains": 4, "seed": 1, "cores": 2, "progress": False} | other)
    )


def test_rotations_have_the_distribution_of_importance_sampling(many):
    chains = nuts.sample_chains(*many, settings())
    assert (chains.stats["n_steps"] == 1).all()
    assert not chains.stats["reached_max_treedepth"].any()
    assert not chains.stats["diverging"].any()
    assert chains.n_warmup_steps < 500
    assert chains.stats["acceptance_rate"].mean() > 0.9
    u = chains.u
    assert np.min(array_stats.ess(u, chain_axis=0, draw_axis=1, method="bulk")) > 3200
    assert np.min(array_stats.ess(u, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95))) > 2400
    reference = importance.sample_by_importance(*many, importance.Settings(draws=4000, chains=4, seed=3, cores=2)).u
    probs = np.array([0.02, 0.16, 0.5, 0.84, 0.98])
    quantiles = np.quantile(reference, probs, axis=(0, 1))  # (prob, n)
    below = (u[..., None, :] < quantiles).mean(axis=(0, 1))
    # Of 2,400 effective draws, with 16,000 nearly independent ones to compare with.
    error = np.sqrt(probs * (1 - probs) * (1 / 2400 + 1 / 12_000))
    assert np.all(np.abs(below - probs[:, None]) < 4 * error[:, None])


def test_few_groups_have_nuts_with_few_draws_of_warm_up(few):
    chains = nuts.sample_chains(*few, settings())
    assert chains.stats["n_steps"].max() >= 3
    assert chains.stats["step_size"].max() < 1.06
    assert chains.n_warmup_steps < 4 * 150 * 5


def test_whoever_asks_for_an_acceptance_has_nuts(many):
    chains = nuts.sample_chains(*many, settings(draws=50, target_accept=0.8))
    assert chains.stats["n_steps"].max() >= 3


def test_signed_sds_have_nuts():
    target = target_of(hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2")))
    chains = nuts.sample_chains(target, nuts.find_mode(target), settings(draws=50))
    assert chains.sign is not None
    assert chains.stats["n_steps"].max() >= 3


def test_a_version_of_nutpie_without_rotations_has_nuts(many, monkeypatch):
    monkeypatch.setattr(trajectories, "understands", lambda steps: False)
    own, tune = trajectories.trajectories(*many, None, None, asked=None, threads=1)
    assert own == {"target_accept": trajectories.TARGET_ACCEPT}
    assert tune >= 100


def test_other_densities_keep_the_steps_of_nutpie(many):
    own, _ = trajectories.trajectories(*many, None, (0.6, 0.7, 0.8), asked=None, threads=1)
    assert own == {"target_accept": 0.6}


class Skewed:
    """A density whose remainder over the normal is a cubic with a given spread."""

    def __init__(self, spread):
        self.spread = spread

    def values(self, points, *, threads):
        x = points[:, 0]
        return -0.5 * np.sum(points**2, axis=1) + self.spread * (x**3 - 3 * x) / np.sqrt(6)


@pytest.mark.parametrize(("spread", "expected"), [(0.0, True), (0.05, True), (0.2, False), (np.nan, False)])
def test_nearness_to_normal_is_the_spread_of_the_remainder(spread, expected):
    mode = Mode(u=np.zeros(3), scale=np.eye(3), log_density=0.0, converged=True)
    assert trajectories.is_nearly_normal(Skewed(spread), mode, 1) is expected


def test_a_scale_that_is_only_of_some_says_nothing():
    mode = Mode(u=np.zeros(3), scale=np.eye(2), log_density=0.0, converged=True)
    assert not trajectories.is_nearly_normal(Skewed(0.0), mode, 1)


def test_threads_do_not_change_the_answer(many, few):
    for target, mode in (many, few):
        assert trajectories.is_nearly_normal(target, mode, 1) == trajectories.is_nearly_normal(target, mode, 2)
