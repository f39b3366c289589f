"""The figure at the top of the README: reaction times under sleep deprivation, person by person.

python -m tests.benchmarks.readme_figure [sleepstudy.png]
"""

from __future__ import annotations

import argparse

import hierreg as hr


def main() -> None:
    """Fit the README's first model and write its shrinkage plot."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.readme_figure")
    parser.add_argument("path", nargs="?", default="tests/benchmarks/sleepstudy.png")
    path = parser.parse_args().path
    model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    figure = hr.plots.shrinkage(model.sample(seed=1, progress=False), figsize=(9.0, 4.8))
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
