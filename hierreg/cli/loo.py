"""`hierreg loo`: how well kept posteriors predict what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hierreg.cli.answers import Answer, about_attributes
from hierreg.exceptions import DataError
from hierreg.results import load
from hierreg.studies import loo as leave_one_out

if TYPE_CHECKING:
    from argparse import Namespace

    import pandas as pd

    from hierreg.studies.left_out_result import LeaveOneOut


def loo(options: Namespace) -> Answer:
    """Print leave-one-out of each file, and of several a comparison; write values of each row where a file is named."""
    names = [str(path) for path in options.fit]
    if len(set(names)) < len(names):
        raise DataError(f"{' '.join(names)}: the same file stands there twice; each is compared once.")
    if options.output is not None and len(names) > 1:
        raise DataError(f"--output {options.output}: values of each row are those of one fit; {len(names)} were given.")
    trees = [load(path) for path in options.fit]
    made: dict[str, LeaveOneOut] = {}
    for name, tree in zip(names, trees, strict=True):
        made[name] = leave_one_out(tree, options.by, draws=options.draws, refit=options.refit)
        print(f"{tree.attrs['formula']} ({name}), left out: {made[name].left_out}\n{made[name]}\n")
    tables: dict[str, pd.DataFrame] = {"loo": _totals(made)}
    if len(made) > 1:
        tables["comparison"] = _compared(made)
        print(tables["comparison"].to_string(index=False))
    each = _each(next(iter(made.values())))
    files = []
    if len(made) == 1:
        tables["each"] = each
    if options.output is not None:
        each.to_csv(options.output, index=False)
        print(f"Values: {options.output}")
        files.append(options.output)
    return Answer(tables=tables, about=about_attributes(trees[0].attrs), files=files)


def _totals(made: dict[str, LeaveOneOut]) -> pd.DataFrame:
    """Return a line for each fit."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "fit": name,
                "elpd": found.elpd,
                "se": found.se,
                "p": found.p,
                "left_out": found.left_out,
                "n": found.n_data_points,
                "refitted": len(found.refitted),
                "pareto_k": float(found.pareto_k.max()),
            }
            for name, found in made.items()
        ]
    )


def _compared(made: dict[str, LeaveOneOut]) -> pd.DataFrame:
    from arviz_stats import compare  # type: ignore[attr-defined]  # of a package without a list of its names

    frame: Any = compare(made)
    return frame.rename_axis("fit").reset_index()


def _each(found: LeaveOneOut) -> pd.DataFrame:
    """Return a line for each row or group."""
    import pandas as pd

    elpd: Any = found.elpd_i
    columns = {str(elpd.dims[0]): elpd[elpd.dims[0]].to_numpy(), "elpd": elpd.to_numpy()}
    columns["pareto_k"] = found.pareto_k.to_numpy()
    if found.pit is not None:
        columns["pit"] = found.pit.to_numpy()
    return pd.DataFrame(columns)
