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
# # How far should a group be pulled towards the others?
#
# For a class: one formula, seen as a weighted mean, as Henderson's mixed-model equations and as a posterior; then what
# the plug-in answer leaves out.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import hierreg as hr

# A variance that REML estimates as zero is a subject of this notebook.
warnings.filterwarnings("ignore", category=hr.exceptions.BoundaryWarning)
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100})
yields = hr.load_dataset("dyestuff")
model = hr.Model("Yield ~ 1 + (1 | Batch)", yields)
reml = model.estimate("reml")
print(reml)

# %% [markdown]
# Six batches of dyestuff, five preparations of each, in grams of yield. Batches differ by 42 g, preparations of a batch
# by 50 g (standard deviations).
#
# ## A weighted mean
#
# With known variances, what is best said of batch j lies between its own mean and that of all:
#
#     theta_j = w * mean_j + (1 - w) * beta        w = sd^2 / (sd^2 + error_sd^2 / n_j)
#
# The weight is the *reliability* of the batch's own mean. It is that, and not a matter of taste, which says how far to
# pull.

# %%
w = float(reml.sd["Batch"][0]) ** 2 / (float(reml.sd["Batch"][0]) ** 2 + float(reml.error_sd) ** 2 / 5)
own = yields.groupby("Batch", observed=True)["Yield"].mean()
by_hand = w * own + (1 - w) * float(reml.beta[0])
print(f"weight {w:.3f}")
print(by_hand.round(2).to_dict())
print(reml.theta["Batch"].squeeze("Batch_coef").to_series().round(2).to_dict())

# %% [markdown]
# The second line is worked out by hand, the third is what hierreg (and lme4) calls the BLUP, the best linear unbiased
# prediction. They are the same numbers.

# %%
rows = np.geomspace(1, 50)
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
for ratio, colour in ((0.5, "#9ecae1"), (1, "#0072B2"), (2, "#08306b")):
    axis.plot(rows, ratio**2 / (ratio**2 + 1 / rows), color=colour, label=f"sd / error sd = {ratio}")
axis.plot(5, w, "o", color="#D55E00", label="dyestuff")
axis.set(xlabel="rows of the group (number, log scale)", ylabel="weight of its own mean", xscale="log", ylim=(0, 1))
axis.legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# A group counts for more the more rows it has, and the more groups differ. Where groups do not differ, or have no rows,
# the weight is zero: everything comes from the others.
#
# ## Mixed-model equations
#
# Henderson (1975) solved for the population and all groups at once:
#
#     [ X'X / s2      X'Z / s2               ] [ beta ]   [ X'y / s2 ]
#     [ Z'X / s2      Z'Z / s2 + I / sd^2    ] [ b    ] = [ Z'y / s2 ]
#
# The lower right block has the error variance s2 too. It is the only place where the groups' variance enters.

# %%
s2, sd2 = float(reml.error_sd) ** 2, float(reml.sd["Batch"][0]) ** 2
W = np.column_stack([np.ones(30), yields["Batch"].to_numpy()[:, None] == np.array(list("ABCDEF"))]).astype(float)
C = W.T @ W / s2 + np.diag([0.0] + [1 / sd2] * 6)
solution = np.linalg.solve(C, W.T @ yields["Yield"].to_numpy() / s2)
solved = model.solve(cov={"Batch": [[sd2]]}, error_cov=s2, beta_precision=0.0)
print(solution.round(3))
print(np.r_[solved.beta.values, solved.b["Batch"].values.ravel()].round(3))

# %% [markdown]
# First by NumPy, then by `model.solve`, which does not build the matrix. The inverse of C has the variances of
# prediction errors, and the first entry of the solution is the BLUE of beta, generalised least squares.
#
# ## A posterior
#
# The same equations are those of a posterior: b has the prior N(0, sd^2), and beta the prior N(0, 1 / kappa) with kappa
# = 0. The BLUP is the posterior mean *given the variances*. With a prior on beta that is not flat, the whole solution
# moves:

# %%
kappas = np.geomspace(1e-9, 1e-1, 30)
path = [model.solve(cov={"Batch": [[sd2]]}, error_cov=s2, beta_precision=k) for k in kappas]
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
axis.plot(kappas, [float(p.beta[0]) for p in path], color="#0072B2", label="beta")
axis.plot(kappas, [float(p.theta["Batch"][0, 0]) for p in path], color="#E69F00", label="batch A")
axis.axhline(float(solved.beta[0]), color="0.5", linestyle="--", linewidth=1)
axis.set(xlabel="precision of the prior of beta, kappa (1 / g$^2$)", ylabel="solution (g)", xscale="log")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# From the right to the left the prior of beta becomes flat, and the solution becomes BLUE and BLUP (dashed). The prior
# of the batches stays: without it there is no pulling at all.
#
# ## What the plug-in leaves out
#
# The variances are not known. REML puts its estimate in their place, as if it were the truth. The posterior does not.

# %%
tree = model.sample(seed=1, progress=False, target_accept=0.95)
hr.shrinkage(tree)

# %%
hr.plots.shrinkage(tree, figsize=(6.5, 3.6))

# %% [markdown]
# Open circles: batches alone; orange: plug-in; blue: posterior with its 95 % interval. The column `sd ratio` of the
# table says how much more uncertain a batch is than the plug-in claims: by 4 % where a batch is near the mean, by 24 %
# where it is far from it (E), since the weight, which is not known, then matters most.
#
# ## When the estimate of the variance is zero
#
# Eight schools tested a coaching programme; standard errors are published. REML finds no variance between schools.

# %%
schools = hr.load_dataset("eight_schools")
priors = hr.Priors(sd={"school": hr.HalfCauchy(5)})
eight = hr.Model("effect ~ 1 + (1 | school)", schools, errors=hr.known_se("se"), priors=priors)
draws = eight.sample(seed=1, progress=False, draws=2000, target_accept=0.95)
report = hr.shrinkage(draws).squeeze("school_coef")
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", width_ratios=[2, 3])
left.hist(draws["posterior"]["sd_school"].values.ravel(), bins=np.arange(25), density=True, color="#9ecae1")
left.axvline(0, color="#D55E00", linewidth=3, label="REML")
left.set(xlabel="sd between schools (SAT points)", ylabel="posterior density")
left.legend(frameon=False)
place = np.arange(8)
right.errorbar(place - 0.2, report["no_pooling"], 1.96 * report["no_pooling_se"], fmt="o", color="0.7", label="alone")
right.errorbar(place, report["plug_in"], 1.96 * report["plug_in_sd"], fmt="o", color="#D55E00", label="plug-in")
ends = np.abs(np.stack([report["lower"], report["upper"]]) - report["mean"].values)
right.errorbar(place + 0.2, report["mean"], ends, fmt="o", color="#0072B2", label="posterior")
right.set(xlabel="school", ylabel="effect (SAT points)", xticks=place, xticklabels=report["school"].values)
right.legend(frameon=False, ncols=3, loc="upper right")
plt.show()

# %% [markdown]
# Left: zero is possible, and so is 10. Right, with 95 % intervals: the plug-in (orange) gives all schools one effect
# with one short interval. The posterior (blue) leaves room for differences: A and G are a little ahead, and intervals
# are wider.
#
# **Exercises.** Give batch A twenty rows by repeating its own: what becomes of its weight? Of the others'? Use
# `dyestuff2`, whose batches differ less than chance would make them: what do REML and the posterior say?
