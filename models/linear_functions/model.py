"""Linear functions of coefficients: centring and other changes of coordinates, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import hierreg as hr
from models.catalogue import HERE

LONGLEY = [f"x{i}" for i in range(1, 7)]
PLANE = ["u", "v"]


def data() -> Any:
    """Return NIST's Longley data: 16 rows, six predictors that nearly determine each other."""
    return pd.read_csv(HERE / "linear_functions" / "longley.csv")


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return the regression of y on all six."""
    table = globals()["data"]() if data is None else data
    return hr.Model(f"y ~ {' + '.join(LONGLEY)}", table, priors=priors)


def plane() -> Any:
    """Return 40 rows around a plane, far from the origin of both predictors; seeded."""
    rng = np.random.default_rng(6)
    u, v = rng.uniform(50, 60, 40), rng.uniform(-5, 3, 40)
    return pd.DataFrame({"u": u, "v": v, "y": 3 + 0.2 * u - 0.7 * v + rng.normal(0, 0.3, 40)})


def regression(table: Any, columns: list[str]) -> hr.Model:
    """Return the regression of y on columns."""
    return hr.Model(f"y ~ {' + '.join(columns)}", table)


def centred(table: Any, columns: list[str]) -> Any:
    """Return the table with the mean of each column subtracted."""
    return table.assign(**{c: table[c] - table[c].mean() for c in columns})


def to_centred(table: Any, columns: list[str]) -> np.ndarray:
    """Return B with phi = B beta: the value at the means takes the place of the intercept, slopes stay."""
    B = np.eye(len(columns) + 1)
    B[0, 1:] = table[columns].mean()
    return B


def in_phi(table: Any, columns: list[str], B: np.ndarray) -> hr.Model:
    """Return the regression whose coefficients are phi = B beta: the columns of X B^-1, no intercept."""
    X = np.column_stack([np.ones(len(table)), table[columns]])
    W = np.linalg.solve(B.T, X.T).T
    names = [f"w{i}" for i in range(W.shape[1])]
    new = pd.DataFrame(W, columns=names).assign(y=table["y"].to_numpy())
    return hr.Model(f"y ~ 0 + {' + '.join(names)}", new)


def sleep(centre: float = 0.0) -> hr.Model:
    """Return the sleep study with days counted from a centre."""
    table = hr.load_dataset("sleepstudy")
    return hr.Model("Reaction ~ D + (D | Subject)", table.assign(D=table["Days"] - centre))
