"""Dask: statistics of partitions are those of one table, also when a worker dies; fits are those made here."""

import os
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, ModelError
from hierreg.gram import Gram
from tests.helpers.gram import assert_identical
from tests.helpers.tables import ERRORS, FORMULA, assert_same, cut, table

dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")


@pytest.fixture
def data(rng):
    frame = table(rng, n=120)
    frame["stratum"] = np.where(frame["unit"] % 3 == 0, "P", "Q")
    return frame


@pytest.fixture(scope="module")
def client():
    """Two processes on this machine, started anew when they die, at a port that is free."""
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=0
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def partitioned(data, *, size=14, through=None):
    """Return a Dask dataframe of whole units; each partition goes through a function when it is made."""
    parts = cut(data, size=size)
    return dd.from_map(through or _part, range(len(parts)), parts=parts, meta=parts[0].iloc[:0])


def _part(i, parts):
    return parts[i]


# ---- statistics, on threads


@pytest.mark.parametrize("kind", ERRORS)
def test_partitions_are_the_same_as_one_table(kind, data):
    gram = Gram.from_dask(partitioned(data), FORMULA, ERRORS[kind])
    assert_same(gram, hr.Model(FORMULA, data, errors=ERRORS[kind]).gram)


@pytest.mark.parametrize(
    "formula",
    ["y ~ scale(x) + poly(se, 2) + (scale(x) | g)", "y ~ bs(x, df=4) + (1 | g)", "y ~ C(h, contr.sum) + (1|g:h)"],
)
def test_transforms_learn_from_all_partitions(formula, data):
    assert_same(Gram.from_dask(partitioned(data), formula), hr.Model(formula, data).gram, rtol=1e-9)


def test_empty_partitions_are_left_out(data):
    ddf = partitioned(data)
    some = ddf[ddf["g"] != "g1"].map_partitions(_only_odd_units)
    kept = data[(data["g"] != "g1") & (data["unit"] >= 14)]
    assert_same(Gram.from_dask(some, FORMULA), hr.Model(FORMULA, kept).gram)


def _only_odd_units(part):
    return part[part["unit"] >= 14]


@pytest.mark.parametrize(
    ("change", "exception", "words"),
    [
        ({"ddf": [1, 2]}, DataError, "has type list"),
        ({"formula": "y ~ X"}, DataError, "ddf has no column 'X'"),
        ({"errors": hr.known_cov(np.eye(120))}, ModelError, "cannot come in batches"),
    ],
)
def test_bad_arguments(change, exception, words, data):
    with pytest.raises(exception, match=words):
        Gram.from_dask(**({"ddf": partitioned(data), "formula": FORMULA} | change))


def test_a_unit_in_two_partitions_is_an_error(data):
    with pytest.raises(DataError, match="more than one batch"):
        Gram.from_dask(partitioned(data, size=7), FORMULA, ERRORS["correlated"])


# ---- statistics, on processes


@pytest.mark.long
def test_a_worker_that_dies_in_the_middle_changes_nothing(data, client, tmp_path):
    """The fifth partition kills the process that reads it, once; Dask starts another and does its work again."""
    mark = str(tmp_path / "died")
    parts = cut(data)
    ddf = dd.from_map(_die_once, range(len(parts)), parts=parts, mark=mark, meta=parts[0].iloc[:0])
    formula = "y ~ scale(x) + c + (x | g)"
    gram = Gram.from_dask(ddf, formula, ERRORS["by"], client=client)
    assert Path(mark).exists()
    assert gram.n == 120
    assert_same(gram, hr.Model(formula, data, errors=ERRORS["by"]).gram)
    assert_identical(gram, Gram.from_dask(partitioned(data), formula, ERRORS["by"]))


def _die_once(i, parts, mark):
    if i == 5 and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return parts[i]


def test_a_lost_worker_costs_what_it_had_not_delivered(data, client, tmp_path):
    """Read again, once, are the partitions whose rows it held, and none whose statistics it had collected before."""
    parts = cut(data, size=6)
    ddf = dd.from_map(_die_at_the_fifth, range(len(parts)), parts=parts, folder=str(tmp_path), meta=parts[0].iloc[:0])
    gram = Gram.from_dask(ddf, "y ~ x + (x | g)", client=client)
    assert_identical(gram, Gram.from_dask(partitioned(data, size=6), "y ~ x + (x | g)"))
    # File names are time, partition and process.
    reads = sorted(tuple(map(int, name.name.split("."))) for name in tmp_path.iterdir() if name.name != "died")
    lost, *held = map(int, (tmp_path / "died").read_text().split())
    # The first partition is looked at once before.
    times = {i: [time for time, place, _ in reads if place == i][i == 0 :] for i in range(len(parts))}
    assert {i: len(each) for i, each in times.items() if len(each) != 1} == dict.fromkeys({*held, lost}, 2)
    assert len(held) <= 1


def _die_at_the_fifth(i, parts, folder):
    """Return a part; the process that is the first to read its fifth dies instead, when it holds no statistics."""
    place = Path(folder)
    (place / f"{time.time_ns()}.{i}.{os.getpid()}").touch()
    if len(list(place.glob(f"*.{os.getpid()}"))) == 5 and not (place / "died").exists():
        data, begin = distributed.get_worker().data, time.monotonic()
        # They are fetched meanwhile; the statistics of rows that were read wait for this thread.
        while any("collect-" in str(key) for key in data) and time.monotonic() < begin + 20:
            time.sleep(0.01)
        held = [str(key[1]) for key in data if isinstance(key, tuple)]
        (place / "died").write_text(" ".join([str(i), *held]))
        os.kill(os.getpid(), signal.SIGKILL)
    return parts[i]


