"""Every notebook runs from its first to its last cell."""

from pathlib import Path

import pytest

NOTEBOOKS = sorted(Path(__file__).parents[2].glob("notebooks/*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    import jupytext
    import nbclient

    where_it_writes = {"metadata": {"path": tmp_path}}
    nbclient.NotebookClient(jupytext.read(path), timeout=300, resources=where_it_writes).execute()
