"""`hierreg report`: every table, and the figures, of a kept posterior."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hierreg.cli.answers import Answer, about_attributes
from hierreg.page import figures_of, tables_of
from hierreg.page import report as report_page
from hierreg.plots.canvas import close
from hierreg.results import load

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr


def report(path: Path, *, figures: Path | None, tables: Path | None, page: Path | None = None) -> Answer:
    """Print every table of a kept posterior; write figures and tables to folders, and one page of all, where given."""
    tree = load(path)
    answer = print_tables(tree, tables)
    if figures is not None:
        written = write_figures(tree, figures)
        print(f"\nFigures: {', '.join(str(name) for name in written)}")
        answer = replace(answer, files=(*answer.files, *written))
    if page is not None:
        answer = replace(answer, files=(*answer.files, report_page(tree, page)))
        print(f"\nPage: {page}")
    return answer


def print_tables(tree: xr.DataTree, folder: Path | None = None) -> Answer:
    """Print the tables that the model of a posterior has, and write them as CSV where a folder is given."""
    made = tables_of(tree)
    for name, table in made.items():
        print(f"\n{name.upper()}\n{table}")
    frames, files = {name: table.to_pandas() for name, table in made.items()}, []
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in frames.items():
            files.append(folder / f"{name}.csv")
            frame.to_csv(files[-1], index=False)
        print(f"\nTables: {', '.join(map(str, files))}")
    return Answer(tables=frames, about=about_attributes(tree.attrs), files=files)


def write_figures(tree: xr.DataTree, folder: Path, prefix: str = "") -> list[Path]:
    """Write the figures that the model of a posterior has as PNG files, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, make in figures_of(tree).items():
        path = folder / f"{prefix}{name}.png"
        figure = make(tree)
        figure.savefig(path, dpi=150, bbox_inches="tight")
        close(figure)
        written.append(path)
    return written
