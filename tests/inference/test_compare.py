"""`hr.compare_fits`: against anova of lme4, mixtures of chi-squares, simulation of the null, and refusals."""

import numpy as np
import pytest
from scipy.stats import chi2

import hierreg as hr
from tests.helpers import report_trees as trees

SLEEP = "Reaction ~ Days + "


@pytest.fixture(scope="module")
def sleep():
    return hr.load_dataset("sleepstudy")


def test_the_table_of_anova(sleep):
    """lme4 1.1-31, anova(lmer(Reaction ~ 1 + (Days | Subject), sleepstudy, REML = FALSE), lmer(Reaction ~ Days + (Days
    | Subject), ...)): Chisq 23.537, Df 1, Pr 1.226e-06 (tests/reference/scripts/after_fit.R, section anova)."""
    small, large = (hr.Model(f"Reaction ~ {x} + (Days | Subject)", sleep).estimate("ml") for x in ("1", "Days"))
    report = hr.compare_fits(large, small)
    assert report["fit"].values.tolist() == [small.problem.formula, large.problem.formula]
    assert float(report["statistic"][1]) == pytest.approx(23.5365375, abs=2e-6)
    assert float(report["df"][1]) == 1
    assert float(report["p_value"][1]) == pytest.approx(1.22563996e-06, rel=1e-6)
    np.testing.assert_allclose(report["aic"], [small.aic, large.aic], rtol=1e-12)
    ratio = np.exp(-0.5 * (small.aic - large.aic))
    assert float(report["weight"][0]) == pytest.approx(ratio / (1 + ratio), rel=1e-9)


@pytest.mark.parametrize(
    ("terms", "df"),
    [
        (("", "(1 | Subject)"), (0, 1)),
        (("(1 | Subject)", "(Days || Subject)"), (0, 1)),
        (("(1 | Subject)", "(Days | Subject)"), (1, 2)),
        (("(Days || Subject)", "(Days | Subject)"), (1,)),
    ],
)
@pytest.mark.parametrize("method", ["ml", "reml"])
def test_boundaries_make_mixtures(sleep, terms, df, method):
    """Stram and Lee (1994), cases 1 to 3."""
    fits = [hr.Model((SLEEP + term).rstrip("+ "), sleep).estimate(method) for term in terms]
    report = hr.compare_fits(dict(zip("ab", fits, strict=True)))
    ratio = fits[0].criterion - fits[1].criterion
    assert float(report["statistic"][1]) == pytest.approx(ratio, abs=1e-9)
    tails = [chi2.sf(ratio, k) if k else 0.0 for k in df]
    assert float(report["p_value"][1]) == pytest.approx(np.mean(tails), rel=1e-9)


def test_several_zeros_give_an_upper_bound(sleep):
    fits = [hr.Model(f, sleep).estimate("ml") for f in ("Reaction ~ Days", "Reaction ~ Days + (Days | Subject)")]
    report = hr.compare_fits(*fits)
    assert float(report["p_value"][1]) == pytest.approx(chi2.sf(fits[0].criterion - fits[1].criterion, 3), rel=1e-9)
    assert "at most" in str(report)


@pytest.mark.slow
def test_the_mixture_is_right_where_there_is_no_variance():
    """Balanced one-way layouts without groups, REML: a fifth of p below 0.2, where chi-square(1) would give a tenth."""
    rng = np.random.default_rng(5)
    table = {"g": np.repeat(np.arange(30), 6)}
    p = []
    for _ in range(150):
        data = table | {"y": rng.normal(size=180)}
        fits = [hr.Model(f, data).estimate("reml") for f in ("y ~ 1", "y ~ 1 + (1 | g)")]
        p.append(float(hr.compare_fits(*fits)["p_value"][1]))
    share = np.mean(np.array(p) < 0.2)
    assert share == pytest.approx(0.2, abs=3 * np.sqrt(0.16 / 150))
    assert np.mean(np.array(p) == 1) == pytest.approx(0.5, abs=0.15)


