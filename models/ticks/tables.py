"""How counts vary: the plug-in beside the posterior."""

import numpy as np
import pandas as pd

from models.ticks.expected import estimate, posterior


def tables() -> dict[str, pd.DataFrame]:
    """Return the standard deviations, the coefficients, and how sure it is that locations differ."""
    p, e = posterior()["posterior"], estimate()
    factors = ("INDEX", "BROOD", "LOCATION")
    sds = {
        "Laplace": [float(e.sd[f][0]) for f in factors],
        "mean": [float(p[f"sd_{f}"].mean()) for f in factors],
        "2.5%": [float(p[f"sd_{f}"].quantile(0.025)) for f in factors],
        "97.5%": [float(p[f"sd_{f}"].quantile(0.975)) for f in factors],
        "below 0.1": [float((p[f"sd_{f}"] < 0.1).mean()) for f in factors],
    }
    beta = {
        "Laplace": e.beta.to_numpy(),
        "se": e.beta_se.to_numpy(),
        "mean": p["beta"].mean(("chain", "draw")).to_numpy(),
        "sd": p["beta"].std(("chain", "draw")).to_numpy(),
    }
    total = sum(p[f"sd_{f}"].to_numpy()[..., 0] ** 2 for f in ("BROOD", "LOCATION"))
    shares = p["sd_LOCATION"].to_numpy()[..., 0] ** 2 / total
    share = {"2.5%": np.quantile(shares, 0.025), "median": np.median(shares), "97.5%": np.quantile(shares, 0.975)}
    return {
        "Standard deviations (log scale)": pd.DataFrame(sds, index=["chicks", "broods", "locations"]).round(3),
        "Coefficients (log scale)": pd.DataFrame(beta, index=list(e.beta["coef"].values)).round(3),
        "Share of locations in the variance of broods and locations": pd.DataFrame([share]).round(2),
    }
