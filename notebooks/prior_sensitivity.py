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
# deviation, so its prior matters. Here it is changed, and everything else is kept.

# %%
import logging

import arviz_stats as azs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hierreg as hr

logging.getLogger("arviz_stats").setLevel(logging.ERROR)  # what it says of the prior is said below
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 90})
PRIORS = {
    "half-normal, 25": hr.HalfNormal(25),
    "half-normal, 100": hr.HalfNormal(100),
    "half-normal, 400": hr.HalfNormal(400),
    "half-Cauchy, 25": hr.HalfCauchy(25),
    "exponential, mean 50": hr.Exponential(1 / 50),
}
FORMULA, table = "Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")
reml = hr.Model(FORMULA, table).estimate()
models = {name: hr.Model(FORMULA, table, priors=hr.Priors(sd={"Batch": prior})) for name, prior in PRIORS.items()}
fits = hr.map_fits(models.values(), seed=1, progress=False, draws=2000, target_accept=0.95)
trees = {name: fit["posterior"] for name, fit in zip(models, fits, strict=True)}

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for place, draws in enumerate(trees.values()):
    sd, first = draws["sd_Batch"].values.ravel(), draws["theta_Batch"].sel(Batch="E").values.ravel()
    for axis, values in ((left, sd), (right, first)):
        low, middle, high = np.quantile(values, [0.025, 0.5, 0.975])
        axis.plot([low, high], [place, place], color="#0072B2")
        axis.plot(np.quantile(values, [0.25, 0.75]), [place, place], color="#0072B2", linewidth=4)
        axis.plot(middle, place, "o", color="white", markeredgecolor="#0072B2")
left.axvline(float(reml.sd["Batch"][0]), color="#D55E00", linewidth=1)
right.axvline(float(reml.theta["Batch"].sel(Batch="E")[0]), color="#D55E00", linewidth=1)
left.set(xlabel="sd between batches (g)", xlim=(0, 200))
left.set_yticks(range(len(PRIORS)), list(PRIORS))
right.set(xlabel="yield of batch E (g)")
plt.show()

# %% [markdown]
# Medians with 50 % and 95 % intervals; orange is REML. The prior decides about the upper end of the standard deviation:
# six batches say little against large values. A prior as narrow as 25 g moves the whole posterior: it says that batches
# are more alike than they look. The yield of a batch changes by at most half its standard deviation.
#
# ## With more batches the prior fades
#
# The same sums of squares per batch, from 6 to 96 batches.

# %%
copies = {n: [table.assign(Batch=table["Batch"].astype(str) + str(i)) for i in range(n)] for n in (1, 4, 16)}
figure, axis = plt.subplots(figsize=(6.5, 3), layout="constrained")
for prior, colour in (("half-normal, 25", "#D55E00"), ("half-normal, 400", "#0072B2")):
    for n, tables in copies.items():
        more = hr.Model(FORMULA, pd.concat(tables), priors=hr.Priors(sd={"Batch": PRIORS[prior]}))
        draws = more.sample(seed=1, progress=False, target_accept=0.95)["posterior"]
        low, middle, high = np.quantile(draws["sd_Batch"], [0.025, 0.5, 0.975])
        place, label = 6 * n * (0.93 if colour == "#D55E00" else 1.07), prior if n == 1 else None
        axis.errorbar(place, middle, [[middle - low], [high - middle]], fmt="o", color=colour, label=label)
axis.set(xlabel="batches", ylabel="sd between batches (g)", xscale="log")
axis.set_xticks([6, 24, 96], ["6", "24", "96"], minor=False)
axis.minorticks_off()
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Medians with 95 % intervals. With 6 batches the two priors give different answers; with 96 the same.
#
# ## Without fitting again
#
# Which parameters depend on the prior? Raising prior or likelihood to a power near one, by weights of the draws, says
# it from a single fit (Kallioinen, Paananen, Bürkner and Vehtari 2024). The tree needs both log densities.

# %%
kept = models["half-normal, 25"].sample(
    seed=1, progress=False, draws=2000, target_accept=0.95, include=["log_likelihood", "log_prior"]
)
azs.psense_summary(kept, var_names=hr.parameters(kept))

# %% [markdown]
# Numbers above 0.05 in the column `prior` say that the posterior moves with the prior. Under the narrow prior that is
# so of the standard deviation between batches, and ArviZ suspects that prior and data disagree, as they do.
#
# ## Before any data
#
# What does a prior say of data? Draws from it, of the range of six batch means.

# %%
figure, axis = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
for name, colour in (("half-normal, 25", "#D55E00"), ("half-normal, 400", "#0072B2")):
    made = hr.prior_predictive(models[name], draws=2000, seed=1)["prior_predictive"]["Yield"].to_numpy()
    means = made.reshape(-1, 6, 5).mean(axis=-1)
    axis.hist(np.ptp(means, axis=-1), bins=np.linspace(0, 1500, 51), color=colour, alpha=0.5, density=True, label=name)
axis.axvline(np.ptp(table.groupby("Batch", observed=True)["Yield"].mean()), color="k", linewidth=1.5)
axis.set(xlabel="range of six batch means (g)", ylabel="prior predictive density")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Black: the range that was observed. Both priors allow it; the wide one also expects ranges as large as the yields
# themselves, about 1,500 g, which nobody who knows the process would.