def test_error_structures_are_nested():
    table = trees.table()
    specs = [hr.independent(), hr.by("set"), hr.exchangeable("unit")]
    plain, by, within = (hr.Model("y ~ x", table, errors=spec).estimate("ml") for spec in specs)
    for large, df in ((by, 2), (within, 1)):
        report = hr.compare_fits({"plain": plain, "large": large})
        assert float(report["p_value"][1]) == pytest.approx(chi2.sf(plain.criterion - large.criterion, df), rel=1e-9)
    report = hr.compare_fits({"within": within, "by": by})
    assert np.isnan(report["p_value"][1])
    assert "not known to be a case" in str(report)


def test_what_is_not_nested_is_said(sleep):
    table = sleep.assign(half=sleep["Days"] > 4, other=np.arange(180) % 10)

    def said(small, large):
        return str(hr.compare_fits(*(hr.Model(f"Reaction ~ {f}", table).estimate("ml") for f in (small, large))))

    assert "span" in said("half + (1 | Subject)", "Days + I(Days**2) + (1 | Subject)")
    assert "group terms" in said("1 + (1 | other)", "Days + (1 | Subject)")


def test_recoded_columns_are_in_the_span(sleep):
    table = sleep.assign(late=sleep["Days"] - 9.0)
    small = hr.Model("Reaction ~ late + (1 | Subject)", table).estimate("ml")
    large = hr.Model("Reaction ~ Days + I(Days**2) + (1 | Subject)", table).estimate("ml")
    assert float(hr.compare_fits(small, large)["p_value"][1]) == pytest.approx(
        chi2.sf(small.criterion - large.criterion, 1), rel=1e-9
    )


def test_statistics_alone_are_compared(sleep):
    fits = [
        hr.Model.from_gram(hr.Gram.from_batches([sleep], f)).estimate("ml")
        for f in ("Reaction ~ 1 + (1 | Subject)", "Reaction ~ Days + (1 | Subject)")
    ]
    assert float(hr.compare_fits(*fits)["p_value"][1]) == pytest.approx(
        chi2.sf(fits[0].criterion - fits[1].criterion, 1), rel=1e-9
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: [hr.Model("Reaction ~ Days", d).estimate(), hr.Model("Reaction ~ 1", d).estimate()], "REML"),
        (lambda d: [hr.Model("Reaction ~ Days", d).estimate("ml"), hr.Model("Reaction ~ Days", d[:90]).estimate("ml")],
         "180 and 90 rows"),
        (lambda d: [hr.Model("Reaction ~ Days", d).estimate(m) for m in ("ml", "reml")], "different methods"),
        (lambda d: [hr.Model("Reaction ~ Days", d).estimate(m) for m in ("map", "map")], "MAP"),
        (lambda d: [hr.Model("Reaction ~ Days", d).estimate("ml")], "at least two"),
        (lambda d: [hr.Model("Reaction ~ Days", d).estimate("ml"), 3], "type int"),
        (lambda d: [hr.Model("Reaction ~ Days", d).estimate("ml"), hr.Model("log(Reaction) ~ Days", d).estimate("ml")],
         "different responses"),
    ],
)  # fmt: skip
def test_refusals(sleep, make, words):
    with pytest.raises(hr.exceptions.ModelError, match=words):
        hr.compare_fits(*make(sleep))


def test_families_are_compared_without_a_test():
    table = trees.table().assign(k=lambda rows: np.arange(len(rows)) % 4)
    families = {"one": hr.Poisson(), "two": hr.NegativeBinomial()}
    report = hr.compare_fits({k: hr.Model("k ~ x + (1 | g)", table, family=f).estimate() for k, f in families.items()})
    assert "families differ" in str(report)
    nested = [hr.Model(f"k ~ {x} + (1 | g)", table, family=hr.Poisson()).estimate() for x in ("1", "x")]
    report = hr.compare_fits(*nested)
    assert float(report["p_value"][1]) == pytest.approx(chi2.sf(nested[0].criterion - nested[1].criterion, 1), rel=1e-7)
