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
# # Two data sets, one set of units: by how much do their lines differ?
#
# Alpha and beta are measured on the same 150 units. Both are straight lines in x, and an error that makes alpha
# large on a unit makes beta large there too.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import hierreg as hr
from models.two_lines.model import DIFFERENCE, DIFFERENCE_OF_GROUPS, TRUTH, alone, build, data, lonely, separate

# Two data sets cannot tell how their intercepts and slopes are correlated: REML puts it on the boundary.
warnings.filterwarnings("ignore", category=hr.exceptions.BoundaryWarning)
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
COLOURS = {"alpha": "#0072B2", "beta": "#D55E00"}
both = data()

# %%
fits = {name: alone("paired", name).estimate() for name in TRUTH}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for name, colour in COLOURS.items():
    rows = both[both["dataset"] == name]
    left.scatter(rows["x"], rows["y"], s=8, color=colour, label=name, alpha=0.7)
    left.plot([0, 10], fits[name].beta.values @ [[1, 1], [0, 10]], color=colour)
left.set(xlabel="x", ylabel="y", title="two lines that are nearly the same")
left.legend(frameon=False)
residual = {
    name: both.query(f"dataset == '{name}'")["y"].values
    - fits[name].beta.values @ np.vstack([np.ones(150), both.query(f"dataset == '{name}'")["x"]])
    for name in TRUTH
}
right.scatter(residual["alpha"], residual["beta"], s=8, color="0.3")
right.set(xlabel="residual of alpha", ylabel="residual of beta", title="one dot a unit: errors go together")
plt.show()

# %% [markdown]
# Seen from the left, the lines cannot be told apart. The right side shows what helps: most of the scatter is common
# to both data sets, and cancels in their difference.
#
# ## One model for both
#
# Each data set has coefficients `theta_d ~ N(beta, Sigma)`, and the errors of a unit are correlated.

# %%
model = build(both)
tree = model.sample(seed=1, progress=False)
print(hr.correlations(tree))
print(hr.contrasts(tree, DIFFERENCE_OF_GROUPS))

# %% [markdown]
# ## What the correlation buys
#
# The difference of the slopes by method: least squares on each data set, the errors correlated and their covariance
# estimated (REML), and the hierarchical model. On the right a third of the pairs is broken.


# %%
def least_squares(case):
    a, b = (alone(case, name).estimate() for name in TRUTH)
    return float(a.beta[1] - b.beta[1]), float(np.hypot(a.beta_se[1], b.beta_se[1]))


def of_slope(result, what):
    report = hr.contrasts(result, what).sel(contrast="slope")
    return float(report["mean"]), float(report["sd"])


# %%
trees = {"paired": tree, "broken": build(data("broken")).sample(seed=1, progress=False)}
figure, axes = plt.subplots(1, 2, figsize=(9, 2.6), sharex=True, sharey=True, layout="constrained")
for axis, case in zip(axes, trees, strict=True):
    rows = {
        "hierarchical": of_slope(trees[case], DIFFERENCE_OF_GROUPS),
        "correlated errors": of_slope(separate(case).estimate(), DIFFERENCE),
        "each alone": least_squares(case),
    }
    for place, (mean, sd) in enumerate(rows.values()):
        axis.errorbar(mean, place, xerr=1.96 * sd, fmt="o", color="#0072B2", capsize=3)
    axis.axvline(0.05, color="0.5", linestyle="--", linewidth=1)
    axis.axvline(0, color="0.8", linewidth=1)
    axis.set(
        xlabel="slope of alpha - slope of beta", title=case, yticks=range(3), yticklabels=list(rows), ylim=(-0.6, 2.6)
    )

# %% [markdown]
# Intervals are 95 %; the dashed line is the truth. With the correlation used, the interval is three times shorter.
# Broken pairs cost little: rows without a partner count with what they have.
#
# ## Alpha where only beta was observed
#
# In 25 units alpha is missing. Their beta tells how large the common error was.

# %%
broken, new = separate("broken"), lonely()
with_beta = hr.predict(broken, new.drop(columns="y"), broken.estimate())
without = hr.predict(broken, new.drop(columns=["y", "unit"]), broken.estimate())
figure, axis = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
for report, colour, shift, label in (
    (without, "0.6", -0.15, "line only"),
    (with_beta, "#0072B2", 0.15, "line and beta"),
):
    half = 1.96 * report["sd_new"].values
    axis.errorbar(np.arange(25) + shift, report["mean"], yerr=half, fmt="o", ms=3, color=colour, label=label, lw=1)
axis.plot(np.arange(25), new["y"], "k_", ms=9, mew=2, label="alpha, held back")
axis.set(xlabel="unit without alpha", ylabel="alpha (y)", xticks=[])
axis.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.15))
plt.show()

# %% [markdown]
# The intervals are less than half as long with beta as without it, and hold all but one of the
# values that were held back.
