"""Oracle posterior: Dyestuff, yield ~ 1 + (1 | batch), half-normal priors."""
from _oracle import *

CASE = "oracle_dyestuff"
out = case_dir(CASE)
d = read_csv(os.path.join(TABLES, "dyestuff.csv"))
y = np.array(d["Yield"], float)
levels = list(dict.fromkeys(d["Batch"]))
g = np.array([levels.index(v) for v in d["Batch"]])
BETA_SD = [10000.0]
prior = Prior({"sd_batch": ("half_normal", 100.0), "sigma": ("half_normal", 100.0)})

one = np.ones((5, 1))
Y = np.column_stack([y[g == j] for j in range(6)])
fast = ByGroup([{"X": one, "Z": one, "Y": Y, "r": lambda t: t["sigma"] ** 2}],
               lambda t: (t["sd_batch"] ** 2)[:, None, None], BETA_SD,
               [(f"b[{levels[j]}]", 0, j, 0) for j in range(6)], ["(Intercept)"])
H = np.column_stack([np.ones(30)] + [(g == j).astype(float) for j in range(6)])
dense = Dense(y, H, lambda t: np.diag([BETA_SD[0] ** 2] + [t["sd_batch"] ** 2] * 6),
              lambda t: t["sigma"] ** 2 * np.eye(30), list(range(7)))
axes = {"sd_batch": Axis([0, 1, 4, 10, 20, 40, 60, 90, 130, 200, 300, 450, 900], 14), "sigma": Axis([22, 36, 46, 60, 80, 120, 200], 14)}
extra = {"shrinkage": lambda t: t["sd_batch"] ** 2 / (t["sd_batch"] ** 2 + t["sigma"] ** 2 / 5),
         "intraclass_correlation": lambda t: t["sd_batch"] ** 2 / (t["sd_batch"] ** 2 + t["sigma"] ** 2)}

if __name__ == "__main__":
    post, ev, acc, imp = run_grid_case(prior, axes, fast, dense, {"sd_batch": 45.0, "sigma": 50.0}, seed=101, extra=extra)
    points = [(45, 50), (5, 60), (150, 40), (0.01, 62), (200, 100)]
    obj = {
        "schema": "hierreg-reference/1", "case": CASE,
        "title": "Posterior oracle, Dyestuff yield by batch: every number by numerical integration",
        "data": {"package_data": "dyestuff", "n_rows": 30,
                 "columns": {"Batch": {"type": "categorical", "about": "batch of intermediate product", "levels": levels, "n_levels": 6},
                             "Yield": {"type": "numeric", "about": "yield of dyestuff, grams of standard colour"}},
                 "source": {"dataset": "lme4::Dyestuff",
                            "citation": "Davies OL, Goldsmith PL (eds) (1972). Statistical Methods in Research and Production, 4th ed. Oliver and Boyd, section 6.4.",
                            "licence": "as distributed in R package lme4, GPL (version 2 or later); the figures themselves were published in the work cited"}},
        "script": "scripts/oracle_dyestuff.py",
        "models": {"posterior": {
            "kind": "bayes_gaussian_lmm", "formula": "Yield ~ 1 + (1 | Batch)", "n_obs": 30,
            "priors": {"beta": {"(Intercept)": {"family": "normal", "mean": 0, "sd": BETA_SD[0]}}, **describe(prior)},
            "meaning": {"sd_batch": "sd of the batch effects", "sigma": "residual sd", "b[j]": "batch effect, deviation from (Intercept)",
                        "shrinkage": "sd_batch^2 / (sd_batch^2 + sigma^2 / 5)",
                        "intraclass_correlation": "sd_batch^2 / (sd_batch^2 + sigma^2)"},
            "posterior": {
                "variance_parameters": {n: post[n] for n in prior.names},
                "fixef": {"(Intercept)": post["(Intercept)"]},
                "ranef": {"Batch": {levels[j]: {"(Intercept)": post[f"b[{levels[j]}]"]} for j in range(6)}},
                "derived": {n: post[n] for n in extra}},
            "log_evidence": ev, "logp_checks": None}},
        "accuracy": acc}
    obj = clean(obj)
    obj["models"]["posterior"]["logp_checks"] = logp_checks(prior, dense, points)
    dump(os.path.join(out, "expected.json"), obj)
