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
# # How much of the answer is the prior?
#
# Six batches of dyestuff, five preparations each: how different are batches? Six batches say little about a standard
# deviation, so its prior matters. One fit says which numbers depend on it, and a grid of fits what they would have been
# under others.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hierreg as hr

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 90})
FORMULA, table = "Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")
WIDTHS = {"narrow": hr.HalfNormal(10), "middling": hr.HalfNormal(100), "wide": hr.HalfNormal(400)}
models = {name: hr.Model(FORMULA, table, priors=hr.Priors(sd={"Batch": sd})) for name, sd in WIDTHS.items()}

# %% [markdown]
# ## From one fit
#
# Which parameters depend on the prior? Raise the priors to a power near one, and the likelihood, and see how far the
# posterior moves: by weights of the draws, without another fit (Kallioinen, Paananen, Bürkner and Vehtari 2024). A
# prior of 10 g says that batches hardly differ.

# %%
tree = models["narrow"].sample(seed=1, progress=False, draws=2000, method="psis")
found = hr.sensitivity(tree)
print(found)

# %% [markdown]
# *prior* and *likelihood* above 0.05 say that the posterior moves with either. Both do for the standard deviation
# between batches, and in opposite directions: prior and data disagree. The contraction is the share of the prior's
# variance that the posterior has lost; here it is *wider* than the prior. Contrasts, and any function of the posterior,
# are asked in the same way:

# %%
hr.sensitivity(
    tree,
    {
        "batch E": {("E", "Intercept"): 1},
        "E - F": {("E", "Intercept"): 1, ("F", "Intercept"): -1},
        "share of batches": lambda p: p["sd_Batch"][..., 0] ** 2 / (p["sd_Batch"][..., 0] ** 2 + p["error_sd"] ** 2),
    },
)

# %%
figure = hr.plots.sensitivity(found, ["sd_Batch[Intercept]", "error_sd"])
plt.show()

# %% [markdown]
# Densities under powers of the priors (above) and of the likelihood (below, upside down). A stronger prior makes the
# standard deviation between batches smaller, and a stronger likelihood makes it larger. The error standard deviation,
# of 30 preparations, hardly moves with the prior.
#
# ## From several fits
#
# Any list of priors, each with a posterior of its own. Coefficients are integrated out, so that a fit takes some
# hundredths of a second.

# %% tags=["thumbnail"]
shapes = [hr.HalfCauchy, hr.HalfStudentT, hr.Exponential, hr.Gamma(2, 1)]
grid = hr.sensitivity(
    models["middling"],
    {"sd between batches (g)": "sd_Batch[Intercept]", "yield of batch E (g)": {("E", "Intercept"): 1}},
    scales={"sd_Batch": [0.1, 0.3, 3]},
    families={"sd_Batch": shapes},
    priors={"defaults": hr.Priors()},
    seed=1,
)
hr.plots.sensitivity(grid)
plt.show()

# %% [markdown]
# Means with 95 % intervals. Families have the same median as the half-normal prior of 100 g. The prior decides about
# the upper end of the standard deviation: six batches say little against large values. A scale of 10 g (x 0.1) moves
# everything; otherwise the yield of a batch changes by a third of its standard deviation at most, as `moved` says:

# %%
print(grid)

# %% [markdown]
# Where priors differ by a scale alone, the figure has an axis of numbers: thirty fits in a second or two.

# %%
many = hr.sensitivity(models["middling"], scales={"sd_Batch": np.geomspace(0.05, 20, 30).tolist()}, seed=1)
hr.plots.sensitivity(many)
plt.show()

# %% [markdown]
# From a scale of 30 g on (x 0.3) the error standard deviation has settled. The mean yield stays where it is, but its
# interval follows that of the standard deviation between batches, which grows up to a scale of about 300 g (x 3): what
# is above 100 g rests on the prior.
#
# ## With more batches the prior fades
#
# The same sums of squares per batch, from 6 to 96 batches.

# %%
copies = {n: [table.assign(Batch=table["Batch"].astype(str) + str(i)) for i in range(n)] for n in (1, 4, 16)}
wide = hr.Priors(sd={"Batch": hr.HalfNormal(400)})
more = {n: hr.Model(FORMULA, pd.concat(tables), priors=wide) for n, tables in copies.items()}
grids = {6 * n: hr.sensitivity(model, ["sd_Batch"], scales={"sd_Batch": [1 / 16]}, seed=1) for n, model in more.items()}
figure, axis = plt.subplots(figsize=(6.5, 3), layout="constrained")
for batches, one in grids.items():
    mean, low, high = (one[name].to_numpy()[0] for name in ("mean", "lower", "upper"))
    place = batches * np.array([1.07, 0.93])
    axis.errorbar(place[:1], mean[:1], [(mean - low)[:1], (high - mean)[:1]], fmt="o", color="#0072B2")
    axis.errorbar(place[1:], mean[1:], [(mean - low)[1:], (high - mean)[1:]], fmt="s", color="#D55E00")
axis.set(xlabel="batches", ylabel="sd between batches (g)", xscale="log")
axis.set_xticks([6, 24, 96], ["6", "24", "96"], minor=False)
axis.minorticks_off()
plt.show()

# %% [markdown]
# Means with 95 % intervals under half-normal priors of 25 g (orange) and 400 g (blue). With 6 batches they give
# different answers; with 96 the same.
#
# ## Before any data
#
# What does a prior say of data? Draws from it, of the range of six batch means.

# %%
figure, axis = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
for name, colour in (("narrow", "#D55E00"), ("wide", "#0072B2")):
    made = hr.prior_predictive(models[name], draws=2000, seed=1)["prior_predictive"]["Yield"].to_numpy()
    means = made.reshape(-1, 6, 5).mean(axis=-1)
    axis.hist(np.ptp(means, axis=-1), bins=np.linspace(0, 1500, 51), color=colour, alpha=0.5, density=True, label=name)
axis.axvline(np.ptp(table.groupby("Batch", observed=True)["Yield"].mean()), color="k", linewidth=1.5)
axis.set(xlabel="range of six batch means (g)", ylabel="prior predictive density")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Black: the range that was observed. The narrow prior expects less; the wide one also expects ranges as large as the
# yields themselves, about 1,500 g, which nobody who knows the process would.
