SCRIPTS_DIR <- local({ f <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)); if (length(f)) dirname(f[1]) else "scripts" })
source(file.path(SCRIPTS_DIR, "_common.R"))
case <- "sim_b_two_correlations"; dir <- case_dir(case)
set.seed(2021); r1 <- 0.2; r2 <- 0.8; ns <- 2000
S <- diag(4); S[1, 2] <- S[2, 1] <- r1; S[3, 4] <- S[4, 3] <- r2
x <- MASS::mvrnorm(ns, rep(0, 4), S)
P <- paste0("P", seq_len(ns)); T <- paste0("T", seq_len(ns))
d <- data.frame(y = c(x[, 1], x[, 2], x[, 3], x[, 4]), f = factor(c(P, P, T, T), levels = c(P, T)), R = factor(rep(c("P", "T"), each = 2 * ns)))
d$R1 <- as.numeric(d$R == "P"); d$R2 <- as.numeric(d$R == "T")
models <- list()
share <- function(v, s2) v / (v + s2)
for (R in c(TRUE, FALSE)) { e <- if (R) "reml" else "ml"
  for (k in c("m2", "m3", "m4", "m5")) {
    f <- list(m2 = y ~ 1 + (0 + R1 | f) + (0 + R2 | f), m3 = y ~ 1 + (1 | f) + (0 + R2 | f), m4 = y ~ 1 + (1 | f), m5 = y ~ 1 + (1 | f))[[k]]
    dd <- switch(k, m4 = droplevels(d[d$R == "P", ]), m5 = droplevels(d[d$R == "T", ]), d)
    cl <- sprintf("lmer(%s, %s, REML = %s)", deparse(f), switch(k, m4 = "d[d$R == \"P\", ]", m5 = "d[d$R == \"T\", ]", "d"), R); key <- paste(k, e, sep = "_")
    m <- lmm_record(lmer_exact(f, dd, R), dd, cl, dir, key); s2 <- m$residual$variance; v <- vapply(m$random, function(z) z$variance, 0)
    if (k %in% c("m4", "m5")) { m$subset <- list(column = "R", level = if (k == "m4") "P" else "T") }
    m$recovered <- switch(k, m2 = list(r1 = share(v[1], s2), r2 = share(v[2], s2)), m3 = list(r1 = share(v[1], s2), r2 = share(v[1] + v[2], s2)), m4 = list(r1 = share(v, s2)), m5 = list(r2 = share(v, s2)))
    if (k %in% c("m2", "m3")) m$warning <- "misspecified: one residual variance for both kinds, so neither r1 nor r2 is recovered"
    models[[key]] <- m
  } }

# Right answer 1: random effect AND residual variance of their own for each R.  A pair's sum u and difference v are independent.
idx <- function(j) ((j - 1) * ns + 1):(j * ns); pr <- function(a, b) list(u = (d$y[idx(a)] + d$y[idx(b)]) / sqrt(2), v = (d$y[idx(a)] - d$y[idx(b)]) / sqrt(2))
p1 <- pr(1, 2); p2 <- pr(3, 4)
crit_h <- function(p, REML) {                                      # p = log(2 vP + sP2), log sP2, log(2 vT + sT2), log sT2 ; mu profiled
  a <- exp(p); W <- 2 * ns / a[1] + 2 * ns / a[3]; mu <- (sqrt(2) * sum(p1$u) / a[1] + sqrt(2) * sum(p2$u) / a[3]) / W
  ll2 <- sum((p1$u - sqrt(2) * mu)^2) / a[1] + sum(p1$v^2) / a[2] + sum((p2$u - sqrt(2) * mu)^2) / a[3] + sum(p2$v^2) / a[4] + ns * sum(p)
  structure(ll2 + (4 * ns - REML) * log(2 * pi) + REML * log(W), mu = mu, W = W) }
