"""One page of all tables and figures."""

import re

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.cli.main import main
from hierreg.page import figures_of, tables_of

PENICILLIN = "diameter ~ 1 + (1 | plate) + (1 | sample)"


def draws_of(model):
    return model.sample(draws=100, seed=1, method="psis", progress=False)


@pytest.fixture(scope="module")
def sleep():
    return draws_of(hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")))


def text_of(page):
    return page.read_text(encoding="utf-8")


def test_a_page_holds_every_table_and_figure_and_needs_no_other_file(sleep, tmp_path):
    text = text_of(hr.write_page(sleep, tmp_path / "page.html"))
    for report in tables_of(sleep).values():
        assert report._repr_html_() in text
    sources = re.findall(r'src="([^"]{0,40})', text)
    assert len(sources) == len(figures_of(sleep)) == 5
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?:|<script|<link|@import", text)
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["Summary", "Correlations", "Shrinkage", "Lines Days"]
    assert "4 x 100 draws by psis, seed 1" in text


def test_a_page_of_a_saved_posterior_is_the_same(sleep, tmp_path):
    kept = hr.load(hr.save(sleep, tmp_path / "kept.nc"))
    pages = [text_of(hr.write_page(tree, tmp_path / f"{i}.html")) for i, tree in enumerate((sleep, kept))]
    assert pages[0] == pages[1]


def test_titles_are_text(sleep, tmp_path):
    text = text_of(hr.write_page(sleep, tmp_path / "page.html", title="<b>a & b</b>"))
    assert "<h1>&lt;b&gt;a &amp; b&lt;/b&gt;</h1>" in text
    assert "<code>Reaction ~ Days + (Days | Subject)</code>" in text


def test_several_factors_have_sections_of_their_own(tmp_path):
    tree = draws_of(hr.Model(PENICILLIN, hr.load_dataset("penicillin")))
    text = text_of(hr.write_page(tree, tmp_path / "page.html"))
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["Summary", "Correlations", "Shrinkage plate", "Shrinkage sample"]


def test_responses_that_are_not_normal(tmp_path, rng):
    g = np.repeat(np.arange(12), 6)
    data = pd.DataFrame({"y": rng.poisson(np.exp(0.5 * rng.standard_normal(12))[g] * 3), "g": g})
    model = hr.Model("y ~ 1 + (1 | g)", data, family=hr.Poisson())
    text = text_of(hr.write_page(model.sample(draws=500, seed=1, progress=False), tmp_path / "page.html"))
    assert re.findall(r"<h2>(.*?)</h2>", text)[:3] == ["Summary", "Correlations", "Shrinkage"]


def test_an_estimate_is_refused_in_words(tmp_path):
    estimate = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")).estimate()
    with pytest.raises(hr.HierregError, match=r"tree has type Estimate; a posterior is required.*to_html"):
        hr.write_page(estimate, tmp_path / "page.html")


def test_the_command_line_writes_it(sleep, tmp_path, capsys):
    kept = hr.save(sleep, tmp_path / "kept.nc")
    assert main(["report", str(kept), "--html", str(tmp_path / "page.html")]) == 0
    assert f"Page: {tmp_path / 'page.html'}" in capsys.readouterr().out
    assert text_of(tmp_path / "page.html") == text_of(hr.write_page(sleep, tmp_path / "other.html"))
