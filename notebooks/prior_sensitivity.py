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
# # How much of the answer is the prior?
#
# Six batches of dyestuff, five preparations each: how different are batches? Six batches say little about a standard
# deviation, so its prior matters. Here it is changed, and everything else is kept.

# %%
import matplotlib.pyplot as plt
import numpy as np

import hierreg as hr
from models.one_way.model import build

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
PRIORS = {
    "half-normal, 25": hr.HalfNormal(25),
    "half-normal, 100": hr.HalfNormal(100),
    "half-normal, 400": hr.HalfNormal(400),
    "half-Cauchy, 25": hr.HalfCauchy(25),
    "exponential, mean 50": hr.Exponential(1 / 50),
}
reml = build().estimate("reml")
trees = {
    name: build(priors=hr.Priors(sd={"Batch": prior})).sample(seed=1, progress=False, draws=2000)["posterior"]
    for name, prior in PRIORS.items()
}

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
table = hr.load_dataset("dyestuff")
copies = {n: [table.assign(Batch=table["Batch"].astype(str) + str(i)) for i in range(n)] for n in (1, 4, 16)}
figure, axis = plt.subplots(figsize=(6.5, 3), layout="constrained")
for prior, colour in (("half-normal, 25", "#D55E00"), ("half-normal, 400", "#0072B2")):
    for n, tables in copies.items():
        data = {column: np.concatenate([t[column] for t in tables]) for column in table}
        draws = build(data, hr.Priors(sd={"Batch": PRIORS[prior]})).sample(seed=1, progress=False)["posterior"][
            "sd_Batch"
        ]
        low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975])
        place = 6 * n * (0.93 if colour == "#D55E00" else 1.07)
        axis.errorbar(
            place, middle, [[middle - low], [high - middle]], fmt="o", color=colour, label=prior if n == 1 else None
        )
axis.set(xlabel="batches", ylabel="sd between batches (g)", xscale="log")
axis.set_xticks([6, 24, 96], ["6", "24", "96"], minor=False)
axis.minorticks_off()
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# With 6 batches the two priors give different answers; with 96 the same.
