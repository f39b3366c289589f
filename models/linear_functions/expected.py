"""Answers about linear functions: NIST's certified values, and fits in other coordinates."""

from functools import cache, partial
from typing import Any

import numpy as np

import hierreg as hr
from models.catalogue import Expectation, sample
from models.linear_functions.model import (
    LONGLEY,
    PLANE,
    build,
    centred,
    data,
    in_phi,
    plane,
    regression,
    sleep,
    to_centred,
)

NIST = "NIST StRD, Longley, certified values (https://www.itl.nist.gov/div898/strd/lls/data/Longley.shtml)"
CERTIFIED = (
    -3482258.63459582,
    15.0618722713733,
    -0.358191792925910e-01,
    -2.02022980381683,
    -1.03322686717359,
    -0.511041056535807e-01,
    1829.15146461355,
)
CERTIFIED_SD = (
    890420.383607373,
    84.9149257747669,
    0.334910077722432e-01,
    0.488399681651699,
    0.214274163161675,
    0.226073200069370,
    455.478499142212,
)
CERTIFIED_RESIDUAL_SD = 304.854073561965
B = np.array([[1.0, 55.0, -1.0], [0.0, 1.0, 1.0], [0.0, 1.0, -2.0]])


@cache
def longley() -> Any:
    """Return least squares of the Longley data."""
    return build().estimate("reml")


@cache
def of_plane() -> Any:
    """Return least squares of the plane."""
    return regression(plane(), PLANE).estimate("reml")


@cache
def of_centred(which: str) -> Any:
    """Return least squares of centred data."""
    table, columns = (plane(), PLANE) if which == "plane" else (data(), LONGLEY)
    return regression(centred(table, columns), columns).estimate("reml")


@cache
def posterior() -> Any:
    """Return draws for the plane."""
    return sample(regression(plane(), PLANE))


def certified() -> list[Expectation]:
    """Return the expectations about the certified values, and about centring as the way to the same."""
    back = np.linalg.inv(to_centred(data(), LONGLEY))
    known = partial(Expectation, kind="other software", source=NIST)
    return [
        known(name="Longley: coefficients", value=CERTIFIED, found=lambda: longley().beta, relative=1e-9),
        known(name="Longley: standard deviations", value=CERTIFIED_SD, found=lambda: longley().beta_se, relative=1e-9),
        known(
            name="Longley: residual sd",
            value=CERTIFIED_RESIDUAL_SD,
            found=lambda: longley().error_sd,
            relative=1e-9,
        ),
        known(
            name="Longley: centred, and back by contrasts",
            value=CERTIFIED,
            found=lambda: hr.contrasts(of_centred("longley"), back)["mean"],
            relative=1e-9,
        ),
        known(
            name="Longley: standard deviations, centred and back",
            value=CERTIFIED_SD,
            found=lambda: hr.contrasts(of_centred("longley"), back)["sd"],
            relative=1e-9,
        ),
    ]


def of_coordinates() -> list[Expectation]:
    """Return the expectations about a plane in three coordinate systems."""
    table = plane()
    to = to_centred(table, PLANE)
    exact = partial(Expectation, kind="closed form", relative=1e-11, absolute=1e-13)
    y, X = table["y"].to_numpy(), np.column_stack([np.ones(len(table)), table[PLANE]])
    return [
        exact(
            name="plane: coefficients",
            source="numpy.linalg.lstsq",
            value=np.linalg.lstsq(X, y, rcond=None)[0],
            found=lambda: of_plane().beta,
        ),
        exact(
            name="plane, centred: the intercept is the mean of y",
            source="block-diagonal normal equations",
            value=y.mean(),
            found=lambda: of_centred("plane").beta[0],
        ),
        exact(
            name="plane, centred: intercept and slopes are uncorrelated",
            source="block-diagonal normal equations",
            value=np.zeros(2),
            found=lambda: of_centred("plane").beta_cov[0, 1:],
        ),
        exact(
            name="plane, centred and back",
            source="beta = B^-1 phi",
            value=of_plane().beta.values,
            found=lambda: hr.contrasts(of_centred("plane"), np.linalg.inv(to))["mean"],
        ),
        exact(
            name="fit in phi = transform afterwards",
            source="design X B^-1",
            value=in_phi(table, PLANE, B).estimate("reml").beta.values,
            found=lambda: hr.contrasts(of_plane(), B)["mean"],
        ),
        exact(
            name="fit in phi = transform afterwards, covariance",
            source="design X B^-1",
            value=in_phi(table, PLANE, B).estimate("reml").beta_cov.values,
            found=lambda: hr.contrasts(of_plane(), B)["cov"],
        ),
        exact(
            name="B then B^-1",
            source="B^-1 B = I",
            value=of_plane().beta.values,
            found=lambda: np.linalg.solve(B, hr.contrasts(of_plane(), B)["mean"].values),
        ),
        exact(
            name="draws: functions of draws",
            source="phi = B beta, draw by draw: mean B E[beta]",
            value=B @ posterior()["posterior"]["beta"].mean(("chain", "draw")).values,
            found=lambda: hr.contrasts(posterior(), B)["mean"],
        ),
    ]


def of_groups() -> list[Expectation]:
    """Return the expectations about centring where groups have coefficients too."""
    T = np.array([[1.0, 4.5], [0.0, 1.0]])
    exact = partial(Expectation, kind="closed form", relative=1e-6)
    plain, mid = sleep().estimate("reml"), sleep(4.5).estimate("reml")
    functions = {
        "middle of 308": {("308", "Intercept"): 1, ("308", "D"): 4.5},
        "slope of 308": {("308", "D"): 1},
    }
    return [
        exact(
            name="sleepstudy, days centred: covariance between people",
            source="Sigma of T theta is T Sigma T'",
            value=T @ plain.cov["Subject"].values @ T.T,
            found=lambda: mid.cov["Subject"],
        ),
        exact(
            name="sleepstudy, days centred: same criterion",
            source="|det T| = 1",
            value=plain.criterion,
            found=lambda: mid.criterion,
            relative=1e-10,
        ),
        exact(
            name="sleepstudy: the line of one person at day 4.5",
            source="theta of the centred fit is T theta",
            value=mid.theta["Subject"].sel(Subject="308").values,
            found=lambda: hr.contrasts(plain, functions)["mean"],
        ),
        exact(
            name="sleepstudy: its covariance",
            source="T cov T'",
            value=mid.theta_cov["Subject"].sel(Subject="308").values,
            found=lambda: hr.contrasts(plain, functions)["cov"],
        ),
    ]


def expectations() -> list[Expectation]:
    """Return all expectations."""
    return [*certified(), *of_coordinates(), *of_groups()]