for (REML in c(TRUE, FALSE)) {
  e <- if (REML) "reml" else "ml"; M <- toupper(e); g <- function(p) as.numeric(crit_h(p, REML))
  fit <- function() nlme::lme(y ~ 1, d, random = list(f = nlme::pdDiag(~ 0 + R)), weights = nlme::varIdent(form = ~ 1 | R), method = M)
  nl <- fit(); vr <- diag(as.matrix(nl$modelStruct$reStruct$f)) * nl$sigma^2; w <- coef(nl$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)[c("P", "T")]; s <- (nl$sigma * w)^2
  p0 <- unname(log(c(2 * vr[1] + s[1], s[1], 2 * vr[2] + s[2], s[2]))); pl <- newton_polish(g, p0, iter = 8); a <- exp(pl$par); cr <- crit_h(pl$par, REML); mu <- attr(cr, "mu"); se_mu <- 1 / sqrt(attr(cr, "W"))
  v <- c((a[1] - a[2]) / 2, (a[3] - a[4]) / 2); s2 <- a[c(2, 4)]
  # SE of r = v/(v+s2) from the Hessian
  V <- 2 * solve(fd_hess(g, pl$par)); rr <- function(p) { q <- exp(p); c((q[1] - q[2]) / (q[1] + q[2]), (q[3] - q[4]) / (q[3] + q[4])) }
  J <- t(sapply(1:4, function(i) { h <- 1e-6; z <- replace(numeric(4), i, h); (rr(pl$par + z) - rr(pl$par - z)) / (2 * h) })); Vr <- t(J) %*% V %*% J
  mode <- cbind(c(v[1] / a[1] * (sqrt(2) * p1$u - 2 * mu), numeric(ns)), c(numeric(ns), v[2] / a[3] * (sqrt(2) * p2$u - 2 * mu)))
  cc <- array(0, c(2, 2, 2 * ns)); own <- c(v[1] * a[2] / a[1], v[2] * a[4] / a[3]); kk <- c(2 * v[1] / a[1], 2 * v[2] / a[3])
  cc[1, 1, ] <- c(rep(own[1], ns), rep(v[1], ns)); cc[2, 2, ] <- c(rep(v[2], ns), rep(own[2], ns)); pc <- cc
  pc[1, 1, 1:ns] <- own[1] + (kk[1] * se_mu)^2; pc[2, 2, ns + 1:ns] <- own[2] + (kk[2] * se_mu)^2
  key <- paste0("own_residual_", e); cl <- sprintf("lme(y ~ 1, d, random = list(f = pdDiag(~ 0 + R)), weights = varIdent(form = ~ 1 | R), method = \"%s\")", M)
  models[[key]] <- list(kind = "gaussian_lmm", software = "nlme", call = cl, response = "y", n_obs = 4 * ns, fixef = fix_record(c("(Intercept)" = mu), matrix(se_mu^2, 1, 1), d),
    random = arr(list(cov_record("f", "R1", matrix(v[1], 1, 1), d, 2 * ns), cov_record("f", "R2", matrix(v[2], 1, 1), d, 2 * ns))),
    residual = list(by = "R", levels = arr(c("P", "T")), sd = arr(sqrt(s2)), variance = arr(s2)),
    criterion = crit_record(-pl$value / 2, REML, 4 * ns, 1, 5),
    ranef = list(f = ranef_pack(c(P, T), c("R1", "R2"), mode, cc, pc, dir, paste0("ranef_", key))),
    recovered = list(r1 = v[1] / (v[1] + s2[1]), r2 = v[2] / (v[2] + s2[2]), total_variance_P = v[1] + s2[1], total_variance_T = v[2] + s2[2], se_r1 = sqrt(Vr[1, 1]), se_r2 = sqrt(Vr[2, 2])),
    accuracy = list(how = "nlme::lme at its default control, then the variances taken to the exact optimum of the same criterion, coded independently, by Newton steps",
      nlme_itself = list(logLik = as.numeric(logLik(nl)), fixef = arr(unname(nlme::fixef(nl))), variance_of_f = arr(unname(vr)), residual_variance = arr(unname(s))), max_abs_gradient = max(abs(pl$gradient)), last_relative_newton_step = pl$step))
}
# Right answer 2: one total variance sigma^2, a correlation for each R; direct maximum likelihood.
nll2 <- function(p) { s2 <- exp(p[2]); q1 <- tanh(p[3]); q2 <- tanh(p[4])
  -2 * (sum(dnorm(p1$u, sqrt(2) * p[1], sqrt(s2 * (1 + q1)), TRUE)) + sum(dnorm(p1$v, 0, sqrt(s2 * (1 - q1)), TRUE)) +
        sum(dnorm(p2$u, sqrt(2) * p[1], sqrt(s2 * (1 + q2)), TRUE)) + sum(dnorm(p2$v, 0, sqrt(s2 * (1 - q2)), TRUE))) }
