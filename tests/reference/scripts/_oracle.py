"""Posterior oracles by numerical integration: shared tools for the oracle_*.py scripts.

Model of every case:  y | theta ~ N(X beta + Z b, R(theta)),  b ~ N(0, G(theta)),
beta ~ N(0, diag(prior_sd^2)).  beta and b are integrated analytically; theta (standard
deviations and correlations) is integrated numerically, never by Markov chain.

Two ways, sharing no linear algebra:

  quadrature   tensor products of Gauss-Legendre panels in theta itself; the likelihood is
               accumulated group by group from explicit V_j = Z_j Sigma Z_j' + R_j
  importance   independent draws from a fitted mixture of t distributions; the likelihood of
               each draw from the one dense n x n matrix  W = H D H' + R,  H = [X Z],
               D = blockdiag(prior_sd^2, G)

Means, standard deviations and quantiles of beta, b (Gaussian given theta) are those of the
exact mixture of Gaussians over the nodes; no draws of beta or b are made.
"""
import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
from numpy.polynomial import legendre
from scipy import linalg, optimize, special

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.environ.get("REFERENCE_OUT", os.path.join(HERE, ".."))
TABLES = os.path.join(HERE, "..", "..", "..", "hierreg", "datasets", "tables")
PROBS = (0.05, 0.25, 0.50, 0.75, 0.95)
LOG2PI = np.log(2 * np.pi)


# =============================================================== priors (normalised log densities)
def log_half_normal(x, scale):
    return np.log(2.0) - 0.5 * LOG2PI - np.log(scale) - 0.5 * (x / scale) ** 2


def log_lkj2(rho, eta):
    """Correlation of a 2 x 2 LKJ(eta): density proportional to (1 - rho^2)^(eta - 1) on (-1, 1)."""
    logc = (2 * eta - 1) * np.log(2.0) + special.betaln(eta, eta)
    with np.errstate(divide="ignore"):
        return (eta - 1) * np.log1p(-rho ** 2) - logc


def log_half_cauchy(x, scale):
    return np.log(2.0) - np.log(np.pi) - np.log(scale) - np.log1p((x / scale) ** 2)


class Prior:
    """spec: ordered dict name -> ('half_normal', scale) | ('lkj', eta) | ('half_cauchy', scale)."""
    F = {"half_normal": log_half_normal, "lkj": log_lkj2, "half_cauchy": log_half_cauchy}

    def __init__(self, spec):
        self.spec, self.names = spec, list(spec)

    def logpdf(self, theta):
        return sum(self.F[k](theta[n], a) for n, (k, a) in self.spec.items())

    def is_corr(self, n):
        return self.spec[n][0] == "lkj"

    def to_free(self, theta):
        return np.column_stack([np.arctanh(theta[n]) if self.is_corr(n) else np.log(theta[n]) for n in self.names])

    def from_free(self, eta):
        """free coordinates -> theta and log|d theta / d eta|"""
        theta, lj = {}, 0.0
        for k, n in enumerate(self.names):
            if self.is_corr(n):
                theta[n] = np.tanh(eta[:, k])
                a = np.abs(eta[:, k])
                lj = lj + 2 * (np.log(2.0) - a - np.log1p(np.exp(-2 * a)))      # log(1 - tanh^2)
            else:
                theta[n] = np.exp(eta[:, k])
                lj = lj + eta[:, k]
        return theta, lj


