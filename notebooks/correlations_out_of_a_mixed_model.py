# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Test and retest: can a mixed model return two different correlations?
#
# A test was taken twice by 2,000 people of group P and 2,000 of group T. Its two scores are correlated 0.2 in P and 0.8
# in T: that is its reliability. All variances are one. The scores are simulated; can a mixed model say what is in them?

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hierreg as hr

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 80})
TRUTH = {"P": 0.2, "T": 0.8}
rng = np.random.default_rng(2021)
pairs = np.concatenate([rng.multivariate_normal([0, 0], [[1, r], [r, 1]], size=2000) for r in TRUTH.values()])
scores = pd.DataFrame(
    {"y": pairs.ravel(), "person": np.repeat(np.arange(4000), 2), "group": np.repeat(["P", "T"], 4000)}
)
scores = scores.assign(is_P=(scores["group"] == "P") * 1.0, is_T=(scores["group"] == "T") * 1.0)
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.8), sharex=True, sharey=True, layout="compressed")
for axis, group, rows in zip(axes, TRUTH, (pairs[:2000], pairs[2000:]), strict=True):
    axis.plot(*rows.T, ".", markersize=2, color="0.3")
    title = f"{group}: r = {np.corrcoef(rows.T)[0, 1]:.3f}"
    axis.set(xlabel="first score (standardised)", ylabel="second score (standardised)", title=title, aspect="equal")
plt.show()

# %% [markdown]
# A dot for each person: a wide cloud in P, a narrow one in T, both as high as wide.
#
# ## One correlation is easy
#
# Give each person an effect: `y ~ 1 + (1 | person)`. The two scores of a person share it, so that they are correlated
# sd^2 / (sd^2 + error_sd^2). In one group alone:

# %%
print(hr.Model("y ~ 1 + (1 | person)", scores[scores["group"] == "T"]).estimate())

# %% [markdown]
# ## Two are not
#
# It seems natural to give the people of each group a variance of their own. Here are two ways to write that.


# %%
def implied(between, within):
    return np.asarray(between) ** 2 / (np.asarray(between) ** 2 + np.broadcast_to(within, 2) ** 2)


two = hr.Model("y ~ 1 + (0 + is_P | person) + (0 + is_T | person)", scores).estimate()
extra = hr.Model("y ~ 1 + (1 | person) + (0 + is_T | person)", scores).estimate()
print(f"{two.criterion:.3f}", implied(two.sd["person"], two.error_sd).round(3))
print(f"{extra.criterion:.3f}", implied(np.sqrt(np.cumsum(extra.sd["person"] ** 2)), extra.error_sd).round(3))

# %% [markdown]
# They are the same model with the same likelihood, and both are wrong, 0.42 and 0.55. There is one residual
# variance. Different variances of people then mean different *total* variances, and the total variances are equal in
# these data. The fit is a compromise between equal totals and different correlations:

# %%
by_group = hr.Model("y ~ 1 + (0 + is_P | person) + (0 + is_T | person)", scores, errors=hr.by("group"))
own = by_group.estimate()
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.2), sharey=True, layout="constrained")
for axis, e, title in zip(axes, (two, own), ("one residual variance", "one for each group"), strict=True):
    between, within = e.sd["person"].values ** 2, np.broadcast_to(e.error_sd, 2) ** 2
    axis.bar(["P", "T"], between, color="#0072B2", label="between people")
    axis.bar(["P", "T"], within, bottom=between, color="#9ecae1", label="within people")
    axis.axhline(1, color="k", linestyle="--", linewidth=1, label="true total")
    axis.set(xlabel="group", ylabel="variance (standardised scores)", title=title)
axes[1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# Left, the light bars must be equally long, and the totals miss one in both directions. Right, each group has its own
# residual variance, `errors=hr.by("group")`: totals and correlations are both right.
#
# ## With intervals

# %%
draws = by_group.sample(seed=1, progress=False, group_effects="summary")["posterior"]
share = draws["sd_person"].values ** 2 / (draws["sd_person"].values ** 2 + draws["error_sd"].values ** 2)
figure, axis = plt.subplots(figsize=(7.5, 2.8), layout="constrained")
for i, (group, truth) in enumerate(TRUTH.items()):
    axis.hist(share[..., i].ravel(), bins=60, density=True, color=["#56B4E9", "#0072B2"][i], label=group)
    axis.axvline(truth, color="k", linestyle="--", linewidth=1)
for r in implied(two.sd["person"], two.error_sd):
    axis.axvline(r, color="#D55E00", linewidth=1.5)
axis.set(xlabel="correlation of test and retest", ylabel="posterior density", xlim=(0, 1))
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Dashed: the truth. Orange: what the models with one residual variance say. Their error is not one of sampling, it
# stays with any number of people.
#
# ## One variance for all, a correlation for each
#
# What is known about these data is not a model of people's effects at all: one variance, two correlations. That is a
# structure of the errors, `hr.exchangeable("person", by="group")`, which allows negative correlations too.

# %%
common = hr.Model("y ~ 1", scores, errors=hr.exchangeable("person", by="group"))
tree = common.sample(seed=1, progress=False)
hr.correlations(tree)

# %% [markdown]
# The same correlations with one parameter less. Do the two groups differ? Draws say it of any function of parameters:

# %%
gap = (tree["posterior"]["error_corr"].sel(group="T") - tree["posterior"]["error_corr"].sel(group="P")).values.ravel()
low, high = np.quantile(gap, [0.025, 0.975])
print(f"r in T less r in P: {gap.mean():.3f}, 95 % interval {low:.3f} to {high:.3f}; the truth is 0.6")
