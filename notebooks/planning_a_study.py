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
# # How many people, and how many days?
#
# Eighteen people were tested on ten days without sleep. Someone plans the same with a milder deprivation, which may
# slow people by 4 ms a day. How many people does that take, and is it better to test each more often? The old study
# is the pilot: its people have the variances, and its days are the predictors.

# %%
import matplotlib.pyplot as plt

import hierreg as hr

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 80})
pilot = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
slope, sizes = {"slope": {"Days": 1}}, {"groups": [8, 16, 32], "rows": [4, 10]}
plan = hr.design(pilot, slope, **sizes, at=pilot.estimate(), effects={"Days": 4.0}, n=200, seed=1, progress=False)
print(plan)

# %% [markdown]
# Each line is 200 simulated studies: people drawn from the old ones with their days, new coefficients for each, a mean
# slope of 4 ms a day, and the posterior of it under the model's priors.

# %% tags=["thumbnail"]
hr.plots.design(plan)
plt.show()

# %% [markdown]
# People count for more than days: 32 people on 4 days, 128 tests, tell more of the mean slope than 16 people on 10
# days, 160 tests. Most of its uncertainty is how much people differ, which further days of the same people do not make
# smaller. Bars are two Monte-Carlo standard errors. What further days do improve is what is known of each person:
# `rel. Days`, the share of the variance of their slopes that their own rows determine.
#
# ## Small studies that decide, exaggerate
#
# Of the few small studies whose interval is without zero, estimates are those that happened to be large.

# %%
columns = ["power", "wrong_sign", "exaggeration"]
print(plan.to_markdown(columns=columns))

# %% [markdown]
# With 8 people, a study that finds something reports a slope that is half as steep again, or twice as steep, as the
# true one; with 32 people hardly more than that.
#
# ## The pilot is not certain either
#
# An estimate pretends that the variances are known. Draws of the pilot's posterior do not: power is then an average
# over what the pilot leaves open, of the slope as well, unless it is given.

# %%
tree = pilot.sample(seed=1, progress=False)
options = {"effects": {"Days": 4.0}, "n": 100, "seed": 1, "progress": False}
averaged = hr.design(pilot, slope, **sizes, at=tree, **options)
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained", sharey=True)
titles = ("variances of the estimate", "variances of the posterior")
for axis, one, title in zip(axes, (plan, averaged), titles, strict=True):
    for rows, own in one.sel(contrast="slope").groupby("rows"):
        axis.errorbar(own["groups"], own["power"], 2 * own["power_mcse"], fmt="o-", label=f"{rows:.0f} days")
    axis.set(xlabel="people", ylabel="share of 95 % intervals without zero", title=title)
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# Here the two agree within their errors, which is worth knowing: eighteen people on ten days say enough of the
# variances to plan with. After a pilot of five people they would not.
