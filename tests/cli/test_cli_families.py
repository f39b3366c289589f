"""The command line where responses or group effects are not normal, and where data are a folder of files."""

import re

import numpy as np
import pytest

import hierreg as hr
from hierreg.cli import main
from hierreg.cli.arguments import parser
from hierreg.cli.parsing import entries_of, parse_effects, parse_priors, split_priors
from hierreg.cli.response import FAMILY_NAMES
from hierreg.exceptions import PriorError
from hierreg.response import FAMILIES
from tests.likelihood.quadrature.test_quadrature import TABLE

# Of tables as small as these chains of any length may warn.
OK_OR_WARNED = {0, 3}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    table = TABLE.assign(
        words=np.array(["high", "low", "middle", "top"])[TABLE["rank"]],
        sick=np.where(TABLE["yes"], "well", "ill"),
        code=np.where(TABLE["yes"], 1, 2),
        log_n=np.log(TABLE["n"]),
    )
    table.to_csv(folder / "rows.csv", index=False)
    hr.load_dataset("cbpp").to_csv(folder / "herds.csv", index=False)
    sleep = hr.load_dataset("sleepstudy")
    sleep.to_csv(folder / "sleep.csv", index=False)
    (folder / "big").mkdir()
    for i in range(3):
        sleep[60 * i : 60 * (i + 1)].to_parquet(folder / "big" / f"part{i}.parquet")
    return folder


@pytest.fixture
def fit(files, monkeypatch, capsys):
    monkeypatch.chdir(files)

    def call(*arguments):
        code = main(["fit", *arguments])
        return code, *capsys.readouterr()

    return call


def criterion(text):
    return float(re.search(r"criterion (-?[\d.]+)", text)[1])


def expected(formula, family, *, method=None, **options):
    return hr.Model(formula, options.pop("table", TABLE), family=family, **options).estimate(method)


POINTS = {
    "binomial": (
        ["herds.csv", "incidence / size ~ period + (1 | herd)", "--as-category", "period", "--as-category", "herd"],
        ["--family", "binomial"],
        lambda: expected("incidence / size ~ period + (1 | herd)", hr.Binomial(), table=hr.load_dataset("cbpp")),
    ),
    "probit with trials": (
        ["rows.csv", "k ~ x + (1 | g)", "--trials", "n", "--link", "probit"],
        ["--family", "binomial"],
        lambda: expected("k / n ~ x + (1 | g)", hr.Binomial("probit")),
    ),
    "poisson": (
        ["rows.csv", "count ~ x + (1 | g)", "--offset", "o", "--weights", "w"],
        ["--family", "poisson"],
        lambda: expected("count ~ x + (1 | g)", hr.Poisson(), offset="o", weights="w"),
    ),
    "negative binomial by stratum": (
        ["rows.csv", "count ~ x + (1 | g)", "--by", "s"],
        ["--family", "Negative-Binomial"],
        lambda: expected("count ~ x + (1 | g)", hr.NegativeBinomial(by="s")),
    ),
    "gamma with a fixed shape": (
        ["rows.csv", "positive ~ x + (1 | g)", "--prior", "shape = Fixed(3)"],
        ["--family", "gamma"],
        lambda: expected("positive ~ x + (1 | g)", hr.Gamma(shape=3.0)),
    ),
    "log normal": (
        ["rows.csv", "positive ~ x + (1 | g)", "--prior", "error_sd = HalfNormal(1)"],
        ["--family", "lognormal"],
        lambda: expected("positive ~ x + (1 | g)", hr.LogNormal(error_sd=hr.HalfNormal(1))),
    ),
    "student t": (
        ["rows.csv", "signed ~ x + (1 | g)", "--by", "s", "--prior", "nu = Fixed(4)"],
        ["--family", "student_t"],
        lambda: expected("signed ~ x + (1 | g)", hr.StudentT(4, by="s"), method="laplace"),
    ),
    "beta": (
        ["rows.csv", "share ~ x + (1 | g)"],
        ["--family", "beta"],
        lambda: expected("share ~ x + (1 | g)", hr.Beta()),
    ),
    "labels": (
        ["rows.csv", "sick ~ x + (1 | g)", "--success", "ill"],
        ["--family", "bernoulli"],
        lambda: expected("no ~ x + (1 | g)", hr.Bernoulli(), table=TABLE.assign(no=~TABLE["yes"])),
    ),
    "numbers as labels": (
        ["rows.csv", "code ~ x + (1 | g)", "--success", "1"],
        ["--family", "bernoulli"],
        lambda: expected("yes ~ x + (1 | g)", hr.Bernoulli()),
    ),
    "truth values": (
        ["rows.csv", "yes ~ x + (1 | g)", "--success", "False"],
        ["--family", "bernoulli"],
        lambda: expected("no ~ x + (1 | g)", hr.Bernoulli(), table=TABLE.assign(no=~TABLE["yes"])),
    ),
    "ordered labels": (
        ["rows.csv", "words ~ x + (1 | g)", "--categories", "high, low, middle, top", "--link", "probit"],
        ["--family", "cumulative"],
        lambda: expected("rank ~ x + (1 | g)", hr.Cumulative("probit")),
    ),
}


