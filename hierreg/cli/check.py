"""`hierreg check`: what the data say against the model of a kept posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierreg.cli.answers import Answer, about_attributes
from hierreg.criticism import check as checks_of
from hierreg.plots import check as figure_of
from hierreg.plots.canvas import close
from hierreg.results import load

if TYPE_CHECKING:
    from argparse import Namespace


def check(options: Namespace) -> Answer:
    """Print the checks of a kept posterior, and write their figure where one is asked for."""
    tree = load(options.fit)
    found = checks_of(tree, level=options.level, time=options.time, unit=options.unit, seed=options.seed)
    print(found)
    files = []
    if options.figure is not None:
        figure = figure_of(found)
        figure.savefig(options.figure, dpi=150, bbox_inches="tight")
        close(figure)
        files.append(options.figure)
        print(f"\nFigure: {options.figure}")
    return Answer(tables={"checks": found.to_pandas()}, about=about_attributes(tree.attrs), files=files)
