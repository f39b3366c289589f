"""`hierreg predict`: predictions of new rows from a kept posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hierreg.cli.answers import Answer, about_attributes
from hierreg.cli.tables import read_table
from hierreg.linear import predict as predictions
from hierreg.results import load

if TYPE_CHECKING:
    from argparse import Namespace

    import xarray as xr


def predict(options: Namespace) -> Answer:
    """Print predictions of the rows of a file, and write them as CSV where one is named."""
    tree = load(options.fit)
    rows = _with_types(read_table(options.data, ()), tree)
    given = None if options.given is None else _with_types(read_table(options.given, ()), tree)
    found = predictions(
        tree,
        rows,
        level=options.level.replace("-", " "),
        given=given,
        ci_prob=options.ci,
        observation=not options.no_observation,
        scale=options.scale,
        seed=options.seed,
    )
    print(found)
    frame = found.to_pandas()
    if options.output is not None:
        frame.to_csv(options.output, index=False)
        print(f"\nPredictions: {options.output}")
    files = () if options.output is None else (options.output,)
    about = about_attributes(tree.attrs) | about_attributes(found.attrs)
    return Answer(tables={"predictions": frame}, about=about, files=files)


def _with_types(rows: Any, tree: xr.DataTree) -> Any:
    """Return a table whose columns are text where those of the model are: a file does not say that 7 is a label."""
    if "constant_data" not in tree.children:
        return rows
    for variable in tree["constant_data"].data_vars.values():
        column = str(variable.attrs["column"])
        if column in rows.columns and variable.dtype.kind in "OUT":
            rows[column] = rows[column].astype(str)
    return rows