# =============================================================== likelihood 1: by group, many theta at once
class ByGroup:
    """Groups that share X_j and Z_j are one class; each class has explicit V = Z Sigma Z' + r I.

    classes: list of dicts X (n,p), Z (n,q), Y (n, groups), r: function theta -> residual variance (m,)
    sigma:   function theta -> (m,q,q)
    beta_sd: prior sds of beta
    effects: list of (label, class, group, component) of the b to report
    """

    def __init__(self, classes, sigma, beta_sd, effects, beta_names):
        self.classes, self.sigma, self.beta_sd = classes, sigma, np.asarray(beta_sd, float)
        self.effects, self.beta_names = effects, beta_names
        self.labels = list(beta_names) + [e[0] for e in effects]
        self.n = sum(c["Y"].size for c in classes)

    def __call__(self, theta):
        S = self.sigma(theta)
        m, p = len(S), len(self.beta_sd)
        P = np.tile(np.diag(self.beta_sd ** -2.0), (m, 1, 1))
        h, q, logdet = np.zeros((m, p)), np.zeros(m), np.zeros(m)
        keep = []
        for c in self.classes:
            X, Z, Y = c["X"], c["Z"], c["Y"]
            G = Y.shape[1]
            V = Z @ S @ Z.T + c["r"](theta)[:, None, None] * np.eye(len(Z))
            L = np.linalg.cholesky(V)
            logdet += 2 * G * np.log(np.diagonal(L, axis1=1, axis2=2)).sum(1)
            Vi = np.linalg.inv(V)
            keep.append(Vi)
            P += G * (X.T @ Vi @ X)
            h += Vi.reshape(m, -1) @ np.einsum("ip,j->ijp", X, Y.sum(1)).reshape(-1, p)
            q += Vi.reshape(m, -1) @ (Y @ Y.T).ravel()
        C = np.linalg.inv(P)
        beta = np.einsum("mab,mb->ma", C, h)
        sign, ldP = np.linalg.slogdet(P)
        ll = -0.5 * (self.n * LOG2PI + logdet + ldP + 2 * np.log(self.beta_sd).sum() + q - (h * beta).sum(1))
        mean = np.empty((m, len(self.labels)))
        var = np.empty_like(mean)
        mean[:, :p] = beta
        var[:, :p] = np.diagonal(C, axis1=1, axis2=2)
        cache = {}
        for k, (_, ci, g, comp) in enumerate(self.effects):
            c = self.classes[ci]
            if ci not in cache:
                A = S @ c["Z"].T @ keep[ci]                       # Sigma Z' V^-1
                K = A @ c["X"]
                cov = S - A @ c["Z"] @ S + K @ C @ np.swapaxes(K, 1, 2)
                cache[ci] = (A, K, np.diagonal(cov, axis1=1, axis2=2))
            A, K, dv = cache[ci]
            mean[:, p + k] = A[:, comp, :] @ c["Y"][:, g] - (K[:, comp, :] * beta).sum(1)
            var[:, p + k] = dv[:, comp]
        return ll, mean, var


# =============================================================== likelihood 2: one dense matrix per theta
class Dense:
    """W = H D H' + R for the whole data set.  D(theta), R(theta): full matrices.

    pick: columns of H whose coefficients are reported, or a matrix A whose rows are the reported combinations.
    """

    def __init__(self, y, H, D, R, pick, labels=None):
        self.y, self.H, self.D, self.R = y, H, D, R
        self.pick = np.eye(H.shape[1])[pick] if np.ndim(pick) == 1 else np.asarray(pick)
        self.labels = labels

    def one(self, theta):
        D, R = self.D(theta), self.R(theta)
        W = self.H @ D @ self.H.T + R
        L = np.linalg.cholesky(W)
        z = linalg.solve_triangular(L, self.y, lower=True, check_finite=False)
        ll = -0.5 * (len(self.y) * LOG2PI + 2 * np.log(np.diagonal(L)).sum() + z @ z)
        DA = D @ self.pick.T
        Q = linalg.solve_triangular(L, self.H @ DA, lower=True, check_finite=False)
        return ll, Q.T @ z, (self.pick * DA.T).sum(1) - (Q ** 2).sum(0)

    def __call__(self, theta):
        names = list(theta)
        m = len(theta[names[0]])
        ll, mean, var = np.empty(m), np.empty((m, len(self.pick))), np.empty((m, len(self.pick)))
        for i in range(m):
            ll[i], mean[i], var[i] = self.one({n: float(theta[n][i]) for n in names})
        return ll, mean, var


