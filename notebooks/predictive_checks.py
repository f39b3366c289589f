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
# # Could this model have made these data?
#
# A distance in the skull of 27 children at four ages. Two models: one error standard deviation for all, or one for each
# sex. A model that is right makes data like those observed. So let it make some, and compare what matters.

# %%
import matplotlib.pyplot as plt
import numpy as np

import hierreg as hr
from models.orthodont.model import build, data, one_sd

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
children = data()
models = {"one error sd": one_sd(), "error sd by sex": build()}
trees = {
    name: hr.posterior_predictive(model.sample(seed=1, progress=False), model, draws=250, seed=2)
    for name, model in models.items()
}

# %% [markdown]
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
# Blue: 1,000 tables that each model made. Orange: the observed value. With one error sd the girls are far more regular
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
