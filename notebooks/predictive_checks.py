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
# # Could this model have made these data?
#
# A distance in the skull of 27 children at four ages. Two models: one error standard deviation for all, or one for each
# sex. A model that is right makes data like those observed. So let it make some, and compare what matters.
#
# `age11` is the age less 11 years. `include` adds replicated data and the log density of each row to the tree.

# %%
import warnings

import arviz_plots as azp
import arviz_stats as azs
import matplotlib.pyplot as plt
import numpy as np

import hierreg as hr

# Rows that leave-one-out cannot answer are shown below.
warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto", category=UserWarning)
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 90})
children = hr.load_dataset("orthodont")
formula = "distance ~ age11 * Sex + (age11 | Subject)"
errors = {"one error sd": hr.independent(), "error sd by sex": hr.by("Sex")}
models = {name: hr.Model(formula, children, errors=e) for name, e in errors.items()}
include = ["posterior_predictive", "log_likelihood"]
trees = {name: model.sample(seed=1, progress=False, include=include) for name, model in models.items()}

# %% [markdown]
# ## The first look
#
# All distances at once, as ArviZ draws them.

# %%
azp.plot_ppc_dist(trees["one error sd"], num_samples=50)
plt.gcf().axes[0].set(xlabel="distance (mm)", ylabel="density")
plt.show()

# %% [markdown]
# Black: the distances that were observed; blue: those of 50 made tables. Nothing is wrong here, and it says little: the
# distribution of all rows is what nearly any model gets right. Compare what the question is about.
#
# ## What to compare
#
# The scatter of each child around its own straight line: the root mean square of what is left after a line through its
# four points, averaged over boys and over girls.


# %%
def scatter(y):
    hat = np.linalg.pinv(np.column_stack([np.ones(4), [-3, -1, 1, 3]]))
    each = np.asarray(y).reshape(*np.shape(y)[:-1], 27, 4)
    return np.sqrt(np.sum((each - each @ hat.T @ [[1, 1, 1, 1], [-3, -1, 1, 3]]) ** 2, axis=-1) / 2)


# %%
order = np.argsort(children["Subject"].astype(str).to_numpy(), kind="stable")
is_boy = (children["Sex"].to_numpy()[order] == "Male")[::4]
observed = scatter(children["distance"].to_numpy()[order])
figure, axes = plt.subplots(2, 2, figsize=(9, 4.6), sharex=True, layout="constrained")
for column, (name, tree) in zip(axes.T, trees.items(), strict=True):
    made = scatter(tree["posterior_predictive"]["distance"].values[..., order])
    for axis, who, label in zip(column, (is_boy, ~is_boy), ("boys", "girls"), strict=True):
        means = made[..., who].mean(axis=-1).ravel()
        share = float(np.mean(means >= observed[who].mean()))
        axis.hist(means, bins=40, color="#9ecae1", density=True)
        axis.axvline(observed[who].mean(), color="#D55E00", linewidth=2)
        axis.set(ylabel=f"{label}: density", title=f"{name}; larger in {share:.1%} of the made data")
for axis in axes[1]:
    axis.set_xlabel("mean scatter of a child around its line (mm)")
plt.show()

# %% [markdown]
# Blue: 4,000 tables that each model made. Orange: the observed value. With one error sd the girls are far more regular
# than the model can make them. With one sd for each sex both are what the model makes.
#
# ## Does the better model leave anything over?
#
# Among the boys, the child with the most scatter.

# %%
figure, axis = plt.subplots(figsize=(6, 2.8), layout="constrained")
replicated = trees["error sd by sex"]["posterior_predictive"]["distance"].values[..., order]
made = scatter(replicated)[..., is_boy].max(axis=-1)
axis.hist(made.ravel(), bins=40, color="#9ecae1", density=True)
axis.axvline(observed[is_boy].max(), color="#D55E00", linewidth=2)
axis.set(xlabel="largest scatter of a boy around his line (mm)", ylabel="density")
plt.show()
print(f"larger in {np.mean(made >= observed[is_boy].max()):.1%} of the made data")

# %% [markdown]
# One boy is more irregular than nearly all that the model makes: errors that are normal do not explain him.
#
# ## Does the better model predict better?
#
# Leave one row out, predict it from the others, and compare by the log density of what was observed there (PSIS-LOO,
# Vehtari, Gelman and Gabry 2017). The tree has what ArviZ needs.

# %%
loo = {name: azs.loo(tree, pointwise=True) for name, tree in trees.items()}
azs.compare(loo)[["elpd", "elpd_diff", "dse", "p", "diag_elpd"]]

# %% [markdown]
# `elpd` is the sum over rows: the higher the better. The model with standard deviations by sex is ahead by less than
# two standard errors (`dse`), and `diag_elpd` counts rows whose importance weights cannot be trusted (Pareto k above
# 0.7): with four rows a child, a row that is left out changes its child's line too much.

# %%
figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
axis.plot(loo["error sd by sex"].pareto_k, "o", markersize=4, color="#0072B2")
axis.axhline(0.7, color="#D55E00", linestyle="--", linewidth=1)
axis.set(xlabel="row of the table", ylabel="Pareto k")
plt.show()

# %% [markdown]
# Above the dashed line a row's leave-one-out density is not reliable. The likelihood, from which all coefficients are
# integrated out, needs no weights:

# %%
hr.compare_fits({name: model.estimate("ml") for name, model in models.items()})

# %% [markdown]
# One parameter more, and a likelihood ratio far beyond chance: measurements of boys and girls are not equally exact.
