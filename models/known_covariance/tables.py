"""Projections with and without the covariance between the data sets."""

import pandas as pd

import hierreg as hr
from models.known_covariance.expected import estimate
from models.known_covariance.model import PROJECTIONS, without_cross_blocks


def tables() -> dict[str, pd.DataFrame]:
    """Return the projections."""
    full = hr.contrasts(estimate(), PROJECTIONS)
    blocks = hr.contrasts(without_cross_blocks().estimate("ml"), PROJECTIONS)
    table = pd.DataFrame(
        {
            "full V": full["mean"].values,
            "se": full["sd"].values,
            "cross blocks zero": blocks["mean"].values,
            "se ": blocks["sd"].values,
        },
        index=list(PROJECTIONS),
    )
    fit = estimate()
    title = f"Projections; chi-square {fit.chi_square:.1f} on {fit.degrees_of_freedom} degrees of freedom"
    return {title: table.round(4)}