# ---- fits


def models(data):
    priors = [hr.Priors(sd={"g": hr.HalfNormal(scale)}) for scale in (0.5, 2.0)]
    return [hr.Model("y ~ x + (1 | g)", data, priors=one) for one in priors]


def test_fits_on_workers_are_bit_for_bit_those_made_here(data, client):
    options = {"draws": 40, "tune": 60, "chains": 2, "seed": [1, 2]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
        here = hr.map_fits(models(data), "sample", **options)
        there = hr.map_fits(models(data), "sample", client=client, **options)
    for mine, theirs in zip(here, there, strict=True):
        for name in ("posterior", "mixed_model_limit"):
            assert mine[name].to_dataset().identical(theirs[name].to_dataset())
    assert not here[0]["posterior"].to_dataset().equals(here[1]["posterior"].to_dataset())


# Chains of 250 draws may be said to be short.
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")
def test_chains_on_workers_are_bit_for_bit_those_made_here(client):
    model = hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin"))
    here = hr.map_chains(model, chains=3, draws=250, seed=5, include=("log_prior",))
    there = hr.map_chains(model, chains=3, draws=250, seed=5, include=("log_prior",), client=client)
    assert here["posterior"].sizes["chain"] == 3
    assert here["log_prior"].sizes["chain"] == 3
    for name in ("posterior", "sample_stats", "log_prior", "mixed_model_limit", "statistics"):
        assert here[name].to_dataset().identical(there[name].to_dataset())
    sds = here["posterior"]["sd_plate"].to_numpy()
    assert not np.array_equal(sds[0], sds[1])
    assert here.attrs["seed"] == 5
    assert here["sample_stats"].attrs["warmup_steps"] > 3 * 300
    together = model.sample(draws=250, chains=3, seed=5, progress=False)
    assert set(together.children) | {"log_prior"} == set(here.children)
    for name in ("sd_plate", "error_sd"):
        one, other = here["posterior"][name], together["posterior"][name]
        assert abs(float(one.mean() - other.mean())) < 5 * float(other.std()) / np.sqrt(200)


def test_estimates_of_several_factors_come_back_whole(client):
    model = hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin"))
    difference = {"A - B": {("sample", "A", "Intercept"): 1, ("sample", "B", "Intercept"): -1}}
    (there,) = hr.map_fits([model], "estimate", client=client)
    here = hr.contrasts(model.estimate(), difference)
    assert hr.contrasts(there, difference).identical(here)


def test_chains_that_do_not_agree_are_said_to():
    model = hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hr.map_chains(model, chains=2, draws=30, tune=30, seed=1)
    messages = [str(w.message) for w in caught if issubclass(w.category, hr.exceptions.ConvergenceWarning)]
    assert any("effective sample size below 100 per chain for sd_plate" in message for message in messages)
    assert len(set(messages)) == len(messages)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"chains": 0}, "chains=0 must be a whole number"),
        ({"seed": -1}, "seed=-1 must be a whole number"),
        ({"method": "psis"}, "method='psis' has no chains"),
        ({"group_effects": "summary"}, "summaries of chains cannot be joined"),
    ],
)
def test_bad_chains(arguments, words):
    model = hr.Model("diameter ~ 1 + (1 | plate)", hr.load_dataset("penicillin"))
    with pytest.raises(ModelError, match=words):
        hr.map_chains(model, **arguments)


def test_estimates_and_functions_of_models_on_workers(data, client):
    estimates = hr.map_fits(models(data), "estimate", client=client, method="map")
    for estimate, model in zip(estimates, models(data), strict=True):
        assert estimate.beta.identical(model.estimate("map").beta)
    rows = hr.map_fits([hr.Model.from_gram(m.gram) for m in models(data)], _rows, client=client)
    assert rows == [120, 120]


def _rows(model):
    return model.problem.n_rows


def test_warnings_of_fits_say_which_model(data):
    with pytest.warns(UserWarning, match=r"models\[1\]: look here"):
        assert hr.map_fits(models(data), _warn, which=2.0) == [False, True]


def _warn(model, which):
    is_it = f"sigma={which:g}" in str(model.priors).replace("HalfNormal(2)", "sigma=2")
    if is_it:
        warnings.warn("look here", UserWarning, stacklevel=1)
    return is_it


def test_bad_fits(data):
    with pytest.raises(ModelError, match=r"models\[1\] has type int"):
        hr.map_fits([models(data)[0], 3])
    with pytest.raises(ModelError, match="what='fit' must be one of"):
        hr.map_fits(models(data), "fit")
    with pytest.raises(ModelError, match="seed has 3 entries for 2 models"):
        hr.map_fits(models(data), seed=[1, 2, 3])


@pytest.mark.long
def test_simulated_studies_on_workers_are_those_made_here(client):
    """Replications depend on their number alone."""
    model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    how = {"draws": 39, "method": "psis", "seed": 4, "progress": False}
    here, there = hr.calibrate(model, 6, cores=1, **how), hr.calibrate(model, 6, client=client, **how)
    np.testing.assert_array_equal(here["rank"], there["rank"])
    contrast, how = {"mean": {"Intercept": 1}}, {"groups": [4, 8], "n": 3, "seed": 4, "progress": False}
    here = hr.design(model, contrast, cores=1, **how)
    there = hr.design(model, contrast, client=client, **how)
    np.testing.assert_array_equal(here["sd"], there["sd"])
