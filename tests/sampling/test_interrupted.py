"""A user interrupts: what is finished is kept, and said."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import hierreg as hr
from hierreg.exceptions import InterruptedWarning
from hierreg.likelihood.posterior import Target
from hierreg.sampling import importance, nuts, pymc_chains
from hierreg.sampling.interrupted import finished_draws, kept


@pytest.fixture(scope="module")
def model():
    return hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))


# ---- what is kept


@pytest.mark.parametrize(
    ("finished", "chains", "draws", "words"),
    [
        ([50, 50], (0, 1), 50, ""),
        ([50], (0,), 50, "1 of 2 chains are kept, with 50 of 50 draws each; left out: chain 1 (0 draws)"),
        ([40, 38], (0, 1), 38, "2 of 2 chains are kept, with 38 of 50 draws each."),
        ([50, 3], (0,), 50, "left out: chain 1 (3 draws)"),
        ([0, 25], (1,), 25, "left out: chain 0 (0 draws)"),
        # As many draws in two chains as in one: two.
        ([40, 20], (0, 1), 20, "2 of 2 chains"),
    ],
)
def test_the_rectangle_with_most_draws_is_kept(finished, chains, draws, words):
    found = kept(finished, chains=2, draws=50)
    assert (found.chains, found.draws) == (chains, draws)
    assert words in found.message
    assert bool(found.message) == bool(words)


@pytest.mark.parametrize("finished", [[], [0], [0, 0]])
def test_without_a_finished_draw_the_interrupt_is_raised(finished):
    with pytest.raises(KeyboardInterrupt, match="warm-up"):
        kept(finished, chains=2, draws=50)


def test_finished_draws_are_those_before_the_first_gap():
    draws = np.zeros((3, 4, 2))
    draws[0, 2:] = np.nan
    draws[2, 0, 1] = np.nan
    assert finished_draws(draws) == [2, 4, 0]


# ---- NUTS

# Short chains are warned of, too.
short = pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")


class Cut:
    """A raw trace whose chains are cut, as nutpie returns it when it is interrupted."""

    def __init__(self, trace, rows):
        self.trace, self.rows = trace, rows

    def get_arrow_trace(self):
        return [[c.slice(0, n) for c, n in zip(part, self.rows, strict=False)] for part in self.trace.get_arrow_trace()]


def cut_nutpie(monkeypatch, rows):
    sample = nuts.raw_trace
    monkeypatch.setattr(nuts, "raw_trace", lambda *args, **options: Cut(sample(*args, **options), rows))


@short
def test_cut_chains_are_the_first_draws_of_whole_ones(model, monkeypatch):
    options = {"draws": 30, "tune": 20, "chains": 3, "seed": 1, "cores": 1, "progress": False}
    whole = model.sample(**options)
    cut_nutpie(monkeypatch, [45, 10, 48])
    with pytest.warns(InterruptedWarning, match=r"2 of 3 chains are kept, with 25 of 30 draws each; left out: chain 1"):
        tree = model.sample(**options, include=("log_likelihood",))
    assert dict(tree["posterior"].sizes)["chain"] == 2
    for name in ("beta", "sd_Batch", "error_sd"):
        assert tree["posterior"][name].shape[:2] == (2, 25)
    expected = whole["posterior"]["error_sd"].to_numpy()[[0, 2], :25]
    np.testing.assert_array_equal(tree["posterior"]["error_sd"].to_numpy(), expected)
    assert tree["sample_stats"]["lp"].shape == (2, 25)
    assert tree["log_likelihood"].sizes["draw"] == 25
    assert "interrupted" in tree.attrs["interrupted"]
    assert "2 of 3 chains" in str(hr.summary(tree))
    assert "interrupted" not in whole.attrs
    assert "interrupted" not in str(hr.summary(whole))


def test_chains_of_pymc_models_are_cut_too():
    """Filled up with NaN by nutpie, in groups of a tree."""
    beta, lp = np.ones((3, 6, 2)), np.arange(18.0).reshape(3, 6)
    beta[0, 4:] = beta[2, :] = lp[0, 4:] = lp[2, :] = np.nan
    groups = {
        "posterior": xr.Dataset({"beta": (("chain", "draw", "coef"), beta)}),
        "sample_stats": xr.Dataset({"logp": (("chain", "draw"), lp)}),
    }
    request = SimpleNamespace(chains=3, draws=6)
    trace, whole = pymc_chains._finished(xr.DataTree.from_dict(groups), request)
    stats = pymc_chains._stats(trace["sample_stats"], whole)
    assert trace["posterior"]["beta"].shape == (2, 4, 2)
    assert not np.isnan(trace["posterior"]["beta"]).any()
    np.testing.assert_array_equal(stats["lp"], [[0, 1, 2, 3], [6, 7, 8, 9]])
    assert "2 of 3 chains" in stats.attrs["interrupted"]


CHILD = """
    import warnings
    import hierreg as hr

    model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    warnings.simplefilter("ignore", hr.exceptions.ConvergenceWarning)
    model.sample(draws=10, tune=10, chains=1, seed=1, progress=False)
    print("begins", flush=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tree = model.sample(draws=5_000_000, tune=50, chains=2, cores=2, seed=1, progress=False, group_effects="draws")
    print(tree["posterior"].sizes["draw"] > 1, "interrupted" in tree.attrs)
    print([w.category.__name__ for w in caught].count("InterruptedWarning"))
"""


@pytest.mark.long
def test_an_interrupt_of_the_process_keeps_the_draws():
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "begins\n"
        time.sleep(2.0)
        os.kill(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert out.split() == ["True", "True", "1"]


# ---- importance sampling


def interrupted_after(calls):
    """Return a Target whose batches are interrupted after so many."""

    class Interrupted(Target):
        left = calls

        def values(self, points, *, threads=1):
            if Interrupted.left == 0:
                raise KeyboardInterrupt
            Interrupted.left -= 1
            return super().values(points, threads=threads)

    return Interrupted


def test_finished_proposals_are_kept():
    problem = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")).problem
    likelihood = problem.likelihood("prior")
    plain = Target(parameters=problem.parameters, likelihood=likelihood)
    mode = nuts.find_mode(plain)
    settings = importance.Settings(draws=8000, chains=2, seed=1, cores=1)
    target = interrupted_after(1)(parameters=problem.parameters, likelihood=likelihood)
    draws = importance.sample_by_importance(target, mode, settings)
    assert draws.n_rounds == 1
    assert draws.u.shape == (2, 8000, 4)
    assert f"the {draws.n_proposals} proposals that were finished" in draws.interrupted
    assert draws.attributes["interrupted"] == draws.interrupted
    whole = importance.sample_by_importance(plain, mode, settings)
    assert "interrupted" not in whole.attributes
    error = whole.u.std(axis=(0, 1)) / np.sqrt(min(draws.resampled_ess, draws.importance_ess))
    assert np.all(np.abs(draws.u.mean(axis=(0, 1)) - whole.u.mean(axis=(0, 1))) < 5 * error)


def test_without_a_finished_round_the_interrupt_is_raised(model):
    problem = model.problem
    target = interrupted_after(0)(parameters=problem.parameters, likelihood=problem.likelihood("prior"))
    mode = nuts.find_mode(Target(parameters=problem.parameters, likelihood=problem.likelihood("prior")))
    with pytest.raises(KeyboardInterrupt):
        importance.sample_by_importance(target, mode, importance.Settings(draws=100, chains=2, seed=1, cores=1))


# ---- many fits


def interrupt_at(monkeypatch, which):
    """Let the given call of `Model.sample` or `Model.estimate` be interrupted."""
    calls = [0]
    for name in ("sample", "estimate"):
        original = getattr(hr.Model, name)

        def method(self, *args, original=original, **options):
            calls[0] += 1
            if calls[0] == which:
                raise KeyboardInterrupt
            return original(self, *args, **options)

        monkeypatch.setattr(hr.Model, name, method)


def test_map_fits_returns_the_finished_ones(model, monkeypatch):
    interrupt_at(monkeypatch, 3)
    with pytest.warns(InterruptedWarning, match=r"2 of 4 are finished, models\[2, 3\] None"):
        found = hr.map_fits([model] * 4, "estimate")
    assert [one is None for one in found] == [False, False, True, True]
    assert found[1].converged


def test_map_fits_raises_where_nothing_is_finished(model, monkeypatch):
    interrupt_at(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        hr.map_fits([model] * 2, "estimate")


def test_map_fits_ends_with_the_fit_that_returned_what_it_had(model):
    def what(one):
        if one is last:
            import warnings

            warnings.warn("cut", InterruptedWarning, stacklevel=1)
        return "done"

    last = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2"))
    with pytest.warns(InterruptedWarning) as caught:
        assert hr.map_fits([model, last, model], what) == ["done", "done", None]
    assert [str(w.message).startswith("models[1]: cut") for w in caught] == [True, False]


@short
def test_map_chains_keeps_finished_chains(model, monkeypatch):
    options = {"chains": 3, "seed": 4, "draws": 30, "tune": 30}
    whole = hr.map_chains(model, **options)
    interrupt_at(monkeypatch, 3)
    with pytest.warns(InterruptedWarning, match=r"2 of 3 chains are kept, with 30 of 30 draws each; left out: chain 2"):
        tree = hr.map_chains(model, **options)
    xr.testing.assert_identical(
        tree["posterior"].to_dataset()["beta"], whole["posterior"].to_dataset()["beta"].isel(chain=slice(2))
    )
    assert tree.attrs["interrupted"] == tree["sample_stats"].attrs["interrupted"]
    assert "interrupted" not in whole.attrs


@short
def test_map_chains_cuts_to_the_chain_that_was_interrupted(model, monkeypatch):
    cut_nutpie(monkeypatch, [50])
    with pytest.warns(InterruptedWarning, match=r"1 of 2 chains are kept, with 20 of 30 draws") as caught:
        tree = hr.map_chains(model, chains=2, seed=4, draws=30, tune=30)
    assert sum(issubclass(w.category, InterruptedWarning) for w in caught) == 1
    assert tree["posterior"]["error_sd"].shape[:2] == (1, 20)


# ---- on a Dask cluster

# A fit that a worker has begun waits, so that the interrupt comes when one is finished and another is not.
ON_A_CLUSTER = """
    import sys, threading, warnings
    import dask.dataframe as dd
    import distributed
    import pandas as pd
    import hierreg as hr
    from hierreg.gram import dask

    what, after = sys.argv[1], int(sys.argv[2])
    sample, calls, go_on = hr.Model.sample, [], threading.Event()

    def waiting(function):
        def waits(*args, **options):
            calls.append(1)
            if len(calls) > after:
                print("begins", flush=True)
                go_on.wait(60)
            return function(*args, **options)
        return waits

    hr.Model.sample, dask.part_of = waiting(sample), waiting(dask.part_of)
    model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    ddf = dd.from_pandas(pd.DataFrame({"y": [1.5, 2.0] * 10, "x": [0.0, 1.0] * 10}), npartitions=4)
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                if what == "chains":
                    tree = hr.map_chains(model, chains=4, draws=40, tune=40, seed=3, client=client)
                    found = f"{tree['posterior'].sizes['chain']} chains: {tree.attrs['interrupted']}"
                elif what == "fits":
                    fits = hr.map_fits([model] * 3, draws=10, tune=10, chains=1, seed=3, client=client)
                    found = [one is not None for one in fits]
                else:
                    found = hr.Gram.from_dask(ddf, "y ~ x", client=client)
            except KeyboardInterrupt as error:
                found = f"nothing: {error}"
        print(found)
        print([w.category.__name__ for w in caught].count("InterruptedWarning"))
        go_on.set()
        hr.Model.sample = sample
        print(hr.map_chains(model, chains=1, draws=10, tune=10, seed=3, client=client)["posterior"].sizes["draw"])
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("what", "after", "expected", "warned"),
    [
        ("chains", 2, "2 chains: sampling was interrupted: 2 of 4 chains are kept, with 40 of 40 draws each", 1),
        ("chains", 0, "nothing: interrupted before any of 4 fits was finished", 0),
        ("fits", 1, "[True, False, False]", 1),
        ("gram", 3, "nothing: interrupted while Dask collected", 0),
    ],
)
def test_an_interrupt_with_a_client_keeps_what_is_finished(what, after, expected, warned):
    """The cluster can be used afterwards, and nothing of Dask's is printed."""
    pytest.importorskip("distributed")
    arguments = [sys.executable, "-c", textwrap.dedent(ON_A_CLUSTER), what, str(after)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "begins\n", child.stderr.read()
        time.sleep(0.5)
        os.kill(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=200)
    lines = [line for line in out.splitlines() if line != "begins"]
    assert child.returncode == 0, err
    assert lines[0].startswith(expected), lines
    assert lines[1:] == [str(warned), "10"]
    assert "Traceback" not in err
