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
# # Students in schools
#
# Scores of 7,185 students of 160 schools: does socioeconomic status (SES) matter less in Catholic schools, which
# schools are ahead, and how much of the answer is the prior?

# %%
import warnings

import arviz_plots as azp
import arviz_stats as azs
import matplotlib.pyplot as plt

import hierreg as hr

# REML puts the correlation of the effects at one, which the summary says.
warnings.filterwarnings("ignore", category=hr.exceptions.BoundaryWarning)
plt.rcParams["figure.dpi"] = 80
FORMULA, PLAIN = "MathAch ~ SES * Sector + (SES | School)", "MathAch ~ SES + (SES | School)"
INCLUDE = ["posterior_predictive", "log_likelihood", "log_prior"]
students = hr.load_dataset("math_achieve")

# %% [markdown]
# ## Fit and summary

# %%
model = hr.Model(FORMULA, students)
tree = model.sample(seed=1, progress=False, include=INCLUDE)
hr.summary(tree)

# %% [markdown]
# ## Slope of SES by sector

# %%
hr.slopes(model, tree, "SES", by="Sector")

# %% [markdown]
# ## Ranks with uncertainty

# %%
hr.ranks(tree, k=16)

# %% [markdown]
# ## Figure of school effects

# %%
hr.plots.caterpillar(tree, coef="Intercept", figsize=(6, 6))

# %% [markdown]
# ## A new school

# %%
hr.predict(tree, {"SES": [0.5], "Sector": ["Public"], "School": ["new"]}, level="new group")

# %% [markdown]
# ## Population lines with bands

# %%
hr.plots.lines(tree, "SES", by="Sector", groups=False)

# %% [markdown]
# ## Intraclass correlation

# %%
hr.correlations(tree)

# %% [markdown]
# ## Marginal and conditional R2

# %%
hr.r2(tree)

# %% [markdown]
# ## Predictive check

# %%
azp.plot_ppc_dist(tree, num_samples=50)

# %% [markdown]
# ## Predictive check by group
#
# Rows know their sector and their school, and ArviZ takes the rows of one sector. Scores stop at 25 points, which the
# model does not know, in public schools as in Catholic ones.

# %%
for sector in ("Catholic", "Public"):
    azp.plot_ppc_dist(tree, num_samples=50, coords={"obs": tree["observed_data"]["Sector"] == sector})
    plt.gca().set(title=sector, xlabel="score (points)")

# %% [markdown]
# ## Prior sensitivity

# %%
azs.psense_summary(tree, var_names=hr.parameters(tree))

# %% [markdown]
# ## A grid of priors

# %%
priors = {f"half-normal, {s}": hr.Priors(sd={"School": hr.HalfNormal(s)}) for s in (0.5, 2, 8)}
fits = hr.map_fits([hr.Model(FORMULA, students, priors=p) for p in priors.values()], seed=1, progress=False)
hr.table(dict(zip(priors, fits, strict=True)))

# %% [markdown]
# ## Leave one student out, and compare
#
# A line more than before, since the model to compare with is sampled here too.

# %%
plain = hr.Model(PLAIN, students).sample(seed=1, progress=False, include=["log_likelihood"])
azs.compare({"with sector": tree, "without": plain})

# %% [markdown]
# ## Leave one school out
#
# Each of the 160 schools as a new one to the others, nothing refitted.

# %%
azs.compare({"with sector": hr.loo(tree, by="School"), "without": hr.loo(plain, by="School")})

# %% [markdown]
# ## Table for a paper

# %%
print(hr.table({"REML": model.estimate(), "Bayes": tree}).to_latex())

# %% [markdown]
# ## One page for a colleague

# %%
hr.report(tree, "schools.html", title="Students in schools")

# %% [markdown]
# ## Lines of each step
#
# Lines of code of the step's cell. Before: when this job was first tried, with an early state of version 0.1.0; "not
# counted" where it was a line or two that nobody counted, "not possible" where no function gave it or it failed,
# "wrong" where the number was.
#
# | step | before | now |
# |---|---|---|
# | Fit and summary | 3 | 3 |
# | Slope of SES by sector | 1 | 1 |
# | Ranks with uncertainty | 4 | 1 |
# | Figure of school effects | 1 | 1 |
# | A new school | 1 | 1 |
# | Population lines with bands | 7 | 1 |
# | Intraclass correlation | 1 | 1 |
# | Marginal and conditional R2 | 10 | 1 |
# | Predictive check | 1 | 1 |
# | Predictive check by group | 8 | 3 |
# | Prior sensitivity | 1 | 1 |
# | A grid of priors | 3 | 3 |
# | Leave one student out, and compare | 1 | 2 |
# | Leave one school out | 12 | 1 |
# | Table for a paper | 2 | 1 |
# | One page for a colleague | not possible | 1 |