# =============================================================== Gauss-Legendre panels
class Axis:
    """Composite Gauss-Legendre rule: breakpoints and the number of nodes in each panel.

    log=True places the rule in log x (breaks still given in x, all positive).
    """

    def __init__(self, breaks, order, log=False):
        self.breaks, self.order, self.log = list(breaks), order, log
        self.ub = [float(np.log(b)) for b in breaks] if log else list(breaks)
        t, w = legendre.leggauss(order)
        u = np.concatenate([0.5 * (b - a) * t + 0.5 * (a + b) for a, b in zip(self.ub, self.ub[1:])])
        self.wu = np.concatenate([0.5 * (b - a) * w for a, b in zip(self.ub, self.ub[1:])])
        self.x = np.exp(u) if log else u
        self.w = self.wu * self.x if log else self.wu

    def refined(self, factor):
        return Axis(self.breaks, int(np.ceil(self.order * factor)), self.log)

    def quantiles(self, mass, probs):
        """mass at the nodes (any scale) -> quantiles, by exact integration of the panel polynomials of the density."""
        k, t = self.order, legendre.leggauss(self.order)
        total = mass.sum()
        B = legendre.legvander(t[0], k - 1)
        left, prim = [0.0], []
        for j, (a, b) in enumerate(zip(self.ub, self.ub[1:])):
            sl = slice(j * k, (j + 1) * k)
            f = mass[sl] / self.wu[sl] / total
            coef = (2 * np.arange(k) + 1) / 2 * (B.T @ (t[1] * f))
            prim.append(legendre.legint(coef, lbnd=-1) * 0.5 * (b - a))
            left.append(left[-1] + mass[sl].sum() / total)
        out = []
        for p in probs:
            j = int(np.searchsorted(left, p) - 1)
            a, b = self.ub[j], self.ub[j + 1]
            g = lambda u: left[j] + legendre.legval(u, prim[j]) - p
            u = optimize.brentq(g, -1, 1, xtol=1e-14)
            v = 0.5 * (b - a) * u + 0.5 * (a + b)
            out.append(float(np.exp(v)) if self.log else v)
        return out


def mixture_quantiles(w, mean, sd, probs):
    """Quantiles of sum_i w_i N(mean_i, sd_i^2), exact to root-finding accuracy."""
    keep = w > w.max() * 1e-13
    w, mean, sd = w[keep] / w[keep].sum(), mean[keep], sd[keep]
    mu = w @ mean
    s = np.sqrt(w @ (sd ** 2 + (mean - mu) ** 2))
    cdf = lambda x: w @ special.ndtr((x - mean) / sd)
    out = []
    for p in probs:
        lo, hi = mu - 3 * s, mu + 3 * s
        while cdf(lo) > p:
            lo -= 2 * s
        while cdf(hi) < p:
            hi += 2 * s
        out.append(optimize.brentq(lambda x: cdf(x) - p, lo, hi, xtol=1e-9 * s, rtol=1e-13))
    return out


def summary(mean, sd, q):
    d = {"mean": float(mean), "sd": float(sd)}
    if q is not None:
        d.update({"q%02d" % round(100 * p): float(v) for p, v in zip(PROBS, q)})
    return d


def quadrature(prior, axes, lik, quantiles=True, chunk=20000, extra=None, keep=-32.0):
    """Tensor Gauss-Legendre.  axes: dict name -> Axis in prior order.  extra: dict label -> f(theta) moments only.

    Nodes with log weight below `keep` (exp(-32) = 1e-14) of the largest enter the evidence and the marginals of
    the variance parameters but not the moments of beta and b.
    Returns dict label -> summary, log evidence, report (with the density left at the open ends of the axes).
    """
    names = prior.names
    ax = [axes[n] for n in names]
    shape = tuple(len(a.x) for a in ax)
    N = int(np.prod(shape))
    lab = lik.labels
    lp = np.empty(N)

    def at(flat):
        idx = np.unravel_index(flat, shape)
        theta = {n: a.x[i] for n, a, i in zip(names, ax, idx)}
        return theta, sum(np.log(a.w[i]) for a, i in zip(ax, idx)) + prior.logpdf(theta)
    theta, base = at(np.random.default_rng(0).choice(N, min(N, 20000), replace=False))
    floor = (lik(theta)[0] + base).max() + keep
    kept = []
    for s in range(0, N, chunk):
        flat = np.arange(s, min(N, s + chunk))
        theta, base = at(flat)
        ll, m, v = lik(theta)
        lp[flat] = ll + base
        o = lp[flat] > floor
        kept.append((flat[o], m[o], v[o]))
    ki, mean, var = (np.concatenate([k[j] for k in kept]) for j in range(3))
    top = lp.max()
    w = np.exp(lp - top)
    logev = top + np.log(w.sum())
    w /= w.sum()
    W = w.reshape(shape)
    out, edge = {}, {}
    for k, (n, a) in enumerate(zip(names, ax)):
        marg = W.sum(tuple(j for j in range(len(shape)) if j != k))
        mu = marg @ a.x
        sd = np.sqrt(marg @ (a.x - mu) ** 2)
        out[n] = summary(mu, sd, a.quantiles(marg, PROBS) if quantiles else None)
        spec = prior.spec[n][0]
        dens = marg / a.w
        lo_open = not (spec != "lkj" and a.breaks[0] == 0) and not (spec == "lkj" and a.breaks[0] == -1)
        hi_open = not (spec == "lkj" and a.breaks[-1] == 1)
        edge[n] = [float(dens[0] * sd) if lo_open else None, float(dens[-1] * sd) if hi_open else None]
    if extra:
        for label, f in extra.items():
            s0 = s1 = s2 = 0.0
            for s in range(0, N, 500000):
                flat = np.arange(s, min(N, s + 500000))
                flat = flat[w[flat] > 0]
                theta, _ = at(flat)
                v = f(theta)
                s0, s1, s2 = s0 + w[flat].sum(), s1 + w[flat] @ v, s2 + w[flat] @ v ** 2
            out[label] = summary(s1 / s0, np.sqrt(s2 / s0 - (s1 / s0) ** 2), None)
    w = w[ki]
    w /= w.sum()
    for k, label in enumerate(lab):
        mu = w @ mean[:, k]
        sd = np.sqrt(w @ (var[:, k] + (mean[:, k] - mu) ** 2))
        out[label] = summary(mu, sd, mixture_quantiles(w, mean[:, k], np.sqrt(var[:, k]), PROBS) if quantiles else None)
    return out, logev, {"nodes": N, "nodes_kept_for_moments": len(ki), "nodes_per_parameter": dict(zip(names, shape)),
                        "density_times_sd_at_the_open_ends": edge}


