"""What items and persons contribute: the plug-in beside the posterior."""

import pandas as pd

from models.verbal_aggression.expected import estimate, posterior


def tables() -> dict[str, pd.DataFrame]:
    """Return coefficients and standard deviations by both."""
    p, e = posterior()["posterior"], estimate()
    beta = {
        "Laplace": e.beta.to_numpy(),
        "se": e.beta_se.to_numpy(),
        "mean": p["beta"].mean(("chain", "draw")).to_numpy(),
        "sd": p["beta"].std(("chain", "draw")).to_numpy(),
    }
    sds = {
        "Laplace": [float(e.sd[f][0]) for f in ("id", "item")],
        "mean": [float(p[f"sd_{f}"].mean()) for f in ("id", "item")],
        "2.5%": [float(p[f"sd_{f}"].quantile(0.025)) for f in ("id", "item")],
        "97.5%": [float(p[f"sd_{f}"].quantile(0.975)) for f in ("id", "item")],
    }
    return {
        "Coefficients (log odds)": pd.DataFrame(beta, index=list(e.beta["coef"].values)).round(3),
        "Standard deviations (log odds)": pd.DataFrame(sds, index=["persons", "items"]).round(3),
    }
