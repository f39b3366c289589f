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
# # Which lecturers are better than the average, and how sure is that?
#
# Students rate lecturers. Some students are strict, some departments are well equipped, and some lecturers were rated a
# few times only. Students, lecturers and departments cross: no factor is nested in another. The table is simulated, so
# that the true effects are known; it is like `InstEval` of lme4, with a fifth of its rows. Of 300 lecturers 285 were
# rated.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hierreg as hr

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 90})
rng = np.random.default_rng(20_263)
students, lecturers, departments, n = 900, 300, 12, 15_000
home, share = rng.integers(0, departments, lecturers), rng.gamma(0.7, 1.0, lecturers) + 1e-3
student, lecturer = rng.integers(0, students, n), rng.choice(lecturers, n, p=share / share.sum())
department = np.where(rng.random(n) < 0.8, home[lecturer], rng.integers(0, departments, n))
effects = {"student": 0.33, "lecturer": 0.52, "department": 0.10}
b = {
    name: sd * rng.normal(size=m)
    for (name, sd), m in zip(effects.items(), (students, lecturers, departments), strict=True)
}
rating = 3.2 + b["student"][student] + b["lecturer"][lecturer] + b["department"][department] + 1.18 * rng.normal(size=n)
ratings = pd.DataFrame({"rating": rating, "student": student, "lecturer": lecturer, "department": department})

# %%
model = hr.Model("rating ~ 1 + (1 | student) + (1 | lecturer) + (1 | department)", ratings)
reml = model.estimate()
print(reml)

# %% [markdown]
# A lecturer's standard deviation is half as large as the error of a single rating; that of departments is small and,
# with 12 of them, poorly known. The truth is 0.33, 0.52, 0.10 and 1.18.
#
# The posterior, by importance sampling from the mode: draws are independent, and there is no chain to check.

# %%
tree = model.sample(method="psis", draws=250, seed=1, progress=False)
hr.plots.variances(tree)

# %% [markdown]
# Blue: posterior; dashed: prior; triangle: REML. Many levels (students, lecturers) make a narrow posterior; that of
# twelve departments leaves anything from 0.03 to 0.2.
#
# ## How far is a lecturer pulled towards the average?
#
# By how much the ratings say: reliability is one less the share of the variance of effects that the error of a
# prediction has.

# %%
names = reml.b["lecturer"]["lecturer"].values
times, true = ratings["lecturer"].value_counts().reindex(names).to_numpy(), pd.Series(b["lecturer"][names], names)
blup, se = reml.b["lecturer"].values[:, 0], np.sqrt(reml.b_cov["lecturer"].values[:, 0, 0])
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
axis.semilogx(
    times, 1 - se**2 / float(reml.sd["lecturer"][0]) ** 2, "o", markersize=3, alpha=0.5, label="each lecturer"
)
grid = np.geomspace(1, times.max(), 100)
axis.plot(grid, grid / (grid + (1.18 / 0.52) ** 2), color="#D55E00", label="all else known")
axis.set(xlabel="ratings of the lecturer (number, log scale)", ylabel="reliability (share of variance)", ylim=(0, 1))
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Five ratings are worth a half, fifty nine tenths. The line would hold if students and departments were known; that
# they are not costs a few hundredths.
#
# ## Who differs from the average?

# %%
hr.plots.caterpillar(tree, factor="lecturer", figsize=(6, 4.5))

# %% [markdown]
# Blue: the 95 % interval of the effect leaves out zero. By number of ratings, with the truth beside it:

# %%
known = np.abs(blup) > 1.96 * se
table = pd.DataFrame(
    {"surely different": known, "wrong sign": known & (blup * true < 0), "covered": abs(blup - true) < 1.96 * se}
)
bins = pd.cut(times, [0, 5, 20, 60, np.inf])
table.groupby(bins, observed=True).mean().assign(lecturers=table.groupby(bins, observed=True).size()).round(3)

# %% [markdown]
# With five ratings or fewer, hardly anyone can be told from the average; with more than sixty most can. Hardly any sign
# is wrong, and 95 % intervals cover about what they should: shrinkage takes care of the many comparisons.
#
# ## Who is best?
#
# A list of the highest raw means is a list of lecturers with few ratings.

# %%
raw = ratings.groupby("lecturer")["rating"].mean().reindex(names) - ratings["rating"].mean()
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
for axis, score, name in zip(axes, (raw, pd.Series(blup, names)), ("raw mean", "predicted effect"), strict=True):
    top = score.nlargest(15).index
    axis.scatter(score, true, s=6, color="0.75")
    axis.scatter(score[top], true[top], s=18, color="#0072B2", label="the best fifteen by it")
    axis.axline((0, 0), slope=1, color="0.4", linestyle="--", linewidth=1)
    median = pd.Series(times, names)[top].median()
    axis.set(xlabel=f"{name} (points from the average)", title=f"best fifteen: median {median:.0f} ratings")
axes[0].set_ylabel("true effect (points)")
axes[0].legend(frameon=False, loc="upper left")
plt.show()

# %% [markdown]
# On the dashed line a score says what is true. The best by raw mean are far below it: they were lucky. The best by
# prediction scatter around it.
#
# ## How sure is a rank?

# %%
ranks = hr.ranks(tree, factor="lecturer", k=30)
ranks.to_pandas().set_index("lecturer").nsmallest(8, "expected_rank")[
    ["expected_rank", "lower", "upper", "prob_best"]
].round(2)

# %%
sure = ranks["prob_best"].to_series() > 0.9
print(f"{sure.sum()} of {len(names)} lecturers are among the best thirty with a probability above 0.9;")
print(f"of these, {(true.rank(ascending=False)[sure[sure].index.astype(int)] <= 30).sum()} are in truth.")

# %% [markdown]
# Hardly any rank is known, even at the top. What can be said is who is likely to be among the best tenth, and that can
# be relied on.