def change(a, b):
    """largest |difference| between two summaries, in posterior sds of the second."""
    worst, at = 0.0, None
    for k in b:
        for s in b[k]:
            if s in a[k]:
                d = abs(a[k][s] - b[k][s]) / b[k]["sd"]
                if d > worst:
                    worst, at = d, (k, s)
    return worst, at


# =============================================================== importance sampling
def tolerant(lik, theta):
    """lik(theta); a theta whose covariance matrix is singular to machine precision gets log likelihood -inf.

    Only far tail draws of the proposal get there (residual sd below 1e-7 of the group sd), where the
    likelihood underflows anyway.
    """
    try:
        return lik(theta)
    except np.linalg.LinAlgError:
        parts = []
        m = len(next(iter(theta.values())))
        for i in range(m):
            try:
                parts.append(lik({n: v[i:i + 1] for n, v in theta.items()}))
            except np.linalg.LinAlgError:
                parts.append(None)
        k = next(p for p in parts if p is not None)[1].shape[1]
        parts = [(np.array([-np.inf]), np.zeros((1, k)), np.ones((1, k))) if p is None else p for p in parts]
        return tuple(np.concatenate([p[j] for p in parts]) for j in range(3))


def _t_logpdf(x, mu, L, df):
    d = len(mu)
    z = linalg.solve_triangular(L, (x - mu).T, lower=True)
    return (special.gammaln((df + d) / 2) - special.gammaln(df / 2) - 0.5 * d * np.log(df * np.pi)
            - np.log(np.diagonal(L)).sum() - 0.5 * (df + d) * np.log1p((z ** 2).sum(0) / df))


class TMixture:
    def __init__(self, w, mu, cov, df):
        self.w, self.mu, self.df = np.asarray(w), np.asarray(mu), df
        self.L = [np.linalg.cholesky(c) for c in cov]

    def draw(self, m, rng):
        k = rng.choice(len(self.w), size=m, p=self.w)
        z = rng.standard_normal((m, self.mu.shape[1])) / np.sqrt(rng.chisquare(self.df, m) / self.df)[:, None]
        x = np.empty_like(z)
        for j in range(len(self.w)):
            x[k == j] = self.mu[j] + z[k == j] @ self.L[j].T
        return x

    def from_uniform(self, u):
        """rows of d+2 uniforms -> draws (for randomised quasi-Monte Carlo)."""
        k = np.searchsorted(np.cumsum(self.w), u[:, 0] * self.w.sum(), side="right").clip(0, len(self.w) - 1)
        z = special.ndtri(u[:, 2:]) / np.sqrt(special.chdtri(self.df, u[:, 1]) / self.df)[:, None]
        x = np.empty_like(z)
        for j in range(len(self.w)):
            x[k == j] = self.mu[j] + z[k == j] @ self.L[j].T
        return x

    def logpdf(self, x):
        return special.logsumexp(np.column_stack([np.log(w) + _t_logpdf(x, m, L, self.df)
                                                  for w, m, L in zip(self.w, self.mu, self.L)]), axis=1)


