"""`hr.calibrate`: replications that depend on their number alone, what is kept of them, and faults that it finds."""

import functools
import warnings

import numpy as np
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, HierregError, InterruptedWarning, ModelError, PriorError
from hierreg.reports.calibration import report_of
from hierreg.studies.calibrate import _study_of
from hierreg.studies.replications import replication, replications
from tests.calibration.cases import CASES
from tests.helpers import structures
from tests.studies.work import total_variance

FAST = {"draws": 39, "method": "psis", "cores": 1, "progress": False}


@functools.cache
def dyestuff():
    return hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))


@functools.cache
def posterior():
    return dyestuff().sample(draws=100, seed=1, method="psis", progress=False)


@pytest.mark.long
def test_replications_depend_on_seed_and_number_alone(tmp_path):
    """Not on how many there are, on processes, or on what was there before."""
    whole = hr.calibrate(dyestuff(), n=12, seed=5, **FAST)
    again = hr.calibrate(dyestuff(), n=12, seed=5, **(FAST | {"cores": 2}))
    first = hr.calibrate(dyestuff(), n=7, seed=5, path=tmp_path / "kept.npz", **FAST)
    rest = hr.calibrate(dyestuff(), n=12, path=tmp_path / "kept.npz", **FAST)
    np.testing.assert_array_equal(whole["rank"], again["rank"])
    np.testing.assert_array_equal(whole["rank"][:7], first["rank"])
    np.testing.assert_array_equal(whole["rank"], rest["rank"])
    assert rest.attrs["seed"] == 5
    other = hr.calibrate(dyestuff(), n=12, seed=6, **FAST)
    assert not np.array_equal(whole["rank"], other["rank"])


def test_what_is_kept_is_not_mixed_with_another_study(tmp_path):
    kept = tmp_path / "kept.npz"
    hr.calibrate(dyestuff(), n=2, seed=5, path=kept, **FAST)
    with pytest.raises(DataError, match="the seed differ"):
        hr.calibrate(dyestuff(), n=2, seed=6, path=kept, **FAST)
    with pytest.raises(DataError, match="the method differ"):
        hr.calibrate(dyestuff(), n=2, path=kept, **(FAST | {"method": "nuts"}))
    narrow = hr.Priors(error_sd=hr.HalfNormal(40))
    other = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"), priors=narrow)
    with pytest.raises(DataError, match="the priors differ"):
        hr.calibrate(other, n=2, path=kept, **FAST)
    # nor with one of other rows that only the errors tell
    table = structures.rows()
    one, other = (structures.gaussian("known_se", table.assign(se=table["se"] * c)) for c in (1, 2))
    hr.calibrate(one, n=2, seed=5, path=tmp_path / "se.npz", **FAST)
    with pytest.raises(DataError, match="the rows differ"):
        hr.calibrate(other, n=2, path=tmp_path / "se.npz", **FAST)
    # Nothing is done, and no file is harmed: the same study goes on.
    assert hr.calibrate(dyestuff(), n=2, path=kept, **FAST).attrs["n"] == 2
    kept.write_bytes(kept.read_bytes()[:-100])
    with pytest.raises(DataError):
        hr.calibrate(dyestuff(), n=2, path=kept, **FAST)


def interrupting(at):
    """Return a quantity that is interrupted when it is asked for the n-th time."""
    calls = []

    def quantity(group):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return group["error_sd"]

    return {"mine": quantity}


@pytest.mark.long
def test_an_interrupt_keeps_what_is_finished(tmp_path):
    kept = tmp_path / "kept.npz"
    # Once before all, then once with the posterior and once with the true values of each.
    with pytest.warns(InterruptedWarning, match="3 of 9 replications are finished, and kept in"):
        some = hr.calibrate(dyestuff(), n=9, seed=5, path=kept, quantities=interrupting(8), **FAST)
    assert some.sizes["replication"] == 3
    assert "interrupted" in some.attrs["interrupted"]
    rest = hr.calibrate(dyestuff(), n=9, path=kept, quantities=interrupting(10**6), **FAST)
    whole = hr.calibrate(dyestuff(), n=9, seed=5, quantities=interrupting(10**6), **FAST)
    np.testing.assert_array_equal(rest["rank"], whole["rank"])
    with pytest.raises(KeyboardInterrupt, match="before any of 9"):
        hr.calibrate(dyestuff(), n=9, seed=5, quantities=interrupting(2), **FAST)