op <- optim(c(mean(d$y), log(var(d$y)), atanh(r1), atanh(r2)), nll2, method = "BFGS", control = list(reltol = 1e-14)); pl <- newton_polish(nll2, op$par)
V <- 2 * solve(fd_hess(nll2, pl$par)); J <- diag(c(1, exp(pl$par[2]), 1 - tanh(pl$par[3:4])^2)); Vn <- J %*% V %*% J
models$direct_ml <- list(kind = "pair_correlation_ml", software = "optim and Newton on the likelihood written out", parameters = arr(c("mu", "sigma2", "r1", "r2")),
  estimate = arr(c(pl$par[1], exp(pl$par[2]), tanh(pl$par[3:4]))), se = arr(sqrt(diag(Vn))), vcov = Vn, minus2_loglik = pl$value,
  se_of_unconstrained = list(parameters = arr(c("mu", "log sigma2", "atanh r1", "atanh r2")), estimate = arr(pl$par), se = arr(sqrt(diag(V)))), optim_par = arr(op$par))
cs <- function(k) { gl <- nlme::gls(y ~ 1, droplevels(d[d$R == k, ]), correlation = nlme::corCompSymm(form = ~ 1 | f), method = "REML"); list(rho = as.numeric(coef(gl$modelStruct$corStruct, unconstrained = FALSE)), sigma = gl$sigma, logLik = as.numeric(logLik(gl)), mu = as.numeric(coef(gl))) }
models$gls_compound_symmetry_by_subset <- list(kind = "native_only", software = "nlme", call = "gls(y ~ 1, correlation = corCompSymm(form = ~ 1 | f), method = \"REML\") on R == \"P\" and on R == \"T\"", P = cs("P"), T = cs("T"))
# The 4,000 effects of pairs are left out: the answers are about variances and correlations.
models <- lapply(models, function(m) { m$ranef <- NULL; m }); unlink(list.files(dir, "^ranef_", full.names = TRUE))
finish_case(case, "Simulated: two kinds of pairs with equal total variance and different correlation (0.2 and 0.8)", d,
  units = list(y = "response", f = "pair", R = "kind of pair", R1 = "1 for kind P", R2 = "1 for kind T"), source = list(dataset = "simulated by the script", citation = "none: simulated", licence = "simulated here, no restriction", random_numbers = "set.seed(2021) with RNGkind(Mersenne-Twister, Inversion, Rejection); MASS::mvrnorm; the data file is the authority where a LAPACK differs"),
  models = models, sw = software("lme4", "nlme", "MASS", "Matrix"), gz_above = 1e5, extra = list(truth = list(mu = 0, total_variance = 1, r1 = r1, r2 = r2, n_pairs_each = ns)),
  notes = c("m2 and m3 are kept because they look right and are wrong: a common residual variance forces 0.2 and 0.8 together",
    "m4 and m5 fit each kind by itself; own_residual_* fits all the data and recovers both; direct_ml adds the constraint of one total variance",
    "lme4 has no residual variance by group; gls has no correlation by group, hence direct_ml"))
