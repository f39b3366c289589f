"""The two components, the patients, and what two components find where there is one population only."""

import numpy as np
import pandas as pd

import hierreg as hr
from models.two_populations.expected import component_means, ml, of_one_population, posterior, probability
from models.two_populations.model import TRUTH, trial


def tables() -> dict[str, pd.DataFrame]:
    """Return components, patients by probability, and what becomes of one population."""
    return {
        "Components": components(),
        "Patients by posterior probability to respond": patients(),
        "Ten patients who are least surely of one kind": least_sure(),
        "Two components asked of two populations, and of one": support(),
    }


def components() -> pd.DataFrame:
    """Return share, level and change a week of both components: truth, ML and posterior."""
    mean, weight = component_means(), posterior()["posterior"]["component_weight_patient"].to_numpy()
    share = TRUTH["share"]
    truth = [share, TRUTH["level"], TRUTH["responders"], 1 - share, TRUTH["level"], TRUTH["others"]]
    at_ml = ml().beta.to_numpy() + ml().component_mean["patient"].to_numpy()
    columns = [np.column_stack([weight[..., k].ravel(), mean[..., k, :].reshape(-1, 2)]) for k in (0, 1)]
    draws = np.concatenate(columns, axis=1)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    names = [f"{kind}: {what}" for kind in ("fall faster", "others") for what in ("share", "level", "change a week")]
    weights = ml().component_weight["patient"].to_numpy()
    out = {
        "truth": truth,
        "ML": np.concatenate([[weights[k], *at_ml[k]] for k in (0, 1)]),
        "mean": draws.mean(axis=0),
        "2.5%": low,
        "97.5%": high,
    }
    return pd.DataFrame(out, index=names).round(2)


def patients() -> pd.DataFrame:
    """Return how many patients there are by probability, and how many of them respond in truth."""
    p, responds = probability(), trial().responds
    bins = pd.cut(p, [0, 0.05, 0.2, 0.8, 0.95, 1])
    table = pd.DataFrame({"probability": bins, "patients": 1, "expected": p, "respond in truth": responds})
    return table.groupby("probability", observed=True).sum().round(1)


def least_sure() -> pd.DataFrame:
    """Return the patients whose probabilities are nearest to a half: their own lines, pulled lines, and the truth."""
    report = hr.shrinkage(posterior())
    table = pd.DataFrame(
        {
            "own change a week": report["no_pooling"].sel(patient_coef="week"),
            "posterior": report["mean"].sel(patient_coef="week"),
            "probability to respond": report["probability"][:, 0],
            "responds in truth": trial().responds,
        },
        index=report["patient"].values,
    )
    order = (table["probability to respond"] - 0.5).abs().sort_values(kind="stable").index[:10]
    return table.loc[order].round(2)


def support() -> pd.DataFrame:
    """Return, by component, its share and the patients that are surely of it, for two populations and for one."""
    rows = {}
    for title, tree in (("two populations", posterior()), ("one population", of_one_population()[0])):
        p = tree["posterior"]
        chance = p["probability_patient"].mean(("chain", "draw")).to_numpy()
        for k in (0, 1):
            share = p["component_weight_patient"][..., k].to_numpy()
            low, high = np.quantile(share, [0.05, 0.95])
            rows[f"{title}, component {k}"] = [low, high, chance[:, k].max(), (chance[:, k] > 0.9).sum()]
    return pd.DataFrame(rows, index=["share, 5%", "95%", "largest probability", "patients above 0.9"]).T.round(2)
