"""Projections with and without the covariance between the data sets."""

import pandas as pd

import hierreg as hr
from models.known_covariance.expected import chi_square, estimate
from models.known_covariance.model import PROJECTIONS, by_hand, without_cross_blocks


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
    return {f"Projections; chi-square {chi_square():.1f} on {by_hand()['df']} degrees of freedom": table.round(4)}
