# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Can a mixed model return two different correlations?
#
# Pairs of measurements: 2,000 in stratum P, correlated 0.2, and 2,000 in stratum T, correlated 0.8. All variances are
# one.

# %%
import matplotlib.pyplot as plt
import numpy as np

import hierreg as hr
from models.correlations_from_mixed_models.model import COMMON_AND_EXTRA, TRUTH, TWO_TERMS, data, sample_correlations

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
table = data()
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.8), sharex=True, sharey=True, layout="compressed")
for axis, (stratum, r) in zip(axes, sample_correlations().items(), strict=True):
    y = table[table["R"] == stratum].sort_values("f", kind="stable")["y"].to_numpy().reshape(-1, 2)
    axis.plot(*y.T, ".", ms=2, color="0.3")
    axis.set(xlabel="first measurement", ylabel="second measurement", title=f"{stratum}: r = {r:.3f}", aspect="equal")

# %% [markdown]
# ## One correlation is easy
#
# Give each pair `f` an effect: `y ~ 1 + (1 | f)`. Two measurements of a pair share it, so that they are correlated
# sd^2 / (sd^2 + error_sd^2). In one stratum alone:

# %%
stratum_t = hr.Model("y ~ 1 + (1 | f)", table[table["R"] == "T"])
print(stratum_t.estimate())

# %% [markdown]
# ## Two are not
#
# It seems natural to give the pairs of each stratum a variance of their own. Here are two ways to write that.


# %%
def implied(between, within):
    between = np.asarray(between) ** 2
    return between / (between + np.broadcast_to(within, 2) ** 2)


two = hr.Model(TWO_TERMS, table).estimate()
extra = hr.Model(COMMON_AND_EXTRA, table).estimate()
print(TWO_TERMS, two.criterion, implied(two.sd["f"], two.error_sd))
print(COMMON_AND_EXTRA, extra.criterion, implied(np.sqrt(np.cumsum(extra.sd["f"] ** 2)), extra.error_sd))

# %% [markdown]
# They are the same model, with the same likelihood, and both are wrong: 0.43 and 0.58. There is one residual variance.
# Different pair variances then mean different *total* variances, and the total variances are equal in these data. The
# fit is a compromise between equal totals and different correlations:

# %%
by_stratum = hr.Model(TWO_TERMS, table, errors=hr.by("R"))
own = by_stratum.estimate()
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.2), sharey=True, layout="constrained")
for axis, e, title in zip(axes, (two, own), ("one residual variance", "one for each stratum"), strict=True):
    between, within = e.sd["f"].values ** 2, np.broadcast_to(e.error_sd, 2) ** 2
    axis.bar(["P", "T"], between, color="#0072B2", label="between pairs")
    axis.bar(["P", "T"], within, bottom=between, color="#9ecae1", label="within pairs")
    axis.axhline(1, color="k", linestyle="--", linewidth=1, label="true total")
    axis.set(xlabel="stratum", ylabel="variance", title=title)
axes[1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# Left, the light bars must be equally long, and the totals miss one in both directions. Right, each stratum has its own
# residual variance, `errors=hr.by("R")`: totals and correlations are both right.
#
# ## With intervals

# %%
draws = by_stratum.sample(seed=1, progress=False, group_effects="summary")["posterior"]
share = draws["sd_f"].values ** 2 / (draws["sd_f"].values ** 2 + draws["error_sd"].values ** 2)
figure, axis = plt.subplots(figsize=(7.5, 2.8), layout="constrained")
for i, (stratum, truth) in enumerate(TRUTH.items()):
    axis.hist(share[..., i].ravel(), bins=60, density=True, color=["#56B4E9", "#0072B2"][i], label=stratum)
    axis.axvline(truth, color="k", linestyle="--", linewidth=1)
for r in implied(two.sd["f"], two.error_sd):
    axis.axvline(r, color="#D55E00", linewidth=1.5)
axis.set(xlabel="correlation within pairs", ylabel="posterior density", xlim=(0, 1))
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Dashed: the truth. Orange: what the models with one residual variance say. Their error is not one of sampling, it
# stays with any number of pairs.
#
# ## One variance for all, a correlation for each
#
# What was known about these data is not a model of pair effects at all: one variance, two correlations. That is a
# structure of the errors, `hr.exchangeable("f", by="R")`, and allows negative correlations too.

# %%
common = hr.Model("y ~ 1", table, errors=hr.exchangeable("f", by="R"))
print(common.estimate("ml"))
print(common.estimate("ml").variance_se.to_series().round(4).to_string())

# %%
tree = common.sample(seed=1, progress=False)
hr.correlations(tree)
