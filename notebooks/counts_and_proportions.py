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
# # Counts and proportions: do they vary as much as the model says?
#
# A normal model has an error variance, which takes up whatever varies. Binomial proportions and Poisson counts have
# none: their variance follows from their mean. Whether that is true of the data has to be checked, and where it is not,
# intervals are too narrow. Two tables: sick cattle in herds, and ticks on grouse chicks.

# %%
import arviz_plots as azp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hierreg as hr

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 80})
herds = hr.load_dataset("cbpp")
formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
model = hr.Model(formula, herds, family=hr.Binomial())
tree = model.sample(seed=1, progress=False, include=["posterior_predictive"])
hr.summary(tree)

# %% [markdown]
# Coefficients are log odds. In the first period the odds of the disease in a herd of middle size are exp(-1.4), about
# one in four; then they fall to a third of that. `Laplace` is the plug-in estimate, lme4's answer. Its standard
# deviation between herds, 0.64, is below the posterior mean: 15 herds leave a tail towards large values.

# %%
hr.plots.shrinkage(tree, figsize=(6, 5.5))

# %% [markdown]
# Each herd alone (open circle) and in the model. Herds without a single case have no estimate of their own that is
# finite: what is drawn is one step of a search from the plug-in. In the model they have an answer.
#
# As probabilities: `hr.predict` averages over herds that were not observed.

# %%
periods = {"period": ["1", "2", "3", "4"], "herd": ["a new one"] * 4}
new_herd = hr.predict(model, periods, at=tree, level="new group")
of_all = hr.predict(model, periods, at=tree, level="population")
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
kinds = ((-0.08, of_all, "#0072B2", "mean of all herds"), (0.08, new_herd, "#E69F00", "a herd"))
for shift, found, colour, label in kinds:
    ends = np.abs(np.stack([found["lower"], found["upper"]]) - found["mean"].values)
    axis.errorbar(np.arange(1, 5) + shift, found["mean"], ends, fmt="o", color=colour, label=label)
axis.set(xlabel="period (four months each)", ylabel="probability of the disease", xticks=[1, 2, 3, 4], ylim=(0, None))
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Posterior means with 95 % intervals. The mean of all herds is known well; what a single herd will have is not.
#
# ## Does the model make such data?
#
# Disease is catching: animals of one herd fall ill together. Then counts vary more than binomial ones with the herd's
# own probability, and Pearson's chi-square, the sum of (y - n p)^2 / (n p (1 - p)), is larger than that of data which
# the model makes. Each draw has its own p, so each gives one chi-square of the observed data and one of made data.


# %%
def chi_square(y, p):
    n = herds["size"].to_numpy()
    return np.sum((y - n * p) ** 2 / (n * p * (1 - p)), axis=-1)


# %%
herds["row"] = [f"r{i}" for i in range(len(herds))]
wider = hr.Model(formula + " + (1 | row)", herds, family=hr.Binomial())
with_rows = wider.sample(seed=1, progress=False, include=["posterior_predictive"])
figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), sharex=True, sharey=True, layout="constrained")
pairs = {"herds": (model, tree), "herds, and an effect of each row": (wider, with_rows)}
for axis, (name, (one, draws)) in zip(axes, pairs.items(), strict=True):
    p = hr.predict(one, herds, at=draws, draws=True)["draws"].to_numpy().reshape(-1, len(herds))
    observed = chi_square(herds["incidence"].to_numpy(), p)
    made = chi_square(draws["posterior_predictive"]["incidence"].to_numpy().reshape(p.shape), p)
    axis.plot(observed, made, ".", markersize=2, alpha=0.4, color="#0072B2")
    axis.axline((60, 60), slope=1, color="#D55E00", linewidth=1)
    axis.set(
        xlabel="chi-square of the observed cases", title=f"{name}\nmade is larger: {np.mean(made >= observed):.0%}"
    )
axes[0].set(ylabel="chi-square of made cases", xlim=(20, 200), ylim=(20, 200))
plt.show()

# %% [markdown]
# A dot for each draw. Left: most dots are below the line; the herds are more irregular than binomial cases are. Right:
# with an effect of each row, a normal one on the scale of log odds, the observed cases are like those that are made.
# What changes in the answer?

# %%
names = ["beta[period[T.2]]", "beta[period[T.4]]", "sd_herd[Intercept]", "sd_row[Intercept]"]
reports = {name: hr.summary(draws).to_dataframe() for name, (_, draws) in pairs.items()}
columns = ["mean", "lower", "upper"]
pd.concat({n: r.reindex(names)[columns] for n, r in reports.items()}).round(2)

# %% [markdown]
# The fall of the disease is known less well, by half, and what looked like differences between herds is mostly the
# irregularity of outbreaks.
#
# ## Counts
#
# 403 chicks of 118 broods, 0 to 85 ticks each. Poisson counts vary within a brood by their mean. Two ways to allow for
# more: negative binomial counts, or Poisson counts with a normal effect of each chick.