@pytest.mark.parametrize("name", POINTS)
def test_estimates_are_those_of_the_library(name, fit):
    arguments, family, answer = POINTS[name]
    code, out, err = fit(*arguments, *family, "--method", "laplace")
    assert code == 0, err
    assert criterion(out) == pytest.approx(answer().criterion, abs=2e-4)
    assert "family: " in out


def test_quadrature_has_nodes(fit):
    code, out, _ = fit(
        *["rows.csv", "count ~ x + (1 | g)", "--family", "poisson", "--method", "quadrature", "--nodes", "15"]
    )
    assert code == 0
    est = hr.Model("count ~ x + (1 | g)", TABLE, family=hr.Poisson()).estimate("quadrature", nodes=15)
    assert criterion(out) == pytest.approx(est.criterion, abs=2e-4)


RESPONSES = {
    "bernoulli": "yes ~ x + (1 | g)",
    "binomial": "k / n ~ x + (1 | g)",
    "poisson": "count ~ x + (x | g)",
    "negative_binomial": "count ~ x + (1 | g)",
    "gamma": "positive ~ x + (1 | g)",
    "log_normal": "positive ~ x + (1 | g)",
    "beta": "share ~ x + (1 | g)",
    "student_t": "signed ~ x + (1 | g)",
    "cumulative": "rank ~ x + (1 | g)",
}


def test_every_family_has_a_name():
    assert set(FAMILY_NAMES) >= set(RESPONSES)
    assert len(set(FAMILY_NAMES)) == len(FAMILIES)


@pytest.mark.long
@pytest.mark.parametrize("family", RESPONSES)
def test_every_report_is_made_of_every_family(family, fit, files, capsys):
    kept = files / f"{family}.nc"
    code, out, err = fit(
        *["rows.csv", RESPONSES[family], "--family", family, "-o", str(kept), "--draws", "100", "--tune", "100"],
        *["--chains", "2", "--seed", "1", "--quiet"],
    )
    assert code in OK_OR_WARNED, err
    assert "beta[x]" in out
    tables = files / f"{family}-tables"
    assert main(["report", str(kept), "--tables", str(tables)]) in OK_OR_WARNED
    out = capsys.readouterr().out
    for word in ("SUMMARY", "CORRELATIONS", "SHRINKAGE", "Laplace"):
        assert word in out
    assert {path.name for path in tables.iterdir()} == {"summary.csv", "correlations.csv", "shrinkage.csv"}


@pytest.mark.long
def test_figures_of_ordered_categories_and_importance_sampling(fit, files):
    kept = files / "psis.nc"
    code, out, err = fit(
        *["rows.csv", "words ~ x + (1 | g)", "--family", "cumulative", "--categories", "high,low,middle,top"],
        *["--method", "psis", "--seed", "2", "--draws", "250", "-o", str(kept), "--quiet"],
    )
    assert code in OK_OR_WARNED, err
    assert "categories: high < low < middle < top" in out
    assert "thresholds[3]" in out
    assert "Pareto k" in out
    folder = files / "psis"
    assert main(["report", str(kept), "--figures", str(folder)]) in OK_OR_WARNED
    names = {"variances.png", "shrinkage.png", "caterpillar.png", "lines_x.png"}
    assert {path.name for path in folder.iterdir()} == names


