"""Reaction times under sleep deprivation: each person a line of their own."""

from __future__ import annotations

from typing import Any

import hierreg as hr

PRIORS = hr.Priors(
    beta=hr.Normal(0, 1000),
    sd={"Subject": {"Intercept": hr.HalfNormal(100), "Days": hr.HalfNormal(50)}},
    corr={"Subject": hr.LKJ(2)},
    error_sd=hr.HalfNormal(100),
)


def data() -> Any:
    """Return the sleep study: 18 people, ten days."""
    return hr.load_dataset("sleepstudy")


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return the model with correlated intercepts and slopes."""
    table = hr.load_dataset("sleepstudy") if data is None else data
    return hr.Model("Reaction ~ Days + (Days | Subject)", table, priors=priors)


def uncorrelated() -> hr.Model:
    """Return the model whose intercepts and slopes are independent."""
    return hr.Model("Reaction ~ Days + (Days || Subject)", data())
