"""Tables whose group coefficients have a covariance of low rank: six columns, `y ~ a * c + (a * c | g)`."""

import numpy as np
import pandas as pd

FORMULA = "y ~ a * c + (a * c | g)"
COLUMNS = 6


def table(seed: int, rank: int, groups: int = 40, rows: int = 25) -> pd.DataFrame:
    """Return rows of each group; effects are a few sums of the columns, each with a weight of its own by group."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    a, c = rng.integers(0, 3, len(g)), rng.normal(size=len(g))
    X = np.column_stack([np.ones(len(g)), a == 1, a == 2, c, (a == 1) * c, (a == 2) * c]).astype(float)
    loadings = 0.5 * rng.normal(size=(COLUMNS, rank))
    b = rng.normal(size=(groups, rank)) @ loadings.T
    y = X @ np.array([1.0, 0.5, -0.5, 0.3, 0.2, -0.2]) + np.sum(X * b[g], axis=1) + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "a": np.array(list("uvw"))[a], "c": c, "g": g})
