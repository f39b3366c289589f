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
# # In which schools does it matter less where a student comes from, and what of a new school?
#
# 7,185 students of 160 schools took a test of mathematics. Students of higher socioeconomic status (SES) score higher.
# By how much depends on the school: on its sector, on the mean SES of its students, and on more that was not recorded.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import hierreg as hr

# That REML puts a correlation on the boundary is said below.
warnings.filterwarnings("ignore", category=hr.exceptions.BoundaryWarning)
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 80})
students = hr.load_dataset("math_achieve")
plain = hr.Model("MathAch ~ SES + (SES | School)", students).sample(seed=1, progress=False)
hr.plots.shrinkage(plain, kind="plane", figsize=(7, 4.5))

# %% [markdown]
# Each arrow leads from the line of a school alone to its line in the model. Slopes that seemed to range from -2 to 6
# end up between 1.7 and 3.2: most of their scatter was chance. Intercepts keep most of their differences.
#
# ## Cross-level interactions
#
# The slope of SES may depend on predictors of the school. `MEANSES` and `Sector` do not vary within a school, so that
# they are population columns only; what they do not explain stays in the school's own intercept and slope.

# %%
model = hr.Model("MathAch ~ SES * MEANSES + SES * Sector + (SES | School)", students)
tree = model.sample(seed=1, progress=False)
hr.table({"plain": plain, "school predictors": tree})

# %% [markdown]
# In the plain model, slopes differ between schools by 0.55 (standard deviation). With the predictors, 0.2 is left,
# which may be nothing: sector and mean SES are what slopes depend on. (REML says 0.12, and a correlation of exactly one
# with the intercepts, which is the edge of what a correlation can be.) `hr.slopes` says how slopes depend on the
# sector.

# %%
hr.slopes(model, tree, "SES", by="Sector")

# %% [markdown]
# One unit of SES is worth 1.5 points in Catholic schools and 2.8 in public ones. As a figure, for a school whose mean
# SES is that of all:

# %%
ses = np.linspace(-2, 2, 21)
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
for sector, colour in (("Catholic", "#0072B2"), ("Public", "#D55E00")):
    rows = hr.datagrid(model, SES=ses, Sector=[sector], MEANSES=[0.0], School=["any"])
    line = hr.predict(tree, rows, level="population", observation=False)
    axis.fill_between(ses, line["lower"], line["upper"], color=colour, alpha=0.2)
    axis.plot(ses, line["mean"], color=colour, label=sector)
axis.set(xlabel="SES of the student (standardised)", ylabel="expected score (points)")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Lines are posterior means, bands 95 % intervals. They cross: students of low SES score higher in Catholic schools,
# those of high SES in public ones. These are comparisons of schools as they are, not what a change of school would do.
#
# ## How much is explained?

# %%
hr.r2(tree)

# %% [markdown]
# Predictors explain 18 % of the variance of scores, schools a further 5 %. The rest is between students of one school.
#
# ## Which schools are ahead, once their predictors are taken into account?
#
# A rank has an interval, as any other function of parameters.

# %%
hr.plots.ranks(tree, k=16, figsize=(6.5, 5.5))

# %% [markdown]
# Each school's expected rank with its 95 % interval; on the line they would lie if the order were known. One school is
# known to be near the top, the last ones to be near the bottom, and the middle could be in nearly any order. Coloured:
# more likely than not among the best sixteen.

# %%
best = hr.ranks(tree, k=16).to_pandas().set_index("School").nlargest(6, "prob_best")
best[["mean", "sd", "expected_rank", "lower", "upper", "prob_best"]].round(2)

# %% [markdown]
# ## A new school
#
# Three predictions for a student with SES 0.5: in a school of the table, in a public school that is not, and, for a
# district with many of these, in the mean of all such schools.

# %%
student = {"School": ["1224", "new"], "SES": [0.5] * 2, "MEANSES": [-0.428] * 2, "Sector": ["Public"] * 2}
places = {
    "mean of such schools": hr.predict(tree, student, level="population").isel(row=1),
    "school 1224": hr.predict(tree, student, level="new group").isel(row=0),
    "a new school": hr.predict(tree, student, level="new group").isel(row=1),
}
figure, axis = plt.subplots(figsize=(6, 2.2), layout="constrained")
for place, found in enumerate(places.values()):
    axis.plot([found["lower_new"], found["upper_new"]], [place, place], color="#9ecae1", linewidth=3)
    axis.plot([found["lower"], found["upper"]], [place, place], color="#0072B2", linewidth=3)
    axis.plot(found["mean"], place, "wo", markeredgecolor="#0072B2")
axis.set(xlabel="score (points)", yticks=range(3), yticklabels=list(places), ylim=(-0.5, 2.5))
plt.show()

# %% [markdown]
# Dark: 95 % intervals of the expected score; light: of the score of one student. What is expected in a new school is
# less well known than in school 1224, which was observed. For a single student it hardly matters which school it is:
# students differ much more than schools.
