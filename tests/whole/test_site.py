"""The site: every public name is in it, and every line of code on its own pages runs."""

import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import hierreg as hr
from models import catalogue
from tests.helpers.notebooks import FOLDER, TEXTS

ROOT = FOLDER.parent
PAGES = FOLDER / "pages"
# Those whose code stands on them; that of the others is of the README, tested in `test_readme`, or of `engines.md`.
WITH_CODE = ("after_the_fit", "coming_from", "priors")


@cache
def generate():
    """Return the module that makes pages, which stands beside them."""
    sys.path.insert(0, str(PAGES))
    try:
        return import_module("generate")
    finally:
        sys.path.remove(str(PAGES))


def text(page):
    return (PAGES / f"{page}.md").read_text(encoding="utf-8")


def cells(page):
    """Return the code in the last column of each table of a page."""
    rows = [line for line in text(page).splitlines() if line.startswith("| ") and "`" in line]
    last = [re.split(r"(?<!\\) \| ", row.removesuffix(" |"))[-1] for row in rows]
    assert all(cell.count("`") == 2 and cell[0] == cell[-1] == "`" for cell in last)
    return [cell.strip("`").replace(r"\|", "|") for cell in last]


@cache
def names_of(page):
    """Run the blocks of a page and return what they define."""
    names = {}
    for block in re.findall(r"```python\n(.*?)```", text(page), flags=re.DOTALL):
        exec(compile(block, f"{page}.md", "exec"), names)  # noqa: S102  # the project's own text
    return names


def test_pages_without_code_of_their_own_have_none():
    others = [path for path in (*PAGES.glob("*.md"), FOLDER / "index.md") if path.stem not in WITH_CODE]
    assert [path.name for path in others if re.search(r"```python|>>>", path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("page", WITH_CODE)
def test_the_blocks_of_a_page_run(page):
    assert "hr" in names_of(page)


# ArviZ says of a row whose weights it does not trust; the page says so too.
@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto:UserWarning")
@pytest.mark.parametrize(("page", "code"), [(page, code) for page in WITH_CODE for code in cells(page)])
def test_what_stands_in_a_table_runs(page, code):
    from matplotlib import pyplot as plt

    assert eval(code, names_of(page)) is not None  # noqa: S307  # the project's own text
    plt.close("all")


def test_the_tables_are_not_empty():
    assert len(cells("after_the_fit")) > 30
    assert len(cells("coming_from")) > 50


def test_every_public_name_is_in_the_reference():
    listed = [name for names in generate().sections().values() for name in names]
    wanted = {f"hierreg.{name}" for name in hr.__all__ if name not in {"plots", "exceptions"}}
    wanted |= {f"hierreg.plots.{name}" for name in hr.plots.__all__}
    wanted |= {f"hierreg.exceptions.{name}" for name in hr.exceptions.__all__ if name not in hr.__all__}
    assert set(listed) == wanted | set(generate().RETURNED)
    assert [name for name in listed if f"   {name}\n" not in generate().reference()] == []


def test_a_new_public_name_gets_a_section(monkeypatch):
    monkeypatch.setattr(hr, "__all__", [*hr.__all__, "lately"])
    assert generate().sections()["More"] == ("hierreg.lately",)
    assert "   hierreg.lately\n" in generate().reference()


def test_all_pages_are_made(tmp_path):
    generate().pages(tmp_path)
    gallery = (tmp_path / "gallery.md").read_text(encoding="utf-8")
    for name in TEXTS:
        assert f":link: /{name}\n" in gallery
        assert (tmp_path / "thumbnails" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    models = (tmp_path / "models" / "index.md").read_text(encoding="utf-8")
    for name in catalogue.names():
        assert f"]({name}.md): " in models
        assert (tmp_path / "models" / f"{name}.md").is_file()


def test_parts_of_the_readme_are_where_pages_look_for_them():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in ("start", "limits"):
        first, last = re.findall(r'"## ([\w ]+)\\n"', text(page))
        assert readme.index(f"\n## {first}\n") < readme.index(f"\n## {last}\n")
    assert readme.index("\n## How fast\n") < readme.index("\nLicence: MIT")


def test_the_site_is_built_by_continuous_integration():
    command = "sphinx-build -W --keep-going -q notebooks build/site"
    for file in (Path(".ci/run"), Path("CONTRIBUTING.md")):
        assert command in (ROOT / file).read_text(encoding="utf-8")