def _em(x, K, rng, iters=60):
    """Plain Gaussian mixture by EM; the covariances are then inflated for use with t tails."""
    n, d = x.shape
    mu = x[rng.choice(n, K, replace=False)]
    cov = np.array([np.cov(x.T).reshape(d, d)] * K)
    w = np.full(K, 1 / K)
    ridge = 1e-4 * np.diag(np.var(x, axis=0))
    for _ in range(iters):
        lp = np.empty((n, K))
        for j in range(K):
            L = np.linalg.cholesky(cov[j])
            z = linalg.solve_triangular(L, (x - mu[j]).T, lower=True)
            lp[:, j] = np.log(w[j]) - np.log(np.diagonal(L)).sum() - 0.5 * (z ** 2).sum(0)
        r = np.exp(lp - special.logsumexp(lp, axis=1)[:, None])
        nk = r.sum(0) + 1e-9
        w = nk / nk.sum()
        mu = (r.T @ x) / nk[:, None]
        for j in range(K):
            e = x - mu[j]
            cov[j] = (r[:, j, None] * e).T @ e / nk[j] + ridge
    return w, mu, cov


def fit_proposal(prior, lik, start, rng, K=6, df=6, pilot=20000, rounds=3):
    """t mixture fitted at the mode, then refitted to its own weighted draws."""
    names = prior.names

    def neg(eta):
        theta, lj = prior.from_free(eta[None, :])
        with np.errstate(all="ignore"):
            v = -(lik(theta)[0] + prior.logpdf(theta) + lj)[0]
        return v if np.isfinite(v) else 1e10
    x0 = prior.to_free({n: np.array([start[n]], float) for n in names})[0]
    def guarded(eta):
        try:
            return neg(eta)
        except np.linalg.LinAlgError:
            return 1e10
    r = optimize.minimize(guarded, x0, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-7, "fatol": 1e-9})
    mode, d = r.x, len(r.x)
    Hm, e = np.empty((d, d)), 1e-3
    for i in range(d):
        for j in range(d):
            ei, ej = np.eye(d)[i] * e, np.eye(d)[j] * e
            Hm[i, j] = (neg(mode + ei + ej) - neg(mode + ei - ej) - neg(mode - ei + ej) + neg(mode - ei - ej)) / (4 * e * e)
    cov = np.linalg.inv(0.5 * (Hm + Hm.T))
    q = TMixture([0.5, 0.5], [mode, mode], [1.5 * cov, 6 * cov], 4)
    for _ in range(rounds):
        x = q.draw(pilot, rng)
        theta, lj = prior.from_free(x)
        lw = np.nan_to_num(tolerant(lik, theta)[0] + prior.logpdf(theta) + lj - q.logpdf(x), nan=-np.inf)
        w = np.exp(lw - lw.max())
        w /= w.sum()
        y = x[rng.choice(pilot, 8000, p=w)]
        mw, mm, mc = _em(y, K, rng)
        tot = np.cov(y.T).reshape(d, d)
        q = TMixture(np.append(0.9 * mw, 0.1), np.vstack([mm, y.mean(0)]), list(1.25 * mc) + [3 * tot], df)
    return q, mode


def importance(prior, lik, q, draws, rng, extra=None, chunk=2000, labels=None):
    """Self-normalised importance sampling.  Returns summaries, Monte-Carlo errors, log evidence, ESS."""
    x = q.draw(draws, rng)
    theta, lj = prior.from_free(x)
    lab = labels
    ll, mean, var = np.empty(draws), np.empty((draws, len(lab))), np.empty((draws, len(lab)))
    for s in range(0, draws, chunk):
        ll[s:s + chunk], mean[s:s + chunk], var[s:s + chunk] = tolerant(lik, {n: v[s:s + chunk] for n, v in theta.items()})
    lw = ll + prior.logpdf(theta) + lj - q.logpdf(x)
    return weighted(prior, theta, lw, mean, var, lab, extra)


