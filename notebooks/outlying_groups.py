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
# # One group lies far out: what does it do to the others?
#
# A hierarchical model learns from all groups how different groups are, and pulls each towards the others by that much.
# With normal group effects a single group far out makes all of them look different. With heavy tails, a t distribution
# of group effects, a few groups may be far out.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import hierreg as hr

# That REML finds no variance between the eight schools as they are is known.
warnings.filterwarnings("ignore", category=hr.exceptions.BoundaryWarning)
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 80})
T, COLOURS = hr.StudentT(4), {"normal": "#D55E00", "t, 4 degrees of freedom": "#0072B2"}

# %% [markdown]
# ## Eight schools, one of which is moved
#
# The estimated effect of school A is moved from 28 points, what it was, to 250. Its standard error stays 15.

# %%
schools = hr.load_dataset("eight_schools")
options = {
    "errors": hr.known_se("se"),
    "priors": hr.Priors(beta=hr.Normal(0, 20), sd={"school": hr.HalfCauchy(5)}),
}


def posterior(of_a, effects):
    table = schools.assign(effect=schools["effect"].where(schools["school"] != "A", of_a))
    model = hr.Model("effect ~ 1 + (1 | school)", table, effects=effects and {"school": effects}, **options)
    return model.sample(seed=1, progress=False, target_accept=0.9)


# %%
moved = np.array([28, 50, 75, 100, 130, 170, 210, 250])
posteriors = {
    name: [posterior(a, effects)["posterior"] for a in moved] for name, effects in zip(COLOURS, (None, T), strict=True)
}
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3), layout="constrained")
for name, draws in posteriors.items():
    of = {school: [float(p["theta_school"].sel(school=school).mean()) for p in draws] for school in "AG"}
    mean = [float(p["beta"].mean()) for p in draws]
    for axis, values in zip(axes, (moved - of["A"], of["G"], mean), strict=True):
        axis.plot(moved, values, "o-", markersize=4, color=COLOURS[name], label=name)
for axis, label in zip(axes, ("A is pulled in by (points)", "school G (points)", "mean of all (points)"), strict=True):
    axis.set(xlabel="estimate of school A (points)", ylabel=label)
axes[1].axhline(18, color="0.5", linestyle="--", linewidth=1)
axes[1].legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# Left: both pull A in most where it might still belong to the others; t effects let it go sooner. Middle: what school G
# is said to be. Under normal effects it ends where it alone would stand (dashed), as if there were no other schools,
# since A makes the common variance large. Under t effects the seven others still are pulled together. Right: the mean
# of all schools follows A under normal effects, to a point; under t effects it ends at that of the seven others.
#
# The report says which school it is: 1/s is what a school counts for.

# %%
far = posterior(170.0, hr.StudentT())
hr.shrinkage(far)

# %%
hr.plots.shrinkage(far, figsize=(6.5, 4))

# %%
hr.plots.variances(far, figsize=(9, 3))

# %% [markdown]
# Here the degrees of freedom were not given. Eight schools know little of them: that they are few is all that the one
# far school says (middle; dashed is the prior).
#
# ## Is that the prior?
#
# The answer for school A and for the others under other degrees of freedom, known and not.

# %%
choices = {
    "2.5, known": hr.StudentT(2.5),
    "4, known": T,
    "10, known": hr.StudentT(10),
    "gamma(2, 0.1)": hr.StudentT(),
    "gamma(2, 0.5)": hr.StudentT(hr.Gamma(2, 0.5)),
    "normal effects": None,
}
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3), sharey=True, layout="constrained")
for place, effects in enumerate(choices.values()):
    draws = posterior(100.0, effects)["posterior"]
    scale = draws["sd_school" if effects is None else "scale_school"]
    two_schools = (draws["theta_school"].sel(school=school) for school in "AG")
    for axis, values in zip(axes, (*two_schools, scale), strict=True):
        low, middle, high = np.quantile(values, [0.025, 0.5, 0.975])
        axis.plot([low, high], [place, place], color="#0072B2", linewidth=3, alpha=0.5)
        axis.plot(middle, place, "o", color="#0072B2")
axes[0].set_yticks(range(len(choices)), list(choices))
for axis, label in zip(axes, ("school A", "school G", "scale of the effects"), strict=True):
    axis.set_xlabel(f"{label} (points)")
plt.show()

# %% [markdown]
# With A at 100 points: medians and 95 % intervals. What a far school does to the scale depends on how heavy one says
# that tails are; what is said of the schools does so less.
