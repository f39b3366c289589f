"""Use of contraception by women in Bangladesh: yes or no, with a level and a slope for each district."""

from __future__ import annotations

from typing import Any

import numpy as np

import hierreg as hr

WOMEN = "use ~ age + I(age**2) + livch + urban"
FORMULA = f"{WOMEN} + (1 + urban | district)"


def data() -> Any:
    """Return 1,934 women in the rural and urban areas of 60 districts."""
    return hr.load_dataset("contraception")


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return yes or no with effects of districts on the level and on what is different in urban areas."""
    table = hr.load_dataset("contraception") if data is None else data
    return hr.Model(FORMULA, table, family=hr.Bernoulli(), priors=priors)


def without_slopes() -> hr.Model:
    """Return the same with one effect of each district, in rural and urban areas alike."""
    return hr.Model(f"{WOMEN} + (1 | district)", data(), family=hr.Bernoulli())


def log_likelihood(beta: np.ndarray, cov: np.ndarray) -> float:
    """Return the log likelihood by brute force: the effects of each district summed over a grid of 121 x 121 points.

    Parameters
    ----------
    beta : array (7,)
        Population coefficients, in the order of the formula.
    cov : array (2, 2)
        Covariance of the effects of a district.
    """
    table = data()
    age, urban = table["age"].to_numpy(), (table["urban"] == "Y").to_numpy(float)
    children = [(table["livch"] == level).to_numpy(float) for level in ("1", "2", "3+")]
    eta = np.column_stack([np.ones(len(age)), age, age**2, *children, urban]) @ beta
    z = np.linspace(-7, 7, 121)
    v = np.stack(np.meshgrid(z, z, indexing="ij"), axis=-1).reshape(-1, 2)
    log_weight = -0.5 * np.sum(v**2, axis=1) - np.log(2 * np.pi) + 2 * np.log(z[1] - z[0])
    b = v @ np.linalg.cholesky(cov).T
    sign = np.where(table["use"] == "Y", 1.0, -1.0)
    total, district = 0.0, table["district"].to_numpy()
    for name in np.unique(district):
        log_p = log_weight.copy()
        for row in np.flatnonzero(district == name):
            log_p -= np.logaddexp(0.0, -sign[row] * (eta[row] + b[:, 0] + urban[row] * b[:, 1]))
        total += float(np.logaddexp.reduce(log_p))
    return total


def areas(sd: np.ndarray, corr: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sds (...) of rural and of urban areas between districts, and the correlation of the two.

    Rural areas differ by b_0, urban ones by b_0 + b_1.

    Parameters
    ----------
    sd : array (..., 2)
        Of b_0 and b_1.
    corr : array (...)
    """
    rural, slope = sd[..., 0], sd[..., 1]
    urban = np.sqrt(rural**2 + slope**2 + 2 * corr * rural * slope)
    return rural, urban, (rural + corr * slope) / urban