def weighted(prior, theta, lw, mean, var, lab, extra=None):
    raw = np.exp(lw - lw.max())
    logev = lw.max() + np.log(raw.mean())
    logev_se = raw.std(ddof=1) / raw.mean() / np.sqrt(len(raw))
    w = raw / raw.sum()
    out, err = {}, {}

    def put(label, m1, v1, q):
        mu = w @ m1
        var_ = w @ (v1 + (m1 - mu) ** 2)
        sd = np.sqrt(var_)
        e_mu = np.sqrt(np.sum((w * (m1 - mu)) ** 2))
        e_sd = np.sqrt(np.sum((w * (v1 + (m1 - mu) ** 2 - var_)) ** 2)) / (2 * sd)
        out[label] = summary(mu, sd, [t[0] for t in q])
        err[label] = {"mean": float(e_mu), "sd": float(e_sd)}
        err[label].update({"q%02d" % round(100 * p): float(t[1]) for p, t in zip(PROBS, q)})

    def empirical(v):
        o = np.argsort(v)
        vs, ws = v[o], w[o]
        cw = np.cumsum(ws) - 0.5 * ws
        res = []
        for p in PROBS:
            x = np.interp(p, cw, vs)
            ep = np.sqrt(np.sum((w * ((v <= x) - p)) ** 2))             # error of the cdf at x
            lo, hi = np.interp([max(p - ep, 1e-6), min(p + ep, 1 - 1e-6)], cw, vs)
            res.append((x, 0.5 * (hi - lo)))
        return res

    def gaussian_mix(m1, v1):
        s1 = np.sqrt(v1)
        res = []
        for p, x in zip(PROBS, mixture_quantiles(w, m1, s1, PROBS)):
            u = (x - m1) / s1
            ep = np.sqrt(np.sum((w * (special.ndtr(u) - p)) ** 2))
            res.append((x, ep / (w @ (np.exp(-0.5 * u * u) / np.sqrt(2 * np.pi) / s1))))
        return res
    for n in prior.names:
        put(n, theta[n], 0.0, empirical(theta[n]))
    for label, f in (extra or {}).items():
        v = f(theta)
        put(label, v, 0.0, empirical(v))
    for k, label in enumerate(lab):
        put(label, mean[:, k], var[:, k], gaussian_mix(mean[:, k], var[:, k]))
    return out, err, logev, logev_se, {"draws": len(w), "ess": float(1 / np.sum(w ** 2)), "largest_weight": float(w.max())}


def compare(ref, other, err):
    """Differences other - ref: largest in posterior sds (with place) and in Monte-Carlo errors."""
    zs, worst, at, zat = [], 0.0, None, None
    zmax = 0.0
    for k in ref:
        for s in ref[k]:
            if s not in other[k]:
                continue
            d = other[k][s] - ref[k][s]
            z = d / err[k][s]
            zs.append(z)
            if abs(d) / ref[k]["sd"] > worst:
                worst, at = abs(d) / ref[k]["sd"], f"{k}: {s}"
            if abs(z) > zmax:
                zmax, zat = abs(z), f"{k}: {s}"
    zs = np.array(zs)
    mean_err = max(err[k]["mean"] / ref[k]["sd"] for k in ref)
    return {"numbers_compared": len(zs), "largest_difference_in_posterior_sd": float(worst), "at": at,
            "largest_difference_in_monte_carlo_errors": float(zmax), "at_z": zat,
            "rms_of_the_differences_in_monte_carlo_errors": float(np.sqrt(np.mean(zs ** 2))),
            "largest_monte_carlo_error_of_a_mean_in_posterior_sd": float(mean_err)}


# =============================================================== output
def sig(x, d=12):
    return float("%.*g" % (d, x)) if isinstance(x, float) else x


def clean(o, d=10):
    if isinstance(o, dict):
        return {str(k): clean(v, d) for k, v in o.items()}
    if isinstance(o, (list, tuple)):
        return [clean(v, d) for v in o]
    if isinstance(o, (np.floating, float)):
        return sig(float(o), d)
    if isinstance(o, np.integer):
        return int(o)
    return o


