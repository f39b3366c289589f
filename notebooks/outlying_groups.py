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
# # One group lies far out: what does it do to the others?
#
# A hierarchical model learns from all groups how different groups are, and pulls each towards the others by that much.
# With normal group effects a single group far out makes all of them look different. Two other distributions: heavy
# tails, where a few groups are far out, and mixtures, where groups are from two populations.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import hierreg as hr
from models.robust_schools.model import PRIORS, T, build, data
from models.two_populations.model import build as build_two
from models.two_populations.model import one_population, trial

# That REML finds no variance between the eight schools as they are is known.
warnings.filterwarnings("ignore", category=hr.exceptions.BoundaryWarning)
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
COLOURS = {"normal": "#D55E00", "t, 4 degrees of freedom": "#0072B2"}

# %% [markdown]
# ## Eight schools, one of which is moved
#
# The estimated effect of school A is moved from 28 points, what it was, to 250. Its standard error stays 15.

# %%
moved = np.array([28, 50, 75, 100, 130, 170, 210, 250])
posteriors = {
    name: [
        build(data(a), PRIORS, effects=effects).sample(seed=1, progress=False, target_accept=0.9)["posterior"]
        for a in moved
    ]
    for name, effects in zip(COLOURS, (None, T), strict=True)
}
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3), layout="constrained")
for name, draws in posteriors.items():
    schools = {school: [float(p["theta_school"].sel(school=school).mean()) for p in draws] for school in "AG"}
    mean = [float(p["beta"].mean()) for p in draws]
    for axis, values in zip(axes, (moved - schools["A"], schools["G"], mean), strict=True):
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
far = build(data(170.0), PRIORS, effects=hr.StudentT()).sample(seed=1, progress=False)
print(hr.shrinkage(far))

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
    draws = build(data(100.0), PRIORS, effects=effects).sample(seed=1, progress=False, target_accept=0.9)["posterior"]
    scale = draws["sd_school" if effects is None else "scale_school"]
    schools = (draws["theta_school"].sel(school=school) for school in "AG")
    for axis, values in zip(axes, (*schools, scale), strict=True):
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
#
# ## Two populations
#
# Sixty patients, scored in nine weeks; some respond to a treatment. First as one normal population of lines.

# %%
patients = trial()
normal = one_population().sample(seed=1, progress=False)
two = build_two()
mixture = two.sample(seed=1, progress=False)
print(hr.summary(mixture))

# %% [markdown]
# Would one normal population make such patients? Its slopes would be normal. Each draw makes sixty new patients, and
# the kurtosis of the slopes of their own lines is compared with that of those observed: two heaps have a small one.


# %%
def slopes(scores):
    return np.asarray(scores).reshape(*np.shape(scores)[:-1], 60, 9) @ np.linalg.pinv(np.vander(range(9), 2)).T[:, 0]


# %%
rows = patients.table.assign(patient="new " + patients.table["patient"])
observed = stats.kurtosis(slopes(patients.table["score"].to_numpy()))
figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), sharex=True, layout="constrained")
for axis, (name, model, tree) in zip(
    axes, (("one normal population", one_population(), normal), ("two populations", two, mixture)), strict=True
):
    new = hr.predict(model, rows, at=tree, level="new group", draws=True, seed=2)
    made = stats.kurtosis(slopes(new["draws_new"].to_numpy()), axis=-1).ravel()
    axis.hist(made, bins=np.linspace(-1.8, 2.5, 44), color="#9ecae1", density=True)
    axis.axvline(observed, color="#D55E00", linewidth=2)
    axis.set(
        xlabel="excess kurtosis of slopes",
        ylabel="density",
        title=f"{name}: as small in {np.mean(made <= observed):.1%}",
    )
plt.show()

# %% [markdown]
# Left: one normal population hardly ever makes slopes in two heaps. Right: two make them as often as not.
#
# Who is of which?

# %%
chance = mixture["posterior"]["probability_patient"].mean(("chain", "draw")).to_numpy()[:, 0]
own = slopes(patients.table["score"].to_numpy())
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for responds, colour, label in ((True, "#0072B2", "responds (truth)"), (False, "#E69F00", "does not (truth)")):
    mine = patients.responds == responds
    left.hist(own[mine], bins=np.arange(-3, 1.6, 0.2), color=colour, alpha=0.6, label=label)
    right.plot(own[mine], chance[mine], "o", markersize=4, color=colour)
left.set(xlabel="slope of a patient's own line (points a week)", ylabel="patients")
left.legend(frameon=False)
right.set(xlabel="slope of a patient's own line (points a week)", ylabel="probability to respond")
plt.show()

# %% [markdown]
# The model did not know the colours. One patient is on the wrong side: its own line is as steep as those of patients
# who respond, and only its probability of 0.93, instead of one, leaves that open.

# %%
hr.plots.shrinkage(mixture, coef="week", figsize=(6, 8))

# %% [markdown]
# Patients are pulled towards their own population, not to the dashed line between the two, where there is nobody. The
# plug-in limit (orange), which knows one normal population, pulls them there.
#
# ## Is it the prior that makes two populations?
#
# The prior of the shares, and how far apart the means may be. And one normal population, as wide, which two components
# are asked of.
#
# Where a prior of the means is given, it is that of the coefficients as they stand, and components are in the order of
# the first of them, the intercept. At week 0 that does not tell these components apart (both begin at 24), and chains
# would swap their names. So weeks are counted from the middle here.

# %%
settings = {
    "default": hr.Mixture(2),
    "shares: concentration 0.5": hr.Mixture(2, concentration=0.5),
    "shares: concentration 10": hr.Mixture(2, concentration=10),
    "means: sds 3 and 1": hr.Mixture(2, mean_sd=(3.0, 1.0)),
    "means: sds 20 and 5": hr.Mixture(2, mean_sd=(20.0, 5.0)),
}
centred = patients.table.assign(week=patients.table["week"] - 4)
trees = {
    name: hr.Model(two.formula, centred, effects={"patient": effects}).sample(method="psis", seed=1, progress=False)
    for name, effects in settings.items()
}
trees["one population in truth"] = build_two(trial(two=False).table).sample(seed=1, progress=False, target_accept=0.95)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
for place, tree in enumerate(trees.values()):
    p = tree["posterior"]
    low, middle, high = np.quantile(p["component_weight_patient"][..., 0], [0.025, 0.5, 0.975])
    left.plot([low, high], [place, place], color="#0072B2", linewidth=3, alpha=0.5)
    left.plot(middle, place, "o", color="#0072B2")
    surest = p["probability_patient"].mean(("chain", "draw")).max("patient_component")
    right.plot(surest, place + np.linspace(-0.25, 0.25, 60), ".", color="#0072B2", markersize=4)
left.set_yticks(range(len(trees)), list(trees))
left.set(xlabel="share of the first component", xlim=(0, 1))
right.set(xlabel="how surely a patient is of one component", xlim=(0.48, 1.02))
plt.show()

# %% [markdown]
# Where there are two populations, priors hardly matter, and most patients are surely of one. Where there is one,
# hierreg warns (above), shares are anywhere, and no patient is surely of either component: that is how a mixture looks
# which the data do not support.