# %%
table = hr.load_dataset("grouseticks")
table = table.assign(height=(table["HEIGHT"] - table["HEIGHT"].mean()) / 100)  # hundreds of metres from the mean
mean = "TICKS ~ YEAR + height + (1 | BROOD)"
kinds = {
    "Poisson": hr.Model(mean, table, family=hr.Poisson()),
    "negative binomial": hr.Model(mean, table, family=hr.NegativeBinomial()),
    "Poisson, with chicks": hr.Model(mean + " + (1 | INDEX)", table, family=hr.Poisson()),
}
fits = {n: m.sample(seed=1, draws=500, progress=False, include=["posterior_predictive"]) for n, m in kinds.items()}

# %% [markdown]
# What to compare: the variance within broods, the number of chicks without a tick, and the largest count.

# %%
broods = [rows.to_numpy() for _, rows in table.reset_index().groupby("BROOD", observed=True)["index"] if len(rows) > 1]
checks = {
    "variance within a brood (mean of all)": lambda y: np.mean([y[..., b].var(axis=-1) for b in broods], axis=0),
    "chicks without a tick": lambda y: (y == 0).sum(axis=-1),
    "largest number of ticks": lambda y: y.max(axis=-1),
}
figure, axes = plt.subplots(1, 3, figsize=(9.5, 2.8), sharey=True, layout="constrained")
for axis, (label, check) in zip(axes, checks.items(), strict=True):
    for place, fit in enumerate(fits.values()):
        made = check(fit["posterior_predictive"]["TICKS"].to_numpy().reshape(-1, len(table)))
        low, middle, high = np.quantile(made, [0.025, 0.5, 0.975])
        axis.plot([low, high], [place, place], color="#0072B2", linewidth=3, alpha=0.5)
        axis.plot(middle, place, "o", color="#0072B2")
    axis.axvline(check(table["TICKS"].to_numpy()), color="#D55E00", linewidth=2)
    axis.set(xlabel=label, yticks=range(3), yticklabels=list(fits), ylim=(-0.5, 2.5))
plt.show()

# %% [markdown]
# Blue: medians and 95 % intervals of what a model makes; orange: what was observed. Poisson counts vary within broods
# by a quarter of what chicks do. Negative binomial ones are on the other side: their tail is longer than that of ticks.
# A normal effect of each chick has the right spread; it is what the worked model `ticks` goes on with.
#
# (Its counts are made with the effects of these very chicks, which the other two do not have, so that it is tried less
# hard.)
#
# All counts at once, as a rootogram of ArviZ. Black: how often each count was observed. Blue: how often the model makes
# it, with intervals, on a scale of square roots.

# %%
azp.plot_ppc_rootogram(fits["Poisson, with chicks"], var_names=["TICKS"])
plt.show()

# %% [markdown]
# ## How much is the prior?
#
# Before any data: what do the defaults say of a proportion? And what do other priors of the standard deviations change?

# %%
before = hr.prior_predictive(wider, draws=2000, seed=1)
shares = before["prior_predictive"]["incidence"].to_numpy() / herds["size"].to_numpy()
priors = {
    "half-normal, 0.5": hr.HalfNormal(0.5),
    "half-normal, 2": hr.HalfNormal(2),
    "half-Cauchy, 1": hr.HalfCauchy(1),
}
posteriors = {"default": with_rows["posterior"]}
for name, prior in priors.items():
    other = hr.Priors(sd={"herd": prior, "row": prior})
    again = hr.Model(wider.formula, herds, family=hr.Binomial(), priors=other)
    posteriors[name] = again.sample(seed=1, progress=False)["posterior"]
figure, axes = plt.subplots(1, 3, figsize=(9.5, 2.8), layout="constrained")
axes[0].hist(shares.ravel(), bins=np.linspace(0, 1, 21), color="#9ecae1", density=True)
axes[0].set(xlabel="share of sick animals, before data", ylabel="density")
for place, draws in enumerate(posteriors.values()):
    for axis, values in ((axes[1], draws["sd_herd"]), (axes[2], np.exp(draws["beta"].sel(coef="period[T.2]")))):
        low, middle, high = np.quantile(values, [0.025, 0.5, 0.975])
        axis.plot([low, high], [place, place], color="#0072B2", linewidth=3, alpha=0.5)
        axis.plot(middle, place, "o", color="#0072B2")
axes[1].set(xlabel="sd between herds (log odds)", yticks=range(4), yticklabels=list(posteriors), xlim=(0, None))
axes[2].set(xlabel="odds in period 2 / in period 1", yticks=[], xlim=(0, 1.2))
plt.show()

# %% [markdown]
# Left: before data, most herds have nearly no sick animals, or nearly all. Defaults are wide on the scale of log odds,
# where herds and rows may differ by large factors; that is not the same as neutral on the scale of shares. Right: it
# does not matter here. Under each of these priors the standard deviation between herds is small, with an upper end near
# 1, and the fall from the first period to the second is the same. A narrow prior (half-normal, 0.5) makes it a little
# surer.
