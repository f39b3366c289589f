"""Both correlations by method."""

import numpy as np
import pandas as pd

from models.correlations_from_mixed_models.expected import RECOVERED, fit, of_common_draws, of_draws, of_fit
from models.correlations_from_mixed_models.model import TRUTH, sample_correlations


def tables() -> dict[str, pd.DataFrame]:
    """Return r1 and r2 with 95 % intervals where the method has one."""
    alone = [fit("first_alone"), fit("second_alone")]
    rows = {
        "truth": list(TRUTH.values()),
        "plain correlation of first and second": list(sample_correlations().values()),
        "(ii) two terms, one residual variance": list(of_fit("two_terms").values()),
        "(ii) common and extra, one residual variance": list(of_fit("common_and_extra").values()),
        "(iii) each stratum alone": [float(1 / (1 + (e.error_sd / e.sd["f"][0]) ** 2)) for e in alone],
        "(iv) residual variance by stratum, ML": list(of_fit("by_stratum_ml").values()),
        "(iv) residual variance by stratum, REML": list(of_fit("by_stratum").values()),
        "(iv) posterior mean": [float(of_draws(stratum).mean()) for stratum in TRUTH],
        "(iv) with a predictor, REML": list(of_fit("with_predictor").values()),
        "(v) common total variance, ML": fit("common_total").error_corr.values.tolist(),
        "(v) posterior mean": [float(of_common_draws(stratum).mean()) for stratum in TRUTH],
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["r1 (P)", "r2 (T)"]).round(3)
    table["95 % interval of r1"], table["95 % interval of r2"] = "", ""
    for stratum, column in zip(TRUTH, table.columns[2:], strict=True):
        r, se = RECOVERED[stratum]
        low, high = np.quantile(of_draws(stratum), [0.025, 0.975])
        table.loc["(iv) residual variance by stratum, REML", column] = (
            f"{r - 1.96 * se:.3f} to {r + 1.96 * se:.3f} (nlme)"
        )
        table.loc["(iv) posterior mean", column] = f"{low:.3f} to {high:.3f}"
        r = float(fit("common_total").error_corr.sel(R=stratum))
        se = float(fit("common_total").variance_se.sel(parameter=f"error_corr[{stratum}]"))
        table.loc["(v) common total variance, ML", column] = (
            f"{r - 1.96 * se:.3f} to {r + 1.96 * se:.3f} (delta method)"
        )
        low, high = np.quantile(of_common_draws(stratum), [0.025, 0.975])
        table.loc["(v) posterior mean", column] = f"{low:.3f} to {high:.3f}"
    return {"Correlations of the pairs": table}