def test_quantities_of_ones_own():
    asked = {"total": total_variance, "level": {"Intercept": 1}, "first": {("A", "Intercept"): 1}}
    found = hr.calibrate(dyestuff(), n=8, seed=3, quantities=asked, groups=1, **FAST)
    names = found["quantity"].to_numpy().tolist()
    assert names == [
        *("beta[Intercept]", "b_Batch[A, Intercept]", "sd_Batch[Intercept]", "error_sd", "log likelihood"),
        *("total", "level", "first"),
    ]
    np.testing.assert_array_equal(found["rank"].sel(quantity="level"), found["rank"].sel(quantity="beta[Intercept]"))
    assert not np.array_equal(found["rank"].sel(quantity="first"), found["rank"].sel(quantity="level"))


def test_parameters_that_are_fixed_are_left_out():
    fixed = hr.Priors(sd={"Batch": hr.Fixed(40)})
    model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"), priors=fixed)
    found = hr.calibrate(model, n=3, seed=3, groups=0, **FAST)
    assert found["quantity"].to_numpy().tolist() == ["beta[Intercept]", "error_sd", "log likelihood"]


def test_around_a_posterior_the_groups_are_the_same():
    """Two data sets of one group say more than one: its coefficient is drawn from the posterior, and found again."""
    found = hr.calibrate(dyestuff(), n=12, seed=2, around=posterior(), **FAST)
    assert found.attrs["n"] == 12
    assert "around a posterior" in str(found)
    assert float(found["p_value"].min()) > 1e-3


def test_results_travel_through_files(tmp_path):
    hr.save(posterior(), tmp_path / "tree.nc")
    kept = hr.load(tmp_path / "tree.nc")
    one = hr.calibrate(dyestuff(), n=3, seed=2, around=kept, **FAST)
    other = hr.calibrate(hr.Model.from_tree(kept), n=3, seed=2, around=posterior(), **FAST)
    np.testing.assert_array_equal(one["rank"], other["rank"])


def of_gram(name):
    model = structures.gaussian(name)
    return hr.Model.from_gram(model.gram, structures.GAUSSIAN[name][2])


@pytest.mark.parametrize("is_around", [False, True])
def test_statistics_alone_will_do(is_around):
    model = of_gram("independent, small engine q=1")
    tree = model.sample(draws=60, seed=1, method="psis", progress=False) if is_around else None
    found = hr.calibrate(model, n=4, seed=1, around=tree, **FAST)
    assert found.attrs["n"] == 4


def flat():
    return hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"), priors=hr.Priors(beta=hr.Flat()))


def summaries():
    return dyestuff().sample(draws=50, seed=1, method="psis", group_effects="summary", progress=False)


BAD = [
    (lambda: hr.calibrate("y ~ x"), ModelError, "model has type str"),
    (lambda: hr.calibrate(dyestuff(), n=0), ModelError, "n=0"),
    (lambda: hr.calibrate(dyestuff(), draws=100), ModelError, "draws=100 .* multiple of 40.* 119"),
    (lambda: hr.calibrate(dyestuff(), method="psys"), ModelError, "Did you mean 'psis'"),
    (lambda: hr.calibrate(dyestuff(), groups=-1), ModelError, "groups=-1"),
    (lambda: hr.calibrate(dyestuff(), cores=0), ModelError, "cores=0"),
    (lambda: hr.calibrate(dyestuff(), seed=-1), ModelError, "seed=-1"),
    (lambda: hr.calibrate(dyestuff(), path="kept.nc"), DataError, "must end in .npz"),
    (lambda: hr.calibrate(dyestuff(), path="no/folder/kept.npz"), DataError, "does not exist"),
    (lambda: hr.calibrate(of_gram("ar1")), ModelError, "independent errors"),
    (lambda: hr.calibrate(of_gram("independent, crossed engine")), ModelError, "one grouping factor"),
    (lambda: hr.calibrate(flat()), PriorError, "improper"),
    (lambda: hr.calibrate(dyestuff(), around=summaries()), ModelError, "only summaries"),
    (lambda: hr.calibrate(dyestuff(), around=other_tree()), ModelError, "another formula"),
    (lambda: hr.calibrate(dyestuff(), quantities=[1]), ModelError, "a dictionary is required"),
    (lambda: hr.calibrate(dyestuff(), quantities={"a": {"Dayz": 1}}), ModelError, "Dayz"),
    (lambda: hr.calibrate(dyestuff(), quantities={"a": lambda group: 1.0}), ModelError, "one number for each draw"),
    (lambda: hr.calibrate(dyestuff(), quantities={"error_sd": {"Intercept": 1}}), ModelError, "name of a parameter"),
    (lambda: hr.calibrate(dyestuff(), random_seed=1, seed=2), HierregError, "two names"),
]


