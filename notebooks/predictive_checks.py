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
# sex. A model that is right makes data like those observed. So let it make some, and compare what matters: before the
# distances are seen, after, and with rows and children left out.
#
# `age11` is the age less 11 years.

# %%
import warnings

import arviz_stats as azs
import matplotlib.pyplot as plt
import numpy as np

import hierreg as hr

# Rows that weights cannot leave out are fitted again below.
warnings.filterwarnings("ignore", category=hr.exceptions.ConvergenceWarning)
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 80})
children = hr.load_dataset("orthodont").sort_values(["Sex", "Subject", "age11"])
formula = "distance ~ age11 * Sex + (age11 | Subject)"
errors = {"one error sd": hr.independent(), "error sd by sex": hr.by("Sex")}
models = {name: hr.Model(formula, children, errors=e) for name, e in errors.items()}

# %% [markdown]
# ## Before the distances are seen
#
# A prior that somebody might write who thinks that wide is safe:

# %%
wide = hr.Priors(sd={"Subject": hr.HalfNormal(100)})
print(hr.prior_check(hr.Model(formula, children, priors=wide)))

# %% [markdown]
# Nobody has an idea of a standard deviation of slopes, but of this: under that prior the line of a child is its own
# data alone (a weight near 1), and distances in a skull range over hundreds of millimetres. Below the table stands
# which prior says so. The defaults do not:

# %%
report = hr.prior_check(models["one error sd"])
hr.plots.prior_check(report)
plt.show()

# %% [markdown]
# Each panel is what the default prior says of one share or weight, its median a line: children may be all alike or not
# alike at all, and the weight of a child with ten measurements anything.

# %%
hr.plots.prior_lines(models["one error sd"], "age11", draws=3, seed=2)
plt.show()

# %% [markdown]
# Three draws from the prior; thick: the population, thin: each child, blue: the distances that were measured. The lines
# go beyond the data, but not by orders of magnitude.
#
# ## After: the first look

# %%
trees = {name: model.sample(seed=1, progress=False) for name, model in models.items()}
hr.plots.predictive(trees["one error sd"], by="Sex", draws=20)
plt.show()

# %% [markdown]
# Black: the distances that were observed; blue: those of 20 made tables. Nothing is wrong here, and it says little: the
# distribution of all rows is what nearly any model gets right. Compare what the question is about.
#
# ## What to compare
#
# The scatter of children around their own straight lines: the root mean square of what is left after a line through the
# four points of each. Any function of the rows of a set will do.


# %%
def scatter(y):
    hat = np.linalg.pinv(np.column_stack([np.ones(4), [-3, -1, 1, 3]]))
    return np.std(y.reshape(-1, 4) - y.reshape(-1, 4) @ hat.T @ [[1, 1, 1, 1], [-3, -1, 1, 3]])


# %%
checks = {name: hr.predictive_check(tree, "Sex", {"scatter": scatter}) for name, tree in trees.items()}
print(checks["one error sd"], checks["error sd by sex"], sep="\n\n")

# %% [markdown]
# `p` is the share of made tables above what was observed. With one error sd the girls are more regular than the model
# can make them. With one sd for each sex both are what the model makes.
#
# ## And the children themselves?
#
# Replicates of the same children know their lines, and have seen the data that they are compared with: of them nothing
# looks strange. *New* children, drawn from what the model says of children, test that.

# %%
new = hr.predictive_check(trees["error sd by sex"], "Subject", "mean", level="new group").to_pandas()
shown = new[["check", "observed", "lower", "upper", "p"]].round(2)
print(shown.head(3).to_string(index=False), shown[3:].nsmallest(3, "p").to_string(index=False), sep="\n\n")

# %% [markdown]
# First the spread of the means of children, the smallest and the largest of them; then the three children that lie
# highest. All is as the model makes it: of 27 children one or two may lie outside of 95 %.
#
# ## Does the better model predict better?
#
# Leave one row out, predict it from all others, and compare by the log density of what was observed there. All
# coefficients are integrated out of the rows that are left, so that weights are of the standard deviations alone
# (PSIS-LOO, Vehtari, Gelman and Gabry 2017). Rows that weights cannot leave out would be left out by fits without them,
# and named: here there are none.

# %%
loo = {name: hr.loo(tree, refit=True) for name, tree in trees.items()}
print({name: found.refitted for name, found in loo.items()})
azs.compare(loo)[["elpd", "elpd_diff", "dse", "p"]]

# %% [markdown]
# `elpd` is the sum over rows: the higher the better. The model with standard deviations by sex is ahead. The same for
# whole children, each new to the others:

# %%
azs.compare({name: hr.loo(tree, by="Subject", refit=True) for name, tree in trees.items()})[
    ["elpd", "elpd_diff", "dse"]
]

# %% [markdown]
# Of each row, leave-one-out also says how probable a smaller distance was. Of a right model these probabilities are
# uniform.

# %% tags=["thumbnail"]
figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
for axis, (name, found) in zip(axes, loo.items(), strict=True):
    axis.hist(found.pit, bins=np.linspace(0, 1, 13), color="#9ecae1", edgecolor="white")
    axis.axhline(len(found.pit) / 12, color="#D55E00", linestyle="--", linewidth=1)
    axis.set(xlabel="P(smaller distance | all other rows)", ylabel="rows", title=name)
plt.show()

# %% [markdown]
# Dashed: the number of rows that is expected in each bin, up to about three by chance. With one error sd fewer rows
# than that stand at the ends and more in the middle: distances of girls are predicted too vaguely. With one for each
# sex the columns are nearer to the line.

# %%
hr.plots.loo_pit(loo["error sd by sex"])
plt.show()

# %% [markdown]
# The distribution function of these probabilities less that of uniform ones, with a test: steps that stay near zero are
# those of a model that could have made the data.
