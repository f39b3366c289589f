"""One page of all tables and figures."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.cli.main import main
from hierreg.page import figures_of, tables_of
from hierreg.page.facts import code_of
from hierreg.page.symbols import in_symbols

# What does not look at checks and powers of priors does without them.
SHORT = {"checks": False, "sensitivity": False}
LAST = ("Checks", "Sensitivity", "Draws", "Code")
PENICILLIN = "diameter ~ 1 + (1 | plate) + (1 | sample)"


def draws_of(model):
    return model.sample(draws=100, seed=1, method="psis", progress=False)


@pytest.fixture(scope="module")
def sleep():
    return draws_of(hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")))


def text_of(page):
    return page.read_text(encoding="utf-8")


def headings(text):
    return re.findall(r"<h2[^>]*>(.*?)</h2>", text)


def test_a_page_holds_every_table_and_figure_and_needs_no_other_file(sleep, tmp_path):
    text = text_of(hr.report(sleep, tmp_path / "page.html"))
    for report in tables_of(sleep).values():
        assert report._repr_html_() in text
    sources = re.findall(r'src="([^"]{0,40})', text)
    assert len(sources) == len(figures_of(sleep)) + 2 == 7
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?:|<script|<link|@import", text)
    assert headings(text) == [
        *(
            "Data",
            "Model",
            "Summary",
            "Correlations",
            "Shrinkage",
            "Lines Days",
            "Checks",
            "Sensitivity",
            "Draws",
            "Code",
        )
    ]
    assert "4 chains of 100" in text
    assert "tree = model.sample(draws=100, chains=4, seed=1" in text


@pytest.mark.long
def test_a_page_of_a_saved_posterior_is_the_same(sleep, tmp_path):
    kept = hr.load(hr.save(sleep, tmp_path / "kept.nc"))
    pages = [text_of(hr.report(tree, tmp_path / f"{i}.html")) for i, tree in enumerate((sleep, kept))]
    assert pages[0] == pages[1]


def test_titles_are_text(sleep, tmp_path):
    text = text_of(hr.report(sleep, tmp_path / "page.html", title="<b>a & b</b>", **SHORT))
    assert "<h1>&lt;b&gt;a &amp; b&lt;/b&gt;</h1>" in text
    assert "<code>Reaction ~ Days + (Days | Subject)</code>" in text


def test_the_model_is_written_in_symbols(sleep, tmp_path):
    text = text_of(hr.report(sleep, tmp_path / "page.html", **SHORT))
    symbols = re.findall(r'class="symbols">(.*?)</p>', text)
    assert symbols == [
        (
            "Reaction<sub>r</sub> = β<sub>Intercept</sub> + β<sub>Days</sub> Days<sub>r</sub> + "
            "b<sub>Intercept, Subject(r)</sub> + b<sub>Days, Subject(r)</sub> Days<sub>r</sub> + e<sub>r</sub>"
        ),
        "b<sub>j</sub> ~ N(0, Σ), Σ = diag(sd) Corr diag(sd), j: Subject",
        "e<sub>r</sub> ~ N(0, σ<sup>2</sup>)",
    ]


def test_what_every_structure_family_and_effect_says_in_symbols(tmp_path):
    d = pd.DataFrame({"y": np.arange(12.0) ** 1.5 % 7, "g": np.repeat(list("abcd"), 3), "s": ["u", "v", "u"] * 4})
    d = d.assign(t=np.tile([0, 1, 2], 4), k=d["y"].astype(int), n=9, o=0.1)
    of = {
        "e<sub>r</sub> ~ N(0, σ<sub>s(r)</sub><sup>2</sup>)": {"errors": hr.by("s")},
        "e<sub>r</sub> ~ N(0, σ<sup>2</sup> / w<sub>r</sub>)": {"weights": "n"},
        "e<sub>r</sub> ~ N(0, s<sub>r</sub><sup>2</sup>)": {"errors": hr.known_se("o")},
        "e ~ N(0, σ<sup>2</sup> V)": {"errors": hr.known_cov(np.eye(12), scale=True)},
        "b<sub>j</sub> ~ t<sub>ν</sub>(0, Σ), j: g": {"effects": {"g": hr.StudentT()}},
    }
    for line, options in of.items():
        assert line in in_symbols(hr.Model("y ~ 1 + (1 | g)", d, **options).problem)
    apart = in_symbols(hr.Model("y ~ t + (t || g)", d).problem)
    assert apart[1] == "b<sub>j</sub> ~ N(0, diag(sd<sup>2</sup>)), j: g"
    within = in_symbols(hr.Model("y ~ 1", d, hr.ar1("t", unit="g")).problem)[-1]
    assert within.startswith(
        "var(e<sub>r</sub>) = σ<sup>2</sup>, corr(e<sub>r</sub>, e<sub>r'</sub>) = ρ<sup>|t − t'|</sup>"
    )
    counts = in_symbols(hr.Model("k ~ 1 + (1 | g)", d, family=hr.Poisson(), offset="o").problem)
    assert counts[:2] == [
        "k<sub>r</sub> ~ Poisson(μ<sub>r</sub>), log(μ<sub>r</sub>) = η<sub>r</sub>",
        "η<sub>r</sub> = offset<sub>r</sub> + β<sub>Intercept</sub> + b<sub>Intercept, g(r)</sub>",
    ]


def test_the_code_of_a_page_makes_the_posterior_again(tmp_path):
    data = hr.load_dataset("sleepstudy")
    priors = hr.Priors(beta={"Days": hr.Normal(0, 20)}, sd={"Subject": {"Days": hr.Exponential(0.1)}})
    model = hr.Model("Reaction ~ Days + (Days | Subject)", data, hr.independent(), priors, collinear="drop")
    tree = draws_of(model)
    scope = {"data": data}
    exec(code_of(tree), scope)  # noqa: S102  # what the page says a reader can run
    assert scope["model"].priors.for_files() == model.priors.for_files()
    assert scope["tree"]["posterior"]["beta"].equals(tree["posterior"]["beta"])


def test_names_are_text_wherever_they_stand(tmp_path):
    rng = np.random.default_rng(2)
    name = "<img src=x onerror=alert(1)>"
    d = pd.DataFrame(
        {"y": rng.normal(size=24), name: rng.normal(size=24), "g": np.repeat([f"<i>{k}" for k in "abcdef"], 4)}
    )
    tree = draws_of(hr.Model(f"y ~ `{name}` + (1 | g)", d))
    text = text_of(hr.report(tree, tmp_path / "page.html", **SHORT))
    assert "<img src=x" not in text
    assert "<i>a" not in text
    assert "&lt;img src=x" in text


@pytest.mark.long
def test_a_page_fits_a_phone_and_is_small(sleep, tmp_path):
    """In a browser, where there is one: nothing is wider than the window, but for tables that scroll by themselves."""
    page = hr.report(sleep, tmp_path / "page.html")
    assert page.stat().st_size < 3_000_000
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    if browser is None:
        pytest.skip("no browser on this machine")
    probe = "<script>document.title = document.documentElement.scrollWidth + ' of ' + window.innerWidth</script>"
    page.write_text(text_of(page).replace("</body>", probe + "</body>"), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,900", "--dump-dom", page.as_uri()]
    dom = subprocess.run([browser, *options], capture_output=True, text=True, timeout=120, check=True).stdout
    needed, width = map(int, re.search(r"<title>(\d+) of (\d+)</title>", dom).groups())
    assert needed <= width


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
def test_a_model_of_which_everything_is_fixed_has_a_page(tmp_path):
    priors = hr.Priors(beta={"Intercept": hr.Fixed(1500.0)}, sd={"Batch": hr.Fixed(40.0)}, error_sd=hr.Fixed(50.0))
    tree = draws_of(hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"), priors=priors))
    assert "Held fixed: beta[Intercept] = 1500" in str(hr.summary(tree))
    text = text_of(hr.report(tree, tmp_path / "page.html"))
    assert "Fixed(1500)" in text
    assert "there is nothing to draw" in text


@pytest.mark.long
def test_several_factors_have_sections_of_their_own(tmp_path):
    tree = draws_of(hr.Model(PENICILLIN, hr.load_dataset("penicillin")))
    text = text_of(hr.report(tree, tmp_path / "page.html"))
    assert headings(text) == [
        *(
            "Data",
            "Model",
            "Summary",
            "Correlations",
            "Shrinkage plate",
            "Shrinkage sample",
            "Checks",
            "Sensitivity",
            "Draws",
            "Code",
        )
    ]


def test_responses_that_are_not_normal(tmp_path, rng):
    g = np.repeat(np.arange(12), 6)
    data = pd.DataFrame({"y": rng.poisson(np.exp(0.5 * rng.standard_normal(12))[g] * 3), "g": g})
    model = hr.Model("y ~ 1 + (1 | g)", data, family=hr.Poisson())
    text = text_of(hr.report(model.sample(draws=500, seed=1, progress=False), tmp_path / "page.html"))
    assert headings(text)[2:5] == ["Summary", "Correlations", "Shrinkage"]


def test_an_estimate_is_refused_in_words(tmp_path):
    estimate = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")).estimate()
    with pytest.raises(hr.HierregError, match=r"tree has type Estimate; a posterior is required.*to_html"):
        hr.report(estimate, tmp_path / "page.html")


@pytest.mark.long
def test_the_command_line_writes_it(sleep, tmp_path, capsys):
    kept = hr.save(sleep, tmp_path / "kept.nc")
    assert main(["report", str(kept), "--html", str(tmp_path / "page.html")]) == 0
    assert f"Page: {tmp_path / 'page.html'}" in capsys.readouterr().out
    assert text_of(tmp_path / "page.html") == text_of(hr.report(sleep, tmp_path / "other.html"))
