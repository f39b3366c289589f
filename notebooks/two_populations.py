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
# # Are these patients of two kinds, and who is of which?
#
# Sixty patients were treated and scored in nine weeks; some respond, and nobody wrote down which. The table is
# simulated: a third falls by 1.8 points a week, the others by 0.2. First as one normal population of lines, then as
# two.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import hierreg as hr

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 90})

# %%
rng = np.random.default_rng(20_264)
weeks, responds = np.arange(9), rng.random(60) < 0.35
change, own = np.where(responds, -1.8, -0.2), rng.normal(size=(60, 2)) * [3.0, 0.5]
noise = 2.5 * rng.normal(size=(60, 9))
score = 24 + own[:, :1] + (change + own[:, 1])[:, None] * weeks + noise
names = [f"p{j:02}" for j in range(1, 61)]
patients = pd.DataFrame({"score": score.ravel(), "week": np.tile(weeks, 60), "patient": np.repeat(names, 9)})
one = hr.Model("score ~ week + (week | patient)", patients)
two = hr.Model("score ~ week + (week | patient)", patients, effects={"patient": hr.Mixture(2)})
normal, mixture = (model.sample(seed=1, progress=False) for model in (one, two))
hr.summary(mixture)

# %% [markdown]
# Would one normal population make such patients? Its slopes would be normal. Each draw makes sixty new patients, and
# the kurtosis of the slopes of their own lines is compared with that of those observed: two heaps have a small one.


# %%
def slopes(scores):
    return np.asarray(scores).reshape(*np.shape(scores)[:-1], 60, 9) @ np.linalg.pinv(np.vander(range(9), 2)).T[:, 0]


# %%
rows = patients.assign(patient="new " + patients["patient"])
observed = stats.kurtosis(slopes(patients["score"]))
figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), sharex=True, layout="constrained")
for axis, (name, model, tree) in zip(
    axes, (("one normal population", one, normal), ("two populations", two, mixture)), strict=True
):
    new = hr.predict(model, rows, at=tree, level="new group", draws=True, seed=2)
    made = stats.kurtosis(slopes(new["draws_new"].to_numpy()), axis=-1).ravel()
    axis.hist(made, bins=np.linspace(-1.8, 2.5, 44), color="#9ecae1", density=True)
    axis.axvline(observed, color="#D55E00", linewidth=2)
    axis.set(
        xlabel="excess kurtosis of slopes",
        ylabel="density",
        title=f"{name}: as small in {np.mean(made <= observed):.1%}",
    )
plt.show()

# %% [markdown]
# Left: one normal population hardly ever makes slopes in two heaps. Right: two make them as often as not.
#
# Who is of which?

# %% tags=["thumbnail"]
chance = mixture["posterior"]["probability_patient"].mean(("chain", "draw")).to_numpy()[:, 0]
steep = slopes(patients["score"])
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for mine, colour, label in ((responds, "#0072B2", "responds (truth)"), (~responds, "#E69F00", "does not (truth)")):
    left.hist(steep[mine], bins=np.arange(-3, 1.6, 0.2), color=colour, alpha=0.6, label=label)
    right.plot(steep[mine], chance[mine], "o", markersize=4, color=colour)
left.set(xlabel="slope of a patient's own line (points a week)", ylabel="patients")
left.legend(frameon=False)
right.set(xlabel="slope of a patient's own line (points a week)", ylabel="probability to respond")
plt.show()

# %% [markdown]
# The model did not know the colours. One patient is on the wrong side: its own line is as steep as those of patients
# who respond, and only its probability of 0.93, instead of one, leaves that open.

# %%
hr.plots.shrinkage(mixture, coef="week", figsize=(6, 7))

# %% [markdown]
# Patients are pulled towards their own population, not to the dashed line between the two, where there is nobody. The
# plug-in limit (orange), which knows one normal population, pulls them there.
#
# ## Is it the prior that makes two populations?
#
# The prior of the shares, and how far apart the means may be. And one normal population, as wide, which two components
# are asked of.
#
# Where a prior of the means is given, it is that of the coefficients as they stand, and components are in the order of
# the first of them, the intercept. At week 0 that does not tell these components apart (both begin at 24), and chains
# would swap their names. So weeks are counted from the middle here.

# %%
settings = {
    "default": hr.Mixture(2),
    "shares: concentration 0.5": hr.Mixture(2, concentration=0.5),
    "shares: concentration 10": hr.Mixture(2, concentration=10),
    "means: sds 3 and 1": hr.Mixture(2, mean_sd=(3.0, 1.0)),
    "means: sds 20 and 5": hr.Mixture(2, mean_sd=(20.0, 5.0)),
}
centred = patients.assign(week=patients["week"] - 4)
trees = {
    name: hr.Model(two.formula, centred, effects={"patient": effects}).sample(method="psis", seed=1, progress=False)
    for name, effects in settings.items()
}
# What the weekly changes of both kinds have in common: their mean, and their standard deviation.
alike = 24 + own[:, :1] + (change.mean() + own[:, 1] * np.sqrt(1 + change.var() / 0.5**2))[:, None] * weeks + noise
as_one = hr.Model(two.formula, patients.assign(score=alike.ravel()), effects={"patient": hr.Mixture(2)})
with warnings.catch_warnings(record=True) as said:
    trees["one population in truth"] = as_one.sample(seed=1, progress=False, target_accept=0.95)
print(*(f"{warning.category.__name__}: {warning.message}" for warning in said), sep="\n\n")

# %% [markdown]
# Asked for two components of one population, hierreg says that the data do not support them.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
for place, tree in enumerate(trees.values()):
    p = tree["posterior"]
    low, middle, high = np.quantile(p["component_weight_patient"][..., 0], [0.025, 0.5, 0.975])
    left.plot([low, high], [place, place], color="#0072B2", linewidth=3, alpha=0.5)
    left.plot(middle, place, "o", color="#0072B2")
    surest = p["probability_patient"].mean(("chain", "draw")).max("patient_component")
    right.plot(surest, place + np.linspace(-0.25, 0.25, 60), ".", color="#0072B2", markersize=4)
left.set_yticks(range(len(trees)), list(trees))
left.set(xlabel="share of the first component", xlim=(0, 1))
right.set(xlabel="how surely a patient is of one component", xlim=(0.48, 1.02))
plt.show()

# %% [markdown]
# Where there are two populations, priors hardly matter, and most patients are surely of one. Where there is one, shares
# are anywhere, and no patient is surely of either component: that is how a mixture looks which the data do not support.
