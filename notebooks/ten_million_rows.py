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
# # Ten million rows: what does a posterior cost?
#
# A model needs its rows once, as cross-products by group. They are collected in one pass over files that need not fit
# into memory; after that, the cost of a draw does not depend on the number of rows.
#
# The environment variable `HIERREG_NOTEBOOK_ROWS` makes the table smaller; what you see is of ten million.

# %%
import os
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hierreg as hr

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100})
ROWS = int(os.environ.get("HIERREG_NOTEBOOK_ROWS", "10_000_000"))
GROUPS, FILES = 10_000, 20
folder = tempfile.TemporaryDirectory()
print(f"{ROWS:,} rows, {GROUPS:,} groups, {FILES} files")

# %% [markdown]
# ## Files
#
# Each of 10,000 customers has an own intercept and slope: `theta ~ N((2, 0.5), Sigma)` with standard deviations 1 and
# 0.3 and a correlation of -0.4. Each file has rows of any of them.

# %%
rng = np.random.default_rng(7)
cov = np.array([[1.0, -0.4 * 0.3], [-0.4 * 0.3, 0.3**2]])
theta = rng.multivariate_normal([2.0, 0.5], cov, size=GROUPS)
for file in range(FILES):
    customer, x = rng.integers(0, GROUPS, ROWS // FILES), rng.normal(3.0, 1.0, ROWS // FILES)
    y = theta[customer, 0] + theta[customer, 1] * x + 1.5 * rng.normal(size=ROWS // FILES)
    rows = pd.DataFrame({"y": y, "x": x, "customer": customer})
    rows.to_parquet(Path(folder.name) / f"part{file:02}.parquet")
size = sum(path.stat().st_size for path in Path(folder.name).iterdir())
print(f"{size / 2**20:.0f} MiB of Parquet")

# %% [markdown]
# ## One pass

# %%
start = time.perf_counter()
gram = hr.Gram.scan(folder.name, "y ~ x + (x | customer)", progress=False)
gram.save(Path(folder.name) / "gram.npz")
kept = (Path(folder.name) / "gram.npz").stat().st_size
print(f"{gram.n:,} rows read; what is kept of them has {kept / 2**20:.1f} MiB")
seconds = {"read": time.perf_counter() - start}

# %% [markdown]
# ## The model, from the cross-products alone

# %%
model = hr.Model.from_gram(gram)
start = time.perf_counter()
reml = model.estimate()
seconds["REML"] = time.perf_counter() - start
print(reml)

# %%
start = time.perf_counter()
tree = model.sample(seed=1, progress=False, group_effects="summary")
seconds["posterior"] = time.perf_counter() - start
hr.summary(tree)

# %% [markdown]
# All is near the truth: 2 and 0.5, sds 1 and 0.3, correlation -0.4, error 1.5. With this many rows the posterior says
# what REML says. Group effects are kept as means and standard deviations (`group_effects="summary"`), since all draws
# of 20,000 coefficients would be large.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
left.barh(list(seconds)[::-1], list(seconds.values())[::-1], color="#0072B2")
left.set(xlabel="wall time (s), with loading and compiling of code", ylabel="step")
found = reml.theta["customer"].sel(customer_coef="x").values
own = reml.theta["customer"]["customer"].values.astype(int)
right.hist2d(theta[own, 1], found, bins=80, cmap="Blues", cmin=1)
right.axline((0.5, 0.5), slope=1, color="#D55E00", linewidth=1)
right.set(xlabel="true slope of a customer", ylabel="predicted slope (BLUP)")
plt.show()

# %% [markdown]
# Left: the seconds of this run, on two shared cores; take them as an order of magnitude. Right: predicted against true
# slopes of 10,000 customers (darker: more of them). They lie along the line on which both are equal.
#
# ## More files later
#
# Cross-products add. Yesterday's are kept, today's are read alone:

# %%
parts = sorted(Path(folder.name).glob("*.parquet"))
yesterday = hr.Gram.scan([str(path) for path in parts[:-1]], "y ~ x + (x | customer)", progress=False)
today = hr.Gram.scan(str(parts[-1]), "y ~ x + (x | customer)", progress=False)
both = hr.Model.from_gram(yesterday + today).estimate()
print(f"criterion {reml.criterion:.6f}, in two parts {both.criterion:.6f}")
folder.cleanup()

# %% [markdown]
# The same criterion to rounding. `hr.Gram.scan(..., checkpoint="scan.npz")` resumes a pass that was interrupted, and
# `hr.Gram.from_dask` makes it on a cluster.
