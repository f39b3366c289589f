"""Oracle posterior: sleepstudy, Reaction ~ Days + (Days | Subject), half-normal and LKJ(2) priors."""
from _oracle import *

CASE = "oracle_sleepstudy"
out = case_dir(CASE)
d = read_csv(os.path.join(TABLES, "sleepstudy.csv"))
y, days = np.array(d["Reaction"], float), np.array(d["Days"], float)
levels = list(dict.fromkeys(d["Subject"]))
g = np.array([levels.index(v) for v in d["Subject"]])
J, n = len(levels), len(y)
BETA_SD = [1000.0, 1000.0]
prior = Prior({"sd_Intercept": ("half_normal", 100.0), "sd_Days": ("half_normal", 50.0),
               "cor": ("lkj", 2.0), "sigma": ("half_normal", 100.0)})


def sigma_matrix(t):
    a, b, r = t["sd_Intercept"], t["sd_Days"], t["cor"]
    return np.stack([np.stack([a * a, r * a * b], -1), np.stack([r * a * b, b * b], -1)], -2)


Xj = np.column_stack([np.ones(10), np.arange(10.0)])
assert all(np.array_equal(days[g == j], Xj[:, 1]) for j in range(J))
NAMES = ["(Intercept)", "Days"]
PICK = [(j, c) for j in range(3) for c in range(2)]
label = lambda j, c: f"b[{levels[j]}, {NAMES[c]}]"
fast = ByGroup([{"X": Xj, "Z": Xj, "Y": np.column_stack([y[g == j] for j in range(J)]), "r": lambda t: t["sigma"] ** 2}],
               sigma_matrix, BETA_SD, [(label(j, c), 0, j, c) for j, c in PICK], NAMES)

X = np.column_stack([np.ones(n), days])
Z = np.zeros((n, 2 * J))
for i in range(n):
    Z[i, 2 * g[i]], Z[i, 2 * g[i] + 1] = 1.0, days[i]


def D(t):
    a, b, r = t["sd_Intercept"], t["sd_Days"], t["cor"]
    S = np.array([[a * a, r * a * b], [r * a * b, b * b]])
    out = np.zeros((2 + 2 * J, 2 + 2 * J))
    out[:2, :2] = np.diag(np.square(BETA_SD))
    for j in range(J):
        k = 2 + 2 * j
        out[k:k + 2, k:k + 2] = S
    return out


dense = Dense(y, np.hstack([X, Z]), D, lambda t: t["sigma"] ** 2 * np.eye(n), [0, 1] + [2 + 2 * j + c for j, c in PICK])
axes = {"sd_Intercept": Axis([0, 12, 24, 36, 55, 90, 160], 8), "sd_Days": Axis([0, 4, 8, 13, 20, 40], 8),
        "cor": Axis([-1, -0.4, 0.4, 1], 8), "sigma": Axis([18, 39], 40, log=True)}


def W_entry(i, j):
    """Sigma Z' V^-1 Z of one subject: the matrix that multiplies the subject's own least-squares deviation."""
    def f(t, chunk=50000):
        res = np.empty(len(t["sigma"]))
        ZZ = Xj.T @ Xj
        for s in range(0, len(res), chunk):
            tt = {k: v[s:s + chunk] for k, v in t.items()}
            S = sigma_matrix(tt)
            # Sigma Z' (Z Sigma Z' + r I)^-1 Z = Sigma (Sigma + r (Z'Z)^-1)^-1
            res[s:s + chunk] = (S @ np.linalg.inv(S + tt["sigma"][:, None, None] ** 2 * np.linalg.inv(ZZ)))[:, i, j]
        return res
    return f


extra = {f"shrinkage[{i + 1},{j + 1}]": W_entry(i, j) for i in range(2) for j in range(2)}
extra["cov_Intercept_Days"] = lambda t: t["cor"] * t["sd_Intercept"] * t["sd_Days"]

if __name__ == "__main__":
    post, ev, acc, imp = run_grid_case(prior, axes, fast, dense, {"sd_Intercept": 25.0, "sd_Days": 6.0, "cor": 0.1, "sigma": 26.0},
                                       seed=102, extra=extra, refine=1.25)
    points = [(25, 6, 0.1, 26), (5, 2, -0.5, 30), (60, 12, 0.9, 22), (25, 0.01, 0, 33), (0.01, 6, 0.5, 30)]
    obj = clean({
        "schema": "hierreg-reference/1", "case": CASE,
        "title": "Posterior oracle, sleep deprivation: random intercept and slope per subject, every number by numerical integration",
        "data": {"package_data": "sleepstudy", "n_rows": n,
                 "columns": {"Reaction": {"type": "numeric", "about": "average reaction time, ms"},
                             "Days": {"type": "numeric", "about": "days of sleep deprivation"},
                             "Subject": {"type": "categorical", "about": "subject", "levels": levels, "n_levels": J}},
                 "source": {"dataset": "lme4::sleepstudy",
                            "citation": "Belenky G, Wesensten NJ, Thorne DR, Thomas ML, Sing HC, Redmond DP, Russo MB, Balkin TJ (2003). Patterns of performance degradation and restoration during sleep restriction and subsequent recovery: a sleep dose-response study. Journal of Sleep Research 12, 1-12.",
                            "licence": "as distributed in R package lme4, GPL (version 2 or later); the figures themselves were published in the work cited"}},
        "script": "scripts/oracle_sleepstudy.py",
        "models": {"posterior": {
            "kind": "bayes_gaussian_lmm", "formula": "Reaction ~ Days + (Days | Subject)", "n_obs": n,
            "priors": {"beta": {k: {"family": "normal", "mean": 0, "sd": s} for k, s in zip(NAMES, BETA_SD)}, **describe(prior)},
            "meaning": {"sd_Intercept": "sd of the subject intercepts (at Days = 0, not centred)", "sd_Days": "sd of the subject slopes",
                        "cor": "their correlation", "sigma": "residual sd", "b[j]": "subject effect, deviation from beta",
                        "shrinkage": "2 x 2 matrix Sigma Z'(Z Sigma Z' + sigma^2 I)^-1 Z of one subject (the same for all: balanced)"},
            "posterior": {
                "variance_parameters": {k: post[k] for k in prior.names},
                "fixef": {k: post[k] for k in NAMES},
                "ranef": {"Subject": {levels[j]: {NAMES[c]: post[label(j, c)] for c in range(2)} for j in range(3)}},
                "derived": {k: post[k] for k in extra}},
            "log_evidence": ev, "logp_checks": None}},
        "accuracy": acc})
    obj["models"]["posterior"]["logp_checks"] = logp_checks(prior, dense, points)
    dump(os.path.join(out, "expected.json"), obj)
