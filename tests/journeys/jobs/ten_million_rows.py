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
# # Ten million rows
#
# Five Parquet files, 20,000 machines: a posterior, predictions and figures, in Python and in the terminal.
#
# The environment variable `HIERREG_NOTEBOOK_ROWS` makes the table smaller.

# %%
import os
import subprocess
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hierreg as hr

plt.rcParams["figure.dpi"] = 80
ROWS, FILES = int(os.environ.get("HIERREG_NOTEBOOK_ROWS", "10_000_000")), 5
GROUPS = min(20_000, ROWS // 50)
rng = np.random.default_rng(3)
theta = rng.multivariate_normal([2.0, 0.5], [[1.0, -0.12], [-0.12, 0.09]], size=GROUPS)
folder = tempfile.TemporaryDirectory()
for file in range(FILES):
    machine, x = rng.integers(0, GROUPS, ROWS // FILES), rng.normal(3.0, 1.0, ROWS // FILES)
    y = theta[machine, 0] + theta[machine, 1] * x + 1.5 * rng.normal(size=ROWS // FILES)
    pd.DataFrame({"y": y, "x": x, "machine": machine}).to_parquet(Path(folder.name) / f"part{file}.parquet")
FORMULA = "y ~ x + (x | machine)"

# %% [markdown]
# ## One pass over the files

# %%
gram = hr.Gram.scan(folder.name, FORMULA, progress=False)

# %% [markdown]
# ## What was kept

# %%
print(gram)

# %% [markdown]
# ## REML

# %%
model = hr.Model.from_gram(gram)
hr.summary(model.estimate())

# %% [markdown]
# ## Posterior

# %%
tree = model.sample(seed=1, progress=False, group_effects="summary")
hr.summary(tree)

# %% [markdown]
# ## Posterior without a Markov chain

# %%
hr.summary(model.sample(method="psis", seed=1, progress=False, group_effects="summary"))

# %% [markdown]
# ## Predictions from summaries of groups

# %%
hr.predict(tree, {"x": [3.0, 3.0], "machine": [7, 1999]})

# %% [markdown]
# ## Saved, loaded and predicted elsewhere

# %%
hr.save(tree, Path(folder.name) / "fit.nc")
hr.predict(hr.load(Path(folder.name) / "fit.nc"), {"x": [3.0], "machine": [7]})

# %% [markdown]
# ## Twenty thousand machines in a figure

# %%
hr.plots.caterpillar(tree, coef="x", figsize=(6, 6))

# %% [markdown]
# ## Their plane

# %%
hr.plots.shrinkage(tree, kind="plane", figsize=(6, 4.5))

# %% [markdown]
# ## The same in the terminal
#
# `hierreg fit "big/*.parquet" "y ~ x + (x | machine)"`, here started from Python.

# %%
command = ["hierreg", "fit", f"{folder.name}/*.parquet", FORMULA, "--draws", "250", "--seed", "1", "--quiet"]
print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

# %% [markdown]
# ## Lines of each step
#
# Lines of code of the step's cell. Before: when this job was first tried, with an early state of version 0.1.0; "not
# counted" where it was a line or two that nobody counted, "not possible" where no function gave it or it failed,
# "wrong" where the number was.
#
# | step | before | now |
# |---|---|---|
# | One pass over the files | not counted | 1 |
# | What was kept | not counted | 1 |
# | REML | not counted | 2 |
# | Posterior | not counted | 2 |
# | Posterior without a Markov chain | not counted | 1 |
# | Predictions from summaries of groups | not possible | 1 |
# | Saved, loaded and predicted elsewhere | not possible | 2 |
# | Twenty thousand machines in a figure | not counted | 1 |
# | Their plane | not counted | 1 |
# | The same in the terminal | not possible | 2 |
