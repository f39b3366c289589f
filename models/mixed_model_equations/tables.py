"""The path to kappa = 0, the alternation, and how much the plug-in understates by the number of groups."""

import numpy as np
import pandas as pd

from models.mixed_model_equations.expected import KAPPAS, SIZES, ml, plug_in_ratio, sd_ratio, solved
from models.mixed_model_equations.model import alternate


def tables() -> dict[str, pd.DataFrame]:
    """Return the three tables."""
    blue, blup = solved().beta.values, solved().b["g"].values
    path = {
        kappa: (
            *solved(kappa).beta.values,
            np.abs(solved(kappa).beta.values - blue).max(),
            np.abs(solved(kappa).b["g"].values - blup).max(),
        )
        for kappa in (*KAPPAS, 0.0)
    }
    steps = {k + 1: (*beta, np.abs(beta - ml().beta.values).max()) for k, beta in enumerate(alternate(6))}
    gaps = {J: (sd_ratio(J), plug_in_ratio(J)) for J in SIZES}
    columns = ["Intercept", "x", "largest gap of beta"]
    return {
        "beta ~ N(0, 1 / kappa): the way to BLUE and BLUP": _table(path, [*columns, "largest gap of b"], "kappa"),
        "Variances given beta, beta given variances, ...": _table(steps, columns, "step"),
        "Posterior sd of group effects over plug-in sd": _table(gaps, ["quadrature", "draws"], "groups").round(3),
    }


def _table(rows: dict, columns: list[str], index: str) -> pd.DataFrame:
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis(index)