def dump(path, obj):
    def enc(o, ind):
        pad = " " * (ind + 1)
        if isinstance(o, dict):
            if o and all(not isinstance(v, (dict, list)) for v in o.values()) and len(json.dumps(o)) < 150:
                return "{" + ", ".join(json.dumps(k) + ": " + enc(v, 0) for k, v in o.items()) + "}"
            return "{\n" + ",\n".join(pad + json.dumps(k) + ": " + enc(v, ind + 1) for k, v in o.items()) + "\n" + " " * ind + "}"
        if isinstance(o, list):
            if all(not isinstance(v, (dict, list)) for v in o):
                return "[" + ", ".join(enc(v, 0) for v in o) + "]"
            return "[" + (",\n" + pad).join(enc(v, ind + 1) for v in o) + "]"
        return json.dumps(o, ensure_ascii=False)
    with open(path, "w") as f:
        f.write(enc(obj, 0) + "\n")


def logp_checks(prior, dense, points):
    """log p(y | theta) with beta and b integrated out, and the normalised log prior, at given theta."""
    out = []
    for pt in points:
        th = {n: float(v) for n, v in zip(prior.names, pt)}
        out.append({"theta": th, "log_likelihood": sig(float(dense.one(th)[0]), 15),
                    "log_prior": sig(float(prior.logpdf({n: np.array(v) for n, v in th.items()})), 15)})
    return out


def agree(prior, fast, dense, rng, q, m=200):
    """largest difference between the two likelihood codes over m draws of the proposal."""
    theta, _ = prior.from_free(q.draw(m, rng))
    a, b = fast(theta), dense(theta)
    return {"points": m, "log_likelihood": float(np.max(np.abs(a[0] - b[0]))),
            "conditional_means_in_sd": float(np.max(np.abs(a[1] - b[1]) / np.sqrt(b[2]))),
            "conditional_variances_relative": float(np.max(np.abs(a[2] / b[2] - 1)))}


# =============================================================== the run common to the grid cases
def read_csv(path):
    import csv
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    return {k: [r[k] for r in rows] for k in rows[0]}


def case_dir(case):
    d = os.path.join(ROOT, case)
    os.makedirs(d, exist_ok=True)
    return d


def describe(prior):
    words = {"half_normal": lambda a: {"family": "half_normal", "scale": a},
             "half_cauchy": lambda a: {"family": "half_cauchy", "scale": a},
             "lkj": lambda a: {"family": "lkj", "eta": a, "dimension": 2, "density_of_rho": "proportional to (1 - rho^2)^(eta - 1)"}}
    return {n: words[k](a) for n, (k, a) in prior.spec.items()}


def run_grid_case(prior, axes, fast, dense, start, seed, draws=200000, refine=1.4, extra=None, finer_axes=None, verbose=True):
    """Quadrature twice (second time with more nodes), importance sampling with the dense code, comparison."""
    import time
    rng = np.random.default_rng(seed)
    t0 = time.time()
    coarse, ev0, rep0 = quadrature(prior, axes, fast, extra=extra)
    if verbose:
        print("coarse", rep0, "log evidence", ev0, f"{time.time() - t0:.0f} s", flush=True)
    fine_ax = finer_axes or {n: a.refined(refine) for n, a in axes.items()}
    fine, ev1, rep1 = quadrature(prior, fine_ax, fast, extra=extra)
    ch, at = change(coarse, fine)
    if verbose:
        print("fine  ", rep1, "log evidence", ev1, f"{time.time() - t0:.0f} s; change {ch:.2e} at {at}", flush=True)
    q, mode = fit_proposal(prior, fast, start, rng)
    ag = agree(prior, fast, dense, rng, q)
    if verbose:
        print("agreement of the two likelihoods", ag, f"{time.time() - t0:.0f} s", flush=True)
    imp, err, ev2, ev2se, rep2 = importance(prior, dense, q, draws, rng, extra=extra, labels=fast.labels)
    cmp_ = compare(fine, imp, err)
    if verbose:
        print("importance", rep2, f"{time.time() - t0:.0f} s\n", cmp_, flush=True)
    acc = {"method": "tensor Gauss-Legendre quadrature over the variance parameters; beta and group effects analytic",
           "quadrature": {**rep1, "largest_change_from_the_coarser_rule_in_posterior_sd": ch, "at": f"{at[0]}: {at[1]}" if at else None,
                          "coarser_nodes": rep0["nodes"], "log_evidence_change": ev1 - ev0},
           "agreement_of_two_likelihood_codes": ag,
           "importance_sampling_check": {**rep2, **cmp_, "log_evidence_difference": ev2 - ev1, "log_evidence_mc_error": ev2se}}
    return fine, ev1, acc, (imp, err)
