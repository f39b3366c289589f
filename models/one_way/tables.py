"""The estimates of both data sets side by side."""

import pandas as pd

from models.one_way.expected import found_variances, posterior
from models.one_way.model import data, layout, variances


def tables() -> dict[str, pd.DataFrame]:
    """Return the variances by method."""
    rows = {}
    for name in ("dyestuff", "dyestuff2"):
        s = layout(data(name))
        for method in ("moments", "reml", "ml"):
            rows[name, f"{method}, closed form"] = variances(s, method)
        for method in ("reml", "ml"):
            rows[name, f"{method}, optimiser"] = found_variances(name, method)
        draws = posterior(name)
        means = (float((draws["sd_Batch"] ** 2).mean()), float((draws["error_sd"] ** 2).mean()))
        rows[name, "posterior mean"] = means
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["between batches", "within batches"])
    frame.index = pd.MultiIndex.from_tuples(rows, names=["data", "method"])
    return {"Variances (squared grams)": frame.round(3)}
