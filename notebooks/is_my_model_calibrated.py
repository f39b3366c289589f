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
# # Is my model calibrated?
#
# A 95 % interval should hold the true value 95 times in a hundred. Nobody knows the true value of real data, but of
# simulated data one does: parameters are drawn from the priors, a response from them for the rows of the table, and the
# posterior given that response is compared with what it was made from. Here 300 times, for reaction times under sleep
# deprivation.

# %%
import matplotlib.pyplot as plt

import hierreg as hr

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 80})
sleep = hr.load_dataset("sleepstudy")
model = hr.Model("Reaction ~ Days + (Days | Subject)", sleep)
found = hr.calibrate(model, 300, method="psis", seed=1, groups=1, progress=False)
print(found)

# %% [markdown]
# Each line is a quantity: how many of its intervals held the true value, and what the ranks of true values among
# draws say of bias and width. Last is the probability of such ranks if all were well, for all quantities together. The
# log likelihood is among them because it depends on the data: it sees a posterior that ignores part of them.
#
# ## The whole distribution of ranks
#
# Ranks of true values are uniform where a posterior is calibrated, so their distribution function is a straight line.
# What is drawn is its deviation from that line.

# %% tags=["thumbnail"]
hr.plots.calibration(found, ["sd_Subject[Days]", "beta[Days]", "log likelihood"])
plt.show()

# %% [markdown]
# Lines within their grey bands are what chance makes. A band holds a whole line, from end to end, with 95 %.
#
# ## What a fault looks like
#
# Functions of the posterior can be compared too. These two do something wrong with it on purpose: they draw the slope
# in towards its mean, and move it by a third of its standard deviation. (A true value is one draw, which has no spread
# to change.)


# %%
def drawn_in(group):
    slope = group["beta"].sel(coef="Days", drop=True)
    return slope.mean() + 0.8 * (slope - slope.mean())


def moved(group):
    slope = group["beta"].sel(coef="Days", drop=True)
    return slope + slope.std() / 3


wrong = {"drawn in": drawn_in, "moved": moved}
faults = hr.calibrate(model, 300, method="psis", seed=1, groups=0, quantities=wrong, cores=1, progress=False)
hr.plots.calibration(faults, ["beta[Days]", "drawn in", "moved"])
plt.show()

# %% [markdown]
# Intervals that are too narrow have true values beyond both ends: the line is up on the left and down on the right. A
# posterior that is too high has few draws below the true value: the line is up all over. The titles say it in words,
# as the report does.
#
# ## Where the data are
#
# Priors allow data that nobody would believe, and a calibration under them says little of where the data are. Around
# a posterior, parameters are drawn from it, and what is fitted is the table and a simulated one together.

# %%
tree = model.sample(seed=1, progress=False)
near = hr.calibrate(model, 100, around=tree, method="psis", seed=1, groups=0, progress=False)
print(near.to_markdown(columns=["coverage[0.5]", "coverage[0.95]", "p_value"]))

# %% [markdown]
# Here too the shares are those that the intervals promise, within what 100 replications can tell.
