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
# # Start here: how much slower does each person react after a night of too little sleep?
#
# 18 people slept three hours a night. Each morning their mean reaction time was measured, over ten days. Everyone has a
# line of their own, and the lines are related: they belong to people.

# %%
import matplotlib.pyplot as plt
import numpy as np

import hierreg as hr

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100})
sleep = hr.load_dataset("sleepstudy")
sleep.head(3)

# %% [markdown]
# The formula is that of lme4: an intercept and a slope of `Days` for the population, and of each person around it.

# %%
model = hr.Model("Reaction ~ Days + (Days | Subject)", sleep)
print(model)

# %% [markdown]
# Priors that you leave out have defaults in the units of the data. Here they are.

# %%
print(model.priors)

# %% [markdown]
# ## The posterior
#
# `sample` returns an ArviZ DataTree. A seed makes it the same each time.

# %%
tree = model.sample(seed=1, progress=False)
hr.summary(tree)

# %% [markdown]
# Read it so: an average person starts at 252 ms and becomes 10.4 ms slower a day. People differ: by 31 ms at the start
# and by 6 ms a day (standard deviations). `R-hat` near 1 and effective sizes (`ess`) in the thousands say that the
# draws can be used. `REML` is the answer of lme4.
#
# ## Each person
#
# A person alone has ten points for a line. In the model, the line also knows the other people.

# %%
people = ["308", "309", "335", "337", "350", "352"]
grid = {"Days": np.tile(np.arange(10), 6), "Subject": np.repeat(people, 10)}
lines = hr.predict(tree, grid)
figure, axes = plt.subplots(1, 6, figsize=(11, 2.8), sharex=True, sharey=True, layout="constrained")
for place, (axis, person) in enumerate(zip(axes, people, strict=True)):
    days, seen = np.arange(10), sleep[sleep["Subject"] == person]
    mean, lower, upper = (lines[name][10 * place : 10 * place + 10] for name in ("mean", "lower", "upper"))
    axis.fill_between(days, lower, upper, color="#9ecae1")
    axis.plot(days, mean, color="#0072B2")
    axis.plot(days, np.polyval(np.polyfit(seen["Days"], seen["Reaction"], 1), days), "--", color="0.5")
    axis.plot(seen["Days"], seen["Reaction"], "k.", markersize=4)
    axis.set(title=f"person {person}", xlabel="days")
axes[0].set_ylabel("reaction time (ms)")
plt.show()

# %% [markdown]
# Dots: what was measured. Dashed: the line of the person alone. Blue: the line in the model, with its 95 % interval.
# Where a person's points lie on a line, both agree (309, 337). Person 335 becomes faster alone; in the model the line
# is flat, since nobody else becomes faster.

# %%
hr.plots.shrinkage(tree, kind="plane", figsize=(6.5, 4.5))

# %% [markdown]
# An arrow for each person, from the line alone (open circle) to the line in the model (blue): all move towards the mean
# of all people (star). The crosses are lme4's answer, the BLUPs at the REML estimate.
#
# ## Correlations
#
# Do those who start slow also slow down faster?

# %%
hr.correlations(tree)

# %% [markdown]
# The interval of the first one goes from far below zero to far above it: 18 people do not tell. The second is a share:
# in the middle of the ten days, two thirds of the variance of a measurement are differences between people.
#
# ## What will be measured?
#
# On day 10, for person 308, and for somebody who was not there.

# %%
hr.predict(tree, {"Days": [10, 10], "Subject": ["308", "somebody"]}, level="new group")

# %% [markdown]
# `mean` and `sd` are of the expected reaction time, `sd new` and the interval after it of a single measurement.
#
# ## Keep it

# %%
hr.save(tree, "sleep.nc")
hr.parameters(hr.load("sleep.nc"))

# %% [markdown]
# The file knows its model: reports, predictions and figures need nothing else. From a terminal, `hierreg report
# sleep.nc` prints all tables.
#
# No sampling at all: `model.estimate()` is REML, in milliseconds.

# %%
print(model.estimate())
