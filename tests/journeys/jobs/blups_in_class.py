# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # BLUPs in class
#
# Eighteen people sleep too little for nine days and react more slowly. What is said of each of them by mixed-model
# equations at known variances, by REML, by ML, by MAP and by a posterior?

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import hierreg as hr

# A variance that is estimated as zero is a subject of this notebook.
warnings.filterwarnings("ignore", category=hr.exceptions.BoundaryWarning)
plt.rcParams["figure.dpi"] = 80
sleep, yields = hr.load_dataset("sleepstudy"), hr.load_dataset("dyestuff2")
model = hr.Model("Reaction ~ Days + (Days | Subject)", sleep)
COV, ERROR = {"Subject": [[600.0, 10.0], [10.0, 35.0]]}, 650.0

# %% [markdown]
# ## Mixed-model equations at known variances

# %%
model.solve(cov=COV, error_cov=ERROR)

# %% [markdown]
# ## The prior of beta becomes flat

# %%
kappas = np.geomspace(1e-9, 1e-1, 30)
path = [float(model.solve(cov=COV, error_cov=ERROR, beta_precision=k).beta.sel(coef="Days")) for k in kappas]
plt.gca().set(xlabel="kappa", ylabel="Days (ms per day)", xscale="log"), plt.plot(kappas, path)

# %% [markdown]
# ## REML, ML, MAP and Bayes in one table

# %%
tree = model.sample(seed=1, progress=False)
hr.table({method: model.estimate(method) for method in ("reml", "ml", "map")} | {"Bayes": tree})

# %% [markdown]
# ## A variance on the boundary

# %%
batches = hr.Model("Yield ~ 1 + (1 | Batch)", yields)
hr.table({"REML": batches.estimate(), "Bayes": batches.sample(seed=1, progress=False, target_accept=0.95)})

# %% [markdown]
# ## Shrinkage of the posterior, in a figure

# %%
hr.plots.shrinkage(tree, figsize=(8, 5))

# %% [markdown]
# ## Shrinkage in the plane of intercept and slope

# %%
hr.plots.shrinkage(tree, kind="plane", figsize=(6, 4.5))

# %% [markdown]
# ## Shrinkage of an estimate

# %%
hr.plots.shrinkage(model.estimate(), figsize=(8, 5))

# %% [markdown]
# ## Summary of an estimate, with standard errors of variances

# %%
hr.summary(model.estimate())

# %% [markdown]
# ## AIC, BIC and likelihood-ratio test

# %%
simpler = hr.Model("Reaction ~ Days + (1 | Subject)", sleep)
hr.compare_fits(simpler.estimate("ml"), model.estimate("ml"))

# %% [markdown]
# ## Confidence intervals

# %%
hr.intervals(model.estimate())

# %% [markdown]
# ## Fitted values and residuals

# %%
fitted, residuals = model.estimate().fitted, hr.residuals(model.estimate(), "pearson")
plt.gca().set(xlabel="fitted value (ms)", ylabel="Pearson residual"), plt.plot(fitted, residuals, ".")

# %% [markdown]
# ## Lines of each step
#
# Lines of code of the step's cell. Before: when this job was first tried, with an early state of version 0.1.0; "not
# counted" where it was a line or two that nobody counted, "not possible" where no function gave it or it failed,
# "wrong" where the number was.
#
# | step | before | now |
# |---|---|---|
# | Mixed-model equations at known variances | not counted | 1 |
# | The prior of beta becomes flat | 3 | 3 |
# | REML, ML, MAP and Bayes in one table | 5 | 2 |
# | A variance on the boundary | not counted | 2 |
# | Shrinkage of the posterior, in a figure | not counted | 1 |
# | Shrinkage in the plane of intercept and slope | not counted | 1 |
# | Shrinkage of an estimate | not possible | 1 |
# | Summary of an estimate, with standard errors of variances | not possible | 1 |
# | AIC, BIC and likelihood-ratio test | not possible | 2 |
# | Confidence intervals | not possible | 1 |
# | Fitted values and residuals | not possible | 2 |
