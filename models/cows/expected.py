"""Answers of the herds: lme4's fits by Laplace and quadrature, and brute-force integration."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import xarray as xr

from models.catalogue import Expectation, sample
from models.cows.model import GRID_PRIORS, build, data, grid_moments, without_periods

LME4 = (
    "R 4.2.2, lme4 1.1-31: glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, nAGQ={}, "
    "control=glmerControl(optimizer='bobyqa', optCtrl=list(maxfun=2e5, rhoend=1e-9), tolPwrss=1e-12))"
)


def left_out() -> float:
    """Return what lme4 leaves out where nAGQ > 1: minus twice the log density of the saturated model."""
    from scipy.stats import binom

    table = data()
    y, n = table["incidence"].to_numpy(), table["size"].to_numpy()
    return -2.0 * float(binom.logpmf(y, n, y / n).sum())


@cache
def fitted(nodes: int) -> Any:
    """Return the estimate with so many nodes."""
    return build().estimate("laplace") if nodes == 1 else build().estimate("quadrature", nodes=nodes)


@cache
def draws() -> xr.Dataset:
    """Return draws of the model whose posterior is integrated on a grid."""
    return sample(without_periods(GRID_PRIORS))["posterior"].dataset


def of_grid(name: str) -> xr.DataArray:
    """Return the draws of a parameter."""
    return draws()["beta"][..., 0] if name == "intercept" else draws()["sd_herd"][..., 0]


def below(name: str, limit: float) -> xr.DataArray:
    """Return whether each draw is below a limit."""
    return (of_grid(name) < limit).astype(float)


def expectations() -> list[Expectation]:
    """Return all expectations."""
    out = []
    for nodes, criterion, sd, beta, se in (
        (
            1,
            184.0525637430,
            0.64226143,
            (-1.39853211, -0.99233280, -1.12867213, -1.58031395),
            (0.23247184, 0.30664221, 0.32663758, 0.42743620),
        ),
        (
            25,
            100.0100305367 + left_out(),
            0.64751847,
            (-1.39923044, -0.99140366, -1.12781947, -1.57947079),
            (0.23351154, 0.30676792, 0.32676831, 0.42759437),
        ),
    ):
        for name, value, found, relative in (
            ("criterion", criterion, lambda nodes=nodes: fitted(nodes).criterion, 1e-8),
            ("sd of herds", sd, lambda nodes=nodes: float(fitted(nodes).sd["herd"][0]), 1e-5),
            ("coefficients", beta, lambda nodes=nodes: fitted(nodes).beta.to_numpy(), 1e-5),
            ("standard errors", se, lambda nodes=nodes: fitted(nodes).beta_se.to_numpy(), 1e-4),
        ):
            out.append(
                Expectation(
                    name=f"{nodes} nodes: {name}",
                    kind="other software",
                    source=LME4.format(nodes),
                    value=value,
                    found=found,
                    relative=relative,
                )
            )
    for name, (mean, sd, low, high) in grid_moments().items():
        source = "integration of everything on grids (`grid_moments`)"
        out.append(
            Expectation(
                name=f"{name}: mean",
                kind="closed form",
                source=source,
                value=mean,
                found=lambda name=name: of_grid(name),
                mc_errors=4,
            )
        )
        out.append(
            Expectation(
                name=f"{name}: sd",
                kind="closed form",
                source=source,
                value=sd,
                found=lambda name=name: float(of_grid(name).std()),
                relative=0.06,
            )
        )
        for probability, limit in ((0.05, low), (0.95, high)):
            out.append(
                Expectation(
                    name=f"{name}: probability below the {probability:.0%} point",
                    kind="closed form",
                    source=source,
                    value=probability,
                    found=lambda name=name, limit=limit: below(name, limit),
                    mc_errors=4,
                )
            )
    return out


def understated() -> np.ndarray:
    """Return posterior standard deviations over the standard errors of the plug-in."""
    posterior = sample(build())["posterior"]
    return posterior["beta"].std(("chain", "draw")).to_numpy() / fitted(1).beta_se.to_numpy()