@pytest.mark.parametrize(("effects", "words"), [("student_t", "nu_Subject"), ("mixture:2", "component_weight")])
def test_reports_of_group_effects_that_are_not_normal(effects, words, fit, files, capsys):
    kept = files / "effects.nc"
    code, out, err = fit(
        *["sleep.csv", "Reaction ~ Days + (1 | Subject)", "--effects", f"Subject={effects}", "--method", "psis"],
        *["--seed", "1", "--draws", "250", "-o", str(kept), "--quiet"],
    )
    assert code in OK_OR_WARNED, err
    assert words in out
    assert main(["report", str(kept)]) in OK_OR_WARNED
    out = capsys.readouterr().out
    for word in ("SUMMARY", "CORRELATIONS", "SHRINKAGE", "effects of Subject"):
        assert word in out


@pytest.mark.parametrize("data", ["big/*.parquet", "big"])
def test_a_folder_and_a_pattern_are_scanned(data, fit):
    code, out, err = fit(data, "Reaction ~ Days + (Days | Subject)", "--method", "reml", "--quiet")
    assert code == 0, err
    assert "Read 180 rows of 3 files" in out
    assert "KiB of memory" in out
    assert "criterion 1743.6283" in out


def test_a_posterior_of_many_files_is_that_of_their_rows(fit, files):
    kept, formula = files / "scanned.nc", "Reaction ~ Days + (Days | Subject)"
    code, _, err = fit(*["big", formula, "-o", str(kept), "--seed", "1", "--quiet", "--prior", "sd = HalfNormal(40)"])
    assert code == 0, err
    tree = hr.load(kept)
    model = hr.Model(formula, hr.load_dataset("sleepstudy"), priors=hr.Priors(sd=hr.HalfNormal(40)))
    again = model.sample(seed=1, progress=False)
    for name in ("beta", "sd_Subject"):
        one, two = tree["posterior"][name], again["posterior"][name]
        error = 5 * two.std(("chain", "draw")) / np.sqrt(400)
        assert np.all(np.abs(one.mean(("chain", "draw")) - two.mean(("chain", "draw"))) < error)
    assert main(["report", str(kept)]) == 0


