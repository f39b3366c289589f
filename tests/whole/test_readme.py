"""The README's Python runs as it stands, and names only what exists."""

import re
from pathlib import Path

import pytest

import hierreg as hr

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


def test_there_is_something_to_run():
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_example_runs(code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # Only the first example says what `hr` is.
    names = {} if code == BLOCKS[0] else {"hr": hr}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102  # the project's own text
    # Every example prints tables with numbers in them.
    assert len(re.findall(r"\d\.\d", capsys.readouterr().out)) > 10


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_paths_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    folders = r"`((?:hierreg|models|notebooks|tests)/[\w/.]*|[A-Z]+\.md)`"
    paths = re.findall(folders, text) + re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)
    assert len(paths) > 5
    for path in paths:
        assert (ROOT / path).exists(), path