def other_tree():
    model = hr.Model("Yield ~ 1", hr.load_dataset("dyestuff"))
    return model.sample(draws=50, seed=1, method="psis", progress=False)


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_what_cannot_be_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


# Few replications of each structure are run here, which shows that they can be; whether they are calibrated takes
# hundreds (`python -m tests.calibration`).
@pytest.mark.parametrize("name", structures.GAUSSIAN)
def test_every_structure_can_be_calibrated(name):
    found = hr.calibrate(structures.gaussian(name), n=2, seed=1, groups=1, **FAST)
    assert found.attrs["n"] == 2
    assert float(found["p_value"].min()) > 1e-4


@pytest.mark.long
@pytest.mark.parametrize("is_around", [False, True])
@pytest.mark.parametrize("name", ["binomial", "log normal", "student t", "poisson, crossed", "student t effects"])
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
def test_families_and_effects_can_be_calibrated(name, is_around):
    model = CASES[name].model()
    tree = model.sample(draws=60, chains=2, seed=1, cores=1, progress=False) if is_around else None
    found = hr.calibrate(model, n=2, seed=1, groups=1, around=tree, **(FAST | {"method": "nuts"}))
    assert found.attrs["n"] == 2
    assert "log likelihood" in found["quantity"]


def test_a_way_of_sampling_that_a_model_does_not_have_is_refused_in_words():
    with pytest.raises(ModelError, match=r"none of 2 replications.*too many for importance sampling"):
        hr.calibrate(CASES["poisson, crossed"].model(), n=2, seed=1, **FAST)


def test_responses_that_say_nothing_are_counted_and_named():
    """Ordered categories under wide priors: often one of the three is in no row."""
    table = structures.rows().assign(y=np.resize([0, 1, 2], len(structures.rows())))
    model = hr.Model("y ~ x + (1 | g)", table, family=hr.Cumulative())
    found = hr.calibrate(model, n=8, seed=1, groups=0, **(FAST | {"method": "nuts"}))
    refused = int((found["status"] == "refused").sum())
    assert 0 < refused < 8
    assert found.attrs["n"] == 8 - refused
    assert f"{refused} replication" in found.attrs["note"]
    assert "has no row of the categories" in found.attrs["note"]


@functools.cache
def study(name, n, *, wrong=None):
    """Return the calibration of a structure, whose posterior is that of a wrong problem where there is one."""
    model = structures.gaussian(name)
    made, _ = _study_of(model if wrong is None else wrong, None, "psis", 199, (None, 2), 17)
    if wrong is not None:
        made = made.__class__(
            **{field: getattr(made, field) for field in made.__slots__} | {"problem": model.problem},
        )
    return report_of(replications(made, list(range(n))), made.quantities.names, 199, {"heading": name})


@pytest.mark.slow
def test_a_wrong_likelihood_is_found():
    """Errors of AR(1), fitted as independent ones: the slope's interval is too narrow, and the densities differ."""
    _, _, given = structures.GAUSSIAN["independent, small engine q=1"]
    wrong = hr.Model("y ~ x + (1 | g)", structures.rows(), priors=given)
    assert float(study("independent, small engine q=1", 300)["p_value"].min()) > 0.01
    found = study("ar1", 300, wrong=wrong)
    assert float(found["p_value"].min()) < 1e-4


@pytest.mark.slow
def test_draws_that_are_too_narrow_by_a_tenth_are_found(monkeypatch):
    """The draws of every quantity are drawn in towards their mean, by a tenth."""
    from hierreg.studies import replications as module

    own, kept = module._posterior_values, {}

    def remembered(study, problem, seed):
        kept[seed] = own(study, problem, seed)
        return kept[seed]

    def narrower(study, problem, seed):
        values, ess = kept[seed]
        return values.mean(axis=0) + 0.9 * (values - values.mean(axis=0)), ess

    n = 1000
    model = structures.gaussian("independent, small engine q=1")
    made, _ = _study_of(model, None, "psis", 199, (None, 2), 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monkeypatch.setattr(module, "_posterior_values", remembered)
        right = [replication(made, i) for i in range(n)]
        monkeypatch.setattr(module, "_posterior_values", narrower)
        wrong = [replication(made, i) for i in range(n)]
    names = made.quantities.names
    right, wrong = (report_of(found, names, 199, {"heading": "x"}) for found in (right, wrong))
    assert float(right["p_value"].min()) > 0.01
    assert "too narrow" in wrong["verdict"].sel(quantity="beta[Intercept]").item()
    assert np.mean(wrong["width"]) == pytest.approx(0.9, abs=0.04)
