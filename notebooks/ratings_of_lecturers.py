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
# # Which lecturers differ from the average, and how sure is that?
#
# 2,972 students rated 1,128 lecturers in 14 departments, 73,421 times. Some students are strict, some departments are
# well equipped, and some lecturers were rated three times only. Students, lecturers and departments cross: no factor is
# nested in another. The table is simulated, so that the true effects are known.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hierreg as hr
from models.lecturers.model import TRUTH, build, data, number_of_ratings, simulated

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
model = build()
estimate = model.estimate("reml")
print(estimate)

# %% [markdown]
# REML takes seconds. A lecturer's standard deviation of 0.51 is half as large as the error of a single rating,
# 1.18; that of departments is small and, with 14 of them, poorly known.
#
# The posterior, by importance sampling from the mode: independent draws, and k says whether they can be trusted.

# %%
tree = model.sample(method="psis", draws=100, seed=1, progress=False)
print(hr.summary(tree))

# %%
hr.plots.variances(tree)

# %% [markdown]
# Standard deviations of many levels (students, lecturers) have narrow posteriors. That of departments has not.
#
# ## How far is a lecturer pulled towards the average?

# %%
hr.plots.shrinkage(tree, factor="lecturer", figsize=(7, 8))

# %% [markdown]
# Open circles: each lecturer's ratings alone. A lecturer with few ratings moves far. How far follows from the number of
# ratings: reliability is one less the share of the variance of effects that the error of a prediction has.

# %%
ratings, true = number_of_ratings(), simulated().effects["lecturer"]
b = estimate.b["lecturer"].sel(lecturer=list(true.index)).values[:, 0]
sd = np.sqrt(estimate.b_cov["lecturer"].sel(lecturer=list(true.index)).values[:, 0, 0])
reliability = 1 - sd**2 / float(estimate.sd["lecturer"][0]) ** 2
n = np.geomspace(1, ratings.max(), 100)
figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
axis.semilogx(ratings, reliability, "o", ms=3, alpha=0.4, color="#0072B2", label="each lecturer, REML")
axis.plot(n, n / (n + (TRUTH["error_sd"] / TRUTH["lecturer"]) ** 2), color="#D55E00", label="all else known")
axis.set(xlabel="ratings of the lecturer (number, log scale)", ylabel="reliability (share of variance)", ylim=(0, 1))
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Five ratings are worth a half, fifty nine tenths. The line would hold if students and departments were known; that
# they are not costs a few hundredths.
#
# ## Who differs from the average?

# %%
hr.plots.caterpillar(tree, factor="lecturer", figsize=(6, 7))

# %% [markdown]
# Blue: the 95 % interval of the effect leaves out zero. By number of ratings, with the truth beside it:

# %%
known = np.abs(b) > 1.96 * sd
table = pd.DataFrame(
    {"surely different": known, "wrong sign": known & (b * true < 0), "covered": abs(b - true) < 1.96 * sd}
)
bins = pd.cut(ratings, [0, 5, 20, 60, np.inf]).rename("ratings")
print(table.groupby(bins, observed=True).mean().assign(lecturers=bins.value_counts()).round(3))

# %% [markdown]
# With five ratings or fewer, hardly anyone can be told from the average; with more than sixty two of three can. Hardly
# any sign is wrong, and 95 % intervals cover about what they should: shrinkage takes care of the many comparisons.
#
# ## Who is best?
#
# A list of the highest raw means is a list of lecturers with few ratings.

# %%
means = data().groupby("lecturer")["rating"].mean().reindex(true.index) - data()["rating"].mean()
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", sharey=True)
for axis, score, name in zip(axes, (means, pd.Series(b, true.index)), ("raw mean", "predicted effect"), strict=True):
    top = score.nlargest(20).index
    axis.scatter(score, true, s=5, color="0.75")
    axis.scatter(score[top], true[top], s=18, color="#0072B2", label="the best twenty by it")
    axis.axline((0, 0), slope=1, color="0.4", linestyle="--", linewidth=1)
    axis.set(
        xlabel=f"{name} (rating points from the average)",
        title=f"best twenty: median {ratings[top].median():.0f} ratings",
    )
axes[0].set_ylabel("true effect (rating points)")
axes[0].legend(frameon=False, loc="upper left")
plt.show()

# %% [markdown]
# On the dashed line a score says what is true. The best twenty by raw mean are far below it: they were lucky. The best
# twenty by prediction scatter around it.
#
# ## How sure is a rank?

# %%
draws = tree["posterior"]["b_lecturer"].sel(lecturer=list(true.index)).values[..., 0].reshape(-1, len(true))
ranks = 1 + np.argsort(np.argsort(-draws, axis=1), axis=1)
order = np.argsort(-draws.mean(axis=0))[:30]
lower, upper = np.quantile(ranks[:, order], [0.05, 0.95], axis=0)
figure, axis = plt.subplots(figsize=(6, 5.4), layout="constrained")
axis.hlines(np.arange(30), lower, upper, color="#0072B2")
axis.plot(np.argsort(np.argsort(-true.to_numpy()))[order] + 1, np.arange(30), "o", ms=4, color="#D55E00")
axis.set_yticks(np.arange(30), [f"{true.index[j]}: {ratings.iloc[j]} ratings" for j in order], fontsize=7)
axis.set(xlabel="rank among 1,128 lecturers (90 % interval; dot: true rank)", xscale="log")
axis.invert_yaxis()
plt.show()

# %% [markdown]
# Hardly any rank is known, even among the best thirty. What can be said is who is likely to be among the best tenth.

# %%
likely = pd.Series((ranks <= 113).mean(axis=0), true.index)
print(f"{(likely > 0.9).sum()} lecturers are in the best tenth with a probability above 0.9")
print(f"of these are: {(true.rank(ascending=False)[likely > 0.9] <= 113).mean():.0%}")