BAD = {
    "no such family": (["rows.csv", "count ~ x", "--family", "poison"], ["poison", "Did you mean 'poisson'"]),
    "code as a family": (["rows.csv", "count ~ x", "--family", "__import__('os')"], ["the families are"]),
    "no such link": (["rows.csv", "yes ~ x", "--family", "bernoulli", "--link", "log"], ["link='log'", "'logit'"]),
    "link alone": (["rows.csv", "yes ~ x", "--link", "probit"], ["--link goes with --family"]),
    "success alone": (["rows.csv", "yes ~ x", "--success", "1"], ["--success goes with --family"]),
    "success of counts": (
        ["rows.csv", "count ~ x", "--family", "poisson", "--success", "1"],
        ["--success goes with --family bernoulli"],
    ),
    "no such success": (
        ["rows.csv", "sick ~ x", "--family", "bernoulli", "--success", "dead"],
        ["success='dead'", "'ill'", "'well'"],
    ),
    "success that is no number": (
        ["rows.csv", "code ~ x", "--family", "bernoulli", "--success", "ill"],
        ["column of numbers", "--as-category code"],
    ),
    "no order of labels": (["rows.csv", "words ~ x", "--family", "cumulative"], ["order", "--categories"]),
    "labels that are not there": (
        ["rows.csv", "words ~ x", "--family", "cumulative", "--categories", "low,high"],
        ["each label", "'middle'"],
    ),
    "order of numbers": (
        ["rows.csv", "rank ~ x", "--family", "cumulative", "--categories", "0,1,2,3"],
        ["column of numbers"],
    ),
    "order of counts": (
        ["rows.csv", "count ~ x", "--family", "poisson", "--categories", "0,1"],
        ["--categories goes with --family cumulative"],
    ),
    "strata of a family without": (
        ["rows.csv", "count ~ x", "--family", "poisson", "--by", "s"],
        ["--by goes with --family negative_binomial or gamma"],
    ),
    "errors with a family": (
        ["rows.csv", "count ~ x", "--family", "poisson", "--exchangeable", "g"],
        ["errors are those of normal responses"],
    ),
    "offset without a family": (["rows.csv", "x ~ 1", "--offset", "o"], ["offset='o'", "without a family"]),
    "no such offset": (["rows.csv", "count ~ x", "--family", "poisson", "--offset", "p"], ["'p'"]),
    "no trials": (["rows.csv", "k ~ x", "--family", "binomial"], ["number of trials is missing"]),
    "REML of a family": (
        ["rows.csv", "count ~ x", "--family", "poisson", "--method", "reml"],
        ["method='reml'", "'laplace'"],
    ),
    "Laplace without a family": (["rows.csv", "x ~ 1", "--method", "laplace"], ["method='laplace'", "'reml'"]),
    "nodes of samples": (["rows.csv", "count ~ x", "--family", "poisson", "--nodes", "3"], ["--method quadrature"]),
    "prior of a parameter that the family has not": (
        ["rows.csv", "count ~ x", "--family", "poisson", "--prior", "dispersion = HalfNormal(1)"],
        ["dispersion", "'beta', 'sd'"],
    ),
    "prior of one stratum": (
        ["rows.csv", "count ~ x", "--family", "negative_binomial", "--prior", "dispersion.a = HalfNormal(1)"],
        ["one prior for all strata"],
    ),
    "family of many files": (["big", "Reaction ~ 1", "--family", "poisson"], ["--family", "all rows in memory"]),
    "effects of many files": (["big", "Reaction ~ (1|Subject)", "--effects", "Subject=student_t"], ["--effects"]),
    "labels of many files": (["big/*.parquet", "Reaction ~ 1", "--as-category", "Days"], ["C(column)"]),
    "covariance of many files": (["big", "Reaction ~ 1", "--known-cov", "V.csv"], ["V.csv"]),
    "a pattern of nothing": (["none/*.parquet", "Reaction ~ 1"], ["none/*.parquet", "no such file"]),
    "half a short form": (["sleep.csv", "Reaction ~ (1|Subject)", "--effects", "Subject=mixture:two"], ["mixture:2"]),
    "too heavy a tail": (["sleep.csv", "Reaction ~ (1|Subject)", "--effects", "Subject=student_t:0.5"], ["above 1"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(name, fit):
    arguments, words = BAD[name]
    code, _, err = fit(*arguments)
    assert code == 1
    assert err.startswith("error: ")
    assert "Traceback" not in err
    for word in words:
        assert word in err


def test_short_forms_of_effects():
    assert parse_effects(["Subject=student_t"]) == {"Subject": hr.StudentT()}
    assert parse_effects(["a b = student_t:4.5", "c=mixture:3"]) == {"a b": hr.StudentT(4.5), "c": hr.Mixture(3)}
    assert parse_effects(["c=mixture"]) == {"c": hr.Mixture()}


def test_priors_of_a_family_are_told_from_those_of_the_model():
    texts = ["beta.x = Normal(0, 1)", "dispersion = HalfNormal(1)"]
    given, further = split_priors(entries_of(texts), ("dispersion",))
    assert parse_priors(given) == hr.Priors(beta={"x": hr.Normal(0, 1)})
    assert further == {"dispersion": hr.HalfNormal(1)}
    with pytest.raises(PriorError, match="already"):
        split_priors(entries_of([*texts, texts[1]]), ("dispersion",))


def test_help_names_every_family():
    # argparse has the subparser's help behind its own.
    words = parser()._subparsers._group_actions[0].choices["fit"].format_help().replace("_", "")
    for name in FAMILY_NAMES:
        assert name.replace("_", "") in words
