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
# # How far should a school be pulled towards the others, and how sure can one be?
#
# 7,185 students in 160 schools took a test of mathematics. How a student's score depends on socioeconomic status
# (SES) differs between schools, and a school with 20 students does not determine its own line well.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import hierreg as hr
from models.eight_schools.model import build as build_eight
from models.schools.model import data

# Variances that are estimated as zero are a subject of this notebook.
warnings.filterwarnings("ignore", category=hr.exceptions.BoundaryWarning)
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
students = data()
model = hr.Model("MathAch ~ SES + (SES | School)", students)
tree = model.sample(seed=1, progress=False)
print(hr.summary(tree))

# %%
hr.plots.shrinkage(tree, kind="plane", figsize=(7, 5))

# %% [markdown]
# Each arrow leads from a school's own line to its posterior mean. Slopes that seemed to range from
# -2 to 6 end up between 1.5 and 3: most of their scatter was chance. Intercepts keep most of their differences.
#
# ## Is the plug-in answer enough?
#
# The classical answer (mixed-model equations at the REML estimate) takes the variances as known. The full posterior
# does not. With 160 schools that makes no difference. With ten of them it does.

# %%
ten = students["School"].drop_duplicates().sample(10, random_state=3)
few = hr.Model(model.formula, students[students["School"].isin(ten)]).sample(seed=1, progress=False, target_accept=0.95)
reports = {"160 schools": hr.shrinkage(tree), "10 schools": hr.shrinkage(few)}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
for axis, coef in zip(axes, ("Intercept", "SES"), strict=True):
    for place, report in enumerate(reports.values()):
        ratio = report["sd_ratio"].sel(School_coef=coef).values
        axis.plot(ratio, place + np.linspace(-0.25, 0.25, len(ratio)), "o", ms=3, color="#0072B2", alpha=0.6)
    axis.axvline(1, color="0.5", linestyle="--", linewidth=1)
    axis.set(xlabel="posterior sd / plug-in sd", title=coef, yticks=[0, 1], yticklabels=list(reports))

# %% [markdown]
# One dot a school. On the dashed line the plug-in is as good as the posterior; right of it the plug-in claims to know
# more than it does: with ten schools, slopes are half again as uncertain as it says. (With 160 the slopes are a little
# left of the line. REML's estimate of their sd, 0.64, is above the posterior mean, 0.56.)
#
# ## When the estimate of the variance is zero
#
# Eight schools tested a coaching programme. REML finds no variance between them, so that the plug-in gives all eight
# the same effect with the same standard error. The posterior leaves room for differences: its intervals are wider, and
# schools A and G are ahead.

# %%
eight = build_eight(priors=hr.Priors(sd={"school": hr.HalfCauchy(5)})).sample(seed=1, progress=False, draws=2000)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", width_ratios=[2, 3])
left.hist(eight["posterior"]["sd_school"].values.ravel(), bins=np.arange(0, 25), density=True, color="#9ecae1")
left.axvline(0, color="#D55E00", linewidth=3, label="REML")
left.set(xlabel="sd between schools (SAT points)", ylabel="posterior density")
left.legend(frameon=False)
report = hr.shrinkage(eight).squeeze("school_coef")
place = np.arange(8)
right.errorbar(place - 0.2, report["no_pooling"], 1.96 * report["no_pooling_se"], fmt="o", color="0.7", label="alone")
right.errorbar(place, report["plug_in"], 1.96 * report["plug_in_sd"], fmt="o", color="#D55E00", label="plug-in")
middle, ends = report["mean"].values, abs(np.stack([report["lower"], report["upper"]]) - report["mean"].values)
right.errorbar(place + 0.2, middle, ends, fmt="o", color="#0072B2", label="posterior")
right.set(
    xlabel="school", ylabel="effect (SAT points), 95 % interval", xticks=place, xticklabels=report["school"].values
)
right.legend(frameon=False, ncols=3, loc="upper right")
plt.show()
